"""``manage.py reset_factors``: removes a user's second factors, for the last administrator who lost them."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.sessions.resets import reset_factors
from words.numbers import counted


class Command(BaseCommand):
    help = "Removes all second factors and recovery codes of a user and ends the user's sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user “{username}”.")
        removed = reset_factors(user)
        self.stdout.write(f"Removed {counted(removed, 'second factor')} of {user}. All sessions of {user} ended.")
