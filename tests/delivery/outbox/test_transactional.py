"""Single messages: what they carry, where they go when nobody knows the recipient, and the command that sends one."""

import email
import email.policy
import io
import sys
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from contacts.models import Contact, Suppression
from delivery.content import return_paths
from delivery.content.tokens import NOBODY, message_of
from delivery.models import Attempt, Mailing, Message
from delivery.operators import notices
from delivery.outbox.transactional import SingleRefused, send_single
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.conversation import DROP
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)
LOST = "lost@shop.example"
ANN = "ann@customer.example"


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with running_peer(tmp_path) as running:
        yield running


def single(to: str = ANN, **fields: Any) -> Message:
    values: dict[str, Any] = {
        "subject": "Your receipt",
        "html": '<p>Thanks, {{ first_name }}.</p><a href="https://shop.example/orders">Orders</a>',
        "now": timezone.now(),
    }
    return send_single(to=to, **(values | fields))


def parsed(body: bytes) -> EmailMessage:
    return email.message_from_bytes(body, policy=email.policy.default)  # type: ignore[return-value]


def html_of(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return part.get_content()


# --- what a single message carries

EVERYTHING_ON = {
    "use_unsubscribe_link": True,
    "use_precedence": True,
    "precedence": "bulk",
    "use_spam_address": True,
    "spam_address": "fbl@shop.example",
    "use_abuse_address": True,
    "abuse_address": "abuse@shop.example",
    "utm_source": "shop",
    "mail_cc": "boss@shop.example",
    "unknown_first_name": "Friend",
}


def test_a_receipt_has_no_unsubscribe_link_no_utm_and_no_precedence(peer: Peer) -> None:
    make_server(peer.port, **EVERYTHING_ON)

    message = single()
    run_drain()

    context, body = peer.bodies[0]
    receipt = parsed(body)
    assert context["rcpt_to"] == ANN
    assert "Thanks, Friend." in html_of(receipt)
    assert 'href="https://shop.example/orders"' in html_of(receipt)
    assert "/u/" not in html_of(receipt)
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Precedence", "Feedback-ID", "Auto-Submitted"):
        assert receipt[name] is None, name
    assert receipt["CFBL-Address"] == "fbl@shop.example; report=arf"
    assert receipt["X-Abuse-Reports-To"] == "abuse@shop.example"
    assert receipt["Cc"] == "boss@shop.example"
    message.refresh_from_db()
    assert message.status == "accepted"
    assert {event["rcpt_to"] for event in peer.accepted()} == {ANN, "boss@shop.example"}
    assert QuotaPeriod.objects.get().used == 2


def test_a_commercial_one_has_the_link_and_utm(peer: Peer) -> None:
    make_server(peer.port, **EVERYTHING_ON | {"mail_cc": ""})

    message = single(is_commercial=True)
    run_drain()

    offer = parsed(peer.bodies[0][1])
    assert "https://shop.example/orders?utm_source=shop" in html_of(offer)
    assert offer["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = str(offer["List-Unsubscribe"]).strip("<>").rpartition("/")[2]
    assert message_of(token) == message.pk
    assert f"/u/{token}" in html_of(offer)
    assert offer["Precedence"] is None


def test_values_fill_the_merge_fields_and_a_known_contact_the_rest(peer: Peer) -> None:
    make_server(peer.port)
    Contact.objects.create(email=ANN, first_name="Ann", last_name="Lee", attributes={"city": "Oslo"})

    single(
        "ANN@customer.example",
        html="",
        text="{{ first_name }} {{ last_name }} {{ city }} {{ order }}",
        values={"order": "7{{"},
    )
    single(html="", text="{{ first_name }} {{ city }}", values={"first_name": "Anna", "city": "Rome"})
    run_drain()

    texts = sorted(parsed(body).get_content().strip() for _, body in peer.bodies)
    assert texts == ["Ann Lee Oslo 7{{", "Anna Rome"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"subject": " "}, "has no subject"),
        ({"subject": "x" * 501}, "501 characters"),
        ({"html": " "}, "is empty"),
        ({"html": "{% if %}"}, "In the HTML"),
        ({"mail_from": "a@shop.example, b@shop.example"}, "several addresses"),
        ({"reply_to": "nobody"}, "Reply-To"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_it_is_queued(fields: dict[str, str], problem: str) -> None:
    with pytest.raises(SingleRefused, match=problem):
        single(**fields)

    assert not Mailing.objects.exists()


def test_it_goes_before_a_campaign_and_through_its_own_server_only(peer: Peer, tmp_path: Path) -> None:
    with running_peer(tmp_path) as other:
        make_server(other.port, "First", display_order=1)
        server = make_server(peer.port, "Second", display_order=2)

        single(server=server)
        run_drain()

        assert len(peer.accepted()) == 1
        assert other.accepted() == []


def test_it_never_goes_through_an_inactive_server(peer: Peer) -> None:
    server = make_server(peer.port, is_active=False)

    single(server=server)
    run_drain(seconds=2)

    assert peer.bodies == []
    assert Mailing.objects.get().waiting_reason == "No server can send this now: Alpha is inactive."


def test_a_suppressed_recipient_gets_nothing_and_is_not_redirected(peer: Peer) -> None:
    make_server(peer.port, mail_to_unknown=LOST)
    Suppression.objects.create(email=ANN, reason="complaint")

    message = single()
    run_drain()

    message.refresh_from_db()
    assert (message.status, peer.bodies) == ("suppressed", [])


# --- unknown recipients


@pytest.mark.parametrize(
    ("to", "validates_here", "problem"),
    [
        ("", False, "The address is empty"),
        ("   ", False, "The address is empty"),
        ("not an address", False, "has no @ sign"),
        ("ann@", False, "nothing after the @"),
        ("ann\r\nBcc: eve@evil.example", False, "contains a"),
        ("ann@nowhere.invalid", True, "nowhere.invalid is reserved"),
        ("änn@@x\0", True, "two @ signs"),
    ],
)
def test_an_unusable_recipient_is_redirected(peer: Peer, to: str, validates_here: bool, problem: str) -> None:
    make_server(
        peer.port,
        mail_to_unknown=f"Lost and found <{LOST}>",
        handles_email_validation=not validates_here,
        return_path="bounces@shop.example",
        use_return_path=True,
        mail_cc="boss@shop.example",
        mail_bcc="archive@shop.example",
    )

    message = single(to, is_commercial=True)
    run_drain()
    run_drain()

    message.refresh_from_db()
    assert message.status == "accepted"
    assert message.reason.startswith(f"Redirected to {LOST}, the recipient is unknown: ")
    assert problem in message.reason
    ((context, body),) = peer.bodies  # No copies.
    assert context["rcpt_to"] == LOST
    assert return_paths.tag_of(context["mail_from"]) == (NOBODY, 0)
    assert Attempt.objects.get().envelope_from == context["mail_from"]
    redirected = parsed(body)
    intended = " ".join(to.replace("\0", " ").split()) or "(missing)"
    assert redirected["To"] == LOST
    assert redirected["X-Original-To"] == intended
    assert redirected["Auto-Submitted"] == "auto-generated"
    assert redirected["Cc"] is None
    assert redirected["Bcc"] is None
    assert redirected["List-Unsubscribe"] is None
    text = redirected.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines()[0] == f"Intended recipient: {intended}"
    assert "Intended recipient" in html_of(redirected)


def test_a_server_that_validates_itself_gets_a_reserved_domain(peer: Peer) -> None:
    make_server(peer.port, mail_to_unknown=LOST, handles_email_validation=True)

    single("ann@nowhere.invalid")
    run_drain()

    assert [event["rcpt_to"] for event in peer.accepted()] == ["ann@nowhere.invalid"]


def test_without_mail_to_unknown_it_fails_and_costs_nothing(peer: Peer) -> None:
    make_server(peer.port)

    message = single("")
    run_drain()
    notices.notice(timezone.now())

    message.refresh_from_db()
    assert message.status == "failed"
    assert message.reason.startswith("The address is empty")
    assert peer.bodies == []
    assert (QuotaPeriod.objects.get().used, QuotaPeriod.objects.get().reserved) == (0, 0)


def test_a_campaigns_bad_addresses_are_never_redirected(peer: Peer) -> None:
    make_server(peer.port, mail_to_unknown=LOST, handles_email_validation=False)
    mailing = make_mailing(make_list(3))

    run_drain()

    assert peer.bodies == []
    assert Message.objects.filter(mailing=mailing, status="failed", redirected_to="").count() == 3


def test_the_bounce_of_a_redirected_message_ends_there(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        return b"550 5.1.1 No such user" if event == "rcpt" else None

    with running_peer(tmp_path, refuse) as peer:
        make_server(peer.port, mail_to_unknown=LOST)
        message = single("nobody at all")

        run_drain()
        notices.notice(timezone.now())
        run_drain()

        message.refresh_from_db()
        assert message.status == "bounced"
        assert not Suppression.objects.exists()
        assert not Mailing.objects.filter(stream="notice").exists()


def test_a_redirected_message_that_must_wait_keeps_its_story(tmp_path: Path) -> None:
    dropped: list[str] = []

    def drop_once(event: str, context: dict[str, object]) -> bytes | None:
        if event == "data" and not dropped:
            dropped.append(event)
            return DROP
        return None

    with running_peer(tmp_path, drop_once) as peer:
        make_server(peer.port, mail_to_unknown=LOST)
        message = single("")
        run_drain(seconds=4)
        Message.objects.filter(status="deferred").update(due_at=timezone.now())
        run_drain()

        message.refresh_from_db()
        assert dropped
        assert message.status == "accepted"
        assert message.reason.startswith(f"Redirected to {LOST}")


# --- final failures


def test_the_failure_of_a_single_message_is_told_in_a_line(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        return b"550 5.1.1 No such user" if event == "rcpt" and context["rcpt_to"] == ANN else None

    with running_peer(tmp_path, refuse) as peer:
        make_server(peer.port, mail_to_unknown=LOST)
        single()

        for _ in range(2):
            run_drain()
            notices.notice(timezone.now())
        run_drain()

        (notice,) = [parsed(body) for context, body in peer.bodies if body]
        assert notice["To"] == LOST
        assert notice["Subject"] == "Not delivered: Your receipt"
        assert notice["Auto-Submitted"] == "auto-generated"
        assert f"to {ANN} was given up. Alpha says: 550 5.1.1 No such user" in " ".join(notice.get_content().split())


# --- return paths


def test_each_message_has_a_return_path_of_its_own(peer: Peer) -> None:
    make_server(peer.port, return_path="bounces@shop.example", use_return_path=True, mail_bcc="archive@shop.example")
    make_mailing(make_list(3))

    run_drain()

    found = {event["mail_from"]: event["rcpt_to"] for event in peer.accepted()}
    assert len(found) == 6
    for sender, recipient in found.items():
        assert sender.startswith("bounces+")
        assert sender.endswith("@shop.example")
        message = Message.objects.get(pk=return_paths.tag_of(sender).message)
        assert message.email == recipient
        assert message.attempts.get().envelope_from == sender
    assert all(b"Return-Path" not in body for _, body in peer.bodies)


@pytest.mark.parametrize(
    ("fields", "sender"),
    [
        ({"use_verp": False}, "bounces@shop.example"),
        ({"use_return_path": False}, "news@shop.example"),
        ({"return_path": ""}, "news@shop.example"),  # Never the null sender.
    ],
)
def test_without_tags_or_return_path(peer: Peer, fields: dict[str, Any], sender: str) -> None:
    values: dict[str, Any] = {"return_path": "bounces@shop.example", "use_return_path": True}
    make_server(peer.port, **values | fields)
    single()

    run_drain()

    assert [event["mail_from"] for event in peer.accepted()] == [sender]
    attempt = Attempt.objects.get()
    assert (attempt.envelope_from or attempt.batch.return_path) == sender
    assert attempt.batch.settings_used["use_verp"] is fields.get("use_verp", True)


# --- the command


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("send_single", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_queues_a_message(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_server(peer.port, "First", display_order=1, is_active=False)
    make_server(peer.port, "Second", display_order=2, utm_source="shop")
    page = tmp_path / "page.html"
    page.write_text("<p>Dear {{ first_name }}, order {{ order }}.</p>", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO("Plain {{ order }}"))

    said = command(
        *("--to", f"Ann <{ANN}>", "--subject", "Order {{ order }}", "--html", str(page), "--text", "-"),
        *("--from", "Shop <orders@shop.example>", "--reply-to", "help@shop.example", "--server", "Second"),
        *("--set", "first_name=Ann", "order=7=7"),
    )
    run_drain()

    assert said == "The message was queued. The worker sends it within seconds.\n"
    message = parsed(peer.bodies[0][1])
    assert message["Subject"] == "Order 7=7"
    assert message["From"] == "Shop <orders@shop.example>"
    assert message["Reply-To"] == "help@shop.example"
    assert message["To"] == ANN
    assert "Dear Ann, order 7=7." in html_of(message)


@pytest.mark.parametrize("to", [ANN, ""])
def test_the_command_waits_and_says_what_became_of_it(peer: Peer, to: str) -> None:
    make_server(peer.port)
    found: list[str] = []

    def run() -> None:
        try:
            found.append(command("--to", to, "--subject", "Hello", "--text", "Hello.", "--wait", "30"))
        except CommandError as error:
            found.append(f"error: {error}")
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        run_drain(seconds=2)
        thread.join(0.1)

    message = Message.objects.get()
    if to:
        assert found == [f"accepted through Alpha.\nMessage-ID: {message.message_id}\n"]
    else:
        assert found == [f"error: failed through Alpha: {message.reason}"]


@pytest.mark.django_db
def test_the_command_says_why_it_still_waits() -> None:
    with pytest.raises(CommandError, match=r"After 0 seconds the message is still queued\. Is the worker running\?"):
        command("--to", ANN, "--subject", "Hello", "--text", "Hello.", "--wait", "0")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--server", "Beta"), "There is no server named “Beta”. The servers are: Alpha."),
        (("--set", "first name=x"), "write it as name=value"),
        (("--set", "name"), "write it as name=value"),
        (("--html", "/no/such/file"), "/no/such/file cannot be read"),
        (("--from", "nobody"), "has no @ sign"),
    ],
)
def test_the_command_explains_what_it_cannot_use(arguments: tuple[str, ...], problem: str) -> None:
    make_server(25)

    with pytest.raises(CommandError, match=problem):
        command("--to", ANN, "--subject", "Hello", "--text", "Hello.", *arguments)

    assert not Mailing.objects.exists()
    assert SmtpServer.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("mail_from", "names_server", "problem"),
    [
        (
            "Boss <boss@elsewhere.example>",
            False,
            "No server sends with the From Boss <boss@elsewhere.example>. Leave it",
        ),
        ("boss@elsewhere.example", True, "Alpha does not send with the From boss@elsewhere.example."),
        ("Shop <other@SHOP.example>", True, ""),
        ("", False, ""),
    ],
)
def test_a_from_that_no_server_may_use_is_refused_at_once(mail_from: str, names_server: bool, problem: str) -> None:
    server = make_server(25)

    def send() -> None:
        send_single(
            to="ann@customer.example",
            subject="Receipt",
            text="Thanks",
            mail_from=mail_from,
            server=server if names_server else None,
            now=timezone.now(),
        )

    if not problem:
        send()
        return
    with pytest.raises(SingleRefused) as refused:
        send()
    assert str(refused.value).startswith(problem)
    assert not Message.objects.exists()
