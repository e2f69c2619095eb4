"""The database's clock, by which mail is due, and how far this process's own is away from it.

SQLite has no clock of its own: it asks that of whoever asks it.
"""

import datetime as dt
import time

from django.db import connection

from db.dialect import is_postgresql

FRESH_SECONDS = 5.0  # For how long an answer of the database is good; from then to then the time is counted on.
# A clock that goes on while the process is stopped or the machine sleeps, and that nobody can set.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Return seconds of a clock that cannot be set and also runs while this process is stopped."""
    return time.clock_gettime(_STEADY)


def own() -> dt.datetime:
    """Return what this process's own clock says, right or wrong."""
    return dt.datetime.now(dt.UTC)


class DatabaseClock:
    """Tells the database's time without asking it each time; :meth:`read` asks."""

    def __init__(self) -> None:
        self.drift = dt.timedelta()  # How far this process's own clock was ahead when the database was asked.
        self._read: tuple[dt.datetime, float] | None = None

    def read(self) -> dt.datetime:
        """Ask the database for the time."""
        if not is_postgresql():
            return own()
        began = steady()
        with connection.cursor() as cursor:
            cursor.execute("SELECT STATEMENT_TIMESTAMP()")
            instant: dt.datetime = cursor.fetchone()[0]
        ended = steady()
        # It was said between the two.
        at = (began + ended) / 2
        self._read = instant, at
        self.drift = own() - instant - dt.timedelta(seconds=ended - at)
        return self()

    def __call__(self) -> dt.datetime:
        if self._read is None:
            return own() if not is_postgresql() else self.read()
        instant, at = self._read
        return instant + dt.timedelta(seconds=steady() - at)

    @property
    def age(self) -> float:
        """How many seconds ago the database was asked."""
        return steady() - self._read[1] if self._read else float("inf")


_clock = DatabaseClock()  # Of this process.


def now() -> dt.datetime:
    """Return the time by the database's clock, asked again every few seconds."""
    if _clock.age > FRESH_SECONDS:
        return _clock.read()
    return _clock()


def drift() -> dt.timedelta:
    """Return how far this process's own clock is ahead of the database's, as far as it was asked."""
    return _clock.drift
