"""Return paths that name their message: ``bounces+tag@example.com``, as VERP does it.

A tag is the number of a message, the last six bits of which attempt it was, and a proof that we wrote it, in letters
that survive servers which fold case. What the numbers stand for, and where keys are stored, is the caller's.
"""

import base64
import hmac
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mail.addresses import ADDRESS_OCTETS, LOCAL_OCTETS
from mail.tokens import proof_of_message, signing_key

ATTEMPTS = 64
_NUMBER_BYTES = 5
_LETTERS = 24  # Five bytes of the numbers and ten of the proof fill them. Another layout has another length.
_TAG = re.compile(r"[a-z2-7]{24}")
_PART = "return path"


class Tag(NamedTuple):
    """What a tag says."""

    message: int
    attempt: int  # Modulo ``ATTEMPTS``. Only the message is proved: take one that it never had for its last.


def tagged(address: str, message: int, attempt: int, keys: Sequence[str]) -> str:
    """Return ``address`` with the tag of an attempt; unchanged where it would grow too long.

    :param message: 0 to 2^34 - 1.
    :param keys: the first one signs.
    """
    return tagger(address, keys)(message, attempt)


def tagger(address: str, keys: Sequence[str]) -> Callable[[int, int], str]:
    """Return what :func:`tagged` does for one address, with all work done ahead that is the same for every message."""
    local, _, domain = address.rpartition("@")
    more = 1 + _LETTERS
    is_room = len(local.encode()) + more <= LOCAL_OCTETS and len(address.encode()) + more <= ADDRESS_OCTETS
    if not is_room or local.startswith('"'):
        return lambda message, attempt: address
    before, after, key = f"{local}+", f"@{domain}", signing_key(keys)
    return lambda message, attempt: before + _sign(message, attempt, key) + after


def tag_of(address: str, keys: Sequence[str]) -> Tag | None:
    """Return what the tag of ``address`` says, whatever became of its case; None if it is not ours."""
    letters = address.rpartition("@")[0].rpartition("+")[2].lower()
    if not _TAG.fullmatch(letters):
        return None
    number = int.from_bytes(base64.b32decode(letters.upper())[:_NUMBER_BYTES])
    tag = Tag(*divmod(number, ATTEMPTS))
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(*tag, key), letters)
    return tag if is_genuine else None


def _sign(message: int, attempt: int, key: str) -> str:
    number = message * ATTEMPTS + attempt % ATTEMPTS
    bits = int.from_bytes(number.to_bytes(_NUMBER_BYTES) + proof_of_message(_PART, message, key))
    return (  # base64.b32encode takes twice as long.
        f"{_PAIRS[bits >> 110]}{_PAIRS[bits >> 100 & 1023]}{_PAIRS[bits >> 90 & 1023]}{_PAIRS[bits >> 80 & 1023]}"
        f"{_PAIRS[bits >> 70 & 1023]}{_PAIRS[bits >> 60 & 1023]}{_PAIRS[bits >> 50 & 1023]}{_PAIRS[bits >> 40 & 1023]}"
        f"{_PAIRS[bits >> 30 & 1023]}{_PAIRS[bits >> 20 & 1023]}{_PAIRS[bits >> 10 & 1023]}{_PAIRS[bits & 1023]}"
    )


_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
