"""Erasing a person: the address is in no table afterwards, every count stays, and nothing more is sent."""

import datetime as dt
import json
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection, models
from django.db.models import TextField
from django.db.models.functions import Cast, Lower

from contacts.consent import changes
from contacts.models import (
    ConsentEvent,
    Contact,
    ContactImport,
    ContactList,
    ErasedAddress,
    RefusedRow,
    Segment,
    Subscription,
    Suppression,
    SuppressionLift,
)
from contacts.privacy import erasure
from delivery.models import Batch, Chunk, Mailing, Message
from delivery.outbox import mailings
from delivery.records.erasure import ANONYMOUS
from feedback import unsubscribe
from feedback.models import Feedback
from feedback.records import raw_reports
from feedback.tasks import search_raw_reports
from mail.addresses import ascii_address, fold
from smtpservers.models import SmtpServer
from tests.delivery.making import make_attempt

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)
CANARY = "Canary.Bird@Käfig.example.net"
ASCII = ascii_address(CANARY)


@pytest.fixture
def actor(db: None) -> User:
    return User.objects.create_user("ada", is_staff=True, is_superuser=True)


@pytest.fixture
def canary(db: None) -> Contact:
    """Somebody about whom every table holds something."""
    contact = Contact.objects.create(
        email=CANARY, first_name="Canary", last_name="Bird", attributes={"other_mail": CANARY}
    )
    news = ContactList.objects.create(name="News")
    changes.subscribe(contact, news, method="form", source=f"form by {CANARY}", now=NOW, wording="I agree.")
    return contact


def mailing(stream: str = "campaign", **fields: Any) -> Mailing:
    return mailings.open_mailing(
        stream=stream,
        name="News",
        subject="News",
        html="<p>Hi</p>",
        text="Hi",
        lists=ContactList.objects.all(),
        **fields,
    )


def sent(contact: Contact | None, of: Mailing, email: str = CANARY, **fields: Any) -> Message:
    message = Message.objects.create(
        mailing=of, contact=contact, email=email, email_key=fold(email), status="bounced", **fields
    )
    make_attempt(
        message=message,
        number=1,
        server_name="One",
        lane_token="00000000-0000-0000-0000-000000000000",
        started_at=NOW,
        outcome="bounced",
        code=550,
        reply=f"<{ascii_address(email).upper()}>: no such user",
        envelope_from="bounce+7@example.com",
    )
    return message


def everything_about(contact: Contact, actor: User) -> Message:
    """Have each table hold the address; return a message of a campaign."""
    campaign = mailing()
    message = sent(contact, campaign, reason=f"550 5.1.1 <{CANARY}> unknown")
    sent(None, campaign, "bob@example.net", reason="250 ok")
    sent(None, mailing("single"), ASCII, merge={"name": CANARY})
    sent(None, mailing("test"), "ada@example.net", merge={"first_name": "Canary", "last_name": "Bird"})
    digest = mailing("notice")
    Mailing.objects.filter(pk=digest.pk).update(text=f"Not reached:\n{CANARY}: no such user")
    Mailing.objects.filter(stream__in=["campaign", "single", "test"]).update(is_snapshotted=True)
    Feedback.objects.create(kind="unsubscribe", channel="page", message=message, email=CANARY, reason=f"I am {CANARY}")
    changes.suppress(CANARY, Suppression.Reason.HARD_BOUNCE, f"550 {CANARY}", NOW)
    SuppressionLift.objects.create(
        email=CANARY, reason="manual", suppressed_at=NOW, why=f"{CANARY} asked", lifted_by=actor, lifted_by_name="ada"
    )
    of_import = ContactImport.objects.create(file_name=f"{CANARY}.csv", stored_name="a")
    RefusedRow.objects.create(
        contact_import=of_import, line_number=2, content=f"{CANARY},x", reason=f"“{CANARY}” is no"
    )
    Segment.objects.create(name="One", conditions={"any": [{"field": "email", "value": CANARY}]})
    LogEntry.objects.log_actions(actor.pk, [contact], CHANGE, f"Changed {CANARY}.", single_object=True)
    server = SmtpServer.objects.create(name="One", host="relay.example.com", mail_from="a@example.com", notes=CANARY)
    server.notes = ""
    server.save()  # Its history holds the note.
    return message


