"""A limit of our own account, in any words and at any stage: nobody bounces in the end, and the mail goes elsewhere."""

import datetime as dt
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from campaigns.models import Tally, TallyMark
from campaigns.reports import tally as reports_tally
from contacts.models import Contact, ContactList, Subscription, Suppression, SuppressionLift
from delivery.content.message import Outgoing
from delivery.models import Attempt, Mailing, MailingOutcome, Message, Refusal, ServerOutcome, StopTally
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases
from delivery.outbox.plan import LaneShare
from delivery.outcomes import account_limits, recovery
from delivery.outcomes import results as outcomes_results
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import Judgement, judge
from delivery.records import figures
from mail.addresses import fold
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.models import RefusedSender, SmtpServer
from smtpservers.smtp.answer import Answer
from tests.delivery.making import make_mailing, make_server, run_drain
from tests.peers.conversation import DROP, RESET
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)

T = timezone.now()
MINUTE = dt.timedelta(minutes=1)
DOMAINS = ("customer.example", "firm.example", "school.example", "club.example")
REPLIES = json.loads((Path(__file__).parents[2] / "mail" / "replies" / "account_replies.json").read_text())
QUOTED = [
    (
        "RCPT",
        "550 User news@shop.example has exceeded its 24-hour sending limit. Relay quota will reset in 12 hours",
        "q",
    ),
    ("RCPT", "550 sorry, too many emails (#5.7.1)", "q"),
    ("RCPT", "550 Email account news@shop.example is sending too many emails - rate overlimit = 83.6 / 1h", "q"),
    ("DOT", "550 send spam mail rejected: exceeded hour limit", "q"),
    ("DOT", "550 5.4.6 Unusual sending activity detected. To unblock, sign in", "q"),
    ("RCPT", '451 4.7.1 Ratelimit "user" exceeded', "q"),
    ("DOT", '451 4.7.1 Ratelimit "user" exceeded', "q"),
    ("RCPT", "450 4.7.0 Transmit rate limit exceeded", "q"),
    ("MAIL", "421 4.3.2 Service shutting down", ""),
    ("DOT", "421 Domain a1.example is not allowed to send: Sandbox subdomains are for test purposes only", "q"),
]


def drain_at(instant: dt.datetime) -> None:
    run_drain(clock=lambda: instant, idle_seconds=0.1)


def people(number: int, name: str = "News", domains: tuple[str, ...] = DOMAINS) -> ContactList:
    audience = ContactList.objects.create(name=name)
    addresses = [f"person{place}.{name.lower()}@{domains[place % len(domains)]}" for place in range(number)]
    contacts = Contact.objects.bulk_create(Contact(email=address, email_key=fold(address)) for address in addresses)
    Subscription.objects.bulk_create(
        Subscription(contact=contact, list=audience, status="subscribed") for contact in contacts
    )
    return audience


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Callable[..., Peer]]:
    """Start peers that end with the test: ``peers(script)``."""
    with ExitStack() as stack:

        def start(script: Any = None, **options: Any) -> Peer:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            return stack.enter_context(running_peer(folder, script or (lambda event, context: None), **options))

        yield start


class Limiting:
    """A server that accepts so many messages and refuses all others in the same words, but for numbers."""

    def __init__(self, stage: str, reply: str, accepts: int = 0) -> None:
        self.event, self.reply, self.left = stage.lower(), reply, accepts
        self.refused = 0
        self.lock = threading.Lock()

    def __call__(self, event: str, context: dict[str, Any]) -> bytes | None:
        if event != self.event:
            return None
        with self.lock:
            if self.left > 0:
                self.left -= 1
                return None
            self.refused += 1
            key = self.refused
        recipient = context.get("rcpt_to", "nobody@nowhere.example")
        reply = self.reply.format(recipient=recipient, letters=in_letters(key), key=in_digits_or_letters(key))
        return reply.replace("(node 12)", f"(node {key})").encode()


def in_letters(number: int) -> str:
    """Return a key of a log entry that holds no digit, another one for each number."""
    return "".join(chr(ord("bdfghjkmpq"[int(digit)]) - 32 * (place % 2)) for place, digit in enumerate(f"{number:06}"))


def in_digits_or_letters(number: int) -> str:
    return in_letters(number) if number % 4 == 0 else f"x{number}"


