"""Servers that hang, drip, lie and never end: they cost a worker seconds and memory that are bounded."""

import base64
import itertools
import threading
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings

from feedback.mailboxes import guarded_socket, poll, turn
from feedback.models import Mailbox, RawReport
from mail import verp
from tests.feedback.mailboxes.conftest import NOW
from tests.peers.mailbox import Answer, MailboxPeer

PASSWORD = "s3cret-canary"
TO = verp.tagged("bounces@news.example.org", 1, 1, settings.TOKEN_KEYS)
Polled = Callable[[MailboxPeer], Mailbox]


@pytest.fixture
def polled(db: None) -> Polled:
    def run(peer: MailboxPeer) -> Mailbox:
        with peer.running() as port:
            mailbox = Mailbox.objects.create(
                name="Hostile",
                protocol=peer.protocol,
                host="localhost",
                port=port,
                security="tls" if peer.has_tls else "starttls",
                trusted_certificate=peer.ca_pem,
                username="ann",
                password=PASSWORD,
            )
            assert poll.poll(mailbox.pk, lambda: NOW)
        mailbox.refresh_from_db()
        return mailbox

    return run


def dripped() -> Iterator[bytes]:
    while True:  # Until the client goes away.
        yield b"* OK "
        threading.Event().wait(0.05)


HUGE = b"x" * 1_000_000
LINE = b"1 " + b"x" * 200 + b"\r\n"
SENSELESS: dict[str, tuple[str, str, Callable[[], Answer], str]] = {
    "silence": ("imap", "SELECT", lambda: b"", "The server didn't answer in time."),
    "silence at once": ("imap", "greeting", lambda: b"", "The server didn't answer in time."),
    "drops": ("imap", "SELECT", dripped, "The server took too long in total."),
    "lines": ("imap", "FETCH", lambda: itertools.repeat(b"* OK " + b"x" * 60_000 + b"\r\n"), "lines without end"),
    "a line": ("imap", "FETCH", lambda: itertools.repeat(b"x" * 60_000), "lines without end"),
    "literals": (
        "imap",
        "FETCH",
        lambda: itertools.repeat(b"* 1 FETCH (BODY[] {1000000}\r\n" + HUGE + b")\r\n"),
        "The server sent far more than it was asked for.",
    ),
    "a literal": ("imap", "FETCH", lambda: b"* 1 FETCH (BODY[] {99999999999}\r\n", "far larger than"),
    "nesting": ("imap", "FETCH", lambda: b"* 1 FETCH " + b"(" * 9_000 + b"\r\nTAG OK done\r\n", "couldn't be read."),
    "digits": (
        "imap",
        "FETCH",
        lambda: b"* 1 FETCH (UID " + b"9" * 9_000 + b")\r\nTAG OK done\r\n",
        "Server replied: ",
    ),
    "garbage": ("imap", "SELECT", lambda: b"\x00\xff\xfe {} [[[\r\n", "Server replied: "),
    "goodbye": ("imap", "SELECT", lambda: b"* BYE see you\r\n", "Server replied: "),
    "no numbers": ("imap", "SELECT", lambda: b"* 1 EXISTS\r\nTAG OK done\r\n", "(UIDVALIDITY)"),
    "POP3 silence": ("pop3", "UIDL", lambda: b"", "The server didn't answer in time."),
    "POP3 lines": (
        "pop3",
        "UIDL",
        lambda: itertools.chain([b"+OK\r\n"], itertools.repeat(LINE * 500)),
        "end",
    ),
    "a POP3 line": ("pop3", "TOP", lambda: itertools.chain([b"+OK\r\n"], itertools.repeat(HUGE)), "without end"),
    "POP3 garbage": ("pop3", "UIDL", lambda: b"\x00\xff\r\n", "(UIDL)"),
    "POP3 end": ("pop3", "LIST", lambda: b"-ERR [SYS/TEMP] no\r\n", "Server replied: [SYS/TEMP] no"),
}


