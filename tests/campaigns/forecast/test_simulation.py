"""The forecast against the planner, the claims and the account of quota themselves, on a clock that is only told."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from campaigns.forecast.inputs import forecast_campaign
from campaigns.models import Campaign
from contacts.models import Contact, ContactList, Subscription
from delivery.models import Attempt, Mailing, Message
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases, mailings, plan
from delivery.outbox.snapshot import snapshot
from delivery.outcomes import results as outcomes_results
from delivery.outcomes.verdicts import Judgement
from smtpservers.limits import rate_limiter
from smtpservers.limits.reservations import reserve, settle
from smtpservers.models import Route, SmtpServer
from tests.delivery.making import make_list

START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
ACCEPTED = Judgement("accepted", "accepted", "250 OK", is_accepted=True, holds_unit=True, is_answer=True)


def make_server(name: str, rate: int, **fields: Any) -> SmtpServer:
    values = {"host": "localhost", "mail_from": "Shop <news@shop.example>", "rate_limit": rate, "rate_unit": "second"}
    return SmtpServer.objects.create(name=name, **(values | fields))


def use(server: SmtpServer, units: int, at: dt.datetime = START) -> None:
    """Have a server use some of its quota."""
    reservation = reserve(server, units, at)
    assert reservation is not None
    settle(reservation.period_id, used=units, released=0, now=at)


def by_weight_one_runs_dry() -> int:
    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": "weighted"})
    make_server("Alpha", 20, weight=3)
    make_server("Beta", 3, weight=1)
    make_server("Gamma", 9, weight=2, max_per_month=100)
    return 600


def in_order_with_a_rest() -> int:
    alpha = make_server("Alpha", 6, max_per_month=500, month_start_day=25)
    use(alpha, 200)
    make_server("Beta", 4, paused_reason="It failed.", paused_until=START + dt.timedelta(seconds=150))
    make_server("Gamma", 2, is_active=False)
    make_server("Delta", 1)
    return 900


def by_used_quota() -> int:
    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": "least_used"})
    use(make_server("Alpha", 10, max_per_month=400), 150)
    make_server("Beta", 5, max_per_month=900)
    use(make_server("Gamma", 7, max_per_month=300), 30)
    return 600


def under_caps_with_copies() -> int:
    alpha = make_server("Alpha", 5, max_per_hour=200, mail_bcc="archive@shop.example")
    use(alpha, 80, START - dt.timedelta(minutes=20))
    make_server("Beta", 1, max_per_day=150, max_per_hour=100)
    return 870


def over_the_month_by_recipient() -> int:
    santiago = "America/Santiago"
    use(make_server("Alpha", 8, max_per_month=300, month_start_day=26, time_zone=santiago), 240)
    beta = make_server("Beta", 2, max_per_month=260, month_start_day=1)
    Route.objects.create(name="Others", recipient_domains="other.example", server_ids=[beta.pk])
    Contact.objects.bulk_create(
        Contact(email=f"p{number}@other.example", email_key=f"p{number}@other.example") for number in range(200)
    )
    return 420


FLEETS = (
    by_weight_one_runs_dry,
    in_order_with_a_rest,
    by_used_quota,
    under_caps_with_copies,
    over_the_month_by_recipient,
)


def send(mailing: Mailing, step: float) -> tuple[Counter[str], dt.datetime]:
    """Send by the product's own plans and claims, and return what each server carried and when the last one left.

    Only the line is missing: each server takes so many in each step as its rate allows. Where nobody could do
    anything the clock goes on to when the plan says that it could.
    """
    now, last = START, START
    credit: Counter[int] = Counter()
    for _ in range(4000):
        before = now
        now = _next_moment(mailing, now, step)
        moved = 0
        for work in plan.plan(now):
            server = SmtpServer.objects.get(pk=work.server_id)
            rate = rate_limiter.effective(server, now).per_second
            assert rate is not None
            # What could not be used in time is lost.
            credit[server.pk] = min(credit[server.pk], 1) + rate * min(step, (now - before).total_seconds())  # type: ignore[assignment]
            moved += _carry(server, work.shares, credit, now)
        if moved:
            last = now
        elif not Message.objects.filter(mailing=mailing, status__in=Message.PENDING).exists():
            carried = Attempt.objects.filter(outcome="accepted", message__copy_of=None)
            return Counter(carried.values_list("batch__server_name", flat=True)), last
    raise AssertionError("the mailing did not come to its end")


def _next_moment(mailing: Mailing, now: dt.datetime, step: float) -> dt.datetime:
    mailing.refresh_from_db()
    later = now + dt.timedelta(seconds=step)
    return max(later, mailing.waiting_until) if mailing.waiting_reason and mailing.waiting_until else later


def _carry(server: SmtpServer, shares: Any, credit: Counter[int], now: dt.datetime) -> int:
    lease = leases.acquire(server.pk)
    assert lease is not None
    count = 0
    for share in shares:
        most = math.floor(credit[server.pk])
        wanted = most if share.at_most is None else min(most, share.at_most)
        at_once = math.ceil(3 * (server.rate_limit or 1))  # As lanes do: copies come before further originals.
        while wanted > 0 and (claims := outbox_claims.claim(lease.token, server, share, min(wanted, at_once), now)):
            results = [
                outcomes_results.Result(
                    claim.attempt_id,
                    claim.message,
                    share.mailing_id,
                    "campaign",
                    server.pk,
                    claim.period_id,
                    now,
                    ACCEPTED,
                )
                for claim in claims
            ]
            assert outcomes_results.record(lease.token, results, now)
            credit[server.pk] -= len(claims)
            wanted -= len(claims)
            count += len(claims)
    leases.release(lease)
    return count


@pytest.mark.django_db
@pytest.mark.parametrize("make_fleet", FLEETS)
def test_the_forecast_is_within_five_percent_of_what_happens(make_fleet: Callable[[], int]) -> None:
    people = make_list(make_fleet())
    strangers = Contact.objects.filter(email_key__endswith="@other.example")
    Subscription.objects.bulk_create(Subscription(contact=contact, list=people) for contact in strangers)
    campaign = Campaign.objects.create(name="Winter", subject="Winter", text="Snow.")
    campaign.lists.set([people])

    expected = forecast_campaign(campaign, START)
    assert expected.duration is not None
    mailing = mailings.open_mailing(
        stream="campaign", name="Winter", subject="Winter", html="", text="Snow.", lists=ContactList.objects.all()
    )
    snapshot(mailing.pk, START)
    carried, finished_at = send(mailing, step=max(0.5, min(20.0, expected.duration.total_seconds() / 120)))

    assert expected.left == 0
    total = sum(carried.values())
    assert {line.name for line in expected.lines} == set(carried)
    for line in expected.lines:
        assert abs(line.messages - carried[line.name]) <= 0.05 * total, (line, carried)
    assert abs((finished_at - START) / expected.duration - 1) <= 0.05
