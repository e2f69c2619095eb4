"""Reports and people's rights: exported, erased with all raw texts, not written back later, gone after their time."""

import base64
import datetime as dt
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from contacts.models import Contact, Suppression
from contacts.privacy import erasure, retention
from contacts.privacy.redaction import ERASED
from delivery.models import Mailing, Message
from encryption.rotation import rotate_secrets
from feedback.intake.store import content_of
from feedback.models import Feedback, RawReport, RawSearch, Report, Seen
from feedback.records import raw_reports
from feedback.reports.reader import Reader
from feedback.tasks import search_raw_reports
from tests.feedback.reports.making import (
    NOW,
    bounce,
    dsn,
    event,
    mail,
    make_mailing,
    make_server,
    post,
    process,
    sent_to,
)

pytestmark = pytest.mark.django_db

ANN, BEN = "ann@customer.example", "ben@customer.example"


@pytest.fixture
def message(db: None) -> Message:
    return sent_to(ANN, make_mailing(), make_server())


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the errand the time that it needs on a busy machine."""
    monkeypatch.setattr(raw_reports, "FOR_A_WHILE", 600.0)


def erase(message: Message) -> None:
    actor = User.objects.create_user("ada", is_superuser=True)
    assert erasure.erase(erasure.subject_at(message.email), actor, NOW).is_done


def hidden(text: str, **headers: str) -> bytes:
    """Return a mail whose text is in base64."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    encoded = base64.encodebytes(text.encode()).decode()
    return f"{lines}Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}".encode()


def test_an_erasure_takes_reports_and_every_raw_text_that_names_the_person(message: Message) -> None:
    mail(bounce(message))
    mail(dsn((ANN, "failed", "550 5.1.1 gone")))  # Nothing proves a message.
    mail(hidden(f"{ANN.title()} is on holiday."))
    post(make_server("Beta"), event("Bounce", Email=ANN, Type="Transient", ID=1))
    ben = mail(hidden(f"joann@customer.example and {BEN}"))
    process()
    assert RawReport.objects.count() == 5

    erase(message)
    search_raw_reports()

    assert not RawSearch.objects.exists()
    assert [raw.pk for raw in RawReport.objects.all()] == [ben]
    assert not Report.objects.filter(text__contains="ann@").exists()
    assert [(row.email, row.kind) for row in Feedback.objects.all()] == [(ERASED, "hard")]


