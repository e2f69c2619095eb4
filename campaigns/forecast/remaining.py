"""The unsent messages of campaigns, by routing class, and the times before which some of them cannot leave.

Nobody knows in advance which variant of an A/B test wins, and when it is chosen. The assumption here is the first
variant, chosen as soon as the hours to wait are over. Changes nothing.
"""

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, F, Min, QuerySet, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import TruncMinute

from campaigns.ab_test import split
from campaigns.ab_test.variants import as_campaign
from campaigns.content.written import Written
from campaigns.models import Campaign, Experiment
from campaigns.schedule.schedule import starts_of
from contacts.models import Contact
from contacts.segments.audience import reached
from delivery.models import Chunk, LaterChunk, Message
from delivery.outbox import status_counts
from smtpservers.routing import rules
from smtpservers.routing.rules import RoutingRule

Later = tuple[tuple[dt.datetime, int], ...]  # Times at which messages become free, and their numbers.
# By routing class, a rule's id or 0: the number of messages, and when some of them become free.
Counts = Mapping[int, tuple[int, Later]]


@dataclass(frozen=True, slots=True)
class Lot:
    """Unsent messages of one mailing, present or future."""

    campaign: Campaign  # With the content of the variant, if the mailing belongs to one.
    counts: Counts
    mailing_id: int | None = None
    not_before: dt.datetime | None = None  # None: now, or as ``counts`` say.
    retries: Later = ()  # The deferred messages among ``counts``, and the times of their next attempts.

    @property
    def messages(self) -> int:
        return sum(number for number, _ in self.counts.values())


def lots(written: Written, starts_at: dt.datetime, every: Sequence[RoutingRule]) -> list[Lot]:
    """Return the unsent messages of a campaign that starts at ``starts_at`` or is on its way, in sending order.

    :param every: the active routing rules.
    """
    campaign, experiment = written.campaign, written.experiment
    if experiment is not None and experiment.begun_at is None:
        return _of_test(written, experiment, starts_at, every)
    found = lots_of_mailings(written, written.mailing_ids)
    if experiment is not None and experiment.has_rest and not experiment.is_rest_open:
        sample = [lot for lot in found if lot.mailing_id != campaign.mailing_id]
        return [*sample, _waiting(written, experiment, sample, starts_at, every)]
    return found or [Lot(campaign, everybody(written, campaign.mail_from, starts_at, every))]


def lots_of_mailings(written: Written, mailing_ids: Collection[int]) -> list[Lot]:
    """Return the unsent remainder of each of these mailings of the campaign."""
    campaign = written.campaign
    variants = [each for each in written.variants if each.mailing_id in mailing_ids]
    found = [(as_campaign(campaign, variant), variant.mailing_id) for variant in variants]
    if campaign.mailing_id in mailing_ids:
        won = written.experiment.winner if written.experiment else None
        found.append((as_campaign(campaign, won) if won else campaign, campaign.mailing_id))
    return [_on_its_way(varied, pk) for varied, pk in found if pk is not None]


def _on_its_way(varied: Campaign, mailing_id: int) -> Lot:
    pending = status_counts.by_status(mailing_id)
    retries = retries_of(mailing_id) if pending[Message.Status.DEFERRED] else ()
    number = sum(pending[status] for status in Message.PENDING)
    return Lot(varied, _left(mailing_id, number, retries), mailing_id, retries=retries)


def _of_test(
    written: Written, experiment: Experiment, starts_at: dt.datetime, every: Sequence[RoutingRule]
) -> list[Lot]:
    variants = [varied for _, varied in written.contents]
    by_sender: dict[str, Counts] = {}  # Routing rules depend on the From address.
    for varied in variants:
        if varied.mail_from not in by_sender:
            by_sender[varied.mail_from] = everybody(written, varied.mail_from, starts_at, every)
    people = by_sender[variants[0].mail_from]
    edges = split.edges(_number(people), experiment.sample_percent, len(variants))
    sample = [
        Lot(varied, _share(by_sender[varied.mail_from], below - first))
        for varied, (first, below) in zip(variants, itertools.pairwise(edges), strict=True)
    ]
    rest = _share(_at_once(people), _number(people) - edges[-1])
    return [*sample, Lot(variants[0], rest, not_before=_ripe_at(experiment, starts_at))]


def _waiting(
    written: Written,
    experiment: Experiment,
    sample: Iterable[Lot],
    starts_at: dt.datetime,
    every: Sequence[RoutingRule],
) -> Lot:
    """Return the messages to the rest of an A/B test, which has no mailing yet."""
    varied = as_campaign(written.campaign, experiment.winner or written.variants[0])
    number = (experiment.expected or 0) - sum(_written_to(lot.mailing_id) for lot in sample if lot.mailing_id)
    not_before = None if experiment.winner else _ripe_at(experiment, starts_at)
    people = everybody(written, varied.mail_from, starts_at, every)
    return Lot(varied, _share(_at_once(people), max(0, number)), not_before=not_before)


