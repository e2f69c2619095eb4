"""Return paths that name their message: ``bounces+tag@example.com``, as VERP does it.

A tag is a number and a proof that we wrote it, in letters that survive servers which fold case. What the number
stands for, and where keys are stored, is the caller's.
"""

import base64
import hmac
import re
from collections.abc import Sequence

from mail.addresses import ADDRESS_OCTETS, LOCAL_OCTETS
from mail.tokens import derived_key

_BYTES = 5  # Of the number, and as many of the proof: together they fill 16 letters of base32.
_TAG = re.compile(r"[a-z2-7]{16}")


def tagged(address: str, number: int, keys: Sequence[str]) -> str:
    """Return ``address`` with the tag for ``number``; unchanged where it would grow too long.

    :param number: 0 to 2^40 - 1.
    :param keys: the first one signs.
    """
    local, _, domain = address.rpartition("@")
    tag = _sign(number.to_bytes(_BYTES), keys[0])
    more = 1 + len(tag)
    is_room = len(local.encode()) + more <= LOCAL_OCTETS and len(address.encode()) + more <= ADDRESS_OCTETS
    is_room = is_room and not local.startswith('"')
    return f"{local}+{tag}@{domain}" if is_room else address


def number_of(address: str, keys: Sequence[str]) -> int | None:
    """Return the number whose tag ``address`` carries, whatever became of its case; None if it is not ours."""
    tag = address.rpartition("@")[0].rpartition("+")[2].lower()
    if not _TAG.fullmatch(tag):
        return None
    number = base64.b32decode(tag.upper())[:_BYTES]
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(number, key), tag)
    return int.from_bytes(number) if is_genuine else None


def _sign(number: bytes, key: str) -> str:
    proof = hmac.digest(derived_key("return path", key), number, "sha256")[:_BYTES]
    return base64.b32encode(number + proof).decode("ascii").lower()
