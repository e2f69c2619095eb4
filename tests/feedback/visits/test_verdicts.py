"""The late pass: verdicts by all that is known of the neighbours, and numbers that only grow."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest
from django.conf import settings

from contacts.models import Contact
from delivery import clock_steps
from delivery.models import ClockMark, Mailing, Message
from feedback.models import CountingGap, FirstVisit, PendingVisit, Visit, VisitCount
from feedback.visits import verdicts
from feedback.visits.counts import note_gap
from feedback.visits.gather import gather_for_a_while
from feedback.visits.spool import Line, spool_folder, written_line
from feedback.visits.turn import take_turn
from feedback.visits.verdicts import judge, judge_for_a_while
from mail.links.tracking import GROUP, MESSAGE, Token
from mail.visits.agents import agent_of
from mail.visits.names import Kind
from mail.visits.request import RequestFacts
from smtpservers.models import SmtpServer
from tests.delivery.making import make_attempt
from tests.feedback.visits.making import (
    CHROME,
    FIREFOX,
    GMAIL,
    SENT_AT,
    allow,
    group_of,
    link_of,
    message_to,
    tracked_mailing,
)

pytestmark = pytest.mark.django_db
LATER = SENT_AT + dt.timedelta(hours=2)
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


@pytest.fixture
def mailing() -> Mailing:
    allow()
    return tracked_mailing()


def request(
    kind: Kind, number: int, code: str, at: dt.datetime, agent: str, network: str = "home", token: Any = MESSAGE
) -> bytes:
    manner, family = agent_of(agent)
    facts = RequestFacts(kind, manner, family, False, False, False)
    return written_line(Line(int(at.timestamp()), Token(token, number), code, facts, network))


def click(message: Message, code: str, at: dt.datetime = LATER, agent: str = CHROME, network: str = "home") -> bytes:
    return request(Kind.CLICK, message.pk, code, at, agent, network)


def opening(message: Message, at: dt.datetime = LATER, agent: str = CHROME) -> bytes:
    return request(Kind.OPEN, message.pk, "", at, agent)


NUMBERS = iter(range(1_000_000))


def arrive(lines: Iterable[bytes], now: dt.datetime) -> None:
    """Gather lines as at ``now``, when they were written a moment ago."""
    folder = spool_folder()
    folder.mkdir(exist_ok=True)
    (folder / f"events-{next(NUMBERS)}.done").write_bytes(b"".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("delivery.clock.own", lambda: now)
        gather_for_a_while(folder, lambda: now, 60)


def settle(now: dt.datetime) -> None:
    judge_for_a_while(lambda: now, 60)


def verdicts_of(message: Message) -> list[tuple[str, str, str]]:
    return list(message.visits.order_by("at", "pk").values_list("kind", "visitor", "reason"))


def numbers(mailing: Mailing, **only: Any) -> dict[tuple[str, int, str], tuple[int, int]]:
    """Return loads and people by kind, link and visitor."""
    found: dict[tuple[str, int, str], tuple[int, int]] = {}
    for row in VisitCount.objects.filter(mailing=mailing, **only):
        key = row.kind, row.link_id, row.visitor
        loads, people = found.get(key, (0, 0))
        found[key] = loads + row.loads, people + row.people
    return found


def test_a_person_counts_once_and_each_click_counts(mailing: Mailing) -> None:
    message, code = message_to(mailing), link_of(mailing)
    link = mailing.tracked_links.get().pk
    arrive([opening(message), click(message, code), click(message, code, LATER + 3 * MINUTE)], LATER + 3 * MINUTE)

    settle(LATER + 9 * MINUTE)

    assert verdicts_of(message) == [("open", "human", "person"), *[("click", "human", "person")] * 2]
    assert numbers(mailing) == {
        ("open", 0, "human"): (1, 1),
        ("click", 0, "human"): (2, 1),
        ("click", link, "human"): (2, 1),
    }
    message.refresh_from_db()
    assert (message.first_opened_at, message.first_clicked_at) == (LATER, LATER)


def test_nothing_is_judged_before_its_neighbours_are_known(mailing: Mailing) -> None:
    message, code = message_to(mailing), link_of(mailing)
    arrive([click(message, code)], LATER)

    settle(LATER + 4 * MINUTE)
    assert not Visit.objects.exists()
    settle(LATER + 5 * MINUTE)

    assert Visit.objects.count() == 1


def test_a_machine_that_says_so_counts_at_once(mailing: Mailing) -> None:
    message = message_to(mailing)
    arrive([click(message, link_of(mailing), agent="curl/8.5")], LATER)

    settle(LATER)

    assert verdicts_of(message) == [("click", "machine", "program")]
    message.refresh_from_db()
    assert message.first_clicked_at is None


def test_the_first_clicks_of_a_burst_are_judged_by_what_follows(mailing: Mailing) -> None:
    message = message_to(mailing)
    codes = [link_of(mailing, number, f"https://a.example/{number}") for number in range(1, 5)]
    arrive([click(message, codes[0])], LATER)
    arrive([click(message, code, LATER + dt.timedelta(seconds=2)) for code in codes[1:]], LATER + MINUTE)

    settle(LATER + 5 * MINUTE)
    settle(LATER + 7 * MINUTE)

    assert verdicts_of(message) == [("click", "machine", "every link")] * 4
    message.refresh_from_db()
    assert message.first_clicked_at is None


def test_a_late_click_of_a_burst_still_sees_the_first_ones_that_are_judged(mailing: Mailing) -> None:
    message = message_to(mailing)
    codes = [link_of(mailing, number, f"https://a.example/{number}") for number in range(1, 4)]
    for place, code in enumerate(codes):
        at = LATER + dt.timedelta(seconds=2 * place)
        arrive([click(message, code, at)], at)
        settle(at)

    for seconds in (301, 303, 305):
        settle(LATER + dt.timedelta(seconds=seconds))

    assert {verdict[2] for verdict in verdicts_of(message)} == {"every link"}


def test_one_network_that_fetches_links_of_many_messages_is_a_gateway(mailing: Mailing) -> None:
    code = link_of(mailing)
    messages = [message_to(mailing, f"{number}@example.net") for number in range(6)]
    person = message_to(mailing, "ann@example.net")
    arrive([click(message, code, network="gateway") for message in messages] + [click(person, code)], LATER)

    settle(LATER + 6 * MINUTE)

    assert {verdicts_of(message)[0][1:] for message in messages} == {("machine", "gateway")}
    assert verdicts_of(person) == [("click", "human", "person")]
    assert numbers(mailing)["click", 0, "machine"] == (6, 6)


def test_colleagues_behind_one_address_who_opened_their_mail_are_people(mailing: Mailing) -> None:
    messages, code = [message_to(mailing, f"p{number}@example.net") for number in range(6)], link_of(mailing)
    arrive([opening(message, LATER - 30 * MINUTE, GMAIL) for message in messages[:3]], LATER - 30 * MINUTE)
    settle(LATER - 20 * MINUTE)  # What was judged long ago counts, and what still waits.
    arrive([opening(message, LATER - MINUTE, GMAIL) for message in messages[3:]], LATER)
    arrive([click(message, code, network="office") for message in messages], LATER)

    settle(LATER + 6 * MINUTE)

    assert {verdicts_of(message)[-1] for message in messages} == {("click", "human", "person")}


def test_a_scanner_that_loads_the_pixel_opened_nothing(mailing: Mailing) -> None:
    message, codes = message_to(mailing), [link_of(mailing, position) for position in range(4)]
    arrive([opening(message), *[click(message, code) for code in codes]], LATER)

    settle(LATER + 6 * MINUTE)

    assert set(verdicts_of(message)) == {("open", "machine", "every link"), ("click", "machine", "every link")}


def test_a_scanner_does_not_hide_the_person_who_follows(mailing: Mailing) -> None:
    message, code = message_to(mailing), link_of(mailing)
    arrive([click(message, code, SENT_AT + dt.timedelta(seconds=3), network="scanner")], SENT_AT + MINUTE)
    settle(SENT_AT + 6 * MINUTE)
    arrive([click(message, code)], LATER)
    settle(LATER + 6 * MINUTE)

    assert verdicts_of(message) == [("click", "machine", "at once"), ("click", "human", "person")]
    assert numbers(mailing)["click", 0, "machine"] == (1, 1)
    assert numbers(mailing)["click", 0, "human"] == (1, 1)
    message.refresh_from_db()
    assert message.first_clicked_at == LATER


def test_what_the_provider_said_of_the_delivery_counts_before_the_end_of_our_attempt(mailing: Mailing) -> None:
    message = message_to(mailing, delivered_at=LATER)
    arrive([click(message, link_of(mailing), LATER + dt.timedelta(seconds=5))], LATER + MINUTE)

    settle(LATER + 6 * MINUTE)

    assert verdicts_of(message) == [("click", "machine", "at once")]


def test_a_click_at_once_by_another_program_than_opened_before_is_unknown(mailing: Mailing) -> None:
    message = message_to(mailing)
    seconds = dt.timedelta(seconds=1)
    lines = [opening(message, SENT_AT + 3 * seconds, FIREFOX), click(message, link_of(mailing), SENT_AT + 8 * seconds)]
    arrive(lines, SENT_AT + MINUTE)

    settle(SENT_AT + 6 * MINUTE)

    assert verdicts_of(message)[1] == ("click", "unknown", "at once")


@pytest.mark.parametrize("is_open_first", [True, False])
def test_a_click_tells_that_a_person_opened_what_a_proxy_loaded(mailing: Mailing, is_open_first: bool) -> None:
    message, code = message_to(mailing), link_of(mailing)
    soon = SENT_AT + dt.timedelta(seconds=30)
    arrived = [[opening(message, soon, GMAIL)], [click(message, code)]]
    for number, lines in enumerate(arrived if is_open_first else arrived[::-1]):
        arrive(lines, LATER + number * MINUTE)
        settle(LATER + (number * 10 + 6) * MINUTE)

    assert sorted(verdicts_of(message)) == [("click", "human", "person"), ("open", "unknown", "proxy")]
    assert numbers(mailing)["open", 0, "unknown"] == (1, 1)
    assert numbers(mailing)["open", 0, "human"] == (0, 1)
    message.refresh_from_db()
    assert message.first_opened_at is not None
    settle(LATER + 60 * MINUTE)
    assert numbers(mailing)["open", 0, "human"] == (0, 1)


def test_a_click_without_an_open_is_no_open(mailing: Mailing) -> None:
    message = message_to(mailing)
    arrive([click(message, link_of(mailing))], LATER)

    settle(LATER + 6 * MINUTE)

    assert not VisitCount.objects.filter(kind="open").exists()
    message.refresh_from_db()
    assert message.first_opened_at is None


def test_counts_tell_server_provider_program_and_quarter_of_an_hour(mailing: Mailing) -> None:
    message = message_to(mailing, "ann@gmail.com")
    arrive([opening(message, LATER + 14 * MINUTE, FIREFOX), opening(message, LATER + 16 * MINUTE)], LATER + 16 * MINUTE)

    settle(LATER + 22 * MINUTE)

    rows = VisitCount.objects.order_by("quarter_at")
    assert [(row.quarter_at, row.family, row.loads, row.people) for row in rows] == [
        (LATER, "firefox", 1, 1),
        (LATER + 15 * MINUTE, "chrome", 1, 0),
    ]
    assert {(row.server_name, row.provider, row.is_personal) for row in rows} == {("One", "google.com", True)}


def test_a_message_that_several_servers_tried_counts_for_the_last_that_took_it(mailing: Mailing) -> None:
    message = message_to(mailing)
    message.attempts.update(outcome="unconfirmed")
    for number, name, outcome in ((2, "Two", "accepted"), (3, "Three", "not_sent")):
        make_attempt(message, number, server_name=name, finished_at=SENT_AT, outcome=outcome)
    arrive([opening(message)], LATER)

    settle(LATER + 6 * MINUTE)

    assert set(VisitCount.objects.values_list("server_name", flat=True)) == {"Two"}


def test_a_visit_before_the_attempt_is_on_record_has_the_name_of_its_server(mailing: Mailing) -> None:
    server = SmtpServer.objects.create(name="Two", host="relay.example.com", mail_from="a@example.com")
    message = message_to(mailing, server=server)
    message.attempts.all().delete()
    arrive([opening(message)], LATER)

    settle(LATER + 6 * MINUTE)

    assert set(VisitCount.objects.values_list("server_name", flat=True)) == {"Two"}


def test_anonymous_visits_leave_numbers_and_nothing_of_a_person(mailing: Mailing) -> None:
    message, code = message_to(mailing, consent="unset"), link_of(mailing)
    group_of(mailing)
    group = mailing.tracked_mailings.get().pk
    lines = [request(Kind.CLICK, group, code, LATER, CHROME, token=GROUP), click(message, code)]
    arrive([*lines, opening(message)], LATER)

    settle(LATER + 6 * MINUTE)

    assert not Visit.objects.exists()
    assert not FirstVisit.objects.exists()
    assert set(VisitCount.objects.values_list("is_personal", "provider", "people")) == {(False, "", 0)}
    assert numbers(mailing)["click", 0, "human"] == (2, 0)
    message.refresh_from_db()
    assert (message.first_opened_at, message.first_clicked_at) == (None, None)


def test_a_consent_that_is_taken_back_before_the_verdict_counts(mailing: Mailing) -> None:
    message = message_to(mailing)
    arrive([click(message, link_of(mailing))], LATER)
    Contact.objects.update(click_tracking="none")

    settle(LATER + 6 * MINUTE)

    assert not Visit.objects.exists()
    assert not FirstVisit.objects.exists()
    assert numbers(mailing)["click", 0, "human"] == (1, 0)


def test_rows_with_hashes_are_gone_within_ten_minutes(mailing: Mailing) -> None:
    message, code = message_to(mailing), link_of(mailing)
    arrive([click(message, code), click(message, code, agent="curl/8.5")], LATER)

    settle(LATER + 6 * MINUTE)
    assert PendingVisit.objects.exists(), "neighbours may still need them"
    settle(LATER + 10 * MINUTE)

    assert not PendingVisit.objects.exists()


def set_clock(before: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """Have the database's clock set by a step, and everybody notice; return the new time."""
    clock_steps._last = None
    ClockMark.objects.all().delete()
    clock_steps.follow(before)
    assert abs(clock_steps.follow(before + step) - step) < dt.timedelta(seconds=1)
    return before + step


