"""Submission servers that misbehave, each in one way: what becomes of the messages, of the server, and of the others.

All of them misbehave at once, in one run of the engine, and each test looks at one of them. A server serves only
the From domain of its row, and where the row says so a healthy one stands behind it. Time that must pass, as after a
greylisting, passes on the clock that the engine is given.
"""

import datetime as dt
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.test import override_settings
from django.utils import timezone

from contacts.models import Suppression
from delivery.models import Mailing, Message
from delivery.outcomes import recovery
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.harness import empty_tables
from tests.harness.judge import Event, judge_account, most_on_one_connection, most_open, wrong_bytes
from tests.peers.conversation import DROP, RESET, SILENT, STALL, Script, in_pieces, late
from tests.peers.misbehaving import ENDLESS, NONSENSE, at, chaotic, cut, greylisting, idle_closing, limited, to, well
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db  # The database is asked in the fixture alone.

PEOPLE = 5
PATIENCE_SECONDS = 2  # Of the engine for every answer. Other tests may keep the processors busy for a second.
LARGE = "Большое письмо, которое не поместится в буферы ядра.\n" * 35_000  # Some 4 MB as it leaves.
# How far the clock goes on between two runs of the engine, in minutes: past every pause and back-off.
WAITS = (0, 1, 6, 12, 24, 40, 70, 130, 250, 250, 250, 300)
GARBAGE_FOR_TLS = (b"220 go ahead\r\n", b"\x15\x03\x01\x00\x02\x02\x28", DROP)  # An alert: handshake failure.


@dataclass(frozen=True)
class Outcome:
    """What became of a row, as plain values."""

    statuses: Counter[str]
    problems: dict[str, Any]  # What the judge found wrong.
    events: list[Event]  # At the misbehaving server.
    helper: list[Event]  # At the healthy one behind it.
    bodies: list[bytes]
    server: SmtpServer
    reasons: set[str]
    suppressed: int

    def count(self, name: str, code: int | None = None) -> int:
        return sum(1 for e in self.events if e["event"] == name and (code is None or e.get("code") == code))


Check = Callable[[Outcome], object]


@dataclass(frozen=True)
class Row:
    """One way to misbehave, and what must become of it."""

    name: str
    script: Callable[[], Script]
    statuses: Mapping[str, int] = field(default_factory=lambda: {"accepted": PEOPLE})
    is_helped: bool = False  # Whether a healthy server stands behind it.
    unconfirmed: int = 0  # At most so many of the accepted may instead be unconfirmed.
    suppressed: int = 0
    checks: tuple[Check, ...] = ()
    server: Mapping[str, Any] = field(default_factory=dict)
    peer: Mapping[str, Any] = field(default_factory=dict)
    mailing: Mapping[str, Any] = field(default_factory=dict)
    people: int = PEOPLE
    is_deaf: bool = False  # Nobody listens at the port.
    is_tls: bool = False  # The server must be spoken to in TLS; its peer has a good certificate.
    is_tls_bad: bool = False  # … one that nobody vouches for.


# --- what a row may ask for beside the statuses


def heard(*names: str) -> Check:
    def check(outcome: Outcome) -> None:
        for name in names:
            assert outcome.count(name), f"the server was never told {name}"

    return check


def never_heard(*names: str) -> Check:
    def check(outcome: Outcome) -> None:
        assert [event for event in outcome.events if event["event"] in names] == []

    return check


def helper_took_all(outcome: Outcome) -> None:
    assert Counter(e["code"] for e in outcome.helper if e["event"] == "answer") == {250: PEOPLE}


def paused_for_good(outcome: Outcome) -> None:
    """A person must look at it."""
    assert outcome.server.paused_reason
    assert outcome.server.paused_until is None
    assert outcome.server.is_active, "the operator's own switch is never touched"


def at_fault(outcome: Outcome) -> None:
    """Three failures in a row open the breaker; until then they are counted."""
    assert outcome.server.paused_reason
    assert outcome.server.failures >= 3
    assert outcome.server.is_active


def not_paused(outcome: Outcome) -> None:
    assert outcome.server.paused_reason == ""


def says(words: str) -> Check:
    def check(outcome: Outcome) -> None:
        assert any(words in reason for reason in outcome.reasons), outcome.reasons

    return check


