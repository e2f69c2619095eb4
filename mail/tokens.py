"""Signed tokens for links: a number that nobody else can have written, for one purpose only.

A token says which message it is about and nothing of the person. It has no expiry: an unsubscribe link works for
as long as its key is kept. Where keys are stored, and what a number stands for, is the caller's.
"""

import base64
import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence

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
    return maker(purpose, keys)(number)


def maker(purpose: str, keys: Sequence[str]) -> Callable[[int], str]:
    """Return what :func:`make` does for one purpose, with the work for the key done ahead."""
    if not keys:
        raise ValueError("there is no key to sign tokens with; set TOKEN_KEYS")
    prove = prover(purpose, keys[0])

    def make_one(number: int) -> str:
        if not 0 <= number < 2**63:
            raise ValueError(f"{number} cannot be put into a token; it takes 0 to 2^63 - 1")
        return _sign(prove, number.to_bytes(_NUMBER_BYTES))

    return make_one


def read(purpose: str, token: str, keys: Sequence[str]) -> int | None:
    """Return the number in a token that one of ``keys`` signed for ``purpose``; None for everything else.

    Takes the same time for every wrong token of the right form.
    """
    if not _TOKEN.fullmatch(token):
        return None
    number = base64.urlsafe_b64decode(token)[:_NUMBER_BYTES]
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(prover(purpose, key), number), token)
    return int.from_bytes(number) if is_genuine else None


def _sign(prove: Callable[[bytes], bytes], number: bytes) -> str:
    signed = number + prove(number)[:_TAG_BYTES]
    return binascii.b2a_base64(signed, newline=False).translate(_FOR_ADDRESSES).decode("ascii")


@functools.lru_cache(maxsize=64)
def prover(purpose: str, key: str) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA256 under a key of the purpose's own, so that a tag made for one purpose never fits another.

    The two hashes are begun once and copied (RFC 2104 section 4): the standard library would begin them each time,
    which costs more than the rest.
    """
    if not key or not purpose:
        raise ValueError("a token needs a key and a purpose, and one of them is empty")
    derived = hmac.digest(key.encode(), f"brilliance token 1 {purpose}".encode(), "sha256").ljust(64, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in derived))
    outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in derived))

    def prove(text: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(text)
        second.update(first.digest())
        return second.digest()

    return prove


_FOR_ADDRESSES = bytes.maketrans(b"+/", b"-_")
