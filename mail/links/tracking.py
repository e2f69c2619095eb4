"""Tokens of pixels and counted links: each proves a message or a mailing's way through a server, and nothing else.

A link is a token and the code of a stored target. It contains no URL, no address and no id of a person, so that there
is no open redirect, and nothing to read for whoever sees the link. The caller stores the targets.
"""

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

import idna

from mail import tokens

CLICKS, OPENS = "/c/", "/o/"  # Where links and pixels lead: a link without a suffix, a pixel with one.
PIXEL_SUFFIX = ".gif"
CODE_LETTERS = 8  # 40 bits: targets cannot be found by trying.

Kind = Literal["m", "g"]
MESSAGE: Kind = "m"  # Personal: the number of a message.
GROUP: Kind = "g"  # Anonymous: the number of a TrackedMailing, the same for everybody.

_PURPOSES = {MESSAGE: "tracking", GROUP: "tracked mailing"}
_PROOF_BYTES = 12  # 96 bits. With the number's 8 bytes they are 27 letters of base64.
_NUMBER_LETTERS = 27
TOKEN_LETTERS = 1 + _NUMBER_LETTERS
_TOKEN = re.compile(rf"[mg][A-Za-z0-9_-]{{{_NUMBER_LETTERS}}}")
_CODE_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_CODE = re.compile(rf"[{_CODE_ALPHABET}]{{{CODE_LETTERS}}}")


@dataclass(frozen=True, slots=True)
class Token:
    """Who a genuine token stands for."""

    kind: Kind
    number: int  # Of a message (``m``) or a TrackedMailing (``g``).


def message_token(signed: str) -> str:
    """Return the personal token made of what :func:`mail.tokens.maker_of_several` signed for ``tracking``.

    So that one hash of the message's number makes all tokens of a message.
    """
    return MESSAGE + signed[:_NUMBER_LETTERS]


def token_of_message(number: int, keys: Sequence[str]) -> str:
    """Return the personal token of one message."""
    return message_token(tokens.maker_of_several([_PURPOSES[MESSAGE]], keys)(number)[0])


def token_of_group(number: int, keys: Sequence[str]) -> str:
    """Return the anonymous token of a TrackedMailing."""
    return GROUP + _letters(number, _prove(GROUP, number, tokens.signing_key(keys)))


def new_code() -> str:
    """Return a random code for a new target."""
    return "".join(secrets.choice(_CODE_ALPHABET) for _ in range(CODE_LETTERS))


def read(text: str, keys: Sequence[str]) -> Token | None:
    """Return what a token stands for, if one of ``keys`` signed it; None for any other text.

    It takes the same time for every wrong token of the right form.
    """
    if not _TOKEN.fullmatch(text):
        return None
    kind: Kind = MESSAGE if text[0] == MESSAGE else GROUP
    number = int.from_bytes(base64.urlsafe_b64decode(text[1:] + "=")[:8])
    if number >= 2**63:
        return None
    is_genuine = False
    for key in keys:
        # The letters are compared, not the bytes: the last letter has two bits to spare, and one spelling is genuine.
        is_genuine |= hmac.compare_digest(_letters(number, _prove(kind, number, key)), text[1:])
    return Token(kind, number) if is_genuine else None


def read_link(text: str, keys: Sequence[str]) -> tuple[Token, str] | None:
    """Return the token and the target's code of a link's path behind ``CLICKS``; None for any other text."""
    code = text[TOKEN_LETTERS:]
    if not _CODE.fullmatch(code) or (token := read(text[:TOKEN_LETTERS], keys)) is None:
        return None
    return token, code


def read_pixel(text: str, keys: Sequence[str]) -> Token | None:
    """Return the token of a pixel's path behind ``OPENS``; None for any other text."""
    return read(text.removesuffix(PIXEL_SUFFIX), keys) if text.endswith(PIXEL_SUFFIX) else None


def location(url: str) -> str:
    """Return a target as the value of a Location header: as it is if it is ASCII without a space, as nearly all are.

    Otherwise the host is spelled by IDNA and the rest percent-encoded, as a browser that follows the link does (WHATWG
    URL 4.4): bytes beyond ASCII in a header are read in different charsets.
    """
    if url.isascii() and " " not in url:
        return url
    parts = urlsplit(url)
    start = url.index("//") + 2
    end = start + len(parts.netloc)
    before, at, host = url[start:end].rpartition("@")
    name, colon, port = host.partition(":")
    try:
        name = idna.encode(name, uts46=True).decode("ascii") if not name.isascii() else name
    except idna.IDNAError:
        name = quote(name)
    return url[:start] + _beyond_ascii(before) + at + name + colon + port + _beyond_ascii(url[end:])


def _beyond_ascii(text: str) -> str:
    return quote(text, safe=_ASCII)


def _prove(kind: Kind, number: int, key: str) -> bytes:
    if kind == MESSAGE:
        return tokens.proof_of_message(_PURPOSES[MESSAGE], number, key)
    return tokens.prover(_PURPOSES[GROUP], key)(number.to_bytes(8))[:_PROOF_BYTES]


def _letters(number: int, proof: bytes) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(8) + proof).decode("ascii").rstrip("=")


_ASCII = "".join(map(chr, range(0x21, 0x7F)))
