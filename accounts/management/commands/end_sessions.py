"""``manage.py end_sessions``: signs out one user, or everybody."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.sessions.resets import sign_out
from accounts.sessions.store import end_all_sessions
from words.numbers import counted


class Command(BaseCommand):
    help = "Ends all sessions of a user, or of everybody."

    def add_arguments(self, parser: CommandParser) -> None:
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("username", nargs="?", help="whose sessions end")
        who.add_argument("--all", action="store_true", help="everybody's")

    def handle(self, *args: Any, username: str | None, **options: Any) -> None:
        if username is None:
            ended = end_all_sessions()
        else:
            user = User.objects.filter(username=username).first()
            if user is None:
                raise CommandError(f"There is no user “{username}”.")
            ended = sign_out(user)
        self.stdout.write(f"Ended {counted(ended, 'session')}.")
