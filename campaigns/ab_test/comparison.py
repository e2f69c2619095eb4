"""The comparison of an A/B test's variants, and whether it is time to choose the winner."""

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.ab_test import winner
from campaigns.ab_test.variants import as_campaign, experiment_of
from campaigns.models import Campaign, Experiment
from delivery.models import Message
from delivery.records import figures
from words.numbers import percent

RATE_PLACES = 1  # Decimal places of a variant's rate: small differences decide.
Late = Callable[[Collection[int]], list[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Compared:
    """One variant and its results."""

    pk: int
    letter: str
    subject: str
    sender: str  # Empty: each server's own.
    has_own_content: bool
    messages: int  # Without suppressed ones.
    accepted: int
    refused: int  # Bounced, failed or expired.
    visits: int | None  # Clicks by people, or opens if they decide; None: not counted.
    unnamed: int  # Those of them that were counted without a name.
    rate: str  # The same per accepted message, in words.
    late: tuple[tuple[str, int], ...]  # Feedback that came later, such as unsubscribes: name and number.
    is_winner: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """An A/B test as its page shows it."""

    variants: tuple[Compared, ...]
    sample_percent: int
    wait_hours: int
    waiting: int  # Roughly the number of people who wait for the winner; 0 once their messages exist.
    ripe_at: dt.datetime | None  # The time to choose the winner; None before the start.
    is_ripe: bool
    can_choose: bool
    winner: str
    is_rest_open: bool
    by_opens: bool
    is_automatic: bool
    undecided: str  # Why a person has to choose after all.
    unlikely: str  # Why a person will probably have to, before that is sure.
    fewest: int  # Visits that the best variant needs to be chosen automatically.
    verdict: str  # Which variant is ahead, and whether that may be chance; empty before the start.
    unapproved: int | None  # Recipients including the rest, if a second person has to choose.

    @property
    def has_unnamed(self) -> bool:
        """Whether clicks without a name are among the visits, which are clicks then, and not people."""
        return any(each.unnamed for each in self.variants)

    @property
    def is_due(self) -> bool:
        """Whether it is time to choose the winner."""
        return self.can_choose and self.is_ripe


def compare(campaign: Campaign, now: dt.datetime, late: Late) -> Comparison | None:
    """Return the campaign's A/B test; None if it has none.

    :param late: returns the later feedback on some mailings, by name.
    """
    experiment = experiment_of(campaign)
    if experiment is None:
        return None
    compared = []
    sampled = 0
    variants = list(experiment.variants.select_related("mailing"))
    by_opens = experiment.winner_by == Experiment.WinnerBy.OPENS
    standings = winner.standings(variants, by_opens=by_opens)
    for place, variant in enumerate(variants):
        counts = figures.counts(variant.mailing_id) if variant.mailing_id is not None else {}
        refused = sum(counts.get(status, 0) for status in (Message.Status.BOUNCED, Message.Status.FAILED, "expired"))
        says = as_campaign(campaign, variant)
        messages = sum(counts.values()) - counts.get(Message.Status.SUPPRESSED, 0)
        sampled += messages
        compared.append(
            Compared(
                variant.pk,
                str(variant),
                says.subject,
                says.mail_from,
                bool(variant.body or variant.text),
                messages,
                counts.get(Message.Status.ACCEPTED, 0),
                refused,
                standings[place].visits if standings else None,
                standings[place].loads if standings else 0,
                percent(standings[place].visits, standings[place].accepted, RATE_PLACES) if standings else "",
                tuple(late([variant.mailing_id] if variant.mailing_id is not None else [])),
                experiment.winner_id == variant.pk,
            )
        )
    ripe_at = experiment.ripe_at
    is_on_its_way = campaign.status in (Campaign.Status.SENDING, Campaign.Status.PAUSED)
    is_preparing = is_on_its_way and experiment.winner is not None and not experiment.is_rest_open
    if is_preparing and campaign.mailing_id is not None:
        sampled += sum(figures.counts(campaign.mailing_id).values())
    can_choose = is_on_its_way and ripe_at is not None and experiment.has_rest and experiment.winner is None
    return Comparison(
        tuple(compared),
        experiment.sample_percent,
        experiment.wait_hours,
        max(0, (experiment.expected or 0) - sampled) if can_choose or is_preparing else 0,
        ripe_at,
        experiment.is_ripe(now),
        can_choose,
        str(experiment.winner) if experiment.winner else "",
        experiment.is_rest_open,
        by_opens,
        experiment.winner_by != Experiment.WinnerBy.HAND,
        experiment.get_undecided_display() if can_choose else "",
        winner.why_unlikely(experiment, len(variants), experiment.expected or 0),
        winner.FEWEST,
        verdict(standings, {variant.pk: str(variant) for variant in variants}) if experiment.begun_at else "",
        experiment.unapproved if can_choose else None,
    )


def verdict(standings: list[winner.Standing] | None, letters: dict[int, str]) -> str:
    """Return which variant is ahead, and whether the lead is more than chance, in sentences."""
    if standings is None:
        return _("Opens and clicks aren't counted for this campaign, so they can't tell which variant is better.")
    found = winner.leader(standings)
    if found == Experiment.Undecided.FEW:
        said = _("Too few visits to tell which variant is better: the best one needs at least %(n)s.")
        said %= {"n": winner.FEWEST}
    elif isinstance(found, Experiment.Undecided) or not winner.is_clear(standings):
        said = _("Too close to call: the difference may be chance.")
    else:
        said = _("Variant %(letter)s is ahead, and by more than chance.") % {"letter": letters[found]}
    if any(each.loads for each in standings):
        said += " " + _("Clicks without a name are an estimate: one person may click several times.")
    return said


def summary(comparison: Comparison, settled: int, total: int) -> str:
    """Return the progress of a campaign with an A/B test, in a sentence."""
    if comparison.can_choose:
        sentence = ngettext(
            "About %(n)s person waits for the winner.", "About %(n)s people wait for the winner.", comparison.waiting
        )
        waiting = sentence % {"n": f"{comparison.waiting:,}"}
        if settled == total:
            return f"{_('Test sent.')} {waiting}"
        return f"{_('Sending the test: %(done)s.') % {'done': done(settled, total)}} {waiting}"
    if comparison.winner and not comparison.is_rest_open:
        return _("Variant %(letter)s won. Preparing messages for everyone else.") % {"letter": comparison.winner}
    return f"{done(settled, total)}."


def done(settled: int, total: int) -> str:
    """Return the number of recipients with a final status, in words and without a full stop."""
    return _("%(settled)s of %(total)s done") % {"settled": f"{settled:,}", "total": f"{total:,}"}
