"""Opens and clicks of campaigns and periods, from stored counts. Never from visits or messages."""

import datetime as dt
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from django.db.models import Min, Q

from campaigns.models import Campaign, Experiment, Tally, Variant
from campaigns.reports.figures import FiguresLine
from campaigns.reports.providers import name_of
from contacts.transfer.export_contacts import table
from delivery.models import Mailing, MailingOutcome, Message
from delivery.records import figures
from delivery.records.visits import VisitQuery, VisitSum, visit_sums
from installation.site import site
from mail.links.levels import ANONYMOUS, OFF, PERSONAL, lowest
from mail.visits.names import VISITOR_TITLES, Family, Kind, Visitor
from words.numbers import percent
from words.texts import text as _

FIRST_HOURS = 72
MOST_LINES = 50  # Of a table on a page; files have all of them.
HEADINGS = (
    *("clicked", "clicks by people", "clicks by machines", "clicks by unknown"),
    *("opened", "opens by people", "opens by machines", "opens by unknown"),
)
UNKNOWN_PROVIDER = "unknown"

Counted = Literal["off", "anonymous", "personal", "mixed"]


@dataclass(frozen=True, slots=True)
class Visited:
    """Opens, or clicks, by who asked. Each request for an image or a link is one load."""

    people: int = 0  # Recipients who did it themselves; known only of those who agreed to be counted.
    human: int = 0  # Loads by people, also without knowing by whom.
    machine: int = 0
    unknown: int = 0
    unnamed: int = 0  # Loads by people that were counted without the recipient, a part of ``human``.

    @property
    def loads(self) -> int:
        return self.human + self.machine + self.unknown

    @property
    def shares(self) -> list[tuple[str, str, int, float, str]]:
        """The classes as a stacked bar: name, title, loads, width in percent, and the share in words."""
        numbers = ((Visitor.HUMAN, self.human), (Visitor.MACHINE, self.machine), (Visitor.UNKNOWN, self.unknown))
        whole = self.loads or 1
        return [
            (name.value, VISITOR_TITLES[name], loads, round(loads * 100 / whole, 2), percent(loads, whole))
            for name, loads in numbers
        ]

    def plus(self, row: VisitSum) -> "Visited":
        is_human = row.visitor == Visitor.HUMAN
        return Visited(
            self.people + (row.people if is_human else 0),
            self.human + (row.loads if is_human else 0),
            self.machine + (row.loads if row.visitor == Visitor.MACHINE else 0),
            self.unknown + (row.loads if row.visitor == Visitor.UNKNOWN else 0),
            self.unnamed + (row.loads if is_human and not row.is_personal else 0),
        )


@dataclass(frozen=True, slots=True)
class VisitLine:
    """One row of a table."""

    key: str
    label: str
    accepted: int = 0  # Messages; 0 if unknown.
    opens: Visited = Visited()
    clicks: Visited = Visited()

    @property
    def clicked_percent(self) -> str:
        """The share of accepted messages whose reader is known to have clicked; empty without any."""
        return percent(self.clicks.people, self.accepted) if self.accepted else ""

    @property
    def opened_percent(self) -> str:
        """The share of accepted messages whose reader is known to have opened it; empty without any."""
        return percent(self.opens.people, self.accepted) if self.accepted else ""

    @property
    def click_to_open(self) -> str:
        """The people who clicked, in percent of those who opened; empty without any."""
        return percent(self.clicks.people, self.opens.people) if self.opens.people else ""

    @property
    def clicks_percent(self) -> str:
        """Clicks by people for each hundred accepted messages, where nobody knows whose they are."""
        return percent(self.clicks.human, self.accepted) if self.accepted else ""

    def plus(self, row: VisitSum) -> "VisitLine":
        if row.kind == Kind.CLICK:
            return replace(self, clicks=self.clicks.plus(row))
        return replace(self, opens=self.opens.plus(row))


