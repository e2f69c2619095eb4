"""Return paths that name their message: ``bounces+tag@example.com``, as VERP does it.

A tag is a number and a proof that we wrote it, in letters that survive servers which fold case. What the number
stands for, and where keys are stored, is the caller's.
"""

import base64
import hmac
import re
from collections.abc import Callable, Sequence

from mail.addresses import ADDRESS_OCTETS, LOCAL_OCTETS
from mail.tokens import prover

_BYTES = 5  # Of the number, and as many of the proof: together they fill 16 letters of base32.
_LETTERS = 16
_TAG = re.compile(r"[a-z2-7]{16}")
_PURPOSE = "return path"


def tagged(address: str, number: int, keys: Sequence[str]) -> str:
    """Return ``address`` with the tag for ``number``; unchanged where it would grow too long.

    :param number: 0 to 2^40 - 1.
    :param keys: the first one signs.
    """
    return tagger(address, keys)(number)


def tagger(address: str, keys: Sequence[str]) -> Callable[[int], str]:
    """Return what :func:`tagged` does for one address, with all work done ahead that is the same for every number."""
    local, _, domain = address.rpartition("@")
    more = 1 + _LETTERS
    is_room = len(local.encode()) + more <= LOCAL_OCTETS and len(address.encode()) + more <= ADDRESS_OCTETS
    if not is_room or local.startswith('"'):
        return lambda number: address
    before, after, prove = f"{local}+", f"@{domain}", prover(_PURPOSE, keys[0])
    return lambda number: before + _sign(prove, number.to_bytes(_BYTES)) + after


def number_of(address: str, keys: Sequence[str]) -> int | None:
    """Return the number whose tag ``address`` carries, whatever became of its case; None if it is not ours."""
    tag = address.rpartition("@")[0].rpartition("+")[2].lower()
    if not _TAG.fullmatch(tag):
        return None
    number = base64.b32decode(tag.upper())[:_BYTES]
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(prover(_PURPOSE, key), number), tag)
    return int.from_bytes(number) if is_genuine else None


def _sign(prove: Callable[[bytes], bytes], number: bytes) -> str:
    bits = int.from_bytes(number + prove(number)[:_BYTES])
    return (  # base64.b32encode takes twice as long.
        f"{_PAIRS[bits >> 70]}{_PAIRS[bits >> 60 & 1023]}{_PAIRS[bits >> 50 & 1023]}{_PAIRS[bits >> 40 & 1023]}"
        f"{_PAIRS[bits >> 30 & 1023]}{_PAIRS[bits >> 20 & 1023]}{_PAIRS[bits >> 10 & 1023]}{_PAIRS[bits & 1023]}"
    )


_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
