"""The secret address of a server's webhook: made, renewed, shown, and found again by a post."""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from encryption.secret_field import Secret
from feedback.models import Hook
from feedback.webhooks.adapters import adapter_of
from smtpservers.models import SmtpServer

_SECRET_BYTES = 24  # 32 characters of base64.


@dataclass(frozen=True, slots=True)
class Addressee:
    """What a post needs of the webhook that it is addressed to."""

    hook_id: int
    server_id: int
    preset: str
    keys: Secret
    last_event_at: dt.datetime | None
    last_problem_at: dt.datetime | None


def renew(server: SmtpServer, now: dt.datetime) -> Hook:
    """Give a server's webhook a new address, its first one too. The one before still works for a week."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    new = {"secret": secret, "digest": digest_of(secret)}
    with transaction.atomic():
        # Two people may press the button at once: the second one replaces the address of the first.
        hook, is_first = Hook.objects.select_for_update().get_or_create(server=server, defaults=new)
        if not is_first:
            hook.previous_digest, hook.previous_until = hook.digest, now + Hook.OLD_LASTS
            hook.secret, hook.digest = new["secret"], new["digest"]
            hook.save()
    return hook


def url_of(hook: Hook) -> str:
    """Return the whole address, secret and all: only for people who may change the server.

    :raises SecretUnreadable: if no key opens it.
    """
    return url(hook.server, hook.secret.reveal(hook.destination))


def url(server: SmtpServer, secret: str) -> str:
    """Return the address of a server's webhook with this secret."""
    return f"{settings.BASE_URL}/hooks/{adapter_of(server.preset).key}/{secret}"


def find(provider: str, secret: str, now: dt.datetime) -> Addressee | None:
    """Return the webhook of an address, or of one that was replaced within the last week."""
    digest = digest_of(secret)
    found = _first(digest=digest) or _first(previous_digest=digest, previous_until__gt=now)
    return found if found is not None and adapter_of(found.preset).key == provider else None


def _first(**conditions: object) -> Addressee | None:
    # As values: providers post hundreds of times a second, and instances of both models take three times as long.
    columns = ("pk", "server_id", "server__preset", "keys", "last_event_at", "last_problem_at")
    row = Hook.objects.filter(**conditions).values_list(*columns).first()
    return Addressee(*row) if row else None


def digest_of(secret: str) -> str:
    """Return what is stored of a secret that has to be found again."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
