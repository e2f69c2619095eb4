"""The account of what was claimed and recorded: whole at every moment, whoever claims, cancels, dies or counts."""

import datetime as dt
import os
import re
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts.models import Contact
from delivery.models import Attempt, Batch, Chunk, Lane, Mailing, Message
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases, mailings, plan, status_counts
from delivery.outbox.claims import Claim
from delivery.outbox.plan import LaneShare
from delivery.outbox.snapshot import snapshot
from delivery.outcomes import recovery, results
from delivery.outcomes.journal import Journal
from delivery.outcomes.verdicts import Judgement
from delivery.records import figures
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # Other connections see its rows.

ACCEPTED = Judgement("accepted", "accepted", "", is_accepted=True, holds_unit=True)
BOUNCED = Judgement("bounced", "bounced", "550 5.1.1 No such user")
LATER = Judgement("deferred", "deferred", "451 4.7.1 Greylisted", wait=dt.timedelta(minutes=15))


def claim(server: SmtpServer, mailing: Mailing, number: int) -> tuple[uuid.UUID, list[Claim]]:
    token = leases.acquire_extra(server.pk, 600).token
    claims = outbox_claims.claim(token, server, LaneShare(mailing.pk, "It is first."), number, timezone.now())
    assert claims is not None
    return token, claims


def result(claim: Claim, server: SmtpServer, judgement: Judgement, reply: Reply | None = None) -> results.Result:
    return results.Result(
        attempt_id=claim.attempt_id,
        message=claim.message,
        mailing_id=claim.message.mailing_id,
        stream="campaign",
        server_id=server.pk,
        period_id=claim.period_id,
        reserved_at=claim.reserved_at,
        judgement=judgement,
        stage="DOT",
        reply=reply,
    )


def statuses(mailing: Mailing) -> Counter[str]:
    return +Counter(figures.counts(mailing.pk))


def at_once(number: int, act: Callable[[int], Any]) -> list[Any]:
    def in_thread(index: int) -> Any:
        try:
            return act(index)
        finally:
            connection.close()  # This thread's own.

    with ThreadPoolExecutor(number) as executor:
        return list(executor.map(in_thread, range(number)))


# --- claiming


def test_an_attempt_is_on_record_when_its_claim_returns() -> None:
    server = make_server(25, use_return_path=True, return_path="bounces@shop.example")
    mailing = make_mailing(make_list(3))

    token, claims = claim(server, mailing, 2)

    batch = Batch.objects.get()
    assert [message_id for message_id, _ in batch.claims] == [claim.message.pk for claim in claims]
    assert (batch.lane_token, batch.open_count, batch.server) == (token, 2, server)
    assert statuses(mailing) == {"sending": 2, "queued": 1}
    assert plan.is_anything_due(timezone.now())
    message = Message.objects.get(pk=claims[0].message.pk)
    (under_way,) = figures.attempts(message)
    assert (under_way.outcome, under_way.batch.server_name, under_way.finished_at) == ("", "Alpha", None)
    figures.show_claimed([message])
    assert message.status == "sending"
    sending, queued = (figures.of_status(Message.objects.all(), status).count() for status in ("sending", "queued"))
    assert (sending, queued) == (2, 1)


@committed
def test_the_page_of_a_recipient_shows_the_attempt_under_way() -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(1))
    _, claims = claim(server, mailing, 1)
    client = Client()
    reader = User.objects.create_superuser("reader")
    client.force_login(reader)

    page = client.get(f"/campaigns/recipients/{claims[0].message.pk}/").content.decode()

    assert "1. Alpha" in page
    assert "In progress" in page
    assert 'data-status="sending"' in page


