"""How a campaign goes from draft to finished: queue, start when due, pause, resume, cancel, finish.

Every change of status is a conditional UPDATE whose count is looked at, so two clicks or two workers make one
run, and a worker killed anywhere leaves rows from which the next one goes on. Sending is delivery's.
"""

import contextlib
import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from campaigns.ab_test import run
from campaigns.ab_test.variants import VARIED, experiment_of
from campaigns.audience import allowances
from campaigns.audience.audience import audience_of, gone
from campaigns.audience.headcounts import LARGE, NotCounted, patiently
from campaigns.content.frozen import frozen_content, written_contents
from campaigns.lifecycle import approvals
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign, Experiment, FrozenContent, Variant
from campaigns.preflight.refusals import audience, refusals_known
from campaigns.preflight.review import review
from campaigns.schedule import mailings as schedule_mailings
from campaigns.schedule import returns, schedule
from contacts.segments.audience import reached
from delivery.models import Mailing
from delivery.outbox import mailings as outbox
from words.numbers import counted

logger = logging.getLogger(__name__)
Status = Campaign.Status
MOST_STARTS = 3  # That came no further, before a campaign is a draft again.
START_LEASE = dt.timedelta(seconds=30)
FAILED_TO_START = (
    f"Its start failed {MOST_STARTS} times in a row, or ended the worker. Look at its content and its audience, and ask"
    " an administrator for the worker's log, before you queue it again."
)
CHANGED_SINCE = "It was changed while its people were counted. Look at it again, then queue it."


def queue_campaign(campaign_id: int, actor: Any, now: dt.datetime) -> list[str]:
    """Hand a draft to the worker, which starts it when its time has come; return why not, or an empty list.

    Where the people of a large audience are not counted, the worker counts them and makes the checks. A campaign that
    they keep from being sent is a draft again.

    :param actor: the user who asks, kept with the campaign.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    if campaign.status != Status.DRAFT:
        return [_not_a_draft(campaign)]
    version = approvals.version_of(campaign)
    starts_at, is_unreviewed = now, False
    try:
        reasons = why_not(campaign, now)
        starts_at = schedule.begins_at(campaign, now)
    except NotCounted:
        reasons, is_unreviewed = _why_not_at_once(campaign, now), True
    if reasons:
        return reasons
    with transaction.atomic():
        # Nobody may have changed what was just checked: the campaign, its test, its layout, its files.
        locked = Campaign.objects.select_for_update().get(pk=campaign_id)
        if locked.status != Status.DRAFT:
            return [_not_a_draft(locked)]
        if locked.updated_at != campaign.updated_at or not _freeze_content(locked, version, now):
            return ["The campaign was changed in the meantime. Look at it again, then queue it."]
        Campaign.objects.filter(pk=campaign_id).update(
            status=Status.SCHEDULED,
            starts_at=starts_at,
            queued_by=actor,
            is_unreviewed=is_unreviewed,
            is_overdue=False,
            is_closed=False,
            returned_reason="",
            start_attempts=0,
            start_reached=0,
            start_leased_until=None,
        )
    return []


def _freeze_content(campaign: Campaign, version: str, now: dt.datetime) -> bool:
    """Keep what the campaign says; False if that is not what has this version any more."""
    try:
        contents = written_contents(campaign)
    except ContentInvalid:
        return False
    if approvals.version_of(campaign, contents) != version:
        return False
    kept = {"version": version, "audience": approvals.audience_json(campaign), "contents": contents, "frozen_at": now}
    FrozenContent.objects.update_or_create(campaign=campaign, defaults=kept)
    return True


def why_not(campaign: Campaign, now: dt.datetime) -> list[str]:
    """Return what keeps a draft from being queued: checks that nobody overrode, and a second person who is missing."""
    found = review(campaign, now)
    if open_now := approvals.unanswered(campaign, found):
        return [f"{finding.sentence} {finding.mend}".strip() for finding in open_now]
    return _unapproved(campaign, found.people.reached)


def _why_not_at_once(campaign: Campaign, now: dt.datetime) -> list[str]:
    """Return what keeps a draft from being queued for which nobody must count its large audience."""
    reasons = refusals_known(campaign, now)
    with contextlib.suppress(NotCounted):  # Each person's own clock is another one.
        reasons += schedule.timing_refusals(campaign, now)
    if reasons:
        return reasons
    needed_above = allowances.rule().needed_above
    if needed_above is None or needed_above >= LARGE:
        return []
    some = audience(campaign, now).order_by().values("pk")[: needed_above + 1]
    return _unapproved(campaign, some.count())


def _unapproved(campaign: Campaign, people: int) -> list[str]:
    """Return why a draft must not go to so many people without a second person."""
    standing = approvals.standing(campaign, people)
    if standing.is_outgrown and standing.latest is not None:
        return [
            f"The approval was for {counted(standing.latest.people or 0, 'person', 'people')}, and the campaign would"
            f" reach {people:,}. Ask for approval again on the review page."
        ]
    if not standing.is_met:
        return [
            f"A campaign to more than {counted(standing.needed_above or 0, 'person', 'people')} needs the approval of a"
            " second person. Ask for it on the review page."
        ]
    return []


def _not_a_draft(campaign: Campaign) -> str:
    return f"The campaign is {campaign.get_status_display()} already, and only a draft can be queued."


def start_due_campaigns(now: dt.datetime) -> int:
    """Make the messages of every campaign that is due; return how many were started.

    One that was queued without its checks gets them now, also long before it is due. One that missed its time by much
    asks first: see campaigns.schedule.schedule. One that ended its worker comes after the others and holds up none of
    them.
    """
    is_due = Q(starts_at__lte=now) | Q(is_unreviewed=True)
    due = Campaign.objects.filter(is_due, status=Status.SCHEDULED, is_overdue=False)
    started = 0
    for campaign in due.order_by("start_attempts", "starts_at", "pk"):
        if schedule.is_missed(campaign, now):
            schedule.ask(campaign)
        else:
            started += start(campaign, now)
    return started


def start(campaign: Campaign, now: dt.datetime) -> bool:
    """Start a campaign, unless that has failed too often; the attempt is on record before it begins."""
    came_to = _progress(campaign)
    attempts = campaign.start_attempts if campaign.start_reached == came_to else 0
    # A lease from the future is that of a wrong clock.
    is_free = Q(start_leased_until=None) | Q(start_leased_until__lte=now) | Q(start_leased_until__gt=now + START_LEASE)
    mine = Campaign.objects.filter(is_free, pk=campaign.pk, status=Status.SCHEDULED)
    if not mine.update(start_attempts=attempts + 1, start_reached=came_to, start_leased_until=now + START_LEASE):
        return False  # Another worker is at it.
    if attempts >= MOST_STARTS:
        return returns.send_back(campaign.pk, FAILED_TO_START, now) and False
    try:
        return _start(campaign, now)
    except OperationalError:
        # The database is not the campaign's fault.
        connection.close()
        Campaign.objects.filter(pk=campaign.pk).update(start_attempts=attempts)
        raise
    except Exception:
        logger.exception("The campaign %s could not be started", campaign.pk)
        return False
    finally:
        Campaign.objects.filter(pk=campaign.pk).update(start_leased_until=None)


def _progress(campaign: Campaign) -> int:
    """Return a number that grows as a campaign's start comes further."""
    mailings = Mailing.objects.filter(pk__in=schedule_mailings.mailing_ids(campaign))
    return sum(1 + (mailing.snapshot_next or 0) for mailing in mailings.only("snapshot_next"))


