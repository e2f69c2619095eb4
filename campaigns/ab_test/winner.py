"""Which variant of an A/B test is ahead, and whether the lead is more than chance. Visits by people decide alone.

A visit by name counts its person once. A visit without a name may be one person's tenth: their number estimates how
many people there were, and a lead has to be larger to mean something. Opens decide by name only.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.ab_test import split
from campaigns.models import Experiment, Variant
from delivery.models import Message
from delivery.records import figures
from mail.links import levels
from mail.links.levels import Level
from registry import Registry

FEWEST = 10  # Visits of the variant that is ahead: with fewer, nothing is said and nothing is chosen.
CHANCE = 0.05  # The probability of calling a lead of equal variants more than chance, for all pairs together.
REPEATS = 4  # Clicks without a name that may be of one person: so many times larger is their variance.


@dataclass(frozen=True, slots=True)
class Visits:
    """Visits by people to one mailing."""

    clicked: int = 0  # People, by name.
    clicks: int = 0  # Without a name.
    opened: int = 0  # People, by name.


# Each returns the visits by mailing; mailings without one may be missing.
MAILING_VISITS: Registry[Callable[[Collection[int]], Mapping[int, Visits]]] = Registry()


@dataclass(frozen=True, slots=True)
class Standing:
    """One variant, and what counts for it."""

    variant: int
    accepted: int
    people: int
    loads: int = 0  # Without a name.

    @property
    def visits(self) -> int:
        return self.people + self.loads

    @property
    def rate(self) -> float:
        """Visits per accepted message; visits without a name can make it more than 1."""
        return self.visits / self.accepted if self.accepted else 0.0


@dataclass(frozen=True, slots=True)
class Counting:
    """What is counted of a campaign's mail."""

    level: Level
    has_html: bool  # Without HTML there is no pixel, and no link but those of the text.
    in_text: bool  # Whether links of the text are counted.

    def why_not(self, *, by_opens: bool) -> str:
        """Return why visits can't tell a winner, as a sentence; empty if they can."""
        if self.level not in _enough(by_opens=by_opens):
            if by_opens:
                return _("This campaign doesn't count opens by name.")
            return _("This campaign doesn't count clicks.")
        if by_opens and not self.has_html:
            return _("An email in text only counts no opens.")
        if not (self.has_html or self.in_text):
            return _("This campaign doesn't count the links of its text.")
        return ""


def plan(experiment: Experiment, counting: Counting, variants: int, people: int) -> str:
    """Return who chooses the winner, by what and when, in sentences; empty if nothing is left for a winner.

    :param people: the size of the whole audience.
    """
    if not experiment.has_rest:
        return ""
    by_opens = experiment.winner_by == Experiment.WinnerBy.OPENS
    if experiment.winner_by == Experiment.WinnerBy.HAND:
        sentence = ngettext(
            "You choose, %(n)s hour after the test starts or earlier.",
            "You choose, %(n)s hours after the test starts or earlier.",
            experiment.wait_hours,
        )
    elif why_not := counting.why_not(by_opens=by_opens):
        return _("You choose. %(why)s") % {"why": why_not}
    elif too_few := why_unlikely(experiment, variants, people):
        return too_few
    elif by_opens:
        sentence = ngettext(
            "Automatically: the variant with the most opens goes to everyone else %(n)s hour after the test starts.",
            "Automatically: the variant with the most opens goes to everyone else %(n)s hours after the test starts.",
            experiment.wait_hours,
        )
    else:
        sentence = ngettext(
            "Automatically: the variant with the most clicks goes to everyone else %(n)s hour after the test starts.",
            "Automatically: the variant with the most clicks goes to everyone else %(n)s hours after the test starts.",
            experiment.wait_hours,
        )
    return sentence % {"n": experiment.wait_hours}