@committed
def test_eight_workers_claim_every_message_once() -> None:
    mailing = make_mailing(make_list(700))
    servers = [make_server(25, f"Server {number}") for number in range(8)]

    def work(index: int) -> list[int]:
        token = leases.acquire(servers[index].pk).token  # type: ignore[union-attr]
        found: list[int] = []
        share = LaneShare(mailing.pk, "It is first.")
        while claims := outbox_claims.claim(token, servers[index], share, 40, timezone.now()):
            found += [claim.message.pk for claim in claims]
            # Some come back once and are claimed again, by whom ever.
            back = [each.message.pk % 5 == 0 and each.number == 1 for each in claims]
            outcomes = [results.given_back("Later.") if is_back else ACCEPTED for is_back in back]
            group = [result(each, servers[index], what) for each, what in zip(claims, outcomes, strict=True)]
            assert results.record(token, group, timezone.now())
        return found

    claimed = [pk for found in at_once(8, work) for pk in found]
    while claims := claim(servers[0], mailing, 100)[1]:  # Skipped while another had them locked.
        token = Lane.objects.order_by("-pk").values_list("token", flat=True)[0]
        assert results.record(token, [result(each, servers[0], ACCEPTED) for each in claims], timezone.now())
        claimed += [each.message.pk for each in claims]

    assert statuses(mailing) == {"accepted": 700}
    accepted = Attempt.objects.filter(outcome="accepted").values_list("message", flat=True)
    assert len(accepted) == len(set(accepted)) == 700
    assert len(claimed) == Attempt.objects.count()
    assert sum(period.used for period in QuotaPeriod.objects.all()) == 700
    assert sum(period.reserved for period in QuotaPeriod.objects.all()) == 0
    assert not Batch.objects.filter(Batch.OPEN).exists()


@committed
def test_a_quota_is_granted_to_the_last_unit_and_never_beyond() -> None:
    server = make_server(25, max_per_month=37)
    mailing = make_mailing(make_list(200))

    def work(index: int) -> int:
        return sum(len(claim(server, mailing, 4)[1]) for _ in range(3))

    granted = at_once(8, work)

    assert sum(granted) == 37
    period = QuotaPeriod.objects.get()
    assert (period.used, period.reserved) == (0, 37)
    assert statuses(mailing) == {"sending": 37, "queued": 163}


# --- recording


def test_results_are_recorded_once_however_often_they_come() -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(3))
    token, claims = claim(server, mailing, 3)
    group = [result(each, server, what) for each, what in zip(claims, (ACCEPTED, BOUNCED, LATER), strict=True)]

    for some in (group[:1], group[:2], group, group):
        assert results.record(token, some, timezone.now())

    assert statuses(mailing) == {"accepted": 1, "bounced": 1, "deferred": 1}
    assert Attempt.objects.count() == 3
    period = QuotaPeriod.objects.get()
    assert (period.used, period.reserved) == (1, 0)
    assert figures.by_server(mailing.pk) == [("Alpha", 1, 3)]
    today = timezone.now().date()
    assert figures.per_day(today, today, dt.UTC) == [(today, 1, 1)]


def test_a_group_with_a_recorded_attempt_in_it_adds_only_the_others() -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(4))
    token, claims = claim(server, mailing, 4)
    assert results.record(token, [result(claims[1], server, BOUNCED)], timezone.now())

    assert results.record(token, [result(each, server, ACCEPTED) for each in claims], timezone.now())

    assert statuses(mailing) == {"accepted": 3, "bounced": 1}
    assert Attempt.objects.count() == 4
    period = QuotaPeriod.objects.get()
    assert (period.used, period.reserved) == (3, 0)
    assert not Batch.objects.filter(Batch.OPEN).exists()


def test_a_deleted_server_leaves_its_numbers_and_every_row_as_it_was() -> None:
    server = make_server(25, use_return_path=True, return_path="bounces@shop.example")
    mailing = make_mailing(make_list(2))
    token, claims = claim(server, mailing, 2)
    assert results.record(token, [result(each, server, ACCEPTED) for each in claims], timezone.now())
    number = server.pk

    with CaptureQueriesContext(connection) as queries:
        server.delete()

    assert not [each["sql"] for each in queries if re.match(r'UPDATE "delivery_(message|attempt|batch)"', each["sql"])]
    message = Message.objects.order_by("pk")[0]
    assert (message.server, message.server_id) == (None, number)
    (joined,) = Message.objects.select_related("server").filter(pk=message.pk)
    assert joined.server is None
    (attempt,) = figures.attempts(message)
    assert (attempt.batch.server, attempt.batch.period, attempt.batch.server_name) == (None, None, "Alpha")


