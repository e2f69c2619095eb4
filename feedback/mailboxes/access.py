"""Access to a mailbox: its server, the encryption, and a password or token that never shows itself."""

import base64
import ssl
from dataclasses import dataclass, field

from oauth import sasl


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

    def redacted(self, text: str) -> str:
        """Return the words of a server without password and token: some repeat what they refuse."""
        for secret in filter(None, (self.password, self.token)):
            login = f"\0{self.username}\0{secret}"
            bearer = sasl.initial_response("XOAUTH2", self.username, secret)
            coded = (base64.b64encode(each).decode() for each in (secret.encode(), login.encode(), bearer))
            quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
            for spelling in (secret, quoted, *coded):
                text = text.replace(spelling, "…")
        return text

    def context(self) -> ssl.SSLContext:
        """Return the TLS context: certificates are checked, and TLS is 1.2 or later."""
        context = ssl.create_default_context()
        if self.trusted_certificate:
            context.load_verify_locations(cadata=self.trusted_certificate)
        return context
