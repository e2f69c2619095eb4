"""The table of OAuth accounts: who signs in at which provider, and the tokens of the moment."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from encryption.secret_field import SecretField
from oauth.client import providers
from oauth.client.providers import Identity

SECRETS = ("client_secret", "private_key")  # That people enter.
TOKENS = ("refresh_token", "access_token")  # That the provider gives.
# Written by the system; such a change is no edit and is left out of the history.
STATE = ("expires_at", "renewing_until", "renewed_at", "retry_at", "failures", "state", "state_since", "last_error")


class OAuthAccount(models.Model):
    """An account at a mail provider that servers and mailboxes sign in with, by tokens instead of a password."""

    class Flow(models.TextChoices):
        """How tokens are obtained, and from whom."""

        MICROSOFT_APP = providers.MICROSOFT_APP, _("Microsoft 365, app-only (recommended)")
        MICROSOFT_USER = providers.MICROSOFT_USER, _("Microsoft 365 or Outlook.com, signed in by a person")
        GOOGLE_SERVICE = providers.GOOGLE_SERVICE, _("Google Workspace, service account (recommended)")
        GOOGLE_USER = providers.GOOGLE_USER, _("Google, signed in by a person")
        POSTMASTER_USER = providers.POSTMASTER_USER, _("Gmail Postmaster Tools, signed in by a person")
        POSTMASTER_SERVICE = providers.POSTMASTER_SERVICE, _("Gmail Postmaster Tools, service account")

    class State(models.TextChoices):
        NEW = "new", _("Not connected")  # No token was ever obtained with these settings.
        OK = "ok", _("OK")
        TROUBLE = "trouble", _("Trouble")  # The provider can't be reached; tried again without anybody's help.
        REFUSED = "refused", _("Sign in again")  # The provider refused: it stays so until a person acts.

    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        error_messages={"unique": _("Another account already has this name. Choose a different one.")},
        help_text=_("Shown where you choose the account, e.g. “Newsletter mailbox”."),
    )
    flow = models.CharField(_("provider"), max_length=20, choices=Flow)
    cloud = models.CharField(
        _("cloud"),
        max_length=20,
        choices=[(key, cloud.name) for key, cloud in providers.CLOUDS.items()],
        default=providers.WORLDWIDE,
        help_text=_("Change it only if your tenant is in a national cloud."),
    )
    tenant = models.CharField(
        _("tenant"),
        max_length=254,
        blank=True,
        help_text=_("Directory (tenant) ID or domain, e.g. contoso.onmicrosoft.com."),
    )
    client_id = models.CharField(_("client ID"), max_length=254)
    client_secret = SecretField(_("client secret"), blank=True)
    certificate = models.TextField(_("certificate"), max_length=20_000, blank=True)
    private_key = SecretField(_("private key"), blank=True)
    mailbox = models.CharField(
        _("mailbox"), max_length=254, help_text=_("Address of the mailbox that sends or is read.")
    )

    # --- the system's state
    refresh_token = SecretField(editable=False)
    access_token = SecretField(editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)  # Of the access token.
    renewing_until = models.DateTimeField(null=True, editable=False)  # Until then one process alone asks for tokens.
    renewed_at = models.DateTimeField(null=True, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)  # No process asks before.
    failures = models.PositiveIntegerField(default=0, editable=False)  # Consecutive ones, since the last token.
    state = models.CharField(max_length=10, choices=State, default=State.NEW, editable=False)
    state_since = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)  # For people; without secrets.
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    history = HistoricalRecords(excluded_fields=[*SECRETS, *TOKENS, *STATE])

    class Meta:
        ordering = ["name"]
        verbose_name = _("OAuth account")
        verbose_name_plural = _("OAuth accounts")

    def __str__(self) -> str:
        return self.name

    @property
    def destination(self) -> Identity:
        """Whose mail the secrets of this row open, as it is now."""
        return Identity(self.flow, self.cloud, self.tenant, self.client_id, self.mailbox)

    @classmethod
    def for_mail(cls) -> "models.QuerySet[OAuthAccount]":
        """Return the accounts that servers and mailboxes can use."""
        return cls.objects.filter(flow__in=providers.MAIL_FLOWS)

    @property
    def is_for_mail(self) -> bool:
        """Whether servers and mailboxes can use it."""
        return self.flow in providers.MAIL_FLOWS

    @property
    def needs_sign_in(self) -> bool:
        """Whether a person has to sign in at the provider."""
        return providers.needs_sign_in(self.flow)