@pytest.mark.parametrize("text", ["", "Zoë said \x1f no\0pe \\ 'or' \"not\" {a,b} NULL %s", "NULL", "雪"])
def test_an_answer_is_recorded_as_it_was_said_whatever_it_holds(text: str) -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(1))
    token, claims = claim(server, mailing, 1)

    assert results.record(token, [result(claims[0], server, BOUNCED, Reply(550, "", text))], timezone.now())

    attempt = Attempt.objects.get()
    assert attempt.reply.replace(" ", "") == str(Reply(550, "", text)).translate({0: None, 31: None}).replace(" ", "")
    assert (attempt.code, attempt.outcome, attempt.batch.settings_used["use_verp"]) == (550, "bounced", True)
    assert attempt.message.message_id == claims[0].message.message_id


def test_a_sweep_settles_what_was_left_of_a_batch_once(tmp_path: Any) -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(4))
    token, claims = claim(server, mailing, 4)
    assert results.record(token, [result(claims[0], server, ACCEPTED)], timezone.now())
    journal = Journal(recovery.journal_folder(), token)
    journal.dot(claims[2].attempt_id)
    journal.answer(claims[2].attempt_id, Stage.DOT, Reply.parse("250 2.0.0 ok"), "")
    journal.dot(claims[3].attempt_id)
    journal.close()
    Lane.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    later = timezone.now() + dt.timedelta(seconds=40)

    settled = [recovery.sweep(later), recovery.sweep(later)]

    assert settled == [3, 0]
    assert [Message.objects.get(pk=each.message.pk).status for each in claims] == [
        *("accepted", "queued", "accepted", "unconfirmed")
    ]
    # The same Message-ID as the dead worker's: a message that is sent again can be told.
    assert [Message.objects.get(pk=each.message.pk).message_id for each in claims] == [
        each.message.message_id for each in claims
    ]
    period = QuotaPeriod.objects.get()
    assert (period.used, period.reserved) == (3, 0)


def test_what_was_given_back_is_no_try_for_the_sweep_either() -> None:
    """Its waits grow with what servers answered: two minutes after the first 421, not an hour."""
    server = make_server(25)
    mailing = make_mailing(make_list(1))
    for _ in range(4):
        token, claims = claim(server, mailing, 1)
        assert results.record(token, [result(claims[0], server, results.given_back("Given back."))], timezone.now())
        Lane.objects.update(holder="", expires_at=None)
    token, claims = claim(server, mailing, 1)
    journal = Journal(recovery.journal_folder(), token)
    journal.answer(claims[0].attempt_id, Stage.RCPT, Reply.parse("421 4.3.0 Closing"), "")
    journal.close()
    Lane.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    later = timezone.now() + dt.timedelta(seconds=40)

    assert recovery.sweep(later) == 1

    message = Message.objects.get()
    assert message.status == "deferred"
    assert message.attempt_count == 5
    assert message.due_at is not None
    assert dt.timedelta(minutes=1) < message.due_at - later < dt.timedelta(minutes=3)


@pytest.mark.parametrize(("part", "status"), [(0.7, "expired"), (1.3, "deferred")])
def test_a_message_whose_time_ends_before_its_next_try_is_given_up_at_once(part: float, status: str) -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(1))
    now = timezone.now()
    assert LATER.wait is not None
    # A wait is spread by a fifth at most.
    Message.objects.update(expires_at=now + LATER.wait * part)
    token, claims = claim(server, mailing, 1)

    assert results.record(token, [result(claims[0], server, LATER)], now)

    message = Message.objects.get()
    assert (message.status, message.due_at is None) == (status, status == "expired")


