"""The snapshot of a mailing: its audience becomes messages, slice by slice, and chunks to claim from."""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Min

from contacts.models import Contact, Subscription
from contacts.segments.audience import Audience, people_sql
from db.dialect import byte_order, instant
from delivery.models import Chunk, LaterChunk, Mailing, Message
from delivery.outbox import plan, status_counts
from delivery.outbox.mailings import CHUNK_MESSAGES, LIFE
from smtpservers.routing.rules import RoutingRule, class_sql

SLICE_CONTACTS = 5_000  # Per transaction, so that nobody waits long for SQLite's one writer.


def snapshot(
    mailing_id: int,
    now: dt.datetime,
    *,
    starts: Mapping[str, dt.datetime] | None = None,
    ends_at: dt.datetime | None = None,
) -> int:
    """Turn the mailing's audience into messages, and return their number.

    Suppressed people become messages too, with their final status and the reason, so that the account is complete.
    Each slice is a transaction: pages show the progress, and nobody waits long for a lock. The snapshot may be repeated
    after a crash, or run by two workers at once. Each slice is taken once, so that a rerun adds nobody, not even people
    who meet a segment's conditions only since then.

    :param starts: the start by time zone, under the zone's name in the contacts; a zone without an entry starts with
        the entry for the empty name, or else at once.
    :param ends_at: the instant from which on nothing is sent or retried.
    """
    mailing = Mailing.objects.get(pk=mailing_id)
    if not mailing.is_snapshotted:
        audience, as_of = audience_of(mailing, now)
        rules = plan.sorting_rules(mailing.mail_from)
        if mailing.snapshot_next is None:
            _begin(mailing, audience)
        while (bounds := _next_slice(mailing_id)) is not None:
            given = (mailing, audience, as_of, rules, bounds, now, starts or {}, ends_at)
            try:
                _snapshot_slice(*given)
            except IntegrityError:  # An address has moved here from the contact of an earlier slice.
                _snapshot_slice(*given, at_conflict="ON CONFLICT DO NOTHING")
        Mailing.objects.filter(pk=mailing_id, is_snapshotted=False).update(is_snapshotted=True)
    return sum(status_counts.by_status(mailing_id).values())


def audience_of(mailing: Mailing, now: dt.datetime) -> tuple[Audience, dt.datetime]:
    """Return the mailing's audience, and the instant from which "in the last 30 days" is counted."""
    kept = mailing.audience
    if not kept:
        return Audience(lists=tuple(mailing.lists.values_list("pk", flat=True))), now
    return Audience.from_json(kept), dt.datetime.fromisoformat(kept["as_of"])


def _begin(mailing: Mailing, audience: Audience) -> None:
    """Store the first and last contact of the audience as the bounds of the snapshot."""
    bounds = Subscription.objects.filter(list__in=audience.all_lists).aggregate(
        first=Min("contact"), last=Max("contact")
    )
    Mailing.objects.filter(pk=mailing.pk, snapshot_next=None).update(
        snapshot_next=bounds["first"] or 1, snapshot_last=bounds["last"] or 0
    )


def _next_slice(mailing_id: int) -> tuple[int, int] | None:
    """Return the first and last contact of the next slice; None if all slices are taken."""
    first, last = Mailing.objects.values_list("snapshot_next", "snapshot_last").get(pk=mailing_id)
    assert first is not None
    assert last is not None
    if first > last:
        return None
    # Counted by contacts and not by ids: imports leave gaps.
    rest = Contact.objects.filter(pk__gte=first, pk__lte=last).order_by("pk").values_list("pk", flat=True)
    end = rest[SLICE_CONTACTS - 1 : SLICE_CONTACTS]
    return first, next(iter(end), last)


