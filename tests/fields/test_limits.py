"""The limits beside the month's: caps of the hour and the day, the rate, how far commands go ahead, and the weight."""

import datetime as dt
import socket
import threading
from typing import Any

import pytest
from django.utils import timezone

from delivery.models import Mailing, Message
from delivery.operators.send_test import SendTestRefused
from smtpservers.limits import rate_limiter, reservations
from smtpservers.models import Route, UsageEntry
from tests.fields.bench import Bench
from tests.fields.test_quota import PEOPLE, write_usage

NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("field", "words", "length"),
    [
        ("max_per_hour", "has sent its 3 of this hour", dt.timedelta(hours=1)),
        ("max_per_day", "has sent its 3 of this day", dt.timedelta(days=1)),
    ],
)
def test_what_is_over_the_cap_waits_until_the_window_has_passed(
    bench: Bench, field: str, words: str, length: dt.timedelta
) -> None:
    bench.save(**{field: "3"})
    mailing = bench.queue(*PEOPLE)

    arrived = [len(bench.drain(clock=lambda: NOON))]
    mailing.refresh_from_db()
    free_at = mailing.waiting_until
    assert free_at is not None
    arrived += [
        len(bench.drain(clock=lambda now=now: now))
        for now in (NOON + length, free_at - dt.timedelta(seconds=1), free_at)
    ]

    assert arrived == [3, 0, 0, 2]
    # Freed by the minute in an hour, by the quarter of an hour in a day.
    assert free_at - NOON - length in (dt.timedelta(minutes=1), dt.timedelta(minutes=15))
    assert mailing.waiting_reason == (
        f"No server can send this now: Server 1 {words} until {free_at:%d %B %Y %H:%M} UTC."
    )
    assert Message.objects.filter(status="accepted").count() == 5


def test_a_cap_counts_what_was_sent_before_it_was_set(bench: Bench) -> None:
    bench.save()
    bench.campaign(*PEOPLE[:2])

    bench.edit(bench.server, max_per_day="3")
    arrived = bench.campaign(*PEOPLE[2:], list_name="Others")

    assert len(arrived) == 1
    assert Message.objects.filter(status="queued").count() == 2


def test_a_cap_counts_copies_and_tests_and_a_test_is_refused_with_the_reason(bench: Bench) -> None:
    bench.save(max_per_hour="4", mail_cc="boss@shop.example")

    bench.test()
    bench.campaign(*PEOPLE)

    assert len(bench.peer.accepted()) == 4
    with pytest.raises(SendTestRefused, match=r"Server 1 has sent its 4 of this hour until .* UTC\."):
        bench.test()


def test_a_cap_that_is_raised_or_removed_lets_the_rest_go(bench: Bench) -> None:
    bench.save(max_per_hour="2", max_per_day="3")
    bench.queue(*PEOPLE)

    arrived = [len(bench.drain())]
    bench.edit(bench.server, max_per_hour="0")
    arrived.append(len(bench.drain()))
    bench.edit(bench.server, max_per_day="")
    arrived.append(len(bench.drain()))

    assert arrived == [2, 1, 2]
    assert reservations.standings(timezone.now()) == {}


def test_a_server_at_its_cap_is_passed_over_for_the_next(bench: Bench) -> None:
    bench.save(max_per_hour="3", display_order="10")
    other = bench.start_peer()
    bench.save(port=str(other.port), display_order="20")

    bench.campaign(*PEOPLE)

    assert (len(bench.peer.accepted()), len(other.accepted())) == (3, 2)


def test_a_refusal_gives_the_unit_of_the_cap_back(bench: Bench) -> None:
    def refuse_the_first(event: str, context: dict[str, Any]) -> bytes | None:
        is_first = event == "dot" and context["rcpt_to"].startswith("person0")
        return b"554 5.7.1 looks like spam" if is_first else None

    bench.peer = bench.start_peer(refuse_the_first)
    bench.save(max_per_hour="4")

    bench.campaign(*PEOPLE)

    assert len(bench.peer.accepted()) == 4


def test_the_ledger_of_years_does_not_make_a_cap_smaller(bench: Bench) -> None:
    bench.save()
    now = timezone.now()
    write_usage(bench, now - dt.timedelta(days=2), 1000)
    UsageEntry.objects.bulk_create(
        UsageEntry(server=bench.server, quarter_at=NOON - dt.timedelta(days=365, minutes=15 * number), units=3)
        for number in range(500)
    )

    bench.edit(bench.server, max_per_hour="3", max_per_day="4")

    assert len(bench.campaign(*PEOPLE)) == 3


