"""What is known of domains, as values for other rooms: the stored state of each line. Nothing here asks DNS."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import F, Q, Sum

from domains.models import DmarcCount, DnsFinding, SendingDomain
from mail.records.alignment import Match
from mail.records.finding import COULD_NOT_ASK, Line, State


@dataclass(frozen=True, slots=True)
class KnownLine:
    """One line of a domain's page."""

    state: State
    fault: str  # A name of ``mail.records``; empty: nothing is wrong.
    sentence: str
    seen: str  # What DNS has.
    asked_at: dt.datetime  # The last time that DNS answered.
    rows: tuple[Match, ...] = ()  # Of the line of alignment.


def lines_of(names: Collection[str]) -> dict[str, dict[Line, KnownLine]]:
    """Return the known lines of domains by their names; a line that DNS never answered is left out.

    One query, whatever the number of domains.

    :param names: A-labels in lower case.
    """
    found: dict[str, dict[Line, KnownLine]] = {name: {} for name in names}
    known = DnsFinding.objects.filter(domain__name__in=names).exclude(fault=COULD_NOT_ASK)
    columns = ("domain__name", "line", "state", "fault", "sentence", "seen", "asked_at", "rows")
    for name, line, state, fault, sentence, seen, asked_at, rows in known.values_list(*columns) if names else ():
        matches = tuple(Match(*row) for row in rows)
        found[name][Line(line)] = KnownLine(State(state), fault, sentence, seen, asked_at, matches)
    return found


def label(line: Line) -> str:
    """Return the name of a line for people."""
    return str(DnsFinding.LineName(line.value).label)


@dataclass(frozen=True, slots=True)
class Signatures:
    """What receivers reported of mail with one From domain, in numbers of messages."""

    good: int = 0  # Its signature was good and of the domain.
    bad: int = 0  # SPF proves that it was ours, and the signature was missing, broken or of another domain.


def signatures_of(names: Collection[str], since: dt.date) -> dict[str, Signatures]:
    """Return what DMARC reports said of signatures since a UTC day; a domain without reports is left out. One query.

    :param names: A-labels of From domains.
    """
    counts = DmarcCount.objects.filter(author__in=names, day__gte=since).order_by()
    good = Sum("messages", filter=Q(is_dkim_aligned=True), default=0)
    bad = Sum("messages", filter=Q(is_dkim_aligned=False, is_spf_aligned=True), default=0)
    rows = counts.values_list("author").annotate(good=good, bad=bad) if names else ()
    return {author: Signatures(good, bad) for author, good, bad in rows if good or bad}


def tracking_hosts(names: Collection[str] | None = None) -> dict[str, str]:
    """Return the hosts that links in mail from these domains lead to, by their names. One query.

    A domain whose host is not proved is left out: its links lead to this installation's own address.

    :param names: A-labels of From domains; None: of all.
    """
    proved = SendingDomain.objects.filter(is_tracking_host_good=True, proved_tracking_host=F("tracking_host"))
    if names is not None:
        proved = proved.filter(name__in=names)
    return dict(proved.exclude(tracking_host="").values_list("name", "tracking_host"))


def without_loops(names: Collection[str]) -> dict[str, list[str]]:
    """Return the providers whose feedback loop nobody has registered, by domain. One query.

    :param names: A-labels.
    """
    found = {name: ["Yahoo", "Microsoft"] for name in names}
    dates = SendingDomain.objects.filter(name__in=names).values_list("name", "yahoo_loop_on", "microsoft_loop_on")
    for name, yahoo, microsoft in dates:
        found[name] = [who for who, since in (("Yahoo", yahoo), ("Microsoft", microsoft)) if since is None]
    return found