@dataclass(frozen=True, slots=True)
class VisitTotal:
    """All opens and clicks of a campaign."""

    counted: Counted
    why_off: str = ""  # A sentence, if nothing is counted.
    line: VisitLine = field(default_factory=lambda: VisitLine("", ""))
    apple_loads: int = 0  # Opens by Apple's privacy proxy.

    @property
    def knows_people(self) -> bool:
        return self.counted in ("personal", "mixed")

    @property
    def has_unnamed(self) -> bool:
        return self.counted in ("anonymous", "mixed")

    @property
    def apple_percent(self) -> str:
        """The share of Apple's privacy proxy in all opens; empty without opens."""
        return percent(self.apple_loads, self.line.opens.loads) if self.line.opens.loads else ""


@dataclass(frozen=True, slots=True)
class VisitHour:
    """One of the first hours of a campaign."""

    at: dt.datetime
    clicks: Visited = Visited()
    opens: Visited = Visited()


@dataclass(frozen=True, slots=True)
class VisitTables:
    """The tables of a page. Those that were not asked for are empty."""

    total: VisitLine = field(default_factory=lambda: VisitLine("", ""))
    days: list[VisitLine] = field(default_factory=list)
    variants: list[VisitLine] = field(default_factory=list)
    servers: list[VisitLine] = field(default_factory=list)
    providers: list[VisitLine] = field(default_factory=list)
    campaigns: list[VisitLine] = field(default_factory=list)
    hours: list[VisitHour] = field(default_factory=list)


# --- of a campaign


def visit_total(campaign: Campaign, mailing_ids: Collection[int], accepted: int) -> VisitTotal:
    """Return the opens and clicks of a campaign so far, and what of them is known.

    :param accepted: the number of its accepted messages.
    """
    sums = visit_sums(VisitQuery(by="family", mailing_ids=mailing_ids))
    levels = set(Mailing.objects.filter(pk__in=list(mailing_ids)).values_list("tracking", flat=True))
    counted = counted_as(sums, levels)
    if counted == "off":
        return VisitTotal("off", why_off(campaign))
    line = VisitLine("", "", accepted)
    for row in sums:
        line = line.plus(row)
    apple = sum(row.loads for row in sums if (row.kind, row.key) == (Kind.OPEN, Family.APPLE_PRIVACY))
    return VisitTotal(counted, line=line, apple_loads=apple)


def counted_as(sums: Collection[VisitSum], levels: Iterable[str]) -> Counted:
    """Return what is counted: as the numbers show it, and before there are any, as the mail was composed."""
    present = site().tracking
    effective = {lowest([level, present]) for level in levels} if not sums else set(levels)
    knows_people = PERSONAL in effective or any(row.is_personal for row in sums)
    has_unnamed = ANONYMOUS in effective or any(not row.is_personal for row in sums)
    if knows_people:
        return "mixed" if has_unnamed else "personal"
    return "anonymous" if has_unnamed else "off"


def why_off(campaign: Campaign) -> str:
    """Return why opens and clicks of a campaign are not counted, and who may change that for later campaigns."""
    if site().tracking == OFF:
        return _(
            "Opens and clicks aren't counted: this installation counts none. An administrator can change that in"
            " Settings, for mail sent from then on."
        )
    if campaign.tracking == OFF:
        return _("Opens and clicks aren't counted: this campaign is set to Off. Choose another level in a copy of it.")
    names = list(campaign.lists.filter(tracking=OFF).order_by("name").values_list("name", flat=True))
    if names:
        return _(
            "Opens and clicks aren't counted: %(lists)s is set to Off. Whoever edits lists can change that for later"
            " campaigns.",
            lists=", ".join(names),
        )
    return _("Opens and clicks weren't counted when this campaign was sent. Later campaigns may be.")


