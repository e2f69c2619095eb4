"""Export of the consents to a list: who agreed to what, when and how (GDPR article 7(1))."""

from collections.abc import Iterable, Iterator

from django.db.models import OuterRef, Q, QuerySet, Subquery

from contacts.consent.tracking import FIELDS
from contacts.models import ConsentEvent, Contact, ContactList, Subscription
from contacts.transfer.export_contacts import table

ROWS_AT_ONCE = 2_000
COLUMNS = ("email", "at", "about", "status", "method", "source", "wording", "network", "list", "status_now")


def events_of(contact_list: ContactList) -> QuerySet[ConsentEvent]:
    """Return every step of every consent to the list, and of the consents to count opens and clicks of its people."""
    people = Subscription.objects.filter(list=contact_list).values("contact")
    return ConsentEvent.objects.filter(Q(list=contact_list) | Q(topic__in=[*FIELDS], contact__in=people))


def write_csv(contact_list: ContactList) -> Iterator[str]:
    """Yield the lines of the file: the steps of :func:`events_of`, oldest first, times in UTC.

    The last column is the person's present status, on the list or about opens or clicks.
    """
    return table(COLUMNS, _cells(contact_list))


def _cells(contact_list: ContactList) -> Iterator[Iterable[str]]:
    today = Subscription.objects.filter(contact=OuterRef("contact"), list=OuterRef("list")).values("status")[:1]
    rows = (
        events_of(contact_list)
        .order_by("at", "pk")
        .values_list(
            *("contact__email", "at", "topic", "status", "method", "source", "wording", "network", "list_name"),
            *(f"contact__{field}" for field in FIELDS.values()),
            Subquery(today),
        )
    )
    status = {each.value: each.in_files for each in (*Subscription.Status, *Contact.TrackingConsent)}
    method = {each.value: each.in_files for each in ConsentEvent.Method}
    for email, at, topic, then, how, source, wording, network, name, *now in rows.iterator(chunk_size=ROWS_AT_ONCE):
        current = dict(zip((*FIELDS, ConsentEvent.Topic.LIST), now, strict=True))[topic]
        cells = (
            *(email, at.isoformat(timespec="seconds"), topic, status.get(then, then), method.get(how, how)),
            *(source, wording, network, name, status.get(current, "not on the list")),
        )
        yield cells
