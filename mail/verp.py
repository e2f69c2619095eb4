"""VERP: return paths that identify their message, as in ``bounces+tag@example.com``.

The address of ``List-Unsubscribe`` has such a tag too, as in ``unsub+tag@example.com`` (RFC 2369 section 3.2). A tag
contains a message number, the last six bits of the attempt number, and a proof that we wrote it for this purpose, in
letters that survive servers that fold case. The caller stores the keys and knows the meaning of the numbers.
"""

import base64
import hmac
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from mail.addresses import ADDRESS_OCTETS, LOCAL_OCTETS
from mail.tokens import PARTS, proof_of_message, signing_key

ATTEMPTS = 64
_NUMBER_BYTES = 5
MOST_MESSAGES = (1 << 8 * _NUMBER_BYTES) // ATTEMPTS - 1  # Seventeen thousand million.
_LETTERS = 24  # Five bytes of numbers and ten of proof. Another layout would have another length.
_TAG = re.compile(r"[a-z2-7]{24}")
_PART = "return path"
_UNSUBSCRIBE = "unsub"
_UNSUBSCRIBE_PART = "mailto unsubscribe"


class Tag(NamedTuple):
    """The content of a tag."""

    message: int
    attempt: int  # Modulo ``ATTEMPTS``; not proved: take one that the message never had for its last.


class Tagger(Protocol):
    """Tags the address of an attempt."""

    def __call__(self, message: int, attempt: int, proof: bytes = b"") -> str:
        """Return the address.

        :param proof: what :func:`mail.tokens.proofs_of_messages` returned for the message, if that was asked already.
        """


def tagged(address: str, message: int, attempt: int, keys: Sequence[str]) -> str:
    """Return ``address`` with the tag of an attempt; unchanged if it would become too long.

    :param message: 0 to 2^34 - 1.
    :param keys: the first one signs.
    """
    return tagger(address, keys)(message, attempt)


def tagger(address: str, keys: Sequence[str]) -> Tagger:
    """Return :func:`tagged` for one address, with the work that all messages share done in advance."""
    if not _has_room(address):
        return lambda message, attempt, proof=b"": address
    local, _, domain = address.rpartition("@")
    before, after, key = f"{local}+", f"@{domain}", signing_key(keys)
    return lambda message, attempt, proof=b"": before + _sign(message, attempt, key, _PART, proof) + after


def column_tagger(address: str) -> Callable[[Sequence[int], Sequence[int], Sequence[bytes]], list[str]]:
    """Return :func:`tagger` for many attempts at once: of their messages, their numbers, and the messages' proofs."""
    if not _has_room(address):
        return lambda messages, attempts, proofs: [address] * len(messages)
    local, _, domain = address.rpartition("@")
    before, after, part = f"{local}+", f"@{domain}", PARTS[_PART]

    def tag_all(messages: Sequence[int], attempts: Sequence[int], proofs: Sequence[bytes]) -> list[str]:
        numbers = [number * ATTEMPTS + attempt % ATTEMPTS for number, attempt in zip(messages, attempts, strict=True)]
        return [before + letters + after for letters in _all_letters(numbers, [proof[part] for proof in proofs])]

    return tag_all


def _has_room(address: str) -> bool:
    """Whether a tag fits into the address."""
    local, more = address.rpartition("@")[0], 1 + _LETTERS
    is_short = len(local.encode()) + more <= LOCAL_OCTETS and len(address.encode()) + more <= ADDRESS_OCTETS
    return is_short and not local.startswith('"')


def tags(keys: Sequence[str]) -> Callable[[int, int], str]:
    """Return a function from the numbers of a message and an attempt to the bare tag, for a header of its provider.

    :param keys: the first one signs.
    """
    key = signing_key(keys)
    return lambda message, attempt: _sign(message, attempt, key)


def tag_of(address: str, keys: Sequence[str]) -> Tag | None:
    """Return the tag in ``address``, in any case; None if it is not ours."""
    return _read(address, _PART, keys)


def unsubscribe_addresses(domain: str, keys: Sequence[str]) -> Callable[..., str]:
    """Return a function from a message to the address that unsubscribes its recipient.

    Its second argument is the ``proof`` of :class:`Tagger`, and can be left out.

    :param domain: the domain of the return path; mail to it reaches us.
    :param keys: the first one signs.
    """
    before, after, key = f"{_UNSUBSCRIBE}+", f"@{domain}", signing_key(keys)
    return lambda message, proof=b"": before + _sign(message, 0, key, _UNSUBSCRIBE_PART, proof) + after


