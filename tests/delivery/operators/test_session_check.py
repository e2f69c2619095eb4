"""Sessions in which nothing is sent: what they store, when they are had, and that no message and no quota is used."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from delivery.models import Attempt, Message
from delivery.operators import session_check
from delivery.outbox import leases
from smtpservers.models import QuotaPeriod, ServerSession, SmtpServer
from tests.delivery.making import make_server
from tests.peers.conversation import Reply, Script
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 11, 30, 9, 0, tzinfo=dt.UTC)
OURS = trustme.CA()
CERTIFICATE = OURS.cert_pem.bytes().decode()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    OURS.issue_cert("smtp.relay-company.net").configure_cert(context)
    return context


async def here(host: str, port: int) -> list[str]:
    """Resolve each host to this machine, where the scripted servers are."""
    return ["127.0.0.1"]


def server_at(peer: Peer, **fields: Any) -> SmtpServer:
    usual = {"host": "smtp.relay-company.net", "mail_from": "News <news@gatehouse.net>"}
    return make_server(peer.port, **usual | fields)


def round_at(now: dt.datetime = NOW) -> int:
    return session_check.check_due(lambda: now, lambda: False, here)


def after_asking(server: SmtpServer, now: dt.datetime = NOW) -> ServerSession:
    session_check.ask([server.pk], now)
    assert round_at(now) == 1
    return ServerSession.objects.get(server=server)


def refusing(event: str, reply: bytes) -> Script:
    def script(seen: str, context: dict[str, Any]) -> Reply:
        return reply if seen == event else None

    return script


def test_a_session_stores_what_the_server_offers_and_sends_nothing(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = server_at(peer, return_path="bounces@gatehouse.net", use_return_path=True)
        found = after_asking(server)
        heard = [event["event"] for event in peer.journal.events("mail", "rcpt", "data", "message", "rset", "quit")]

    assert (found.fault, found.asked_at, found.version, found.wanted_at) == ("", NOW, server.version, None)
    assert "PIPELINING" in found.extensions.split()
    assert found.senders == {"bounces@gatehouse.net": ""}
    assert "rcpt" not in heard
    assert "data" not in heard
    assert not Message.objects.exists()
    assert not Attempt.objects.exists()
    assert not QuotaPeriod.objects.filter(used__gt=0).exists()


def test_the_envelope_sender_is_tagged_for_nobody(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        after_asking(server_at(peer, return_path="bounces@gatehouse.net", use_return_path=True))
        [mail] = [event["line"] for event in peer.journal.events("mail")]

    assert mail.startswith("MAIL FROM:<bounces+")


@pytest.mark.parametrize(
    ("event", "reply", "fields", "fault", "is_temporary"),
    [
        ("conn", b"554 5.7.1 go away", {}, "connection", False),
        ("conn", b"421 4.3.2 later", {}, "connection", True),
        ("helo", b"550 5.7.1 no", {}, "connection", False),
        ("ehlo", b"550 5.7.1 no", {"use_tls": True}, "connection", False),
        ("noop", b"", {"use_tls": True}, "tls", False),  # It offers no STARTTLS.
        ("noop", b"", {"username": "news", "password": "x"}, "tls", False),  # No password goes out in clear text.
    ],
)
def test_a_failed_step_is_stored(
    tmp_path: Path, event: str, reply: bytes, fields: dict[str, Any], fault: str, is_temporary: bool
) -> None:
    def script(seen: str, context: dict[str, Any]) -> Reply:
        is_asked = seen == event or (seen == "ehlo" and event == "helo")
        return reply if is_asked else None

    with running_peer(tmp_path, script) as peer:
        found = after_asking(server_at(peer, **fields))

    assert (found.fault, found.is_temporary) == (fault, is_temporary)
    assert found.sentence


def test_a_refused_password_is_stored_and_a_right_one_signs_in(tmp_path: Path) -> None:
    with running_peer(tmp_path, accounts={"news": "right"}, starttls=server_context()) as peer:
        fields = {"use_tls": True, "trusted_certificate": CERTIFICATE, "username": "news"}
        wrong = after_asking(server_at(peer, name="Wrong", password="wrong", **fields))
        right = after_asking(server_at(peer, name="Right", password="right", **fields))

    assert (wrong.fault, wrong.is_temporary) == ("sign-in", False)
    assert (right.fault, right.is_signed_in, right.is_encrypted) == ("", True, True)


def test_a_server_that_is_gone_is_stored_as_such(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = server_at(peer)

    assert after_asking(server).fault == "connection"


@pytest.mark.parametrize(("reply", "said"), [(b"550 5.7.1 not yours", "550"), (b"451 4.7.1 later", "")])
def test_a_refused_sender_is_stored_and_a_deferral_is_none(tmp_path: Path, reply: bytes, said: str) -> None:
    with running_peer(tmp_path, refusing("mail", reply)) as peer:
        found = after_asking(server_at(peer))

    assert found.fault == ""
    assert found.senders["news@gatehouse.net"].startswith(said)
    assert bool(found.senders["news@gatehouse.net"]) == bool(said)


def test_it_is_tried_at_most_hourly_unless_a_person_asks_again(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = server_at(peer)
        after_asking(server)
        soon = NOW + dt.timedelta(minutes=59)
        session_check.ask([server.pk], soon)
        assert round_at(soon) == 0

        session_check.ask([server.pk], soon, is_again=True)
        assert round_at(soon) == 1
        later = soon + dt.timedelta(hours=1)
        session_check.ask([server.pk], later)
        assert round_at(later) == 1


def test_an_edited_server_is_tried_anew(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = server_at(peer)
        after_asking(server)
        server.save()

        session_check.ask([server.pk], NOW)
        assert round_at() == 1


def test_one_server_is_tried_at_a_time(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        one, other = server_at(peer), server_at(peer, name="Other")
        session_check.ask([one.pk, other.pk], NOW)
        ServerSession.objects.filter(server=one).update(taken_at=NOW)  # By another worker.
        assert round_at() == 0

        assert round_at(NOW + dt.timedelta(minutes=3)) == 2  # It died.


def test_a_campaigns_own_from_is_asked_about_too(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = server_at(peer)
        found = session_check.try_server(server, NOW, ["Sale <sale@gatehouse.net>", "no address"], here)

    assert list(found.senders) == ["news@gatehouse.net", "sale@gatehouse.net"]


@pytest.mark.parametrize(
    "fields",
    [
        {"is_active": False},
        {"paused_reason": "by hand"},
        {"paused_reason": "three failures", "paused_until": NOW + dt.timedelta(minutes=1)},
        {"full_until": NOW + dt.timedelta(hours=1)},
        {"slow_factor": 0.5, "slowed_at": NOW},
        {"host": "127.0.0.1"},
    ],
)
def test_a_server_in_trouble_or_on_this_machine_is_left_alone(tmp_path: Path, fields: dict[str, Any]) -> None:
    with running_peer(tmp_path) as peer:
        server = server_at(peer)
        SmtpServer.objects.filter(pk=server.pk).update(**fields)
        session_check.ask([server.pk], NOW)

        assert round_at() == 0
        assert peer.journal.events() == []


def test_a_server_that_sends_is_left_alone_until_it_is_done(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = server_at(peer)
        lease = leases.acquire(server.pk)
        assert lease is not None
        session_check.ask([server.pk], NOW)
        assert round_at() == 0

        leases.release(lease)

        assert round_at() == 1


def test_no_secret_is_stored(tmp_path: Path) -> None:
    with running_peer(tmp_path, refusing("ehlo", b"550 hunter2-canary is no password")) as peer:
        server = server_at(peer, username="news", password="hunter2-canary")
        found = after_asking(server)

    assert "hunter2" not in f"{vars(found)}"
