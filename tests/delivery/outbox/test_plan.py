"""The plan: shares of several servers, who comes first, and what a mailing waits for."""

import datetime as dt
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delivery import identity
from delivery.models import Attempt, Mailing, Message, Taken
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases, mailings
from delivery.outbox.plan import LaneShare, ServerWork, plan
from smtpservers.limits.reservations import current_period
from smtpservers.models import QuotaPeriod, Route, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer
from words.texts import TRANSLATOR, translated

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
on_rows = pytest.mark.django_db
on_the_wire = pytest.mark.django_db(transaction=True)


def set_strategy(strategy: str, **fields: Any) -> None:
    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": strategy, **fields})


def make_single(now: dt.datetime = NOW, **fields: Any) -> Mailing:
    mailing = mailings.open_mailing(
        stream="single", name="Receipt", subject="Receipt", html="", text="Thanks.", **fields
    )
    mailings.address(mailing, email="ann@customer.example", email_key="ann@customer.example", now=now)
    return mailing


def by_server(works: list[ServerWork]) -> dict[int, list[LaneShare]]:
    return {work.server_id: list(work.shares) for work in works}


def claim_all(works: list[ServerWork], wanted: int = 10_000) -> Counter[int]:
    """Claim what the plan allows, as the lanes of all servers would, and return how many each got."""
    got: Counter[int] = Counter()
    for work in works:
        lease = leases.acquire(work.server_id)
        assert lease is not None
        for share in work.shares:
            while claims := outbox_claims.claim(
                lease.token, SmtpServer.objects.get(pk=work.server_id), share, wanted, NOW
            ):
                got[work.server_id] += len(claims)
        leases.release(lease)
    return got


# --- sharing


@on_the_wire
def test_weights_come_out_as_promised_though_one_server_is_slow(tmp_path: Path) -> None:
    def slow(event: str, context: dict[str, Any]) -> None:
        if event == "MAIL":
            time.sleep(0.005)

    set_strategy("weighted")
    with running_peer(tmp_path / "a", slow) as three, running_peer(tmp_path / "b") as one:
        make_server(three.port, "Three", weight=3)
        make_server(one.port, "One", weight=1)
        make_mailing(make_list(400))

        run_drain()

        assert (len(three.accepted()), len(one.accepted())) == (300, 100)
        assert set(Attempt.objects.values_list("batch__choice", flat=True)) == {
            "Three gets 75% by weight.",
            "One gets 25% by weight.",
        }


@on_rows
def test_a_share_is_bound_by_what_was_taken_and_not_by_how_old_the_plan_is() -> None:
    set_strategy("weighted")
    three, one = make_server(25, "Three", weight=3), make_server(25, "One", weight=1)
    mailing = make_mailing(make_list(2000), NOW)
    old = plan(NOW)

    first = claim_all([work for work in old if work.server_id == three.pk])
    again = claim_all([work for work in old if work.server_id == three.pk])
    rest = claim_all(plan(NOW))

    assert (first[three.pk], again[three.pk]) == (1500, 0)
    assert dict(rest) == {one.pk: 500}
    assert dict(Taken.objects.values_list("server", "messages")) == {three.pk: 1500, one.pk: 500}
    assert plan(NOW) == []
    assert Message.objects.filter(mailing=mailing).count() == 2000


@on_rows
def test_the_least_used_quotas_come_to_the_same_part() -> None:
    set_strategy("least_used")
    small, large = make_server(25, "Small", max_per_month=1000), make_server(25, "Large", max_per_month=3000)
    spare = make_server(25, "Spare")
    QuotaPeriod.objects.filter(pk=current_period(small, NOW).pk).update(used=500)
    make_mailing(make_list(1500), NOW)
    make_mailing(make_list(300, "Others"), NOW)

    got = claim_all(plan(NOW)) + claim_all(plan(NOW))

    used = {
        period.server_id: (period.used + period.reserved) / (period.quota or 0)
        for period in QuotaPeriod.objects.exclude(server=spare)
    }
    assert got == {small.pk: 75, large.pk: 1725}
    assert used == {small.pk: 0.575, large.pk: 0.575}