@pytest.mark.parametrize(("unit", "rate", "least_seconds"), [("second", 5, 0.7), ("minute", 300, 0.7)])
def test_messages_leave_no_faster_than_the_rate(bench: Bench, unit: str, rate: int, least_seconds: float) -> None:
    bench.save(rate_limit=str(rate), rate_unit=unit)

    bench.campaign(*PEOPLE)

    began = [event["at"] for event in bench.peer.journal.events("mail")]
    assert len(began) == 5
    # Four intervals of a fifth of a second. How late a busy machine is says nothing against it.
    assert max(began) - min(began) > least_seconds


def test_a_server_without_a_rate_learns_one_when_it_says_too_fast(bench: Bench) -> None:
    def complain_of_the_last(event: str, context: dict[str, Any]) -> bytes | None:
        is_last = event == "dot" and context["rcpt_to"].startswith("person4")
        return b"454 4.7.0 Throttling failure: Maximum sending rate exceeded" if is_last else None

    bench.peer = bench.start_peer(complain_of_the_last)
    server = bench.save(max_connections="1")

    bench.campaign(*PEOPLE)
    server.refresh_from_db()
    allowance = rate_limiter.effective(server, timezone.now())

    assert server.learned_rate is not None
    assert allowance == rate_limiter.Allowance(1, server.learned_rate / 2)
    assert 0 < server.learned_rate <= 5  # Five were answered within a second, or within more.


class Talker(threading.Thread):
    """An SMTP server that offers PIPELINING and holds its answers back, to see what comes without them."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.is_pipelined = self.is_ahead = False
        self._got = b""
        self._line: socket.socket

    def run(self) -> None:
        self._line, _ = self._socket.accept()
        self._line.sendall(b"220 ready\r\n")
        bodies = 0
        while line := self._next(b"\r\n"):
            verb = line[:4].upper()
            if verb == b"MAIL" and not bodies:
                self.is_pipelined = self._comes_more()
            if verb == b"DATA":
                self._line.sendall(b"354 go on\r\n")
                self._next(b"\r\n.\r\n")
                self.is_ahead = self.is_ahead or (not bodies and self._comes_more())
                bodies += 1
            self._line.sendall(b"250-here\r\n250 PIPELINING\r\n" if verb == b"EHLO" else b"250 ok\r\n")
        self._line.close()
        self._socket.close()

    def _next(self, end: bytes) -> bytes:
        while end not in self._got:
            if not (more := self._line.recv(65536)):
                return b""
            self._got += more
        found, _, self._got = self._got.partition(end)
        return found

    def _comes_more(self) -> bool:
        """Tell whether a command comes while its predecessor has no answer."""
        self._line.settimeout(0.3)
        try:
            while b"\r\n" not in self._got:
                self._got += self._line.recv(65536)
        except TimeoutError:
            return False
        finally:
            self._line.settimeout(None)
        return True


@pytest.mark.parametrize(
    ("mode", "is_pipelined", "is_ahead"),
    [("look-ahead", True, True), ("pipelined", True, False), ("steps", False, False)],
)
def test_commands_go_as_far_ahead_as_the_field_says(
    bench: Bench, mode: str, is_pipelined: bool, is_ahead: bool
) -> None:
    server = Talker()
    server.start()
    bench.save(port=str(server.port), pipelining=mode, max_connections="1")

    bench.queue(*PEOPLE[:3])
    bench.drain()
    server.join(20)

    assert (server.is_pipelined, server.is_ahead) == (is_pipelined, is_ahead)
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


@pytest.mark.parametrize(("weight", "share"), [("3", 75), ("1", 50)])
def test_the_weight_is_a_servers_share_of_the_mail(bench: Bench, weight: str, share: int) -> None:
    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": Route.Strategy.WEIGHTED})
    bench.save(weight=weight)
    other = bench.start_peer()
    bench.save(port=str(other.port), weight="1")

    bench.campaign(*(f"person{number}@customer.example" for number in range(100)))

    first, second = len(bench.peer.accepted()), len(other.accepted())
    assert first + second == 100
    assert abs(first - share) <= 1
    assert not Mailing.objects.get().waiting_reason
