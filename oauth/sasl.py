"""The words of XOAUTH2 and OAUTHBEARER (RFC 7628), as SMTP, IMAP and POP3 carry them. No socket.

A refused token is answered with a challenge, a JSON text. The client has to answer it before the refusal itself comes:
XOAUTH2 with an empty line, OAUTHBEARER with :data:`ABORT`.
"""

import json
from dataclasses import dataclass

MECHANISMS = ("XOAUTH2", "OAUTHBEARER")
ABORT = b"\x01"  # In base64: AQ==.


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a provider says about a token that it refuses; texts of its own, for display."""

    status: str
    scope: str
    schemes: str

    def __str__(self) -> str:
        said = (("status", self.status), ("scope", self.scope), ("schemes", self.schemes))
        return ", ".join(f"{name} {value}" for name, value in said if value)


def initial_response(mechanism: str, user: str, token: str, *, host: str = "", port: int = 0) -> bytes:
    """Return the first response, before base64.

    :param host: of the server; only OAUTHBEARER names it.
    """
    if mechanism == "XOAUTH2":
        return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()
    name = user.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 section 4.
    return f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01".encode()


def last_response(mechanism: str) -> bytes:
    """Return the answer to the challenge of a refused token."""
    return b"" if mechanism == "XOAUTH2" else ABORT


def read_challenge(challenge: bytes) -> Challenge:
    """Return the parts of a challenge; empty ones for a text that is not what it should be."""
    try:
        said = json.loads(challenge[:4096])
    except (ValueError, RecursionError):
        said = None
    parts = said if isinstance(said, dict) else {}
    return Challenge(*(_line(parts.get(name)) for name in ("status", "scope", "schemes")))


def _line(value: object) -> str:
    words = " ".join(str(value).split()) if isinstance(value, str | int) else ""
    return "".join(character for character in words if character.isprintable())[:200]