def _ripe_at(experiment: Experiment, starts_at: dt.datetime) -> dt.datetime:
    return max(starts_at, (experiment.begun_at or starts_at) + dt.timedelta(hours=experiment.wait_hours))


def _number(counts: Counts) -> int:
    return sum(number for number, _ in counts.values())


def _at_once(counts: Counts) -> Counts:
    return {class_id: (number, ()) for class_id, (number, _) in counts.items()}


def _written_to(mailing_id: int) -> int:
    counts = status_counts.by_status(mailing_id)
    return sum(counts.values()) - counts[Message.Status.SUPPRESSED]


def _share(people: Counts, number: int) -> Counts:
    """Return this number of the people, with an equal share of each routing class and each start."""
    found: dict[int, tuple[int, Later]] = {}
    shares = _scaled([each for each, _ in people.values()], number, _number(people))
    for (class_id, (each, later)), share in zip(people.items(), shares, strict=True):
        if share:
            some = _scaled([part for _, part in later], share, each)
            found[class_id] = (share, tuple(zip((at for at, _ in later), some, strict=True)))
    return found


def _scaled(parts: Iterable[int], number: int, total: int) -> list[int]:
    """Scale parts of ``total`` to parts of ``number``, in whole numbers that add up."""
    edges = [0, *(whole * number // total for whole in itertools.accumulate(parts))]
    return [below - first for first, below in itertools.pairwise(edges)]


def everybody(written: Written, mail_from: str, at: dt.datetime, every: Sequence[RoutingRule]) -> Counts:
    """Return the people that a campaign reaches which has not started.

    :param mail_from: the From of the campaign or of one of its variants.
    :param at: the instant for which people are counted.
    :param every: the active routing rules.
    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    starts = starts_of(written.campaign, at, written.headcounts)
    deciding = rules.applying(every, mail_from)
    if not starts and len(deciding) == 1:  # One routing class: no second look at the same people.
        number = written.headcounts.people(at).reached
        return {0: (number, ())} if number else {}
    counts: dict[int, int] = defaultdict(int)
    later: dict[int, list[tuple[dt.datetime, int]]] = defaultdict(list)
    by_zone = ("class_id", "time_zone") if starts else ("class_id",)
    people = _by_class(reached(written.audience, at), deciding)
    numbers = written.headcounts.once(
        "classes",
        at,
        lambda: [list(row) for row in people.values_list(*by_zone).annotate(number=Count("pk"))],
        also=(mail_from, every, by_zone),
    )
    for class_id, *zone, number in numbers:
        counts[class_id] += number
        if zone and starts.get(zone[0], at) > at:
            later[class_id].append((starts[zone[0]], number))
    return {class_id: (number, tuple(later[class_id])) for class_id, number in counts.items()}


def _by_class(people: QuerySet[Contact], deciding: Sequence[RoutingRule]) -> QuerySet[Contact]:
    sql, parameters = rules.class_sql('"contacts_contact"."email_key"', deciding if len(deciding) > 1 else ())
    return people.order_by().annotate(class_id=RawSQL(sql, parameters))  # noqa: S611  # Constants and placeholders.


def retries_of(mailing_id: int) -> Later:
    """Return the times of the next attempts of a mailing's deferred messages, by minute, and their numbers."""
    deferred = Message.objects.filter(mailing=mailing_id, status="deferred", due_at__isnull=False, copy_of=None)
    by_minute = deferred.order_by().annotate(minute=TruncMinute("due_at", tzinfo=dt.UTC)).values("minute")
    return tuple(by_minute.annotate(at=Min("due_at"), number=Count("pk")).order_by("at").values_list("at", "number"))


def _left(mailing_id: int, pending: int, retries: Later) -> Counts:
    """Return the unsent messages of a mailing. Deferred ones count as the class without a rule."""
    counts: dict[int, int] = defaultdict(int, {0: sum(number for _, number in retries)})
    later: dict[int, list[tuple[dt.datetime, int]]] = defaultdict(list, {0: list(retries)})
    waiting = LaterChunk.objects.filter(mailing=mailing_id).order_by("opens_at")
    for route_id, opens_at, number in waiting.values_list("route", "opens_at").annotate(number=Sum("messages")):
        counts[route_id or 0] += number
        later[route_id or 0].append((opens_at, number))
    size = F("last_id") - F("next_id") + 1
    chunks = Chunk.objects.filter(mailing=mailing_id).order_by()
    for route_id, number in chunks.values_list("route").annotate(number=Sum(size)):
        counts[route_id or 0] += number
    counts[0] += max(0, pending - sum(counts.values()))
    return {class_id: (number, tuple(later[class_id])) for class_id, number in counts.items() if number}