def assert_nobody_was_burnt() -> None:
    assert not Suppression.objects.exists()
    assert not Message.objects.filter(status__in=["bounced", "failed"]).exists()
    assert not Attempt.objects.filter(outcome__in=["bounced", "failed"]).exists()
    assert not MailingOutcome.objects.filter(outcome__in=["bounced", "failed"]).exists()
    assert not ServerOutcome.objects.filter(outcome__in=["bounced", "failed"]).exists()


def assert_outcomes_are_counted() -> None:
    """The counts that pages read are those of the attempts."""
    tried = Attempt.objects.exclude(outcome="not_sent")
    counted = Counter(tried.values_list("batch__server_name", "outcome"))
    for model in (MailingOutcome, ServerOutcome):
        found: Counter[tuple[str, str]] = Counter()
        for server, outcome, number in model.objects.values_list("server_name", "outcome", "number"):
            found[server, outcome] += number
        assert found == counted, model


@pytest.mark.parametrize(("stage", "reply", "rule"), [*QUOTED, *REPLIES])
def test_a_server_that_limits_the_account_burns_nobody_and_the_next_one_takes_the_mail(
    peers: Any, stage: str, reply: str, rule: str
) -> None:
    # Once the content is known, an acceptance tells that it is not refused for that.
    limited = peers(Limiting(stage, reply, accepts=4 if stage in ("DATA", "DOT") else 0))
    other = peers()
    make_server(limited.port, "Limited", display_order=1)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(people(40), T)

    drain_at(T)

    assert figures.counts(mailing.pk)["accepted"] == 40, figures.reasons(mailing.pk)
    assert len(limited.accepted()) + len(other.accepted()) == 40
    assert_nobody_was_burnt()
    assert_outcomes_are_counted()
    server = SmtpServer.objects.get(name="Limited")
    kept_away = RefusedSender.objects.filter(server=server, times__gte=3).exists()
    assert server.full_until or server.paused_reason or kept_away


@pytest.mark.parametrize("reply", ["554 Subscription lapsed", "550 5.7.1 budget spent", "451 4.3.0 not before May"])
def test_a_refusal_of_data_itself_is_not_about_the_content(peers: Any, reply: str) -> None:
    limited, other = peers(Limiting("DATA", reply)), peers()
    make_server(limited.port, "Limited", display_order=1)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(people(40), T)

    drain_at(T)

    assert figures.counts(mailing.pk)["accepted"] == 40, figures.reasons(mailing.pk)
    assert len(other.accepted()) == 40
    assert_nobody_was_burnt()
    assert_outcomes_are_counted()
    assert SmtpServer.objects.get(name="Limited").full_until


def test_a_refusal_in_the_middle_of_the_content_is_about_the_content(peers: Any) -> None:
    peer = peers(lambda event, context: (b"554 Not this one\r\n",) if event == "body" else None)
    server = make_server(peer.port)
    mailing = make_mailing(people(20), T, html="<p>word</p>" * 200_000)

    drain_at(T)

    server.refresh_from_db()
    assert server.full_until is None
    assert figures.counts(mailing.pk)["failed"] == 20


@pytest.mark.parametrize(
    "lost",
    [(b"250-taken\r\n550 nothing of it\r\n",), (b"250-taken\r\n", DROP), (RESET,), (b"what was that\r\n",)],
)
def test_a_server_that_answers_nothing_after_the_dot_has_failed_and_the_next_one_takes_the_rest(
    peers: Any, lost: Any
) -> None:
    silent, other = peers(lambda event, context: lost if event == "dot" else None), peers()
    make_server(silent.port, "Silent", display_order=1, max_connections=2)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(people(120), T)

    drain_at(T)

    counts = figures.counts(mailing.pk)
    received = [context["rcpt_to"] for peer in (silent, other) for context, _ in peer.bodies]
    assert counts["accepted"] + counts["unconfirmed"] == 120
    assert counts["unconfirmed"] < 60
    assert len(received) == len(set(received)) == 120, "nobody gets it twice"
    assert SmtpServer.objects.get(name="Silent").paused_reason


