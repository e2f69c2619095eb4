"""Where a server's secrets may go: the host, port, encryption, certificate and user name that they were entered for.

Rules only: nothing here opens a secret or a connection.
"""

from dataclasses import dataclass
from enum import StrEnum

IMPLICIT_TLS_PORTS = frozenset({465, 2465, 8465, 443})


class Security(StrEnum):
    """When the connection is encrypted (RFC 8314 section 3)."""

    IMPLICIT = "implicit TLS"  # From the first byte.
    STARTTLS = "STARTTLS"  # Required: without it nothing is sent.
    OPPORTUNISTIC = "STARTTLS if offered"  # Else clear text, and then no credentials to a public host.
    NEVER = "clear text"  # Also where STARTTLS is offered, because it does not work there.


def security_of(port: int, use_tls: bool, never_tls: bool = False) -> Security:
    """Return the security that the port and the two switches stand for."""
    if not use_tls:
        return Security.NEVER if never_tls else Security.OPPORTUNISTIC
    return Security.IMPLICIT if port in IMPLICIT_TLS_PORTS else Security.STARTTLS


@dataclass(frozen=True, slots=True)
class Destination:
    """Everything that decides who can read a secret when it is sent."""

    host: str
    port: int
    security: Security
    trusted_certificate: str
    username: str  # As it is said to the server: the provider's own where the field is empty.
