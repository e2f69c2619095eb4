"""Prints a one-time link to sign in by, for when single sign-on fails or a new user has nothing to confirm with."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.single_sign_on.links import make_link


class Command(BaseCommand):
    help = "Print a link that signs a user in once, within 15 minutes. A second factor is asked for as always."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        if not user.is_active:
            raise CommandError(f"{username} is switched off, and nobody can sign in with this name.")
        self.stdout.write(make_link(user, timezone.now()))
