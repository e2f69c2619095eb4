"""``manage.py restored``: show the mail that was under way in a restored copy, and let it go on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from delivery import identity
from delivery.operators import restored_copy
from delivery.operators.restored_copy import Answer


class Command(BaseCommand):
    help = "Show why a restored or copied database sends nothing and what was under way in it, and let it go on."

    def add_arguments(self, parser: CommandParser) -> None:
        original = parser.add_mutually_exclusive_group()
        original.add_argument(
            "--may-have-sent",
            dest="answer",
            action="store_const",
            const=Answer.MAY_HAVE_SENT,
            help="Go on. The original may have sent what was due since: it is called unconfirmed.",
        )
        original.add_argument(
            "--stood-still",
            dest="answer",
            action="store_const",
            const=Answer.STOOD_STILL,
            help="Go on. The original has sent nothing since the copy was made: everything goes on where it was.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        identity.check(now)
        copy = restored_copy.held()
        if copy is None:
            self.stdout.write("Nothing is held: this database is no copy that waits.")
            return
        if options["answer"]:
            if problem := restored_copy.answer(options["answer"]):
                raise CommandError(problem)
            self._go_on()
            return
        self.stdout.write(f"{copy.held_because}\nIt knows what happened until {copy.raised_at:%d %B %Y %H:%M:%S} UTC.")
        for thing in restored_copy.under_way(now):
            self.stdout.write(f"- {thing.name}: {thing.what} If the original may have gone on: {thing.then}")
        self.stdout.write("Nothing is sent. To go on: manage.py restored --may-have-sent, or --stood-still.")

    def _go_on(self) -> None:
        """Carry the answer out at once if possible, since no worker may be running."""
        if restored_copy.carry_on(timezone.now()):
            self.stdout.write("Mail leaves again.")
        else:
            self.stdout.write("A worker of the original held a server until just now; the errands worker goes on.")