def campaign_tables(
    campaign: Campaign,
    mailing_ids: Collection[int],
    servers: Collection[FiguresLine],
    providers: Collection[FiguresLine],
) -> VisitTables:
    """Return the opens and clicks of a campaign by day, variant, server and provider, and in its first hours.

    :param servers: the campaign's figures by server, for what they accepted.
    :param providers: the same by provider; a domain that they don't name isn't named here either.
    """
    named = {line.key for line in providers}
    return VisitTables(
        days=_days(VisitQuery(by="day", mailing_ids=mailing_ids)),
        variants=_variants(campaign, mailing_ids),
        servers=_with_accepted(_servers(VisitQuery(by="server", mailing_ids=mailing_ids)), servers),
        providers=_with_accepted(_providers(VisitQuery(by="provider", mailing_ids=mailing_ids), named), providers),
        hours=first_hours(mailing_ids),
    )


def _variants(campaign: Campaign, mailing_ids: Collection[int]) -> list[VisitLine]:
    if len(mailing_ids) < 2:
        return []
    accepted = {pk: figures.counts(pk)[Message.Status.ACCEPTED] for pk in mailing_ids}
    found = Variant.objects.filter(experiment__campaign=campaign.pk, mailing__isnull=False).order_by("position")
    labels = {variant.mailing_id: str(variant) for variant in found}
    winner = Experiment.objects.filter(campaign=campaign.pk).select_related("winner").first()
    if winner is not None and winner.winner is not None and campaign.mailing_id is not None:
        labels[campaign.mailing_id] = _("%(letter)s, to everyone else", letter=str(winner.winner))
    lines = {pk: VisitLine(str(pk), labels.get(pk, ""), accepted[pk]) for pk in mailing_ids}
    for row in visit_sums(VisitQuery(by="mailing", mailing_ids=mailing_ids)):
        if row.key in lines:
            lines[row.key] = lines[row.key].plus(row)
    return list(lines.values())


def first_hours(mailing_ids: Collection[int]) -> list[VisitHour]:
    """Return the hours from the first accepted message to the last visit within ``FIRST_HOURS``."""
    accepted = MailingOutcome.objects.filter(mailing__in=list(mailing_ids), outcome="accepted")
    first = accepted.order_by().aggregate(first=Min("minute_at"))["first"]
    if first is None:
        return []
    begin = first.replace(minute=first.minute - first.minute % 15, second=0, microsecond=0)
    hour = dt.timedelta(hours=1)
    hours: dict[int, VisitHour] = {}
    asked = VisitQuery(by="quarter", mailing_ids=mailing_ids, start=begin, end=begin + FIRST_HOURS * hour)
    for row in visit_sums(asked):
        number = (row.key - begin) // hour
        known = hours.get(number, VisitHour(begin + number * hour))
        if row.kind == Kind.CLICK:
            hours[number] = replace(known, clicks=known.clicks.plus(row))
        else:
            hours[number] = replace(known, opens=known.opens.plus(row))
    return [hours.get(number, VisitHour(begin + number * hour)) for number in range(max(hours, default=-1) + 1)]


# --- of a period


def period_tables(
    start: dt.date,
    end: dt.date,
    server_name: str,
    named: Collection[str],
) -> VisitTables:
    """Return the opens and clicks of some days, the last one included, by day, campaign, server and provider.

    What was accepted is left out: it may have been long before.

    :param server_name: of one server; empty: all.
    :param named: the providers that other figures of these days name. No other domain is named.
    """
    asked = VisitQuery(server_name=server_name, start=_midnight(start), end=_midnight(end, days=1))
    total = VisitLine("", "")
    for row in visit_sums(asked):
        total = total.plus(row)
    return VisitTables(
        total,
        days=_days(replace(asked, by="day")),
        servers=_most_clicked(_servers(replace(asked, by="server")).values()),
        providers=_most_clicked(_providers(replace(asked, by="provider"), named).values()),
        campaigns=_campaigns(replace(asked, by="mailing")),
    )


def _midnight(day: dt.date, days: int = 0) -> dt.datetime | None:
    """Return the beginning of a day of the site, or of one some days later; None where no calendar goes."""
    try:
        local = dt.datetime.combine(day + dt.timedelta(days=days), dt.time.min, tzinfo=site().time_zone)
        return local.astimezone(dt.UTC)
    except OverflowError:
        return None