@pytest.mark.parametrize("kind", SENSELESS)
def test_a_server_without_end_or_sense_is_left(polled: Polled, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if "silence" in kind.lower():
        monkeypatch.setattr(guarded_socket, "STEP_SECONDS", 0.3)
    if kind == "drops":
        monkeypatch.setattr(turn, "SECONDS", 1.0)
    protocol, command, answer, sentence = SENSELESS[kind]
    tracemalloc.start()

    mailbox = polled(MailboxPeer(protocol, {command: answer()}))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sentence in mailbox.last_error
    assert PASSWORD not in mailbox.last_error
    assert mailbox.failures == 1
    assert peak < 160_000_000
    assert not RawReport.objects.exists()


STRIPPED = {
    "STARTTLS is not offered": ("imap", b"* OK [CAPABILITY IMAP4rev1] ready\r\n", {}),
    "STARTTLS is refused": ("imap", b"* OK hello\r\n", {"STARTTLS": b"TAG NO not now\r\n"}),
    "a greeting skips the sign-in": ("imap", b"* PREAUTH welcome\r\n", {}),
    "an answer is slipped in before TLS": (
        "imap",
        b"* OK hello\r\n",
        {"STARTTLS": b"TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"},
    ),
    "STLS is refused": ("pop3", b"+OK ready\r\n", {"STLS": b"-ERR what\r\n"}),
}


@pytest.mark.parametrize("how", STRIPPED)
def test_no_password_is_said_where_encryption_was_stripped(polled: Polled, how: str) -> None:
    protocol, greeting, answers = STRIPPED[how]
    peer = MailboxPeer(protocol, {"greeting": greeting, **answers}, has_tls=False)

    mailbox = polled(peer)

    assert mailbox.last_error
    assert not any(PASSWORD.encode() in line or b"LOGIN" in line or b"PASS" in line for line in peer.told)


def test_numbers_with_enormous_gaps_are_passed_in_a_few_steps(polled: Polled) -> None:
    answers = {
        "SELECT": b"* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 4294967295] ok\r\nTAG OK done\r\n",
        "SEARCH": b"* SEARCH\r\nTAG OK done\r\n",
    }
    peer = MailboxPeer("imap", answers)

    mailbox = polled(peer)

    assert (mailbox.last_error, mailbox.last_uid) == ("", 4294967294)
    assert sum(b"SEARCH" in line for line in peer.told) < 10


ECHOES = {
    "IMAP": ("imap", {"LOGIN": f"TAG NO LOGIN ann {PASSWORD} refused\r\n".encode()}),
    "IMAP later": ("imap", {"SELECT": f"TAG NO {base64.b64encode(PASSWORD.encode()).decode()} again?\r\n".encode()}),
    "POP3": ("pop3", {"PASS": f"-ERR PASS {PASSWORD} is wrong\r\n".encode()}),
    "POP3 at the end of what is shown": ("pop3", {"PASS": f"-ERR {'x' * 290} {PASSWORD} is wrong\r\n".encode()}),
}


@pytest.mark.parametrize("how", ECHOES)
def test_a_password_that_a_server_repeats_is_not_shown(polled: Polled, how: str) -> None:
    protocol, answers = ECHOES[how]

    mailbox = polled(MailboxPeer(protocol, answers))

    assert "…" in mailbox.last_error
    assert not any(
        each in mailbox.last_error
        for each in (PASSWORD, PASSWORD[:6], base64.b64encode(PASSWORD.encode())[:8].decode())
    )


BODY = f"Return-Path: <>\r\nTo: {TO}\r\nSubject: Undelivered\r\n\r\nIt did not arrive.\r\n"
ENDS = {
    "IMAP without end": ("imap", {"LOGOUT": itertools.repeat(b"* OK " + b"x" * 60_000 + b"\r\n")}),
    "IMAP in a muddle": ("imap", {"LOGOUT": b"TAG BAD what\r\n"}),
    "POP3 without end": ("pop3", {"QUIT": itertools.repeat(HUGE)}),
    "POP3 in a muddle": ("pop3", {"QUIT": b"-ERR what\r\n"}),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_session_that_ends_badly_loses_nothing_that_was_read(polled: Polled, how: str) -> None:
    protocol, last = ENDS[how]
    if protocol == "imap":
        mail = f"* 1 FETCH (UID 1 RFC822.SIZE {len(BODY)} BODY[] {{{len(BODY)}}}\r\n{BODY})\r\nTAG OK done\r\n"
        answers = {"FETCH": mail.encode()}
    else:
        answers = dict.fromkeys(("TOP", "RETR"), f"+OK\r\n{BODY}.\r\n".encode())

    mailbox = polled(MailboxPeer(protocol, {**answers, **last}))

    assert (mailbox.failures, mailbox.mail_count) == (0, 1)
    assert RawReport.objects.count() == 1
    assert ("didn't end in order" in mailbox.last_error) == (protocol == "pop3")
