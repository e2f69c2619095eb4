"""The run of an A/B test: the sample is sent, a winner is chosen, the rest gets it. Nobody gets two variants.

Each variant has its own mailing to a part of the sample. The rest gets one more mailing, made when the winner is
known. So delivery knows nothing of tests. Nobody gets more than one message, even if a worker dies in between or a
snapshot is repeated, because each mailing is frozen with its part:

- The parts of the variants are ranges of one hash of the address. The ranges do not overlap, and they are frozen in
  one transaction. Their sizes differ by one person at most, as long as the audience stays the same meanwhile.
- A variant leaves out the contacts of the variants before it. The rest leaves out everybody who got a variant, by
  address and by contact. It begins once the snapshots of all variants are complete; a complete snapshot never grows.

So a person in the sample never gets the rest, not even with a new address. A person who joins later gets the rest.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from campaigns.ab_test import split, winner
from campaigns.ab_test.variants import as_campaign
from campaigns.audience import allowances
from campaigns.audience.audience import audience_of, gone
from campaigns.models import Approval, Campaign, Experiment, FrozenContent, Variant
from campaigns.schedule import mailings, schedule
from contacts.segments.audience import at_places, reached
from delivery.models import Mailing
from delivery.operators import notices
from delivery.outbox import mailings as outbox
from delivery.outbox.snapshot import bucket_sql, snapshot
from words.numbers import counted

logger = logging.getLogger(__name__)
Status = Campaign.Status
# Returns the content of a campaign's mailing as keyword arguments of delivery's open_mailing.
Content = Callable[[Campaign], dict[str, Any]]

# Fields that the mailing to the rest copies from the winner's mailing.
REPEATED = (
    "name",
    "subject",
    "html",
    "text",
    "files",
    "mail_from",
    "reply_to",
    "is_tagged",
    "sends_copies",
    "tracking",
    "track_text",
    "tracking_hosts",
    "utm",
    "reference",
    "slug",
    "created_by",
    "server_ids",
    "is_for_test_inbox",
    "organisation",
    "postal_address",
    "site_language",
)
ON_ITS_WAY = (Status.SENDING, Status.PAUSED)
# Why a person has to choose, as notices say it.
_ENGLISH = {
    Experiment.Undecided.UNCOUNTED: "Opens and clicks aren't counted for this campaign.",
    Experiment.Undecided.FEW: "Too few visits to choose by: the best variant needs at least 10.",
    Experiment.Undecided.TIE: "Two variants are equally good.",
    Experiment.Undecided.REFUSED: "A list or segment of the campaign is gone.",
}


def freeze(campaign: Campaign, now: dt.datetime, content: Content) -> list[int]:
    """Create the paused mailings of all variants in one transaction; return their ids.

    The list is empty if the campaign no longer waits for its start.
    """
    people, bounds = _share(campaign, now)  # Before the transaction: a million people take seconds.
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        if locked.status != Status.SCHEDULED:
            return []
        experiment = Experiment.objects.get(campaign=locked)
        variants = list(experiment.variants.all())
        frozen = [variant.mailing_id for variant in variants if variant.mailing_id is not None]
        if frozen:
            return frozen
        Experiment.objects.filter(pk=experiment.pk).update(expected=people)
        for variant, (first, below) in zip(variants, bounds, strict=True):
            part = {"seed": experiment.seed, "from": first, "below": below, "without": list(frozen)}
            says = as_campaign(locked, variant)
            mailing = outbox.open_mailing(
                stream=Mailing.Stream.CAMPAIGN,
                audience={**audience_of(locked).as_json(), "as_of": now.isoformat(), "part": part},
                created_by=locked.queued_by,
                server_ids=locked.server_ids,
                is_for_test_inbox=mailings.is_for_test_inbox(locked),
                identity=mailings.identity_of(says),
                **content(says),
            )
            outbox.pause(mailing.pk)
            Variant.objects.filter(pk=variant.pk).update(mailing=mailing)
            frozen.append(mailing.pk)
    return frozen


def _share(campaign: Campaign, now: dt.datetime) -> tuple[int, list[tuple[str, str]]]:
    """Return the size of the audience, and the hash range of each variant's part."""
    experiment = Experiment.objects.get(campaign=campaign)
    audience = audience_of(campaign)
    people = reached(audience, now).count()
    edges = split.edges(people, experiment.sample_percent, experiment.variants.count())
    return people, split.bounds(edges, at_places(audience, now, bucket_sql(experiment.seed), edges))


