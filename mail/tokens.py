"""Signed tokens for links: each proves a number, for one purpose only.

A token contains the number of a message and nothing about the person. It does not expire: an unsubscribe link works as
long as its key is kept. The caller stores the keys and knows the meaning of the numbers.
"""

import base64
import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence

_NUMBER_BYTES = 8
_PROOF_BYTES = 16  # 128 bits: impossible to guess, and the link stays short.
# The version of this layout. It comes last because mail programs drop a final dash from a link, but never a digit.
_MARK = "1"
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{32}}{_MARK}")  # 24 bytes; a multiple of three needs no padding.

# The tokens of most messages come from one keyed hash of the message number; each purpose has its own bytes. The last
# purpose is unused so far; it is listed so that nothing else takes its bytes.
PARTS = {
    "unsubscribe": slice(0, 16),
    "feedback": slice(16, 32),
    "return path": slice(32, 42),
    "mailto unsubscribe": slice(42, 52),
    "tracking": slice(52, 64),
}
_IN_PARTS = "the number of a message, in parts"

# What the proved number is a number of, by purpose: the rows of a table, or a time. No other purpose proves a number.
# A restored copy leaves out the numbers of these tables; see delivery.identity.
SECONDS = "seconds since 1970"
NUMBERS_OF = {
    **dict.fromkeys(PARTS, "messages"),
    "preferences": "messages",
    "choice of tracking": "messages",
    "web version": "messages",
    "tracked mailing": "tracked mailings",
    "confirm": "sign-ups",
    "form opened": SECONDS,
}


def make(purpose: str, number: int, keys: Sequence[str]) -> str:
    """Return the token for ``number``: 33 characters of ``A-Z a-z 0-9 _ -``, the last one a digit.

    :param purpose: a word such as ``unsubscribe``; a token is valid for its purpose only.
    :param number: 0 to 2^63 - 1.
    :param keys: the first one signs.
    :raises ValueError: if there is no key, the purpose is none of ``NUMBERS_OF``, or the number does not fit.
    """
    return maker(purpose, keys)(number)


def maker(purpose: str, keys: Sequence[str]) -> Callable[[int], str]:
    """Return :func:`make` for one purpose, with the work on the key done in advance."""
    prove = _prover(purpose, signing_key(keys))
    _check_purpose(purpose)
    return lambda number: _sign(octets := _octets(number), prove(octets))


def maker_of_several(purposes: Sequence[str], keys: Sequence[str]) -> Callable[[int], list[str]]:
    """Return a function that makes the tokens of several ``PARTS`` from one hash."""
    prove, parts = prover(_IN_PARTS, signing_key(keys)), [PARTS[purpose] for purpose in purposes]

    def make_all(number: int) -> list[str]:
        octets = _octets(number)
        proof = prove(octets)
        return [_sign(octets, proof[part]) for part in parts]

    return make_all


def proofs_of_messages(numbers: Iterable[int], keys: Sequence[str]) -> list[bytes]:
    """Return the 64 bytes of each message number from which all ``PARTS`` are cut.

    :param keys: the first one signs.
    """
    return prove_all(_IN_PARTS, signing_key(keys), _all_octets(list(numbers)))


def columns_of_several(purposes: Sequence[str]) -> Callable[[Sequence[int], Sequence[bytes]], list[list[str]]]:
    """Return :func:`maker_of_several` for many numbers at once, with a column of tokens for each purpose.

    It takes the numbers and what :func:`proofs_of_messages` returned for them. All tokens of a column are encoded at
    once.
    """
    parts = [PARTS[purpose] for purpose in purposes]

    def make_all(numbers: Sequence[int], proofs: Sequence[bytes]) -> list[list[str]]:
        octets = [number.to_bytes(_NUMBER_BYTES) for number in numbers]
        columns = []
        for part in parts:
            size = _NUMBER_BYTES + part.stop - part.start
            filler = -size % 3  # So that the letters of each token begin at a whole letter.
            padding = bytes(filler)
            signed = b"".join([number + proof[part] + padding for number, proof in zip(octets, proofs, strict=True)])
            letters = binascii.b2a_base64(signed, newline=False).translate(_FOR_ADDRESSES).decode("ascii")
            width, end = (size + filler) // 3 * 4, "=" * filler + _MARK
            starts = range(0, len(letters), width)
            columns.append([letters[start : start + width - filler] + end for start in starts])
        return columns

    return make_all


