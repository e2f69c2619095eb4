"""A cancel holds at once, and the account of a large mailing follows a slice at a time, whoever is killed meanwhile."""

import datetime as dt
from collections import Counter

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from campaigns.lifecycle import states as campaigns
from campaigns.models import Campaign
from campaigns.reports.report import report
from delivery.models import Chunk, LaterChunk, Mailing, Message
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases, mailings
from delivery.outbox.plan import LaneShare
from delivery.outcomes import results
from tests.delivery.making import make_list, make_mailing, make_server

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of five messages, and slices of two chunks."""
    for module in ("mailings", "snapshot"):
        monkeypatch.setattr(f"delivery.outbox.{module}.CHUNK_MESSAGES", 5)
    monkeypatch.setattr(mailings, "CHUNKS_ENDED_AT_ONCE", 2)
    monkeypatch.setattr(mailings, "ENDED_AT_ONCE", 20)


def statuses(mailing: Mailing) -> Counter[str]:
    return Counter(mailing.messages.values_list("status", flat=True))


def test_a_cancel_answers_after_one_slice_and_errands_do_the_others() -> None:
    mailing = make_mailing(make_list(58))

    assert mailings.cancel(mailing.pk, timezone.now())

    assert statuses(mailing) == {"cancelled": 10, "queued": 48}
    assert results.finish_mailings(timezone.now()) == 0
    assert [mailings.settle_cancelled(timezone.now()) for _ in range(4)] == [20, 20, 8, 0]
    assert statuses(mailing) == {"cancelled": 58}
    assert not Chunk.objects.exists()
    assert results.finish_mailings(timezone.now()) == 1
    assert not mailings.cancel(mailing.pk, timezone.now())


def test_nothing_more_is_claimed_of_a_cancelled_mailing_that_is_not_settled_yet() -> None:
    server = make_server(100)
    mailing = make_mailing(make_list(40))
    token = leases.acquire_extra(server.pk, 600).token
    claims = outbox_claims.claim(token, server, LaneShare(mailing.pk, "It is first."), 3, timezone.now()) or []

    mailings.cancel(mailing.pk, timezone.now())

    stopped = outbox_claims.stopped([each.message.pk for each in claims], timezone.now())
    assert {status for status, _ in stopped.values()} == {"cancelled"}
    assert Chunk.objects.exists()
    assert mailings.settle_cancelled(timezone.now())
    assert not mailings.resume(mailing.pk)


def test_deferred_and_later_messages_are_settled_as_well() -> None:
    mailing = make_mailing(make_list(60))
    now = timezone.now()
    first = list(mailing.messages.order_by("pk").values_list("pk", flat=True)[:25])
    Chunk.objects.filter(last_id__lte=first[-1]).delete()
    Message.objects.filter(pk__in=first).update(status="deferred", due_at=now)
    for chunk in Chunk.objects.order_by("-pk")[:3]:
        LaterChunk.objects.create(
            mailing=mailing, opens_at=now + dt.timedelta(hours=3), next_id=chunk.next_id, last_id=chunk.last_id,
            messages=chunk.messages or 0,
        )  # fmt: skip
        chunk.delete()

    mailings.cancel(mailing.pk, now)
    while mailings.settle_cancelled(now):
        pass

    assert statuses(mailing) == {"cancelled": 60}
    assert not LaterChunk.objects.exists()


def test_killed_between_two_slices_the_next_worker_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    mailing = make_mailing(make_list(58))
    mailings.cancel(mailing.pk, timezone.now())
    end, slices = mailings._end_slice, []

    def killed(*args: object) -> int | None:
        if len(slices) == 1:
            raise KeyboardInterrupt
        slices.append(args)
        return end(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(mailings, "_end_slice", killed)
        with pytest.raises(KeyboardInterrupt):
            mailings.settle_cancelled(timezone.now())
    while mailings.settle_cancelled(timezone.now()):
        pass

    assert statuses(mailing) == {"cancelled": 58}


def test_the_page_of_a_cancelled_campaign_counts_what_is_still_to_be_marked() -> None:
    mailing = make_mailing(make_list(58))
    campaign = Campaign.objects.create(name="C", subject="S", text="T", status="sending", mailing=mailing)
    User.objects.create_user("ann")
    now = timezone.now()

    assert campaigns.cancel(campaign.pk, now)

    campaign.refresh_from_db()
    shown = report(campaign, now, with_replies=False)
    assert shown.summary == "Cancelled. Nothing more is sent. 48 messages are still being marked."
    assert shown.is_live
    while campaigns.settle_cancelled(now):
        pass
    shown = report(campaign, now, with_replies=False)
    assert shown.summary == "Cancelled. Unsent messages won't be sent."
    assert not shown.is_live


def test_what_is_left_at_the_end_of_a_campaign_expires_in_slices() -> None:
    mailing = make_mailing(make_list(58))

    assert mailings.expire_rest(mailing.pk, "It was not to be sent after noon.", timezone.now()) == 58
    assert statuses(mailing) == {"expired": 58}
