"""How an A/B test goes: the sample is sent, a person chooses, the rest gets the winner. Nobody gets two variants.

Each variant has a mailing of its own to its part of the sample, and the rest has one more, made when the winner is
known: so delivery knows nothing of tests. That everybody gets one message at most is kept by what each mailing is
frozen with, whoever is killed when and however often a snapshot is repeated:

- The parts of the variants are bounds of one hash of the address. They do not touch, and they are frozen in one
  transaction. They are of one size, give or take one person, as long as nobody comes or goes meanwhile.
- A variant leaves out the contacts of the variants before it, and the rest leaves out everybody whom a variant has,
  by address and by contact. The rest begins once the snapshots of all variants are complete, and these never grow.

So somebody in the sample never gets the rest, also with a new address; who joins the audience later gets the rest.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from campaigns.ab_test import split
from campaigns.ab_test.variants import as_campaign
from campaigns.audience import allowances
from campaigns.audience.audience import audience_of, gone
from campaigns.models import Approval, Campaign, Experiment, FrozenContent, Variant
from campaigns.schedule import mailings, schedule
from contacts.segments.audience import at_places, reached
from delivery.models import Mailing
from delivery.operators import notices
from delivery.outbox import mailings as outbox
from words.numbers import counted

logger = logging.getLogger(__name__)
Status = Campaign.Status
# What a mailing of a campaign says, as keywords of delivery's open_mailing.
Content = Callable[[Campaign], dict[str, Any]]

# What the mailing to the rest has of the winner's.
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
    "utm",
    "reference",
    "slug",
    "created_by",
    "server_ids",
)
ON_ITS_WAY = (Status.SENDING, Status.PAUSED)


def freeze(campaign: Campaign, now: dt.datetime, content: Content) -> list[int]:
    """Make the mailings of all variants or none, paused, and return them; empty if the campaign does not wait."""
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
                identity=mailings.identity_of(says),
                **content(says),
            )
            outbox.pause(mailing.pk)
            Variant.objects.filter(pk=variant.pk).update(mailing=mailing)
            frozen.append(mailing.pk)
    return frozen


def _share(campaign: Campaign, now: dt.datetime) -> tuple[int, list[tuple[str, str]]]:
    """Return how many people there are, and the bounds of each variant's part of them."""
    experiment = Experiment.objects.get(campaign=campaign)
    audience = audience_of(campaign)
    people = reached(audience, now).count()
    edges = split.edges(people, experiment.sample_percent, experiment.variants.count())
    return people, split.bounds(edges, at_places(audience, now, outbox.bucket_sql(experiment.seed), edges))


def choose(campaign_id: int, variant_id: int, actor: Any, now: dt.datetime) -> str:
    """Name the winner, whom the rest gets; return why not, or an empty text. It cannot be taken back.

    :param actor: the user who chooses, kept with the test.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        experiment = Experiment.objects.filter(campaign=campaign).select_related("winner").first()
        if experiment is None or not experiment.has_rest:
            return "This campaign has no rest that a winner could be sent to."
        if experiment.winner is not None:
            return f"Variant {experiment.winner} was chosen already."
        if campaign.status not in ON_ITS_WAY or experiment.begun_at is None:
            return "The sample is not on its way, so there is nothing to choose from."
        if missing := gone(campaign):
            return missing[0]
        variant = experiment.variants.filter(pk=variant_id).first()
        if variant is None:
            return "There is no such variant."
        if experiment.unapproved is not None and not _approve_rest(experiment, campaign, actor, now):
            return (
                f"With the rest this campaign reaches {counted(experiment.unapproved, 'person', 'people')}, more than"
                " were approved. Ask somebody who may approve campaigns, and who did not queue this one, to choose."
            )
        experiment.winner, experiment.chosen_by, experiment.chosen_at = variant, actor, now
        experiment.save(update_fields=["winner", "chosen_by", "chosen_at"])
    return ""


def _approve_rest(experiment: Experiment, campaign: Campaign, actor: Any, now: dt.datetime) -> bool:
    """Keep that a second person agrees to the people who came since the sample; False if the actor is none."""
    frozen = FrozenContent.objects.filter(campaign=campaign).first()
    if frozen is None or actor.pk == campaign.queued_by_id or not actor.has_perm("campaigns.approve_campaign"):
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
        note="With the choice of the winner.",
    )
    return True


def carry_on(now: dt.datetime) -> int:
    """Send the winners that were chosen to the rest; return how many campaigns went on. May be killed and repeated."""
    chosen = Experiment.objects.filter(winner__isnull=False, is_rest_open=False, campaign__status__in=ON_ITS_WAY)
    rests = chosen.select_related("campaign__queued_by", "chosen_by", "winner__mailing")
    return sum(_open_rest(experiment, now) for experiment in rests)


def _open_rest(experiment: Experiment, now: dt.datetime) -> bool:
    campaign = experiment.campaign
    mailing_id = campaign.mailing_id or _freeze_rest(experiment, now)
    if mailing_id is None:
        return False
    outbox.snapshot(mailing_id, now, ends_at=campaign.not_after)
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
    """Take back a choice whose rest would reach more people than a second person agreed to; nothing of it has left."""
    campaign = experiment.campaign
    reason = (
        f"With the rest the campaign would have reached {counted(people, 'person', 'people')}, more than were approved."
        " Ask somebody who may approve campaigns, and who did not queue this one, to choose the winner."
    )
    with transaction.atomic():
        mine = Experiment.objects.filter(pk=experiment.pk, is_rest_open=False, winner__isnull=False)
        if not mine.update(winner=None, chosen_by=None, chosen_at=None, unapproved=people):
            return
        Campaign.objects.filter(pk=campaign.pk).update(mailing=None)
        assert campaign.mailing_id is not None
        outbox.abandon(campaign.mailing_id, now)
        page = settings.BASE_URL + reverse("campaigns:progress", args=[campaign.pk])
        people_to_tell = {person.email for person in (experiment.chosen_by, campaign.queued_by) if person is not None}
        for email in sorted(people_to_tell):
            notices.tell_rest_waits(email, campaign.name, reason, page, now)


def _freeze_rest(experiment: Experiment, now: dt.datetime) -> int | None:
    """Make the mailing to the rest, paused; it says word for word what the winner's mailing said."""
    assert experiment.winner is not None
    won = experiment.winner.mailing
    assert won is not None
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=experiment.campaign_id)
        if campaign.mailing_id is not None or campaign.status not in ON_ITS_WAY:
            return campaign.mailing_id
        if reasons := gone(campaign):
            # It might reach people who were to be left out.
            logger.error("The rest of campaign %s waits: %s", campaign.pk, reasons[0])
            return None
        part = {"without": mailings.mailing_ids(campaign)}
        mailing = outbox.open_mailing(
            stream=Mailing.Stream.CAMPAIGN,
            audience={**won.audience, "as_of": now.isoformat(), "part": part},
            lists=won.lists.all(),
            identity=won.identity,  # Nobody is in both.
            **{name: getattr(won, name) for name in REPEATED},
        )
        outbox.pause(mailing.pk)
        Campaign.objects.filter(pk=campaign.pk).update(mailing=mailing)
    return mailing.pk
