"""The destination of a server's secrets: host, port, encryption, trusted certificate and user name.

Rules only: nothing here opens a secret or a connection.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

IMPLICIT_TLS_PORTS = frozenset({465, 2465, 8465, 443})


class Security(StrEnum):
    """The encryption of a connection (RFC 8314 section 3)."""

    IMPLICIT = "implicit TLS"  # From the first byte.
    STARTTLS = "STARTTLS"  # Required: nothing is sent without it.
    OPPORTUNISTIC = "STARTTLS if offered"  # Otherwise clear text, and no credentials to a public host.
    NEVER = "clear text"  # Not even if STARTTLS is offered, because it does not work there.


def security_of(port: int, use_tls: bool, never_tls: bool = False) -> Security:
    """Return the security that results from the port and the two switches."""
    if not use_tls:
        return Security.NEVER if never_tls else Security.OPPORTUNISTIC
    return Security.IMPLICIT if port in IMPLICIT_TLS_PORTS else Security.STARTTLS


@dataclass(frozen=True, slots=True)
class Destination:
    """Everything that decides who can read a secret when it is sent."""

    changed: ClassVar[str] = (
        "The server changed: enter the password again. The stored password or API key was entered for another"
        " host, port, encryption, trusted certificate or user name, and goes nowhere else."
    )

    host: str
    port: int
    security: Security
    trusted_certificate: str
    username: str  # As sent to the server: the provider's constant if the field is empty.
