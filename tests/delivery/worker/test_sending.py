"""A campaign on the wire, and the account of it."""

import email
import email.policy
import ssl
from pathlib import Path

import pytest
import trustme

from contacts.models import Contact, Subscription, Suppression
from delivery.models import Attempt, Mailing, Message
from delivery.outbox import mailings
from delivery.outbox.snapshot import snapshot
from delivery.records import figures
from smtpservers.models import QuotaPeriod
from tests.delivery.making import make_list, make_mailing, make_server, run_drain, run_until_finished
from tests.peers.conversation import DROP
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_campaign_reaches_everyone_once(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, utm_source="news", utm_medium="email", max_per_month=1000)
        mailing = make_mailing(make_list(120))

        run_drain()

        counts = figures.counts(mailing.pk)
        assert counts["accepted"] == 120, (counts, figures.reasons(mailing.pk))
        recipients = [event["rcpt_to"] for event in peer.accepted()]
        assert len(recipients) == len(set(recipients)) == 120
        period = QuotaPeriod.objects.get(server=server)
        assert (period.used, period.reserved) == (120, 0)
        mailing.refresh_from_db()
        assert mailing.finished_at is not None
        message = email.message_from_bytes(peer.bodies[0][1], policy=email.policy.default)
        assert "https://shop.example/sale?utm_source=news&utm_medium=email" in message.get_body(
            ("html",)
        ).get_content().replace("&amp;", "&")
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert message["Precedence"] == "bulk"


def test_the_next_server_takes_over_when_one_is_full(tmp_path: Path) -> None:
    with running_peer(tmp_path) as small, running_peer(tmp_path) as large:
        first = make_server(small.port, "Small", max_per_month=37, display_order=1)
        make_server(large.port, "Large", display_order=2)
        mailing = make_mailing(make_list(100))

        run_drain()

        assert (len(small.accepted()), len(large.accepted())) == (37, 63)
        assert figures.counts(mailing.pk)["accepted"] == 100
        period = QuotaPeriod.objects.get(server=first)
        assert (period.used, period.reserved) == (37, 0)
        choice = Attempt.objects.filter(batch__server_name="Large").values_list("batch__choice", flat=True)[0]
        assert choice.startswith("Large, because Small has used its quota until 01 ")


def test_a_campaign_without_room_waits_and_says_until_when(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, "Small", max_per_month=5)
        mailing = make_mailing(make_list(8))

        run_drain(seconds=6)

        mailing.refresh_from_db()
        assert len(peer.accepted()) == 5
        assert mailing.finished_at is None
        assert "Small has used its quota until 01 " in mailing.waiting_reason
        assert mailing.waiting_until == QuotaPeriod.objects.get().ends_at


def test_an_inactive_server_gets_no_campaign(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, "Off", is_active=False)
        mailing = make_mailing(make_list(3))

        run_drain(seconds=5)

        mailing.refresh_from_db()
        assert peer.journal.path.read_bytes() == b""
        assert mailing.waiting_reason == "No server can send this now: Off is inactive."


def test_a_server_that_refuses_connections_hands_over(tmp_path: Path) -> None:
    with running_peer(tmp_path) as gone:
        dead_port = gone.port
    with running_peer(tmp_path) as peer:
        dead = make_server(dead_port, "Dead", display_order=1)
        make_server(peer.port, "Alive", display_order=2)
        mailing = make_mailing(make_list(30))

        run_drain()

        dead.refresh_from_db()
        assert figures.counts(mailing.pk)["accepted"] == 30
        assert len({event["rcpt_to"] for event in peer.accepted()}) == 30
        assert "refused" in dead.paused_reason
        assert dead.failures == 3
        assert dead.is_active