def decide(now: dt.datetime) -> int:
    """Choose the winners that are due and chosen automatically; return their number.

    Safe to repeat after a crash and beside other workers: the first choice holds. Where nobody is clearly ahead, or
    more people would get it than were approved, a person is asked, once.
    """
    due = Experiment.objects.filter(
        winner=None, undecided="", unapproved=None, begun_at__isnull=False, campaign__status=Status.SENDING
    ).exclude(winner_by=Experiment.WinnerBy.HAND)
    tests = due.filter(sample_percent__lt=100).select_related("campaign__queued_by").order_by("pk")
    return sum(_decide(test, now) for test in tests if test.ripe_at is not None and test.ripe_at <= now)


def _decide(experiment: Experiment, now: dt.datetime) -> bool:
    found = _leader(experiment)
    if not isinstance(found, Experiment.Undecided):
        if not choose(experiment.campaign_id, found, None, now):
            return True
        found = Experiment.Undecided.REFUSED
    with transaction.atomic():
        waiting = Experiment.objects.filter(pk=experiment.pk, winner=None, undecided="", unapproved=None)
        if waiting.filter(campaign__status=Status.SENDING).update(undecided=found):
            campaign = experiment.campaign
            page = settings.BASE_URL + reverse("campaigns:progress", args=[campaign.pk])
            email = campaign.queued_by.email if campaign.queued_by is not None else ""
            notices.tell_rest_waits(email, campaign.name, f"{_ENGLISH[found]} Choose the winner.", page, now)
    return False


def _leader(experiment: Experiment) -> int | Experiment.Undecided:
    """Return the variant that people visited most per accepted message, or why there is none."""
    by_opens = experiment.winner_by == Experiment.WinnerBy.OPENS
    found = winner.standings(list(experiment.variants.select_related("mailing")), by_opens=by_opens)
    return Experiment.Undecided.UNCOUNTED if found is None else winner.leader(found)


def choose(campaign_id: int, variant_id: int, actor: Any, now: dt.datetime) -> str:
    """Choose the winner, which the rest gets. The choice is final.

    :param actor: the user who chooses, stored with the test; None: the figures chose.
    :return: the reason to refuse, or an empty text.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        experiment = Experiment.objects.filter(campaign=campaign).select_related("winner").first()
        if experiment is None or not experiment.has_rest:
            return _("Everyone is in the test, so there is nobody left for a winner.")
        if experiment.winner is not None:
            return _("Variant %(letter)s has already been chosen.") % {"letter": experiment.winner}
        if campaign.status not in ON_ITS_WAY or experiment.begun_at is None:
            return _("The test hasn't started, so there is nothing to choose from.")
        if missing := gone(campaign):
            return missing[0]
        variant = experiment.variants.filter(pk=variant_id).first()
        if variant is None:
            return _("This variant doesn't exist.")
        if experiment.unapproved is not None and not _approve_rest(experiment, campaign, actor, now):
            sentence = _("The winner send brings this campaign to %(n)s people, more than were approved.")
            advice = _("Ask an approver who didn't send this campaign to choose.")
            return f"{sentence % {'n': f'{experiment.unapproved:,}'}} {advice}"
        experiment.winner, experiment.chosen_by, experiment.chosen_at = variant, actor, now
        experiment.save(update_fields=["winner", "chosen_by", "chosen_at"])
    return ""


def _approve_rest(experiment: Experiment, campaign: Campaign, actor: Any, now: dt.datetime) -> bool:
    """Record the actor's approval of the larger audience; False if the actor may not approve this campaign."""
    frozen = FrozenContent.objects.filter(campaign=campaign).first()
    if (
        frozen is None
        or actor is None
        or actor.pk == campaign.queued_by_id
        or not actor.has_perm("campaigns.approve_campaign")
    ):
        return False
    Approval.objects.create(
        campaign=campaign,
        version=frozen.version,
        requested_by=campaign.queued_by,
        requested_by_name=str(campaign.queued_by or "–")[:150],
        requested_at=now,
        decision=Approval.Decision.APPROVED,
        decided_by=actor,
        decided_by_name=str(actor)[:150],
        decided_at=now,
        people=experiment.unapproved,
        note="Given with the choice of the winner.",
    )
    return True


