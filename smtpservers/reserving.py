"""Units of quota: reserved before a message is claimed, settled when its answer is known, never one too many.

A unit is a recipient. It belongs to the period it was reserved in.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, Sum

from smtpservers.models import QuotaPeriod, SmtpServer, UsageEntry
from smtpservers.quota import period


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units that may be sent within one period, which ends at ``ends_at``."""

    period_id: int
    units: int
    ends_at: dt.datetime


def current_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    """Return the period that ``now`` falls in, made and counted from the ledger when there is none yet."""
    starts_at, ends_at = period(now, server.month_start_day, ZoneInfo(server.time_zone))
    found = QuotaPeriod.objects.filter(server=server, starts_at=starts_at).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            return QuotaPeriod.objects.create(
                server=server,
                starts_at=starts_at,
                ends_at=ends_at,
                quota=server.max_per_month or None,
                used=_units_between(server, starts_at, ends_at),
            )
    except IntegrityError:  # Another worker made it in this instant.
        return QuotaPeriod.objects.get(server=server, starts_at=starts_at)


def reserve(server: SmtpServer, wanted: int, now: dt.datetime, *, leave: int = 0) -> Reservation | None:
    """Reserve up to ``wanted`` units, as many as there is room for; None when there is none.

    :param leave: how many units of the quota stay free for others.
    """
    current = current_period(server, now)
    while True:
        units = wanted if current.room is None else min(wanted, current.room - leave)
        if units <= 0:
            return None
        # Compared on one row: across a join PostgreSQL grants too many.
        granted = QuotaPeriod.objects.filter(
            Q(quota=None) | Q(quota__gte=F("used") + F("reserved") + units + leave), pk=current.pk
        ).update(reserved=F("reserved") + units)
        if granted:
            return Reservation(current.pk, units, current.ends_at)
        current.refresh_from_db()


def settle(period_id: int, *, used: int, released: int) -> None:
    """Close reservations: ``used`` units were accepted or are unconfirmed, ``released`` ones come back."""
    if used or released:
        QuotaPeriod.objects.filter(pk=period_id).update(
            reserved=F("reserved") - (used + released), used=F("used") + used
        )


def write_ledger(server_id: int, instants: Iterable[dt.datetime]) -> None:
    """Add one unit to the ledger for each instant, which is when the unit was reserved."""
    quarters: dict[dt.datetime, int] = {}
    for instant in instants:
        quarter = instant.replace(minute=instant.minute - instant.minute % 15, second=0, microsecond=0)
        quarters[quarter] = quarters.get(quarter, 0) + 1
    for quarter, units in sorted(quarters.items()):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO smtpservers_usageentry (server_id, quarter_at, units) VALUES (%s, %s, %s)"
                " ON CONFLICT (server_id, quarter_at) DO UPDATE SET units = smtpservers_usageentry.units + %s",
                [server_id, connection.ops.adapt_datetimefield_value(quarter), units, units],
            )


def refit_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    """Make the current period fit the server's maximum, start day and zone, after one of them was changed.

    The use is recounted from the ledger. What is reserved moves along with the row; a quota lowered below the use
    leaves no room and is never negative.
    """
    starts_at, ends_at = period(now, server.month_start_day, ZoneInfo(server.time_zone))
    with transaction.atomic():
        rows = list(QuotaPeriod.objects.select_for_update().filter(server=server, starts_at__lte=now, ends_at__gt=now))
        exact = next((row for row in rows if row.starts_at == starts_at), None)
        others = [row for row in rows if row is not exact]
        if exact is None and others:
            exact = others.pop(0)
        if exact is None:
            return current_period(server, now)
        for other in others:  # Left over from an earlier change back and forth; its window ends here.
            QuotaPeriod.objects.filter(pk=other.pk).update(ends_at=min(other.ends_at, now))
        exact.starts_at, exact.ends_at = starts_at, ends_at
        exact.quota = server.max_per_month or None
        exact.used = _units_between(server, starts_at, ends_at)
        exact.save(update_fields=["starts_at", "ends_at", "quota", "used"])
    return exact


def _units_between(server: SmtpServer, starts_at: dt.datetime, ends_at: dt.datetime) -> int:
    entries = UsageEntry.objects.filter(server=server, quarter_at__gte=starts_at, quarter_at__lt=ends_at)
    return entries.aggregate(total=Sum("units"))["total"] or 0