def test_with_one_server_the_mail_waits_and_says_why_until_the_account_is_free_again(peers: Any) -> None:
    limiting = Limiting("RCPT", "550 Enough for today", accepts=3)
    peer = peers(limiting)
    server = make_server(peer.port, "Limited")
    mailing = make_mailing(people(60), T)

    drain_at(T)

    mailing.refresh_from_db()
    server.refresh_from_db()
    assert figures.counts(mailing.pk)["accepted"] == 3
    assert_nobody_was_burnt()
    assert "Limited has reached its provider's limit" in mailing.waiting_reason
    assert "recipients of 4 domains" in server.full_reason
    assert "550 Enough for today" in server.full_reason
    assert "@" not in server.full_reason

    tried = limiting.refused
    drain_at(T + 16 * MINUTE)
    assert limiting.refused == tried + 1, "one message shows that the account is still limited"
    assert_nobody_was_burnt()

    limiting.left = 1_000
    drain_at(T + 40 * MINUTE)
    drain_at(T + 60 * MINUTE)
    assert figures.counts(mailing.pk)["accepted"] == 60, figures.reasons(mailing.pk)
    assert_outcomes_are_counted()


def test_three_campaigns_in_a_row_at_a_limited_account_suppress_nobody(peers: Any) -> None:
    peer = peers(Limiting("RCPT", "550 5.7.1 Not for you, customer 4711"))
    make_server(peer.port, "Limited")
    audience = people(30)

    for day in range(3):
        later = T + dt.timedelta(days=day)
        make_mailing(audience, later)
        drain_at(later)
        drain_at(later + 20 * MINUTE)

    assert_nobody_was_burnt()
    assert len(Attempt.objects.values("message__email_key").distinct()) >= 5


def test_a_stale_list_still_bounces(peers: Any) -> None:
    peer = peers(lambda event, context: b"550 5.1.1 No such user here" if event == "rcpt" else None)
    server = make_server(peer.port)
    mailing = make_mailing(people(30), T)

    drain_at(T)

    server.refresh_from_db()
    assert figures.counts(mailing.pk)["bounced"] == 30
    assert Suppression.objects.count() == 30
    assert (server.full_until, server.paused_reason) == (None, "")


def test_a_refusal_without_a_reason_stands_where_others_are_accepted_between(peers: Any) -> None:
    def every_other(event: str, context: dict[str, Any]) -> bytes | None:
        place = context.get("rcpt_to", "person1").partition(".")[0].removeprefix("person")
        return b"550 5.7.1 Rejected" if event == "rcpt" and int(place) % 2 else None

    peer = peers(every_other)
    server = make_server(peer.port, max_connections=1)
    mailing = make_mailing(people(30), T)

    drain_at(T)

    server.refresh_from_db()
    counts = figures.counts(mailing.pk)
    assert (counts["accepted"], counts["bounced"]) == (15, 15)
    assert server.full_until is None


def test_a_refusal_of_one_provider_alone_is_not_about_the_account(peers: Any) -> None:
    peer = peers(Limiting("RCPT", "550 5.7.1 Rejected"))
    server = make_server(peer.port)
    mailing = make_mailing(people(20, domains=("gmail.example", "mail.example")), T)

    drain_at(T)

    server.refresh_from_db()
    assert figures.counts(mailing.pk)["bounced"] == 20
    assert server.full_until is None


def test_content_that_every_relay_refuses_stops_its_campaign_and_no_server(peers: Any, settings: Any) -> None:
    settings.STOP_AFTER_MESSAGES = 20
    for name in ("One", "Two"):
        make_server(peers(Limiting("DOT", "554 5.7.1 Message looks like spam")).port, name)
    mailing = make_mailing(people(400), T)

    drain_at(T)

    mailing.refresh_from_db()
    assert mailing.state == "paused"
    assert "refused for their content" in mailing.waiting_reason
    assert not SmtpServer.objects.exclude(full_until=None).exists()
    assert not SmtpServer.objects.exclude(paused_reason="").exists()