@on_rows
def test_the_mailings_of_one_plan_fill_the_quotas_together() -> None:
    set_strategy("least_used")
    small, large = make_server(25, "Small", max_per_month=100), make_server(25, "Large", max_per_month=1000)
    QuotaPeriod.objects.filter(pk=current_period(large, NOW).pk).update(used=500)
    audience = make_list(30)
    first, second = make_mailing(audience, NOW), make_mailing(audience, NOW)

    shares = by_server(plan(NOW))

    given = {(share.mailing_id, server): share.at_most for server, found in shares.items() for share in found}
    assert given[first.pk, small.pk] == 30
    assert (first.pk, large.pk) not in given
    # Both come to 560 of 1,100: 20.9 and 9.1 more.
    assert given[second.pk, small.pk] in (20, 21)
    assert given[second.pk, small.pk] + given[second.pk, large.pk] == 30


@on_rows
def test_one_who_is_full_leaves_its_part_to_the_others_and_is_named() -> None:
    set_strategy("weighted")
    three, one = make_server(25, "Three", weight=3), make_server(25, "One", weight=1)
    other = make_server(25, "Other", weight=1)
    SmtpServer.objects.filter(pk=three.pk).update(full_until=NOW + dt.timedelta(hours=1), full_reason="552 daily quota")
    make_mailing(make_list(10), NOW)

    shares = by_server(plan(NOW))

    assert {server: share.at_most for server, [share] in shares.items()} == {one.pk: 5, other.pk: 5}
    assert shares[one.pk][0].reason == (
        "One gets 50% by weight, and Three has reached its provider's limit until 23 November 2026 13:00 UTC."
    )


@on_rows
@pytest.mark.parametrize("strategy", ["weighted", "least_used"])
@pytest.mark.parametrize(
    ("trouble", "at_once"),
    [
        ({"slow_factor": 1 / 8, "slowed_at": NOW, "learned_rate": 16.0}, 20),  # 2 a second.
        ({"slow_factor": 1 / 4, "slowed_at": NOW, "max_connections": 4}, 10),  # One connection.
        ({"failures": 3}, 1),
        ({"outage_at": NOW}, 1),
    ],
)
def test_the_last_messages_do_not_wait_for_a_server_that_is_held_back(
    strategy: str, trouble: dict[str, Any], at_once: int
) -> None:
    set_strategy(strategy)
    well, sick = make_server(25, "Well", max_per_month=1000), make_server(25, "Sick", max_per_month=1000)
    SmtpServer.objects.filter(pk=sick.pk).update(**trouble)
    make_mailing(make_list(400), NOW)

    got = claim_all([work for work in plan(NOW) if work.server_id == well.pk])

    assert got == {well.pk: 400 - at_once}
    assert claim_all(plan(NOW)) == {sick.pk: at_once}


@on_rows
def test_who_was_slowed_catches_up_when_it_has_recovered() -> None:
    set_strategy("weighted")
    well, sick = make_server(25, "Well"), make_server(25, "Sick")
    SmtpServer.objects.filter(pk=sick.pk).update(slow_factor=0.5, slowed_at=NOW, learned_rate=2.0)
    make_mailing(make_list(400), NOW)
    [share] = by_server(plan(NOW))[well.pk]
    lease = leases.acquire(well.pk)
    assert lease is not None
    assert len(outbox_claims.claim(lease.token, well, share, 300, NOW) or ()) == 300

    recovered = by_server(plan(NOW + dt.timedelta(hours=1)))

    assert {server: share.at_most for server, [share] in recovered.items()} == {sick.pk: 200}


# --- who comes first


