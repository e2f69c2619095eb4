"""Import of suppressions from a CSV file, and their export in the same form.

Each batch is a transaction: if the file breaks off, whole batches remain, and a repeated import changes nothing.
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
from contacts.transfer.suppression_row import RefusedSuppressionRow, SuppressionRow, SuppressionRowParser
from mail.addresses import fold

BATCH_ROWS = 1_000
REFUSED_KEPT = 1_000
ROWS_AT_ONCE = 2_000
MOST_BYTES = 5 * 1024 * 1024

COLUMNS = ("email", "domain", "reason", "source", "expires", "suppressed_at")


@dataclass(slots=True)
class ImportCounts:
    """The result of an import: counts of its rows, and the first refused ones."""

    added: int = 0
    known: int = 0  # Suppressed already, for at least as long and as strictly.
    refused_count: int = 0
    refused: list[RefusedSuppressionRow] = field(default_factory=list)

    @property
    def refused_more(self) -> int:
        return self.refused_count - len(self.refused)


def import_csv(file: BinaryIO, *, reason: str, source: str, now: dt.datetime, zone: dt.tzinfo) -> ImportCounts:
    """Suppress all rows of the file; the file stays open.

    :param reason: for rows without one.
    :param source: for rows without one.
    :param zone: the zone of the days in the column "expires".
    :raises CsvRefused: if the file cannot be read; batches before the error are kept.
    """
    layout = look(file)
    parse = SuppressionRowParser(layout, now, zone)
    rows = Rows(file, layout)
    counts = ImportCounts()
    try:
        while batch := list(itertools.islice(rows, BATCH_ROWS)):
            listed: dict[str, SuppressionRow] = {}
            for row in map(parse, batch):
                if isinstance(row, SuppressionRow):
                    given = row._replace(reason=row.reason or reason, source=row.source or source)
                    counts.known += fold(row.what) in listed
                    listed.setdefault(fold(row.what), given)
                else:
                    counts.refused_count += 1
                    if len(counts.refused) < REFUSED_KEPT:
                        counts.refused.append(row)
            added = _suppress(listed, source, now)
            counts.added += added
            counts.known += len(listed) - added
    finally:
        rows.close()
    return counts


def _suppress(listed: dict[str, SuppressionRow], source: str, now: dt.datetime) -> int:
    """Suppress a batch of folded addresses and domains; return how many of them changed."""
    with transaction.atomic():
        present = {each.email_key: each for each in Suppression.objects.filter(email_key__in=listed)}
        new = [key for key in sorted(listed) if key not in present]
        changed = [
            key
            for key, each in sorted(present.items())
            if changes.gives_way(each, listed[key].reason, listed[key].until, now)
        ]
        wishes = [  # Of people who are suppressed for another reason, which stands.
            key
            for key, each in sorted(present.items())
            if listed[key].reason == Suppression.Reason.UNSUBSCRIBED != each.reason and key not in changed
        ]
        # First, in the same lock order as changes.unsubscribe_from_everything, to avoid deadlocks.
        left = [key for key in (*new, *changed, *wishes) if listed[key].reason == Suppression.Reason.UNSUBSCRIBED]
        changes.withdraw_everywhere(left, method=ConsentEvent.Method.IMPORT, source=source, now=now)
        Suppression.objects.bulk_create(
            (
                Suppression(
                    email=listed[key].what,
                    email_key=key,
                    reason=listed[key].reason,
                    source=listed[key].source,
                    expires_at=listed[key].until,
                    created_at=now,
                )
                for key in new
            ),
            ignore_conflicts=True,  # A simultaneous suppression by somebody else stays.
        )
        for key in (*changed, *wishes):
            what, reason, why, until = listed[key]
            changes.suppress(what, reason, why, now, until=until)
    return len(new) + len(changed)


def write_csv(suppressions: QuerySet[Suppression]) -> Iterator[str]:
    """Yield the lines of the file, which :func:`import_csv` reads again."""
    return table(COLUMNS, _cells(suppressions))


def _cells(suppressions: QuerySet[Suppression]) -> Iterator[Iterable[str]]:
    rows = suppressions.order_by("pk").values_list("email", "reason", "source", "expires_at", "created_at")
    for email, reason, source, expires_at, created_at in rows.iterator(chunk_size=ROWS_AT_ONCE):
        is_domain = email.startswith("@")
        cells = (
            "" if is_domain else email,
            email.removeprefix("@") if is_domain else "",
            Suppression.Reason(reason).in_files,
            source,
            expires_at.isoformat() if expires_at else "",
            created_at.isoformat(timespec="seconds"),
        )
        yield cells


def record_in_history(actor: User, model: type[Model], what: str, sentence: str) -> None:
    """Log who imported or exported people's addresses."""
    LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(model),
        object_repr=what[:200],
        action_flag=CHANGE,
        change_message=sentence,
    )
