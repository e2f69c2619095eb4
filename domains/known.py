"""What is known of domains, as values for other rooms: the stored state of each line. Nothing here asks DNS."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from domains.models import DnsFinding
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