@on_rows
@pytest.mark.parametrize("strategy", ["order", "weighted", "least_used"])
def test_urgent_mail_comes_before_bulk_on_every_server(strategy: str) -> None:
    set_strategy(strategy)
    for name in ("Alpha", "Beta"):
        make_server(25, name, max_per_month=100_000)
    make_mailing(make_list(60), NOW)
    singles = {make_single().pk for _ in range(10)}

    works = plan(NOW)

    planned = [share.mailing_id for work in works for share in work.shares if share.stream == "single"]
    assert sorted(planned) == sorted(singles)  # Each at one server.
    for work in works:
        streams = [share.stream for share in work.shares]
        assert streams == sorted(streams, key=["single", "campaign"].index)


@on_rows
def test_urgent_mail_that_waits_is_offered_to_those_who_stand_by() -> None:
    alpha, beta, gamma = (make_server(25, name) for name in ("Alpha", "Beta", "Gamma"))
    make_server(25, "Off", is_active=False)
    make_single()

    offered = [
        [work.server_id for work in plan(NOW + dt.timedelta(seconds=seconds))] for seconds in (0, 1.9, 2, 4, 600)
    ]

    everybody = [alpha.pk, beta.pk, gamma.pk]
    assert offered == [[alpha.pk], [alpha.pk], everybody[:2], everybody, everybody]
    reason = by_server(plan(NOW + dt.timedelta(seconds=5)))[beta.pk][0].reason
    assert reason == "Beta, because Alpha didn't accept it at once."


@on_rows
def test_a_campaign_that_waits_stays_where_it_is() -> None:
    alpha = make_server(25, "Alpha")
    make_server(25, "Beta")
    mailing = make_mailing(make_list(1), NOW)
    Message.objects.filter(mailing=mailing).update(status="deferred", due_at=NOW)

    assert [work.server_id for work in plan(NOW + dt.timedelta(minutes=5))] == [alpha.pk]


# --- what was refused


@on_rows
def test_what_one_server_refused_goes_to_the_next_and_nothing_else_does() -> None:
    alpha, beta = make_server(25, "Alpha"), make_server(25, "Beta")
    mailing = make_mailing(make_list(50), NOW)
    refused, later = Message.objects.filter(mailing=mailing).order_by("pk")[:2]
    Message.objects.filter(pk=refused.pk).update(status="deferred", due_at=NOW, avoid=[alpha.pk])
    Message.objects.filter(pk=later.pk).update(status="deferred", due_at=NOW)

    shares = by_server(plan(NOW))
    got = claim_all([work for work in plan(NOW) if work.server_id == beta.pk])

    assert [share.only_refused for share in shares[alpha.pk]] == [False]
    assert [share.only_refused for share in shares[beta.pk]] == [True]
    assert shares[beta.pk][0].reason == "Beta, because Alpha didn't accept this message."
    assert got == {beta.pk: 1}


@on_rows
def test_what_every_server_refused_ends_and_what_some_did_goes_on() -> None:
    alpha, beta = make_server(25, "Alpha"), make_server(25, "Beta")
    mailing = make_mailing(make_list(3), NOW)
    first, second, third = Message.objects.filter(mailing=mailing).order_by("pk")
    due = {"status": "deferred", "due_at": NOW}
    Message.objects.filter(pk=first.pk).update(avoid=[alpha.pk, beta.pk], reason="no more", is_refused=True, **due)
    Message.objects.filter(pk=second.pk).update(avoid=[alpha.pk, beta.pk], reason="550 no", **due)
    Message.objects.filter(pk=third.pk).update(avoid=[alpha.pk], **due)

    shares = by_server(plan(NOW))

    assert [share.only_refused for share in shares[beta.pk]] == [True]
    found = {message.pk: message for message in Message.objects.filter(mailing=mailing)}
    assert found[first.pk].status == "failed"
    assert (found[second.pk].status, found[second.pk].avoid) == ("deferred", [])
    assert (found[second.pk].due_at or NOW) > NOW
    assert (found[third.pk].status, found[third.pk].avoid) == ("deferred", [alpha.pk])


# --- waiting