def places(text: str) -> list[str]:
    """Return every column of the database that holds the text in any spelling, whoever the table belongs to."""
    found = []
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.concrete_fields:
            if isinstance(field, models.ForeignKey | models.BooleanField | models.BinaryField):
                continue
            for words in {text.lower(), json.dumps(text.lower())[1:-1]}:
                rows = model._default_manager.alias(_text=Lower(Cast(field.name, TextField())))
                # SQLite lowers ASCII alone: the part before the letter that has no lower case there is enough.
                if rows.filter(_text__contains=words.partition("@")[0]).exists():
                    found.append(f"{model._meta.db_table}.{field.column}")
    return sorted(set(found))


def test_an_erased_address_is_in_no_table(canary: Contact, actor: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_reports, "FOR_A_WHILE", 600.0)  # The errand may take its time on a busy machine.
    everything_about(canary, actor)
    assert len(places(CANARY)) > 20, "the canary does not sing"

    outcome = erasure.erase(erasure.subject_of(canary), actor, NOW)
    search_raw_reports()

    assert outcome.is_done, outcome.sentence
    assert places(CANARY) == []
    assert erasure.is_erased([CANARY, ASCII, "bob@example.net"]) == {CANARY, ASCII}
    assert not Contact.objects.exists()
    assert not Subscription.objects.exists()
    assert not ConsentEvent.objects.exists()


def test_an_erasure_keeps_every_count_and_status(canary: Contact, actor: User) -> None:
    message = everything_about(canary, actor)

    erasure.erase(erasure.subject_of(canary), actor, NOW)

    message.refresh_from_db()
    assert (message.status, message.email, message.contact, message.merge) == ("bounced", "(erased)", None, None)
    assert message.reason == "550 5.1.1 <(erased)> unknown"
    assert message.attempts.get().reply == "<(erased)>: no such user"
    assert Message.objects.filter(mailing=message.mailing).count() == 2
    assert Message.objects.get(email="bob@example.net").reason == "250 ok"
    assert Feedback.objects.get().email == "(erased)"
    single = Mailing.objects.get(stream="single")
    assert (single.subject, single.html, single.text) == ("(erased)", "", "(erased)")
    assert Mailing.objects.get(stream="campaign").text == "Hi"
    log = LogEntry.objects.order_by("-pk").first()
    assert log is not None
    assert log.object_repr == "Erased a person"
    assert "2 messages" in log.change_message


def test_the_names_are_erased_as_well(canary: Contact, actor: User) -> None:
    Contact.objects.filter(pk=canary.pk).update(first_name="Zwitschernde")
    canary.refresh_from_db()
    sent(None, mailing("test"), "ada@example.net", merge={"first_name": "Zwitschernde", "last_name": "Bird"})

    erasure.erase(erasure.subject_of(canary), actor, NOW)

    assert places("Zwitschernde") == []


def test_mail_that_waits_is_stopped_before_anything_is_erased(canary: Contact, actor: User) -> None:
    of = mailing()
    Mailing.objects.update(is_snapshotted=True)
    waiting = Message.objects.create(mailing=of, contact=canary, email=CANARY, email_key=canary.email_key)
    copy = Message.objects.create(
        mailing=of, copy_of=waiting, copy_kind="cc", email="boss@example.net", email_key="boss@example.net", due_at=NOW
    )
    Chunk.objects.create(mailing=of, next_id=waiting.pk, last_id=waiting.pk, messages=1)

    assert erasure.erase(erasure.subject_of(canary), actor, NOW).is_done

    for message in (waiting, copy):
        message.refresh_from_db()
        assert (message.status, message.due_at) == ("cancelled", None)
    assert waiting.reason == "The person asked for everything about them to be erased."


