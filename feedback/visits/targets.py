"""Where links lead, remembered by each process, so that only the first click on a link waits for the database."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from django.db import DatabaseError, close_old_connections

from delivery.models import TrackedTarget
from mail.links.tracking import location

MOST = 2_000
UNKNOWN_SECONDS = 60.0  # How long a code without a target is remembered: it costs one query in this time.
KNOWN_SECONDS = 3600.0  # Then the target is asked for again: its campaign may be gone.


class _Known(NamedTuple):
    location: str | None  # None: no such target.
    until: float  # On the monotonic clock.


def ask_database(code: str) -> str | None:
    """Return the value of the Location header for a code; None if there is no such target.

    :raises DatabaseError: if the database does not answer.
    """
    close_old_connections()  # No request of Django's does it for us.
    try:
        url = TrackedTarget.objects.filter(code=code).values_list("url", flat=True).first()
    finally:
        close_old_connections()
    # Of what was stored, all can be redirected to. Were something else in the table, nobody would be led there.
    return location(url) if url is not None else None


class Targets:
    """The targets of the last links that were asked for."""

    def __init__(self, ask: Callable[[str], str | None] = ask_database) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._unknown: OrderedDict[str, _Known] = OrderedDict()  # Apart: guessed codes push no real ones out.

    def location_of(self, code: str) -> str | None:
        """Return where a link leads; None if there is no such target. A known one needs no database.

        :raises DatabaseError: if nothing is known and the database does not answer.
        """
        with self._lock:
            found = self._known.get(code) or self._unknown.get(code)
            if found is not None and code in self._known:
                self._known.move_to_end(code)
        if found is not None and time.monotonic() < found.until:
            return found.location
        try:
            asked = self._ask(code)
        except DatabaseError:
            if found is None or found.location is None:
                raise
            return found.location
        self._remember(code, asked)
        return asked

    def _remember(self, code: str, asked: str | None) -> None:
        seconds = UNKNOWN_SECONDS if asked is None else KNOWN_SECONDS
        with self._lock:
            self._known.pop(code, None)
            self._unknown.pop(code, None)
            codes = self._unknown if asked is None else self._known
            codes[code] = _Known(asked, time.monotonic() + seconds)
            while len(codes) > MOST:
                codes.popitem(last=False)
