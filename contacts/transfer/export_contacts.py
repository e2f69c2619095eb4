"""Export of contacts as CSV: one line each, safe in a spreadsheet, and readable by the import.

Every other export of addresses uses the same three functions: :func:`table`, :func:`csv_response` and
:func:`record_export`.
"""

import csv
import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Model, QuerySet, Subquery
from django.http import StreamingHttpResponse

from contacts.attributes.rules import CONSENT_COLUMNS, value_text
from contacts.consent.suppressed import suppressions
from contacts.consent.tracking import FIELDS
from contacts.models import Attribute, Contact, Subscription, Suppression
from contacts.transfer.csv_file import neutralise
from db.dialect import keys_of

PEOPLE_AT_ONCE = 2_000
COLUMNS = ("email", "first_name", "last_name", "language", "time_zone", *FIELDS.values())


class Echo:
    """A file object for csv.writer that returns each line instead of storing it."""

    def write(self, line: str) -> str:
        return line


def table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a CSV file in pieces of several lines; a spreadsheet takes no cell for a formula.

    Every cell is quoted, so that no spreadsheet splits one at its own delimiter.
    """
    write = csv.writer(Echo(), quoting=csv.QUOTE_ALL).writerow
    # Without a byte order mark Excel takes UTF-8 for Windows-1252.
    yield "\ufeff" + write(map(neutralise, headings))
    lines = (write(map(neutralise, row)) for row in rows)
    # Joined: each piece of a response costs the server as much as many lines.
    while piece := "".join(itertools.islice(lines, 200)):
        yield piece


def csv_response(lines: Iterable[str], file_name: str) -> StreamingHttpResponse:
    """Return a response that a browser saves as a file and no cache stores."""
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{file_name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def record_export(
    actor: User, how_many: int, of_whom: str, what: str = "contacts", model: type[Model] = Contact
) -> None:
    """Log who exported people's addresses.

    :param of_whom: the selection, for example ``the list “News”``.
    :param what: the name of the rows, in the plural.
    """
    LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(model),
        object_repr=f"Export of {what}",
        action_flag=CHANGE,
        change_message=f"Exported {how_many:,} {what} as CSV: {of_whom}.",
    )


def export_people(contacts: QuerySet[Contact], actor: User, of_whom: str, now: dt.datetime) -> StreamingHttpResponse:
    """Log and return the download of these contacts."""
    record_export(actor, contacts.count(), of_whom)
    return csv_response(write_csv(contacts, now), f"contacts-{now:%Y-%m-%d}.csv")


def write_csv(contacts: QuerySet[Contact], now: dt.datetime) -> Iterator[str]:
    """Yield the file of these contacts: their values, and their consents for people to read."""
    names = attribute_names(contacts)
    return table([*COLUMNS, *names, *CONSENT_COLUMNS], _rows(contacts, names, now))


def _rows(contacts: QuerySet[Contact], names: Sequence[str], now: dt.datetime) -> Iterator[list[str]]:
    # Plain rows: model instances for 100,000 people and their subscriptions would take five times as long.
    people = (
        contacts.annotate(stopped_by=Subquery(suppressions(now).values("reason")[:1]))
        .values_list("pk", *COLUMNS, "attributes", "stopped_by")
        .iterator(chunk_size=PEOPLE_AT_ONCE)
    )
    while batch := list(itertools.islice(people, PEOPLE_AT_ONCE)):
        lists = _lists_of([row[0] for row in batch])
        for pk, *columns, attributes, stopped_by in batch:
            yield [
                *columns,
                *(value_text(attributes.get(name)) for name in names),
                "; ".join(lists[Subscription.Status.SUBSCRIBED][pk]),
                "; ".join(lists[Subscription.Status.UNSUBSCRIBED][pk]),
                Suppression.Reason(stopped_by).in_files if stopped_by else "",
            ]


def _lists_of(contact_ids: list[int]) -> dict[str, dict[int, list[str]]]:
    """Return the names of each person's lists, by status of the subscription."""
    lists: dict[str, dict[int, list[str]]] = {status: defaultdict(list) for status in Subscription.Status}
    on_record = Subscription.objects.filter(contact__in=contact_ids).order_by("list__name")
    for contact_id, status, name in on_record.values_list("contact_id", "status", "list__name"):
        lists[status][contact_id].append(name)
    return lists


def attribute_names(contacts: QuerySet[Contact]) -> list[str]:
    """Return the attributes that any of these contacts has: the defined ones in their order, then the others."""
    try:
        sql, parameters = contacts.order_by().values("attributes").query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT keys.key FROM ({sql}) AS c, {keys_of('c.attributes')}", parameters)  # noqa: S608
        found = {row[0] for row in cursor.fetchall()}
    defined = [each for each in Attribute.objects.values_list("name", flat=True) if each in found]
    return defined + sorted(found.difference(defined))
