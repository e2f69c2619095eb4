"""A copy of the database is noticed and held, and nothing else ever is; what a person says of it is done."""

import datetime as dt
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.core.management.color import no_style
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from brilliance.celery import Errand, app
from campaigns.models import Campaign
from campaigns.tasks import start_due_campaigns
from delivery import identity
from delivery.models import Batch, Chunk, Installation, LaterChunk, Mailing, Message, TrackedMailing
from delivery.operators import restored_copy, send_test
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases, mailings, plan, transactional
from delivery.outbox.plan import LaneShare
from delivery.outcomes import results
from delivery.tasks import deliver, dispatch
from mail import tokens, verp
from publicpages.models import SignUp
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.lint_words import ROOMS, ROOT
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)

Answer = Installation.Answer
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    start_anew(monkeypatch)


def start_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a process remembers, as one that has just started."""
    monkeypatch.setattr(identity, "_process", identity._Process())


def why_held() -> str:
    return identity.why_held(timezone.now())


def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the database one that was copied from another."""
    assert why_held() == ""
    Installation.objects.update(identity="another database")
    start_anew(monkeypatch)
    assert why_held() == identity.COPIED


def statuses() -> Counter[str]:
    return Counter(Message.objects.values_list("status", flat=True))


# --- what is noticed, and what is not


def test_a_new_database_is_not_held_and_each_look_raises_its_generation(tmp_path: Path) -> None:
    Installation.objects.all().delete()  # Whatever the making of the database itself looked at.
    assert why_held() == ""
    first = Installation.objects.get()
    identity.check(timezone.now())

    row = Installation.objects.get()
    assert (row.key, row.generation) == (first.key, first.generation + 1)
    assert (tmp_path / "generations" / row.key.hex).read_text() == str(row.generation)


def test_a_database_that_was_restored_elsewhere_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    copied(monkeypatch)

    assert restored_copy.held() is not None


def test_a_database_that_was_restored_in_place_is_held_after_a_start_and_while_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert why_held() == ""
    at_the_dump = Installation.objects.get()
    identity.check(timezone.now())

    Installation.objects.update(generation=at_the_dump.generation)
    while_running = why_held()
    Installation.objects.update(held_because="", held_since=None)
    start_anew(monkeypatch)

    assert while_running == identity.SET_BACK
    assert why_held() == identity.SET_BACK


@pytest.mark.skipif(connection.vendor != "sqlite", reason="A dump of PostgreSQL does not hold DATA_DIR.")
@pytest.mark.parametrize("way", ["copied over it", "unpacked over it", "an older note", "moved", "not touched"])
def test_a_folder_that_was_put_back_with_its_note_is_held(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path, way: str
) -> None:
    folder = settings.DATA_DIR = tmp_path / "data"
    for _ in range(2):
        identity.check(timezone.now())
    note = folder / "generations" / Installation.objects.get().key.hex
    assert Installation.objects.get().note_ctime_ns == note.stat().st_ctime_ns
    start_anew(monkeypatch)

    match way:
        case "copied over it":
            shutil.copytree(folder, tmp_path / "backup")
            shutil.copytree(tmp_path / "backup", folder, dirs_exist_ok=True)
        case "unpacked over it":
            text = note.read_text()
            note.unlink()
            note.write_text(text)
        case "an older note":  # The backup was made while a worker looked.
            note.write_text(str(int(note.read_text()) - 1))
        case "moved":
            settings.DATA_DIR = folder.rename(tmp_path / "moved")
    if way in ("copied over it", "unpacked over it", "an older note"):  # A minute later than it was remembered.
        Installation.objects.update(note_ctime_ns=F("note_ctime_ns") - 60_000_000_000)

    assert why_held() == ("" if way in ("moved", "not touched") else identity.PUT_BACK)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL remembers no note.")