def server_says(words: str) -> Check:
    def check(outcome: Outcome) -> None:
        assert words in outcome.server.paused_reason + outcome.server.full_reason

    return check


def took(number: int) -> Check:
    def check(outcome: Outcome) -> None:
        assert outcome.count("answer", 250) == number

    return check


def at_most_open(number: int) -> Check:
    return lambda outcome: _assert_at_most(most_open(outcome.events), number)


def at_most_on_one(number: int) -> Check:
    return lambda outcome: _assert_at_most(most_on_one_connection(outcome.events), number)


def _assert_at_most(found: int, most: int) -> None:
    assert 0 < found <= most


def tried_again(name: str) -> Check:
    """The command was said more often than there are people: once more for each that was turned away."""

    def check(outcome: Outcome) -> None:
        assert outcome.count(name) > PEOPLE

    return check


def proper_bytes(outcome: Outcome) -> None:
    assert outcome.bodies
    for body in outcome.bodies:
        assert wrong_bytes(body) == []


def proper_ascii(outcome: Outcome) -> None:
    assert outcome.bodies
    assert all(body.isascii() for body in outcome.bodies)


SIGNED = {"username": "ann", "password": "pencil"}
HELPED: dict[str, Any] = {"is_helped": True}
SMALL_BUFFER = {"receive_buffer": 4096}
ONE: dict[str, Any] = {"people": 1, "statuses": {"accepted": 1}}

