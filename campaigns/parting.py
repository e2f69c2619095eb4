"""Which part of an audience gets which variant, by a hash of the address that stays the same however often it is asked.

Two variants can never have the same person: their parts of the hash do not touch. See :mod:`delivery.queueing` for
how a mailing's part is kept with it.
"""

import itertools

HASHES = 1 << 32
BEYOND = "g"  # Comes after every hexadecimal number.


def bounds(sample_percent: int, variants: int) -> list[tuple[str, str]]:
    """Return for each variant the first hash that is its own and the first that is not, eight hexadecimal digits each.

    :param sample_percent: how much of the audience all variants have together.
    """
    edges = [HASHES * sample_percent * number // (100 * variants) for number in range(variants + 1)]
    texts = [f"{edge:08x}" if edge < HASHES else BEYOND for edge in edges]
    return list(itertools.pairwise(texts))