def test_two_folders_that_look_in_turn_hold_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    for folder in ("first", "second", "first", "second"):
        settings.DATA_DIR = tmp_path / folder
        start_anew(monkeypatch)
        assert why_held() == ""
        Installation.objects.update(note_ctime_ns=F("note_ctime_ns") + 60_000_000_000)  # The other is a minute older.


def test_one_that_was_killed_while_it_wrote_its_note_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_held() == ""
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(identity, "_remember", lambda key, generation: None)
        identity.check(timezone.now())
    start_anew(monkeypatch)

    assert why_held() == ""


@pytest.mark.parametrize("what", ["a new machine", "a second machine", "a note cut short", "a folder that is a file"])
def test_a_missing_note_never_holds_mail(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path, what: str
) -> None:
    for _ in range(3):
        identity.check(timezone.now())
    note = tmp_path / "generations" / Installation.objects.get().key.hex
    start_anew(monkeypatch)
    match what:
        case "a new machine":
            shutil.rmtree(note.parent)
        case "a second machine":
            settings.DATA_DIR = tmp_path / "second"
        case "a note cut short":
            note.write_text("")
        case _:
            shutil.rmtree(note.parent)
            note.parent.write_text("")

    assert why_held() == ""
    start_anew(monkeypatch)
    assert why_held() == ""


def test_a_note_about_another_installation_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert why_held() == ""
    (tmp_path / "generations" / Installation.objects.get().key.hex).rename(tmp_path / "generations" / ("0" * 32))
    (tmp_path / "generations" / ("0" * 32)).write_text("999")
    start_anew(monkeypatch)

    assert why_held() == ""


def test_the_setting_holds_and_nobody_lets_it_go_while_it_is_set(settings: Any) -> None:
    settings.START_HELD = True

    assert why_held() == identity.BY_SETTING
    assert "START_HELD" in restored_copy.answer(Answer.STOOD_STILL)
    settings.START_HELD = False
    assert why_held() == identity.BY_SETTING
    assert restored_copy.answer(Answer.STOOD_STILL) == ""
    assert restored_copy.carry_on(timezone.now())
    assert why_held() == ""


def test_a_single_message_of_a_copy_is_queued_and_the_command_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_server(1)
    copied(monkeypatch)
    message = ("send_single", "--to", "ann@customer.example", "--subject", "Receipt", "--text", "Paid.")
    held = f"The message was queued. Nothing is sent before an administrator says to go on. {identity.COPIED}"

    call_command(*message)
    with pytest.raises(CommandError) as waited:
        call_command(*message, "--wait", "60")

    assert capsys.readouterr().out == f"{held}\n"
    assert str(waited.value) == held
    assert statuses() == {"queued": 2}


# --- closed by default


def test_every_task_of_ours_rests_in_a_copy_but_those_that_say_otherwise() -> None:
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}

    assert all(isinstance(task, Errand) for task in ours.values())
    assert {name for name, task in ours.items() if task.runs_while_held} == {
        "delivery.tasks.dispatch",
        "delivery.tasks.make_trials",  # Each of which says itself that the copy waits.
        "delivery.tasks.deliver",
    }


def test_a_copy_claims_plans_starts_and_tests_nothing(
    monkeypatch: pytest.MonkeyPatch, actor: User, tmp_path: Path
) -> None:
    with running_peer(tmp_path / "peer") as peer:
        server = make_server(peer.port)
        audience = make_list(3)
        mailing = make_mailing(audience)
        campaign = Campaign.objects.create(name="Due", status="scheduled", starts_at=timezone.now() - HOUR)
        copied(monkeypatch)
        now = timezone.now()
        token = leases.acquire_extra(server.pk, 60).token

        assert outbox_claims.claim(token, server, LaneShare(mailing.pk, "It is first."), 10, now) == []
        assert plan.plan(now) == []
        assert run_drain() == 0
        assert deliver() == 0
        dispatch()
        start_due_campaigns()
        with pytest.raises(send_test.SendTestRefused, match="lets it go on"):
            send_test.send_test(server_id=server.pk, recipient="a@shop.example", actor=actor, now=now)
        assert peer.accepted() == []
    campaign.refresh_from_db()
    assert (campaign.status, campaign.is_overdue) == ("scheduled", False)
    assert not Batch.objects.filter(Batch.OPEN).exists()