def column_of_unsubscribe_addresses(domain: str) -> Callable[[Sequence[int], Sequence[bytes]], list[str]]:
    """Return :func:`unsubscribe_addresses` for many messages at once, with their proofs."""
    before, after, part = f"{_UNSUBSCRIBE}+", f"@{domain}", PARTS[_UNSUBSCRIBE_PART]

    def address_all(messages: Sequence[int], proofs: Sequence[bytes]) -> list[str]:
        numbers = [number * ATTEMPTS for number in messages]
        return [before + letters + after for letters in _all_letters(numbers, [proof[part] for proof in proofs])]

    return address_all


def message_to_unsubscribe(address: str, keys: Sequence[str]) -> int | None:
    """Return the message of an address that unsubscribes, in any case; None if the tag is not ours."""
    tag = _read(address, _UNSUBSCRIBE_PART, keys) if is_unsubscribe_address(address) else None
    return tag.message if tag else None


def is_unsubscribe_address(address: str) -> bool:
    """Whether an address has the form of one that unsubscribes, whoever made its tag."""
    name, _, letters = address.rpartition("@")[0].lower().partition("+")
    return name == _UNSUBSCRIBE and _TAG.fullmatch(letters) is not None


def letters_of(address: str) -> str:
    """Return the letters in an address that have the form of a tag, whoever made them; empty if there are none."""
    letters = address.rpartition("@")[0].rpartition("+")[2].lower()
    return letters if _TAG.fullmatch(letters) else ""


def _read(address: str, part: str, keys: Sequence[str]) -> Tag | None:
    letters = letters_of(address)
    if not letters:
        return None
    number = int.from_bytes(base64.b32decode(letters.upper())[:_NUMBER_BYTES])
    tag = Tag(*divmod(number, ATTEMPTS))
    is_genuine = False
    for key in keys:
        is_genuine |= hmac.compare_digest(_sign(*tag, key, part), letters)
    return tag if is_genuine else None


def _sign(message: int, attempt: int, key: str, part: str = _PART, proof: bytes = b"") -> str:
    number = message * ATTEMPTS + attempt % ATTEMPTS
    own = proof[PARTS[part]] if proof else proof_of_message(part, message, key)
    bits = int.from_bytes(number.to_bytes(_NUMBER_BYTES) + own)
    return (  # base64.b32encode takes twice as long.
        f"{_PAIRS[bits >> 110]}{_PAIRS[bits >> 100 & 1023]}{_PAIRS[bits >> 90 & 1023]}{_PAIRS[bits >> 80 & 1023]}"
        f"{_PAIRS[bits >> 70 & 1023]}{_PAIRS[bits >> 60 & 1023]}{_PAIRS[bits >> 50 & 1023]}{_PAIRS[bits >> 40 & 1023]}"
        f"{_PAIRS[bits >> 30 & 1023]}{_PAIRS[bits >> 20 & 1023]}{_PAIRS[bits >> 10 & 1023]}{_PAIRS[bits & 1023]}"
    )


def _all_letters(numbers: Sequence[int], proofs: Sequence[bytes]) -> list[str]:
    """Return the letters of many tags, each with its number and its proof: base32 of all of them at once."""
    pairs = zip(numbers, proofs, strict=True)
    octets = b"".join([number.to_bytes(_NUMBER_BYTES) + proof for number, proof in pairs])
    # Five bytes are eight letters: each five get eight bytes, and in three steps all halves of bits move apart at once,
    # until each byte has the five bits of its letter.
    spread = bytearray(len(octets) // 5 * 8)
    for place in range(5):
        spread[3 + place :: 8] = octets[place::5]
    bits = int.from_bytes(spread)
    for half, gap in ((20, 12), (10, 6), (5, 3)):
        size = (half + gap) // 4  # Bytes of both halves once they are apart.
        lower = int.from_bytes(((1 << half) - 1).to_bytes(size) * (len(spread) // size))
        bits = bits & lower | (bits & lower << half) << gap
    letters = bits.to_bytes(len(spread)).translate(_AS_LETTERS).decode("ascii")
    return [letters[start : start + _LETTERS] for start in range(0, len(letters), _LETTERS)]


_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_AS_LETTERS = _ALPHABET.encode().ljust(256)
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
