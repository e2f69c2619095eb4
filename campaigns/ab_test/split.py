"""Which part of an audience gets which variant, by a hash of the address that stays the same however often it is asked.

Two variants can never have the same person: their parts of the hash do not touch. Where one part ends and the next
begins is read off the people in the order of their hashes, so the parts differ by one person at most. See
:mod:`delivery.outbox.mailings` for the hash, and for how a mailing's part is kept with it.
"""

import itertools
from collections.abc import Mapping, Sequence

FIRST = "0"  # Not after any hash in hexadecimal digits …
BEYOND = "g"  # … and this is after every one.


def edges(people: int, sample_percent: int, variants: int) -> list[int]:
    """Return at which places the parts begin, counted from 0, and in the end where the rest does.

    :param people: how many there are; what they are put in the order of does not matter here.
    :param sample_percent: how much of them all variants have together.
    """
    sampled = (people * sample_percent + 50) // 100
    return [sampled * number // variants for number in range(variants + 1)]


def bounds(edges: Sequence[int], hashes: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return for each part the first hash that is its own and the first that is not.

    :param hashes: of the people at these places; where there is nobody the part is open.
    """
    return list(itertools.pairwise([FIRST, *(hashes.get(edge, BEYOND) for edge in edges[1:])]))