def test_readiness_is_red_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    copied(monkeypatch)

    answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert "until an administrator says how to continue" in answer.json()["copy"]


# --- how it goes on


@pytest.fixture
def actor() -> User:
    return User.objects.create_user("ops", is_staff=True)


def test_what_may_have_been_sent_is_unconfirmed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running_peer(tmp_path / "peer") as peer:
        server = make_server(peer.port)
        now = timezone.now()
        under_way = make_mailing(make_list(5, "Under way"), now)
        paused = make_mailing(make_list(2, "Paused"), now)
        mailings.pause(paused.pk)
        closed = make_mailing(make_list(2, "Closed"), now)
        Mailing.objects.filter(pk=closed.pk).update(opens_at=now + HOUR)
        in_parts = make_mailing(make_list(2, "In parts"), now)
        chunk = Chunk.objects.get(mailing=in_parts)
        Chunk.objects.filter(mailing=in_parts).delete()
        LaterChunk.objects.create(
            mailing=in_parts, opens_at=now + HOUR, next_id=chunk.next_id, last_id=chunk.last_id, messages=2
        )
        failed = make_mailing(make_list(1, "Failed"), now)
        Chunk.objects.filter(mailing=failed).delete()
        token = leases.acquire_extra(server.pk, 60).token
        claims = outbox_claims.claim(token, server, LaneShare(under_way.pk, "It is first."), 2, now)
        assert claims is not None
        deferred, waits = Message.objects.filter(mailing=under_way).order_by("-pk")[:2]
        Message.objects.filter(pk=deferred.pk).update(status="deferred", due_at=now - HOUR, changed_at=now - HOUR)
        Message.objects.filter(pk=waits.pk).update(status="deferred", due_at=now + HOUR, changed_at=now - HOUR)
        transactional.send_single(to="a@shop.example", subject="Receipt", text="Thank you.", now=now)
        copied(monkeypatch)
        new = transactional.send_single(to="b@shop.example", subject="New", text="Of the copy.", now=timezone.now())
        Message.objects.filter(mailing=failed).update(status="failed", changed_at=now - HOUR)
        assert mailings.retry_failed(failed.pk, timezone.now()) == 1  # By hand, in the copy.

        assert restored_copy.answer(Answer.MAY_HAVE_SENT) == ""
        leases.Lane.objects.update(expires_at=now - HOUR)  # Of the original, whose time ran out.
        assert restored_copy.carry_on(timezone.now())

        assert why_held() == ""
        by_mailing = {
            mailing.name: Counter(Message.objects.filter(mailing=mailing).values_list("status", flat=True))
            for mailing in Mailing.objects.exclude(stream="campaign")
        }
        assert by_mailing == {"Receipt": {"unconfirmed": 1}, "New": {"queued": 1}}
        of_campaign = Counter(Message.objects.filter(mailing=under_way).values_list("status", flat=True))
        assert of_campaign == {"unconfirmed": 4, "deferred": 1}
        for untouched in (paused, closed, in_parts, failed):
            assert set(Message.objects.filter(mailing=untouched).values_list("status", flat=True)) == {"queued"}
        run_drain()
        again = Message.objects.get(mailing=failed).email
        assert {event["rcpt_to"] for event in peer.accepted()} == {new.email, again}


@pytest.fixture
def small_numbers() -> Iterator[None]:
    """Begin and end with small numbers, which emptied tables would not come back to."""

    def begin_anew() -> None:
        with connection.cursor() as cursor:
            tables = [{"table": model._meta.db_table, "column": "id"} for model in identity.IN_LINKS.values()]
            for statement in connection.ops.sequence_reset_by_name_sql(no_style(), tables):
                cursor.execute(statement)

    begin_anew()
    yield
    begin_anew()


