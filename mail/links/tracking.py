"""Tokens of pixels and counted links: each proves a message or a mailing's way through a server, and nothing else.

A link is a token and the code of a stored target. It contains no URL, no address and no id of a person, so that there
is no open redirect, and nothing to read for whoever sees the link. The caller stores the targets.
"""

import base64
import hmac
import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import idna

from mail import tokens
from mail.links.utm import MOST_URL

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


def location(url: str) -> str | None:
    """Return a target as the value of a Location header; None if no redirect can lead there as the link would.

    What is None is not counted. Nearly all targets stay as they are. In the others the host is spelled by IDNA and the
    rest percent-encoded, as a browser that follows the link does (WHATWG URL 4.4): a header has no room for spaces, and
    bytes beyond ASCII in it are read in different charsets.
    """
    if len(url) > MOST_URL or (parts := _WEB_ADDRESS.fullmatch(url)) is None:
        return None
    name, port = parts["name"], parts["port"]
    if (port and int(port) > _MOST_PORT) or (name[0] == "[" and not _is_ipv6(name[1:-1])):
        return None
    if url.isascii() and " " not in url:
        return url
    try:
        host = idna.encode(name, uts46=True).decode("ascii") if not name.isascii() else name
    except idna.IDNAError:
        host = _encoded(name)  # A browser may know better, as for a host of emoji.
    found = _encoded(url[: parts.start("name")]) + host + _encoded(url[parts.end("name") :])
    return found if len(found) <= MOST_URL else None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _encoded(text: str) -> str:
    return quote(text, safe=_ASCII)


def _prove(kind: Kind, number: int, key: str) -> bytes:
    if kind == MESSAGE:
        return tokens.proof_of_message(_PURPOSES[MESSAGE], number, key)
    return tokens.proof_of_number(_PURPOSES[GROUP], number, key)[:_PROOF_BYTES]


def _letters(number: int, proof: bytes) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(8) + proof).decode("ascii").rstrip("=")


_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_MOST_PORT = 65_535
# No control and no half of a character anywhere, no space or delimiter in the host, and a port of digits. Browsers
# read a backslash as a slash.
_ANY = r"\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff"
_WEB_ADDRESS = re.compile(
    rf"https?://(?:[^/\\?#\x00-\x1f\x7f\ud800-\udfff]*@)?"
    rf"(?P<name>\[[0-9a-f:.]+\]|[^\x00-\x20\x7f\ud800-\udfff/\\?#@:<>\[\]^|]+)"
    rf"(?::0*(?P<port>[0-9]{{0,5}}))?(?:[/\\?#][{_ANY}]*)?",
    re.IGNORECASE,
)
