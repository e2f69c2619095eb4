"""Access to a mailbox: its server, the encryption, and a password or token that never shows itself."""

import json
import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that a session needs to begin."""

    host: str
    port: int
    is_implicit_tls: bool  # TLS from the first byte; otherwise STARTTLS is required.
    trusted_certificate: str  # PEM, beside the usual authorities; empty: these alone.
    username: str
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)  # For XOAUTH2, instead of a password.

    def context(self) -> ssl.SSLContext:
        """Return the TLS context: certificates are checked, and TLS is 1.2 or later."""
        context = ssl.create_default_context()
        if self.trusted_certificate:
            context.load_verify_locations(cadata=self.trusted_certificate)
        return context

    def bearer(self, mechanism: str) -> str:
        """Return the first message of XOAUTH2 or OAUTHBEARER (RFC 7628 section 3.1), before base64."""
        if mechanism == "OAUTHBEARER":
            name = self.username.replace("=", "=3D").replace(",", "=2C")
            return f"n,a={name},\1auth=Bearer {self.token}\1\1"
        return f"user={self.username}\1auth=Bearer {self.token}\1\1"


def refusal_of_token(challenge: bytes) -> str:
    """Return what a server says of a refused token: its JSON's status and scope, or nothing."""
    try:
        told = json.loads(challenge[:2000])
        words = {str(name): str(told[name]) for name in ("status", "scope") if told.get(name)}
    except (ValueError, AttributeError, RecursionError):
        return ""
    return ", ".join(f"{name} {value[:80]}" for name, value in words.items())
