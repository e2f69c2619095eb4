"""Signed tokens for links: a number that nobody else can have written, for one purpose only.

A token says which message it is about and nothing of the person. It has no expiry: an unsubscribe link works for
as long as its key is kept. Where keys are stored, and what a number stands for, is the caller's.
"""

import base64
import functools
import hashlib
import hmac
import re
from collections.abc import Sequence

_NUMBER_BYTES = 8
_TAG_BYTES = 16  # 128 bits, half of the HMAC: guessing is hopeless, and the link stays short.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")  # 24 bytes; a multiple of three leaves no padding and no spare bits.


def make(purpose: str, number: int, keys: Sequence[str]) -> str:
    """Return the token for ``number``: 32 characters of ``A-Z a-z 0-9 _ -``.

    :param purpose: a word such as ``unsubscribe``; a token for one purpose is worthless for another.
    :param number: 0 to 2^63 - 1.
    :param keys: the first one signs.
    :raises ValueError: if there is no key, or the number does not fit.
    """
    if not keys:
        raise ValueError("there is no key to sign tokens with; set TOKEN_KEYS")
    if not 0 <= number < 2**63:
        raise ValueError(f"{number} cannot be put into a token; it takes 0 to 2^63 - 1")
    return _sign(purpose, number.to_bytes(_NUMBER_BYTES), keys[0])


def read(purpose: str, token: str, keys: Sequence[str]) -> int | None:
    """Return the number in a token that one of ``keys`` signed for ``purpose``; None for everything else.

    Takes the same time for every wrong token of the right form.
    """
    if not _TOKEN.fullmatch(token):
        return None
    number = base64.urlsafe_b64decode(token)[:_NUMBER_BYTES]
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(purpose, number, key), token)
    return int.from_bytes(number) if is_genuine else None


def _sign(purpose: str, number: bytes, key: str) -> str:
    tag = hmac.digest(derived_key(purpose, key), number, "sha256")[:_TAG_BYTES]
    return base64.urlsafe_b64encode(number + tag).decode("ascii")


@functools.lru_cache(maxsize=64)
def derived_key(purpose: str, key: str) -> bytes:
    """Return the purpose's own key, so that a tag made for one purpose never fits another."""
    if not key or not purpose:
        raise ValueError("a token needs a key and a purpose, and one of them is empty")
    return hmac.digest(key.encode(), f"brilliance token 1 {purpose}".encode(), hashlib.sha256)
