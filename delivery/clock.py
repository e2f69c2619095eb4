"""The database's clock, by which mail is due, and the drift of this process's clock from it.

SQLite has no clock of its own: it reads the clock of the asking process.
"""

import datetime as dt
import functools
import time

from django.db import connection

from db.dialect import is_postgresql

FRESH_SECONDS = 5.0  # How long a reading of the database's clock is used. In between, the steady clock counts on.
# A clock that nobody can set, and that runs on while the process is stopped or the machine sleeps.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

# Returns its seconds. A partial function, because it is read twice for each message, and a call into C costs less.
steady = functools.partial(time.clock_gettime, _STEADY)


def own() -> dt.datetime:
    """Return the time by this process's own clock, right or wrong."""
    return dt.datetime.now(dt.UTC)


class DatabaseClock:
    """The database's time, counted on from the last reading. :meth:`read` asks the database."""

    def __init__(self) -> None:
        self.drift = dt.timedelta()  # How far this process's clock was ahead at the last reading.
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
        # The database answered at some time between the two.
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
        """The seconds since the last reading."""
        return steady() - self._read[1] if self._read else float("inf")


_clock = DatabaseClock()  # One for this process.


def now() -> dt.datetime:
    """Return the time by the database's clock, which is read again every few seconds."""
    if _clock.age > FRESH_SECONDS:
        return _clock.read()
    return _clock()


def drift() -> dt.timedelta:
    """Return how far this process's clock was ahead of the database's at the last reading."""
    return _clock.drift
