"""Units of quota: reserved before a message is claimed, settled when its answer is known, never one too many.

A unit is a recipient. In the quota it belongs to the period it was reserved in. In the caps of the hour and the day it
counts from its reservation until an hour or a day after its answer was recorded;
:mod:`smtpservers.limits.sliding_window` says why no hour and no day then holds more than the cap.

Who takes several locks of one server takes them in this order: its :class:`RecentUse`, its periods, its own row.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, Q, QuerySet, Sum

from db import locks
from smtpservers.limits import sliding_window
from smtpservers.limits.quota_period import period
from smtpservers.limits.sliding_window import DAY, HOUR, SlidingWindow
from smtpservers.models import QuotaPeriod, RecentUse, SmtpServer, UsageEntry

# How long after its reservation a unit of the ledger may have been answered: a patient wait for the final answer.
LONGEST_WAY = dt.timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units that may be sent within one period, which ends at ``ends_at``."""

    period_id: int
    units: int
    ends_at: dt.datetime


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """How a server stands to its limits beside the month's quota."""

    room: int | None  # Units that may still be reserved; None: no such limit.
    full_until: dt.datetime | None = None  # Where there is no room: when there is some again.
    full_by: str = ""  # Where there is no room: why, as what stands between the name and "until".


def current_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    """Return the period that ``now`` falls in, made and counted from the ledger when there is none yet.

    :raises SmtpServer.DoesNotExist: if the server was deleted meanwhile.
    """
    if (found := _covering(server, now)) is not None:
        return found
    with transaction.atomic():
        _lock(server.pk)
        if (found := _covering(server, now)) is not None:
            return found
        # Read anew: the worker may have read it before the last edit.
        return _make_period(SmtpServer.objects.get(pk=server.pk), now)


def _covering(server: SmtpServer, now: dt.datetime) -> QuotaPeriod | None:
    rows = QuotaPeriod.objects.filter(server=server, starts_at__lte=now, ends_at__gt=now)
    return rows.order_by("-starts_at").first()


