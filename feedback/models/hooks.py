"""The tables of webhooks: the address that a server's provider posts to, and the tokens that were used there."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from encryption.secret_field import SecretField
from smtpservers.models import SmtpServer


@dataclass(frozen=True, slots=True)
class HookDestination:
    """What the secrets of a webhook are for: one server's own address."""

    changed: ClassVar[str] = "The keys of this webhook belong to another server: enter them again."

    server: int


class Hook(models.Model):
    """The webhook of a server: its secret address, and what proves that a post comes from the provider.

    The address is found by a digest of its secret, so that neither the time it takes nor the database tells a secret.
    """

    OLD_LASTS = dt.timedelta(days=7)  # How long the address before a new one still works.

    server = models.OneToOneField(SmtpServer, on_delete=models.CASCADE, related_name="hook")
    secret = SecretField(_("secret"))  # Shown to whoever may change the server.
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the secret.
    previous_digest = models.CharField(max_length=64, blank=True, default="", db_index=True)
    previous_until = models.DateTimeField(null=True)
    keys = SecretField(_("keys"), blank=True)  # JSON: provider, and the values of its fields by name.
    last_event_at = models.DateTimeField(null=True)  # Of the last proved post, to about ten seconds.
    last_problem = models.CharField(max_length=300, blank=True, default="")  # Why the last unproved post is none.
    last_problem_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Webhook of {self.server}"

    @property
    def destination(self) -> HookDestination:
        return HookDestination(self.server_id)


class HookToken(models.Model):
    """A token that a provider signed a post with. It proves no second one."""

    KEPT_FOR = dt.timedelta(days=1)  # Signatures are refused after minutes.

    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)  # SHA-256 of the token.
    used_at = models.DateTimeField(db_index=True)  # For the end of its day.

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["hook", "digest"], name="one_use_of_a_token")]

    def __str__(self) -> str:
        return f"Token {self.pk}"