@pytest.mark.parametrize("step", [-DAY, DAY, -2 * MINUTE, 2 * MINUTE], ids=["back", "ahead", "little back", "little"])
def test_visits_wait_as_long_as_ever_whatever_is_done_to_the_clock(mailing: Mailing, step: dt.timedelta) -> None:
    message, code = message_to(mailing), link_of(mailing)
    arrive([click(message, code), click(message, code, agent="curl/8.5")], LATER)
    settle(LATER)
    assert verdicts_of(message) == [("click", "machine", "program")]

    now = set_clock(LATER + MINUTE, step)
    settle(now + 3 * MINUTE)
    assert len(verdicts_of(message)) == 1
    settle(now + 4 * MINUTE + dt.timedelta(seconds=2))

    (by_person,) = message.visits.filter(visitor="human")
    assert by_person.at <= now + 5 * MINUTE
    assert not VisitCount.objects.filter(visitor="human", quarter_at__gt=now + 5 * MINUTE).exists()
    settle(now + 9 * MINUTE + dt.timedelta(seconds=2))
    assert not PendingVisit.objects.exists()


def test_a_clock_that_was_ahead_and_is_put_right_makes_no_scanner_of_a_person(mailing: Mailing) -> None:
    message = message_to(mailing)
    at = SENT_AT - DAY + 10 * MINUTE
    arrive([click(message, link_of(mailing), at)], at)

    settle(at + 6 * MINUTE)

    assert verdicts_of(message) == [("click", "human", "person")]