def test_what_two_mailings_are_told_at_the_dot_is_about_the_account_and_the_first_one_is_queued_again(
    peers: Any, settings: Any
) -> None:
    settings.STOP_AFTER_MESSAGES = 20
    peer = peers(Limiting("DOT", "554 5.7.0 The contract does not cover this"))
    server = make_server(peer.port, "Limited")
    first = make_mailing(people(30), T)
    drain_at(T)
    first.refresh_from_db()
    assert first.state == "paused"
    failed = figures.counts(first.pk)["failed"]
    assert failed >= 20

    second = make_mailing(people(12, "Second"), T, name="Spring")
    drain_at(T + MINUTE)

    first.refresh_from_db()
    server.refresh_from_db()
    assert_nobody_was_burnt()
    assert_outcomes_are_counted()
    assert server.full_until == T + 16 * MINUTE
    assert (first.state, first.finished_at) == ("paused", None)
    assert first.waiting_reason == account_limits.STOPPED_WRONGLY
    tally = StopTally.objects.get(mailing=first)
    assert (tally.sent, tally.content_failures) == (0, 0)
    assert figures.counts(second.pk)["queued"] == 12


def test_a_message_that_ended_long_ago_is_not_sent_out_of_the_blue(peers: Any) -> None:
    peer = peers(Limiting("RCPT", "550 No"))
    make_server(peer.port, "Limited")
    old = make_mailing(people(3), T)
    drain_at(T)
    assert figures.counts(old.pk)["bounced"] == 3

    make_mailing(people(10, "Second"), T + dt.timedelta(days=5))
    drain_at(T + dt.timedelta(days=5))

    assert figures.counts(old.pk)["bounced"] == 3


# --- with one answer after the other, as recording gets them


def claimed(server: SmtpServer, mailing: Mailing, wanted: int, now: dt.datetime = T) -> tuple[uuid.UUID, list[Any]]:
    lease = leases.acquire(server.pk) or leases.acquire_extra(server.pk, 60)
    claims = outbox_claims.claim(lease.token, server, LaneShare(mailing.pk, "because"), wanted, now)
    assert claims
    return lease.token, claims


def judged(answer: Answer) -> Judgement:
    return judge(answer, stream="campaign", attempts=1, back_off=settings.RETRY_WAITS)


def answered(claim: Any, server: SmtpServer, stage: Stage, reply: str, now: dt.datetime = T) -> Result:
    parsed = Reply.parse(reply)
    judgement = judged(Answer(stage, parsed, is_dot_written=stage is Stage.DOT))
    return Result(
        *(claim.attempt_id, claim.message, claim.message.mailing_id, "campaign", server.pk, claim.period_id, now),
        *(judgement, stage.value, parsed),
    )


NO = "550 5.7.1 Refused"


def lose(claim: Any, server: SmtpServer) -> Result:
    judgement = judged(Answer(Stage.DOT, None, True, "the connection was closed"))
    return Result(
        *(claim.attempt_id, claim.message, claim.message.mailing_id, "campaign", server.pk, claim.period_id, T),
        *(judgement, Stage.DOT.value),
    )


def test_lost_answers_with_an_acceptance_between_are_no_failure() -> None:
    server = make_server(25)
    mailing = make_mailing(people(10), T)
    token, claims = claimed(server, mailing, 10)

    outcomes_results.record(token, [lose(each, server) for each in claims[:4]], T)
    outcomes_results.record(token, [answered(claims[4], server, Stage.DOT, "250 ok")], T)
    outcomes_results.record(token, [lose(each, server) for each in claims[5:9]], T)
    server.refresh_from_db()
    assert server.paused_reason == ""

    outcomes_results.record(token, [lose(claims[9], server)], T)
    server.refresh_from_db()
    assert "answers nothing that can be read" in server.paused_reason
    assert figures.counts(mailing.pk)["unconfirmed"] == 9


def tally_all() -> None:
    """Count every attempt; on PostgreSQL any transaction of the cluster may hold the count back."""
    deadline = time.monotonic() + 60
    while True:
        reports_tally.tally(T)
        if TallyMark.objects.get().attempt_id == Attempt.objects.latest("pk").pk:
            return
        assert time.monotonic() < deadline, "the count did not come to its end"