def read(purpose: str, token: str, keys: Sequence[str]) -> int | None:
    """Return the number in a token that one of ``keys`` signed for ``purpose``; None for any other token.

    It takes the same time for every invalid token of the right form.
    """
    if not _TOKEN.fullmatch(token):
        return None
    octets = base64.urlsafe_b64decode(token.removesuffix(_MARK))[:_NUMBER_BYTES]
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(octets, _prover(purpose, key)(octets)), token)
    return int.from_bytes(octets) if is_genuine else None


def signing_key(keys: Sequence[str]) -> str:
    """Return the first key, which signs.

    :raises ValueError: if there is none.
    """
    if not keys:
        raise ValueError("there is no key to sign tokens with; set TOKEN_KEYS")
    return keys[0]


def proof_of_message(part: str, number: int, key: str) -> bytes:
    """Return the bytes of one of ``PARTS`` that prove a message number."""
    return prover(_IN_PARTS, key)(_octets(number))[PARTS[part]]


def proof_of_number(purpose: str, number: int, key: str) -> bytes:
    """Return 64 bytes that prove a number for a purpose of its own, outside of ``PARTS``.

    :raises ValueError: if the purpose is none of ``NUMBERS_OF``, or the number does not fit.
    """
    _check_purpose(purpose)
    return prover(purpose, key)(_octets(number))


def _check_purpose(purpose: str) -> None:
    if purpose not in NUMBERS_OF:
        raise ValueError(f"tokens have no purpose “{purpose}”; say in NUMBERS_OF what their numbers are of")


@functools.lru_cache(maxsize=64)
def prover(purpose: str, key: str) -> Callable[[bytes], bytes]:
    """Return BLAKE2b of 64 bytes with a key per purpose, so that a proof is valid for its purpose only.

    It proves texts. Numbers have :func:`make` and :func:`proof_of_number`.
    """
    begun = _begun(purpose, key)

    def prove(text: bytes) -> bytes:
        one = begun.copy()
        one.update(text)
        return one.digest()

    return prove


def prove_all(purpose: str, key: str, texts: Iterable[bytes]) -> list[bytes]:
    """Return what the :func:`prover` of a purpose returns for each of many texts."""
    begun, proofs = _begun(purpose, key), []
    for text in texts:
        one = begun.copy()
        one.update(text)
        proofs.append(one.digest())
    return proofs


@functools.lru_cache(maxsize=64)
def _begun(purpose: str, key: str) -> "hashlib.blake2b":
    """Return the keyed hash of a purpose, to be copied: preparing it costs as much as the rest."""
    if not key or not purpose:
        raise ValueError("a token needs a key and a purpose, and one of them is empty")
    of_site = hashlib.blake2b(key.encode()).digest()  # The longest key that BLAKE2b takes, however long this one is.
    of_purpose = hashlib.blake2b(purpose.encode(), key=of_site).digest()
    return hashlib.blake2b(key=of_purpose)


@functools.lru_cache(maxsize=64)
def _prover(purpose: str, key: str) -> Callable[[bytes], bytes]:
    """Return the function that proves a number's bytes in a token for ``purpose``."""
    part = PARTS.get(purpose)
    prove = prover(purpose if part is None else _IN_PARTS, key)
    part = part or slice(_PROOF_BYTES)
    return lambda octets: prove(octets)[part]


def _octets(number: int) -> bytes:
    if not 0 <= number < 2**63:
        raise ValueError(f"{number} cannot be put into a token; it takes 0 to 2^63 - 1")
    return number.to_bytes(_NUMBER_BYTES)


def _all_octets(numbers: Sequence[int]) -> list[bytes]:
    """Return :func:`_octets` of each of many numbers."""
    if numbers and (min(numbers) < 0 or max(numbers) >= 2**63):
        return list(map(_octets, numbers))  # Which names the one that does not fit.
    return [number.to_bytes(_NUMBER_BYTES) for number in numbers]


def _sign(octets: bytes, proof: bytes) -> str:
    return binascii.b2a_base64(octets + proof, newline=False).translate(_FOR_ADDRESSES).decode("ascii") + _MARK


_FOR_ADDRESSES = bytes.maketrans(b"+/", b"-_")
