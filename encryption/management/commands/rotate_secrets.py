"""``manage.py rotate_secrets``: encrypts every stored secret with the first key, so that older keys can be removed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from encryption.rotation import rotate_secrets


class Command(BaseCommand):
    help = (
        "Encrypts all stored secrets (passwords, API keys, tokens, secrets of authenticator apps) under the first key"
        " of FIELD_ENCRYPTION_KEYS."
        " Put the new key in front of the old one, restart everything, run this, and then take the old key away."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotated, unreadable = rotate_secrets()
        self.stdout.write(f"{rotated} secret{'' if rotated == 1 else 's'} encrypted under the first key.")
        if unreadable:
            raise CommandError(
                f"None of the keys opens these: {', '.join(unreadable)}. Add the key that encrypted them to"
                " FIELD_ENCRYPTION_KEYS, or enter them again. Keep all older keys until then."
            )
