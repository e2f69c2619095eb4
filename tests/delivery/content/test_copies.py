"""CC and BCC: each copy is a transaction of its own, is counted, and can harm nobody."""

import email
import email.policy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from contacts.models import Subscription, Suppression
from delivery.content.tokens import message_of
from delivery.models import Message
from delivery.operators.send_test import send_test
from delivery.outbox.transactional import send_single
from delivery.records import figures
from smtpservers.models import QuotaPeriod
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)
BOSS, ARCHIVE = "boss@shop.example", "archive@shop.example"


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with running_peer(tmp_path) as running:
        yield running


def token_in(body: bytes) -> str:
    header = email.message_from_bytes(body, policy=email.policy.default)["List-Unsubscribe"]
    return str(header).strip("<>").rpartition("/")[2]


def test_the_token_of_a_copy_unsubscribes_nobody(peer: Peer, client: Client) -> None:
    make_server(peer.port, mail_cc=f"The Boss <{BOSS}>", mail_bcc=ARCHIVE)
    make_mailing(make_list(1))
    run_drain()

    tokens = {context["rcpt_to"]: token_in(body) for context, body in peer.bodies}
    assert len(set(tokens.values())) == 3
    for address in (BOSS, ARCHIVE):
        copy = Message.objects.get(pk=message_of(tokens[address]))
        assert copy.email == address
        page = client.get(f"/u/{tokens[address]}")
        assert "copy" in page.content.decode()
        response = client.post(f"/u/{tokens[address]}", {"List-Unsubscribe": "One-Click"})
        assert response.status_code == 200
    assert Subscription.objects.get().status == "subscribed"
    assert not Suppression.objects.exists()


def test_the_name_of_an_open_copy_is_shown(peer: Peer) -> None:
    make_server(peer.port, mail_cc=f'"Boss, The" <{BOSS}>, Jörg <jorg@shop.example>, plain@shop.example')
    make_mailing(make_list(1))
    run_drain()

    shown = {
        str(email.message_from_bytes(body, policy=email.policy.default)["Cc"])
        for context, body in peer.bodies
        if context["rcpt_to"].startswith("person")
    }
    assert shown == {f'"Boss, The" <{BOSS}>, Jörg <jorg@shop.example>, plain@shop.example'}


def test_no_copy_holds_the_recipients_own_token(peer: Peer) -> None:
    make_server(peer.port, mail_cc=BOSS, mail_bcc=ARCHIVE)
    make_mailing(make_list(1))
    run_drain()

    original = Message.objects.get(copy_of=None)
    for context, body in peer.bodies:
        found = {message_of(token) for token in re.findall(r"/u/([\w-]{33})", body.decode().replace("=\r\n", ""))}
        if context["rcpt_to"] == original.email:
            assert found == {original.pk}
        else:
            assert original.pk not in found
        message = email.message_from_bytes(body, policy=email.policy.default)
        assert (message["To"], message["Cc"], message["Bcc"]) == (original.email, BOSS, None)


def test_a_recipient_gets_no_copy_of_their_own_message(peer: Peer) -> None:
    audience = make_list(1)
    address = audience.contacts.get().email
    make_server(peer.port, mail_cc=address.upper().replace("CUSTOMER.EXAMPLE", "customer.example"), mail_bcc=address)
    make_mailing(audience)

    run_drain()

    assert len(peer.accepted()) == 1
    assert email.message_from_bytes(peer.bodies[0][1])["Cc"] is None


def test_an_address_in_both_fields_gets_one_copy(peer: Peer) -> None:
    make_server(peer.port, mail_cc=BOSS, mail_bcc=f"{BOSS}\n{ARCHIVE}")
    make_mailing(make_list(2))

    run_drain()

    recipients = sorted(event["rcpt_to"] for event in peer.accepted())
    assert recipients.count(BOSS) == recipients.count(ARCHIVE) == 2
    assert QuotaPeriod.objects.get().used == 6


def test_the_bounce_of_a_copy_is_not_the_recipients(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        return b"550 5.1.1 No such user" if event == "rcpt" and context["rcpt_to"] == BOSS else None

    with running_peer(tmp_path, refuse) as peer:
        make_server(peer.port, mail_cc=BOSS)
        mailing = make_mailing(make_list(2))
        run_drain()

        assert figures.counts(mailing.pk)["accepted"] == 2
        assert [row.email for row in Suppression.objects.all()] == [BOSS]


def test_a_refused_message_has_no_copies(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        return b"550 5.1.1 No such user" if event == "rcpt" and "person0" in str(context["rcpt_to"]) else None

    with running_peer(tmp_path, refuse) as peer:
        make_server(peer.port, mail_cc=BOSS)
        make_mailing(make_list(1))
        run_drain()

        assert Message.objects.get().status == "bounced"
        assert QuotaPeriod.objects.get().used == 0


def test_a_test_and_a_single_message_have_copies_too(peer: Peer) -> None:
    server = make_server(peer.port, mail_cc=BOSS)
    send_test(server_id=server.pk, recipient="ann@customer.example", actor=None, now=timezone.now())
    send_single(to="ann@customer.example", subject="Receipt", text="Thanks.", now=timezone.now())

    run_drain()

    recipients = sorted(event["rcpt_to"] for event in peer.accepted())
    assert recipients == ["ann@customer.example"] * 2 + [BOSS] * 2
    assert QuotaPeriod.objects.get().used == 4


def test_the_copies_of_a_test_go_through_the_inactive_server_it_tests(peer: Peer, tmp_path: Path) -> None:
    with running_peer(tmp_path) as other:
        make_server(other.port, "Other", display_order=1)
        server = make_server(peer.port, mail_cc=BOSS, is_active=False, display_order=2)
        send_test(server_id=server.pk, recipient="ann@customer.example", actor=None, now=timezone.now())

        run_drain()

        assert len(peer.accepted()) == 2
        assert other.bodies == []


def test_unticked_copies_are_neither_named_nor_sent(peer: Peer) -> None:
    server = make_server(peer.port, mail_cc=BOSS, mail_bcc=ARCHIVE)
    make_mailing(make_list(2), sends_copies=False)
    send_test(server_id=server.pk, recipient="ops@shop.example", actor=None, now=timezone.now(), with_copies=False)

    run_drain()

    assert len(peer.accepted()) == 3
    assert all(b"\r\nCc:" not in body for _, body in peer.bodies)
    assert QuotaPeriod.objects.get().used == 3
