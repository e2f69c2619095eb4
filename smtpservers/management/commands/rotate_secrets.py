"""``manage.py rotate_secrets``: encrypts every stored secret with the first key, so that older keys can be removed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from smtpservers.models import SECRETS, SmtpServer
from smtpservers.secret_field import OTHER_SECRETS, Secret, SecretUnreadable


class Command(BaseCommand):
    help = (
        "Encrypts the passwords and API keys of all servers, and the secrets of authenticator apps, under the first key"
        " of FIELD_ENCRYPTION_KEYS."
        " Put the new key in front of the old one, restart everything, run this, and then take the old key away."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotated, unreadable = self._servers()
        for rotate in OTHER_SECRETS.values():
            more, closed = rotate()
            rotated, unreadable = rotated + more, unreadable + closed
        self.stdout.write(f"{rotated} secret{'' if rotated == 1 else 's'} encrypted under the first key.")
        if unreadable:
            raise CommandError(
                f"None of the keys opens these: {', '.join(unreadable)}. Add the key that encrypted them to"
                " FIELD_ENCRYPTION_KEYS, or enter them again. Keep all older keys until then."
            )

    def _servers(self) -> tuple[int, list[str]]:
        rotated = 0
        unreadable = []
        for server in SmtpServer.objects.iterator():
            for name in SECRETS:
                old: Secret = getattr(server, name)
                if not old:
                    continue
                try:
                    new = old.resealed()
                except SecretUnreadable:
                    unreadable.append(f"{server.name} ({name.replace('_', ' ')})")
                    continue
                # Only if unchanged: a secret changed meanwhile is encrypted with the first key already.
                rotated += SmtpServer.objects.filter(pk=server.pk, **{name: old}).update(**{name: new})
        return rotated, unreadable
