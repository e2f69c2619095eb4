"""Late mail on its way to the listener for reports, over real sockets."""

import asyncio
import logging
import smtplib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from feedback.intake import store
from feedback.models import RawReport
from sandbox.late_delivery import HOST, LateDelivery, is_listening, near
from sandbox.late_mail import LateMail
from sandbox.models import SandboxMail
from smtpservers.models import SmtpServer
from tests.feedback.listener import conftest as listener
from tests.feedback.listener.conftest import TAGGED, UNSUBSCRIBE
from tests.harness.demo import free_ports
from tests.sandbox.conftest import running

server = listener.server
REPORT = LateMail("", "bounces@example.org", b"Subject: x\r\n\r\n.hello\r\n")
MAIL = (
    b"From: News <news@news.example.org>\r\nSubject: Offers\r\nMessage-ID: <1@news.example.org>\r\n"
    b"CFBL-Address: fbl@news.example.org; report=arf\r\nList-Unsubscribe: <mailto:%b>\r\n\r\nHello\r\n"
) % UNSUBSCRIBE.encode()


class Intake:
    """aiosmtpd's handler of a listener that gives these answers to RCPT, one after the other."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.taken: list[tuple[str | None, bytes | None]] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.pop(0)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append((envelope.mail_from, envelope.original_content))
        return "250 OK"

    @asynccontextmanager
    async def listening(self, port: int, host: str = HOST) -> AsyncIterator[None]:
        connections: list[SMTP] = []

        def connect() -> SMTP:
            connections.append(SMTP(self, hostname="localhost"))
            return connections[-1]

        async with await asyncio.get_running_loop().create_server(connect, host, port):
            yield
            await until(lambda: connections and all(each.transport is None for each in connections))


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.01)


def test_a_listener_that_was_away_gets_the_mail_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    intake = Intake("451 4.3.0 Later", "250 OK")

    async def deliver() -> None:
        late = LateDelivery(port, retries=(0.05,) * 100)
        late.schedule(REPORT, 0)
        await asyncio.sleep(0.1)  # It was tried in vain.
        async with intake.listening(port):
            await until(lambda: intake.taken)
        late.close()

    asyncio.run(deliver())

    assert intake.taken == [("<>", REPORT.content)]
    assert not intake.answers
    assert "dropped" not in caplog.text


def test_a_listener_on_another_address_of_this_machine_gets_the_mail_too() -> None:
    (port,) = free_ports(1)
    intake = Intake("250 OK", "250 OK")

    async def deliver() -> None:
        async with intake.listening(port, "127.0.0.2"):
            late = LateDelivery(port, host=near("127.0.0.2"), retries=())
            late.schedule(REPORT, 0)
            await until(lambda: intake.taken)
            assert await asyncio.to_thread(is_listening, port, near("127.0.0.2"))
            assert not await asyncio.to_thread(is_listening, port)
            late.close()

    asyncio.run(deliver())

    assert intake.taken == [("<>", REPORT.content)]


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.5", "192.0.2.5")])  # noqa: S104  # Only compared.
def test_a_listener_on_all_addresses_is_asked_on_loopback(host: str, asked: str) -> None:
    assert near(host) == asked


def test_a_listener_that_stays_away_or_refuses_gets_no_further_tries(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports(1)
    intake = Intake("550 5.1.1 No such address here", "250 OK")

    async def deliver() -> None:
        away, late = LateDelivery(port, retries=(0.01, 0.01)), LateDelivery(port, retries=(0.01,))
        away.schedule(REPORT, 0)
        await until(lambda: caplog.text.count("dropped") == 1)
        async with intake.listening(port):
            late.schedule(REPORT, 0)
            await until(lambda: caplog.text.count("dropped") == 2)
        away.close()
        late.close()

    asyncio.run(deliver())

    assert "ConnectionRefusedError" in caplog.text
    assert "550" in caplog.text
    assert not intake.taken


def test_what_waits_is_bounded_and_ends_with_the_process(caplog: pytest.LogCaptureFixture) -> None:
    async def deliver() -> set["asyncio.Task[None]"]:
        late = LateDelivery(1, most=2)
        for _ in range(3):
            late.schedule(REPORT, 600)
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        late.close()
        await asyncio.wait(waiting, timeout=10)
        return waiting

    waiting = asyncio.run(deliver())

    assert [task.cancelled() for task in waiting] == [True, True]
    assert caplog.messages == ["A late mail was dropped, because 2 others wait."]


def test_a_page_can_ask_whether_somebody_listens() -> None:
    (port,) = free_ports(1)

    async def ask() -> tuple[bool, bool]:
        before = await asyncio.to_thread(is_listening, port)
        async with Intake().listening(port):
            return before, await asyncio.to_thread(is_listening, port)

    assert asyncio.run(ask()) == (False, True)


ANSWERS = {
    "late-bounce.1@example.org": (TAGGED, b"report-type=delivery-status"),
    "complain.1@example.org": ("fbl@news.example.org", b"report-type=feedback-report"),
    "out-of-office.1@example.org": (TAGGED, b"Automatic reply: Offers"),
    "unsubscribe.1@example.org": (UNSUBSCRIBE, b"Subject: unsubscribe"),
}


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_the_answers_of_recipients_arrive_at_our_own_listener(
    server: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr("sandbox.listeners.LATE_SECONDS", 0)
    is_lmtp = protocol == "lmtp"
    with listener.running(tmp_path, is_lmtp=is_lmtp) as port:  # noqa: SIM117  # The late mail needs its port.
        with running(tmp_path, LateDelivery(port, is_lmtp=is_lmtp)) as sandbox:
            with smtplib.SMTP(HOST, sandbox.plain, timeout=10) as client:
                client.sendmail(TAGGED, [*ANSWERS, "ann@example.org"], MAIL)
                ours = [UNSUBSCRIBE.replace("unsub", "UNSUB"), TAGGED]  # It begins like an address that refuses.
                client.sendmail("", ours, b"Subject: probe\r\n\r\nHello\r\n")
            deadline = time.monotonic() + 20
            while RawReport.objects.count() < 6 and time.monotonic() < deadline:
                time.sleep(0.02)

    found = {(raw.envelope_to, store.content_of(raw)) for raw in RawReport.objects.all()}
    assert len(found) == 6
    for recipient, (to, words) in ANSWERS.items():
        assert any(to == where and words in content for where, content in found), recipient
    assert sum(content.endswith(b"Subject: probe\r\n\r\nHello\r\n") for _, content in found) == 2
    assert SandboxMail.objects.count() == 7


def test_mail_to_strangers_is_passed_to_nobody(
    server: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    scheduled: list[LateMail] = []
    late = LateDelivery(0)
    monkeypatch.setattr(late, "schedule", lambda mail, seconds: scheduled.append(mail))
    forged = TAGGED.replace("+", "+a")[:-1] + "x"
    with running(tmp_path, late) as sandbox, smtplib.SMTP(HOST, sandbox.plain, timeout=10) as client:
        client.sendmail(TAGGED, ["ann@example.org", forged, "postmaster@news.example.org"], MAIL)

    assert scheduled == []
