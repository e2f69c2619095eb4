"""State changes of a campaign from draft to finished: queue, start when due, pause, resume, cancel, finish.

Every change of status goes through ``campaigns.models.transitions``, and its row count is checked. So two clicks or two
workers start a campaign once, and the next worker continues from the rows of one that was killed. Sending is
delivery's subject.
"""

import contextlib
import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.ab_test import run
from campaigns.ab_test.variants import VARIED, experiment_of
from campaigns.audience import allowances
from campaigns.audience.audience import audience_of, gone
from campaigns.audience.headcounts import LARGE, NotCounted, patiently
from campaigns.content.frozen import frozen_content
from campaigns.content.written import Written
from campaigns.lifecycle import approvals
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign, Experiment, FrozenContent, Variant, transitions
from campaigns.preflight.question import outdated
from campaigns.preflight.refusals import mixed_servers, refusals_known
from campaigns.preflight.review import findings_at_start, review_of
from campaigns.preflight.senders import addresses
from campaigns.schedule import mailings as schedule_mailings
from campaigns.schedule import returns, schedule
from contacts.segments.audience import reached
from delivery.models import Mailing
from delivery.outbox import mailings as outbox
from delivery.outbox.snapshot import snapshot
from delivery.outcomes.account_limits import STOPPED_FOR_COMPLAINTS
from smtpservers.routing.fleet import Fleet

logger = logging.getLogger(__name__)
Status = Campaign.Status
MOST_STARTS = 3  # Failed starts in a row without progress, before a campaign becomes a draft again.
START_LEASE = dt.timedelta(seconds=30)
FAILED_TO_START = (
    f"It failed to start {MOST_STARTS} times in a row, or stopped its worker. Check its content and audience, and ask"
    " an administrator for the worker's log, before you send it again."
)
CHANGED_MEANWHILE = "The campaign has just been changed. Check it and send it again."
CHANGED_SINCE = "It was changed while its recipients were counted. Check it and send it again."


def queue_campaign(campaign_id: int, actor: Any, now: dt.datetime) -> list[str]:
    """Queue a draft; the worker starts it when it is due. Return the reasons to refuse, or an empty list.

    If a large audience is not counted yet, the campaign is queued at once. The worker then counts the people and runs
    the checks, and turns the campaign back into a draft if a check blocks it.

    :param actor: the user who queues the campaign; stored with it.
    """
    return queue(Written.read(campaign_id), actor, now)