def test_a_journal_from_the_future_is_nobodys_life(tmp_path: Any) -> None:
    """As after a clock was set back: its worker is dead, and must not be waited for until the clock is there again."""
    server = make_server(25)
    mailing = make_mailing(make_list(1))
    token, claims = claim(server, mailing, 1)
    journal = Journal(recovery.journal_folder(), token)
    journal.dot(claims[0].attempt_id)
    journal.close()
    now = timezone.now()
    os.utime(journal.path, (now.timestamp() + 3600,) * 2)
    Lane.objects.update(expires_at=now - dt.timedelta(seconds=1))

    assert recovery.sweep(now) == 1

    assert statuses(mailing) == {"unconfirmed": 1}


# --- cancelling


def test_a_cancelled_mailing_leaves_what_is_under_way_to_its_worker() -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(1100))
    token, claims = claim(server, mailing, 3)
    assert results.record(token, [result(claims[0], server, LATER)], timezone.now())

    assert mailings.cancel(mailing.pk, timezone.now())

    assert statuses(mailing) == {"cancelled": 1098, "sending": 2}
    assert set(outbox_claims.stopped([each.message.pk for each in claims[1:]], timezone.now()).values()) == {
        ("cancelled", "The mailing was cancelled.")
    }
    assert results.finish_mailings(timezone.now()) == 0
    rest = [result(claims[1], server, ACCEPTED), result(claims[2], server, results.given_back("Stopped."))]
    assert results.record(token, rest, timezone.now())
    assert statuses(mailing) == {"cancelled": 1099, "accepted": 1}
    assert results.finish_mailings(timezone.now()) == 1
    assert not Chunk.objects.exists()


def test_what_is_deferred_in_the_moment_of_the_cancel_does_not_come_back() -> None:
    make_server(25)
    mailing = make_mailing(make_list(2))
    mailings.cancel(mailing.pk, timezone.now())
    Message.objects.filter(pk=mailing.messages.all()[0].pk).update(status="deferred", due_at=timezone.now())

    assert results.finish_mailings(timezone.now()) == 1

    assert statuses(mailing) == {"cancelled": 2}


# --- counting


@committed
def test_counts_follow_every_change_however_it_is_made() -> None:
    mailing = make_mailing(make_list(30))
    rows = mailing.messages.order_by("pk")
    first, second, third = rows[:3]

    def is_right() -> bool:
        found = Counter(mailing.messages.filter(copy_of=None).values_list("status", flat=True))
        with_copies = Counter(mailing.messages.values_list("status", flat=True))
        counted = status_counts.by_status(mailing.pk), status_counts.by_status(mailing.pk, with_copies=True)
        return (+Counter(counted[0]), +Counter(counted[1])) == (found, with_copies)

    first.status = "failed"
    first.save()
    assert is_right()
    mailing.messages.filter(pk__gt=second.pk).update(status="bounced")
    assert is_right()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_message SET status = 'expired' WHERE id = %s", [third.pk])
    copy = {"mailing": mailing, "email": "cc@shop.example", "email_key": "cc@shop.example", "copy_of": first}
    for _ in range(2):
        Message.objects.bulk_create([Message(**copy, copy_kind="cc")], ignore_conflicts=True)
    assert is_right()
    with transaction.atomic():
        mailing.messages.update(status="accepted")
        transaction.set_rollback(True)
    assert is_right()
    status_counts.tidy()
    assert is_right()
    mailing.messages.filter(status="bounced").update(status="accepted")
    status_counts.tidy()
    assert is_right()
    mailing.delete()
    assert not Message.objects.exists()


@committed
@pytest.mark.postgres
def test_counts_are_tidied_while_they_change() -> None:
    mailing = make_mailing(make_list(200))
    ids = list(mailing.messages.order_by("pk").values_list("pk", flat=True))

    def work(index: int) -> None:
        for status in ("sending", "deferred", "accepted"):
            mailing.messages.filter(pk__in=ids[index * 25 : index * 25 + 25]).update(status=status)
            status_counts.tidy()

    at_once(8, work)

    assert +Counter(status_counts.by_status(mailing.pk)) == {"accepted": 200}
    status_counts.tidy()
    assert mailing.status_counts.filter(is_sum=False).count() == 0


