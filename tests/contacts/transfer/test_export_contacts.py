"""People handed out as CSV: whom, with what, safe in a spreadsheet, and coming back as they were."""

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from contacts.attributes.rules import CONSENT_COLUMNS
from contacts.consent import changes
from contacts.models import Attribute, Contact, ContactList, Segment, Suppression
from contacts.transfer import export_contacts
from contacts.transfer.export_contacts import COLUMNS, attribute_names, record_export, table, write_csv
from contacts.transfer.import_contacts import import_people
from tests.contacts.files import figures, started

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)
CONTACTS = "/admin/contacts/contact/"


def read(pieces: Iterable[str]) -> list[list[str]]:
    content = "".join(pieces)
    assert content.startswith("\ufeff")
    return list(csv.reader(io.StringIO(content[1:])))


def export(client: Client, **form: object) -> list[list[str]]:
    response = client.post(f"{CONTACTS}export/", form)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="contacts-')
    return read(piece.decode() for piece in response.streaming_content)  # type: ignore[attr-defined]


def test_no_cell_of_a_table_is_a_formula() -> None:
    rows = read(table(["=a", "b"], [["=1+1", "+49"], ["-5", "@x"], ["\tx", "\rx"], ["a=b", "O'Neil"]]))

    assert rows == [["'=a", "b"], ["'=1+1", "'+49"], ["'-5", "'@x"], ["'\tx", "'\rx"], ["a=b", "O'Neil"]]


def test_a_table_is_handed_on_while_its_rows_are_read() -> None:
    read_so_far: list[int] = []

    def rows() -> Iterable[list[str]]:
        for number in range(1_000):
            read_so_far.append(number)
            yield [str(number)]

    pieces = iter(table(["n"], rows()))

    next(pieces)
    assert read_so_far == []
    next(pieces)
    assert len(read_so_far) < 300


def test_an_export_is_safe_in_a_spreadsheet_and_logged(
    marketers_client: Client, news: ContactList, events: ContactList
) -> None:
    contact = Contact.objects.create(
        email="+ann@example.org", first_name="=1+1", last_name="'-x", attributes={"phone": "+49 30", "n": -5}
    )
    changes.subscribe(contact, news, method="form", source="", now=NOW)
    changes.unsubscribe(contact.pk, [events.pk], method="unsubscribe", source="", now=NOW)
    changes.suppress(contact.email, Suppression.Reason.COMPLAINT, "", NOW)

    rows = export(marketers_client)

    assert rows == [
        [*COLUMNS, "n", "phone", *CONSENT_COLUMNS],
        [
            "'+ann@example.org",
            "'=1+1",
            "''-x",
            "",
            "",
            "unset",
            "unset",
            "'-5",
            "'+49 30",
            "News",
            "Events",
            "complaint",
        ],
    ]
    log = LogEntry.objects.get()
    assert log.object_repr == "Export of contacts"
    assert log.change_message == "Exported 1 contacts as CSV: everyone."
    assert log.user.get_username() == "mia"


def test_a_whole_domain_that_is_suppressed_is_told(ann: Contact) -> None:
    changes.suppress("@example.org", Suppression.Reason.MANUAL, "", NOW)

    assert read(write_csv(Contact.objects.all(), NOW))[1][-1] == "added by hand"


