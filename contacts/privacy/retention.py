"""Retention rules for personal details, and the deletion of what they no longer allow.

Higher rooms add their rules at start. Each rule works in slices, each a transaction of its own: other writers never
wait long on SQLite, and an interruption loses nothing. Nothing here reads the clock.
"""

import calendar
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet

from contacts.consent import changes
from contacts.models import ContactImport, RefusedRow, Subscription
from registry import Registry

SLICE_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Slice:
    """The result of one step of a rule."""

    number: int  # Rows.
    after: Any = None  # Where the next step continues; None: nothing is left.


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """What is deleted or redacted, after how long, and how."""

    title: str
    setting: str  # Its name gives the unit: RETAIN_…_DAYS or RETAIN_…_MONTHS. 0 keeps for good.
    count: Callable[[dt.datetime], int]  # Number of rows older than this.
    purge: Callable[[dt.datetime, Any], Slice]  # Gets where the last step ended; None at first.

    @property
    def kept(self) -> int:
        """The retention period in the setting's unit; 0: for good."""
        return int(getattr(settings, self.setting))

    def cutoff(self, now: dt.datetime) -> dt.datetime | None:
        """Return the instant before which rows are due; None if they are kept for good."""
        if not self.kept:
            return None
        if self.setting.endswith("_MONTHS"):
            return months_before(now, self.kept)
        return now - dt.timedelta(days=self.kept)


RULES: Registry[RetentionRule] = Registry()  # By title.


def months_before(now: dt.datetime, months: int) -> dt.datetime:
    """Return the same day that many months earlier; in a shorter month, its last day."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return now.replace(year=year, month=month + 1, day=min(now.day, last))


def report(now: dt.datetime) -> list[tuple[RetentionRule, int | None]]:
    """Return the number of due rows per rule; None if the rule keeps for good. Changes nothing."""
    return [(rule, count(rule, now)) for rule in RULES.values()]


def count(rule: RetentionRule, now: dt.datetime) -> int | None:
    """Return the number of rows that are due under the rule; None if it keeps for good. Changes nothing."""
    cutoff = rule.cutoff(now)
    return rule.count(cutoff) if cutoff else None


def run(now: dt.datetime, should_pause: Callable[[], bool] = lambda: False) -> tuple[dict[str, int], bool]:
    """Apply all rules; return the number of rows by title, and whether all was done before ``should_pause`` became
    true.
    """
    gone: dict[str, int] = {}
    for rule in RULES.values():
        for number in slices(rule, now):
            gone[rule.title] = gone.get(rule.title, 0) + number
            if should_pause():
                return gone, False
    return gone, True


def slices(rule: RetentionRule, now: dt.datetime) -> Iterator[int]:
    """Apply one rule slice by slice; yield the number of rows of each."""
    cutoff, after = rule.cutoff(now), None
    while cutoff:
        step = rule.purge(cutoff, after)
        yield step.number
        after = step.after
        if after is None:
            return


def delete_slice(rows: "QuerySet[Any]") -> Slice:
    """Delete the first ``SLICE_ROWS`` of these rows."""
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:SLICE_ROWS])
    rows.model._default_manager.filter(pk__in=ids).delete()
    return Slice(len(ids), ids[-1] if len(ids) == SLICE_ROWS else None)


# --- the rules of this room


def _refused(cutoff: dt.datetime) -> QuerySet[RefusedRow]:
    return RefusedRow.objects.filter(contact_import__created_at__lt=cutoff)


def _forget_refused(cutoff: dt.datetime, after: Any) -> Slice:
    """Delete refused rows; the counts of their reasons, which quote cells, go with the last of them."""
    gone = delete_slice(_refused(cutoff))
    if gone.after is None:
        ContactImport.objects.filter(created_at__lt=cutoff).exclude(reasons=[]).update(reasons=[])
    return gone


def _pending(cutoff: dt.datetime) -> QuerySet[Subscription]:
    return Subscription.objects.filter(status=Subscription.Status.PENDING, changed_at__lt=cutoff)


def _forget_pending(cutoff: dt.datetime, after: Any) -> Slice:
    """Undo requests that nobody confirmed, with their step in the history."""
    some = list(_pending(cutoff).order_by("pk")[:SLICE_ROWS])
    for subscription in some:
        changes.forget_request(subscription)
    return Slice(len(some), some[-1].pk if len(some) == SLICE_ROWS else None)


def _log(cutoff: dt.datetime) -> QuerySet[LogEntry]:
    return LogEntry.objects.filter(action_time__lt=cutoff)


for _rule in (
    RetentionRule(
        "Refused rows of imports",
        "RETAIN_REFUSED_ROWS_DAYS",
        lambda cutoff: _refused(cutoff).count(),
        _forget_refused,
    ),
    RetentionRule(
        "Subscriptions that nobody confirmed",
        "RETAIN_PENDING_DAYS",
        lambda cutoff: _pending(cutoff).count(),
        _forget_pending,
    ),
    RetentionRule(
        "Changes made by users (the log of the admin)",
        "RETAIN_LOG_MONTHS",
        lambda cutoff: _log(cutoff).count(),
        lambda cutoff, after: delete_slice(_log(cutoff)),
    ),
):
    RULES.register(_rule.title, _rule)