@pytest.mark.usefixtures("small_numbers")
@pytest.mark.parametrize("rows", [0, 3])
def test_links_in_mail_of_the_original_are_about_nobody_in_the_copy(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    make_server(1)
    audience = make_list(rows)
    for _ in range(rows):
        make_mailing(audience)
        SignUp.objects.create(email="a@shop.example", received_at=timezone.now())
    before = newest()

    restored(monkeypatch, after=dt.timedelta(days=365))

    leapt = [now - then for now, then in zip(newest(), before, strict=True)]  # Before the answer, too.
    assert min(leapt) > 100_000_000 + 365 * 17_000_000


@pytest.mark.usefixtures("small_numbers")
def test_no_clock_and_no_number_of_copies_uses_up_the_numbers_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = []
    for _ in range(5):
        restored(monkeypatch, after=dt.timedelta(days=90 * 365))
        numbers.append(newest()[0])

    assert numbers == sorted(set(numbers))
    tag = verp.tag_of(verp.tagged("b@s.example", numbers[-1], 1, settings.TOKEN_KEYS), settings.TOKEN_KEYS)
    assert tag == (numbers[-1], 1)


def newest() -> tuple[int, int, int, int]:
    """Return the numbers of a new message, its mailing, that mailing's way through a server, and a new sign-up."""
    sign_up = SignUp.objects.create(email="b@shop.example", received_at=timezone.now())
    message = transactional.send_single(to="b@shop.example", subject="New", text="Hello.", now=timezone.now())
    way = TrackedMailing.objects.create(mailing_id=message.mailing_id, server_name="Alpha")
    return message.pk, message.mailing_id, way.pk, sign_up.pk


def test_a_copy_leaves_out_the_numbers_of_every_table_that_tokens_are_made_of() -> None:
    tables = set(tokens.NUMBERS_OF.values()) - {tokens.SECONDS}

    assert tables <= set(identity.IN_LINKS)


def test_nothing_but_texts_is_proved_without_saying_what_its_number_is_of() -> None:
    """A number that is signed in another way would be missing in ``NUMBERS_OF``, and so in the leap of a copy."""
    proves = re.compile(r"\b(prover|prove_all|signing\.dumps)\b|\bsigning\.(Timestamp)?Signer\(")
    modules = [path for room in (*ROOMS, "mail") for path in (ROOT / room).rglob("*.py")]

    provers = {str(path.relative_to(ROOT)) for path in modules if proves.search(path.read_text())}

    assert provers - {"mail/tokens.py"} == {
        "accounts/by_mail/tokens.py",  # Users and invitations, with a digest of what the person alone has.
        "accounts/sign_in/first_admin.py",  # No number.
        "contacts/consent/decisions.py",  # Decisions, with the numbers and times of their steps.
        "contacts/privacy/erasure.py",  # Addresses.
        "delivery/content/message_ids.py",  # Texts with an instant and a process in them.
        "feedback/reports/batch.py",  # Reports.
        "publicpages/subscriptions/rate_limit.py",  # Addresses and origins.
    }


def restored(monkeypatch: pytest.MonkeyPatch, after: dt.timedelta) -> None:
    """Make the database a copy that was made so long ago."""
    Installation.objects.update(held_because="", held_since=None, identity=identity.identify())
    start_anew(monkeypatch)
    assert why_held() == ""
    Installation.objects.update(identity="another database", raised_at=timezone.now() - after)
    start_anew(monkeypatch)
    assert why_held() == identity.COPIED


def test_where_the_original_stood_still_everything_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running_peer(tmp_path / "peer") as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(3))
        copied(monkeypatch)

        assert restored_copy.answer(Answer.STOOD_STILL) == ""
        assert restored_copy.carry_on(timezone.now())
        run_drain()

        assert len(peer.accepted()) == 3
    assert statuses() == {"accepted": 3}
    results.finish_mailings(timezone.now())
    assert Mailing.objects.get(pk=mailing.pk).finished_at is not None


