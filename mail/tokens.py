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
_PROOF_BYTES = 16  # 128 bits: guessing is hopeless, and the link stays short.
# The mark of this layout. It stands last: mail programs leave a dash at the end out of a link, but never a digit.
_MARK = "1"
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{32}}{_MARK}")  # 24 bytes; a multiple of three leaves no padding, no spare bits.

# What most mails carry is proved by one keyed hash over the number of the message, each purpose by bytes of its own.
# The last two are in no mail yet: they stand here so that their bytes are never given to anything else.
PARTS = {
    "unsubscribe": slice(0, 16),
    "feedback": slice(16, 32),
    "return path": slice(32, 42),
    "mailto unsubscribe": slice(42, 52),
    "tracking": slice(52, 64),
}
_IN_PARTS = "the number of a message, in parts"


def make(purpose: str, number: int, keys: Sequence[str]) -> str:
    """Return the token for ``number``: 33 characters of ``A-Z a-z 0-9 _ -``, of which the last one is a digit.

    :param purpose: a word such as ``unsubscribe``; a token for one purpose is worthless for another.
    :param number: 0 to 2^63 - 1.
    :param keys: the first one signs.
    :raises ValueError: if there is no key, or the number does not fit.
    """
    return maker(purpose, keys)(number)


def maker(purpose: str, keys: Sequence[str]) -> Callable[[int], str]:
    """Return what :func:`make` does for one purpose, with the work for the key done ahead."""
    prove = _prover(purpose, signing_key(keys))
    return lambda number: _sign(octets := _octets(number), prove(octets))


def maker_of_several(purposes: Sequence[str], keys: Sequence[str]) -> Callable[[int], list[str]]:
    """Return what makes the tokens of several ``PARTS`` from one hash."""
    prove, parts = prover(_IN_PARTS, signing_key(keys)), [PARTS[purpose] for purpose in purposes]

    def make_all(number: int) -> list[str]:
        octets = _octets(number)
        proof = prove(octets)
        return [_sign(octets, proof[part]) for part in parts]

    return make_all


def read(purpose: str, token: str, keys: Sequence[str]) -> int | None:
    """Return the number in a token that one of ``keys`` signed for ``purpose``; None for everything else.

    Takes the same time for every wrong token of the right form.
    """
    if not _TOKEN.fullmatch(token):
        return None
    octets = base64.urlsafe_b64decode(token.removesuffix(_MARK))[:_NUMBER_BYTES]
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(octets, _prover(purpose, key)(octets)), token)
    return int.from_bytes(octets) if is_genuine else None


def signing_key(keys: Sequence[str]) -> str:
    """Return the key that signs, which is the first one.

    :raises ValueError: if there is none.
    """
    if not keys:
        raise ValueError("there is no key to sign tokens with; set TOKEN_KEYS")
    return keys[0]


def proof_of_message(part: str, number: int, key: str) -> bytes:
    """Return the bytes of one of ``PARTS`` that prove the number of a message."""
    return prover(_IN_PARTS, key)(_octets(number))[PARTS[part]]


@functools.lru_cache(maxsize=64)
def prover(purpose: str, key: str) -> Callable[[bytes], bytes]:
    """Return BLAKE2b of 64 bytes under a key of the purpose's own, so that a proof for one purpose never fits another.

    The hash is begun once and copied: beginning it with its key costs as much as the rest.
    """
    if not key or not purpose:
        raise ValueError("a token needs a key and a purpose, and one of them is empty")
    of_site = hashlib.blake2b(key.encode()).digest()  # As long as a key of BLAKE2b may be, however long this one is.
    of_purpose = hashlib.blake2b(purpose.encode(), key=of_site).digest()
    begun = hashlib.blake2b(key=of_purpose)

    def prove(text: bytes) -> bytes:
        one = begun.copy()
        one.update(text)
        return one.digest()

    return prove


@functools.lru_cache(maxsize=64)
def _prover(purpose: str, key: str) -> Callable[[bytes], bytes]:
    """Return what proves the octets of a number in a token for ``purpose``."""
    part = PARTS.get(purpose)
    prove = prover(purpose if part is None else _IN_PARTS, key)
    part = part or slice(_PROOF_BYTES)
    return lambda octets: prove(octets)[part]


def _octets(number: int) -> bytes:
    if not 0 <= number < 2**63:
        raise ValueError(f"{number} cannot be put into a token; it takes 0 to 2^63 - 1")
    return number.to_bytes(_NUMBER_BYTES)


def _sign(octets: bytes, proof: bytes) -> str:
    return binascii.b2a_base64(octets + proof, newline=False).translate(_FOR_ADDRESSES).decode("ascii") + _MARK


_FOR_ADDRESSES = bytes.maketrans(b"+/", b"-_")
