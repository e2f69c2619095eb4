"""``manage.py retention``: applies the retention rules, or counts what they would remove."""

import datetime as dt
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from contacts.privacy import retention

PROGRESS_SECONDS = 5.0  # Between two progress lines of one rule.


class Command(BaseCommand):
    help = "Let go of personal details that were kept long enough, as the RETAIN_… settings say."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only tell what would go.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        is_dry = options["dry_run"]
        self._line("what", "kept for", "would go" if is_dry else "gone")
        for rule in retention.RULES.values():  # Each rule is printed when it is done: a large one takes a while.
            number = retention.count(rule, now) if is_dry else self._apply(rule, now)
            self._line(rule.title, _kept(rule), "–" if number is None else f"{number:,}")

    def _apply(self, rule: retention.RetentionRule, now: dt.datetime) -> int:
        gone, shown_at = 0, time.monotonic()
        for number in retention.slices(rule, now):
            gone += number
            if time.monotonic() - shown_at >= PROGRESS_SECONDS:
                shown_at = time.monotonic()
                self.stdout.write(f"{rule.title}: {gone:,} so far …")
                self.stdout.flush()
        return gone

    def _line(self, what: str, kept: str, number: str) -> None:
        self.stdout.write(f"{what:<46} {kept:>12} {number:>12}")
        self.stdout.flush()


def _kept(rule: retention.RetentionRule) -> str:
    unit = "months" if rule.setting.endswith("_MONTHS") else "days"
    return f"{rule.kept} {unit}" if rule.kept else "for good"
