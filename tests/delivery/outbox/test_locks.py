"""Rows stay locked until the transaction that claims or records them ends, so that two processes never share one."""

import datetime as dt
import threading
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from db.locks import prevent_deletion
from delivery.models import Batch, Message
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases
from delivery.outbox.plan import LaneShare
from delivery.outcomes import results
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server
from tests.delivery.outbox.test_account import ACCEPTED, claim, result
from tests.harness.workers import database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

SERVERS = SmtpServer._meta.db_table


@pytest.fixture
def others() -> Iterator[psycopg.Connection]:
    """The connection of another process."""
    with psycopg.connect(database_url(), autocommit=True) as somebody_else:
        yield somebody_else


def can_lock(others: psycopg.Connection, table: str, key: int, lock: str) -> bool:
    found = others.execute(f"SELECT 1 FROM {table} WHERE id = {key} {lock} SKIP LOCKED")
    return found.fetchone() is not None


def test_the_server_of_a_lane_that_is_held_stays_and_can_be_changed(others: psycopg.Connection) -> None:
    server = make_server(25)
    lease = leases.acquire_extra(server.pk, 60)

    with transaction.atomic():
        assert leases.holds(lease.token)
        assert not can_lock(others, SERVERS, server.pk, "FOR UPDATE")
        assert can_lock(others, SERVERS, server.pk, "FOR NO KEY UPDATE")


@pytest.mark.parametrize("change", ["UPDATE delivery_lane SET token = gen_random_uuid()", "DELETE FROM delivery_lane"])
def test_a_lane_is_taken_away_only_after_the_transaction_that_holds_it(others: psycopg.Connection, change: str) -> None:
    lease = leases.acquire_extra(make_server(25).pk, 60)
    others.execute("SET lock_timeout = '200ms'")

    with transaction.atomic():
        assert leases.holds(lease.token)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            others.execute(change)

    assert others.execute(change).rowcount == 1
    assert not leases.holds(lease.token)


def test_leases_are_renewed_while_results_of_a_lane_are_being_recorded() -> None:
    renewed = [leases.acquire_extra(make_server(25, name).pk, 60) for name in ("Alpha", "Beta")]
    found: list[list[leases.Lease] | Exception] = []

    def renew() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        try:
            found.append(leases.renew(renewed))
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        assert leases.holds(renewed[0].token)
        thread = threading.Thread(target=renew)
        thread.start()
        thread.join()

    assert found == [[]]


def test_a_claim_does_not_wait_for_results_of_its_lane_that_are_being_recorded() -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(10))
    token = leases.acquire_extra(server.pk, 60).token
    first = claim_with(token, server, mailing.pk)
    found: list[int | Exception] = []

    def claim_more() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        try:
            found.append(len(claim_with(token, server, mailing.pk)))
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        assert leases.holds(token)
        Message.objects.filter(pk__in=[each.message.pk for each in first]).update(status="accepted")
        thread = threading.Thread(target=claim_more)
        thread.start()
        thread.join()

    assert found == [4]


def claim_with(token: uuid.UUID, server: SmtpServer, mailing_id: int) -> list[outbox_claims.Claim]:
    return outbox_claims.claim(token, server, LaneShare(mailing_id, "It is first."), 4, timezone.now()) or []


def test_what_must_not_be_deleted_can_be_changed(others: psycopg.Connection) -> None:
    server = make_server(25)

    with transaction.atomic():
        assert prevent_deletion(SERVERS, [server.pk, server.pk + 1]) == [server.pk]
        assert not can_lock(others, SERVERS, server.pk, "FOR UPDATE")
        assert can_lock(others, SERVERS, server.pk, "FOR NO KEY UPDATE")


@pytest.mark.parametrize("is_due", [False, True], ids=["untried", "due again"])
def test_messages_that_are_being_claimed_are_passed_over(is_due: bool) -> None:
    servers = [make_server(25, name) for name in ("Alpha", "Beta")]
    mailing = make_mailing(make_list(11))
    if is_due:
        mailing.chunks.all().delete()
        mailing.messages.update(status="deferred", due_at=timezone.now() - dt.timedelta(minutes=1))
    assert len(claimed(servers[0], mailing.pk, 1)) == 1  # What the first claim alone writes, is written.
    found: list[list[int] | Exception] = []

    def claim_too() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        try:
            found.append(claimed(servers[1], mailing.pk, 10))
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        first = claimed(servers[0], mailing.pk, 4)
        thread = threading.Thread(target=claim_too)
        thread.start()
        thread.join()

    [second] = found
    assert isinstance(second, list), second
    assert len(first) == 4
    assert not set(first) & set(second)
    assert len(second) == (6 if is_due else 0)  # A chunk is cut by one at a time.


def claimed(server: SmtpServer, mailing_id: int, wanted: int) -> list[int]:
    token = leases.acquire_extra(server.pk, 60).token
    share = LaneShare(mailing_id, "It is first.")
    claims = outbox_claims.claim(token, server, share, wanted, timezone.now())
    return [each.message.pk for each in claims or []]


def test_two_that_record_results_of_one_batch_count_them_one_after_the_other(others: psycopg.Connection) -> None:
    server = make_server(25)
    _, claims = claim(server, make_mailing(make_list(10)), 10)
    given = [result(each, server, ACCEPTED) for each in claims]

    def settle_the_rest() -> None:
        try:
            with transaction.atomic():
                results.settle(given[5:], timezone.now())
        finally:
            connection.close()

    with transaction.atomic():
        results.settle(given[:5], timezone.now())
        thread = threading.Thread(target=settle_the_rest)
        thread.start()
        while thread.is_alive() and not waits_for_a_lock(others):
            thread.join(0.01)
    thread.join()

    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
    assert not Batch.objects.filter(Batch.OPEN).exists()


def waits_for_a_lock(others: psycopg.Connection) -> bool:
    asked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return others.execute(asked).fetchone() is not None
