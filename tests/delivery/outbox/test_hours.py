"""A mailing that may be sent in certain hours only, or to some people later than to others."""

import datetime as dt
from collections import Counter
from typing import Any

import pytest

from contacts.models import Contact, ContactList
from delivery.models import Chunk, LaterChunk, Mailing, Message
from delivery.outbox import claims, leases, mailings, plan
from delivery.outbox.snapshot import snapshot
from smtpservers.models import Route, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SECOND, HOUR = dt.timedelta(seconds=1), dt.timedelta(hours=1)
TOKYO, BERLIN = "Asia/Tokyo", "Europe/Berlin"


def planned(now: dt.datetime) -> list[int]:
    return [share.mailing_id for work in plan.plan(now) for share in work.shares]


def statuses(mailing: Mailing) -> Counter[str]:
    return Counter(Message.objects.filter(mailing=mailing).values_list("status", flat=True))


def claim(server: SmtpServer, now: dt.datetime, wanted: int) -> int:
    """Claim as the server's lane would, by the plan of that moment, and return how many came."""
    lease = leases.acquire(server.pk)
    assert lease is not None
    shares = [share for work in plan.plan(now) for share in work.shares]
    count = sum(len(claims.claim(lease.token, server, share, wanted, now) or ()) for share in shares)
    leases.release(lease)
    return count


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("opens", "closes", "at", "is_planned"),
    [
        (None, None, NOW, True),
        (NOW, None, NOW, True),
        (NOW + SECOND, None, NOW, False),
        (NOW - HOUR, NOW, NOW, False),
        (NOW - HOUR, NOW, NOW - SECOND, True),
        (None, NOW, NOW, False),
    ],
)
def test_nothing_is_planned_outside_the_window(
    opens: dt.datetime | None, closes: dt.datetime | None, at: dt.datetime, is_planned: bool
) -> None:
    make_server(25)
    mailing = make_mailing(make_list(3), NOW)

    mailings.open_for(mailing.pk, opens, closes, "Outside its hours.", at)

    assert planned(at) == ([mailing.pk] if is_planned else [])
    assert plan.is_anything_due(at) is is_planned


@pytest.mark.django_db
def test_while_it_is_closed_it_says_why_and_until_when() -> None:
    make_server(25)
    mailing = make_mailing(make_list(3), NOW)

    assert mailings.open_for(mailing.pk, NOW + HOUR, None, "Outside its hours.", NOW)
    assert not mailings.open_for(mailing.pk, NOW + HOUR, None, "Outside its hours.", NOW)
    plan.plan(NOW)
    mailing.refresh_from_db()

    assert (mailing.waiting_reason, mailing.waiting_until) == ("Outside its hours.", NOW + HOUR)
    plan.plan(NOW + HOUR)
    mailing.refresh_from_db()
    assert (mailing.waiting_reason, mailing.waiting_until) == ("", None)


@pytest.mark.django_db(transaction=True)
def test_a_window_that_ends_stops_the_lanes_within_seconds(tmp_path: Any) -> None:
    """Not after what is queued is through: at 100 a second, 1,000 messages would take 10 seconds."""
    answered: list[str] = []
    with running_peer(tmp_path, lambda event, _: answered.append(event) if event == "answered" else None) as peer:
        make_server(peer.port, rate_limit=100, rate_unit="second")
        mailing = make_mailing(make_list(1000), NOW)
        mailings.open_for(mailing.pk, None, NOW + HOUR, "", NOW)

        run_drain(clock=lambda: NOW + HOUR if len(answered) >= 50 else NOW)

        mailing.refresh_from_db()
        assert 50 <= statuses(mailing)["accepted"] < 900
        assert mailing.finished_at is None


def in_zones(*zones: str) -> ContactList:
    people = make_list(len(zones))
    for contact, zone in zip(people.contacts.order_by("pk"), zones, strict=True):
        Contact.objects.filter(pk=contact.pk).update(time_zone=zone)
    return people


def open_mailing(people: ContactList) -> Mailing:
    return mailings.open_mailing(
        stream="campaign", name="Winter", subject="Winter", html="", text="Snow.", lists=[people]
    )


@pytest.mark.django_db
def test_each_zone_waits_for_its_own_time() -> None:
    server = make_server(25)
    people = in_zones(TOKYO, BERLIN, "", TOKYO, BERLIN)
    mailing = open_mailing(people)

    snapshot(mailing.pk, NOW, starts={TOKYO: NOW - HOUR, BERLIN: NOW + HOUR, "": NOW + 2 * HOUR})

    assert mailings.later_starts(mailing.pk) == [(NOW + HOUR, 2), (NOW + 2 * HOUR, 1)]
    assert claim(server, NOW, 100) == 2
    assert mailings.open_chunks(NOW + HOUR - SECOND) == 0
    assert claim(server, NOW + HOUR - SECOND, 100) == 0
    assert mailings.open_chunks(NOW + HOUR) == 1
    assert mailings.open_chunks(NOW + HOUR) == 0
    assert claim(server, NOW + HOUR, 100) == 2
    assert mailings.open_chunks(NOW + 3 * HOUR) == 1
    assert claim(server, NOW + 3 * HOUR, 100) == 1
    assert not LaterChunk.objects.exists()
    tried_until = Message.objects.values_list("expires_at", flat=True).first()
    assert tried_until == NOW + 2 * HOUR + mailings.LIFE[Mailing.Stream.CAMPAIGN]


@pytest.mark.django_db
def test_zones_and_routing_rules_part_the_chunks_together() -> None:
    rule = Route.objects.create(name="Customers", recipient_domains="customer.example", server_ids=[])
    make_server(25)
    mailing = open_mailing(in_zones(TOKYO, BERLIN, TOKYO))

    snapshot(mailing.pk, NOW, starts={BERLIN: NOW + HOUR})
    assert mailings.later_starts(mailing.pk) == [(NOW + HOUR, 1)]
    mailings.open_chunks(NOW + HOUR)

    assert sorted(Chunk.objects.values_list("messages", "route")) == [(1, rule.pk), (2, rule.pk)]


@pytest.mark.django_db
def test_a_cancel_reaches_who_would_have_got_it_later() -> None:
    mailing = open_mailing(in_zones(TOKYO, BERLIN, BERLIN))
    snapshot(mailing.pk, NOW, starts={BERLIN: NOW + HOUR})

    mailings.cancel(mailing.pk, NOW)

    assert statuses(mailing) == {"cancelled": 3}
    assert mailings.open_chunks(NOW + HOUR) == 0


@pytest.mark.django_db
def test_what_is_left_at_the_end_expires_with_the_reason_and_what_is_claimed_is_left_alone() -> None:
    server = make_server(25)
    mailing = open_mailing(in_zones(TOKYO, TOKYO, BERLIN, TOKYO))
    snapshot(mailing.pk, NOW, starts={BERLIN: NOW + HOUR}, ends_at=NOW + HOUR)
    assert claim(server, NOW, 1) == 1

    assert mailings.expire_rest(mailing.pk, "It was not to be sent after noon.", NOW + HOUR) == 3

    left = Message.objects.filter(mailing=mailing, status="expired")
    assert set(left.values_list("reason", "due_at")) == {("It was not to be sent after noon.", None)}
    assert statuses(mailing) == {"expired": 3, "queued": 1}  # Claimed from a chunk it stays ``queued`` in its row.
    assert set(Message.objects.values_list("expires_at", flat=True)) == {NOW + HOUR}
    assert mailings.expire_rest(mailing.pk, "Again.", NOW + HOUR) == 0
