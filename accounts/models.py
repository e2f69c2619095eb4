"""What is stored beside Django's users: time zones, sessions, notices, identities at the issuer, one-time links."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from delivery.models import Mailing
from encryption.keys import SecretUnreadable
from smtpservers.models import SECRETS, SmtpServer


class Profile(models.Model):
    """What a user chose beside the fields that Django's users have."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    time_zone = models.CharField(max_length=64, blank=True)  # Of the times on the user's pages; empty: the site's.

    hides_set_up = models.BooleanField(default=False)  # Whether Home leaves out the steps of the first run.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"what {self.user} chose"


class Identity(models.Model):
    """A user at an issuer of single sign-on. E-mail addresses change hands there; a subject never does."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)  # The longest one (OpenID Connect Core 1.0 section 2).

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_unique")]

    def __str__(self) -> str:
        return f"{self.user} at {self.issuer}"


class SignInLink(models.Model):
    """A link that signs one user in once. The token itself is not stored."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the token, in hex.
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"a link for {self.user}"


class ResetRequest(models.Model):
    """An address typed into *Forgot your password?*, until a worker has looked whether somebody has it.

    The page does the same for every address, so that its answer and its timing tell nothing.
    """

    email = models.CharField(max_length=254)
    asked_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return "a request for a link"


class Invitation(models.Model):
    """Somebody who is to become a user: a link in a mail lets them choose name and password, once."""

    first_name = models.CharField(_("first name"), max_length=150, blank=True)
    last_name = models.CharField(_("last name"), max_length=150, blank=True)
    email = models.EmailField(_("email"), unique=True, help_text=_("Gets the link. It works once, for 7 days."))
    role = models.ForeignKey(Group, models.CASCADE, verbose_name=_("role"), related_name="+")
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("invited by"), related_name="+", editable=False
    )
    invited_at = models.DateTimeField(_("invited"), editable=False)
    round = models.PositiveIntegerField(default=1, editable=False)  # Sent again: links of earlier rounds are void.

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        default_permissions = ("add", "delete", "view")

    def __str__(self) -> str:
        return self.email


class AccountMail(models.Model):
    """A mail with a link that lets its user or invitee choose a password. The link itself is stored nowhere."""

    mailing = models.OneToOneField(Mailing, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    invitation = models.ForeignKey(Invitation, models.CASCADE, null=True, related_name="+")
    asked_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user=None) ^ models.Q(invitation=None), name="account_mail_of_one"
            )
        ]

    def __str__(self) -> str:
        return f"a link for {self.user or self.invitation}"


class AccountServer(models.Model):
    """A server that may carry mails with such a link. Without any row, every server may.

    It may as long as all that decides who gets the mail and its bounces is as an administrator chose it: whoever may
    edit servers cannot move it.
    """

    # No deletion takes the row along: without its last row the table would let every server in. The page of servers
    # says what keeps one, and the database refuses in any case.
    server = models.OneToOneField(SmtpServer, models.DO_NOTHING, verbose_name=_("server"), related_name="+")
    destination = models.JSONField(editable=False)

    class Meta:
        verbose_name = _("server for account mail")
        verbose_name_plural = _("servers for account mail")
        default_permissions = ("add", "delete", "view")

    def __str__(self) -> str:
        return str(self.server)

    @property
    def holds(self) -> bool:
        """Whether the server still leads where it led when it was chosen."""
        return not self.changed()

    def changed(self) -> list[str]:
        """Return the names in :func:`destination_of` of what was changed since."""
        now = destination_of(self.server)
        return [name for name in now if self.destination.get(name) != now[name]]


def destination_of(server: SmtpServer) -> dict[str, Any]:
    """Return what decides who can read the mail that goes through a server, or a bounce of it.

    The secret is part of it: where all customers of a provider share a username, it alone says whose account it is.
    """
    has_return_path = server.use_return_path and server.return_path
    return {
        **asdict(server.destination),
        "preset": server.preset,
        "secret": _digest_of_secrets(server),
        "oauth_account": asdict(server.oauth_account.destination) if server.oauth_account else None,
        "mail_from": server.mail_from,
        "return_path": [server.return_path, server.use_verp] if has_return_path else [],
    }


def _digest_of_secrets(server: SmtpServer) -> str:
    """Return a keyed digest of password and API key, from which neither can be told; empty if no key opens them.

    Its key is ``SECRET_KEY``, so that it survives encrypting the secrets with another key.
    """
    try:
        secrets = [getattr(server, name).reveal(server.destination) for name in SECRETS]
    except SecretUnreadable:
        return ""
    return salted_hmac("accounts.account_server", json.dumps([server.pk, *secrets]), algorithm="sha256").hexdigest()


class UserSession(AbstractBaseSession):
    """A session of Django's, findable by its user. Deleting the row ends it, in all processes at once."""

    # For the list of a user's sessions and for ending them. Empty before the sign-in.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, editable=False, related_name="+")

    class Meta(AbstractBaseSession.Meta):
        abstract = False
        default_permissions = ()  # No role gives the right to another's session.

    def __str__(self) -> str:
        return "A session"  # Django's text is the key, which Django's pages show before a user is deleted.


class SignInNotice(models.Model):
    """Something that somebody else did to a user's sign-in, until the user has read it."""

    class Kind(models.TextChoices):
        PASSWORD_SET = "password set", _("Someone else set your password. Choose one that only you know.")
        SESSIONS_ENDED = "sessions ended", _("An administrator logged you out everywhere.")
        FACTORS_RESET = "factors reset", _("An administrator reset your second factors. Set them up again.")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind.choices)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="each_notice_once")]

    def __str__(self) -> str:
        return self.get_kind_display()