def _make_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    starts_at, ends_at = period(now, server.month_start_day, ZoneInfo(server.time_zone))
    made, _ = QuotaPeriod.objects.update_or_create(
        server=server,
        starts_at=starts_at,  # One that began so, and ended early by a change of the day, is there already.
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
    """Reserve up to ``wanted`` units, as many as the quota and the caps have room for; None when there is none.

    :param leave: how many units of the quota stay free for others.
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
        # Compared on one row: across a join PostgreSQL grants too many. A server that calls itself full is looked up
        # beside it; what was granted in that very instant is a message it refuses, and no harm.
        granted = QuotaPeriod.objects.filter(
            Q(quota=None) | Q(quota__gte=F("used") + F("reserved") + units + leave),
            ~Exists(_says_it_is_full(server, now)),
            pk=current.pk,
            per_hour=None,
            per_day=None,
        ).update(reserved=F("reserved") + units)
        if granted:
            return Reservation(current.pk, units, current.ends_at)
        if _says_it_is_full(server, now).exists():
            return None
        current = QuotaPeriod.objects.filter(pk=current.pk).first()  # Another was faster, or somebody edits.
    return None


def _reserve_at_once(server: SmtpServer, wanted: int, now: dt.datetime, leave: int) -> Reservation | None:
    """Reserve all that is wanted by one statement, as it goes nearly always; None where somebody must look closer."""
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        # Compared on one row, as below.
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
        recent = _lock(server.pk)
        # Nobody else reserves while the lock is held, and nobody's use goes from reserved to used.
        current = QuotaPeriod.objects.select_for_update().filter(pk=period_id).first()
        if current is None or _says_it_is_full(server, now).exists():
            return None
        _forget_the_future(recent, now)
        reserved = _reserved([server.pk]).get(server.pk, 0)
        rooms = [wanted, *_rooms(recent, current.per_hour, current.per_day, reserved, now)]
        units = min(rooms if current.room is None else [*rooms, current.room - leave])
        if units <= 0:
            return None
        QuotaPeriod.objects.filter(pk=period_id).update(reserved=F("reserved") + units)
        return Reservation(period_id, units, current.ends_at)


def settle(period_id: int, *, used: int, released: int, now: dt.datetime) -> None:
    """Close reservations: ``used`` units were accepted or are unconfirmed, ``released`` ones come back.

    :param now: when the answers are recorded, which the caps count from.
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
        if server_id is not None:  # None: it was deleted, its account with it.
            recent = _lock(server_id)
            recent.by_minute = sliding_window.add(recent.by_minute, HOUR, now, used)
            recent.by_quarter = sliding_window.add(recent.by_quarter, DAY, now, used)
            recent.save(update_fields=["by_minute", "by_quarter"])
            row.update(**change)


def _settle_at_once(period_id: int, used: int, released: int) -> bool:
    """Settle a period without caps by one statement; False if it has caps, or is gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE smtpservers_quotaperiod SET reserved = reserved - %s, used = used + %s"
            " WHERE id = %s AND per_hour IS NULL AND per_day IS NULL",
            [used + released, used, period_id],
        )
        return bool(cursor.rowcount)


def note_full(server_id: int, why: str, until: dt.datetime, now: dt.datetime) -> bool:
    """Take a server at its word that its own limit is reached: nothing is reserved before ``until``.

    What is reserved already may still be tried. Selection passes the server over and tells when it is tried again;
    an edit or *Resume* tries it at once. Call it when the answer is recorded, in the same transaction.

    :param why: what it answered, without the recipient's address; who looks after servers reads it.
    :param until: the provider's reset if it is known, else when a try is worth a refused message.
    :return: whether this call told something new; False for the tenth answer of the same kind.
    """
    if until <= now:
        return False
    rows = SmtpServer.objects.filter(Q(full_until=None) | Q(full_until__lte=now), pk=server_id)
    return bool(rows.update(full_until=until, full_reason=why[:500]))


def reopen(server_id: int) -> bool:
    """Try a server again that said its own limit is reached; False if it did not."""
    full = SmtpServer.objects.filter(pk=server_id, full_until__isnull=False)
    return bool(full.update(full_until=None, full_reason=""))


def why_not(server: SmtpServer, now: dt.datetime) -> str:
    """Return why nothing could be reserved, until when, and what a person can do, as sentences."""
    found = current_period(server, now)
    standing = standings(now, [server.pk]).get(server.pk)
    if standing is None or standing.full_until is None or (found.room == 0 and found.ends_at > standing.full_until):
        messages = "1 message" if found.quota == 1 else f"{found.quota or 0:,} messages"
        return (
            f"{server.name} has used its {messages} for this period; it is available again on"
            f" {found.ends_at:%d %B %Y}. Raise Max (per month) to send a test before."
        )
    until = f"{standing.full_until:%d %B %Y %H:%M} UTC"
    return f"{server.name} {standing.full_by} until {until}. Raise the limit, or resume the server, to send before."


def standings(
    now: dt.datetime, server_ids: Collection[int] | None = None, *, is_rough: bool = False
) -> dict[int, LimitStanding]:
    """Return how the servers with caps, and those that call themselves full, stand now; the others have no entry.

    Two queries, whatever the size of the fleet and of the ledger.

    :param server_ids: the servers that matter; None: all.
    :param is_rough: whether a room may be told too small where there is some, which is much quicker.
    """
    limited = SmtpServer.objects.filter(Q(max_per_hour__gt=0) | Q(max_per_day__gt=0) | Q(full_until__gt=now))
    rows = list(
        (limited if server_ids is None else limited.filter(pk__in=server_ids)).values_list(
            "pk",
            "max_per_hour",
            "max_per_day",
            "full_until",
            "recent_use__by_minute",
            "recent_use__by_quarter",
        )
    )
    reserved = _reserved([pk for pk, *_ in rows])
    found: dict[int, LimitStanding] = {}
    for pk, per_hour, per_day, full_until, by_minute, by_quarter in rows:
        held = reserved.get(pk, 0)
        stands = [
            _standing(by_minute or {}, HOUR, per_hour, held, now, is_rough),
            _standing(by_quarter or {}, DAY, per_day, held, now, is_rough),
        ]
        if full_until is not None and full_until > now:
            stands.append(LimitStanding(0, full_until, "says that its own limit is reached"))
        full = [stand for stand in stands if stand.full_until is not None]
        if full:  # The last of them to end is what it waits for.
            found[pk] = max(full, key=lambda stand: stand.full_until or now)
        else:
            found[pk] = LimitStanding(min((stand.room for stand in stands if stand.room is not None), default=None))
    return found


def _standing(
    buckets: Mapping[str, int], window: SlidingWindow, cap: int | None, reserved: int, now: dt.datetime, is_rough: bool
) -> LimitStanding:
    if not cap:
        return LimitStanding(None)
    # What has left the window may still be in its buckets until the next unit is counted.
    if is_rough and (least := cap - sum(buckets.values()) - reserved) > 0:
        return LimitStanding(least)
    room = cap - sliding_window.total(buckets, window, now) - reserved
    if room > 0:
        return LimitStanding(room)
    until = sliding_window.free_at(buckets, window, now, cap, reserved)
    return LimitStanding(0, until, f"has sent its {cap:,} of this {window.name}")


def write_ledger(server_id: int, instants: Iterable[dt.datetime]) -> None:
    """Add one unit to the ledger for each instant, which is when the unit was reserved.

    In one transaction with :func:`settle`: a change of the period recounts the use from here.
    """
    quarters: dict[dt.datetime, int] = {}
    for instant, units in Counter(instants).items():  # What was claimed together has one instant.
        quarter = instant.replace(minute=instant.minute - instant.minute % 15, second=0, microsecond=0)
        quarters[quarter] = quarters.get(quarter, 0) + units
    for quarter, units in sorted(quarters.items()):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO smtpservers_usageentry (server_id, quarter_at, units) VALUES (%s, %s, %s)"
                " ON CONFLICT (server_id, quarter_at) DO UPDATE SET units = smtpservers_usageentry.units + %s",
                [server_id, connection.ops.adapt_datetimefield_value(quarter), units, units],
            )


def keep(server_id: int) -> None:
    """Keep a server from being deleted for the rest of the caller's transaction; before its account is written to.

    Everybody else may go on reading and changing it.
    """
    locks.prevent_deletion("smtpservers_smtpserver", [server_id])


def hold(server: SmtpServer) -> None:
    """Lock the account of a server whose own row is about to be changed, for the rest of the caller's transaction.

    Recording locks periods before servers; who did it the other way round would wait for it crosswise.
    """
    if server.pk is not None:
        keep(server.pk)
        _lock(server.pk)
        list(QuotaPeriod.objects.select_for_update().filter(server=server).order_by("pk"))


def refit_period(server: SmtpServer, now: dt.datetime) -> QuotaPeriod:
    """Make the account fit the server's maxima, start day and zone, after one of them was changed.

    The use is recounted from the ledger. What is reserved moves along with the row; a limit lowered below the use
    leaves no room and is never negative.
    """
    starts_at, ends_at = period(now, server.month_start_day, ZoneInfo(server.time_zone))
    with transaction.atomic():
        keep(server.pk)
        recent = _lock(server.pk)
        rows = list(QuotaPeriod.objects.select_for_update().filter(server=server).order_by("pk"))
        _refit_caps(server, recent, rows, now)
        covering = [row for row in rows if row.starts_at <= now < row.ends_at]
        exact = next((row for row in rows if row.starts_at == starts_at), None)
        if covering and exact not in covering:
            if exact is not None and not exact.reserved:
                # Left over from an earlier change of the day. It makes place for the one that has reservations.
                aside = covering[-1].starts_at - dt.timedelta(microseconds=1)
                QuotaPeriod.objects.filter(pk=exact.pk).update(starts_at=aside, ends_at=aside)
                exact = None
            exact = exact or covering[-1]
        for other in covering:
            if other is not exact:
                QuotaPeriod.objects.filter(pk=other.pk).update(ends_at=now)
        # Made while a clock was ahead, with what was set then; made anew from the ledger when their time comes.
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
    """Copy the caps to every period: what was reserved in an older one is settled there."""
    was_capped = any(row.per_hour is not None or row.per_day is not None for row in rows)
    per_hour, per_day = server.max_per_hour or None, server.max_per_day or None
    QuotaPeriod.objects.filter(server=server).update(per_hour=per_hour, per_day=per_day)
    if was_capped or (per_hour is None and per_day is None):
        return
    # Until now only the ledger was kept: by quarters of an hour, and by when a unit was reserved.
    recent.by_minute, recent.by_quarter = {}, {}
    since = now - dt.timedelta(seconds=DAY.seconds + DAY.grain) - LONGEST_WAY
    for entry in UsageEntry.objects.filter(server=server, quarter_at__gte=since, quarter_at__lte=now):
        answered_by = min(now, entry.quarter_at + dt.timedelta(minutes=15) + LONGEST_WAY)
        recent.by_minute = sliding_window.add(recent.by_minute, HOUR, answered_by, entry.units)
        recent.by_quarter = sliding_window.add(recent.by_quarter, DAY, answered_by, entry.units)
    recent.save(update_fields=["by_minute", "by_quarter"])


def _lock(server_id: int) -> RecentUse:
    """Lock the server's account for the rest of the transaction.

    :raises SmtpServer.DoesNotExist: if the server was deleted meanwhile.
    """
    while True:
        recent = RecentUse.objects.select_for_update().filter(server=server_id).first()
        if recent is not None:
            return recent
        try:
            with transaction.atomic():
                RecentUse.objects.create(server=SmtpServer.objects.only("pk").get(pk=server_id))
        except IntegrityError:  # Another worker made it in this instant.
            continue


def _says_it_is_full(server: SmtpServer, now: dt.datetime) -> QuerySet[SmtpServer]:
    return SmtpServer.objects.filter(pk=server.pk, full_until__gt=now)


def _rooms(
    recent: RecentUse, per_hour: int | None, per_day: int | None, reserved: int, now: dt.datetime
) -> Iterable[int]:
    for buckets, window, cap in ((recent.by_minute, HOUR, per_hour), (recent.by_quarter, DAY, per_day)):
        if cap is not None:
            yield cap - sliding_window.total(buckets, window, now) - reserved


def _forget_the_future(recent: RecentUse, now: dt.datetime) -> None:
    """Store what a clock that was set back left ahead of now, so that it leaves the windows in the end."""
    if sliding_window.is_ahead(recent.by_minute, HOUR, now) or sliding_window.is_ahead(recent.by_quarter, DAY, now):
        recent.by_minute = sliding_window.current(recent.by_minute, HOUR, now)
        recent.by_quarter = sliding_window.current(recent.by_quarter, DAY, now)
        recent.save(update_fields=["by_minute", "by_quarter"])


def _reserved(server_ids: Iterable[int]) -> dict[int, int]:
    """Return what is reserved by server, in whichever period: a unit of the last one may still be on its way."""
    rows = QuotaPeriod.objects.filter(server__in=server_ids, reserved__gt=0).order_by().values("server")
    return {row["server"]: row["units"] for row in rows.annotate(units=Sum("reserved"))}


def _units_between(server: SmtpServer, starts_at: dt.datetime, ends_at: dt.datetime) -> int:
    entries = UsageEntry.objects.filter(server=server, quarter_at__gte=starts_at, quarter_at__lt=ends_at)
    return entries.aggregate(total=Sum("units"))["total"] or 0
