"""What a message costs in counts that no noise of the machine hides: calls, statements, log and system calls.

A margin above the count of today is small on purpose. Whoever makes a message dearer finds out here, and raises the
number only for a reason.
"""

import datetime as dt
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench.content import FIELDS, HTML, SUBJECT, TEXT
from contacts.models import Contact
from delivery.models import Mailing, Message
from delivery.outbox import claims, leases
from delivery.outbox.plan import LaneShare
from delivery.outcomes import results
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import ACCEPTED
from delivery.worker import event_loop
from delivery.worker.drain import drain
from mail.replies.reply import PlainReply
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server
from tests.harness.services import own_postgres

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[3]
PEOPLE = 1000
# On Python 3.11, without the calls of asyncio, Django and psycopg.
MOST_CALLS = 43
GROUP = 250  # Messages that are claimed and recorded together.
MOST_STATEMENTS = 27  # Of a group.
MOST_LOG_BYTES = 650
MOST_WRITES, MOST_READS = 1.1, 1.3


@contextmanager
def sink() -> Iterator[int]:
    """Give the port of a server in a process of its own that takes everything."""
    command = [sys.executable, "-m", "bench.sinks.fast"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def queue(port: int) -> None:
    make_server(
        port, max_connections=10, messages_per_connection=100_000, use_return_path=True, return_path="b@s.example"
    )
    audience = make_list(PEOPLE)
    Contact.objects.update(last_name="O'Neil", attributes=dict.fromkeys(FIELDS[2:], "Lee & Sons"))
    make_mailing(audience, subject=SUBJECT, html=HTML, text=TEXT)


def send() -> None:
    assert event_loop.run(drain(120, clock=timezone.now, idle_seconds=0.0)) == PEOPLE
    assert Message.objects.filter(status="accepted").count() == PEOPLE


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other versions of Python count calls in other ways")
def test_calls_of_a_message() -> None:
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1

    with sink() as port:
        queue(port)
        threading.setprofile(count)
        sys.setprofile(count)
        try:
            send()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    rooms = tuple(f"{ROOT}/{room}/" for room in ("delivery", "mail", "smtpservers", "contacts", "db"))
    own = Counter({name: number for name, number in calls.items() if name.startswith(rooms)})
    told = "\n".join(f"{number / PEOPLE:6.2f} {name.removeprefix(str(ROOT))}" for name, number in own.most_common(80))
    assert sum(own.values()) / PEOPLE <= MOST_CALLS, told


def test_statements_of_a_group() -> None:
    for settle in _groups():
        with CaptureQueriesContext(connection) as statements:
            settle()

    assert len(statements) <= MOST_STATEMENTS, "\n".join(one["sql"][:200] for one in statements.captured_queries)


@pytest.mark.services
def test_log_of_a_group() -> None:
    written = []
    with own_postgres():  # Others write to the log of one that is shared.
        for settle in _groups():
            before = _log_position()
            settle()
            written.append((_log_position() - before) / GROUP)

    # The least of them: after a checkpoint the log holds whole pages.
    assert 0 < min(written) <= MOST_LOG_BYTES


def _groups() -> Iterator[Callable[[], None]]:
    """Give for each group of a campaign the call that claims and records it.

    The first group is done already: it makes the rows that others add to.
    """
    queue(9)
    server, mailing, now = SmtpServer.objects.get(), Mailing.objects.get(), timezone.now()
    lease = leases.acquire(server.pk)
    assert lease is not None
    settle = partial(_settle, lease, server, LaneShare(mailing.pk, "first"), now)
    settle()
    for _ in range(PEOPLE // GROUP - 1):
        yield settle


def _settle(lease: leases.Lease, server: SmtpServer, share: LaneShare, now: dt.datetime) -> None:
    """Claim a group of messages and record that the server accepted them."""
    claimed = claims.claim(lease.token, server, share, GROUP, now)
    assert claimed is not None
    assert len(claimed) == GROUP
    told = [
        Result(
            *(claim.attempt_id, claim.message, share.mailing_id, share.stream, server.pk, claim.period_id),
            *(claim.reserved_at, ACCEPTED, "DOT", PlainReply(f"2.0.0 Ok: queued as {claim.attempt_id:X}")),
        )
        for claim in claimed
    ]
    assert results.record(lease.token, told, now)


def _log_position() -> int:
    """Return how much PostgreSQL has ever written to its log."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return int(cursor.fetchone()[0])


def test_system_calls_of_a_message(tmp_path: Path) -> None:
    told = tmp_path / "calls.txt"
    with sink() as port:
        queue(port)
        with traced(told):
            send()

    lines = [line for line in told.read_text().splitlines() if f"127.0.0.1:{port}]" in line]
    writes = sum("writev(" in line or "sendto(" in line for line in lines)
    reads = sum("recvfrom(" in line or "read(" in line for line in lines)
    assert PEOPLE <= writes <= MOST_WRITES * PEOPLE
    assert 0 < reads <= MOST_READS * PEOPLE


@contextmanager
def traced(path: Path) -> Iterator[None]:
    """Trace this process, and skip the test where that is refused."""
    calls = "trace=writev,sendto,recvfrom,read"
    command = ["strace", "-f", "-y", "-yy", "-e", calls, "-o", str(path), "-p", str(threading.get_native_id())]
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        pytest.skip(f"strace cannot be run: {error}")
    assert process.stderr is not None
    line = process.stderr.readline()
    if "attached" not in line:
        process.kill()
        process.wait()
        process.stderr.close()
        pytest.skip(f"strace is refused: {line.strip()}")
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()