def test_an_erasure_waits_for_what_a_worker_holds_and_sends_no_more(canary: Contact, actor: User) -> None:
    of = mailing()
    Mailing.objects.update(is_snapshotted=True)
    held = Message.objects.create(mailing=of, contact=canary, email=CANARY, email_key=canary.email_key)
    batch = Batch.objects.create(
        mailing=of,
        server_name="One",
        lane_token="00000000-0000-0000-0000-000000000000",
        started_at=NOW,
        claims=[[held.pk, 1]],
        open_count=1,
        is_cut=True,
    )

    outcome = erasure.erase(erasure.subject_of(canary), actor, NOW)

    assert not outcome.is_done
    assert "Try again in a minute" in outcome.sentence
    assert Contact.objects.filter(pk=canary.pk).exists()
    assert Suppression.objects.get().source == "being erased"  # Seen by the last look before MAIL.
    assert not ErasedAddress.objects.exists()
    batch.delete()
    Message.objects.update(status="suppressed")
    assert erasure.erase(erasure.subject_of(canary), actor, NOW).is_done
    assert places(CANARY) == []


def test_somebody_whose_address_contains_the_erased_one_stays(canary: Contact, actor: User) -> None:
    other = Contact.objects.create(email=f"x.{CANARY}")
    LogEntry.objects.log_actions(actor.pk, [other], CHANGE, f"Changed {other.email}.", single_object=True)

    erasure.erase(erasure.subject_of(canary), actor, NOW)

    assert other.email in LogEntry.objects.get(object_id=str(other.pk)).change_message
    assert erasure.is_erased([other.email]) == set()


def test_an_export_holds_everything_and_is_json(canary: Contact, actor: User) -> None:
    everything_about(canary, actor)

    held = erasure.export(erasure.subject_of(canary))

    text = erasure.as_json(held)
    assert json.loads(text)["person"]["e-mail"] == CANARY
    assert [row["list"] for row in held["lists"]] == ["News"]
    assert held["history of consent"][0]["agreed to"] == "I agree."
    assert [row["status"] for row in held["messages"]] == ["bounced", "bounced"]
    assert "no such user" in held["messages"][0]["attempts"][0]["answer"]
    assert held["feedback"][0]["reason"] == f"I am {CANARY}"
    assert held["suppressions"]
    assert held["refused rows of imports"]
    assert held["changes by users"][0]["by"] == "ada"
    assert connection.vendor in ("sqlite", "postgresql")


def test_the_link_of_an_old_mail_works_as_long_as_its_contact_is_known(canary: Contact, actor: User) -> None:
    of = mailing()
    message = sent(canary, of)
    Message.objects.filter(pk=message.pk).update(**ANONYMOUS)
    message = unsubscribe.Message.objects.select_related("mailing", "contact").get(pk=message.pk)

    unsubscribe.unsubscribe(message, from_everything=True, channel=Feedback.Channel.PAGE, reason="", now=NOW)

    assert Suppression.objects.get().email == CANARY
    assert Subscription.objects.get().status == "unsubscribed"


def test_the_link_of_an_erased_person_changes_nothing(canary: Contact, actor: User) -> None:
    of = mailing()
    Mailing.objects.update(is_snapshotted=True)
    message = sent(canary, of)
    erasure.erase(erasure.subject_of(canary), actor, NOW)
    message.refresh_from_db()

    unsubscribe.unsubscribe(message, from_everything=True, channel=Feedback.Channel.PAGE, reason="", now=NOW)

    assert not Suppression.objects.exists()
    assert not Feedback.objects.exists()


def test_somebody_who_is_no_contact_is_erased_by_their_address(actor: User) -> None:
    sent(None, mailing("single"))
    other = sent(None, mailing("single"), "bob@example.net")
    Mailing.objects.update(is_snapshotted=True)

    held = erasure.export(erasure.subject_at(ASCII))
    assert [row["to"] for row in held["messages"]] == [CANARY]
    assert erasure.erase(erasure.subject_at(CANARY), actor, NOW).is_done

    assert places(CANARY) == []
    other.refresh_from_db()
    assert other.email == "bob@example.net"


def test_an_address_that_is_somebody_elses_today_is_left_to_them(canary: Contact, actor: User) -> None:
    sent(canary, mailing(), "bob@example.net")
    Mailing.objects.update(is_snapshotted=True)
    Contact.objects.create(email="bob@example.net")

    erasure.erase(erasure.subject_of(canary), actor, NOW)

    assert Contact.objects.get().email == "bob@example.net"
    assert erasure.is_erased(["bob@example.net"]) == set()
