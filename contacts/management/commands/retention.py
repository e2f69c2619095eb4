"""Lets go of what is kept long enough, or tells what would go."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from contacts import retention


class Command(BaseCommand):
    help = "Let go of personal details that were kept long enough, as the RETAIN_… settings say."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only tell what would go.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if not options["dry_run"]:
            gone, _ = retention.run(now)
            self._table([(rule.title, _kept(rule), gone.get(rule.title, 0)) for rule in retention.RULES], "gone")
            return
        found = [(rule.title, _kept(rule), number) for rule, number in retention.report(now)]
        self._table(found, "would go")

    def _table(self, rows: list[tuple[str, str, int | None]], last: str) -> None:
        self.stdout.write(f"{'what':<46} {'kept for':>12} {last:>12}")
        for title, kept, number in rows:
            self.stdout.write(f"{title:<46} {kept:>12} {'–' if number is None else f'{number:,}':>12}")


def _kept(rule: retention.Rule) -> str:
    unit = "months" if rule.setting.endswith("_MONTHS") else "days"
    return f"{rule.kept} {unit}" if rule.kept else "for good"