def test_what_a_killed_worker_recorded_and_did_not_look_at_is_taken_back_once(monkeypatch: Any) -> None:
    server = make_server(25)
    mailing = make_mailing(people(6), T)
    token, claims = claimed(server, mailing, 6)
    with monkeypatch.context() as patch:  # Killed between the two.
        patch.setattr(account_limits, "review_answers", lambda results, now: None)
        outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO) for each in claims], T)
    outcomes_results.finish_mailings(T)
    tally_all()
    assert figures.counts(mailing.pk)["bounced"] == 6
    assert sum(Tally.objects.filter(outcome="bounced").values_list("number", flat=True)) == 6

    for _ in range(2):
        recovery.sweep(T + MINUTE)
        tally_all()

    mailing.refresh_from_db()
    assert mailing.finished_at is None
    assert figures.counts(mailing.pk)["queued"] == 6
    assert_nobody_was_burnt()
    assert_outcomes_are_counted()
    assert list(Tally.objects.values_list("outcome", "rule").distinct()) == [("deferred", "same-to-all")]
    assert sum(Tally.objects.values_list("number", flat=True)) == 6


def test_figures_are_right_whether_they_were_counted_before_or_after() -> None:
    server = make_server(25)
    mailing = make_mailing(people(8), T)
    token, claims = claimed(server, mailing, 8)
    for each in claims[:4]:
        outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO)], T)
    tally_all()

    outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO) for each in claims[4:]], T)
    for _ in range(2):
        tally_all()

    counts: Counter[str] = Counter()
    for outcome, number in Tally.objects.values_list("outcome", "number"):
        counts[outcome] += number
    assert counts == {"deferred": 8}


def test_a_suppression_that_followed_is_lifted_and_the_history_says_so(peers: Any) -> None:
    server = make_server(25)
    audience = people(6)
    for day in (3, 2):  # Two refusals that stand, because somebody was accepted after them.
        earlier = T - dt.timedelta(days=day)
        token, claims = claimed(server, make_mailing(audience, earlier), 6, earlier)
        outcomes_results.record(
            token, [answered(each, server, Stage.RCPT, NO, earlier) for each in claims[:3]], earlier
        )
        outcomes_results.record(
            token, [answered(each, server, Stage.DOT, "250 ok", earlier) for each in claims[3:]], earlier
        )
        leases.Lane.objects.all().delete()
    token, claims = claimed(server, make_mailing(audience, T), 6)
    outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO) for each in claims[:4]], T)
    assert Suppression.objects.count() == 3

    outcomes_results.record(token, [answered(claims[4], server, Stage.RCPT, NO)], T)

    assert not Suppression.objects.exists()
    assert {lift.lifted_by_name for lift in SuppressionLift.objects.all()} == {"Brilliance"}
    assert SuppressionLift.objects.count() == 3
    message = Message.objects.get(pk=claims[0].message.pk)
    assert (message.status, message.due_at) == ("queued", T)
    assert message.reason == f"The answer was about the account of the server; it is sent again. {NO}"
    attempt = Attempt.objects.get(message=message)
    assert (attempt.outcome, attempt.rule, attempt.reply) == ("deferred", "same-to-all", NO)


def test_two_workers_that_record_at_once_see_each_others_answers() -> None:
    server = make_server(25)
    mailing = make_mailing(people(6), T)
    halves = [claimed(server, mailing, 3), claimed(server, mailing, 3)]
    both = threading.Barrier(2)

    def work(token: uuid.UUID, claims: list[Any]) -> None:
        both.wait()
        try:
            outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO) for each in claims], T)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=half) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert figures.counts(mailing.pk)["queued"] == 6
    assert_nobody_was_burnt()
    assert_outcomes_are_counted()


def test_an_answer_that_crossed_with_an_acceptance_is_taken_back_though_its_key_is_made_of_letters() -> None:
    server = make_server(25, "Limited")
    mailing = make_mailing(people(20), T)
    token, claims = claimed(server, mailing, 20)
    refused = [
        answered(each, server, Stage.DATA, f"554 Agreement ended, see note={in_letters(number)}")
        for number, each in enumerate(claims[:12])
    ]
    accepted = answered(claims[12], server, Stage.DOT, "250 Queued")

    outcomes_results.record(token, [refused[0], accepted], T)
    outcomes_results.record(token, refused[1:], T)

    assert SmtpServer.objects.get().full_until
    assert_nobody_was_burnt()
    assert_outcomes_are_counted()


