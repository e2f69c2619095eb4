"""Handing contacts out as CSV: one line each, safe to open in a spreadsheet, and readable again by the import."""

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterator

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import OuterRef, QuerySet, Subquery

from contacts.attributes import CONSENT_COLUMNS, value_text
from contacts.csvfiles import neutralise
from contacts.models import Contact, Subscription, Suppression

PEOPLE_AT_ONCE = 2_000
COLUMNS = ("email", "first_name", "last_name", "language")


class Echo:
    """What csv.writer writes to, when each line is to be handed on and not kept."""

    def write(self, line: str) -> str:
        return line


def write_csv(contacts: QuerySet[Contact]) -> Iterator[str]:
    """Yield the lines of the file. Every cell is quoted, so that no spreadsheet splits one at its own delimiter."""
    names = _attribute_names(contacts)
    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff"  # Without it Excel takes UTF-8 for Windows-1252.
    yield writer.writerow([*COLUMNS, *names, *CONSENT_COLUMNS])
    reason = Suppression.objects.filter(email_key=OuterRef("email_key")).values("reason")[:1]
    # Plain rows: model instances of 100,000 people and their subscriptions would take five times as long.
    rows = contacts.annotate(suppression_reason=Subquery(reason)).values_list(
        "pk", *COLUMNS, "attributes", "suppression_reason"
    )
    people = rows.iterator(chunk_size=PEOPLE_AT_ONCE)
    while batch := list(itertools.islice(people, PEOPLE_AT_ONCE)):
        subscribed, unsubscribed = _lists_of([row[0] for row in batch])
        for pk, *columns, attributes, suppression_reason in batch:
            cells = [
                *columns,
                *(value_text(attributes.get(name)) for name in names),
                "; ".join(subscribed[pk]),
                "; ".join(unsubscribed[pk]),
                Suppression.Reason(suppression_reason).label if suppression_reason else "",
            ]
            yield writer.writerow(map(neutralise, cells))


def _lists_of(contact_ids: list[int]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Return the names of the lists each person is subscribed to, and of those they withdrew from."""
    lists: dict[str, dict[int, list[str]]] = {status: defaultdict(list) for status in Subscription.Status}
    on_record = Subscription.objects.filter(contact__in=contact_ids).order_by("list__name")
    for contact_id, status, name in on_record.values_list("contact_id", "status", "list__name"):
        lists[status][contact_id].append(name)
    return lists[Subscription.Status.SUBSCRIBED], lists[Subscription.Status.UNSUBSCRIBED]


def _attribute_names(contacts: QuerySet[Contact]) -> list[str]:
    names: set[str] = set()
    with_attributes = contacts.exclude(attributes={}).order_by().values_list("attributes", flat=True)
    for attributes in with_attributes.iterator(chunk_size=PEOPLE_AT_ONCE):
        names.update(attributes)
    return sorted(names)


def record_export(actor: User, how_many: int, of_whom: str) -> None:
    """Leave a trace of who took people's addresses out of the house."""
    LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(Contact),
        object_repr="Export of contacts",
        action_flag=CHANGE,
        change_message=f"Exported {how_many:,} contacts as CSV: {of_whom}.",
    )
