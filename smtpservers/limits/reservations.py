"""Reservations of quota: units are reserved before a message is claimed and settled once it is answered.

A unit is a recipient. In the quota it belongs to the period in which it was reserved. In the hourly and daily caps it
counts from its reservation until an hour or a day after its answer was recorded;
:mod:`smtpservers.limits.sliding_window` explains why no hour and no day then exceeds the cap.

Lock order, for several locks of one server: its :class:`RecentUse`, its periods, its own row.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, Q, QuerySet, Sum

from db import locks
from smtpservers.limits import sliding_window
from smtpservers.limits.quota_period import period
from smtpservers.limits.sliding_window import DAY, HOUR, SlidingWindow
from smtpservers.models import QuotaPeriod, RecentUse, SmtpServer, UsageEntry
from words.texts import gettext_noop, ngettext
from words.texts import text as _

# The longest time between the reservation of a unit and its answer: long waits for the final answer included.
LONGEST_ANSWER_DELAY = dt.timedelta(minutes=15)


_SENT = {
    "hour": gettext_noop("has sent its %(n)s of this hour"),
    "day": gettext_noop("has sent its %(n)s of this day"),
}


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units that may be sent within one period, which ends at ``ends_at``."""

    period_id: int
    units: int
    ends_at: dt.datetime


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """A server's standing towards its limits other than the monthly quota."""

    room: int | None  # Units that may still be reserved; None: no such limit.
    full_until: dt.datetime | None = None  # Without room: when there is some again.
    full_by: str = ""  # Without room: why, as the words between the name and "until".


def current_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    """Return the period that contains ``now``; a missing one is created and counted from the ledger.

    :raises SmtpServer.DoesNotExist: if the server was deleted meanwhile.
    """
    if (found := _covering(server, now)) is not None:
        return found
    with transaction.atomic():
        _lock_recent_use(server.pk)
        if (found := _covering(server, now)) is not None:
            return found
        # Read again: the worker may have read it before the last edit.
        return _make_period(SmtpServer.objects.get(pk=server.pk), now)


def _covering(server: SmtpServer, now: dt.datetime) -> QuotaPeriod | None:
    rows = QuotaPeriod.objects.filter(server=server, starts_at__lte=now, ends_at__gt=now)
    return rows.order_by("-starts_at").first()


def _make_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    starts_at, ends_at = period(now, server.month_start_day, ZoneInfo(server.time_zone))
    made, _ = QuotaPeriod.objects.update_or_create(
        server=server,
        starts_at=starts_at,  # A period with this start may exist already, cut short by a change of the day.
        defaults={
            "ends_at": ends_at,
            "quota": server.max_per_month or None,
            "per_hour": server.max_per_hour or None,
            "per_day": server.max_per_day or None,
            "used": _units_between(server, starts_at, ends_at),
        },
    )
    return made


def reserve(server: SmtpServer, wanted: int, now: dt.datetime, *, leave: int = 0) -> Reservation | None:
    """Reserve up to ``wanted`` units, as far as quota and caps allow; None if there is no room.

    :param leave: units of the quota that must stay free for others.
    """
    if (reservation := _reserve_at_once(server, wanted, now, leave)) is not None:
        return reservation
    try:
        current: QuotaPeriod | None = current_period(server, now)
    except SmtpServer.DoesNotExist:
        return None
    while current is not None:
        units = wanted if current.room is None else min(wanted, current.room - leave)
        if units <= 0:
            return None
        if current.per_hour is not None or current.per_day is not None:
            return _reserve_capped(server, current.pk, wanted, now, leave)
        # Compared on one row: across a join PostgreSQL grants too many. ``full_until`` is on another row; units granted
        # at the very moment it is set end as refused messages, which is harmless.
        granted = QuotaPeriod.objects.filter(
            Q(quota=None) | Q(quota__gte=F("used") + F("reserved") + units + leave),
            ~Exists(_reported_full(server, now)),
            pk=current.pk,
            per_hour=None,
            per_day=None,
        ).update(reserved=F("reserved") + units)
        if granted:
            return Reservation(current.pk, units, current.ends_at)
        if _reported_full(server, now).exists():
            return None
        current = QuotaPeriod.objects.filter(pk=current.pk).first()  # Another worker was faster, or an edit.
    return None


