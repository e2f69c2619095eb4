"""SMTP AUTH: choice of the mechanism, and its exchange (RFC 4954). No socket, no clock.

Names and passwords are sent as UTF-8. Only SCRAM prepares them (SASLprep, RFC 4013), since both sides compute with
them; for the other mechanisms that is the server's task (RFC 4616 section 2).
"""

import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from collections.abc import Generator

from oauth import sasl
from words.texts import text as _

# Best first: SCRAM authenticates both sides and never sends the password; CRAM-MD5 does not send it either.
PREFERRED = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN")
_SCRAM_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
# Fewer rounds would let an eavesdropper guess the password too fast (RFC 7677 section 4); more only cost time.
_SCRAM_ROUNDS = range(4096, 1_000_001)
LINE_CHARACTERS = 510  # A command without its CRLF (RFC 5321 section 4.5.3.1.4).

Exchange = Generator[str, str, None]


class SignInBroken(ValueError):
    """The exchange cannot continue; the text says why. Either the server is at fault, or no mechanism can carry the
    password.
    """


def usable_mechanisms(offered: frozenset[str], *, with_token: bool = False) -> tuple[str, ...]:
    """Return the mechanisms that both sides know, best first.

    :param with_token: whether the secret is a token of an OAuth account, which only its own mechanisms carry.
    """
    return tuple(name for name in (sasl.MECHANISMS if with_token else PREFERRED) if name in offered)


def exchange(
    mechanism: str, username: str, password: str, *, nonce: str = "", host: str = "", port: int = 0
) -> Exchange:
    """Yield the lines to send; the generator is sent each challenge of the server (base64, without the 334).

    The first line is the AUTH command itself.

    :param password: the password, or the token of an OAuth account.
    :param nonce: for SCRAM; empty: a new random one. Printable ASCII without a comma.
    :param host: the server's, for OAUTHBEARER; likewise ``port``.
    :raises SignInBroken: for an invalid challenge, a server that does not know the password itself, or a password that
        the mechanism cannot carry.
    """
    if mechanism in _SCRAM_HASHES:
        yield from _scram(mechanism, username, password, nonce or secrets.token_urlsafe(24))
    elif mechanism in sasl.MECHANISMS:
        yield from _begin(mechanism, sasl.initial_response(mechanism, username, password, host=host, port=port))
        yield _base64(sasl.last_response(mechanism))  # The token is refused: only then does the server ask on.
    elif mechanism == "PLAIN":
        yield from _begin(mechanism, f"\0{username}\0{password}".encode())
    elif mechanism == "LOGIN":
        yield "AUTH LOGIN"
        yield _base64(username.encode())
        yield _base64(password.encode())
    elif mechanism == "CRAM-MD5":
        challenge = yield "AUTH CRAM-MD5"
        digest = hmac.new(password.encode(), _unbase64(challenge), "md5").hexdigest()
        yield _base64(f"{username} {digest}".encode())
    else:
        raise ValueError(f"unknown mechanism {mechanism}")


def _begin(mechanism: str, words: bytes) -> Generator[str, str, str]:
    """Yield the initial response with the command or, if that line would be too long, after it (RFC 4954 section 4)."""
    line = f"AUTH {mechanism} {_base64(words)}"
    if len(line) <= LINE_CHARACTERS:
        return (yield line)
    yield f"AUTH {mechanism}"
    return (yield _base64(words))


def proves_server(mechanism: str) -> bool:
    """Tell whether the server must prove itself: it may be trusted only after the last line to send, an empty one."""
    return mechanism in _SCRAM_HASHES


# SCRAM (RFC 5802, RFC 7677), without channel binding


def _scram(mechanism: str, username: str, password: str, nonce: str) -> Exchange:
    algorithm = _SCRAM_HASHES[mechanism]
    name = saslprep(username).replace("=", "=3D").replace(",", "=2C")
    secret = saslprep(password).encode()
    opening = f"n={name},r={nonce}"
    challenge = _text(_unbase64((yield from _begin(mechanism, f"n,,{opening}".encode()))))
    given = _attributes(challenge)
    if not given.get("r", "").startswith(nonce) or given["r"] == nonce:
        raise SignInBroken(
            _("the server's answer to %(mechanism)s does not belong to our question", mechanism=mechanism)
        )
    salted = hashlib.pbkdf2_hmac(algorithm, secret, _unbase64(given.get("s", "")), _rounds(given))
    closing = f"c=biws,r={given['r']}"
    signed = f"{opening},{challenge},{closing}".encode()
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    signature = hmac.digest(hashlib.new(algorithm, client_key).digest(), signed, algorithm)
    proof = bytes(ours ^ theirs for ours, theirs in zip(client_key, signature, strict=True))
    last = _text(_unbase64((yield _base64(f"{closing},p={_base64(proof)}".encode()))))
    expected = hmac.digest(hmac.digest(salted, b"Server Key", algorithm), signed, algorithm)
    shown = _attributes(last)
    if "e" in shown:
        raise SignInBroken(_("the server refused the sign-in: %(said)s", said=shown["e"][:100]))
    if not hmac.compare_digest(_unbase64(shown.get("v", "")), expected):
        raise SignInBroken(_("the server could not prove that it knows the password; somebody may be tampering"))
    yield ""


def _rounds(given: dict[str, str]) -> int:
    digits = given.get("i", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 7 and int(digits) in _SCRAM_ROUNDS):
        raise SignInBroken(
            _("the server asks for %(n)s rounds of SCRAM, which is not reasonable", n=digits[:20] or _("no"))
        )
    return int(digits)


def _attributes(message: str) -> dict[str, str]:
    parts = dict(part.split("=", 1) for part in message.split(",") if "=" in part)
    if "m" in parts:  # A mandatory extension (RFC 5802 section 5.1).
        raise SignInBroken(_("the server asks for an extension of SCRAM that we do not know"))
    return parts


def saslprep(text: str) -> str:
    """Return a user name or password in the form that both sides compute with (RFC 4013).

    Letters newer than Unicode 3.2 pass unchanged: the text is a query, not a stored string.

    :raises SignInBroken: for prohibited characters.
    """
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(is_in(character) for is_in in _PROHIBITED for character in prepared):
        raise SignInBroken(_("the user name or password holds a character that SCRAM does not allow"))
    if any(map(stringprep.in_table_d1, prepared)) and (
        any(map(stringprep.in_table_d2, prepared))
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        raise SignInBroken(_("the user name or password mixes directions of writing, which SCRAM does not allow"))
    return prepared


_PROHIBITED = (
    *(stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4),
    *(stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8),
    stringprep.in_table_c9,
)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise SignInBroken(_("the server's challenge cannot be read")) from None


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise SignInBroken(_("the server's challenge cannot be read")) from None