def _start(campaign: Campaign, now: dt.datetime) -> bool:
    if campaign.is_unreviewed:
        # Its time to start may be another one now, so it waits for the next look.
        _review(campaign, now)
        return False
    if not schedule_mailings.mailing_ids(campaign) and (reason := _why_not_now(campaign, now)):
        returns.send_back(campaign.pk, reason, now)
        return False
    try:
        if Experiment.objects.filter(campaign=campaign).exists():
            mailing_ids = run.freeze(campaign, now, frozen_content)
        else:
            mailing_ids = [campaign.mailing_id or _freeze(campaign, now) or 0]
    except ContentInvalid as error:
        returns.send_back(campaign.pk, str(error), now)
        return False
    if not mailing_ids or not all(mailing_ids):  # Cancelled, or another worker was first.
        return False
    starts = schedule.starts_of(campaign, now, is_exact=True)
    for mailing_id in mailing_ids:
        outbox.snapshot(mailing_id, now, starts=starts, ends_at=campaign.not_after)
        schedule.open_mailing(campaign, mailing_id, now)
    # People may have come while they were counted; none of the messages has left yet.
    if reason := allowances.unapproved(campaign, schedule_mailings.people_in(mailing_ids)):
        returns.send_back(campaign.pk, reason, now)
        return False
    return _open(campaign, mailing_ids, now)