def test_a_refused_sign_in_pauses_the_server_at_once(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        return b"535 5.7.8 wrong" if event == "auth" else None

    with running_peer(tmp_path, refuse) as strict, running_peer(tmp_path) as peer:
        server = make_server(strict.port, "Strict", display_order=1, username="ann", password="CANARY-7c1")
        make_server(peer.port, "Alive", display_order=2)
        mailing = make_mailing(make_list(20))

        run_drain()

        server.refresh_from_db()
        assert len(strict.journal.events("auth")) == 1
        assert "535" in server.paused_reason
        assert server.paused_until is None
        assert figures.counts(mailing.pk)["accepted"] == 20
        assert "CANARY-7c1" not in str(list(Attempt.objects.values())) + str(list(Message.objects.values()))


def test_a_bounce_ends_the_message_and_suppresses_the_address(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        if event == "rcpt" and str(context["rcpt_to"]).startswith("person3."):
            return b"550 5.1.1 No such user"
        return None

    with running_peer(tmp_path, refuse) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(10))

        run_drain()

        counts = figures.counts(mailing.pk)
        assert (counts["accepted"], counts["bounced"]) == (9, 1)
        assert QuotaPeriod.objects.get().used == 9
        suppression = Suppression.objects.get()
        assert suppression.email.startswith("person3.")
        assert suppression.reason == "hard_bounce"
        bounced = Message.objects.get(status="bounced")
        assert bounced.reason == "550 5.1.1 No such user"


def test_a_line_lost_after_the_dot_is_unconfirmed_and_never_sent_again(tmp_path: Path) -> None:
    def drop(event: str, context: dict[str, object]) -> bytes | None:
        return DROP if event == "dot" and str(context["rcpt_to"]).startswith("person4.") else None

    with running_peer(tmp_path, drop) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(10))

        run_drain()

        counts = figures.counts(mailing.pk)
        assert (counts["accepted"], counts["unconfirmed"]) == (9, 1)
        assert len(peer.journal.events("dot")) == 10
        assert QuotaPeriod.objects.get().used == 10  # Held, because it may have been accepted.
        message = Message.objects.get(status="unconfirmed")
        message_id = message.message_id
        assert mailings.resend(message.pk, message.changed_at)
        run_drain()
        assert [event["message_id"] for event in peer.journal.events("dot")].count(message_id) == 2


@pytest.mark.parametrize("stage", ["conn", "ehlo", "mail", "rcpt", "data"])
def test_a_line_lost_before_the_dot_is_tried_again(tmp_path: Path, stage: str) -> None:
    lost = []

    def drop(event: str, context: dict[str, object]) -> bytes | None:
        if event == stage and len(lost) < 2:
            lost.append(event)
            return DROP
        return None

    with running_peer(tmp_path, drop) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(10))

        run_until_finished(mailing)

        assert lost == [stage, stage]
        assert figures.counts(mailing.pk)["accepted"] == 10, figures.reasons(mailing.pk)
        assert len(peer.accepted()) == 10


def test_people_who_left_are_in_the_account_and_get_nothing(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        audience = make_list(6)
        people = list(Contact.objects.order_by("pk"))
        Subscription.objects.filter(contact=people[0]).update(status="unsubscribed")
        Suppression.objects.create(email=people[1].email, reason="complaint")
        mailing = make_mailing(audience)
        Subscription.objects.filter(contact=people[2]).update(status="unsubscribed")  # After the snapshot.
        Suppression.objects.create(email=people[3].email, reason="manual")

        run_drain()

        counts = figures.counts(mailing.pk)
        assert (counts["accepted"], counts["suppressed"]) == (2, 4)
        assert {event["rcpt_to"] for event in peer.accepted()} == {people[4].email, people[5].email}


def test_copies_are_messages_of_their_own_and_count(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, mail_cc="boss@shop.example", mail_bcc="archive@shop.example")
        mailing = make_mailing(make_list(2))

        run_drain()

        assert len(peer.accepted()) == 6
        assert QuotaPeriod.objects.get().used == 6
        assert figures.counts(mailing.pk)["accepted"] == 2
        for context, body in peer.bodies:
            message = email.message_from_bytes(body, policy=email.policy.default)
            assert message["Cc"] == "boss@shop.example"
            assert b"archive@" not in body
            assert context["rcpt_to"] in ("boss@shop.example", "archive@shop.example", str(message["To"]))


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_large_messages_go_over_tls_without_waiting(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with running_peer(tmp_path, **{mode: context}) as peer:
        if mode == "tls":
            monkeypatch.setattr("smtpservers.destinations.IMPLICIT_TLS_PORTS", frozenset({peer.port}))
        certificate = ca.cert_pem.bytes().decode()
        make_server(peer.port, use_tls=True, trusted_certificate=certificate, timeout_seconds=60, max_connections=2)
        mailing = make_mailing(make_list(12), html=f"<p>{'long ' * 60_000}</p>")

        run_drain(seconds=20)

        assert figures.counts(mailing.pk)["accepted"] == 12, figures.reasons(mailing.pk)
        assert all(len(body) > 300_000 for _, body in peer.bodies)


@pytest.mark.django_db
def test_a_second_snapshot_adds_nobody(tmp_path: Path) -> None:
    audience = make_list(5)
    mailing = make_mailing(audience)
    Mailing.objects.filter(pk=mailing.pk).update(is_snapshotted=False)

    assert snapshot(mailing.pk, mailing.created_at) == 5

    assert Message.objects.count() == 5


def test_a_cancelled_mailing_sends_nothing_more(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(5))

        assert mailings.cancel(mailing.pk, mailing.created_at)
        run_drain(seconds=2)

        assert peer.accepted() == []
        assert figures.counts(mailing.pk)["cancelled"] == 5
