"""Access to a mailbox: its server, the encryption, and a password or token that never shows itself."""

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
