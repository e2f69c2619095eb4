"""What the long lists cost: their queries do not grow with their rows, and they are no heavier than other lists."""

import datetime as dt
from collections.abc import Callable
from typing import NamedTuple

import pytest
from django.db import connection
from django.template import Context, Template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.safestring import SafeString

from contacts.models import ConsentEvent, Contact, ContactList, Segment, Subscription
from sandbox.models import SandboxMail

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)
ROWS = 50
SEGMENTS = "/admin/contacts/segment/"


class Cost(NamedTuple):
    rows: int
    queries: int
    templates: int  # Rendered: what a list of fifty rows spends most of its time on.
    size: int  # Bytes of the page.


def cost(client: Client, address: str) -> Cost:
    """Return what the second visit costs; the first one fills caches."""
    client.get(address)
    rendered: list[str | None] = []
    render = Template.render

    def counted(template: Template, context: Context) -> SafeString:
        rendered.append(template.name)
        return render(template, context)

    with pytest.MonkeyPatch.context() as patch, CaptureQueriesContext(connection) as queries:
        patch.setattr(Template, "render", counted)
        page = client.get(address)
    assert page.status_code == 200
    return Cost(len(page.context["cl"].result_list), len(queries), len(rendered), len(page.content))


def make_contacts(count: int) -> None:
    lists = [ContactList.objects.get_or_create(name=f"List {number}")[0] for number in range(5)]
    for _ in range(count):
        person = Contact.objects.create(email=f"p{Contact.objects.count()}@example.org", first_name="Ann")
        for number, each in enumerate(lists):
            status = "unsubscribed" if number % 2 else "subscribed"
            Subscription.objects.create(contact=person, list=each, status=status)


def make_consents(count: int) -> None:
    make_contacts(count)
    news = ContactList.objects.get(name="List 0")
    for person in Contact.objects.order_by("-pk")[:count]:
        ConsentEvent.objects.create(
            contact=person, list=news, list_name="News", status="subscribed", method="import", source="mia", at=NOW
        )


def make_mails(count: int) -> None:
    for number in range(count):
        SandboxMail.objects.create(
            listener="plain", mail_from="a@example.org", rcpt_to=f"p{number}@example.org", subject="Hi", content=b"x"
        )


def make_segments(count: int) -> None:
    for _ in range(count):
        Segment.objects.create(name=f"Segment {Segment.objects.count()}")


@pytest.mark.parametrize(
    ("address", "make"),
    [
        ("/admin/contacts/contact/", make_contacts),
        ("/admin/contacts/consentevent/", make_consents),
        ("/admin/sandbox/sandboxmail/", make_mails),
    ],
)
def test_a_long_list_costs_at_most_twice_the_list_of_segments(
    admin_client: Client, address: str, make: Callable[[int], None]
) -> None:
    make(5)
    short = cost(admin_client, address)
    make(ROWS)
    make_segments(ROWS)

    long, segments = cost(admin_client, address), cost(admin_client, SEGMENTS)

    assert (short.rows, long.rows, segments.rows) == (5, ROWS, ROWS)
    assert long.queries == short.queries
    assert long.queries <= 2 * segments.queries
    assert long.templates <= 2 * segments.templates
    assert long.size <= 2 * segments.size
    # A checkbox or a chip is not a template for each row.
    assert long.templates - short.templates <= 5 * (ROWS - 5)
