"""Gathering: each line once, whatever dies, and nothing of people who did not agree."""

import datetime as dt
import fcntl
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from delivery import clock
from delivery.health import readiness
from delivery.health.readiness import WorkersSeen
from delivery.models import Installation, Mailing, Message
from feedback.models import CountingGap, FirstVisit, GatheredFile, PendingVisit, Visit, VisitCount
from feedback.visits import gather as gather_module
from feedback.visits import turn
from feedback.visits.counts import note_gap
from feedback.visits.gather import gather_for_a_while
from feedback.visits.spool import Line, Spool, alone, finished, spool_folder, written_line
from feedback.visits.turn import StandIn, take_turn, uncounted
from feedback.visits.verdicts import judge_for_a_while
from mail.links.tracking import GROUP, MESSAGE, Token
from mail.visits.agents import Manner
from mail.visits.names import Family, Kind
from mail.visits.request import RequestFacts
from tests.feedback.visits.making import (
    allow,
    ask,
    click_of,
    edge_before,
    finish,
    gather,
    group_of,
    link_of,
    message_to,
    open_of,
    tracked_mailing,
)

pytestmark = pytest.mark.django_db(transaction=True)
OPENED = RequestFacts(Kind.OPEN, Manner.READER, Family.CHROME, False, False, False)
CLICKED = OPENED._replace(kind=Kind.CLICK)


