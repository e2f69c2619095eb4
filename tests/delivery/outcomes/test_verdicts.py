"""What an answer means in times and claims: rules as tables, without a database or a line."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from delivery.outcomes.verdicts import Hold, Judgement, SenderRefusal, Slowing, alone, judge, judge_connection
from mail.replies.reply import Reply
from mail.replies.rules import Action, Repeats, Stage
from mail.replies.words import meaning_of
from smtpservers.smtp.answer import Answer

SAMPLES = json.loads((Path(__file__).parents[2] / "mail" / "replies" / "replies.json").read_text())
SENDING = {"MAIL", "RCPT", "DATA", "DOT"}
MINUTE = dt.timedelta(minutes=1)
BACK_OFF = tuple(minutes * MINUTE for minutes in (15, 30, 60, 120, 240))
HOUR = dt.timedelta(hours=1)


def judged(stage: str, text: str, **options: Any) -> Judgement:
    answer = Answer(Stage(stage), Reply.parse(text), is_dot_written=stage == "DOT")
    return judge(answer, **{"stream": "campaign", "attempts": 1, "back_off": BACK_OFF, **options})


@pytest.mark.parametrize(
    ("stage", "text", "action"),
    [(stage, text, action) for stage, text, _, action, _ in SAMPLES if stage in SENDING],
)
def test_every_action_of_the_table_becomes_what_it_says(stage: str, text: str, action: str) -> None:
    found = judged(stage, text)

    is_temporary = text.startswith("4")
    match Action(action):
        case Action.ACCEPT:
            assert found.is_accepted or stage != "DOT"
        case Action.SUPPRESS:
            assert (found.status, found.suppresses, found.wait) == ("bounced", True, None)
        case Action.SOFT if is_temporary:
            assert found.status == "deferred"
        case Action.SOFT:
            assert (found.status, found.is_soft, found.suppresses) == ("bounced", True, False)
        case Action.FAIL:
            assert (found.status, found.is_soft, found.suppresses) == ("failed", False, False)
        case Action.PAUSE_SERVER:
            assert (found.status, found.wait, found.pauses_server) == ("deferred", dt.timedelta(0), True)
        case Action.PAUSE_DOMAIN:
            assert found.hold is not None
            assert found.hold.wait >= 10 * MINUTE
            assert not found.pauses_server
        case Action.SLOW:
            assert (found.hold is None) != (found.slowing is None)
        case Action.PAUSE_CAMPAIGN:
            assert found.pauses_mailing
            assert found.status == "deferred"
        case Action.RETRY_OTHER if found.rule != "unreadable":
            assert found.avoids_server or found.refusal is not None
            assert found.wait == dt.timedelta(0)
        case _:
            assert found.status in ("deferred", "unconfirmed")
    if action != "suppress":
        assert not found.suppresses


@pytest.mark.parametrize(
    ("stage", "text", "waits"),
    [
        ("RCPT", "450 4.3.0 Not now", [15, 30, 60, 120, 240, 240]),
        ("RCPT", "451 4.7.1 Greylisted", [5, 15, 30, 60, 120, 240, 240]),
        ("RCPT", "450 4.2.1 The user is receiving mail at a rate", [60, 120, 240, 240]),
        ("DOT", "421 4.3.0 Closing", [2, 5, 15, 30, 60, 120, 240]),
        ("RCPT", "452 4.5.3 Too many recipients", [0, 0, 0, 15, 30, 60]),
        ("DOT", "421 4.7.0 Too many messages per connection", [0, 0, 0, 15, 30]),
        ("RCPT", "451 4.7.650 Rate limited", [1, 15, 30]),
        ("RCPT", "452 4.2.2 Mailbox full", [240, 240]),
        ("DOT", "454 Throttling failure: Maximum sending rate exceeded.", [1 / 60, 1, 15, 30]),
    ],
)
def test_a_message_waits_as_its_answer_says_and_longer_each_time(stage: str, text: str, waits: list[float]) -> None:
    found = [judged(stage, text, attempts=attempts).wait for attempts in range(1, len(waits) + 1)]

    assert found == [wait * MINUTE for wait in waits]


def test_the_usual_waits_can_be_others() -> None:
    other = (HOUR, 5 * HOUR)

    assert judged("RCPT", "450 4.3.0 Not now", back_off=other, attempts=1).wait == HOUR
    assert judged("RCPT", "450 4.3.0 Not now", back_off=other, attempts=9).wait == 5 * HOUR
    assert judged("RCPT", "451 4.7.1 Greylisted", back_off=other, attempts=5).wait == 5 * HOUR


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("550 4.1.1 No such user", "bounced"),
        ("550 4.2.1 Mailbox disabled", "bounced"),
        ("450 5.1.1 No such user", "deferred"),
        ("550 4.7.1 Spam", "failed"),
    ],
)
def test_the_code_decides_a_contradiction_and_nobody_is_suppressed(text: str, status: str) -> None:
    found = judged("RCPT", text)

    assert (found.status, found.suppresses) == (status, False)


@pytest.mark.parametrize(
    ("stage", "text", "pause", "longest", "is_full"),
    [
        ("DOT", "454 Throttling failure: Daily message quota exceeded.", 30 * MINUTE, 30 * MINUTE, True),
        ("RCPT", "550 5.4.5 Daily SMTP relay limit exceeded for user.", HOUR, HOUR, True),
        ("MAIL", "550 5.2.252 Sender throttled due to continuous send as denied errors.", HOUR, HOUR, False),
        ("MAIL", "530 Authentication required", None, None, False),
    ],
)
def test_a_pause_lasts_as_the_answer_says(
    stage: str, text: str, pause: dt.timedelta | None, longest: dt.timedelta | None, is_full: bool
) -> None:
    found = judged(stage, text)

    assert (found.server_pause, found.longest_pause, found.is_full) == (pause, longest, is_full)


@pytest.mark.parametrize(
    ("stage", "text", "hold", "slowing"),
    [
        ("RCPT", "421 4.7.28 Unusual rate", Hold(10 * MINUTE), None),
        ("RCPT", "421 4.7.0 [TSS04] temporarily deferred due to user complaints", Hold(2 * HOUR), None),
        ("RCPT", "421 4.7.0 [TSS05] Messages temporarily deferred", Hold(4 * HOUR), None),
        ("RCPT", "451 4.7.650 Rate limited", Hold(dt.timedelta(0), 90 * MINUTE, 1), None),
        ("RCPT", "421 4.7.0 Too many connections", Hold(dt.timedelta(0), HOUR), None),
        ("MAIL", "421 4.7.0 Too many connections", None, Slowing(one_for=HOUR)),
        ("MAIL", "432 4.3.2 Concurrent connections limit exceeded", None, Slowing(one_less=True)),
        ("RCPT", "450 4.2.1 Peak SMTP relay limit exceeded", None, Slowing()),
        ("RCPT", "421 4.7.0 very low reputation of the sending domain", Hold(dt.timedelta(0), HOUR), None),
    ],
)
def test_what_is_slowed_is_the_provider_where_one_is_named_and_else_the_server(
    stage: str, text: str, hold: Hold | None, slowing: Slowing | None
) -> None:
    found = judged(stage, text)

    assert (found.hold, found.slowing) == (hold, slowing)
    assert not found.pauses_server


@pytest.mark.parametrize(
    ("text", "refusal", "avoids"),
    [
        ("553 5.7.1 Sender address rejected: not owned by user ann", SenderRefusal(None), False),
        ("550 5.0.0 No", SenderRefusal(HOUR, 3), True),
    ],
)
def test_a_refused_sender_is_kept_away_for_as_long_as_the_reason_lasts(
    text: str, refusal: SenderRefusal, avoids: bool
) -> None:
    found = judged("MAIL", text)

    assert (found.refusal, found.avoids_server, found.is_answer) == (refusal, avoids, False)


@pytest.mark.parametrize(
    ("stage", "text", "avoids", "is_final"),
    [
        ("DOT", "552 5.2.3 Your message exceeded the size limits", True, True),
        ("MAIL", "451 4.3.0 Busy", True, False),
        ("MAIL", "550 5.0.0 No", True, True),
        ("RCPT", "550 5.1.1 User unknown", False, False),
        ("RCPT", "450 4.2.1 Later", False, False),
    ],
)
def test_a_code_and_no_word_says_whether_a_server_will_never_take_a_message(
    stage: str, text: str, avoids: bool, is_final: bool
) -> None:
    found = judged(stage, text)

    assert (found.avoids_server, found.is_final) == (avoids, is_final), found.rule


@pytest.mark.parametrize("text", ["000 what", "999 what", "what", "2 50", ""])
def test_what_is_no_answer_is_the_servers_fault_and_after_the_dot_unconfirmed(text: str) -> None:
    assert judged("RCPT", text).server_failed
    assert judged("RCPT", text).status == "deferred"
    after = judged("DOT", text)
    assert (after.status, after.holds_unit, after.server_failed) == ("unconfirmed", True, True)


@pytest.mark.parametrize(
    ("stage", "why", "reply", "expected"),
    [
        ("AUTH", "refused", "535 5.7.8 no", {"pauses_server": True, "server_pause": None}),
        (
            "AUTH",
            "refused",
            "454 4.7.0 later",
            {"pauses_server": True, "server_pause": 5 * MINUTE, "longest_pause": 20 * MINUTE},
        ),
        ("CONNECT", "refused", "554 5.7.1 no", {"server_pause": 15 * MINUTE, "longest_pause": HOUR}),
        ("CONNECT", "refused", "421 4.7.0 too many connections", {"server_failed": True}),
        (
            *("CONNECT", "refused", "421 4.3.2 Too busy"),
            {"server_failed": True, "slows_after": Repeats(3, 10 * MINUTE), "is_closing": True},
        ),
        ("CONNECT", "connection refused", None, {"server_failed": True, "pauses_server": False, "is_closing": False}),
        ("TLS", "the TLS handshake failed: expired", None, {"pauses_server": True, "server_pause": None}),
        ("AUTH", "the server offers no sign-in we know", None, {"pauses_server": True, "server_pause": None}),
        ("TLS", "the TLS handshake failed: cut", None, {"server_failed": True, "pauses_server": False}),
        ("AUTH", "the line was lost", None, {"server_failed": True, "pauses_server": False}),
    ],
)
def test_a_connection_that_fails_is_the_servers_matter(
    stage: str, why: str, reply: str | None, expected: dict[str, object]
) -> None:
    needs_mending = "expired" in why or "no sign-in" in why
    found = judge_connection(Stage(stage), why, Reply.parse(reply) if reply else None, needs_mending=needs_mending)

    assert (found.status, found.wait) == ("deferred", dt.timedelta(0))
    assert {name: getattr(found, name) for name in expected} == expected
    assert not any((found.suppresses, found.is_soft))


@pytest.mark.parametrize(
    ("stage", "needs_mending", "lacks_token", "rule", "label"),
    [
        ("TLS", True, False, "tls-cert", "Encryption failed"),
        ("AUTH", True, False, "no-session", "Server's settings"),
        ("EHLO", True, False, "no-session", "Server's settings"),
        ("AUTH", True, True, "no-token", "No OAuth token"),
        ("AUTH", False, True, "no-token", "No OAuth token"),
        ("AUTH", False, False, "no-connection", "Connection lost"),
    ],
)
def test_a_connection_that_fails_without_a_reply_says_by_its_rule_what_is_missing(
    stage: str, needs_mending: bool, lacks_token: bool, rule: str, label: str
) -> None:
    found = judge_connection(Stage(stage), "why", None, needs_mending=needs_mending, lacks_token=lacks_token)

    assert (found.rule, meaning_of(found.rule).label) == (rule, label)


def test_a_try_by_hand_is_about_its_own_message_only() -> None:
    for stage, text, *_ in SAMPLES:
        if stage not in SENDING:
            continue
        found = judged(stage, text)
        only = alone(found)

        assert (only.status, only.reason, only.rule) == (found.status, found.reason, found.rule)
        assert only == alone(only)
        assert not any((only.pauses_server, only.server_failed, only.hold, only.refusal, only.slowing))
        assert not any((only.suppresses, only.is_soft, only.pauses_mailing, only.incident))


@pytest.mark.parametrize(
    ("stage", "text", "slows_after", "suppresses_after"),
    [
        ("DOT", "421 4.3.0 Closing", Repeats(3, 10 * MINUTE), None),
        ("RCPT", "550 No", None, Repeats(3, dt.timedelta(days=30))),
        ("RCPT", "552 5.2.2 Mailbox full", None, None),
    ],
)
def test_what_counts_only_when_it_repeats_says_how_often(
    stage: str, text: str, slows_after: Repeats | None, suppresses_after: Repeats | None
) -> None:
    found = judged(stage, text)

    assert (found.slows_after, found.suppresses_after) == (slows_after, suppresses_after)


@pytest.mark.parametrize(
    ("text", "incident"),
    [
        ("554 5.7.1 Blocked using Spamhaus", "ip-reputation"),
        ("550 5.7.26 Unauthenticated email", "sender-auth"),
        ("554 5.6.0 Malformed MIME structure", "malformed"),
        ("550 5.1.1 No such user", ""),
    ],
)
def test_a_person_is_told_of_what_only_a_person_can_mend(text: str, incident: str) -> None:
    assert judged("DOT", text).incident == incident