def test_an_acceptance_between_two_groups_ends_the_row() -> None:
    server = make_server(25)
    mailing = make_mailing(people(9), T)
    token, claims = claimed(server, mailing, 9)

    outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO) for each in claims[:4]], T)
    outcomes_results.record(token, [answered(claims[4], server, Stage.DOT, "250 ok")], T)
    outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO) for each in claims[5:]], T)

    assert figures.counts(mailing.pk)["bounced"] == 8
    assert not Refusal.objects.filter(is_taken_back=True).exists()


def test_a_message_that_went_on_meanwhile_is_left_where_it_is() -> None:
    server, other = make_server(25), make_server(26, "Other")
    mailing = make_mailing(people(5), T)
    token, claims = claimed(server, mailing, 5)
    outcomes_results.record(token, [answered(each, server, Stage.RCPT, "451 4.3.0 No") for each in claims[:4]], T)
    later = T + 20 * MINUTE
    elsewhere, again = claimed(other, mailing, 1, later)
    outcomes_results.record(elsewhere, [answered(again[0], other, Stage.DOT, "250 ok", later)], later)

    outcomes_results.record(token, [answered(claims[4], server, Stage.RCPT, "451 4.3.0 No", later)], later)

    counts = figures.counts(mailing.pk)
    assert (counts["accepted"], counts["queued"]) == (1, 4)


def test_a_cancelled_mailing_is_not_woken() -> None:
    server = make_server(25)
    mailing = make_mailing(people(5), T)
    token, claims = claimed(server, mailing, 5)
    outcomes_results.record(token, [answered(each, server, Stage.RCPT, NO) for each in claims[:4]], T)
    Mailing.objects.update(state="cancelled")

    outcomes_results.record(token, [answered(claims[4], server, Stage.RCPT, NO)], T)

    assert figures.counts(mailing.pk)["cancelled"] == 5


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("one", "other", "is_alike"),
    [
        ("550 <ann@a.example>: refused, id 4Tx9dF2zQ7", "550 <bob@b.example>: refused, id 77", True),
        ("550 ann is not served (a.example)", "550 bob is not served (b.example)", True),
        ("550-first\r\n550 ticket 12", "550-first\r\n550 ticket 13", True),
        ("550 Mailbox of ann busy", "550 Mailbox of bob locked", False),
        ("550 refused", "554 refused", False),
        ("550 5.7.1 refused", "550 5.7.2 refused", False),
    ],
)
def test_answers_are_alike_that_differ_in_numbers_and_addresses(one: str, other: str, is_alike: bool) -> None:
    ann = Outgoing(1, 1, "Ann@A.example", "ann@a.example")
    bob = Outgoing(2, 1, "bob@b.example", "bob@b.example")

    likenesses = {
        account_limits.likeness("RCPT", Reply.parse(one), ann),
        account_limits.likeness("RCPT", Reply.parse(other), bob),
    }

    assert len(likenesses) == (1 if is_alike else 2)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "replies",
    [
        ["550 5.7.1 Not in the mood", "550 5.7.1 Closed for you, friend", "550 5.7.1 Ask somebody else about it"] * 2,
        ["550 Refused", "550 Rejected", "550 Denied", "550 Never", "550 Nothing", "550 Nobody"],
        [f"550 {word} says {other} to this" for word, other in zip("abcdef", "ghijkl", strict=True)],
    ],
)
def test_answers_that_have_too_little_in_common_are_not_the_same(replies: list[str]) -> None:
    server = make_server(25)
    mailing = make_mailing(people(6), T)
    token, claims = claimed(server, mailing, 6)

    for claim, reply in zip(claims, replies, strict=True):
        outcomes_results.record(token, [answered(claim, server, Stage.RCPT, reply)], T)

    assert figures.counts(mailing.pk)["bounced"] == 6


def test_the_sandbox_of_a_provider_is_not_taken_for_the_from(peers: Any) -> None:
    def unverified(event: str, context: dict[str, Any]) -> bytes | None:
        if event != "dot":
            return None
        named = context["rcpt_to"]
        return f"554 Message rejected: Email address is not verified. Failed the check: {named}".encode()

    sandbox, other = peers(unverified), peers()
    server = make_server(sandbox.port, "Sandbox", display_order=1)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(people(5), T)

    drain_at(T)

    server.refresh_from_db()
    assert figures.counts(mailing.pk)["accepted"] == 5
    assert (server.paused_until, RefusedSender.objects.count()) == (None, 0)
    assert "not verified" in server.paused_reason
