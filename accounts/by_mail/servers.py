"""Which servers may carry mails that let somebody in: those that an administrator chose, else every real one."""

import json
from collections.abc import Collection

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificates
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import AccountServer, destination_of
from delivery.content.test_inbox import leads_to_test_inbox
from smtpservers.destinations import Security
from smtpservers.models import SECRETS, SmtpServer

STALE = gettext_lazy("It was changed since this page was opened. Check it again.")
NOT_CHOSEN = "No administrator chose this server for account mail, or it was changed since."


_ENCRYPTION = {
    Security.IMPLICIT: "TLS",
    Security.STARTTLS: "STARTTLS",
    Security.OPPORTUNISTIC: gettext_lazy("TLS optional"),
    Security.NEVER: gettext_lazy("No TLS"),
}


def allowed(servers: Collection[SmtpServer]) -> list[SmtpServer]:
    """Return the servers of these that may carry such a mail. The test inbox may not: a page shows what it gets."""
    chosen = dict(AccountServer.objects.values_list("server", "destination"))
    real = [server for server in servers if not leads_to_test_inbox(server)]
    return [server for server in real if not chosen or chosen.get(server.pk) == destination_of(server)]


def version_of(server: SmtpServer) -> str:
    """Return a digest of all that decides who gets the mail. A page shows the server, and sends this back."""
    decides = json.dumps([server.pk, destination_of(server)], sort_keys=True)
    return salted_hmac("accounts.by_mail.servers", decides, algorithm="sha256").hexdigest()


def is_version(shown: str, server: SmtpServer) -> bool:
    """Whether the server still is what a page showed."""
    return constant_time_compare(shown, version_of(server))


def named(server: SmtpServer) -> str:
    """Return the server's name with its address."""
    return _("%(server)s at %(address)s") % {"server": server.name, "address": f"{server.host}:{server.port}"}


def described(server: SmtpServer) -> SafeString:
    """Return what decides who gets the mail, beside the address; the secret only as set or not."""
    is_secret_set = any(getattr(server, name) for name in SECRETS)
    has_return_path = server.use_return_path and server.return_path
    facts = [
        (_("Encryption"), _ENCRYPTION[server.destination.security]),
        (_("Certificate"), _certificate(server.trusted_certificate)),
        (_("Provider"), server.get_preset_display() or _("Other / custom server")),
        (_("Username"), server.destination.username or _("None")),
        (_("Password or API key"), _("Set") if is_secret_set else _("None")),
        (_("OAuth account"), f"{account} ({account.mailbox})" if (account := server.oauth_account) else _("None")),
        (_("From"), server.mail_from),
        (_("Bounces"), server.return_path if has_return_path else _("To the From address")),
    ]
    lines = format_html_join("", "<span>{}: <span>{}</span></span>", facts)
    return format_html('<span class="server-facts">{}</span>', lines)


def _certificate(trusted: str) -> str:
    if not trusted:
        return _("Any from a public CA")
    try:
        found = load_pem_x509_certificates(trusted.encode())
    except ValueError:
        return _("Unreadable")
    return _("Only SHA-256 %(digests)s") % {"digests": ", ".join(each.fingerprint(SHA256()).hex() for each in found)}


CALLED = {
    "host": gettext_lazy("server"),
    "port": gettext_lazy("port"),
    "security": gettext_lazy("encryption"),
    "trusted_certificate": gettext_lazy("certificate"),
    "username": gettext_lazy("username"),
    "preset": gettext_lazy("provider"),
    "secret": gettext_lazy("password or API key"),
    "oauth_account": gettext_lazy("OAuth account"),
    "mail_from": gettext_lazy("From"),
    "return_path": gettext_lazy("return path"),
}


def changes(chosen: AccountServer) -> str:
    """Return what was changed since the server was chosen, in words; empty: nothing."""
    return ", ".join(str(CALLED[name]) for name in chosen.changed())


def uses(server_ids: Collection[int]) -> list[str]:
    """Return what of this room needs one of the servers, in words."""
    is_used = AccountServer.objects.filter(server__in=server_ids).exists()
    return [_("account mail, under Settings")] if is_used else []
