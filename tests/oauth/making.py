"""Accounts for tests, at the scripted token server."""

from typing import Any

from oauth.models import OAuthAccount
from tests.peers import token_server as peer

FLOWS: dict[str, dict[str, Any]] = {
    "microsoft app": {"tenant": peer.TENANT, "client_id": peer.CLIENT_ID, "client_secret": peer.CLIENT_SECRET},
    "microsoft user": {"tenant": peer.TENANT, "client_id": peer.CLIENT_ID, "client_secret": peer.CLIENT_SECRET},
    "google service": {"client_id": peer.SERVICE_EMAIL},
    "google user": {"client_id": peer.CLIENT_ID, "client_secret": peer.CLIENT_SECRET},
    "postmaster service": {"client_id": peer.SERVICE_EMAIL},
    "postmaster user": {"client_id": peer.CLIENT_ID, "client_secret": peer.CLIENT_SECRET},
}


def make_account(flow: str = "microsoft app", server: peer.TokenServer | None = None, **values: Any) -> OAuthAccount:
    """Return an account; with the server, a person has signed in there already, if the flow needs it."""
    made = {"name": "Newsletter", "flow": flow, "mailbox": peer.MAILBOX, **FLOWS[flow]}
    if flow.endswith("service"):
        made["private_key"] = peer.key_pem()
    if server is not None and flow.startswith("postmaster"):
        server.scope = peer.POSTMASTER_SCOPE
    if server is not None and flow.endswith("user"):
        made["refresh_token"] = server.new_token("refresh")
    return OAuthAccount.objects.create(**(made | values))
