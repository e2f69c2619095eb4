"""Replies: what servers say is read, whatever its form, and judged by the right rule."""

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.replies.reply import Reply, classify
from mail.replies.rules import RULES, Action, Connections, Scope, Stage

ACCOUNT_REPLIES = json.loads((Path(__file__).parent / "account_replies.json").read_text())
SAMPLES = json.loads((Path(__file__).parent / "replies.json").read_text())
BEFORE_RCPT = [Stage.CONNECT, Stage.TLS, Stage.EHLO, Stage.AUTH, Stage.MAIL]


@pytest.mark.parametrize(
    ("stage", "text", "rule", "action", "scope"),
    SAMPLES,
    ids=[f"{number}-{sample[2]}" for number, sample in enumerate(SAMPLES, 1)],
)
def test_a_known_answer_gets_its_rule(stage, text, rule, action, scope):
    verdict = classify(Stage(stage), Reply.parse(text))

    assert (verdict.rule, verdict.action, verdict.scope) == (rule, action, scope)


def test_every_rule_is_shown_by_a_sample():
    shown_below = {"sandbox-recipient"}  # Its address decides.
    assert {rule.name for rule in RULES} == {sample[2] for sample in SAMPLES} | shown_below


@pytest.mark.parametrize(("stage", "text", "rule"), ACCOUNT_REPLIES)
def test_a_limit_of_the_account_is_known_by_its_words_or_names_no_reason(stage, text, rule):
    verdict = classify(
        Stage(stage), Reply.parse(text.format(recipient="ann@customer.example", letters="kdBfGh", key="x7"))
    )

    if rule:
        assert (verdict.rule, verdict.action) == (rule, Action.PAUSE_SERVER)
    else:
        assert verdict.gives_no_reason, f"{verdict.rule} says why, and nobody looks who else is told so"


@pytest.mark.parametrize(
    ("stage", "text", "gives_no_reason"),
    [
        ("RCPT", "450 4.7.1 Greylisted, please try again later", False),
        ("RCPT", "451 Temporary local problem, try again later", True),
        ("RCPT", "550 5.1.1 No such user", False),
        ("RCPT", "552 Mailbox full", False),
        ("DOT", "554 5.6.0 Malformed MIME structure", False),
        ("DOT", "554 5.7.1 The message looks like spam", True),
        ("DOT", "554 5.4.6 Too many hops", True),
        ("RCPT", "550 5.7.1 Blocked using Spamhaus", False),
    ],
)
def test_a_reply_that_says_why_is_not_asked_about_further(stage, text, gives_no_reason):
    assert classify(Stage(stage), Reply.parse(text)).gives_no_reason is gives_no_reason


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "554 Message rejected: Email address is not verified. These identities failed: {recipient}",
            "sandbox-recipient",
        ),
        ('554 Email address not verified: "Ann" <{recipient}>.', "sandbox-recipient"),
        ("554 Message rejected: Email address is not verified. Failed: news@shop.example", "send-as"),
        ("554 Email address is not verified: news@shop.example, {recipient}", "send-as"),
        ("550 5.1.1 <{recipient}>: Recipient address rejected: unverified address", "user-unknown"),
    ],
)
def test_the_address_that_is_not_verified_tells_whether_the_from_or_the_account_is_meant(text, rule):
    reply = Reply.parse(text.format(recipient="Reader@Example.org"))

    verdict = classify(Stage.DOT, reply, "reader@example.org")

    assert verdict.rule == rule