@pytest.fixture
def mailing() -> Mailing:
    allow()
    return tracked_mailing()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def write(folder: Path, name: str, lines: list[bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"events-{name}.done"
    path.write_bytes(b"".join(lines))
    return path


def opened(message_id: int, at: int | None = None, network: str = "n") -> bytes:
    return written_line(Line(at or int(time.time()), Token(MESSAGE, message_id), "", OPENED, network))


def clicked(message_id: int, code: str, at: int, network: str = "n") -> bytes:
    return written_line(Line(at, Token(MESSAGE, message_id), code, CLICKED, network))


def test_what_was_answered_waits_for_its_verdict_and_the_file_is_gone(mailing: Mailing) -> None:
    edge, message = edge_before(), message_to(mailing)
    ask(edge, click_of(message, link_of(mailing)))
    ask(edge, open_of(message))

    gather(edge, now())

    click, opening = PendingVisit.objects.order_by("kind")
    assert (click.message_id, click.mailing_id, click.kind, click.link_id) == (
        message.pk,
        mailing.pk,
        "click",
        mailing.tracked_links.get().pk,
    )
    assert (opening.kind, opening.link_id, opening.loads, opening.is_judged) == ("open", None, 1, False)
    assert dt.timedelta(minutes=4) < click.due_at - now() <= dt.timedelta(minutes=5)
    assert finished(spool_folder()) == []
    assert not GatheredFile.objects.exists()


def test_a_slice_that_was_stored_before_a_crash_is_not_stored_again(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [message_to(mailing, f"{number}@example.net").pk for number in range(5)]
    monkeypatch.setattr(gather_module, "SLICE_LINES", 2)
    path = write(spool_folder(), "a", [opened(pk) for pk in messages])
    real, stored = gather_module._store, []

    def die_in_the_third(lines: Any, *args: Any, **kwargs: Any) -> None:
        real(lines, *args, **kwargs)
        stored.append(lines)
        if len(stored) == 3:
            raise KeyboardInterrupt  # Within the transaction, as a kill would.

    monkeypatch.setattr(gather_module, "_store", die_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        gather_for_a_while(spool_folder(), now, 60)
    assert PendingVisit.objects.count() == 4
    assert path.exists()
    monkeypatch.setattr(gather_module, "_store", real)
    gather_for_a_while(spool_folder(), now, 60)

    assert sorted(PendingVisit.objects.values_list("message_id", flat=True)) == sorted(messages)


def test_a_file_that_was_stored_and_not_deleted_is_deleted_without_storing_it_again(mailing: Mailing) -> None:
    path = write(spool_folder(), "a", [opened(message_to(mailing).pk)])
    content = path.read_bytes()
    GatheredFile.objects.create(name=path.name, position=len(content), read_at=now())

    gather_for_a_while(spool_folder(), now, 60)

    assert not PendingVisit.objects.exists()
    assert not path.exists()


def test_two_that_gather_one_folder_store_each_line_once(mailing: Mailing) -> None:
    path = write(spool_folder(), "a", [opened(message_to(mailing).pk)])

    with alone(spool_folder()) as is_alone:
        assert is_alone
        assert not gather_for_a_while(spool_folder(), now, 60)
    assert path.exists()
    # On a file system without locks the position decides.
    row = GatheredFile.objects.create(name=path.name, read_at=now())
    real = GatheredFile.objects.get_or_create

    def be_overtaken(**kwargs: Any) -> Any:
        found = real(**kwargs)
        GatheredFile.objects.filter(pk=row.pk).update(position=7)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(GatheredFile.objects), "get_or_create", lambda manager, **kwargs: be_overtaken(**kwargs))
        gather_for_a_while(spool_folder(), now, 60)
    assert not PendingVisit.objects.exists()


def test_torn_and_foreign_lines_are_left_out(mailing: Mailing, caplog: pytest.LogCaptureFixture) -> None:
    message = message_to(mailing)
    good = opened(message.pk)
    lines = [
        good[: len(good) // 2] + b"\n",
        b"\n",
        b"[" * 10_000 + b"\n",
        b'{"a": 1}\n',
        b'[1,"x",1,"",["open","reader","chrome",false,false,false],""]\n',
        b"\xff\xfe\n",
        good.replace(b"[", b"[1e30,", 1),
        good.replace(b"[", b"[99999999999999,", 1).replace(b",%d" % int(time.time()), b"", 1),
        good.replace(b'"m",%d' % message.pk, b'"m",99999999999999999999'),
        good,
    ]

    write(spool_folder(), "a", lines)
    gather_for_a_while(spool_folder(), now, 60)

    assert [row.message_id for row in PendingVisit.objects.all()] == [message.pk]
    assert "9 torn lines" in caplog.text


def test_the_files_of_a_dead_process_are_gathered_and_those_of_a_living_one_are_not(mailing: Mailing) -> None:
    folder, message = spool_folder(), message_to(mailing)
    living = Spool(folder)
    living.append(opened(message.pk))
    child = os.fork()
    if child == 0:
        dying = Spool(folder)
        dying.append(opened(message.pk))
        os._exit(9)
    os.waitpid(child, 0)

    found = finished(folder)

    assert len(found) == 1
    assert len(list(folder.glob("*.open"))) == 1
    with next(folder.glob("*.open")).open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_child_of_a_fork_writes_a_file_of_its_own(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(b"parent\n")
    child = os.fork()
    if child == 0:
        spool.append(b"child\n")
        os._exit(0)
    os.waitpid(child, 0)
    spool.append(b"parent\n")

    assert sorted(path.read_bytes() for path in (tmp_path / "spool").iterdir()) == [b"child\n", b"parent\nparent\n"]


# --- who is counted, and how


@pytest.mark.parametrize(
    ("installation", "level", "consent", "counted"),
    [
        ("personal", "personal", "yes", "by person"),
        ("personal", "personal", "unset", "anonymously"),
        ("personal", "personal", "none", "anonymously"),
        ("personal", "anonymous", "yes", "anonymously"),
        ("anonymous", "personal", "yes", "anonymously"),
        ("off", "personal", "yes", "not"),
        ("", "personal", "yes", "not"),
        ("personal", "off", "yes", "not"),
    ],
)
def test_a_consent_or_level_that_is_lower_now_holds_for_mail_that_was_sent_before(
    installation: str, level: str, consent: str, counted: str
) -> None:
    allow(installation)
    mailing = tracked_mailing(level)
    message, edge = message_to(mailing, consent=consent), edge_before()

    ask(edge, open_of(message))
    assert ask(edge, click_of(message, link_of(mailing))).status == 302
    gather(edge, now())

    rows = list(PendingVisit.objects.all())
    assert len(rows) == (0 if counted == "not" else 2)
    assert {row.message_id for row in rows} <= {message.pk if counted == "by person" else None}


def test_opens_and_clicks_are_agreed_to_apart(mailing: Mailing) -> None:
    message, edge = message_to(mailing), edge_before()
    message.contact.__class__.objects.update(open_tracking="none")

    ask(edge, open_of(message))
    ask(edge, click_of(message, link_of(mailing)))
    gather(edge, now())

    assert dict(PendingVisit.objects.values_list("kind", "message_id")) == {"open": None, "click": message.pk}


def test_nobody_is_counted_by_person_whose_names_were_removed(mailing: Mailing) -> None:
    message, edge = message_to(mailing), edge_before()
    gone = message_to(mailing, "bob@example.net")
    gone.contact.delete()
    ask(edge, open_of(gone))
    gather(edge, now())
    Mailing.objects.update(is_anonymous=True)
    ask(edge, open_of(message))
    gather(edge, now())

    assert [row.message_id for row in PendingVisit.objects.all()] == [None, None]


def test_a_token_with_the_code_of_another_mailing_counts_nowhere(mailing: Mailing) -> None:
    other, edge = tracked_mailing(), edge_before()
    code = link_of(other)

    assert ask(edge, click_of(message_to(mailing), code)).status == 302
    assert ask(edge, f"/c/{group_of(mailing)}{code}").status == 302
    gather(edge, now())

    assert not PendingVisit.objects.exists()


# --- limits


def test_a_link_that_is_asked_for_all_day_fills_no_table(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    message = message_to(mailing)
    at = int(time.time()) // 10 * 10
    same = [opened(message.pk, at) for _ in range(60)]
    many = [opened(message.pk, at, f"network {number}") for number in range(1_740)]

    write(spool_folder(), "a", [*same, *many])
    gather_for_a_while(spool_folder(), now, 60)

    assert sorted(PendingVisit.objects.values_list("loads", flat=True)) == [1] * 40 + [60]
    (count,) = VisitCount.objects.all()
    assert (count.visitor, count.people, count.loads) == ("unknown", 1, 1_700)


def loads_that_wait() -> int:
    return sum(PendingVisit.objects.values_list("loads", flat=True))


def loads_only_counted() -> dict[tuple[str, int, str], int]:
    """Return the loads that were counted so far, by kind, link and visitor."""
    found: Counter[tuple[str, int, str]] = Counter()
    for kind, link_id, visitor, loads in VisitCount.objects.values_list("kind", "link_id", "visitor", "loads"):
        found[kind, link_id, visitor] += loads
    return dict(found)


def first_visits() -> set[tuple[int, int, str]]:
    return set(FirstVisit.objects.values_list("message_id", "link_id", "visitor"))


def test_equal_requests_count_one_by_one_towards_the_limit(mailing: Mailing) -> None:
    """A loop on one link is a row within ten seconds, and no more people for that."""
    message, other, code = message_to(mailing), message_to(mailing, "bea@example.net"), link_of(mailing)
    link = mailing.tracked_links.get().pk
    at = int(time.time()) // 10 * 10

    write(spool_folder(), "a", [clicked(message.pk, code, at)] * 900 + [clicked(other.pk, code, at)] * 3)
    gather_for_a_while(spool_folder(), now, 60)

    waiting = dict(PendingVisit.objects.values_list("message_id", "loads"))
    assert waiting == {message.pk: gather_module.MOST_OF_MESSAGE, other.pk: 3}
    assert loads_only_counted() == {("click", 0, "unknown"): 800, ("click", link, "unknown"): 800}
    # Who comes after a loop isn't said to have clicked nothing.
    assert first_visits() == {(message.pk, 0, "unknown"), (message.pk, link, "unknown")}
    assert sum(VisitCount.objects.filter(link_id=0).values_list("people", flat=True)) == 1


def test_the_limit_holds_from_turn_to_turn_however_few_come_in_each(mailing: Mailing) -> None:
    message, code = message_to(mailing), link_of(mailing)
    at = int(time.time()) // 10 * 10

    for turn_number in range(30):
        write(spool_folder(), f"a{turn_number}", [clicked(message.pk, code, at - 270 + 9 * turn_number)] * 7)
        gather_for_a_while(spool_folder(), now, 60)

    assert loads_that_wait() == gather_module.MOST_OF_MESSAGE
    assert loads_only_counted()["click", 0, "unknown"] == 30 * 7 - gather_module.MOST_OF_MESSAGE


def test_a_program_beyond_the_limit_that_names_itself_stays_a_machine(mailing: Mailing) -> None:
    message = message_to(mailing)
    curl = OPENED._replace(manner=Manner.PROGRAM, family=Family.PROGRAM)
    line = written_line(Line(int(time.time()), Token(MESSAGE, message.pk), "", curl, "n"))

    write(spool_folder(), "a", [line] * 150)
    gather_for_a_while(spool_folder(), now, 60)

    assert loads_only_counted() == {("open", 0, "machine"): 50}
    assert first_visits() == {(message.pk, 0, "machine")}


def test_a_loop_leaves_nothing_of_a_person_who_is_erased_meanwhile(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, code = message_to(mailing), link_of(mailing)
    real = gather_module._note_first

    def be_late(*args: Any) -> Any:
        Message.objects.update(contact=None)
        return real(*args)

    monkeypatch.setattr(gather_module, "_note_first", be_late)
    write(spool_folder(), "a", [clicked(message.pk, code, int(time.time()))] * 300)
    gather_for_a_while(spool_folder(), now, 60)

    assert loads_only_counted()["click", 0, "unknown"] == 200
    assert first_visits() == set()
    assert not VisitCount.objects.filter(people__gt=0).exists()


@pytest.mark.parametrize("token", [MESSAGE, GROUP])
@pytest.mark.parametrize("is_click", [True, False])
def test_a_loop_without_a_name_is_no_crowd_either(mailing: Mailing, token: str, is_click: bool) -> None:
    """The token of a message whose reader doesn't agree, and that of a whole mailing."""
    message, code = message_to(mailing, consent="unset"), link_of(mailing)
    group_of(mailing)
    number = message.pk if token == MESSAGE else mailing.tracked_mailings.get().pk
    facts = CLICKED if is_click else OPENED
    most = gather_module.MOST_CLICKS_OF_NETWORK if is_click else gather_module.MOST_OPENS_OF_NETWORK
    at = int(time.time()) // 10 * 10

    def ask_often(name: str, network: str, times: int) -> None:
        line = written_line(Line(at, Token(token, number), code if is_click else "", facts, network))
        write(spool_folder(), name, [line] * times)
        gather_for_a_while(spool_folder(), now, 60)

    ask_often("a", "loop", most - 10)
    ask_often("b", "loop", 500)
    ask_often("c", "another", 5)

    assert first_visits() == set()
    assert loads_that_wait() == most + 5
    assert loads_only_counted()[facts.kind.value, 0, "unknown"] == 490


def test_an_agreement_that_is_taken_back_during_a_loop_makes_no_crowd_of_it(mailing: Mailing) -> None:
    message, code = message_to(mailing), link_of(mailing)
    at = int(time.time()) // 10 * 10
    lines = [clicked(message.pk, code, at)] * 300

    write(spool_folder(), "a", lines)
    gather_for_a_while(spool_folder(), now, 60)
    message.contact.__class__.objects.update(click_tracking="none")
    write(spool_folder(), "b", lines)
    gather_for_a_while(spool_folder(), now, 60)
    judge_for_a_while(lambda: now() + dt.timedelta(minutes=6), 60)

    counted = {visitor: loads for (_, link_id, visitor), loads in loads_only_counted().items() if not link_id}
    assert counted == {"human": gather_module.MOST_OF_MESSAGE, "unknown": 500}


def test_more_than_five_million_lines_are_only_counted(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    message = message_to(mailing)
    group_of(mailing)
    monkeypatch.setattr(gather_module, "MOST_WAITING_BYTES", 200)
    curl = OPENED._replace(manner=Manner.PROGRAM, family=Family.PROGRAM)
    lines = [opened(message.pk), opened(message.pk), written_line(Line(1, Token(MESSAGE, message.pk), "", curl, ""))]
    lines.append(written_line(Line(1, Token(GROUP, mailing.tracked_mailings.get().pk), "", OPENED, "")))

    write(spool_folder(), "a", lines)
    gather_for_a_while(spool_folder(), now, 60)

    assert not PendingVisit.objects.exists()
    assert not Visit.objects.exists()
    counted = VisitCount.objects.values_list("visitor", "loads").order_by("visitor", "loads")
    assert list(counted) == [("machine", 1), ("unknown", 1), ("unknown", 2)]
    assert CountingGap.objects.get().ended_at > now() - dt.timedelta(minutes=1)


@pytest.mark.parametrize(("level", "is_gap"), [("off", True), ("anonymous", True), ("personal", False)])
def test_a_turn_notes_that_nobody_is_counted_by_name(level: str, is_gap: bool) -> None:
    allow(level)
    long_ago = now() - dt.timedelta(days=400)
    note_gap(long_ago)

    take_turn(spool_folder())

    assert (CountingGap.objects.get().ended_at > long_ago) == is_gap


# --- clocks


@pytest.mark.parametrize("wrong_by", [dt.timedelta(days=1), dt.timedelta(days=-1)], ids=["ahead", "behind"])
def test_a_clock_that_is_wrong_by_a_day_moves_no_visit(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch, wrong_by: dt.timedelta
) -> None:
    right = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
    monkeypatch.setattr(clock, "own", lambda: right + wrong_by)

    write(spool_folder(), "a", [opened(message_to(mailing).pk, int((right + wrong_by).timestamp()) - 20)])
    gather_for_a_while(spool_folder(), lambda: right, 60)

    row = PendingVisit.objects.get()
    assert row.at == right - dt.timedelta(seconds=20)
    assert row.due_at == row.at + dt.timedelta(minutes=5)


def test_what_was_gathered_hours_later_still_waits_for_its_neighbours(mailing: Mailing) -> None:
    at = now()
    write(spool_folder(), "a", [opened(message_to(mailing).pk, int(at.timestamp()) - 7200)])

    gather_for_a_while(spool_folder(), lambda: at, 60)

    assert PendingVisit.objects.get().due_at == at + dt.timedelta(minutes=1)


def test_nothing_is_from_the_future(mailing: Mailing) -> None:
    at = now().replace(microsecond=0)
    write(spool_folder(), "a", [opened(message_to(mailing).pk, int(at.timestamp()) + 86_400)])

    gather_for_a_while(spool_folder(), lambda: at, 60)

    assert PendingVisit.objects.get().at <= at


# --- who gathers


def test_a_copy_that_waits_for_a_person_gathers_nothing_and_goes_on_after_the_release(mailing: Mailing) -> None:
    edge = edge_before()
    ask(edge, open_of(message_to(mailing)))
    finish(edge)
    take_turn(spool_folder() / "other")  # Makes the row of this installation.
    Installation.objects.filter(pk=1).update(held_because="This database is a copy.", held_since=now())

    assert not take_turn(spool_folder())
    assert not PendingVisit.objects.exists()
    Installation.objects.filter(pk=1).update(held_because="", held_since=None)
    take_turn(spool_folder())

    assert PendingVisit.objects.count() == 1


def test_a_web_process_steps_in_where_nobody_else_gathers(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    edge, steady = edge_before(), time.monotonic()
    ask(edge, open_of(message_to(mailing)))
    finish(edge)
    stand_in = StandIn()

    for seconds, expected in ((0, 0), (15, 0), (29, 0), (40, 1)):
        monkeypatch.setattr(turn.time, "monotonic", lambda at=seconds: steady + at)
        stand_in.step_in()
        assert PendingVisit.objects.count() == expected, seconds


def test_readiness_says_when_nobody_gathers(mailing: Mailing) -> None:
    edge = edge_before()
    look = WorkersSeen(now())
    assert uncounted(look) is None
    ask(edge, open_of(message_to(mailing)))
    (path,) = finish(edge)
    assert uncounted(look) is None

    os.utime(path, (time.time() - 1_325,) * 2)

    assert uncounted(look) == "Opens and clicks have waited for 22 minutes to be counted."
    assert readiness.CHECKS["visits"] is uncounted
    take_turn(spool_folder())
    assert uncounted(look) is None