def _campaigns(asked: VisitQuery) -> list[VisitLine]:
    sums = visit_sums(asked)
    owners = campaigns_of({row.key for row in sums})
    other = ("", _("other mail"))
    lines = _by_key(sums, lambda pk: (str(owners[pk].pk), owners[pk].name) if pk in owners else other)
    return _most_clicked(lines.values())


def campaigns_of(mailing_ids: Collection[int]) -> dict[int, Campaign]:
    """Return the campaigns of these mailings, by mailing."""
    wanted = list(mailing_ids)
    found = Campaign.objects.filter(Q(mailing__in=wanted) | Q(experiment__variants__mailing__in=wanted)).distinct()
    by_id = {campaign.pk: campaign for campaign in found}
    owners = {campaign.mailing_id: campaign for campaign in by_id.values() if campaign.mailing_id is not None}
    samples = Variant.objects.filter(mailing__in=wanted).values_list("mailing_id", "experiment__campaign")
    return {**owners, **{mailing_id: by_id[pk] for mailing_id, pk in samples}}


# --- both


def _days(asked: VisitQuery) -> list[VisitLine]:
    lines = _by_key(visit_sums(asked), lambda day: (day.isoformat(), day.isoformat()))
    return [lines[key] for key in sorted(lines)]


def _servers(asked: VisitQuery) -> dict[str, VisitLine]:
    return _by_key(visit_sums(asked), lambda name: (name, name or _("unknown server")))


def _providers(asked: VisitQuery, named: Collection[str]) -> dict[str, VisitLine]:
    def place(provider: str) -> tuple[str, str]:
        if not provider:
            return UNKNOWN_PROVIDER, _("not known")
        # A small domain may be one person's: it is named where the other figures name it.
        key = provider if name_of(provider) != provider or provider in named else Tally.OTHER
        return key, name_of(key)

    return _by_key(visit_sums(asked), place)


def _by_key(sums: Iterable[VisitSum], place: Callable[..., tuple[str, str]]) -> dict[str, VisitLine]:
    """Return the lines of sums by key.

    :param place: returns the key and the label of the line that a sum belongs to.
    """
    places: dict[Hashable, tuple[str, str]] = {}
    lines: dict[str, VisitLine] = {}
    for row in sums:
        key, label = places.setdefault(row.key, place(row.key))
        lines[key] = lines.get(key, VisitLine(key, label)).plus(row)
    return lines


def _with_accepted(lines: Mapping[str, VisitLine], tried: Collection[FiguresLine]) -> list[VisitLine]:
    """Return the lines with what was accepted, and those that nobody visited."""
    found = {**lines}
    for each in tried:
        if each.accepted or each.key in found:
            found[each.key] = replace(found.get(each.key, VisitLine(each.key, each.label)), accepted=each.accepted)
    return _most_clicked(found.values())


def _most_clicked(lines: Iterable[VisitLine]) -> list[VisitLine]:
    return sorted(lines, key=lambda line: (-line.clicks.people, -line.clicks.human, -line.accepted, line.label))


def write_csv(lines: Iterable[VisitLine], heading: str, *, has_accepted: bool) -> Iterator[str]:
    """Yield the lines of a CSV file, safe to open in a spreadsheet.

    :param heading: the heading of the first column.
    """
    if has_accepted:
        return table((heading, "accepted", *HEADINGS), ([each.label, *_cells(each, each.accepted)] for each in lines))
    return table((heading, *HEADINGS), ([each.label, *_cells(each)] for each in lines))


def _cells(line: VisitLine, *before: int) -> list[str]:
    clicks, opens = line.clicks, line.opens
    numbers = (*before, clicks.people, clicks.human, clicks.machine, clicks.unknown)
    return [str(number) for number in (*numbers, opens.people, opens.human, opens.machine, opens.unknown)]
