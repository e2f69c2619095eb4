"""The split of an audience into variants and rest, by a stable hash of the address.

Nobody gets two variants, because the ranges of the hash do not overlap. The bounds are taken from the people in the
order of their hashes, so that the parts differ by one person at most. See :mod:`delivery.outbox.mailings` for the
hash, and for how a mailing stores its part.
"""

import itertools
from collections.abc import Mapping, Sequence

FIRST = "0"  # Sorts before or equal to every hash in hexadecimal digits.
BEYOND = "g"  # Sorts after every hash.


def edges(people: int, sample_percent: int, variants: int) -> list[int]:
    """Return the place at which each variant's part begins, counted from 0, and last the place of the rest.

    :param people: the size of the audience.
    :param sample_percent: the share of the audience that all variants get together.
    """
    sampled = (people * sample_percent + 50) // 100
    return [sampled * number // variants for number in range(variants + 1)]


def bounds(edges: Sequence[int], hashes: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return the hash range of each part: the first hash inside it and the first one after it.

    :param hashes: the hashes of the people at the edges. A part without a hash at its end is open.
    """
    return list(itertools.pairwise([FIRST, *(hashes.get(edge, BEYOND) for edge in edges[1:])]))