def _snapshot_slice(
    mailing: Mailing,
    audience: Audience,
    as_of: dt.datetime,
    rules: Sequence[RoutingRule],
    bounds: tuple[int, int],
    now: dt.datetime,
    starts: Mapping[str, dt.datetime],
    ends_at: dt.datetime | None,
    *,
    at_conflict: str = "",
) -> None:
    """Add the messages, and their chunks, for the people of the audience with ids within ``bounds``.

    :param at_conflict: for people who have a message of this mailing already. That is rare, and costs a third of the
        work for everybody.
    :raises IntegrityError: if there are such people; nothing is added.
    :param rules: the rules that split the mailing by recipient domain; each chunk belongs to one rule.
    """
    order, order_parameters = class_sql("people.email_key", rules)
    route, route_parameters = class_sql("email_key", rules)
    people, people_parameters = people_sql(audience, as_of, bounds)
    moment = connection.ops.adapt_datetimefield_value(now)
    life_ends_at = max([now, *starts.values()]) + LIFE[Mailing.Stream(mailing.stream)]
    expires = connection.ops.adapt_datetimefield_value(min(life_ends_at, ends_at or life_ends_at))
    # Each chunk belongs to one time zone, if zones start at different times.
    zone = "(SELECT z.time_zone FROM contacts_contact z WHERE z.id = people.id), " if starts else ""
    part, part_parameters = _part_sql(mailing)
    # Rows get their ids in this order, and a chunk is a run of ids.
    sql = f"""
        INSERT INTO delivery_message
            (mailing_id, contact_id, email, email_key, status, changed_at, expires_at, reason)
        SELECT %s, people.id, people.email, people.email_key,
            CASE people.verdict WHEN 'reached' THEN 'queued' ELSE 'suppressed' END,
            {instant()}, {instant()}, people.reason
        FROM ({people}) AS people WHERE people.verdict <> 'excluded'{part}
        ORDER BY {order + ", " if rules else ""}{zone}people.id
        {at_conflict} RETURNING id, status, {route}
    """  # noqa: S608  # Made of constants and placeholders.
    first, last = bounds
    with transaction.atomic():
        mine = Mailing.objects.filter(pk=mailing.pk, snapshot_next=first, is_snapshotted=False)
        if not mine.update(snapshot_next=last + 1):
            return  # Another worker took this slice.
        with connection.cursor() as cursor:
            before = [mailing.pk, moment, expires, *people_parameters, *part_parameters]
            cursor.execute(sql, [*before, *order_parameters, *route_parameters])
            queued = sorted((pk, route) for pk, status, route in cursor.fetchall() if status == Message.Status.QUEUED)
        _cut(mailing, queued, starts, now)


def _part_sql(mailing: Mailing) -> tuple[str, list[Any]]:
    """Return an SQL condition: whether a person belongs to the mailing's part of the audience. Empty without a part.

    ``audience["part"]`` is stored with the mailing: ``{"seed": …, "from": …, "below": …}`` are bounds of
    :func:`bucket_sql`, and ``{"without": [mailings]}`` excludes the recipients of those mailings, by address and by
    contact.
    """
    part = mailing.audience.get("part") or {}
    sql, parameters = "", []
    if "seed" in part:
        bucket, seeded = bucket_sql(part["seed"])
        sql += f" AND {bucket} >= %s AND {bucket} < %s"
        parameters += [*seeded, part["from"], *seeded, part["below"]]
    for column, of_person in (("email_key", "people.email_key"), ("contact_id", "people.id")):
        if without := part.get("without"):
            marks = ", ".join(["%s"] * len(without))
            sql += (
                f" AND NOT EXISTS (SELECT 1 FROM delivery_message m WHERE m.{column} = {of_person}"  # noqa: S608
                f" AND m.mailing_id IN ({marks}) AND m.copy_of_id IS NULL)"
            )
            parameters += without
    return sql, parameters


def bucket_sql(seed: str) -> tuple[str, list[Any]]:
    """Return SQL for a hash of the address of ``people``, which splits an audience into parts, and its parameters.

    The hash has 32 hexadecimal digits. A bound may consist of the first digits only.
    """
    return f"MD5(CAST(%s AS text) || people.email_key){byte_order()}", [seed]


def _cut(mailing: Mailing, queued: list[tuple[int, int]], starts: Mapping[str, dt.datetime], now: dt.datetime) -> None:
    """Create the chunks of a slice's messages. Time zones where it is too early get a :class:`LaterChunk`."""
    zones = _zones(mailing, queued) if starts else {}
    soon: list[Chunk] = []
    later: list[LaterChunk] = []
    others = starts.get("", now)
    keyed = ((pk, route_id, starts.get(zones.get(pk, ""), others)) for pk, route_id in queued)
    for (route_id, starts_at), alike in itertools.groupby(keyed, key=itemgetter(1, 2)):
        for run in _runs_of([pk for pk, _, _ in alike]):
            fields = {"mailing": mailing, "next_id": run[0], "last_id": run[-1], "messages": len(run)}
            if starts_at > now:
                later.append(LaterChunk(**fields, route_id=route_id or None, opens_at=starts_at))
            else:
                soon.append(Chunk(**fields, route_id=route_id or None))
    Chunk.objects.bulk_create(soon)
    LaterChunk.objects.bulk_create(later)


def _runs_of(message_ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(message_ids), CHUNK_MESSAGES):
        yield message_ids[start : start + CHUNK_MESSAGES]


def _zones(mailing: Mailing, queued: list[tuple[int, int]]) -> dict[int, str]:
    """Return the time zone of each message's contact, by message."""
    if not queued:
        return {}
    rows = Message.objects.filter(mailing=mailing, pk__gte=queued[0][0], pk__lte=queued[-1][0])
    return dict(rows.values_list("pk", "contact__time_zone"))