def test_a_gap_of_a_clock_that_was_ahead_ends_when_the_clock_is_put_right(db: None) -> None:
    note_gap(LATER)

    now = set_clock(LATER + MINUTE, -DAY)

    assert CountingGap.objects.get().ended_at == now - MINUTE


def test_visits_are_judged_once_however_often_and_in_which_slices(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "SLICE_ROWS", 3)
    code = link_of(mailing)
    messages = [message_to(mailing, f"{number}@example.net") for number in range(10)]
    arrive([click(message, code, network=message.email) for message in messages], LATER)

    assert judge(LATER + 5 * MINUTE) == 3
    settle(LATER + 6 * MINUTE)
    settle(LATER + 6 * MINUTE)

    assert Visit.objects.count() == 10
    assert numbers(mailing)["click", 0, "human"] == (10, 10)


def test_visits_whose_message_is_gone_hold_up_nothing(mailing: Mailing) -> None:
    gone, message = message_to(mailing, "bob@example.net"), message_to(mailing)
    arrive([opening(gone), opening(message)], LATER)
    Message.objects.filter(pk=gone.pk)._raw_delete(using="default")  # Without what Django would delete with it.

    settle(LATER + 6 * MINUTE)

    assert [visit.message_id for visit in Visit.objects.all()] == [message.pk]


def test_a_turn_gathers_and_judges(mailing: Mailing) -> None:
    assert settings.CELERY_BEAT_SCHEDULE["gather-visits"]["task"] == "feedback.tasks.gather_visits"
    assert not take_turn(spool_folder())
