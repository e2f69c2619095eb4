"""The providers of OAuth: their flows, clouds, fixed hosts and scopes. Rules only: no Django, no socket.

Nobody can type a host: a secret or token goes to the hosts of this table and nowhere else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from words.texts import text as _

MICROSOFT, GOOGLE = "microsoft", "google"
# The values of a flow: how tokens are obtained, and from whom.
MICROSOFT_APP, MICROSOFT_USER = "microsoft app", "microsoft user"
GOOGLE_SERVICE, GOOGLE_USER = "google service", "google user"
# The same two ways, for the figures of Postmaster Tools instead of mail.
POSTMASTER_SERVICE, POSTMASTER_USER = "postmaster service", "postmaster user"
POSTMASTER_FLOWS = (POSTMASTER_SERVICE, POSTMASTER_USER)
MAIL_FLOWS = (MICROSOFT_APP, MICROSOFT_USER, GOOGLE_SERVICE, GOOGLE_USER)
POSTMASTER_HOST = "gmailpostmastertools.googleapis.com"
WORLDWIDE = "worldwide"


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud of Microsoft's: each has hosts of its own, and no token of one is valid in another."""

    name: str
    login_host: str
    resource: str  # The address that scopes of an app begin with.
    user_resource: str  # The same for scopes of a signed-in user.
    mail_hosts: frozenset[str]


CLOUDS = {
    WORLDWIDE: Cloud(
        _("Worldwide"),
        "login.microsoftonline.com",
        "https://outlook.office365.com",
        "https://outlook.office.com",
        frozenset(
            {"smtp.office365.com", "outlook.office365.com", "smtp-mail.outlook.com", "imap-mail.outlook.com"}
            | {"pop-mail.outlook.com", "smtp-hve.office365.com"}
        ),
    ),
    "us government": Cloud(
        _("US Government (GCC High)"),
        "login.microsoftonline.us",
        "https://outlook.office365.us",
        "https://outlook.office365.us",
        frozenset({"smtp.office365.us", "outlook.office365.us"}),
    ),
    "us defense": Cloud(
        _("US Department of Defense"),
        "login.microsoftonline.us",
        "https://outlook-dod.office365.us",
        "https://outlook-dod.office365.us",
        frozenset({"outlook-dod.office365.us"}),
    ),
    "china": Cloud(
        _("China (21Vianet)"),
        "login.partner.microsoftonline.cn",
        "https://partner.outlook.cn",
        "https://partner.outlook.cn",
        frozenset({"smtp.partner.outlook.cn", "partner.outlook.cn"}),
    ),
}
_GOOGLE_MAIL_HOSTS = frozenset({"smtp.gmail.com", "smtp-relay.gmail.com", "imap.gmail.com", "pop.gmail.com"})
_TENANT = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,252}[0-9A-Za-z])?")


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that decides whose mail an account's secrets open, and where they are sent."""

    flow: str
    cloud: str
    tenant: str
    client_id: str
    mailbox: str

    changed: ClassVar[str] = "The OAuth account changed: enter its secret again, or sign in again."


def provider_of(flow: str) -> str:
    return MICROSOFT if flow in (MICROSOFT_APP, MICROSOFT_USER) else GOOGLE


def needs_sign_in(flow: str) -> bool:
    """Tell whether a person signs in once, in a browser, at the provider."""
    return flow in (MICROSOFT_USER, GOOGLE_USER, POSTMASTER_USER)


def is_tenant(text: str) -> bool:
    """Tell whether a text can be a tenant of Microsoft's: a directory id, or a domain."""
    return _TENANT.fullmatch(text) is not None


def mail_hosts(flow: str, cloud: str) -> frozenset[str]:
    """Return the mail hosts that a token of the account may be sent to; none of an account that isn't for mail."""
    if flow in POSTMASTER_FLOWS:
        return frozenset()
    return CLOUDS[cloud].mail_hosts if provider_of(flow) == MICROSOFT else _GOOGLE_MAIL_HOSTS


def token_hosts(flow: str, cloud: str) -> frozenset[str]:
    """Return all hosts that a token of the account may be sent to."""
    return frozenset({POSTMASTER_HOST}) if flow in POSTMASTER_FLOWS else mail_hosts(flow, cloud)


def takes_tokens(host: str) -> bool:
    """Tell whether a mail server is one of those that tokens may be sent to, of any flow and cloud."""
    return host in _GOOGLE_MAIL_HOSTS or any(host in cloud.mail_hosts for cloud in CLOUDS.values())


def token_url(flow: str, cloud: str, tenant: str) -> str:
    if provider_of(flow) == MICROSOFT:
        return f"https://{CLOUDS[cloud].login_host}/{tenant}/oauth2/v2.0/token"
    return "https://oauth2.googleapis.com/token"


def scopes(flow: str, cloud: str) -> Sequence[str]:
    """Return the scopes to ask for: sending by SMTP and reading by IMAP and POP3, or reading Postmaster Tools.

    The scope of version 2 of Google's Postmaster Tools API is that of
    developers.google.com/workspace/gmail/postmaster/reference/rest/v2/domains/getComplianceStatus (April 2026).
    """
    if flow in POSTMASTER_FLOWS:
        return ["https://www.googleapis.com/auth/postmaster.traffic.readonly"]
    if flow == MICROSOFT_APP:
        return [f"{CLOUDS[cloud].resource}/.default"]
    if flow == MICROSOFT_USER:
        names = ("SMTP.Send", "IMAP.AccessAsUser.All", "POP.AccessAsUser.All")
        return [*(f"{CLOUDS[cloud].user_resource}/{name}" for name in names), "offline_access"]
    return ["https://mail.google.com/"]


def authorization_url(identity: Identity, redirect_uri: str, state: str, challenge: str) -> str:
    """Return the provider's page where a person signs in.

    :param challenge: of PKCE, by SHA-256 (RFC 7636).
    """
    query = {
        "response_type": "code",
        "client_id": identity.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes(identity.flow, identity.cloud)),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "login_hint": identity.mailbox,
    }
    if identity.flow == MICROSOFT_USER:
        base = f"https://{CLOUDS[identity.cloud].login_host}/{identity.tenant}/oauth2/v2.0/authorize"
    else:
        base = "https://accounts.google.com/o/oauth2/v2/auth"
        query |= {"access_type": "offline", "prompt": "consent"}  # Otherwise there is no refresh token.
    return f"{base}?{urlencode(query)}"