@committed
@pytest.mark.postgres
def test_an_acceptance_writes_to_no_index_of_the_messages() -> None:
    """Else each costs several times as much, and more so the more messages there are."""
    server = make_server(25)
    mailing = make_mailing(make_list(300))
    token, claims = claim(server, mailing, 300)

    with transaction.atomic():
        assert results.record(token, [result(each, server, ACCEPTED) for each in claims], timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_stat_get_xact_tuples_updated(o), pg_stat_get_xact_tuples_hot_updated(o)"
                " FROM CAST(CAST('delivery_message' AS regclass) AS oid) AS o"
            )
            updated, heap_only = cursor.fetchone()

    assert (updated, heap_only) == (300, 300)


# --- the snapshot


def test_a_snapshot_that_was_cut_off_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.outbox.snapshot.SLICE_CONTACTS", 40)
    for module in ("mailings", "snapshot"):
        monkeypatch.setattr(f"delivery.outbox.{module}.CHUNK_MESSAGES", 15)
    mailing = make_mailing(make_list(100))
    # As a worker leaves it that was killed after two slices: whole slices, with their chunks.
    late = list(mailing.messages.order_by("pk")[80:])
    Chunk.objects.filter(next_id__gte=late[0].pk).delete()
    Message.objects.filter(pk__in=[message.pk for message in late]).delete()
    Mailing.objects.filter(pk=mailing.pk).update(is_snapshotted=False, snapshot_next=late[0].contact_id)

    snapshot(mailing.pk, timezone.now())

    covered = [pk for chunk in Chunk.objects.order_by("pk") for pk in range(chunk.next_id, chunk.last_id + 1)]
    assert covered == list(mailing.messages.order_by("pk").values_list("pk", flat=True))
    assert len(covered) == 100


def test_an_address_that_moves_to_a_later_contact_meanwhile_gets_one_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = make_mailing(make_list(10))
    late = list(mailing.messages.order_by("pk")[5:])
    Chunk.objects.all().delete()
    Message.objects.filter(pk__in=[message.pk for message in late]).delete()
    Mailing.objects.filter(pk=mailing.pk).update(is_snapshotted=False, snapshot_next=late[0].contact_id)
    first, last = Contact.objects.order_by("pk")[0], Contact.objects.order_by("-pk")[0]
    moved = first.email
    for contact, email in ((first, "elsewhere@customer.example"), (last, moved)):
        contact.email = email
        contact.save()

    snapshot(mailing.pk, timezone.now())

    assert [message.contact for message in mailing.messages.filter(email_key=moved)] == [first]
    assert mailing.messages.count() == 9


@committed
def test_whoever_queues_and_wherever_addresses_move_none_gets_two_mails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.outbox.snapshot.SLICE_CONTACTS", 10)
    mailing = make_mailing(make_list(300))
    Message.objects.all().delete()
    Chunk.objects.all().delete()
    Mailing.objects.filter(pk=mailing.pk).update(is_snapshotted=False, snapshot_next=None)
    contacts = list(Contact.objects.order_by("pk"))

    def act(index: int) -> None:
        if index < 3:
            snapshot(mailing.pk, timezone.now())
            return
        for one, other in zip(contacts[::9], reversed(contacts[::9]), strict=True):
            emails = one.email, other.email
            for contact, email in ((one, f"aside{one.pk}@x.example"), (other, emails[0]), (one, emails[1])):
                contact.email = email
                contact.save()

    at_once(4, act)

    keys = Counter(mailing.messages.values_list("email_key", flat=True))
    assert set(keys.values()) == {1}
    assert max(Counter(mailing.messages.values_list("contact", flat=True)).values()) == 1
    assert 260 < len(keys) <= 300
    assert sum(mailing.chunks.values_list("messages", flat=True)) == len(keys)
