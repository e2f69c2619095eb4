"""The numbers of opens and clicks, and the first visit of each message: added to in one statement each."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.db import connection

from db.rows import rows
from feedback.models import CountingGap

GAP_NOTED_EVERY = dt.timedelta(seconds=10)


class CountKey(NamedTuple):
    """The columns of a :class:`feedback.models.VisitCount`, without its numbers."""

    mailing_id: int
    quarter_at: dt.datetime
    kind: str
    link_id: int
    visitor: str
    family: str
    server_name: str
    provider: str
    is_personal: bool


class First(NamedTuple):
    """The columns of a :class:`feedback.models.FirstVisit`, without its time."""

    message_id: int
    kind: str
    link_id: int
    visitor: str


def quarter_of(at: dt.datetime) -> dt.datetime:
    """Return the beginning of the quarter of an hour."""
    return at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)


def add(loads: Mapping[CountKey, int], people: Mapping[CountKey, int]) -> None:
    """Add to the numbers, in the caller's transaction."""
    keys = sorted({*loads, *people})  # Sorted, so that two processes cannot deadlock.
    if not keys:
        return
    given, parameters = rows(
        numbers={
            "mailing_id": [key.mailing_id for key in keys],
            "link_id": [key.link_id for key in keys],
            "personal": [int(key.is_personal) for key in keys],
            "loads": [loads.get(key, 0) for key in keys],
            "people": [people.get(key, 0) for key in keys],
        },
        texts={
            "kind": [key.kind for key in keys],
            "visitor": [key.visitor for key in keys],
            "family": [key.family for key in keys],
            "server_name": [key.server_name for key in keys],
            "provider": [key.provider for key in keys],
        },
        instants={"quarter_at": [key.quarter_at for key in keys]},
    )
    unique = "mailing_id, quarter_at, kind, link_id, visitor, family, server_name, provider, is_personal"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO feedback_visitcount AS c ({unique}, loads, people)"  # noqa: S608  # Of constants.
            " SELECT mailing_id, quarter_at, kind, link_id, visitor, family, server_name, provider, personal = 1,"
            f" loads, people FROM {given} WHERE 1 = 1"
            f" ON CONFLICT ({unique})"
            " DO UPDATE SET loads = c.loads + excluded.loads, people = c.people + excluded.people",
            parameters,
        )


def note_gap(now: dt.datetime, every: dt.timedelta = GAP_NOTED_EVERY) -> None:
    """Note that visits are not counted by name now, whatever their mailing and the people say.

    :param every: a gap noted within this time before is not noted again.
    """
    if not CountingGap.objects.filter(ended_at__gt=now - every).exists():
        CountingGap.objects.update_or_create(pk=1, defaults={"ended_at": now})


def note_first(firsts: Collection[First], now: dt.datetime) -> set[First]:
    """Note first visits, in the caller's transaction; return those that were not known before."""
    if not firsts:
        return set()
    ordered = sorted(firsts)
    given, parameters = rows(
        numbers={"message_id": [each.message_id for each in ordered], "link_id": [each.link_id for each in ordered]},
        texts={"kind": [each.kind for each in ordered], "visitor": [each.visitor for each in ordered]},
        instants={"at": [now] * len(ordered)},
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO feedback_firstvisit (message_id, kind, link_id, visitor, at)"  # noqa: S608  # Of constants.
            f" SELECT message_id, kind, link_id, visitor, at FROM {given} WHERE 1 = 1"
            " ON CONFLICT (message_id, kind, link_id, visitor) DO NOTHING"
            " RETURNING message_id, kind, link_id, visitor",
            parameters,
        )
        return {First(*row) for row in cursor.fetchall()}