def test_every_rule_has_a_source_and_a_name_of_its_own():
    assert all(rule.source and rule.kind for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_every_pause_and_every_slowing_says_how_long():
    for rule in RULES:
        match rule.action:
            case Action.PAUSE_SERVER:
                assert bool(rule.delays) != rule.until_edited, rule.name
            case Action.PAUSE_DOMAIN:
                assert rule.delays, rule.name
            case Action.SLOW:
                is_to_a_provider = rule.scope in (Scope.SERVER_DOMAIN, Scope.FROM_DOMAIN)
                is_alone = rule.connections is Connections.ONE
                assert rule.delays, rule.name
                assert (rule.slow_for is not None) == (is_to_a_provider or is_alone), rule.name


def test_a_soft_bounce_that_is_temporary_waits_long():
    for rule in RULES:
        if rule.action is Action.SOFT and re.match(rule.code, "450"):
            assert rule.delays == (dt.timedelta(hours=4),), rule.name


def test_every_pattern_compiles():
    for rule in RULES:
        for pattern in (rule.code, rule.enhanced, rule.text):
            re.compile(pattern)


@pytest.mark.parametrize(
    ("text", "code", "enhanced", "words"),
    [
        ("550 5.1.1 No such user", 550, "5.1.1", "No such user"),
        ("550 No such user", 550, "", "No such user"),
        ("250", 250, "", ""),
        ("250 ", 250, "", ""),
        ("250 2.0.0", 250, "2.0.0", ""),
        ("334 dXNlcg==", 334, "", "dXNlcg=="),
        ("550-5.1.1 No such\r\n550-5.1.1 user, try\r\n550 5.1.1 again", 550, "5.1.1", "No such\nuser, try\nagain"),
        ("550 5.1.1 The account does\n5.1.1 not exist", 550, "5.1.1", "The account does\nnot exist"),
        ("250 mail.example.com\nPIPELINING\nSIZE 1000", 250, "", "mail.example.com\nPIPELINING\nSIZE 1000"),
        ("250-mail.example.com\r\n250-DSN\r\n250 SIZE 1000\r\n", 250, "", "mail.example.com\nDSN\nSIZE 1000"),
        ("250 \nPIPELINING", 250, "", "\nPIPELINING"),
        ("550 #5.1.1 No such user", 550, "5.1.1", "No such user"),
        ("550 5.1.1: No such user", 550, "5.1.1", "No such user"),
        ("550 No such user (5.1.1)", 550, "5.1.1", "No such user (5.1.1)"),
        ("smtp; 550 5.1.1 No such user", 550, "5.1.1", "No such user"),
        ("x-postfix; 5.4.4 unroutable", 0, "", "x-postfix; 5.4.4 unroutable"),
        ("5.1.1 bad mailbox", 550, "5.1.1", "bad mailbox"),
        ("4.2.2", 450, "4.2.2", ""),
        ("550 blocked 5.2.2.1 and 192.5.1.1 and v5.1.1a", 550, "", "blocked 5.2.2.1 and 192.5.1.1 and v5.1.1a"),
        ("421 5.7.32 classes may differ", 421, "5.7.32", "classes may differ"),
        ("220 mx ESMTP Exim 4.96.2", 220, "", "mx ESMTP Exim 4.96.2"),
        ("550 NUL\x00 bell\x07 tab\t.", 550, "", "NUL  bell  tab ."),
        ("", 0, "", ""),
        ("hello", 0, "", "hello"),
        ("55", 0, "", "55"),
        ("5500 x", 0, "", "5500 x"),
        ("650 x", 0, "", "650 x"),
        ("HTTP/1.1 400 Bad Request", 0, "", "HTTP/1.1 400 Bad Request"),
    ],
)  # fmt: skip
def test_a_reply_is_taken_apart(text, code, enhanced, words):
    assert Reply.parse(text) == Reply(code, enhanced, words)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("550 5.1.1 No such user", "550 5.1.1 No such user"),
        ("550 No such user (5.1.1)", "550 No such user (5.1.1)"),
        ("550-5.1.1 No\r\n550 5.1.1 such user", "550 5.1.1 No such user"),
        ("hello", "hello"),
    ],
)
def test_a_reply_is_quoted_on_one_line(text, quoted):
    assert str(Reply.parse(text)) == quoted


@given(st.text(max_size=300))
def test_nothing_a_server_says_breaks_the_parser(text):
    reply = Reply.parse(text)

    assert reply.code == 0 or 200 <= reply.code <= 599
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", reply.text)
    for stage in Stage:
        classify(stage, reply)


@given(
    st.integers(200, 599),
    st.from_regex(r"([245]\.[0-9]\.[0-9]{1,2})?", fullmatch=True),
    st.text(st.characters(exclude_categories=["C", "Z"])),
)
def test_a_quoted_reply_is_read_as_the_same(code, enhanced, words):
    text = " ".join(part for part in (str(code), enhanced, words) if part)

    assert str(Reply.parse(text)) == text
    assert Reply.parse(str(Reply.parse(text))) == Reply.parse(text)


def test_a_hostile_reply_takes_no_time():
    reply = Reply.parse("550 " + "daily sending smtp relay too many user mailbox sender domain " * 100_000)

    assert len(reply.text) <= 8000
    assert classify(Stage.RCPT, reply).action is Action.SOFT


