"""What a lane does with its connections: urgent mail first, fewer of them for a slowed server, a rate, a signer."""

import asyncio
import base64
import collections
import contextlib
import datetime as dt
import select
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from delivery.models import Attempt, Lane, Mailing, Message, ProviderHold
from delivery.outbox import mailings
from delivery.outbox.transactional import send_single
from delivery.outcomes import recovery, results
from delivery.records import figures
from delivery.worker.drain import drain
from mail.message.dkim import Key, Signer
from smtpservers.models import QuotaPeriod, Route, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.conversation import DROP, EXTENSIONS
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def once(number: int, act: Any) -> Any:
    """Return a script that acts when the message of that number is answered, in the peer's thread."""
    seen: list[str] = []

    def script(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "dot":
            seen.append(event)
            if len(seen) == number:
                try:
                    act()
                finally:
                    connection.close()  # This thread's own.
            time.sleep(0.01)  # So that there is a middle.
        return None

    return script


@pytest.mark.parametrize("connections", [1, 3])
def test_a_single_message_does_not_wait_behind_a_newsletter(tmp_path: Path, connections: int) -> None:
    def send_password() -> None:
        send_single(to="ann@customer.example", subject="Your password", html="<p>Here.</p>", now=timezone.now())

    with running_peer(tmp_path, once(30, send_password)) as peer:
        make_server(peer.port, max_connections=connections, rate_limit=40, rate_unit="second")
        mailing = make_mailing(make_list(160))

        run_drain(seconds=60)

        rcpts = [event["rcpt_to"] for event in peer.journal.events("rcpt")]
        # The newsletter alone takes four seconds: two of them are eighty messages.
        assert rcpts.index("ann@customer.example") < 30 + 3 * connections + 2 * 40
        assert figures.counts(mailing.pk)["accepted"] == 160


def test_a_connection_is_kept_for_what_somebody_waits_for(tmp_path: Path) -> None:
    has_come = threading.Event()
    asked: list[str] = []
    in_time: list[bool] = []

    def answer_slowly(event: str, context: dict[str, Any]) -> bytes | None:
        if event != "dot":
            return None
        if context["rcpt_to"] == "ann@customer.example":
            has_come.set()
            return None
        asked.append(context["rcpt_to"])
        if len(asked) == 1:
            send_single(to="ann@customer.example", subject="Receipt", html="<p>Here.</p>", now=timezone.now())
            connection.close()  # This thread's own.
        in_time.append(has_come.wait(20))
        return None

    with running_peer(tmp_path, answer_slowly) as peer:
        make_server(peer.port, max_connections=3)
        make_mailing(make_list(20))

        run_drain()

        assert all(in_time), "the newsletter held every connection"
        assert len(peer.accepted()) == 21


def test_what_somebody_waits_for_stays_urgent_while_its_provider_is_slow(tmp_path: Path) -> None:
    receipts = ["ann@gmail.com", "bob@gmail.com"]
    have_come = threading.Event()
    in_time: list[bool] = []

    def answer_slowly(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "dot":
            if context["rcpt_to"] == receipts[-1]:
                have_come.set()
            elif context["rcpt_to"] not in receipts:
                in_time.append(have_come.wait(20))
        return None

    now = timezone.now()
    with running_peer(tmp_path, answer_slowly) as peer:
        server = make_server(peer.port, max_connections=2)
        ProviderHold.objects.create(  # One message at a time.
            server=server, provider="google.com", placed_at=now, until=now, slow_until=now + dt.timedelta(hours=1)
        )
        make_mailing(make_list(5))
        for address in receipts:
            send_single(to=address, subject="Receipt", html="<p>Here.</p>", now=now)

        run_drain()

        assert all(in_time), "the receipt waited for a connection that the newsletter held"
        assert len(peer.accepted()) == 7


def test_every_message_waits_for_the_servers_rate(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, max_connections=5, rate_limit=20, rate_unit="second")
        make_mailing(make_list(50))

        run_drain()

        at = sorted(event["at"] for event in peer.journal.events("mail"))
        assert len(at) == 50
        most = max(sum(1 for other in at if 0 <= other - first < 0.95) for first in at)
        assert most <= 20, f"{most} messages within a second"


def test_a_slowed_server_has_half_of_its_connections(tmp_path: Path) -> None:
    now = timezone.now()
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, max_connections=6)
        SmtpServer.objects.filter(pk=server.pk).update(slow_factor=0.5, slowed_at=now)
        make_mailing(make_list(120))

        run_drain()

        assert len({event["peer"] for event in peer.journal.events("mail")}) <= 3
        assert len(peer.accepted()) == 120


def test_a_slowed_server_gives_back_what_would_wait_for_long(tmp_path: Path) -> None:
    def slow_down() -> None:
        SmtpServer.objects.filter(name="Slow").update(slow_factor=0.5, slowed_at=timezone.now(), learned_rate=4.0)

    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": "weighted"})
    with running_peer(tmp_path / "slow", once(20, slow_down)) as slow, running_peer(tmp_path / "well") as well:
        make_server(slow.port, "Slow")
        make_server(well.port, "Well")
        mailing = make_mailing(make_list(400))

        run_drain()

        # It had more in hand than the twenty that are ten seconds' work now.
        assert Attempt.objects.filter(batch__server__name="Slow", outcome="not_sent").exists()
        assert len(slow.accepted()) < 200  # Its share by weight.
        assert len(slow.accepted()) + len(well.accepted()) == 400
        assert figures.counts(mailing.pk)["accepted"] == 400


def test_a_server_that_was_paused_is_tried_with_a_single_message(tmp_path: Path) -> None:
    before_first_answer: list[str] = []

    def script(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "mail" and not peer.journal.events("answer"):
            before_first_answer.append(event)
        if event == "dot" and not peer.journal.events("answer"):
            time.sleep(0.3)  # Others would come meanwhile.
        return None

    with running_peer(tmp_path, script) as peer:
        server = make_server(peer.port, max_connections=5)
        over = timezone.now() - dt.timedelta(seconds=1)
        SmtpServer.objects.filter(pk=server.pk).update(
            failures=3, failed_at=over, paused_reason="It was silent.", paused_until=over, outage_at=over
        )
        make_mailing(make_list(60))

        run_drain()

        assert len(before_first_answer) == 1
        assert len(peer.accepted()) == 60
        server.refresh_from_db()
        assert (server.failures, server.outage_at) == (0, None)


def test_a_connection_that_ends_between_messages_is_nobodys_failure(tmp_path: Path) -> None:
    carried: collections.Counter[int] = collections.Counter()

    def close_after_three(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "answered":
            carried[context["peer"]] += 1
        return DROP if event == "mail" and carried[context["peer"]] >= 3 else None

    with running_peer(tmp_path, close_after_three) as peer:
        server = make_server(peer.port, max_connections=2)
        mailing = make_mailing(make_list(40))

        run_drain()

        assert figures.counts(mailing.pk)["accepted"] == 40
        assert set(Attempt.objects.values_list("outcome", "number")) == {("accepted", 1)}
        server.refresh_from_db()
        assert server.failures == 0


def test_a_message_that_rides_ahead_is_not_sent_once_it_must_stop(tmp_path: Path) -> None:
    """Its envelope is with the server already while the body before it is answered."""
    stopped: list[int] = []

    def pause_during_the_answer(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "dot" and not stopped:
            mailings.pause(mailing.pk)
            stopped.append(mailing.pk)
            connection.close()  # This thread's own.
            time.sleep(2.5)  # Longer than the last look is old.
        return None

    with running_peer(tmp_path, pause_during_the_answer) as peer:
        make_server(peer.port, max_connections=1)
        mailing = make_mailing(make_list(5))

        run_drain(seconds=6)

        assert len(peer.journal.events("dot")) == 1
        assert figures.counts(mailing.pk) | {"accepted": 1, "queued": 4} == figures.counts(mailing.pk)
        assert QuotaPeriod.objects.get().reserved == 0


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_signer_that_is_passed_in_signs_every_message(tmp_path: Path, kind: str) -> None:
    private = generate_private_key(65537, 2048) if kind == "rsa" else Ed25519PrivateKey.generate()
    encoding = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if kind == "rsa" else (Encoding.Raw, PublicFormat.Raw)
    record = f"v=DKIM1; k={kind}; p=".encode() + base64.b64encode(private.public_key().public_bytes(*encoding))
    asked: list[tuple[str, str]] = []

    def signer_for(mailing: Mailing, server: SmtpServer) -> Signer:
        asked.append((mailing.name, server.name))
        return Signer("shop.example", [Key("s1", private)])

    with running_peer(tmp_path) as peer:
        make_server(peer.port, max_connections=5)
        make_mailing(make_list(40))

        asyncio.run(drain(20, clock=timezone.now, idle_seconds=0.2, signer_for=signer_for))

        assert asked == [("Winter", "Alpha")]
        assert len(peer.bodies) == 40
        assert all(dkim.verify(content, dnsfunc=lambda *_, **__: record) for _, content in peer.bodies)


def test_what_cannot_be_signed_ends_by_itself_and_unsigned_mail_never_leaves(tmp_path: Path) -> None:
    class Fails(Signer):
        def __call__(self, message: bytes) -> bytes:
            if b"To: person3." in message:
                raise ValueError("no ink")
            return super().__call__(message)

    signer = Fails("shop.example", [Key("s1", generate_private_key(65537, 2048))])

    with running_peer(tmp_path) as peer:
        make_server(peer.port, max_connections=5)
        mailing = make_mailing(make_list(9))

        asyncio.run(drain(20, clock=timezone.now, idle_seconds=0.2, signer_for=lambda *_: signer))

        assert figures.counts(mailing.pk) | {"accepted": 8, "failed": 1} == figures.counts(mailing.pk)
        assert "it could not be signed (no ink)" in Message.objects.get(status="failed").reason
        assert all(content.startswith(b"DKIM-Signature:") for _, content in peer.bodies)
        assert len(peer.bodies) == 8


@pytest.mark.parametrize(
    ("pipelining", "extensions", "ahead"),
    [
        ("look-ahead", EXTENSIONS, True),
        ("pipelined", EXTENSIONS, False),
        ("steps", EXTENSIONS, False),
        ("look-ahead", ("SIZE 10000000",), False),
    ],
)
def test_the_next_envelope_rides_ahead_only_where_both_sides_want_it(
    tmp_path: Path, pipelining: str, extensions: tuple[str, ...], ahead: bool
) -> None:
    with raw_server(extensions) as (port, behind_dots):
        make_server(port, max_connections=1, pipelining=pipelining)
        make_mailing(make_list(6))

        run_drain()

        ridden = [rest.startswith(b"MAIL FROM:<") and rest.endswith(b"DATA\r\n") for rest in behind_dots]
        assert ridden == [ahead] * 5 + [False]
        assert Message.objects.filter(status="accepted").count() == 6


@contextlib.contextmanager
def raw_server(extensions: tuple[str, ...]) -> Iterator[tuple[int, list[bytes]]]:
    """Run a server that keeps what arrives behind each final dot before it is answered."""
    behind_dots: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 raw\r\n")
            unread, in_body = b"", False
            while received := self.request.recv(1 << 20):
                unread += received
                while (end := unread.find(b"\r\n.\r\n" if in_body else b"\n")) >= 0:
                    if in_body:
                        unread, in_body = unread[end + 5 :], False
                        if select.select([self.request], [], [], 0.05)[0]:
                            unread += self.request.recv(1 << 20)
                        behind_dots.append(unread)
                        self.request.sendall(b"250 2.0.0 queued\r\n")
                        continue
                    line, unread = unread[: end + 1], unread[end + 1 :]
                    in_body = line.startswith(b"DATA")
                    self.request.sendall(self.reply(line))

        def reply(self, line: bytes) -> bytes:
            if line.startswith(b"EHLO"):
                return b"250-raw\r\n" + b"".join(b"250-%s\r\n" % word.encode() for word in extensions) + b"250 HELP\r\n"
            return b"354 go on\r\n" if line.startswith(b"DATA") else b"250 ok\r\n"

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_address[1], behind_dots
        finally:
            server.shutdown()


def test_a_group_that_could_not_be_recorded_as_the_lane_ended_is_settled_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, asked = results.record, []

    def fail_late(*args: Any) -> bool:
        asked.append(args)
        if len(asked) == 1:
            time.sleep(0.5)  # Meanwhile nothing is left to do, and the lane ends.
            raise OperationalError("the database went away")
        return record(*args)

    monkeypatch.setattr(results, "record", fail_late)
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(5))
        run_drain(seconds=10)

    assert asked
    assert figures.counts(mailing.pk)["accepted"] == 0
    Lane.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    recovery.sweep(timezone.now() + dt.timedelta(seconds=settings.LEASE_SECONDS + 1))
    assert figures.counts(mailing.pk)["accepted"] == 5


def test_what_a_server_says_it_takes_is_remembered(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        make_mailing(make_list(1))
        run_drain(seconds=10)

    server.refresh_from_db()
    assert server.max_message_bytes == 10_000_000