def test_an_export_comes_back_equal(news: ContactList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    for name, kind in (("n", "number"), ("half", "number"), ("day", "date"), ("member", "boolean"), ("plan", "choice")):
        Attribute.objects.create(name=name, label=name.title(), kind=kind, choices=["Gold", "=Basic"])
    people = [
        {
            "email": "Zoë@Bücher.example",
            "first_name": 'Zoë, “the” "great"',
            "last_name": "'=x",
            "language": "de",
            "time_zone": "Europe/Berlin",
            "attributes": {"n": -5, "half": 38.5, "day": "2026-11-23", "member": True, "plan": "=Basic"},
        },
        {"email": "-bo@example.org", "first_name": "@bo", "attributes": {"member": False, "free": "+49 30"}},
        {"email": "cy@example.org", "attributes": {}},
    ]
    for person in people:
        Contact.objects.create(**person)
    known = list(Contact.objects.values("email", "email_key", *COLUMNS, "attributes"))
    content = "".join(write_csv(Contact.objects.all(), NOW))
    Contact.objects.all().delete()

    done = started(content, [news])
    import_people(done.pk, NOW)

    assert figures(done) == (3, 3, 0, 0)
    assert list(Contact.objects.values("email", "email_key", *COLUMNS, "attributes")) == known


def test_an_export_can_be_cut_to_a_list_and_to_who_may_be_written_to(
    marketers_client: Client, ann: Contact, news: ContactList, events: ContactList
) -> None:
    bo = Contact.objects.create(email="bo@example.org")
    changes.subscribe(ann, news, method="form", source="", now=NOW)
    changes.subscribe(bo, news, method="form", source="", now=NOW)
    changes.unsubscribe(bo.pk, [news.pk], method="unsubscribe", source="", now=NOW)
    Contact.objects.create(email="cy@example.org")

    assert [row[0] for row in export(marketers_client, list=news.pk)[1:]] == ["Ann@example.org", "bo@example.org"]
    mailable = export(marketers_client, list=news.pk, only_mailable="on")
    assert [row[0] for row in mailable[1:]] == ["Ann@example.org"]
    nobody = marketers_client.post(f"{CONTACTS}export/", {"list": events.pk}, follow=True)
    assert "Nobody matches this choice." in nobody.content.decode()


def test_an_export_can_be_cut_to_a_segment_and_to_a_list_within_it(
    marketers_client: Client, ann: Contact, news: ContactList
) -> None:
    bo = Contact.objects.create(email="bo@example.org", language="de")
    Contact.objects.create(email="cy@example.org", language="de")
    changes.subscribe(bo, news, method="form", source="", now=NOW)
    changes.subscribe(ann, news, method="form", source="", now=NOW)
    conditions = {"match": "all", "conditions": [{"field": "language", "operator": "in", "values": ["de"]}]}
    segment = Segment.objects.create(name="Germans", conditions=conditions)

    rows = export(marketers_client, segment=segment.pk)
    assert [row[0] for row in rows[1:]] == ["bo@example.org", "cy@example.org"]
    rows = export(marketers_client, segment=segment.pk, list=news.pk)
    assert [row[0] for row in rows[1:]] == ["bo@example.org"]
    messages = set(LogEntry.objects.values_list("change_message", flat=True))
    assert "Exported 1 contacts as CSV: the list “News” and the segment “Germans”." in messages


@pytest.mark.parametrize("across", ["0", "1"])
def test_chosen_people_or_the_whole_filtered_list_are_exported(
    marketers_client: Client, ann: Contact, across: str
) -> None:
    Contact.objects.create(email="annette@example.org")
    Contact.objects.create(email="bo@example.org")
    chosen = {"action": "export_chosen", "_selected_action": [ann.pk], "select_across": across}

    response = marketers_client.post(f"{CONTACTS}?q=ann", chosen)

    content = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert "Ann@example.org" in content
    assert ("annette@example.org" in content) == (across == "1")
    assert "bo@example.org" not in content
    assert LogEntry.objects.filter(change_message__contains=f"Exported {1 + int(across)} contacts").exists()


def test_attributes_come_defined_ones_first_and_only_those_somebody_has(ann: Contact) -> None:
    Attribute.objects.create(name="plan", label="Plan", position=2)
    Attribute.objects.create(name="city", label="City", position=3)
    Attribute.objects.create(name="unused", label="Unused", position=1)
    Contact.objects.create(email="bo@example.org", attributes={"zip": "1", "city": "Bonn", "plan": "Gold", "a": None})

    assert attribute_names(Contact.objects.all()) == ["plan", "city", "a", "zip"]
    assert attribute_names(Contact.objects.filter(pk=ann.pk)) == []
    assert attribute_names(Contact.objects.none()) == []


def test_many_people_are_asked_for_in_few_queries(
    news: ContactList, django_assert_num_queries: Callable[[int], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_contacts, "PEOPLE_AT_ONCE", 10)
    for number in range(25):
        Contact.objects.create(email=f"p{number}@example.org")

    # The attributes of the people, the defined ones, the people, and the lists of each ten of them.
    with django_assert_num_queries(6):  # type: ignore[attr-defined]
        rows = read(write_csv(Contact.objects.all(), NOW))

    assert len(rows) == 26


def test_other_rooms_leave_their_trace_alike(marketer: User) -> None:
    record_export(marketer, 1_234, "all of them", "suppressions", Suppression)

    log = LogEntry.objects.get()
    assert (log.object_repr, log.change_message) == (
        "Export of suppressions",
        "Exported 1,234 suppressions as CSV: all of them.",
    )
    assert log.content_type is not None
    assert log.content_type.model == "suppression"
