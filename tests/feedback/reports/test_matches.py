"""The message of a report: proofs that nobody but us can have made, and nothing else."""

import datetime as dt
import json

import pytest
from django.conf import settings

from contacts.models import Suppression
from delivery.content import tokens
from delivery.models import Message
from feedback.intake.store import take
from feedback.models import Feedback, RawReport, Report
from feedback.webhooks.adapters import azure
from feedback.webhooks.frame import pack
from mail import verp
from smtpservers.models import SmtpServer
from tests.feedback.reports.making import (
    GONE,
    NOW,
    bounce,
    dsn,
    event,
    mail,
    make_mailing,
    make_server,
    post,
    process,
    return_path,
    sent_to,
    tag,
)

pytestmark = pytest.mark.django_db

ANN = "Ann@customer.example"


@pytest.fixture
def server() -> SmtpServer:
    return make_server()


@pytest.fixture
def message(server: SmtpServer) -> Message:
    sent_to("other@customer.example", make_mailing(), server)
    return sent_to(ANN, make_mailing(), server)


def has_effect() -> bool:
    return Feedback.objects.exists()


def own_token(message: Message) -> str:
    return tokens.unsubscribe_urls_and_feedback_ids()(message.pk)[1]


def failed(message: Message, original: str, address: str = "") -> bytes:
    return dsn((address or message.email, "failed", GONE), original=original)


PROOFS = {
    "return path": lambda m: bounce(m),
    "return path in capitals": lambda m: bounce(m).replace(return_path(m).encode(), return_path(m).upper().encode()),
    "envelope id": lambda m: dsn((ANN, "failed", GONE)).replace(
        b"Reporting-MTA", f"Original-Envelope-Id: {tag(m)}\r\nReporting-MTA".encode()
    ),
    "Message-ID": lambda m: failed(m, f"Message-ID: {m.message_id}"),
    "CFBL-Feedback-ID": lambda m: failed(m, f"CFBL-Feedback-ID: {own_token(m)}"),
    "List-Unsubscribe": lambda m: failed(m, f"List-Unsubscribe: <{tokens.unsubscribe_url(m.pk)}>"),
    "the last of two": lambda m: failed(
        m, f"Message-ID: <foreign@there.example>\r\nX: y\r\nMessage-ID: {m.message_id}"
    ),
    "another address, by a token": lambda m: failed(m, f"CFBL-Feedback-ID: {own_token(m)}", "ann@new.example"),
}


@pytest.mark.parametrize("proof", PROOFS)
def test_a_proof_of_ours_finds_the_message(message: Message, proof: str) -> None:
    mail(PROOFS[proof](message))
    process()

    assert Report.objects.get().message == message
    assert Suppression.objects.get().email == ANN  # The address that was written to.


