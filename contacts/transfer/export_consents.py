"""Export of the consents to a list: who agreed to what, when and how (GDPR article 7(1))."""

from collections.abc import Iterable, Iterator

from django.db.models import OuterRef, Subquery

from contacts.models import ConsentEvent, ContactList, Subscription
from contacts.transfer.export_contacts import table

ROWS_AT_ONCE = 2_000
COLUMNS = ("email", "at", "status", "method", "source", "wording", "network", "list", "status_now")


def write_csv(contact_list: ContactList) -> Iterator[str]:
    """Yield the lines of the file: every step of every consent to the list, oldest first, times in UTC.

    The last column is the person's present status on the list.
    """
    return table(COLUMNS, _cells(contact_list))


def _cells(contact_list: ContactList) -> Iterator[Iterable[str]]:
    today = Subscription.objects.filter(contact=OuterRef("contact"), list=OuterRef("list")).values("status")[:1]
    rows = (
        ConsentEvent.objects.filter(list=contact_list)
        .order_by("at", "pk")
        .values_list(
            *("contact__email", "at", "status", "method", "source", "wording", "network", "list_name"),
            Subquery(today),
        )
    )
    status = {each.value: each.in_files for each in Subscription.Status}
    method = {each.value: each.in_files for each in ConsentEvent.Method}
    for email, at, then, how, source, wording, network, name, now in rows.iterator(chunk_size=ROWS_AT_ONCE):
        cells = (
            *(email, at.isoformat(timespec="seconds"), status.get(then, then), method.get(how, how)),
            *(source, wording, network, name, status.get(now, "not on the list")),
        )
        yield cells
