"""Several campaigns side by side: what was accepted, clicked and opened, who unsubscribed, and who complained."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet, Sum

from campaigns.models import Campaign, Variant
from campaigns.reports.figures import FiguresQuery
from campaigns.reports.visits import Counted, VisitLine, counted_as
from delivery.models import Mailing, Message, StatusCount
from delivery.records.visits import VisitQuery, VisitSum, visit_sums
from words.numbers import percent, rate_of

MOST_COMPARED = 20
USUAL = 10  # The latest ones, until somebody chooses.
MOST_OFFERED = 100


@dataclass(frozen=True, slots=True)
class Rate:
    """A part of the accepted messages, with a bar beside those of the other campaigns."""

    number: int
    words: str = ""  # In percent; empty without accepted messages.
    width: int = 0  # Percent of the highest one.


@dataclass(frozen=True, slots=True)
class ComparedCampaign:
    """One campaign and its results."""

    pk: int
    name: str
    starts_at: dt.datetime | None
    counted: Counted
    accepted: int
    clicks: Rate  # People, or clicks where nobody knows whose they are.
    unnamed: int  # Clicks by people that were counted without the recipient.
    click_to_open: Rate  # Its number is that of people who opened; nothing where people are not known.
    unsubscribed: Rate
    complaints: Rate

    @property
    def knows_people(self) -> bool:
        return self.counted in ("personal", "mixed")


def sent_campaigns() -> QuerySet[Campaign]:
    """Return the campaigns that have a mailing, the latest first."""
    samples = Variant.objects.filter(mailing__isnull=False).values("experiment__campaign")
    started = Campaign.objects.filter(Q(mailing__isnull=False) | Q(pk__in=samples))
    return started.order_by("-starts_at", "-pk")


def compare_campaigns(campaigns: Sequence[Campaign]) -> list[ComparedCampaign]:
    """Return the campaigns' results in their order. The number of queries doesn't grow with theirs."""
    owners = _owners([campaign.pk for campaign in campaigns])
    accepted = _accepted(owners)
    sums: dict[int, list[VisitSum]] = defaultdict(list)
    for row in visit_sums(VisitQuery(by="mailing", mailing_ids=list(owners))):
        sums[owners[row.key]].append(row)
    levels: dict[int, set[str]] = defaultdict(set)
    for mailing_id, level in Mailing.objects.filter(pk__in=list(owners)).values_list("pk", "tracking"):
        levels[owners[mailing_id]].add(level)
    late: Counter[tuple[int, str]] = Counter()
    for one in FiguresQuery(mailing_ids=list(owners)).late():
        late[owners[one.mailing_id], one.column] += one.number
    found = [_line(campaign.pk, accepted, sums) for campaign in campaigns]
    counted = [counted_as(sums[campaign.pk], levels[campaign.pk]) for campaign in campaigns]
    clicked = [
        line.clicks.human if how == "anonymous" else line.clicks.people
        for line, how in zip(found, counted, strict=True)
    ]
    reach = [line.accepted for line in found]
    clicks = _rates(clicked, reach)
    opened = [line.opens.people for line in found]
    to_open = _rates([line.clicks.people if line.opens.people else 0 for line in found], opened)
    gone = _rates([late[campaign.pk, "unsubscribed"] for campaign in campaigns], reach, is_fine=True)
    spam = _rates([late[campaign.pk, "complaints"] for campaign in campaigns], reach, is_fine=True)
    return [
        ComparedCampaign(
            *(campaign.pk, campaign.name, campaign.starts_at, counted[number], reach[number]),
            *(clicks[number], found[number].clicks.unnamed, to_open[number], gone[number], spam[number]),
        )
        for number, campaign in enumerate(campaigns)
    ]


def _owners(campaign_ids: Collection[int]) -> dict[int, int]:
    """Return the campaign of each of their mailings."""
    mains = Campaign.objects.filter(pk__in=campaign_ids, mailing__isnull=False).values_list("mailing_id", "pk")
    samples = Variant.objects.filter(experiment__campaign__in=campaign_ids, mailing__isnull=False)
    return dict([*mains, *samples.values_list("mailing_id", "experiment__campaign")])


def _accepted(owners: dict[int, int]) -> Counter[int]:
    rows = StatusCount.objects.filter(mailing__in=list(owners), is_copy=False, status=Message.Status.ACCEPTED)
    found: Counter[int] = Counter()
    for mailing_id, number in rows.order_by().values_list("mailing_id").annotate(sum=Sum("number")):
        found[owners[mailing_id]] += number
    return found


def _line(campaign_id: int, accepted: Counter[int], sums: dict[int, list[VisitSum]]) -> VisitLine:
    line = VisitLine("", "", accepted[campaign_id])
    for row in sums[campaign_id]:
        line = line.plus(row)
    return line


def _rates(numbers: Sequence[int], wholes: Sequence[int], *, is_fine: bool = False) -> list[Rate]:
    """Return each number as a part of its whole, with its bar.

    :param is_fine: show hundredths of a percent, for rates whose limits are a few of them.
    """
    shares = [number / whole if whole else 0.0 for number, whole in zip(numbers, wholes, strict=True)]
    highest = max(shares, default=0.0) or 1.0
    return [
        Rate(
            number,
            ("" if not whole else rate_of(min(share, 1.0)) if is_fine else percent(number, whole)),
            round(share * 100 / highest),
        )
        for number, whole, share in zip(numbers, wholes, shares, strict=True)
    ]