FORGERIES = {
    "no proof": lambda m: dsn((ANN, "failed", GONE)),
    "a guessed tag": lambda m: dsn((ANN, "failed", GONE), to="bounces+" + "a" * 24 + "@shop.example"),
    "a changed tag": lambda m: dsn((ANN, "failed", GONE), to=f"bounces+{tag(m)[::-1]}@shop.example"),
    "a From with the tag": lambda m: dsn((ANN, "failed", GONE)).replace(
        b"From: MAILER-DAEMON@mx.example", f"From: {return_path(m)}".encode()
    ),
    "a Message-ID of another mailing": lambda m: failed(
        m, f"Message-ID: {Message.objects.exclude(pk=m.pk).get().message_id}"
    ),
    "a stored Message-ID that we did not make": lambda m: failed(m, "Message-ID: <known@there.example>"),
    "a token for another purpose": lambda m: failed(m, f"CFBL-Feedback-ID: {tokens.unsubscribe_url(m.pk)[-33:]}"),
    "a link to another page": lambda m: failed(m, f"List-Unsubscribe: <{tokens.preferences_url(m.pk)}>"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_bounce_without_proof_is_shown_and_has_no_effect(message: Message, forgery: str) -> None:
    content = FORGERIES[forgery](message)
    if forgery.startswith("a stored"):
        Message.objects.filter(pk=message.pk).update(message_id="<known@there.example>")

    mail(content)
    process()

    report = Report.objects.get()
    assert (report.state, report.kind, report.recipient.lower()) == ("unmatched", "hard", ANN.lower())
    assert not has_effect()
    assert not Suppression.objects.exists()


def test_the_recipient_of_the_session_goes_before_what_the_mail_says(server: SmtpServer, message: Message) -> None:
    other = Message.objects.exclude(pk=message.pk).get()

    mail(bounce(message), to=return_path(other))
    process()

    assert Report.objects.get().message == other


def test_a_proved_webhook_needs_no_tag_within_a_week(server: SmtpServer, message: Message) -> None:
    newer = sent_to(ANN, make_mailing(), server)
    week = dt.timedelta(days=7)
    told = event("Bounce", Type="HardBounce", Email=ANN.lower(), Details="smtp;550 5.1.1 unknown user")

    post(server, told | {"ID": 1}, now=NOW + week)
    process(NOW + week)
    late = Report.objects.get().state
    post(make_server("Beta"), told | {"ID": 2})
    process()
    of_another_server = Report.objects.latest("pk").state
    post(server, told | {"ID": 3})
    process()

    assert (late, of_another_server) == ("unmatched", "unmatched")
    assert Report.objects.latest("pk").message == newer
    assert Suppression.objects.get().email == ANN


NAMED_MESSAGES = {  # What an event that names Ann names besides; the message of that is never hers.
    "another's Message-ID": lambda other: {"message_id": other.message_id},
    "an unknown Message-ID": lambda other: {"message_id": "<known@there.example>"},
    "a tag of another program": lambda other: {"tag": "customer-4711"},
    "a changed tag": lambda other: {"tag": tag(other)[::-1]},
    "another's tag": lambda other: {"tag": tag(other)},
}


@pytest.mark.parametrize("named", NAMED_MESSAGES)
@pytest.mark.parametrize("kind", ["complaint", "bounce", "suppressed", "unsubscribe", "delivered"])
def test_an_event_that_names_a_message_never_counts_for_the_latest_one_instead(
    server: SmtpServer, message: Message, named: str, kind: str
) -> None:
    other = Message.objects.exclude(pk=message.pk).get()
    told = {"kind": kind, "recipient": message.email, "id": "1"} | NAMED_MESSAGES[named](other)

    take(
        RawReport.Source.WEBHOOK,
        pack({}, json.dumps({"events": [told]}).encode()),
        now=NOW,
        server_id=server.pk,
        provider="signed",
    )
    process()

    assert not has_effect()
    assert not Suppression.objects.exists()
    assert not Message.objects.exclude(delivered_at=None).exists()
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


@pytest.mark.parametrize(
    ("message_id", "state"),
    [("<0100018c@email.amazonses.com>", "applied"), (None, "unmatched")],
    ids=["an id of Resend's own", "another's of ours"],
)
def test_an_id_that_the_provider_made_names_no_message(
    server: SmtpServer, message: Message, message_id: str | None, state: str
) -> None:
    other = Message.objects.exclude(pk=message.pk).get()
    data = {"to": [message.email], "message_id": message_id or other.message_id}
    body = json.dumps({"type": "email.complained", "data": data}).encode()

    take(RawReport.Source.WEBHOOK, pack({}, body), now=NOW, server_id=server.pk, provider="resend")
    process()

    assert Report.objects.get().state == state
    assert has_effect() == (state == "applied")


def complaint(recipient: str, to: str) -> bytes:
    """Return a feedback report (RFC 5965)."""
    return (
        f"Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: fbl@mx.example\r\nTo: {to}\r\nSubject: Spam\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary="B"\r\n\r\n'
        "--B\r\nContent-Type: text/plain\r\n\r\nSpam.\r\n"
        "--B\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n"
        f"User-Agent: Peer/1\r\nOriginal-Rcpt-To: {recipient}\r\n\r\n"
        "--B\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Sale\r\n\r\n--B--\r\n"
    ).encode()


REPORTS_OF_ANOTHER = {
    "a bounce": lambda m: dsn(("ben@new.example", "failed", GONE), to=return_path(m)),
    "a complaint": lambda m: complaint("ben@new.example", to=return_path(m)),
}


@pytest.mark.parametrize("name", REPORTS_OF_ANOTHER)
def test_a_mail_to_a_tag_is_about_its_person_whomever_it_names(server: SmtpServer, message: Message, name: str) -> None:
    sent_to("ben@new.example", make_mailing(), server)  # Ann's mail goes on to Ben, who is a recipient, too.

    mail(REPORTS_OF_ANOTHER[name](message))
    process()

    assert Report.objects.get().message == message
    assert [each.email for each in Suppression.objects.all()] == [ANN]


def test_an_unsubscribe_by_mail_is_decided_by_its_tag_alone(server: SmtpServer, message: Message) -> None:
    address = verp.unsubscribe_addresses("shop.example", settings.TOKEN_KEYS)
    other = Message.objects.exclude(pk=message.pk).get()
    text = f"From: {other.email}\r\nTo: %s\r\nSubject: no\r\n\r\nMessage-ID: {message.message_id}\r\n"

    mail((text % ("unsub+" + tag(message) + "@shop.example")).encode())
    mail((text % address(message.pk)).encode())
    process()

    left = Feedback.objects.get()
    assert (left.message, left.kind, left.channel, left.attempt) == (message, "unsubscribe", "mail", None)
    assert set(Report.objects.values_list("kind", "state")) == {
        ("unsubscribe", "unmatched"),
        ("unsubscribe", "applied"),
    }


@pytest.mark.parametrize("has_reference", [False, True])
def test_an_event_of_a_provider_that_proves_little_has_to_name_our_message(
    server: SmtpServer, message: Message, has_reference: bool
) -> None:
    told = {
        "id": "1",
        "eventType": azure.REPORT,
        "data": {
            "recipient": message.email,
            "status": "Bounced",
            "internetMessageId": message.message_id if has_reference else "",
        },
    }
    body = json.dumps([told]).encode()
    take(RawReport.Source.WEBHOOK, pack({}, body), now=NOW, server_id=server.pk, provider="azure")
    process()

    assert Report.objects.get().state == ("applied" if has_reference else "unmatched")
    assert has_effect() == has_reference
