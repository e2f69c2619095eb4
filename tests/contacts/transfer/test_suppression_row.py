"""What is read out of a file of suppressions, what it changes, and that what is handed out can be read again."""

import datetime as dt
import io
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User

from contacts.consent import changes
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression
from contacts.transfer import import_suppressions
from contacts.transfer.csv_file import CsvRefused
from contacts.transfer.import_suppressions import ImportCounts
from contacts.transfer.suppression_row import read_what
from mail.addresses import AddressInvalid

BERLIN = ZoneInfo("Europe/Berlin")


def take(content: str | bytes, now: dt.datetime, reason: str = "manual") -> ImportCounts:
    binary = content if isinstance(content, bytes) else content.encode()
    return import_suppressions.import_csv(
        io.BytesIO(binary), reason=reason, source="import: stop.csv", now=now, zone=BERLIN
    )


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann@Example.com ", "Ann@Example.com"),
        ("*@example.com", "@example.com"),
        ("@Example.COM", "@example.com"),
        ("example.com", "@example.com"),
        ("bücher.example.", "@bücher.example"),
    ],
)
def test_an_address_or_a_domain_is_read(typed: str, read: str) -> None:
    assert read_what(typed) == read


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("@", "is not a domain name"),
        ("@localhost", "has no dot"),
        ("nobody", "has no @ sign"),
        ("@exa mple.com", "is not a domain name"),
        ("a@b@c.com", "two @ signs"),
        ("https://example.com/x", "is not a domain name"),
        ("", "is empty"),
    ],
)
def test_what_is_neither_is_refused_in_words(typed: str, problem: str) -> None:
    with pytest.raises(AddressInvalid, match=problem):
        read_what(typed)


def test_a_file_suppresses_addresses_and_domains_with_reason_source_and_end(db: None, now: dt.datetime) -> None:
    taken = take(
        "\ufeffE-Mail;Domain;Reason;Source;Until;Colour\n"
        "Ann@example.com;;Hard bounce;old system;;red\n"
        ";rival.example;;asked;2027-03-31;\n"
        "bo@example.com;example.com;spam;;;\n"
        "'@third.example;;;'=cmd();;\n",
        now,
    )

    assert (taken.added, taken.known, taken.refused) == (4, 0, [])
    rows = Suppression.objects.order_by("pk").values_list("email", "email_key", "reason", "source", "expires_at")
    assert set(rows) == {
        ("Ann@example.com", "ann@example.com", "hard_bounce", "old system", None),
        ("@rival.example", "@rival.example", "manual", "asked", dt.datetime(2027, 3, 30, 22, tzinfo=dt.UTC)),
        ("bo@example.com", "bo@example.com", "complaint", "import: stop.csv", None),
        ("@third.example", "@third.example", "manual", "=cmd()", None),
    }


def test_a_row_that_cannot_be_taken_is_named_with_its_reason(db: None, now: dt.datetime) -> None:
    taken = take(
        "email,reason,expires\n"
        "ann@example.com,,\n"
        "nobody,,\n"
        ",manual,\n"
        "bo@example.com,boredom,\n"
        "cy@example.com,,31/03/2027\n"
        "dee@example.com,,2025-12-31\n"
        '"ed@example.com,,\n',
        now,
    )

    assert taken.added == Suppression.objects.count() == 1
    assert [(row.line_number, row.reason.partition(";")[0].partition(". Write")[0]) for row in taken.refused] == [
        (3, "nobody has no @ sign"),
        (4, "The row has neither an address nor a domain."),
        (5, "The reason “boredom” is not known"),
        (6, "“31/03/2027” is no date that can be read"),
        (7, "It ended on 2025-12-31, so it would stop nothing."),
        (8, "The quotation marks of this row do not match"),
    ]
    assert taken.refused[0].content == "nobody"
    assert taken.refused_count == 6


def test_a_list_of_bare_addresses_needs_no_heading(db: None, now: dt.datetime) -> None:
    taken = take("ann@example.com\nbo@example.com\nANN@example.com\n", now, reason="complaint")

    assert (taken.added, taken.known) == (2, 1)
    assert set(Suppression.objects.values_list("reason", flat=True)) == {"complaint"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name,colour\nAnn,red\n", "one of them must be “email” or “domain”"),
        ("email,mail\nann@example.com,\n", "Two columns mean “email”"),
        (b"PK\x03\x04rest", "Excel workbook"),
        ("", "empty"),
    ],
)
def test_a_file_without_the_columns_is_refused_whole(
    db: None, content: str | bytes, problem: str, now: dt.datetime
) -> None:
    with pytest.raises(CsvRefused, match=problem):
        take(content, now)


def test_taking_a_file_in_again_changes_nothing_and_a_stricter_one_counts(
    db: None, now: dt.datetime, later: dt.datetime
) -> None:
    content = "email\nann@example.com\nbo@example.com\n"
    take(content, now, reason="unsubscribed")
    before = list(Suppression.objects.values())

    assert (again := take(content, later, reason="unsubscribed")).added == 0
    assert (again.known, list(Suppression.objects.values())) == (2, before)
    assert take(content, later, reason="complaint").added == 2
    assert set(Suppression.objects.values_list("reason", flat=True)) == {"complaint"}


def test_whoever_is_listed_as_unsubscribed_is_taken_off_every_list(
    ann: Contact, news: ContactList, events: ContactList, now: dt.datetime
) -> None:
    bo = Contact.objects.create(email="bo@example.org")
    for person in (ann, bo):
        for each in (news, events):
            changes.subscribe(person, each, method="form", source="page", now=now)

    take("email,reason\nANN@example.org,opt-out\nbo@example.org,bounce\n", now)

    assert set(Subscription.objects.filter(contact=ann).values_list("status", flat=True)) == {"unsubscribed"}
    assert set(Subscription.objects.filter(contact=bo).values_list("status", flat=True)) == {"subscribed"}
    events_of_import = ConsentEvent.objects.filter(method="import").values_list("contact", "status", "source")
    assert list(events_of_import) == [(ann.pk, "unsubscribed", "import: stop.csv")] * 2


def test_whoever_is_listed_as_unsubscribed_stays_so_beside_another_reason(
    ann: Contact, news: ContactList, marketer: User, now: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="page", now=now)
    changes.suppress(ann.email, "hard_bounce", "550", now)

    take("email,reason\nann@example.org,opt-out\n", now)
    changes.lift(Suppression.objects.get(), "The mailbox works again.", marketer, now)

    assert Suppression.objects.get().reason == "unsubscribed"
    assert Subscription.objects.get().status == "unsubscribed"


def test_more_than_one_batch_is_taken(db: None, now: dt.datetime) -> None:
    taken = take("email\n" + "".join(f"p{number}@example.com\n" for number in range(2_100)), now)

    assert taken.added == Suppression.objects.count() == 2_100


def test_what_is_handed_out_can_be_taken_in_again(db: None, now: dt.datetime) -> None:
    changes.suppress("Ann@example.com", "complaint", '=HYPERLINK("x")', now)
    changes.suppress("@rival.example", "manual", "asked, twice", now, until=now + dt.timedelta(days=9))
    columns = ("email", "email_key", "reason", "source", "expires_at")
    before = set(Suppression.objects.values_list(*columns))

    content = "".join(import_suppressions.write_csv(Suppression.objects.all()))
    Suppression.objects.all().delete()
    taken = take(content, now)

    assert "\"'=HYPERLINK" in content
    assert (taken.added, taken.refused) == (2, [])
    assert set(Suppression.objects.values_list(*columns)) == before