def why_unlikely(experiment: Experiment, variants: int, people: int) -> str:
    """Return why a winner that is to be chosen automatically probably can't be, in sentences; empty if it can.

    :param variants: their number.
    :param people: the size of the whole audience.
    """
    if experiment.winner_by == Experiment.WinnerBy.HAND or not experiment.has_rest or not (variants and people):
        return ""
    fewest = split.edges(people, experiment.sample_percent, variants)[1]  # The first part is never the largest.
    if fewest >= FEWEST:
        return ""
    if experiment.winner_by == Experiment.WinnerBy.OPENS:
        sentence = ngettext(
            "The sample is probably too small for an automatic winner: about %(n)s person for each variant, and the"
            " best one needs at least %(least)s opens. With fewer, you choose.",
            "The sample is probably too small for an automatic winner: about %(n)s people for each variant, and the"
            " best one needs at least %(least)s opens. With fewer, you choose.",
            fewest,
        )
    else:
        sentence = ngettext(
            "The sample is probably too small for an automatic winner: about %(n)s person for each variant, and the"
            " best one needs at least %(least)s clicks. With fewer, you choose.",
            "The sample is probably too small for an automatic winner: about %(n)s people for each variant, and the"
            " best one needs at least %(least)s clicks. With fewer, you choose.",
            fewest,
        )
    return sentence % {"n": fewest, "least": FEWEST}


def _enough(*, by_opens: bool) -> set[Level]:
    """Return the levels whose visits can tell a winner."""
    return {levels.PERSONAL} if by_opens else {levels.PERSONAL, levels.ANONYMOUS}


def visits_of(mailing_ids: Collection[int]) -> dict[int, Visits]:
    """Return the visits by people to each of these mailings."""
    found = dict.fromkeys(mailing_ids, Visits())
    for count in MAILING_VISITS.values():
        found.update(count(mailing_ids))
    return found


def standings(variants: Sequence[Variant], *, by_opens: bool) -> list[Standing] | None:
    """Return what counts for each variant, by their present figures; None if it isn't counted for one of them."""
    mails = [variant.mailing for variant in variants if variant.mailing is not None]
    counted = [Counting(levels.lowest([mail.tracking]), bool(mail.html), mail.track_text) for mail in mails]
    if len(mails) < max(2, len(variants)) or any(each.why_not(by_opens=by_opens) for each in counted):
        return None
    visits = visits_of([mail.pk for mail in mails])
    return [
        Standing(
            variant.pk,
            figures.counts(mail.pk).get(Message.Status.ACCEPTED, 0),
            visits[mail.pk].opened if by_opens else visits[mail.pk].clicked,
            0 if by_opens else visits[mail.pk].clicks,
        )
        for variant, mail in zip(variants, mails, strict=True)
    ]


def leader(standings: Sequence[Standing]) -> int | Experiment.Undecided:
    """Return the variant with the most visits per accepted message, or why there is none."""
    first, second = sorted(standings, key=lambda each: each.rate, reverse=True)[:2]
    if first.visits < FEWEST or not all(each.accepted for each in standings):
        return Experiment.Undecided.FEW
    # Cross-multiplied, as equal fractions may differ as floating-point numbers.
    if first.visits * second.accepted == second.visits * first.accepted:
        return Experiment.Undecided.TIE
    return first.variant


def is_clear(standings: Sequence[Standing]) -> bool:
    """Whether the leader's lead over each other variant is more than chance.

    Two proportions with their common variance are compared (the z-test), at a level divided by the number of pairs
    (Bonferroni), because the best of several variants is picked after the fact.
    """
    first, *others = sorted(standings, key=lambda each: each.rate, reverse=True)
    pairs = len(standings) * len(others) // 2
    needed = NormalDist().inv_cdf(1 - CHANCE / 2 / pairs)
    return first.visits >= FEWEST and all(_z(first, other) >= needed for other in others)


def _z(first: Standing, other: Standing) -> float:
    accepted = first.accepted + other.accepted
    if not (first.accepted and other.accepted):
        return 0.0
    people = min(1.0, (first.people + other.people) / accepted)
    variance = people * (1 - people) + REPEATS * (first.loads + other.loads) / accepted
    error = (variance * (1 / first.accepted + 1 / other.accepted)) ** 0.5
    return (first.rate - other.rate) / error if error else 0.0