@on_rows
def test_a_waiting_reason_is_shown_in_the_language_of_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    SmtpServer.objects.filter(pk=make_server(25, "Alpha").pk).update(is_active=False)
    mailing = make_mailing(make_list(1), NOW)
    plan(NOW)
    mailing.refresh_from_db()
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda template: f"«{template}»")

    shown = translated(mailing.waiting_text)
    mailing.waiting_reason = "Stopped: 9 of the last 200"  # Written by something that keeps no words.

    assert shown == "«No server can send this now: «Alpha «is inactive»».»"
    assert mailing.waiting_text == "Stopped: 9 of the last 200"


@on_rows
def test_a_mailing_waits_with_a_reason_and_an_end_and_flows_again() -> None:
    alpha = make_server(25, "Alpha")
    until = NOW + dt.timedelta(hours=1)
    SmtpServer.objects.filter(pk=alpha.pk).update(full_until=until, full_reason="552 daily quota")
    mailing = make_mailing(make_list(1), NOW)

    assert plan(NOW) == []
    mailing.refresh_from_db()
    assert mailing.waiting_reason == (
        "No server can send this now: Alpha has reached its provider's limit until 23 November 2026 13:00 UTC."
    )
    assert mailing.waiting_until == until

    assert [work.server_id for work in plan(until)] == [alpha.pk]
    mailing.refresh_from_db()
    assert (mailing.waiting_reason, mailing.waiting_until) == ("", None)


@on_rows
@pytest.mark.parametrize("strategy", ["order", "weighted", "least_used"])
def test_more_mailings_and_servers_are_not_more_queries(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(work: Callable[[dt.datetime], object]) -> int:
        work(NOW)  # What waits is written down once.
        # A process looks whether this is a copy at its first plan, and every 20 seconds: all that is counted does.
        monkeypatch.setattr(identity, "_process", identity._Process())
        with CaptureQueriesContext(connection) as queries:
            work(NOW)
        return len(queries)

    set_strategy(strategy)
    Route.objects.create(name="Gmail", recipient_domains="gmail.com")
    audience = make_list(3)
    for name in ("Alpha", "Beta"):
        make_server(25, name, max_per_month=100)
    make_mailing(audience, NOW)
    make_single()
    few = count(plan)

    for number in range(20):
        make_server(25, f"Server {number}", max_per_month=100 + number)
        make_mailing(audience, NOW)
        waiting = make_mailing(audience, NOW, mail_from="a@nowhere.example")
        Message.objects.filter(mailing=waiting).update(status="deferred", due_at=NOW, avoid=[1])
        make_single()

    assert count(plan) == few
    assert few <= 14 + count(identity.check)


# --- rules


@on_rows
def test_a_rule_by_from_decides_on_the_mailings_it_names() -> None:
    alpha, beta = make_server(25, "Alpha"), make_server(25, "Beta")
    Route.objects.create(name="Shop", from_domains="shop.example", server_ids=[beta.pk])
    audience = make_list(2)
    other, shop = make_mailing(audience, NOW), make_mailing(audience, NOW, mail_from="a@shop.example")

    shares = by_server(plan(NOW))

    assert [share.mailing_id for share in shares[alpha.pk]] == [other.pk]
    assert [share.mailing_id for share in shares[beta.pk]] == [shop.pk]
    assert shares[beta.pk][0].reason == "Rule “Shop”: Beta is first in the display order."


@on_rows
def test_a_mailing_for_one_server_is_bound_by_no_rule() -> None:
    make_server(25, "Alpha")
    beta = make_server(25, "Beta")
    Route.objects.create(name="Nobody", server_ids=[beta.pk + 7])
    mailing = make_single(server=beta)

    [work] = plan(NOW)

    assert (work.server_id, work.shares[0].mailing_id) == (beta.pk, mailing.pk)
    assert work.shares[0].reason == "Beta was chosen by hand."


def test_a_token_that_holds_no_lane_claims_nothing(db: None) -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(1), NOW)

    assert outbox_claims.claim(uuid.uuid4(), server, LaneShare(mailing.pk, "Because."), 10, timezone.now()) is None
