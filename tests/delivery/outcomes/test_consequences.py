"""What servers answer, and what follows from it: each action over a real conversation."""

import datetime as dt
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from contacts.models import Contact, ContactList, Subscription, Suppression
from delivery.models import Attempt, Mailing, Message, ProviderHold, StopTally
from delivery.outbox import mailings, plan
from delivery.outcomes import consequences, provider_holds
from delivery.outcomes.verdicts import judge_connection
from delivery.records import figures
from mail.addresses import fold
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.limits import rate_limiter
from smtpservers.models import RefusedSender
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.conversation import DROP
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)

T = timezone.now()
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)


def drain_at(instant: dt.datetime) -> None:
    run_drain(clock=lambda: instant, idle_seconds=0.1)


def people(*addresses: str) -> ContactList:
    """Return a list of these people."""
    audience = ContactList.objects.create(name=addresses[0])
    contacts = Contact.objects.bulk_create(Contact(email=address, email_key=fold(address)) for address in addresses)
    Subscription.objects.bulk_create(
        Subscription(contact=contact, list=audience, status="subscribed") for contact in contacts
    )
    return audience


def saying(event: str, reply: bytes, to: str = "", times: int = 10**9) -> Callable[[str, dict[str, Any]], bytes | None]:
    """Return a script that answers ``event`` with ``reply`` for recipients with ``to`` in their address."""
    said: list[bytes] = []

    def script(happening: str, context: dict[str, Any]) -> bytes | None:
        if happening != event or to not in context.get("rcpt_to", "") or len(said) >= times:
            return None
        said.append(reply)
        return reply

    return script


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Callable[..., Peer]]:
    """Start peers that end with the test: ``peers(script)``."""
    with ExitStack() as stack:

        def start(script: Any = None, **options: Any) -> Peer:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            return stack.enter_context(running_peer(folder, script or (lambda event, context: None), **options))

        yield start


def one(**fields: Any) -> Message:
    return Message.objects.get(**fields)


def waited(message: Message) -> dt.timedelta:
    assert message.due_at is not None
    return message.due_at - T


# --- retry_same


def test_a_greylisted_message_comes_back_after_the_time_it_was_told(peers: Any) -> None:
    peer = peers(saying("rcpt", b"451 4.7.1 Greylisted, please try again later", times=1))
    make_server(peer.port)
    mailing = make_mailing(people("ann@customer.example"), T)

    drain_at(T)

    message = one(mailing=mailing)
    assert message.status == "deferred"
    assert 4 * MINUTE <= waited(message) <= 6 * MINUTE
    drain_at(T + 3 * MINUTE)
    assert one(mailing=mailing).status == "deferred"
    drain_at(T + 7 * MINUTE)
    assert one(mailing=mailing).status == "accepted"
    assert len(peer.accepted()) == 1


def test_the_usual_waits_are_a_setting(peers: Any, settings: Any) -> None:
    settings.RETRY_WAITS = (dt.timedelta(minutes=100),)
    peer = peers(saying("rcpt", b"450 4.3.0 Not just now"))
    make_server(peer.port)
    mailing = make_mailing(people("ann@customer.example"), T)

    drain_at(T)

    assert 80 * MINUTE <= waited(one(mailing=mailing)) <= 120 * MINUTE


def test_a_message_that_was_given_back_waits_no_longer_for_that(peers: Any) -> None:
    peer = peers(saying("rcpt", b"451 4.7.1 Greylisted"))
    server = make_server(peer.port)
    make_mailing(people("ann@gmail.com"), T)
    for _ in range(2):  # Held twice, and never on the line.
        hold = ProviderHold.objects.create(server=server, provider="google.com", placed_at=T, until=T + HOUR)
        drain_at(T)
        hold.delete()
        Message.objects.update(due_at=T)

    drain_at(T)

    message = one()
    assert list(message.attempts.values_list("outcome", flat=True)) == ["not_sent", "not_sent", "deferred"]
    assert waited(message) <= 6 * MINUTE