ROWS = (
    # It cannot be reached, or does not let us in.
    Row("refuses connections", well, **HELPED, is_deaf=True, checks=(helper_took_all, at_fault)),
    Row("resets connections", lambda: at("conn", RESET), **HELPED, checks=(helper_took_all, at_fault)),
    Row("never speaks", lambda: at("conn", SILENT), **HELPED, checks=(helper_took_all, at_fault, heard("conn"))),
    Row("closes after the banner", lambda: at("ehlo", DROP), **HELPED, checks=(helper_took_all, at_fault)),
    # It loses the line.
    Row("closes at STARTTLS twice", lambda: at("starttls", DROP, 2), is_tls=True, checks=(took(PEOPLE),)),
    Row("closes at AUTH twice", lambda: at("auth", DROP, 2), server=SIGNED, checks=(took(PEOPLE),)),
    Row("resets after MAIL twice", lambda: at("mail", RESET, 2), checks=(tried_again("mail"),)),
    Row("resets after RCPT twice", lambda: at("rcpt", RESET, 2), checks=(tried_again("mail"),)),
    Row("resets after DATA twice", lambda: at("data", RESET, 2), checks=(tried_again("mail"),)),
    # With the message in one write with its dot, nobody can know; it is never sent twice.
    Row("closes at the first byte twice", lambda: cut(lambda size: 1, times=2), unconfirmed=2),
    Row("closes in the middle twice", lambda: cut(lambda size: size // 2, times=2), unconfirmed=2),
    Row("closes before the dot twice", lambda: cut(lambda size: size, times=2), unconfirmed=2),
    # A message whose dot the kernel cannot have taken yet is sent again.
    Row(
        "resets in the middle of a large message",
        lambda: cut(lambda size: 1, RESET, times=1),
        **ONE,
        mailing={"text": LARGE, "html": ""},
        peer=SMALL_BUFFER,
        checks=(took(1),),
    ),
    Row("resets at the dot", lambda: to("person1.", "dot", RESET), {"accepted": 4, "unconfirmed": 1}),
    # Answers that come late, in pieces, or before a close.
    Row("closes after each 250", lambda: idle_closing(1), checks=(took(PEOPLE),)),
    Row("answers in ten packets", lambda: at("dot", in_pieces(b"250 2.0.0 queued\r\n", 10))),
    Row("answers late and in time", lambda: at("dot", late(0.5, b"250 2.0.0 queued"))),
    Row(
        "never answers one dot",
        lambda: to("person1.", "dot", SILENT),
        {"accepted": 4, "unconfirmed": 1},
        checks=(says("silent"),),
    ),
    # It is slow on purpose.
    Row(
        "drips its banner",
        lambda: at("conn", in_pieces(b"220 slow.example\r\n", 18, 0.3)),
        **HELPED,
        checks=(helper_took_all, at_fault),
    ),
    Row("drips a reply twice", lambda: at("rcpt", in_pieces(b"250 2.1.5 ok\r\n", 14, 0.3), 2)),
    Row(
        "stops reading in a large message",
        lambda: at("body", STALL, 1),
        **ONE,
        mailing={"text": LARGE, "html": ""},
        peer=SMALL_BUFFER,
        checks=(took(1),),
    ),
    # It talks nonsense.
    *(Row(f"says {what} for a reply", lambda reply=reply: at("rcpt", reply, 1)) for what, reply in NONSENSE.items()),
    *(
        Row(
            f"says {what} after the dot",
            lambda reply=reply: to("person1.", "dot", reply),
            {"accepted": 4, "unconfirmed": 1},
        )
        for what, reply in NONSENSE.items()
        if what not in ("two codes in one reply", "endless lines")
    ),
    Row("greets EHLO with endless lines", lambda: at("ehlo", (ENDLESS,)), **HELPED, checks=(helper_took_all, at_fault)),
    Row("says 354 to MAIL", lambda: at("mail", b"354 go on", 1)),
    Row("says 250 to DATA", lambda: at("data", b"250 2.0.0 ok", 1)),
    Row("says 250 after each 250", lambda: at("dot", b"250 2.0.0 queued\r\n250 2.0.0 again\r\n", 3)),
    Row("says 550 after each 250", lambda: at("dot", b"250 2.0.0 queued\r\n550 5.1.1 No such user\r\n", 3)),
    Row(
        "says 550 a little after each 250",
        lambda: at("dot", (b"250 2.0.0 queued\r\n", 0.03, b"550 5.1.1 No such user\r\n"), 3),
    ),
    Row("says 250 twice to RCPT", lambda: at("rcpt", b"250 2.1.5 ok\r\n250 2.1.5 ok\r\n", 1)),
    # It ends the conversation.
    Row("greets with 421 twice", lambda: at("conn", b"421 4.3.2 Too busy", 2), checks=(took(PEOPLE),)),
    Row("says 421 to a MAIL", lambda: at("mail", b"421 4.3.2 Closing", 1, after=2), checks=(took(PEOPLE),)),
    Row("says 421 to a RCPT", lambda: at("rcpt", b"421 4.3.2 Closing", 1, after=2), checks=(took(PEOPLE),)),
    Row(
        "says 421 to a dot twice", lambda: at("dot", b"421 4.3.2 Closing", 2), checks=(took(PEOPLE), tried_again("dot"))
    ),
    # Not now.
    Row("greylists", greylisting, checks=(took(PEOPLE), tried_again("rcpt"), not_paused)),
    Row(
        "says 452 to two", lambda: at("rcpt", b"452 4.2.1 Too much mail just now", 2), checks=(took(PEOPLE), not_paused)
    ),
    Row(
        "says 451 to two dots",
        lambda: at("dot", b"451 4.3.0 Local error in processing", 2),
        checks=(took(PEOPLE), not_paused),
    ),
    Row(
        "throttles the rate",
        lambda: at("mail", b"454 4.7.0 Throttling failure: Maximum sending rate exceeded.", 1),
        checks=(took(PEOPLE),),
    ),
    Row(
        "says its day is over",
        lambda: at("dot", b"454 4.7.0 Throttling failure: Daily message quota exceeded.", after=2),
        **HELPED,
        checks=(took(2), server_says("Daily message quota exceeded")),
    ),
    # Never.
    Row(
        "has a full mailbox",
        lambda: to("person1.", "rcpt", b"552 5.2.2 Mailbox full"),
        {"accepted": 4, "bounced": 1},
        checks=(not_paused,),
    ),
    Row(
        "knows nobody, in three lines",
        lambda: to(
            "person1.", "rcpt", b"550-5.1.1 The mailbox you asked for\r\n550-5.1.1 does\r\n550 5.1.1 not exist\r\n"
        ),
        {"accepted": 4, "bounced": 1},
        suppressed=1,
        checks=(not_paused,),
    ),
    Row(
        "bounces with a 4.x.x code",
        lambda: to("person1.", "rcpt", b"550 4.4.7 It is no use"),
        {"accepted": 4, "bounced": 1},
        checks=(not_paused,),
    ),
    Row(
        "dislikes a content",
        lambda: to("person1.", "dot", b"554 5.7.1 Refused as spam"),
        {"accepted": 4, "failed": 1},
        checks=(not_paused,),
    ),
    Row(
        "says 'unknown user' to MAIL",
        lambda: at("mail", b"550 5.1.1 Unknown user"),
        **HELPED,
        checks=(helper_took_all, never_heard("dot")),
    ),
    # Limits of a connection.
    Row("421 after two on a connection", lambda: limited(2, b"421 4.7.0 Closing"), checks=(took(PEOPLE),)),
    Row(
        "451 after two on a connection",
        lambda: limited(2, b"451 4.7.0 Too many messages per connection"),
        checks=(took(PEOPLE),),
    ),
    Row("closes after two on a connection", lambda: idle_closing(2), checks=(took(PEOPLE), at_most_on_one(3))),
    Row(
        "is sent two on a connection",
        well,
        people=24,
        statuses={"accepted": 24},
        server={"messages_per_connection": 2},
        checks=(at_most_on_one(2), at_most_open(3)),
    ),
    Row(
        "has one connection",
        well,
        people=24,
        statuses={"accepted": 24},
        server={"max_connections": 1},
        checks=(at_most_open(1),),
    ),
    # TLS.
    Row(
        "offers no STARTTLS",
        well,
        **HELPED,
        server={"use_tls": True},
        checks=(helper_took_all, never_heard("mail", "auth")),
    ),
    Row(
        "takes STARTTLS back",
        lambda: at("starttls", b"454 4.7.0 TLS not available"),
        **HELPED,
        is_tls=True,
        checks=(helper_took_all, never_heard("mail", "auth")),
    ),
    Row(
        "breaks the handshake off",
        lambda: at("starttls", GARBAGE_FOR_TLS),
        **HELPED,
        is_tls=True,
        checks=(helper_took_all, never_heard("mail", "auth")),
    ),
    Row(
        "has a certificate of its own making",
        well,
        **HELPED,
        is_tls=True,
        is_tls_bad=True,
        server=SIGNED,
        checks=(helper_took_all, never_heard("mail", "auth"), paused_for_good),
    ),
    # Signing in.
    Row(
        "offers no mechanism",
        well,
        **HELPED,
        server=SIGNED,
        peer={"extensions": ("PIPELINING",)},
        checks=(helper_took_all, never_heard("mail"), paused_for_good),
    ),
    Row(
        "challenges with garbage",
        lambda: at("auth", b"334 !!!"),
        **HELPED,
        server=SIGNED,
        checks=(helper_took_all, never_heard("mail")),
    ),
    Row(
        "lets us in and asks to sign in",
        lambda: at("mail", b"530 5.7.0 Authentication required"),
        **HELPED,
        server=SIGNED,
        checks=(helper_took_all, paused_for_good),
    ),
    # It offers little.
    Row("knows only HELO", lambda: at("ehlo", b"502 5.5.1 What?"), checks=(proper_bytes, proper_ascii)),
    Row("offers nothing", well, peer={"extensions": ()}, checks=(proper_bytes, proper_ascii)),
    Row(
        "takes 1000 bytes",
        well,
        **HELPED,
        peer={"extensions": ("PIPELINING", "SIZE 1000")},
        checks=(helper_took_all, never_heard("data", "dot"), not_paused),
    ),
    # Everything at once.
    Row(
        "drops, defers and dawdles at random", lambda: chaotic(7), people=40, statuses={"accepted": 40}, unconfirmed=40
    ),
)


class Clock:
    """The real clock, set ahead."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta(0)

    def __call__(self) -> dt.datetime:
        return timezone.now() + self.ahead


class _Run:
    """All the rows that were asked for, misbehaving at once."""

    def __init__(self, rows: list[Row], folder: Path, stack: ExitStack) -> None:
        self.clock = Clock()
        self._folder = folder
        self._stack = stack
        self._ca = trustme.CA()
        self._helper = stack.enter_context(running_peer(folder / "helper"))
        self._set_up = {row.name: self._make(number, row) for number, row in enumerate(rows)}

    def _make(self, number: int, row: Row) -> tuple[Row, SmtpServer, SmtpServer | None, Peer, Mailing]:
        domain = f"row{number}.example"
        options = dict(row.peer)
        fields: dict[str, Any] = {
            "timeout_seconds": PATIENCE_SECONDS,
            "mail_from": f"news@{domain}",
            "domain_name": domain,
        }
        fields |= dict(row.server)
        if row.is_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            (trustme.CA() if row.is_tls_bad else self._ca).issue_cert("127.0.0.1").configure_cert(context)
            options["starttls"] = context
            fields |= {"use_tls": True, "trusted_certificate": self._ca.cert_pem.bytes().decode()}
        peer = self._stack.enter_context(running_peer(self._folder / str(number), row.script(), **options))
        port = _deaf_port() if row.is_deaf else peer.port
        bad = make_server(port, f"Bad {number}", display_order=2 * number, **fields)
        good = None
        if row.is_helped:
            good = make_server(
                self._helper.port,
                f"Good {number}",
                display_order=2 * number + 1,
                mail_from=f"news@{domain}",
                domain_name=domain,
            )
        audience = make_list(row.people, f"Row {number}")
        mailing = make_mailing(audience, self.clock(), name=row.name, mail_from=f"news@{domain}", **row.mailing)
        return row, bad, good, peer, mailing

    def until_done(self) -> None:
        for minutes in WAITS:
            self.clock.ahead += dt.timedelta(minutes=minutes)
            run_drain(seconds=30, clock=self.clock, idle_seconds=0.05)
            recovery.sweep(self.clock())
            if not Mailing.objects.filter(finished_at=None).exists():
                return

    def outcome(self, name: str) -> Outcome:
        row, bad, good, peer, mailing = self._set_up[name]
        bad.refresh_from_db()
        events = peer.journal.events()
        domain = bad.domain_name
        helper = [e for e in self._helper.journal.events() if e.get("mail_from", "").endswith(f"@{domain}")]
        servers = [(bad, events)] + ([(good, helper)] if good else [])
        account = judge_account([mailing.pk], row.people, servers)
        messages = Message.objects.filter(mailing=mailing)
        return Outcome(
            statuses=account.statuses,
            problems=account.problems,
            events=events,
            helper=helper,
            bodies=[content for _, content in peer.bodies],
            server=bad,
            reasons=set(messages.values_list("reason", flat=True)),
            suppressed=Suppression.objects.filter(email_key__in=messages.values("email_key")).count(),
        )


def _deaf_port() -> int:
    """Return a port of ours where nobody listens, and nobody else can."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    _BOUND.append(bound)
    return int(bound.getsockname()[1])


_BOUND: list[socket.socket] = []


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: Any,
) -> Iterator[dict[str, Outcome]]:
    """Let the rows that were asked for misbehave, all at once, and return what became of each."""
    wanted = [item.callspec.params["row"] for item in request.session.items if "outcomes" in item.fixturenames]  # type: ignore[attr-defined]
    folder = tmp_path_factory.mktemp("servers")
    with (
        django_db_blocker.unblock(),
        override_settings(FINAL_ANSWER_SECONDS=PATIENCE_SECONDS, DATA_DIR=folder / "data"),
        ExitStack() as stack,
    ):
        made = empty_tables.roles()
        try:
            run = _Run(wanted, folder, stack)
            run.until_done()
            found = {row.name: run.outcome(row.name) for row in wanted}
        finally:
            empty_tables.empty_tables(made)
            while _BOUND:
                _BOUND.pop().close()
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_server_that(row: Row, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[row.name]

    assert outcome.problems == {}, (outcome.reasons, outcome.server.paused_reason)
    statuses = Counter(row.statuses)
    unconfirmed = min(outcome.statuses["unconfirmed"] - statuses["unconfirmed"], row.unconfirmed)
    statuses.update({"unconfirmed": unconfirmed, "accepted": -unconfirmed})
    assert outcome.statuses == statuses, (outcome.reasons, outcome.server.paused_reason)
    assert outcome.suppressed == row.suppressed
    for check in row.checks:
        check(outcome)