def queue(written: Written, actor: Any, now: dt.datetime, shown: str | None = None) -> list[str]:
    """Do the same for a draft that the caller has just read. Afterwards ``written.campaign`` has its new state.

    :param shown: the mark of the question that the actor answered, see :mod:`campaigns.preflight.question`; None if
        nobody was asked.
    """
    campaign = written.campaign
    if campaign.status != Status.DRAFT:
        return [_not_a_draft(campaign)]
    version = written.version  # Before the checks, so that it stands for what they see.
    starts_at, is_unreviewed = now, False
    try:
        reasons = why_not(written, now, shown)
        starts_at = schedule.begins_at(campaign, now, written.headcounts)
    except NotCounted:
        reasons, is_unreviewed = _why_not_at_once(written, now, shown), True
    if reasons:
        return reasons
    try:
        contents = written.written_contents
    except ContentInvalid:
        return [CHANGED_MEANWHILE]
    with transaction.atomic():
        # Read a second time on purpose, now under the lock: the campaign with its layout and A/B test, its lists and
        # segments, its attachments and pictures. They have to be the ones that were just checked, and then the content
        # that was built of them is the present one.
        current = Written.read(campaign.pk, locks=True)
        if current.campaign.status != Status.DRAFT:
            return [_not_a_draft(current.campaign)]
        if current.campaign.updated_at != campaign.updated_at or not written.is_unchanged_in(current):
            return [CHANGED_MEANWHILE]
        is_queued = transitions.change_one(
            campaign,
            Status.DRAFT,
            Status.SCHEDULED,
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
        assert is_queued  # It is locked, and was a draft.
        frozen = FrozenContent(
            campaign=campaign,
            version=version,
            audience=approvals.audience_json(written.audience),
            contents=contents,
            frozen_at=now,
        )
        FrozenContent.objects.bulk_create(  # One query; update_or_create takes two, and a savepoint.
            [frozen],
            update_conflicts=True,
            unique_fields=["campaign"],
            update_fields=["version", "audience", "contents", "frozen_at"],
        )
    return []


def why_not(written: Written, now: dt.datetime, shown: str | None = None) -> list[str]:
    """Return the reasons why a draft cannot be queued: checks without an override, a missing approval, a question
    that no longer holds.

    :param shown: as for :func:`queue`.
    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    fleet = Fleet(now)
    found = review_of(written, fleet)
    if open_now := approvals.unanswered(found):
        return [f"{finding.sentence} {finding.remedy}".strip() for finding in open_now]
    if reasons := _unapproved(written, found.people.reached):
        return reasons
    return [] if shown is None else outdated(shown, found.people.reached, addresses(written, fleet))


def _why_not_at_once(written: Written, now: dt.datetime, shown: str | None) -> list[str]:
    """Return the reasons why a draft cannot be queued, as far as they are known without counting its audience."""
    fleet = Fleet(now)
    reasons = refusals_known(written, fleet)
    if shown is not None:
        reasons += outdated(shown, None, addresses(written, fleet))
    with contextlib.suppress(NotCounted):  # Starts in local time need the zones of all people.
        reasons += schedule.timing_refusals(written.campaign, now, written.headcounts)
    if reasons:
        return reasons
    needed_above = allowances.rule().needed_above
    if needed_above is None or needed_above >= LARGE:
        return []
    some = reached(written.audience, now).order_by().values("pk")[: needed_above + 1]
    return _unapproved(written, some.count())


def _unapproved(written: Written, people: int) -> list[str]:
    """Return the reasons why a draft needs an approval to go to this number of people; empty if it does not."""
    standing = approvals.standing(written, people)
    if standing.is_outgrown and standing.latest is not None:
        numbers = {"approved": f"{standing.latest.people or 0:,}", "now": f"{people:,}"}
        sentence = _("The approval covers %(approved)s people, and the campaign would reach %(now)s.")
        return [f"{sentence % numbers} {_('Request approval again on the review page.')}"]
    if not standing.is_met:
        most = standing.needed_above or 0
        sentence = ngettext(
            "Campaigns to more than %(n)s person need a second person's approval.",
            "Campaigns to more than %(n)s people need a second person's approval.",
            most,
        )
        return [f"{sentence % {'n': f'{most:,}'}} {_('Request it on the review page.')}"]
    return []


def _not_a_draft(campaign: Campaign) -> str:
    return _("Only drafts can be sent. This campaign's status is: %(status)s.") % {"status": campaign.status_word}


def start_due_campaigns(now: dt.datetime) -> int:
    """Start every due campaign; return the number of started ones.

    A campaign that was queued without its checks gets them now, even long before it is due. A campaign that missed its
    start by a long time waits for a person: see :mod:`campaigns.schedule.schedule`. A campaign that killed its worker
    comes after the others, so that it holds up none of them.
    """
    is_due = Q(starts_at__lte=now) | Q(is_unreviewed=True)
    due = Campaign.objects.filter(is_due, status=Status.SCHEDULED, is_overdue=False)
    started = 0
    for campaign in due.order_by("start_attempts", "starts_at", "pk"):
        if schedule.is_missed(campaign, now):
            schedule.mark_overdue(campaign)
        else:
            started += start(campaign, now)
    return started


def start(campaign: Campaign, now: dt.datetime) -> bool:
    """Start a campaign, unless its start has failed too often. The attempt is recorded before it begins."""
    progress = _progress(campaign)
    attempts = campaign.start_attempts if campaign.start_reached == progress else 0
    # A lease further ahead than ``START_LEASE`` comes from a wrong clock.
    is_free = Q(start_leased_until=None) | Q(start_leased_until__lte=now) | Q(start_leased_until__gt=now + START_LEASE)
    mine = Campaign.objects.filter(is_free, pk=campaign.pk, status=Status.SCHEDULED)
    if not mine.update(start_attempts=attempts + 1, start_reached=progress, start_leased_until=now + START_LEASE):
        return False  # Another worker has the lease.
    if attempts >= MOST_STARTS:
        return returns.send_back(campaign.pk, FAILED_TO_START, now) and False
    try:
        return _start(campaign, now)
    except OperationalError:
        # A database error does not count as a failed start.
        connection.close()
        Campaign.objects.filter(pk=campaign.pk).update(start_attempts=attempts)
        raise
    except Exception:
        logger.exception("The campaign %s could not be started", campaign.pk)
        return False
    finally:
        Campaign.objects.filter(pk=campaign.pk).update(start_leased_until=None)


def _progress(campaign: Campaign) -> int:
    """Return a number that grows with the progress of a campaign's start."""
    mailings = Mailing.objects.filter(pk__in=schedule_mailings.mailing_ids(campaign))
    return sum(1 + (mailing.snapshot_next or 0) for mailing in mailings.only("snapshot_next"))


def _start(campaign: Campaign, now: dt.datetime) -> bool:
    if campaign.is_unreviewed:
        # The review may set another start time, so the campaign waits for the next call.
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
        snapshot(mailing_id, now, starts=starts, ends_at=campaign.not_after)
        schedule.open_mailing(campaign, mailing_id, now)
    # People may have joined while the messages were made; none of the messages has left yet.
    if reason := allowances.unapproved(campaign, schedule_mailings.people_in(mailing_ids)):
        returns.send_back(campaign.pk, reason, now)
        return False
    return _open(campaign, mailing_ids, now)


def _review(campaign: Campaign, now: dt.datetime) -> None:
    """Run the checks of a campaign that was queued without them, as of the time when it was queued."""
    frozen = FrozenContent.objects.get(campaign=campaign.pk)
    draft = Written(transitions.as_draft(Campaign.objects.get(pk=campaign.pk)))
    with patiently():
        # The checks read the present content, so it has to be the frozen one.
        if draft.version != frozen.version:
            reasons = [CHANGED_SINCE]
        else:
            reasons = why_not(draft, frozen.frozen_at)
        begins_at = schedule.begins_at(draft.campaign, frozen.frozen_at, draft.headcounts)
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        as_queued = FrozenContent.objects.filter(campaign=locked, frozen_at=frozen.frozen_at)
        if locked.status != Status.SCHEDULED or not as_queued.exists():
            return  # The campaign was taken back, and perhaps queued again with another content.
        if reasons:
            returns.send_back(campaign.pk, " ".join(reasons), now)
            return
        Campaign.objects.filter(pk=campaign.pk).update(
            is_unreviewed=False, starts_at=begins_at, start_attempts=0, start_reached=0
        )


def _open(campaign: Campaign, mailing_ids: list[int], now: dt.datetime) -> bool:
    """Release the messages that were made; False if the campaign no longer waits for its start."""
    with transaction.atomic():
        waiting = Campaign.objects.filter(pk=campaign.pk, is_unreviewed=False)
        begun = {"start_attempts": 0, "start_reached": 0}
        if not transitions.change(waiting, Status.SCHEDULED, Status.SENDING, **begun):
            return False
        Experiment.objects.filter(campaign=campaign.pk).update(begun_at=now)
        for mailing_id in mailing_ids:
            outbox.resume(mailing_id)
    return True


def _why_not_now(campaign: Campaign, now: dt.datetime) -> str:
    """Return the reason why a due campaign must not start; empty if there is none.

    If a part of the audience was deleted, the campaign might reach people who were to be left out.
    """
    if missing := gone(campaign):
        return missing[0]
    written, fleet = Written(campaign), Fleet(now)
    if mixed := mixed_servers(written, fleet):
        return mixed
    if allowances.is_counted():
        if approvals.is_audience_changed(campaign):
            return "Its audience isn't the approved one. Request approval again, then send the campaign."
        if reason := allowances.unapproved(campaign, reached(audience_of(campaign), now).count()):
            return reason
    return _failed_checks(written, fleet)


def _failed_checks(written: Written, fleet: Fleet) -> str:
    """Return what the checks find that blocks a due campaign by now; empty if nothing does."""
    try:
        with patiently():
            findings = findings_at_start(written, fleet)
    except ValueError as error:
        return f"Couldn't create a message from its content. {error}"
    blocking = approvals.unanswered_at_start(written.campaign, findings)
    return " ".join(f"{finding.check_id}: {finding.sentence} {finding.remedy}".strip() for finding in blocking)


def _freeze(campaign: Campaign, now: dt.datetime) -> int | None:
    """Create a paused mailing with the campaign's content and audience; None if the campaign no longer waits for one.

    The mailing stays paused until all its messages are made, so that a cancel before that stops all of them.
    """
    with transaction.atomic():
        mailing = outbox.open_mailing(
            stream=Mailing.Stream.CAMPAIGN,
            audience={**audience_of(campaign).as_json(), "as_of": now.isoformat()},
            created_by=campaign.queued_by,
            server_ids=campaign.server_ids,
            is_for_test_inbox=schedule_mailings.is_for_test_inbox(campaign),
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
    """Pause a campaign that is being sent. False if it is not."""
    return _change_status(campaign_id, Status.SENDING, Status.PAUSED, outbox.pause)


def resume(campaign_id: int) -> bool:
    """Resume a paused campaign. False if it is not paused."""
    return _change_status(campaign_id, Status.PAUSED, Status.SENDING, outbox.resume)


def asks_why_resumed(campaign: Campaign) -> bool:
    """Whether complaints stopped the campaign, so that whoever resumes it has to say why."""
    stopped = Mailing.objects.filter(state="paused", waiting_reason__startswith=STOPPED_FOR_COMPLAINTS)
    return campaign.status == Status.PAUSED and stopped.filter(pk__in=schedule_mailings.mailing_ids(campaign)).exists()


def _change_status(campaign_id: int, old: Status, new: Status, act: Callable[[int], bool]) -> bool:
    """Change the status of a campaign and of its mailings in one transaction. False if the status is not ``old``."""
    with transaction.atomic():
        if not transitions.change(Campaign.objects.filter(pk=campaign_id), old, new):
            return False
        for mailing_id in _released(Campaign.objects.get(pk=campaign_id)):
            act(mailing_id)
    return True


def _released(campaign: Campaign) -> list[int]:
    """Return the mailings that may be sent. The rest of an A/B test is not among them before it is opened."""
    if Experiment.objects.filter(campaign=campaign, is_rest_open=False).exists():
        campaign.mailing_id = None
    return schedule_mailings.mailing_ids(campaign)


def cancel(campaign_id: int, now: dt.datetime) -> bool:
    """Cancel a campaign for good: its unsent messages never leave. False if it is not scheduled or on its way."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        its = Campaign.objects.filter(pk=campaign_id)
        if not transitions.change(its, transitions.before(Status.CANCELLED), Status.CANCELLED):
            return False
        # While messages are still being made, their mailing is paused; settle_cancelled cancels it later.
        if campaign.status != Status.SCHEDULED:
            for mailing_id in _released(campaign):
                outbox.cancel(mailing_id, now)
    return True


def settle_cancelled(now: dt.datetime) -> int:
    """Give messages of cancelled campaigns their final status; return the number of messages.

    Every recipient gets a message row, even if the campaign was cancelled while its messages were being made.
    """
    cancelled = Campaign.objects.filter(status=Status.CANCELLED)
    of_tests = Variant.objects.filter(experiment__campaign__in=cancelled.values("pk"))
    halfway = Mailing.objects.filter(
        Q(pk__in=cancelled.values("mailing")) | Q(pk__in=of_tests.values("mailing"))
    ).exclude(state=Mailing.State.CANCELLED)
    for mailing_id in halfway.order_by("pk").values_list("pk", flat=True):
        snapshot(mailing_id, now)
        outbox.cancel(mailing_id, now)
    return outbox.settle_cancelled(now)


def follow_pauses() -> int:
    """Pause the campaigns whose mailing was paused by the delivery itself; return the number of campaigns."""
    sending = Campaign.objects.filter(status=Status.SENDING)
    held = sending.filter(mailing__state=Mailing.State.PAUSED).exclude(experiment__is_rest_open=False)
    count = transitions.change(Campaign.objects.filter(pk__in=held.values("pk")), Status.SENDING, Status.PAUSED)
    of_tests = Variant.objects.filter(experiment__campaign__in=sending.values("pk"), mailing__state="paused")
    # A pause of one variant pauses the others too, because a person has to look at the campaign.
    for campaign_id in set(of_tests.values_list("experiment__campaign", flat=True)):
        count += pause(campaign_id)
    return count


def finish_campaigns() -> int:
    """Mark the campaigns whose last message has its final status; return the number of campaigns."""
    old = transitions.before(Status.FINISHED)
    on_their_way = Campaign.objects.filter(status__in=old)
    unfinished = Variant.objects.filter(experiment__campaign=OuterRef("pk"), mailing__finished_at=None)
    is_sample_done = Q(experiment__begun_at__isnull=False) & ~Exists(unfinished)
    is_rest_done = Q(experiment__is_rest_open=True, mailing__finished_at__isnull=False)
    plain = on_their_way.filter(experiment=None, mailing__finished_at__isnull=False)
    tests = on_their_way.filter(is_sample_done).filter(is_rest_done | Q(experiment__sample_percent__gte=100))
    done = (Campaign.objects.filter(pk__in=some.values("pk")) for some in (plain, tests))
    return sum(transitions.change(each, old, Status.FINISHED) for each in done)


def retry_failed(campaign_id: int, now: dt.datetime) -> int:
    """Queue the failed and expired messages again; return their number."""
    count = 0
    with transaction.atomic():
        for mailing_id in schedule_mailings.mailing_ids(Campaign.objects.get(pk=campaign_id)):
            if number := outbox.retry_failed(mailing_id, now):
                _reopen(mailing_id, now)
                count += number
    return count


def resend(message_id: int, mailing_id: int, now: dt.datetime) -> bool:
    """Queue an unconfirmed, failed or expired message again. False for another status or a cancelled mailing."""
    with transaction.atomic():
        is_queued = outbox.resend(message_id, now)
        if is_queued:
            _reopen(mailing_id, now)
    return is_queued


def _reopen(mailing_id: int, now: dt.datetime) -> None:
    campaigns = Campaign.objects.filter(schedule_mailings.of_mailing(mailing_id))
    for campaign in campaigns:
        schedule.lift_end(campaign, now)
    transitions.change(campaigns, Status.FINISHED, Status.SENDING)


def duplicate(campaign_id: int) -> Campaign:
    """Create a draft with the same content, audience and A/B test under an unused name."""
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
                campaign=draft,
                sample_percent=experiment.sample_percent,
                wait_hours=experiment.wait_hours,
                winner_by=experiment.winner_by,
            )
            for variant in experiment.variants.all():
                said = {name: getattr(variant, name) for name in (*VARIED, "body", "position")}
                Variant.objects.create(experiment=copied, **said)
    return draft


def _free_name(name: str) -> str:
    """Return an unused "Name (copy)", "Name (copy 2)" and so on, cut to the length of the column."""
    taken = set(Campaign.objects.filter(name__contains="(copy").values_list("name", flat=True))
    stem = name.partition(" (copy")[0]
    number = 1
    while True:
        suffix = " (copy)" if number == 1 else f" (copy {number})"
        candidate = stem[: 150 - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        number += 1