def test_a_server_that_tells_how_much_it_takes_over_a_connection_is_kept_to_it(peers: Any) -> None:
    carried: Counter[int] = Counter()

    def after_three(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "answered":
            carried[context["peer"]] += 1
        if event == "mail" and carried[context["peer"]] >= 3:
            return b"421 4.7.0 Too many messages per connection"
        return None

    peer = peers(after_three)
    server = make_server(peer.port, max_connections=1)
    mailing = make_mailing(make_list(12), T)

    drain_at(T)

    server.refresh_from_db()
    assert server.learned_messages_per_connection == 3
    assert figures.counts(mailing.pk)["accepted"] == 12, figures.reasons(mailing.pk)
    refusals = len(peer.journal.events("mail")) - 12
    assert 1 <= refusals <= 2, "it is told once, and then known"
    server.save()  # An edit.
    assert server.learned_messages_per_connection is None


# --- retry_other


def test_a_blocked_server_hands_its_message_to_the_next_one_at_once(peers: Any) -> None:
    blocked = peers(saying("rcpt", b"550 5.7.1 Service unavailable; client host blocked using Spamhaus"))
    other = peers()
    first = make_server(blocked.port, "First", display_order=1)
    make_server(other.port, "Second", display_order=2)
    mailing = make_mailing(people("ann@customer.example"), T)

    drain_at(T)

    message = one(mailing=mailing)
    assert (message.status, message.avoid) == ("accepted", [first.pk])
    assert list(message.attempts.values_list("batch__server_name", "rule", "outcome")) == [
        ("First", "dnsbl", "deferred"),
        ("Second", "", "accepted"),
    ]
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(("largest", "status"), [(10_000_000, "accepted"), (1500, "failed")])
def test_a_large_message_goes_to_a_server_that_takes_it_or_fails(peers: Any, largest: int, status: str) -> None:
    small = peers(extensions=("PIPELINING", "SIZE 1000"))
    large = peers(extensions=("PIPELINING", f"SIZE {largest}"))
    make_server(small.port, "Small", display_order=1)
    make_server(large.port, "Large", display_order=2)
    mailing = make_mailing(people("ann@customer.example"), T, html=f"<p>{'long ' * 1000}</p>")

    drain_at(T)

    message = one(mailing=mailing)
    assert message.status == status, message.reason
    assert not small.journal.events("mail"), "its EHLO said no already"
    assert status == "accepted" or "552 5.3.4" in message.reason


def test_a_sender_that_is_refused_stays_away_from_the_server_until_it_is_edited(peers: Any) -> None:
    strict = peers(saying("mail", b"553 5.7.1 Sender address rejected: not owned by user ann"))
    other = peers()
    server = make_server(strict.port, "Strict", display_order=1)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(make_list(120), T)

    drain_at(T)

    assert figures.counts(mailing.pk)["accepted"] == 120
    asked = len(strict.journal.events("mail"))
    assert 1 <= asked <= 6, "those on the line at once, and no more"
    refused = RefusedSender.objects.get()
    assert (refused.sender, refused.until) == ("news@shop.example", None)
    choice = Attempt.objects.filter(batch__server_name="Other").values_list("batch__choice", flat=True)[0]
    assert choice == "Other, because Strict rejects mail from news@shop.example."

    make_mailing(make_list(5, "Later"), T)
    drain_at(T + 30 * 24 * HOUR)
    assert len(strict.journal.events("mail")) == asked

    server.save()  # An edit.
    make_mailing(make_list(1, "Edited"), T)
    drain_at(T + 30 * 24 * HOUR)
    assert len(strict.journal.events("mail")) == asked + 1


def test_a_sender_that_every_server_refuses_waits_and_says_why(peers: Any) -> None:
    peer = peers(saying("mail", b"553 5.7.1 You are not allowed to send as this address"))
    make_server(peer.port, "Strict")
    mailing = make_mailing(people("ann@customer.example"), T)

    drain_at(T)
    drain_at(T)

    mailing.refresh_from_db()
    assert one(mailing=mailing).status == "deferred"
    assert mailing.waiting_reason == ("No server can send this now: Strict rejects mail from news@shop.example.")


def test_a_refusal_of_the_sender_without_a_reason_counts_from_the_third_on(peers: Any) -> None:
    strict = peers(saying("mail", b"550 5.0.0 No"))
    other = peers()
    make_server(strict.port, "Strict", display_order=1, max_connections=1, pipelining="steps")
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(make_list(30), T)

    drain_at(T)

    assert figures.counts(mailing.pk)["accepted"] == 30
    assert len(strict.journal.events("mail")) == 3
    refused = RefusedSender.objects.get()
    assert refused.until == T + HOUR


# --- slow


@pytest.mark.parametrize(
    ("reply", "connections"),
    [
        (b"450 4.2.1 Peak SMTP relay limit exceeded for this customer.", 5),
        (b"432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", 9),
    ],
)
def test_a_server_that_cannot_keep_up_is_slowed(peers: Any, reply: bytes, connections: int) -> None:
    peer = peers(saying("mail", reply, times=1))
    server = make_server(peer.port, max_connections=10)
    make_mailing(people("ann@customer.example"), T)

    drain_at(T)

    server.refresh_from_db()
    assert rate_limiter.effective(server, T).connections == connections
    assert rate_limiter.effective(server, T + 2 * HOUR).connections == 10
    assert server.paused_reason == ""


def test_too_many_connections_leave_one_for_an_hour(peers: Any) -> None:
    peer = peers(saying("conn", b"421 4.7.0 Too many concurrent SMTP connections", times=1))
    server = make_server(peer.port, max_connections=10)
    make_mailing(people("ann@customer.example"), T)

    drain_at(T)

    server.refresh_from_db()
    assert rate_limiter.effective(server, T + 50 * MINUTE).connections == 1
    assert rate_limiter.effective(server, T + 5 * HOUR).connections == 10
    assert one().status == "accepted"


def test_a_server_that_closes_often_is_slowed(peers: Any) -> None:
    peer = peers(saying("rcpt", b"421 4.3.0 Closing"))
    server = make_server(peer.port, max_connections=4)
    make_mailing(make_list(2), T)
    drain_at(T)
    server.refresh_from_db()
    assert server.slow_factor == 1

    make_mailing(make_list(1, "More"), T)
    drain_at(T + MINUTE)

    server.refresh_from_db()
    assert server.slow_factor == 0.5


# --- pause_domain


def test_a_provider_that_had_enough_is_left_alone_by_this_server_and_others_go_on(peers: Any) -> None:
    peer = peers(saying("rcpt", b"421 4.7.28 Our system has detected an unusual rate of mail", to="@g", times=1))
    server = make_server(peer.port, max_connections=1)
    audience = people(
        "first@gmail.com", "ann@customer.example", "second@googlemail.com", "bob@customer.example", "third@gmail.com"
    )
    mailing = make_mailing(audience, T)

    drain_at(T)

    assert {event["rcpt_to"] for event in peer.accepted()} == {"ann@customer.example", "bob@customer.example"}
    hold = ProviderHold.objects.get(server=server)
    assert (hold.provider, hold.until, hold.strikes) == ("google.com", T + 10 * MINUTE, 1)
    for message in Message.objects.filter(mailing=mailing, status="deferred"):
        assert waited(message) >= 8 * MINUTE
    waiting = one(mailing=mailing, email="third@gmail.com")
    assert waiting.reason.startswith("Mail to google.com is on hold until ")
    assert "421 4.7.28" in waiting.reason
    assert waiting.attempts.get().outcome == "not_sent"

    drain_at(T + 30 * MINUTE)
    assert figures.counts(mailing.pk)["accepted"] == 5
    server.refresh_from_db()
    assert server.paused_reason == ""


def test_a_second_hold_lasts_twice_as_long_and_success_ends_it(peers: Any) -> None:
    peer = peers(saying("rcpt", b"421 4.7.28 Unusual rate", to="@gmail.com", times=2))
    make_server(peer.port, max_connections=2)
    make_mailing(people("ann@gmail.com"), T)
    drain_at(T)

    again = T + 20 * MINUTE
    drain_at(again)
    hold = ProviderHold.objects.get()
    assert (hold.until, hold.strikes) == (again + 20 * MINUTE, 2)

    make_mailing(people("bob@gmail.com", "cem@gmail.com", "dan@gmail.com"), T)
    drain_at(T + 2 * HOUR)
    assert len(peer.accepted()) == 4
    make_mailing(people("eve@gmail.com"), T)
    drain_at(T + 2 * HOUR)
    assert not ProviderHold.objects.exists(), "it takes as much at once again as the server has connections"


def test_after_a_hold_one_message_at_a_time_goes_out_and_one_more_with_each_success() -> None:
    server = make_server(9)
    ProviderHold.objects.create(
        server=server, provider="google.com", reason="421 4.7.28", placed_at=T, until=T + 10 * MINUTE
    )
    holds = provider_holds.Holds(server.pk, connections=3)
    assert not holds

    holds.load(T)
    after = T + 11 * MINUTE
    assert holds
    assert not holds.may_begin("google.com", T + MINUTE)
    assert holds.held_until("google.com", T) == T + 10 * MINUTE
    assert holds.held_until("google.com", after) is None
    assert holds.may_begin("customer.example", T)

    for at_once in (1, 2, 3):
        for _ in range(at_once):
            assert holds.may_begin("google.com", after)
            holds.begun("google.com", after)
        assert not holds.may_begin("google.com", after)
        for number in range(at_once):
            holds.ended("google.com", is_ok=number == 0, now=after)
    holds.load(after)
    assert not holds
    assert not ProviderHold.objects.exists()


def test_a_slow_provider_gets_one_message_a_minute(peers: Any) -> None:
    peer = peers(saying("rcpt", b"451 4.7.650 The mail server has been temporarily rate limited", times=1))
    server = make_server(peer.port)
    make_mailing(people("ann@outlook.com"), T)
    drain_at(T)

    hold = ProviderHold.objects.get(server=server)
    assert (hold.provider, hold.until, hold.slow_until, hold.per_minute) == ("outlook.com", T, T + 90 * MINUTE, 1)
    holds = provider_holds.Holds(server.pk, connections=3)
    holds.load(T)
    assert holds.may_begin("outlook.com", T)
    holds.begun("outlook.com", T)
    holds.ended("outlook.com", is_ok=True, now=T)
    assert not holds.may_begin("outlook.com", T + 0.5 * MINUTE)
    assert holds.may_begin("outlook.com", T + MINUTE)


def test_a_hold_can_be_lifted(peers: Any) -> None:
    server = make_server(9)
    hold = ProviderHold.objects.create(server=server, provider="google.com", reason="x", placed_at=T, until=T + HOUR)
    holds = provider_holds.Holds(server.pk)
    holds.load(T)
    assert holds

    assert provider_holds.lift(server.pk, hold.pk) == "google.com"
    assert provider_holds.lift(server.pk, hold.pk) == ""

    holds.load(T)
    assert not holds


def test_a_provider_that_wants_another_server_gets_one(peers: Any) -> None:
    tired = peers(saying("rcpt", b"553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred"))
    other = peers()
    make_server(tired.port, "Tired", display_order=1)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(people("ann@yahoo.com"), T)

    drain_at(T)

    assert one(mailing=mailing).status == "accepted"
    assert ProviderHold.objects.get().until == T + 24 * HOUR


def test_without_another_server_a_refused_provider_waits(peers: Any) -> None:
    peer = peers(saying("rcpt", b"553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred", times=1))
    make_server(peer.port)
    mailing = make_mailing(people("ann@yahoo.com"), T)

    drain_at(T)
    drain_at(T + HOUR)
    message = one(mailing=mailing)
    assert message.status == "deferred", message.reason
    assert message.reason.startswith("Mail to yahoodns.net is on hold until ")

    drain_at(T + 60 * HOUR)
    assert one(mailing=mailing).status == "accepted"


# --- pause_server


def test_a_spent_daily_quota_moves_the_mail_on_and_blames_nobody(peers: Any) -> None:
    full = peers(saying("dot", b"454 Throttling failure: Daily message quota exceeded."))
    other = peers()
    server = make_server(full.port, "Full", display_order=1)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(make_list(20), T)

    drain_at(T)

    server.refresh_from_db()
    assert figures.counts(mailing.pk)["accepted"] == 20
    assert server.full_until == T + 30 * MINUTE
    assert (server.failures, server.paused_reason) == (0, "")
    assert not Suppression.objects.exists()

    # Asked again with a single message, and full for as long once more.
    asked = len(full.journal.events("mail"))
    make_mailing(make_list(20, "Later"), T)
    drain_at(T + 31 * MINUTE)
    server.refresh_from_db()
    assert len(full.journal.events("mail")) == asked + 1
    assert server.full_until == T + 61 * MINUTE


def test_a_server_that_failed_is_probed_with_one_message_before_the_flood(peers: Any) -> None:
    is_well: list[bool] = []
    opened: list[int] = []

    def script(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "conn" and is_well:
            time.sleep(1.5)  # Looks go on meanwhile, and wake others.
        if event == "dot" and not opened:
            time.sleep(0.3)  # Time enough for those to come.
            opened.append(len(peer.journal.events("conn")) - tried)
        return DROP if event == "conn" and not is_well else None

    peer = peers(script)
    server = make_server(peer.port, max_connections=5)
    mailing = make_mailing(make_list(40), T)
    drain_at(T)
    server.refresh_from_db()
    assert (server.failures, server.paused_until) == (3, T + 30 * dt.timedelta(seconds=1))
    tried = len(peer.journal.events("conn"))
    assert tried == 3

    for seconds, pause in ((31, 60), (92, 120)):
        drain_at(T + dt.timedelta(seconds=seconds))
        server.refresh_from_db()
        tried += 1
        assert len(peer.journal.events("conn")) == tried, "one probe"
        assert server.paused_until == T + dt.timedelta(seconds=seconds + pause)

    is_well.append(True)
    drain_at(T + dt.timedelta(seconds=300))
    server.refresh_from_db()
    assert figures.counts(mailing.pk)["accepted"] == 40
    assert (server.failures, server.paused_reason, server.outage_at) == (0, "", None)
    lines = [(event["event"], event["peer"]) for event in peer.journal.events("conn", "dot")][tried:]
    assert [name for name, _ in lines[:2]] == ["conn", "dot"], "the probe went alone"
    assert opened == [1]


def test_a_temporary_refusal_of_the_sign_in_waits_longer_each_time(peers: Any) -> None:
    peer = peers(saying("auth", b"454 4.7.0 Temporary authentication failure"), extensions=("AUTH PLAIN",))
    server = make_server(peer.port, username="ann", password="pencil")
    make_mailing(people("ann@customer.example"), T)

    at = T
    for tries, minutes in enumerate((5, 10, 20, 20), 1):
        drain_at(at)
        server.refresh_from_db()
        assert server.paused_until == at + minutes * MINUTE
        assert len(peer.journal.events("auth")) == tries
        at = server.paused_until + MINUTE


# --- the recipient


def test_an_unknown_recipient_is_suppressed_and_a_contradiction_suppresses_nobody(peers: Any) -> None:
    def script(event: str, context: dict[str, Any]) -> bytes | None:
        if event != "rcpt" or "bob" in context["rcpt_to"]:
            return None
        return b"550 5.1.1 No such user" if "ann" in context["rcpt_to"] else b"550 4.1.1 No such user"

    peer = peers(script)
    make_server(peer.port)
    mailing = make_mailing(people("ann@customer.example", "bob@customer.example", "cem@customer.example"), T)

    drain_at(T)

    statuses = dict(Message.objects.filter(mailing=mailing).values_list("email", "status"))
    assert statuses == {
        "ann@customer.example": "bounced",
        "bob@customer.example": "accepted",
        "cem@customer.example": "bounced",
    }
    assert [suppression.email for suppression in Suppression.objects.all()] == ["ann@customer.example"]


def test_the_third_unexplained_refusal_within_a_month_suppresses(peers: Any) -> None:
    peer = peers(saying("rcpt", b"550 5.0.0 Rejected"))
    make_server(peer.port)
    audience = people("ann@customer.example")

    for number, days in enumerate((0, 25, 31, 32)):
        make_mailing(audience, T, name=f"Issue {number}")
        drain_at(T + dt.timedelta(days=days))
        # The first is too long ago when the third comes.
        assert Suppression.objects.exists() == (days == 32)

    assert Suppression.objects.get().source.startswith("3 messages were refused within 30 days. The last answer: 550")


@pytest.mark.parametrize(("days", "is_suppressed"), [(2, True), (1, False)])
def test_five_soft_bounces_in_a_row_over_a_week_suppress(peers: Any, days: int, is_suppressed: bool) -> None:
    answers = iter([b"552 5.2.2 Mailbox full"] * 5)
    peer = peers(lambda event, context: next(answers) if event == "rcpt" else None)
    make_server(peer.port)
    audience = people("ann@customer.example")

    for number in range(5):
        assert not Suppression.objects.exists()
        make_mailing(audience, T, name=f"Issue {number}")
        drain_at(T + number * dt.timedelta(days=days))

    assert Suppression.objects.exists() == is_suppressed


def test_a_bad_domain_suppresses_only_where_dns_agrees(peers: Any) -> None:
    peer = peers(saying("rcpt", b"550 5.1.2 Bad destination system address"))
    make_server(peer.port)
    mailing = make_mailing(people("ann@customer.example"), T)

    drain_at(T)

    assert one(mailing=mailing).status == "bounced"
    assert not Suppression.objects.exists()


# --- the mailing


def test_a_sender_without_authentication_pauses_the_campaign_and_says_what_to_do(
    peers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.worker.lease_keeper.CHECK_SECONDS", 0.1)
    peer = peers(saying("dot", b"550 5.7.26 Unauthenticated email from shop.example is not accepted", to="person"))
    make_server(peer.port, max_connections=1, rate_limit=20)
    mailing = make_mailing(make_list(50), T)
    same = make_mailing(people("same@customer.example"), T, mail_from="Shop <shop@shop.example>")
    other = make_mailing(people("other@customer.example"), T, mail_from="Blog <blog@blog.shop.example>")

    drain_at(T)

    for each, state in ((mailing, "paused"), (same, "paused"), (other, "open")):
        each.refresh_from_db()
        assert each.state == state, each.mail_from
    assert re.fullmatch(r"The sender was refused: 550 5\.7\.26 .* Mend it, then resume\.", mailing.waiting_reason)
    assert len(peer.journal.events("dot")) < 40
    assert not Suppression.objects.exists()


def test_a_single_message_is_never_paused(peers: Any) -> None:
    peer = peers(saying("dot", b"550 5.7.26 Unauthenticated email from shop.example is not accepted", times=1))
    make_server(peer.port)
    mailing = mailings.open_mailing(stream="single", name="Receipt", subject="Receipt", html="", text="Thanks")
    mailings.address(mailing, email="ann@customer.example", email_key="ann@customer.example", now=T)

    drain_at(T)

    mailing.refresh_from_db()
    assert mailing.state == "open"
    assert 12 * MINUTE <= waited(one(mailing=mailing)) <= 18 * MINUTE


@pytest.mark.parametrize(
    ("event", "reply", "why"),
    [
        ("rcpt", b"550 5.1.1 No such user", "addresses do not exist"),
        ("dot", b"554 5.7.1 Message rejected as spam", "messages were refused for their content"),
    ],
)
def test_a_bad_share_stops_the_campaign_which_goes_on_from_there(
    peers: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, event: str, reply: bytes, why: str
) -> None:
    settings.STOP_AFTER_MESSAGES = 20
    monkeypatch.setattr("delivery.worker.lease_keeper.CHECK_SECONDS", 0.1)
    peer = peers(lambda happening, context: reply if happening == event and "person" in context["rcpt_to"] else None)
    # So slowly that the stop is seen before all of them are sent.
    server = make_server(peer.port, max_connections=1, rate_limit=40)
    mailing = make_mailing(make_list(80), T)

    drain_at(T)

    mailing.refresh_from_db()
    assert mailing.state == "paused"
    assert re.match(rf"Stopped: \d+ of the last \d+ {why} \(100\.0%\)\.", mailing.waiting_reason)
    assert "then resume." in mailing.waiting_reason
    counts = figures.counts(mailing.pk)
    ended = counts["bounced"] + counts["failed"]
    assert 20 <= ended < 60

    # Resumed by hand, it is judged by what comes after.
    assert mailings.resume(mailing.pk)
    assert StopTally.objects.get(mailing=mailing, server=server).sent == 0
    drain_at(T)
    counts = figures.counts(mailing.pk)
    again = counts["bounced"] + counts["failed"] - ended
    assert again >= 20, "not stopped at once by the old figures"
    mailing.refresh_from_db()
    assert mailing.state == "paused", "and stopped by new ones"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sent", "bounced", "stops"), [(19, 19, False), (20, 20, True), (100, 5, True), (100, 4, False), (20, 0, False)]
)
def test_a_campaign_is_judged_from_as_many_answers_on_as_the_setting_says(
    settings: Any, sent: int, bounced: int, stops: bool
) -> None:
    settings.STOP_AFTER_MESSAGES, settings.STOP_BOUNCE_PERCENT = 20, 5

    assert bool(consequences._Figures(sent, bounced, 0).why_stop()) is stops


def test_few_bounces_among_many_do_not_stop_a_campaign(peers: Any, settings: Any) -> None:
    settings.STOP_AFTER_MESSAGES = 20
    # Late, so that enough were answered before.
    peer = peers(saying("rcpt", b"550 5.1.1 No such user", to="person55."))
    make_server(peer.port, max_connections=1)
    mailing = make_mailing(make_list(60), T)

    drain_at(T)

    mailing.refresh_from_db()
    assert mailing.state == "open"
    counts = figures.counts(mailing.pk)
    assert (counts["accepted"], counts["bounced"]) == (59, 1)
    tally = StopTally.objects.get()
    assert (tally.sent, tally.hard_bounces, tally.content_failures) == (60, 1, 0)


# --- no SMTP at all


@pytest.mark.parametrize("reply", [b"999 what", b"000 nothing", b"hello"])
def test_an_answer_that_is_none_loses_nothing(peers: Any, reply: bytes) -> None:
    strange = peers(saying("rcpt", reply))
    other = peers()
    server = make_server(strange.port, "Strange", display_order=1)
    make_server(other.port, "Other", display_order=2)
    mailing = make_mailing(make_list(5), T)

    for minutes in range(6):  # Until enough of them failed, one by one or at once.
        drain_at(T + minutes * MINUTE)

    server.refresh_from_db()
    assert server.failures >= 3
    assert figures.counts(mailing.pk)["accepted"] == 5, figures.reasons(mailing.pk)
    assert not Suppression.objects.exists()


def test_a_connection_that_fails_while_no_message_waits_for_it_pauses_its_server(peers: Any) -> None:
    server = make_server(9)
    refused = judge_connection(Stage.AUTH, "the server refused the sign-in", Reply.parse("535 5.7.8 no"))

    consequences.act_on_connection(server.pk, refused, T)

    server.refresh_from_db()
    assert server.paused_reason == "the server refused the sign-in: 535 5.7.8 no"
    assert server.paused_until is None


@pytest.mark.django_db
def test_a_plan_that_was_being_made_leaves_the_reason_of_a_stop_alone() -> None:
    mailing = make_mailing(people("ann@customer.example"), T)
    mailing.waiting_reason = "No server can send this just now."  # As the plan read it.
    Mailing.objects.filter(pk=mailing.pk).update(state="paused", waiting_reason="Stopped: 9 of the last 200")

    plan._note_waiting([mailing], {})

    mailing.refresh_from_db()
    assert mailing.waiting_reason == "Stopped: 9 of the last 200"
