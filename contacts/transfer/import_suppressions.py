"""Taking suppressions in from a CSV file, and handing them out as one that can be taken in again.

A batch is a transaction: a file that breaks off leaves whole batches behind, and taking it in again changes nothing.
"""

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model, QuerySet

from contacts.consent import changes
from contacts.models import ConsentEvent, Suppression
from contacts.transfer.csv_file import Rows, look
from contacts.transfer.export_contacts import table
from contacts.transfer.suppression_row import RefusedStop, StopReader, SuppressionRow
from mail.addresses import fold

BATCH_ROWS = 1_000
REFUSED_KEPT = 1_000
ROWS_AT_ONCE = 2_000
MOST_BYTES = 5 * 1024 * 1024

COLUMNS = ("email", "domain", "reason", "source", "expires", "suppressed_at")


@dataclass(slots=True)
class ImportCounts:
    """What became of a file: counts of its rows, and the first refused ones."""

    added: int = 0
    known: int = 0  # Suppressed before, for at least as long and as strictly.
    refused_count: int = 0
    refused: list[RefusedStop] = field(default_factory=list)

    @property
    def refused_more(self) -> int:
        return self.refused_count - len(self.refused)


def take_in(file: BinaryIO, *, reason: str, source: str, now: dt.datetime, zone: dt.tzinfo) -> ImportCounts:
    """Suppress what the file lists, and leave it open.

    :param reason: for rows that give none.
    :param source: likewise.
    :param zone: in which a day of the column "expires" begins.
    :raises FileRefused: if it cannot be read; when that shows halfway, the rows before are kept.
    """
    layout = look(file)
    read = StopReader(layout, now, zone)
    rows = Rows(file, layout)
    taken = ImportCounts()
    try:
        while batch := list(itertools.islice(rows, BATCH_ROWS)):
            stops: dict[str, SuppressionRow] = {}
            for row in map(read, batch):
                if isinstance(row, SuppressionRow):
                    given = row._replace(reason=row.reason or reason, source=row.source or source)
                    taken.known += fold(row.what) in stops
                    stops.setdefault(fold(row.what), given)
                else:
                    taken.refused_count += 1
                    if len(taken.refused) < REFUSED_KEPT:
                        taken.refused.append(row)
            added = _suppress(stops, source, now)
            taken.added += added
            taken.known += len(stops) - added
    finally:
        rows.close()
    return taken


def _suppress(stops: dict[str, SuppressionRow], source: str, now: dt.datetime) -> int:
    """Suppress a batch of folded addresses and domains; return how many of them that changed."""
    with transaction.atomic():
        present = {each.email_key: each for each in Suppression.objects.filter(email_key__in=stops)}
        new = [key for key in sorted(stops) if key not in present]
        changed = [
            key
            for key, each in sorted(present.items())
            if changes.gives_way(each, stops[key].reason, stops[key].until, now)
        ]
        # First, as where one person leaves everything: whoever takes the same two locks takes them in one order.
        left = [key for key in (*new, *changed) if stops[key].reason == Suppression.Reason.UNSUBSCRIBED]
        changes.withdraw_everywhere(left, method=ConsentEvent.Method.IMPORT, source=source, now=now)
        Suppression.objects.bulk_create(
            (
                Suppression(
                    email=stops[key].what,
                    email_key=key,
                    reason=stops[key].reason,
                    source=stops[key].source,
                    expires_at=stops[key].until,
                    created_at=now,
                )
                for key in new
            ),
            ignore_conflicts=True,  # Somebody else's of the same moment: that one stays.
        )
        for key in changed:
            what, reason, why, until = stops[key]
            changes.suppress(what, reason, why, now, until=until)
    return len(new) + len(changed)


def write_csv(suppressions: QuerySet[Suppression]) -> Iterator[str]:
    """Yield the lines of the file; :func:`take_in` reads it again."""
    return table(COLUMNS, _cells(suppressions))


def _cells(suppressions: QuerySet[Suppression]) -> Iterator[Iterable[str]]:
    rows = suppressions.order_by("pk").values_list("email", "reason", "source", "expires_at", "created_at")
    for email, reason, source, expires_at, created_at in rows.iterator(chunk_size=ROWS_AT_ONCE):
        is_domain = email.startswith("@")
        cells = (
            "" if is_domain else email,
            email.removeprefix("@") if is_domain else "",
            Suppression.Reason(reason).label,
            source,
            expires_at.isoformat() if expires_at else "",
            created_at.isoformat(timespec="seconds"),
        )
        yield cells


def record_in_history(actor: User, model: type[Model], what: str, sentence: str) -> None:
    """Leave a trace of who took people's addresses in or out."""
    LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(model),
        object_repr=what[:200],
        action_flag=CHANGE,
        change_message=sentence,
    )