def test_an_erasure_leaves_the_search_in_raw_reports_to_an_errand(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    pks = [mail(hidden(f"{ANN} wrote {number}.")) for number in range(3)]
    ben = mail(hidden(f"{BEN} wrote."))
    process()

    with monkeypatch.context() as patch:
        patch.setattr(raw_reports, "content_of", refuse)
        erase(message)  # Nothing is decrypted while somebody waits.

    [search] = RawSearch.objects.values()
    assert ANN not in str(search)
    after = mail(hidden(f"{BEN} wrote again."))
    assert set(RawReport.objects.values_list("pk", flat=True)) == {*pks, ben, after}
    search_raw_reports()
    assert set(RawReport.objects.values_list("pk", flat=True)) == {ben, after}
    assert not RawSearch.objects.exists()


def refuse(raw: RawReport) -> bytes:
    raise AssertionError("a raw report was decrypted")


def test_a_search_goes_on_where_it_paused_and_one_that_no_key_opens_stops_no_other(
    message: Message, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(raw_reports, "AT_ONCE", 2)
    for number in range(5):
        mail(hidden(f"{ANN} wrote {number}."))
    process()
    keys = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    raw_reports.search_later(erasure.subject_at(BEN), NOW)
    settings.FIELD_ENCRYPTION_KEYS = keys
    erase(message)
    left, pauses = [], itertools.chain([False, True], itertools.repeat(False))

    with Reader() as reader:
        while raw_reports.search(reader, lambda: next(pauses)):
            left.append(RawReport.objects.count())

    assert left == [1]
    assert not RawReport.objects.exists()
    assert RawSearch.objects.count() == 1
    assert "raw reports can't be searched" in caplog.text
    assert BEN not in caplog.text


def test_an_errand_redacts_a_few_texts_at_a_time_and_goes_on_where_it_paused(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_reports, "TEXTS_AT_ONCE", 2)
    for number in range(5):
        Report.objects.create(source="webhook", state="unmatched", recipient=f"{number}@b.example", text=f"See {ANN}.")
    erase(message)
    named, left = Report.objects.filter(text__contains=ANN), []
    assert named.count() == 5  # Nobody waits for it.

    with Reader() as reader:
        while raw_reports.search(reader, lambda: True):
            left.append(named.count())

    assert [number for number, _ in itertools.groupby(left)][-4:] == [5, 3, 1, 0]
    assert set(Report.objects.values_list("text", flat=True)) == {f"See {ERASED}."}
    assert not RawSearch.objects.exists()


def test_an_errand_redacts_mail_that_names_the_person_and_leaves_campaigns(message: Message) -> None:
    named = f"No such user: {ANN}"
    texts = {"name": named, "subject": named, "html": named, "text": named}
    kinds = {stream: make_mailing(stream, **texts) for stream in ("notice", "single", "campaign")}
    erase(message)
    assert not Mailing.objects.filter(text__contains=ERASED).exists()  # Nobody waits for it.

    search_raw_reports()

    for stream, mailing in kinds.items():
        mailing.refresh_from_db()
        found = {mailing.name, mailing.subject, mailing.html, mailing.text}
        assert found == {named if stream == "campaign" else f"No such user: {ERASED}"}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="reads PostgreSQL's plans")
def test_neither_an_erasure_nor_an_export_reads_a_table_of_messages_or_reports_in_full(message: Message) -> None:
    Contact.objects.filter(email=ANN).update(first_name="Ann", last_name="Example")
    mail(bounce(message))
    process()
    actor = User.objects.create_user("ada", is_superuser=True)
    with connection.cursor() as cursor:
        # Otherwise every small table is read in full, or along an index whose order is wanted.
        for way in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        with CaptureQueriesContext(connection) as captured:
            subject = erasure.subject_at(ANN)
            erasure.export(subject)
            assert erasure.erase(subject, actor, NOW).is_done
        seen = set()
        for query in captured.captured_queries:
            sql = re.sub(r"^DECLARE .*? CURSOR (WITH HOLD )?FOR ", "", query["sql"])
            if not sql.startswith(("SELECT", "UPDATE", "DELETE")) or sql.startswith("SELECT set_config"):
                continue
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
            plan = cursor.fetchone()[0][0]["Plan"]
            for node in nodes_of(plan):
                if node.get("Relation Name") in {*LARGE, "delivery_mailing"}:
                    seen.add(node["Relation Name"])
                    by_index = node["Node Type"] == "Bitmap Heap Scan" or "Index Cond" in node
                    assert by_index or node["Node Type"] == "ModifyTable" or node["is limited"], (
                        f"{sql}\n{json.dumps(plan)}"
                    )
    assert seen >= LARGE - {"feedback_rawreport"}


LARGE = {
    *("delivery_message", "delivery_attempt", "delivery_batch", "feedback_feedback", "feedback_report"),
    *("feedback_rawreport", "feedback_visit", "feedback_firstvisit"),
}


def nodes_of(node: dict[str, Any], *, is_limited: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan; "is limited" tells those whose rows a LIMIT ends."""
    yield {**node, "is limited": is_limited}
    for child in node.get("Plans", ()):
        yield from nodes_of(child, is_limited=node["Node Type"] == "Limit")


def test_a_deleted_server_leaves_its_reports_as_they_are(message: Message) -> None:
    mail(bounce(message))
    server = make_server("Beta")
    post(server, event("Bounce", Email=ANN, Type="Transient", ID=1))
    process()
    before = [list(model.objects.order_by("pk").values()) for model in (Report, RawReport)]

    with CaptureQueriesContext(connection) as captured:
        server.delete()

    written = [query["sql"] for query in captured.captured_queries if not query["sql"].startswith("SELECT")]
    assert [sql for sql in written for table in LARGE if table in sql.partition(" WHERE ")[0]] == []
    assert [list(model.objects.order_by("pk").values()) for model in (Report, RawReport)] == before
    assert [report.server for report in Report.objects.select_related("server")] == [None, None]


@pytest.mark.parametrize("kind", ["HardBounce", "SpamComplaint"])
def test_a_report_about_an_erased_person_is_counted_and_nothing_of_it_is_kept(
    message: Message, kind: str, client: Client
) -> None:
    erase(message)
    told = event("SpamComplaint") if kind == "SpamComplaint" else event("Bounce", Type=kind)
    told |= {
        "Metadata": event("", message)["Metadata"],
        "Email": ANN,
        "ID": 7,
        "Details": f"smtp;550 5.1.1 {ANN} is gone",
    }

    assert message.server is not None
    post(message.server, told)
    mail(dsn((ANN, "failed", "550 5.1.1 gone")))
    process()

    assert not RawReport.objects.exists()
    assert not Suppression.objects.exists()
    assert set(Report.objects.values_list("recipient", "text")) == {("", "")}
    assert [row.email for row in Feedback.objects.all()] == [ERASED]
    assert ANN not in json.dumps(list(Message.objects.values()), default=str)
    client.force_login(User.objects.create_superuser("eve"))
    for report in Report.objects.filter(state=Report.State.APPLIED):
        page = client.get(reverse("admin:feedback_report_change", args=[report.pk])).content.decode()
        assert "The person was erased, so nothing was done to an address." in page
        assert "gets no more mail" not in page
        assert "is unsubscribed from everything" not in page
    listed = client.get(reverse("admin:feedback_report_changelist")).content.decode()
    assert "Counted" in listed
    assert "ddress suppressed" not in listed


def test_an_export_holds_the_reports_of_the_person(message: Message) -> None:
    mail(bounce(message))
    mail(bounce(sent_to(BEN, make_mailing(), None)))
    process()

    held = erasure.export(erasure.subject_of(Contact.objects.get(email=ANN)))

    assert [(row["kind"], row["code"], row["state"]) for row in held["reports"]] == [("hard", 550, "applied")]
    json.loads(erasure.as_json(held))


def test_raw_texts_go_first_then_reports_and_fingerprints_never(message: Message, settings: LazySettings) -> None:
    settings.RETAIN_RAW_DAYS, settings.RETAIN_FEEDBACK_MONTHS = 30, 13
    mail(bounce(message))
    process()
    mail(bounce(message, number=2))  # Nobody has read it yet.

    retention.run(NOW + dt.timedelta(days=31))
    raws = list(RawReport.objects.values_list("state", flat=True))
    reports = Report.objects.count()
    retention.run(NOW + dt.timedelta(days=400))

    assert (raws, reports) == (["waiting"], 1)
    assert not Report.objects.exists()
    assert Seen.objects.count() == 1
    assert Feedback.objects.get().email == ERASED


def test_raw_reports_are_encrypted_with_a_new_key(message: Message, settings: Any) -> None:
    mail(bounce(message))
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEYS]

    assert rotate_secrets() == (1, [])

    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    assert content_of(RawReport.objects.get()) == bounce(message)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert rotate_secrets()[1] == ["Mailbox " + str(RawReport.objects.get().pk)]