def test_an_answer_that_was_given_of_another_copy_lets_nothing_go(monkeypatch: pytest.MonkeyPatch) -> None:
    copied(monkeypatch)
    restored_copy.answer(Answer.STOOD_STILL)

    Installation.objects.update(identity="the copy that this one was made of")
    start_anew(monkeypatch)

    assert not restored_copy.carry_on(timezone.now())
    assert why_held() == identity.COPIED
    assert restored_copy.answer(Answer.STOOD_STILL) == ""
    assert restored_copy.carry_on(timezone.now())


def test_while_the_lease_of_the_original_lasts_it_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with running_peer(tmp_path / "peer") as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(3))
        token = leases.acquire_extra(server.pk, 600).token
        assert outbox_claims.claim(token, server, LaneShare(mailing.pk, "It is first."), 1, timezone.now())
    copied(monkeypatch)
    restored_copy.answer(Answer.MAY_HAVE_SENT)

    assert not restored_copy.carry_on(timezone.now())
    assert why_held() == identity.COPIED


def test_campaigns_that_were_due_ask_first_and_later_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    due = Campaign.objects.create(name="Due", status="scheduled", starts_at=now - dt.timedelta(seconds=5))
    later = Campaign.objects.create(name="Later", status="scheduled", starts_at=now + HOUR)
    copied(monkeypatch)

    told = {thing.name: thing.then for thing in restored_copy.under_way(now)}
    restored_copy.answer(Answer.MAY_HAVE_SENT)
    restored_copy.carry_on(timezone.now())

    assert told == {"Due": "it asks before it starts.", "Later": "it starts then, here too."}
    due.refresh_from_db()
    later.refresh_from_db()
    assert (due.is_overdue, later.is_overdue) == (True, False)


# --- the page and the command


def test_administrators_see_what_was_under_way_and_say_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, admin_client: Client
) -> None:
    mailing = make_mailing(make_list(3), name="<b>Winter</b>")
    copied(monkeypatch)

    home = admin_client.get("/admin/").content.decode()
    page = admin_client.get("/restored/").content.decode()
    refused = admin_client.post("/restored/", {"answer": "whatever"}, follow=True).content.decode()
    admin_client.post("/restored/", {"answer": "sent"})
    under_way = admin_client.get("/restored/").content.decode()
    dispatch()
    done = admin_client.get("/restored/").content.decode()

    assert "/restored/" in home
    assert "&lt;b&gt;Winter&lt;/b&gt;" in page
    assert "3 messages not sent yet." in page
    assert page.count('<button type="submit" name="answer"') == 2
    at_once = page[: page.index("<details", page.index('id="go-on"'))]
    assert 'value="sent"' in at_once  # The safe answer takes one click, the other one is asked about.
    assert 'value="still"' not in at_once
    assert "would reach people twice" in page
    assert "Choose whether the original may have continued sending." in refused
    assert "You answered: the original may have continued sending." in under_way
    assert "Nothing is held" in done
    assert statuses() == {"unconfirmed": 3}
    assert Mailing.objects.get(pk=mailing.pk).state == "open"


def test_the_command_shows_and_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_mailing(make_list(3))
    call_command("restored")
    copied(monkeypatch)

    call_command("restored")
    call_command("restored", "--may-have-sent")
    said = capsys.readouterr().out

    assert "Nothing is held" in said
    assert "- Winter: 3 messages not sent yet." in said
    assert "Mail leaves again." in said
    assert statuses() == {"unconfirmed": 3}


def test_the_command_says_why_not(settings: Any) -> None:
    settings.START_HELD = True

    with pytest.raises(CommandError, match="Remove it there"):
        call_command("restored", "--stood-still")
