"""Rules for start times and sending hours: wall times, zones and windows in, instants out.

Nothing here stores anything or reads the clock. A wall time that a clock change skips means the instant of the change;
a wall time that occurs twice means its first occurrence.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

DAYS = (
    "Mon",
    "Tue",
    "Wed",
    "Thu",
    "Fri",
    "Sat",
    "Sun",
)  # In the order of ``date.weekday``.
MIDNIGHT = dt.time()


@dataclass(frozen=True, slots=True)
class SendingHours:
    """An interval in which mail may leave: ``[opens_at, closes_at)`` in UTC. Without an end it stays open for ever."""

    opens_at: dt.datetime
    closes_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """The days and hours of a week in which a campaign sends."""

    zone: dt.tzinfo
    days: frozenset[int] = frozenset()  # 0 is Monday; empty: every day.
    opens: dt.time = MIDNIGHT
    closes: dt.time = MIDNIGHT  # Not later than ``opens``: on the next day. Both midnight: the whole day.

    @property
    def is_always(self) -> bool:
        """Whether mail may leave at any time."""
        return self.opens == self.closes and len(self.days) in (0, 7)

    def __str__(self) -> str:
        days = _days_in_words(self.days) if self.days else "every day"
        if self.opens == self.closes:
            return f"{days}, {self.zone}" if self.opens == MIDNIGHT else f"{days} from {self.opens:%H:%M}, {self.zone}"
        return f"{days} {self.opens:%H:%M} to {self.closes:%H:%M}, {self.zone}"

    def window(self, now: dt.datetime) -> SendingHours:
        """Return the window that contains ``now``, or the next one. Adjacent windows count as one.

        :raises ValueError: if ``now`` is naive.
        """
        if now.tzinfo is None:
            raise ValueError(f"{now!r} has no time zone")
        if self.is_always:
            return SendingHours(now)
        found: SendingHours | None = None
        today = now.astimezone(self.zone).date()
        # From yesterday, whose hours may extend past midnight, to more than a week ahead, because a clock change may
        # remove a window.
        for number in range(-1, 16):
            window = self._on(today + dt.timedelta(days=number))
            if window is None or window.closes_at is None or window.closes_at <= now:
                continue
            if found is not None and window.opens_at > (found.closes_at or window.opens_at):
                break
            found = SendingHours(found.opens_at if found else window.opens_at, window.closes_at)
        assert found is not None  # A week has at least one open day, and no clock change removes two weeks.
        return found

    def _on(self, day: dt.date) -> SendingHours | None:
        """Return the window that opens on a day; None if the day has none."""
        if self.days and day.weekday() not in self.days:
            return None
        ends_on = day if self.closes > self.opens else day + dt.timedelta(days=1)
        opens_at = instant(dt.datetime.combine(day, self.opens), self.zone)
        closes_at = instant(dt.datetime.combine(ends_on, self.closes), self.zone)
        return SendingHours(opens_at, closes_at) if closes_at > opens_at else None


def instant(wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return the first instant, in UTC, at which clocks in ``zone`` show ``wall``, or a later time if they skip it.

    :raises ValueError: if ``wall`` has a time zone.
    """
    if wall.tzinfo is not None:
        raise ValueError(f"{wall!r} has a time zone of its own")
    found = wall.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # The wall time is skipped. The offset before the change gives an instant after it, so the search goes backwards
    # from there, to the second.
    low, high = found - dt.timedelta(hours=26), found
    while high - low > dt.timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


def starts_by_zone(wall: dt.datetime, zones: Iterable[str], fallback: dt.tzinfo) -> dict[str, dt.datetime]:
    """Return the instant of ``wall`` in each zone, by name. An unknown name has the time of ``fallback``."""
    return {name: instant(wall, zone_of(name) or fallback) for name in zones}


def zone_of(name: str) -> dt.tzinfo | None:
    """Return the zone of an IANA name; None if the name is empty or unknown, as in a damaged row."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def groups(starts: Mapping[str, dt.datetime], now: dt.datetime) -> dict[str, dt.datetime]:
    """Return the zones whose start is still to come. Mail to all other zones may leave at once."""
    return {name: at for name, at in starts.items() if at > now}


def is_late(starts_at: dt.datetime, now: dt.datetime, patience: dt.timedelta) -> bool:
    """Whether a start was missed by more than ``patience``, so that a person has to confirm it."""
    return now - starts_at > patience


def _days_in_words(days: Iterable[int]) -> str:
    """Return "Mon to Fri" for days in a row, else "Mon, Wed"."""
    known = sorted(days)
    if len(known) > 2 and known == list(range(known[0], known[-1] + 1)):
        return f"{DAYS[known[0]]} to {DAYS[known[-1]]}"
    return ", ".join(DAYS[day] for day in known)
