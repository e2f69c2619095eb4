"""Opens and clicks as reports ask for them. The room that counts them stands above this one, and answers."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from django.db.models import QuerySet

from registry import Registry

By = Literal["", "mailing", "server", "provider", "family", "link", "day", "quarter"]


@dataclass(frozen=True, slots=True)
class VisitQuery:
    """The selection of visits. A field that is not set selects everything."""

    by: By = ""  # What the sums are told apart by; ``link`` leaves opens out, which have none.
    mailing_ids: Collection[int] | None = None
    server_name: str = ""  # At sending. Empty: all.
    start: dt.datetime | None = None  # Included, to the quarter of an hour.
    end: dt.datetime | None = None  # Not included.


class VisitSum(NamedTuple):
    """Opens or clicks by the same kind of visitor."""

    # An id; a server's name at sending or a provider, empty if unknown; a family; a day in the site's time zone; the
    # beginning of a quarter of an hour; empty without ``by``.
    key: Any
    kind: str  # As in mail.visits.names, like the visitor.
    visitor: str
    is_personal: bool  # Counted for people who agreed. Otherwise nobody's number is known, and ``people`` is 0.
    loads: int
    people: int


# The room ``feedback`` adds its function when it starts.
VISIT_SUMS: Registry[Callable[[VisitQuery], Iterable[VisitSum]]] = Registry()


def visit_sums(asked: VisitQuery) -> list[VisitSum]:
    """Return the selected sums. They come from stored counts, never from visits or messages."""
    return [each for source in VISIT_SUMS.values() for each in source(asked)]


# The same room's answer to who clicked a link, by the id of its TrackedLink: rows with ``message``, ``visitor`` and
# ``clicked_at`` in the order to show them. They name only people who agree to it now.
LINK_CLICKS: Registry[Callable[[int], QuerySet[Any]]] = Registry()


def link_clicks(link_id: int) -> QuerySet[Any]:
    """Return who clicked a link, to be read a page at a time."""
    [clicks_on] = LINK_CLICKS.values()
    return clicks_on(link_id)