def open_rests(now: dt.datetime) -> int:
    """Send each chosen winner to its rest; return the number of campaigns. Safe to repeat after a crash."""
    chosen = Experiment.objects.filter(winner__isnull=False, is_rest_open=False, campaign__status__in=ON_ITS_WAY)
    rests = chosen.select_related("campaign__queued_by", "chosen_by", "winner__mailing")
    return sum(_open_rest(experiment, now) for experiment in rests)


def _open_rest(experiment: Experiment, now: dt.datetime) -> bool:
    campaign = experiment.campaign
    mailing_id = campaign.mailing_id or _freeze_rest(experiment, now)
    if mailing_id is None:
        return False
    snapshot(mailing_id, now, ends_at=campaign.not_after)
    schedule.open_mailing(campaign, mailing_id, now)
    campaign.mailing_id = mailing_id
    people = mailings.people_in(mailings.mailing_ids(campaign))
    if allowances.unapproved(campaign, people):
        _hold_rest(experiment, people, now)
        return False
    with transaction.atomic():
        status = Campaign.objects.select_for_update().get(pk=campaign.pk).status
        if status not in ON_ITS_WAY or not Experiment.objects.filter(pk=experiment.pk, is_rest_open=False).update(
            is_rest_open=True
        ):
            return False
        if status == Status.SENDING:
            outbox.resume(mailing_id)
    return True


def _hold_rest(experiment: Experiment, people: int, now: dt.datetime) -> None:
    """Undo a choice whose rest would reach more people than were approved. No message of the rest has left yet."""
    campaign = experiment.campaign
    reason = (
        f"The winner send would have brought the campaign to {counted(people, 'person', 'people')}, more than were"
        " approved. Ask an approver who didn't send this campaign to choose the winner."
    )
    with transaction.atomic():
        mine = Experiment.objects.filter(pk=experiment.pk, is_rest_open=False, winner__isnull=False)
        if not mine.update(winner=None, chosen_by=None, chosen_at=None, unapproved=people):
            return
        Campaign.objects.filter(pk=campaign.pk).update(mailing=None)
        assert campaign.mailing_id is not None
        outbox.abandon(campaign.mailing_id, now)
        page = settings.BASE_URL + reverse("campaigns:progress", args=[campaign.pk])
        addresses = {person.email for person in (experiment.chosen_by, campaign.queued_by) if person is not None}
        for email in sorted(addresses):
            notices.tell_rest_waits(email, campaign.name, reason, page, now)


def _freeze_rest(experiment: Experiment, now: dt.datetime) -> int | None:
    """Create the paused mailing to the rest, with exactly the content of the winner's mailing; return its id."""
    assert experiment.winner is not None
    won = experiment.winner.mailing
    assert won is not None
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=experiment.campaign_id)
        if campaign.mailing_id is not None or campaign.status not in ON_ITS_WAY:
            return campaign.mailing_id
        if reasons := gone(campaign):
            # The rest might reach people who were to be left out.
            logger.error("The rest of campaign %s waits: %s", campaign.pk, reasons[0])
            return None
        part = {"without": mailings.mailing_ids(campaign)}
        mailing = outbox.open_mailing(
            stream=Mailing.Stream.CAMPAIGN,
            audience={**won.audience, "as_of": now.isoformat(), "part": part},
            lists=won.lists.all(),
            identity=won.identity,  # Nobody is in both mailings, so that no Message-ID occurs twice.
            **{name: getattr(won, name) for name in REPEATED},
        )
        outbox.pause(mailing.pk)
        Campaign.objects.filter(pk=campaign.pk).update(mailing=mailing)
    return mailing.pk