def _reserve_at_once(server: SmtpServer, wanted: int, now: dt.datetime, leave: int) -> Reservation | None:
    """Reserve all ``wanted`` units by one statement, which nearly always works; None if :func:`reserve` must look
    closer.
    """
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        # Compared on one row, as in reserve.
        cursor.execute(
            """
            UPDATE smtpservers_quotaperiod SET reserved = reserved + %s
            WHERE server_id = %s AND starts_at <= %s AND ends_at > %s AND per_hour IS NULL AND per_day IS NULL
                AND (quota IS NULL OR quota >= used + reserved + %s)
                AND starts_at = (SELECT MAX(starts_at) FROM smtpservers_quotaperiod
                    WHERE server_id = %s AND starts_at <= %s AND ends_at > %s)
                AND NOT EXISTS (SELECT 1 FROM smtpservers_smtpserver WHERE id = %s AND full_until > %s)
            RETURNING id, CAST(ends_at AS text)
            """,
            [wanted, server.pk, moment, moment, wanted + leave, *[server.pk, moment, moment], *[server.pk, moment]],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    ends_at = dt.datetime.fromisoformat(row[1])
    return Reservation(row[0], wanted, ends_at if ends_at.tzinfo else ends_at.replace(tzinfo=dt.UTC))


def _reserve_capped(
    server: SmtpServer, period_id: int, wanted: int, now: dt.datetime, leave: int
) -> Reservation | None:
    with transaction.atomic():
        recent = _lock_recent_use(server.pk)
        # Under this lock nobody else reserves, and no unit moves from reserved to used.
        current = QuotaPeriod.objects.select_for_update().filter(pk=period_id).first()
        if current is None or _reported_full(server, now).exists():
            return None
        _clamp_future(recent, now)
        reserved = _reserved([server.pk]).get(server.pk, 0)
        rooms = [wanted, *_rooms(recent, current.per_hour, current.per_day, reserved, now)]
        units = min(rooms if current.room is None else [*rooms, current.room - leave])
        if units <= 0:
            return None
        QuotaPeriod.objects.filter(pk=period_id).update(reserved=F("reserved") + units)
        return Reservation(period_id, units, current.ends_at)


def settle(period_id: int, *, used: int, released: int, now: dt.datetime) -> None:
    """Settle reservations: ``used`` units were accepted or are unconfirmed, ``released`` units return to the quota.

    :param now: when the answers are recorded; the caps count from here.
    """
    if not used and not released:
        return
    if _settle_at_once(period_id, used, released):
        return
    row = QuotaPeriod.objects.filter(pk=period_id)
    change = {"reserved": F("reserved") - (used + released), "used": F("used") + used}
    if not used:
        row.update(**change)
        return
    with transaction.atomic():
        server_id = row.values_list("server", flat=True).first()
        if server_id is not None:  # None: deleted, with its account.
            recent = _lock_recent_use(server_id)
            recent.by_minute = sliding_window.add(recent.by_minute, HOUR, now, used)
            recent.by_quarter = sliding_window.add(recent.by_quarter, DAY, now, used)
            recent.save(update_fields=["by_minute", "by_quarter"])
            row.update(**change)


def _settle_at_once(period_id: int, used: int, released: int) -> bool:
    """Settle a period without caps by one statement; False if it has caps or is gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE smtpservers_quotaperiod SET reserved = reserved - %s, used = used + %s"
            " WHERE id = %s AND per_hour IS NULL AND per_day IS NULL",
            [used + released, used, period_id],
        )
        return bool(cursor.rowcount)


def note_full(server_id: int, why: str, until: dt.datetime, now: dt.datetime) -> bool:
    """Record that the provider reported its own limit as reached: nothing is reserved before ``until``.

    Units reserved already may still be tried. Selection skips the server and shows when it is tried again; an edit or
    *Resume* tries it at once. Call it in the transaction that records the answer.

    :param why: the reply without the recipient's address, shown to people who look after servers.
    :param until: the provider's reset time if known, or else when a try is worth another refusal.
    :return: whether this is news; False for further replies of the same kind.
    """
    if until <= now:
        return False
    rows = SmtpServer.objects.filter(Q(full_until=None) | Q(full_until__lte=now), pk=server_id)
    return bool(rows.update(full_until=until, full_reason=why[:500]))


def reopen(server_id: int) -> bool:
    """Use a server again that reported its own limit as reached; False if it had not."""
    full = SmtpServer.objects.filter(pk=server_id, full_until__isnull=False)
    return bool(full.update(full_until=None, full_reason=""))


def why_not(server: SmtpServer, now: dt.datetime) -> str:
    """Return why nothing can be reserved, until when, and what a person can do, as sentences."""
    found = current_period(server, now)
    standing = standings(now, [server.pk]).get(server.pk)
    if standing is None or standing.full_until is None or (found.room == 0 and found.ends_at > standing.full_until):
        return ngettext(
            "%(server)s has used its %(n)s message for this period, until %(until)s. Raise Max (per month) to send a"
            " test before.",
            "%(server)s has used its %(n)s messages for this period, until %(until)s. Raise Max (per month) to send a"
            " test before.",
            found.quota or 0,
            server=server.name,
            until=found.ends_at,
        )
    return _(
        "%(server)s %(why)s until %(until)s. Raise the limit, or resume the server, to send before.",
        server=server.name,
        why=standing.full_by,
        until=standing.full_until,
    )


def standings(now: dt.datetime, server_ids: Collection[int] | None = None) -> dict[int, LimitStanding]:
    """Return the standing of servers that have caps or reported themselves full; the others have no entry.

    Two queries, whatever the number of servers and the size of the ledger.

    :param server_ids: only these servers; None: all.
    """
    limited = SmtpServer.objects.filter(Q(max_per_hour__gt=0) | Q(max_per_day__gt=0) | Q(full_until__gt=now))
    wanted = limited if server_ids is None else limited.filter(pk__in=server_ids)
    return standings_of(
        wanted.annotate(by_minute=F("recent_use__by_minute"), by_quarter=F("recent_use__by_quarter")), now
    )


def standings_of(servers: Iterable[Any], now: dt.datetime, *, is_rough: bool = False) -> dict[int, LimitStanding]:
    """Return the same for rows of servers that have their recent use as ``by_minute`` and ``by_quarter``.

    One query, and none if no server has caps or reported itself full.

    :param is_rough: allow too small a room if it is above zero, which is much faster.
    """
    limited = [each for each in servers if each.max_per_hour or each.max_per_day or _is_full(each, now)]
    reserved = _reserved([server.pk for server in limited])
    found: dict[int, LimitStanding] = {}
    for server in limited:
        held = reserved.get(server.pk, 0)
        stands = [
            _standing(server.by_minute or {}, HOUR, server.max_per_hour, held, now, is_rough),
            _standing(server.by_quarter or {}, DAY, server.max_per_day, held, now, is_rough),
        ]
        if _is_full(server, now):
            stands.append(LimitStanding(0, server.full_until, _("has reached its provider's limit")))
        full = [stand for stand in stands if stand.full_until is not None]
        if full:  # The one that ends last decides.
            found[server.pk] = max(full, key=lambda stand: stand.full_until or now)
        else:
            rooms = [stand.room for stand in stands if stand.room is not None]
            found[server.pk] = LimitStanding(min(rooms, default=None))
    return found


def _is_full(server: Any, now: dt.datetime) -> bool:
    return server.full_until is not None and server.full_until > now


def _standing(
    buckets: Mapping[str, int], window: SlidingWindow, cap: int | None, reserved: int, now: dt.datetime, is_rough: bool
) -> LimitStanding:
    if not cap:
        return LimitStanding(None)
    # The buckets may still hold units that have left the window, until the next unit is counted.
    if is_rough and (least := cap - sum(buckets.values()) - reserved) > 0:
        return LimitStanding(least)
    room = cap - sliding_window.total(buckets, window, now) - reserved
    if room > 0:
        return LimitStanding(room)
    until = sliding_window.free_at(buckets, window, now, cap, reserved)
    return LimitStanding(0, until, _(_SENT[window.name], n=f"{cap:,}"))


def write_ledger(server_id: int, instants: Iterable[dt.datetime]) -> None:
    """Add one unit to the ledger for each instant, the time of the unit's reservation.

    Call it in one transaction with :func:`settle`: a changed period is recounted from the ledger.
    """
    quarters: dict[dt.datetime, int] = {}
    for instant, units in Counter(instants).items():  # Messages claimed together share one instant.
        quarter = instant.replace(minute=instant.minute - instant.minute % 15, second=0, microsecond=0)
        quarters[quarter] = quarters.get(quarter, 0) + units
    for quarter, units in sorted(quarters.items()):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO smtpservers_usageentry (server_id, quarter_at, units) VALUES (%s, %s, %s)"
                " ON CONFLICT (server_id, quarter_at) DO UPDATE SET units = smtpservers_usageentry.units + %s",
                [server_id, connection.ops.adapt_datetimefield_value(quarter), units, units],
            )


def prevent_deletion(server_id: int) -> bool:
    """Prevent the deletion of a server until the caller's transaction ends; call it before writing to its account.

    False if it is deleted already.

    Others may go on reading and changing it.
    """
    return bool(locks.prevent_deletion("smtpservers_smtpserver", [server_id]))


def lock_account(server: SmtpServer) -> None:
    """Lock the account of a server before its own row is changed, until the caller's transaction ends.

    Recording locks periods before servers; the opposite order would deadlock.
    """
    if server.pk is not None:
        prevent_deletion(server.pk)
        _lock_recent_use(server.pk)
        list(QuotaPeriod.objects.select_for_update().filter(server=server).order_by("pk"))


def refit_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    """Adapt the account to the server's maxima, start day and zone, after one of them changed.

    The use is recounted from the ledger. Reservations stay on their row; a limit lowered below the use leaves no room,
    never a negative one.
    """
    starts_at, ends_at = period(now, server.month_start_day, ZoneInfo(server.time_zone))
    with transaction.atomic():
        prevent_deletion(server.pk)
        recent = _lock_recent_use(server.pk)
        rows = list(QuotaPeriod.objects.select_for_update().filter(server=server).order_by("pk"))
        _refit_caps(server, recent, rows, now)
        covering = [row for row in rows if row.starts_at <= now < row.ends_at]
        exact = next((row for row in rows if row.starts_at == starts_at), None)
        if covering and exact not in covering:
            if exact is not None and not exact.reserved:
                # Left over from an earlier change of the day. It makes way for the row with the reservations.
                aside = covering[-1].starts_at - dt.timedelta(microseconds=1)
                QuotaPeriod.objects.filter(pk=exact.pk).update(starts_at=aside, ends_at=aside)
                exact = None
            exact = exact or covering[-1]
        for other in covering:
            if other is not exact:
                QuotaPeriod.objects.filter(pk=other.pk).update(ends_at=now)
        # Created while a clock was ahead, with the settings of that time; recreated from the ledger when due.
        QuotaPeriod.objects.filter(server=server, starts_at__gt=now, reserved=0).update(ends_at=F("starts_at"))
        if exact is None:
            return _make_period(server, now)
        exact.starts_at, exact.ends_at = starts_at, ends_at
        exact.quota = server.max_per_month or None
        exact.per_hour, exact.per_day = server.max_per_hour or None, server.max_per_day or None
        exact.used = _units_between(server, starts_at, ends_at)
        exact.save(update_fields=["starts_at", "ends_at", "quota", "per_hour", "per_day", "used"])
    return exact


def _refit_caps(server: SmtpServer, recent: RecentUse, rows: Iterable[QuotaPeriod], now: dt.datetime) -> None:
    """Copy the caps to every period, because units reserved in an older period are settled there."""
    was_capped = any(row.per_hour is not None or row.per_day is not None for row in rows)
    per_hour, per_day = server.max_per_hour or None, server.max_per_day or None
    QuotaPeriod.objects.filter(server=server).update(per_hour=per_hour, per_day=per_day)
    if was_capped or (per_hour is None and per_day is None):
        return
    # Without caps only the ledger was written: by quarter of an hour, and by time of reservation.
    recent.by_minute, recent.by_quarter = {}, {}
    since = now - dt.timedelta(seconds=DAY.seconds + DAY.grain) - LONGEST_ANSWER_DELAY
    for entry in UsageEntry.objects.filter(server=server, quarter_at__gte=since, quarter_at__lte=now):
        answered_by = min(now, entry.quarter_at + dt.timedelta(minutes=15) + LONGEST_ANSWER_DELAY)
        recent.by_minute = sliding_window.add(recent.by_minute, HOUR, answered_by, entry.units)
        recent.by_quarter = sliding_window.add(recent.by_quarter, DAY, answered_by, entry.units)
    recent.save(update_fields=["by_minute", "by_quarter"])


def _lock_recent_use(server_id: int) -> RecentUse:
    """Lock the server's account until the transaction ends.

    :raises SmtpServer.DoesNotExist: if the server was deleted meanwhile.
    """
    while True:
        recent = RecentUse.objects.select_for_update().filter(server=server_id).first()
        if recent is not None:
            return recent
        try:
            with transaction.atomic():
                RecentUse.objects.create(server=SmtpServer.objects.only("pk").get(pk=server_id))
        except IntegrityError:  # Created by another worker just now.
            continue


def _reported_full(server: SmtpServer, now: dt.datetime) -> QuerySet[SmtpServer]:
    return SmtpServer.objects.filter(pk=server.pk, full_until__gt=now)


def _rooms(
    recent: RecentUse, per_hour: int | None, per_day: int | None, reserved: int, now: dt.datetime
) -> Iterable[int]:
    for buckets, window, cap in ((recent.by_minute, HOUR, per_hour), (recent.by_quarter, DAY, per_day)):
        if cap is not None:
            yield cap - sliding_window.total(buckets, window, now) - reserved


def _clamp_future(recent: RecentUse, now: dt.datetime) -> None:
    """Clamp units that a clock wrote ahead before it was set back, so that they leave the windows eventually."""
    if sliding_window.is_ahead(recent.by_minute, HOUR, now) or sliding_window.is_ahead(recent.by_quarter, DAY, now):
        recent.by_minute = sliding_window.current(recent.by_minute, HOUR, now)
        recent.by_quarter = sliding_window.current(recent.by_quarter, DAY, now)
        recent.save(update_fields=["by_minute", "by_quarter"])


def _reserved(server_ids: Iterable[int]) -> dict[int, int]:
    """Return the reserved units by server, over all periods: a unit of the last period may still be in progress."""
    rows = QuotaPeriod.objects.filter(server__in=server_ids, reserved__gt=0).order_by().values("server")
    return {row["server"]: row["units"] for row in rows.annotate(units=Sum("reserved"))}


def _units_between(server: SmtpServer, starts_at: dt.datetime, ends_at: dt.datetime) -> int:
    entries = UsageEntry.objects.filter(server=server, quarter_at__gte=starts_at, quarter_at__lt=ends_at)
    return entries.aggregate(total=Sum("units"))["total"] or 0
