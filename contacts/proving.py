"""Handing out the consents to a list: who agreed to what, when and how (GDPR article 7(1))."""

import csv
from collections.abc import Iterator

from django.db.models import OuterRef, Subquery

from contacts.csvfiles import neutralise
from contacts.exporting import Echo
from contacts.models import ConsentEvent, ContactList, Subscription

ROWS_AT_ONCE = 2_000
COLUMNS = ("email", "at", "status", "method", "source", "wording", "network", "list", "status_now")


def write_csv(contact_list: ContactList) -> Iterator[str]:
    """Yield the lines of the file: every step of every consent to the list, the oldest first, times in UTC.

    The last column is how the person stands to the list today.
    """
    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff"  # Without it Excel takes UTF-8 for Windows-1252.
    yield writer.writerow(COLUMNS)
    today = Subscription.objects.filter(contact=OuterRef("contact"), list=OuterRef("list")).values("status")[:1]
    rows = (
        ConsentEvent.objects.filter(list=contact_list)
        .order_by("at", "pk")
        .values_list(
            *("contact__email", "at", "status", "method", "source", "wording", "network", "list_name"),
            Subquery(today),
        )
    )
    status, method = dict(Subscription.Status.choices), dict(ConsentEvent.Method.choices)
    for email, at, then, how, source, wording, network, name, now in rows.iterator(chunk_size=ROWS_AT_ONCE):
        cells = (
            *(email, at.isoformat(timespec="seconds"), str(status.get(then, then)), str(method.get(how, how))),
            *(source, wording, network, name, str(status.get(now, "not on the list"))),
        )
        yield writer.writerow(map(neutralise, cells))