def test_a_reply_turns_no_words_around():
    reply = Reply.parse("550 5.1.1 see \u202egnp.exe\u202c \u2066here\u2069\u200f and\u2028there")

    assert str(reply) == "550 5.1.1 see gnp.exe here and there"
    assert reply.text.isprintable()


@pytest.mark.parametrize("stage", BEFORE_RCPT)
@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 No such user",
        "550 5.7.1 spam",
        "552 5.2.2 mailbox full",
        "550 5.2.1 disabled",
        "554 blocked",
        "450 4.2.2 full",
    ],
)
def test_no_recipient_is_burnt_by_an_answer_that_came_before_he_was_named(stage, text):
    verdict = classify(stage, Reply.parse(text))

    assert verdict.action not in (Action.SUPPRESS, Action.SOFT, Action.FAIL)
    assert verdict.scope not in (Scope.RECIPIENT, Scope.MESSAGE)


@given(st.sampled_from(Stage), st.integers(400, 499), st.text(max_size=40))
def test_a_temporary_refusal_never_suppresses(stage, code, words):
    assert classify(stage, Reply.parse(f"{code} {words}")).action not in (Action.SUPPRESS, Action.FAIL, Action.ACCEPT)


@given(st.sampled_from(Stage), st.integers(400, 599), st.text(max_size=40))
def test_a_refusal_is_never_taken_for_consent(stage, code, words):
    verdict = classify(stage, Reply(code, "", words))

    assert verdict.action not in (Action.ACCEPT, Action.UNKNOWN)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.DATA])
def test_a_250_is_consent(stage):
    assert classify(stage, Reply(250, "2.0.0", "ok")).action is Action.ACCEPT


@pytest.mark.parametrize(("stage", "code"), [(Stage.DATA, 354), (Stage.AUTH, 334), (Stage.AUTH, 235)])
def test_a_3xx_is_consent_where_more_is_to_come(stage, code):
    assert classify(stage, Reply(code, "", "go on")).action is Action.ACCEPT


@pytest.mark.parametrize("text", ["", "hello", "354 go on", "650 what"])
def test_an_unreadable_answer_to_the_message_neither_resends_nor_gives_up(text):
    assert classify(Stage.DOT, Reply.parse(text)).action is Action.UNKNOWN


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.EHLO, Stage.AUTH, Stage.MAIL, Stage.RCPT, Stage.DATA])
def test_an_unreadable_answer_before_the_dot_sends_the_message_elsewhere(stage):
    verdict = classify(stage, Reply.parse("hello"))

    assert (verdict.action, verdict.scope) == (Action.RETRY_OTHER, Scope.SERVER)


def test_an_unreadable_bounce_is_a_soft_one():
    assert classify(Stage.DSN, Reply.parse("The mail could not be delivered.")).action is Action.SOFT


def test_a_refused_certificate_needs_no_reply():
    assert classify(Stage.TLS, Reply(0, "", "certificate has expired")).rule == "tls-cert"


def minutes(*counts: float) -> tuple[dt.timedelta, ...]:
    return tuple(dt.timedelta(minutes=count) for count in counts)


@pytest.mark.parametrize(
    ("stage", "text", "delays"),
    [
        ("RCPT", "450 busy", ()),
        ("RCPT", "450 greylisted", minutes(5, 15, 30, 60)),
        ("RCPT", "452 4.2.2 full", minutes(240)),
        ("RCPT", "552 5.2.2 full", ()),
        ("RCPT", "550 5.1.1 nobody", ()),
        ("AUTH", "535 no", ()),
        ("AUTH", "454 later", minutes(5, 10, 20)),
        ("CONNECT", "421 bye", minutes(2, 5, 15)),
        ("CONNECT", "554 no", minutes(15, 30, 60)),
        ("RCPT", "421 4.7.28 slow down", minutes(10)),
        ("DOT", "454 Maximum sending rate exceeded", minutes(1 / 60, 1)),
        ("DOT", "454 Daily message quota exceeded", minutes(30)),
        ("RCPT", "452 4.5.3 too many recipients", minutes(0)),
        ("RCPT", "421 RP-001", minutes(1)),
        ("RCPT", "452 4.4.7 expired", minutes(240)),
        ("DSN", "552 4.2.2 full", ()),
        ("RCPT", "550 no", ()),
    ],
)
def test_an_answer_has_waits_of_its_own_or_none(stage, text, delays):
    assert classify(Stage(stage), Reply.parse(text)).delays == delays