def _review(campaign: Campaign, now: dt.datetime) -> None:
    """Make the checks of a campaign that was queued without them, as they would have been made at the click."""
    frozen = FrozenContent.objects.get(campaign=campaign.pk)
    draft = Campaign.objects.get(pk=campaign.pk)
    draft.status, draft.starts_at = Status.DRAFT, None
    with patiently():
        # The checks read what is written now, which must be what was frozen.
        if approvals.version_of(draft) != frozen.version:
            reasons = [CHANGED_SINCE]
        else:
            reasons = why_not(draft, frozen.frozen_at)
        begins_at = schedule.begins_at(draft, frozen.frozen_at)
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        as_queued = FrozenContent.objects.filter(campaign=locked, frozen_at=frozen.frozen_at)
        if locked.status != Status.SCHEDULED or not as_queued.exists():
            return  # It was taken back, and may have been queued anew, with other content.
        if reasons:
            returns.send_back(campaign.pk, " ".join(reasons), now)
            return
        Campaign.objects.filter(pk=campaign.pk).update(
            is_unreviewed=False, starts_at=begins_at, start_attempts=0, start_reached=0
        )


def _open(campaign: Campaign, mailing_ids: list[int], now: dt.datetime) -> bool:
    """Let the messages leave that were made; False if the campaign no longer waits for that."""
    with transaction.atomic():
        waiting = Campaign.objects.filter(pk=campaign.pk, status=Status.SCHEDULED, is_unreviewed=False)
        if not waiting.update(status=Status.SENDING, start_attempts=0, start_reached=0):
            return False
        Experiment.objects.filter(campaign=campaign.pk).update(begun_at=now)
        for mailing_id in mailing_ids:
            outbox.resume(mailing_id)
    return True


def _why_not_now(campaign: Campaign, now: dt.datetime) -> str:
    """Return what keeps a campaign that is due from starting; empty if nothing does.

    One that lost a part of its audience might reach people who were to be left out.
    """
    if missing := gone(campaign):
        return missing[0]
    if not allowances.is_counted():
        return ""
    if approvals.is_audience_changed(campaign):
        return "Its audience is not the one that was approved. Ask for approval again, then queue the campaign."
    return allowances.unapproved(campaign, reached(audience_of(campaign), now).count())


def _freeze(campaign: Campaign, now: dt.datetime) -> int | None:
    """Attach a mailing with the campaign's content and audience; None if the campaign no longer waits for one.

    The mailing stays paused until all its messages are made, so that a cancel before that stops everything.
    """
    with transaction.atomic():
        mailing = outbox.open_mailing(
            stream=Mailing.Stream.CAMPAIGN,
            audience={**audience_of(campaign).as_json(), "as_of": now.isoformat()},
            created_by=campaign.queued_by,
            server_ids=campaign.server_ids,
            identity=schedule_mailings.identity_of(campaign),
            **frozen_content(campaign),
        )
        outbox.pause(mailing.pk)
        waiting = Campaign.objects.filter(pk=campaign.pk, status=Status.SCHEDULED, is_unreviewed=False, mailing=None)
        if waiting.update(mailing=mailing):
            return mailing.pk
        transaction.set_rollback(True)
    return None


def pause(campaign_id: int) -> bool:
    """Hold a campaign that is being sent. False if it is not."""
    return _together(campaign_id, Status.SENDING, Status.PAUSED, outbox.pause)


def resume(campaign_id: int) -> bool:
    """Let a paused campaign go on. False if it is not paused."""
    return _together(campaign_id, Status.PAUSED, Status.SENDING, outbox.resume)


def _together(campaign_id: int, old: Status, new: Status, act: Callable[[int], bool]) -> bool:
    """Change the status of a campaign and of its mailings, or neither."""
    with transaction.atomic():
        if not Campaign.objects.filter(pk=campaign_id, status=old).update(status=new):
            return False
        for mailing_id in _begun(Campaign.objects.get(pk=campaign_id)):
            act(mailing_id)
    return True


def _begun(campaign: Campaign) -> list[int]:
    """Return the mailings that may be sent: the rest after an A/B test stays paused until it is opened."""
    if Experiment.objects.filter(campaign=campaign, is_rest_open=False).exists():
        campaign.mailing_id = None
    return schedule_mailings.mailing_ids(campaign)


def cancel(campaign_id: int, now: dt.datetime) -> bool:
    """Stop a campaign for good: what has not left never will. False if it is not on its way."""
    on_its_way = (Status.SCHEDULED, Status.SENDING, Status.PAUSED)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        if not Campaign.objects.filter(pk=campaign_id, status__in=on_its_way).update(status=Status.CANCELLED):
            return False
        # While the messages are still being made their mailing is paused; settle_cancelled does the rest.
        if campaign.status != Status.SCHEDULED:
            for mailing_id in _begun(campaign):
                outbox.cancel(mailing_id, now)
    return True


def settle_cancelled(now: dt.datetime) -> int:
    """Go on with the account of what was cancelled, and return how many messages got their last status.

    Everybody gets a row in it, also where a campaign was cancelled while its messages were made.
    """
    cancelled = Campaign.objects.filter(status=Status.CANCELLED)
    of_tests = Variant.objects.filter(experiment__campaign__in=cancelled.values("pk"))
    halfway = Mailing.objects.filter(
        Q(pk__in=cancelled.values("mailing")) | Q(pk__in=of_tests.values("mailing"))
    ).exclude(state=Mailing.State.CANCELLED)
    for mailing_id in halfway.order_by("pk").values_list("pk", flat=True):
        outbox.snapshot(mailing_id, now)
        outbox.cancel(mailing_id, now)
    return outbox.settle_cancelled(now)


def follow_pauses() -> int:
    """Call the campaigns paused whose mailing the sending itself has paused; return how many."""
    sending = Campaign.objects.filter(status=Status.SENDING)
    held = sending.filter(mailing__state=Mailing.State.PAUSED).exclude(experiment__is_rest_open=False)
    count = held.update(status=Status.PAUSED)
    of_tests = Variant.objects.filter(experiment__campaign__in=sending.values("pk"), mailing__state="paused")
    # What stops one variant stops the others as well: a person is to look at it.
    for campaign_id in set(of_tests.values_list("experiment__campaign", flat=True)):
        count += pause(campaign_id)
    return count


def finish_campaigns() -> int:
    """Mark the campaigns whose last message has come to rest; return how many."""
    on_their_way = Campaign.objects.filter(status__in=[Status.SENDING, Status.PAUSED])
    unfinished = Variant.objects.filter(experiment__campaign=OuterRef("pk"), mailing__finished_at=None)
    is_sample_done = Q(experiment__begun_at__isnull=False) & ~Exists(unfinished)
    is_rest_done = Q(experiment__is_rest_open=True, mailing__finished_at__isnull=False)
    plain = on_their_way.filter(experiment=None, mailing__finished_at__isnull=False)
    tests = on_their_way.filter(is_sample_done).filter(is_rest_done | Q(experiment__sample_percent__gte=100))
    return sum(some.update(status=Status.FINISHED) for some in (plain, tests))


def retry_failed(campaign_id: int, now: dt.datetime) -> int:
    """Queue the failed and expired messages once more, and return how many they are."""
    count = 0
    with transaction.atomic():
        for mailing_id in schedule_mailings.mailing_ids(Campaign.objects.get(pk=campaign_id)):
            if number := outbox.retry_failed(mailing_id, now):
                _reopen(mailing_id, now)
                count += number
    return count


def resend(message_id: int, mailing_id: int, now: dt.datetime) -> bool:
    """Queue one unconfirmed or failed message once more. False if it is neither, or its mailing is cancelled."""
    with transaction.atomic():
        is_queued = outbox.resend(message_id, now)
        if is_queued:
            _reopen(mailing_id, now)
    return is_queued


def _reopen(mailing_id: int, now: dt.datetime) -> None:
    campaigns = Campaign.objects.filter(schedule_mailings.of_mailing(mailing_id))
    for campaign in campaigns:
        schedule.end_no_more(campaign, now)
    campaigns.filter(status=Status.FINISHED).update(status=Status.SENDING)


def duplicate(campaign_id: int) -> Campaign:
    """Return a new draft with the same content and lists, under a free name."""
    with transaction.atomic():
        original = Campaign.objects.get(pk=campaign_id)
        content = [field for field in Campaign._meta.fields if field.editable and not field.primary_key]
        draft = Campaign(**{field.name: getattr(original, field.name) for field in content})
        draft.name = _free_name(original.name)
        draft.save()
        draft.lists.set(original.lists.all())
        draft.attachments.set(original.attachments.all())
        if (experiment := experiment_of(original)) is not None:
            copied = Experiment.objects.create(
                campaign=draft, sample_percent=experiment.sample_percent, wait_hours=experiment.wait_hours
            )
            for variant in experiment.variants.all():
                said = {name: getattr(variant, name) for name in (*VARIED, "body", "position")}
                Variant.objects.create(experiment=copied, **said)
    return draft


def _free_name(name: str) -> str:
    """Return "Name (copy)", or "Name (copy 2)" and so on, cut to the column's length."""
    taken = set(Campaign.objects.filter(name__contains="(copy").values_list("name", flat=True))
    stem = name.partition(" (copy")[0]
    number = 1
    while True:
        suffix = " (copy)" if number == 1 else f" (copy {number})"
        candidate = stem[: 150 - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        number += 1
