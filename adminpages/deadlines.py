"""How long the database may work for one web request. No page sets a limit by itself, and none goes without.

A request that only reads, or that is told by its query string what to look for, has two seconds. One that changes
something has a minute. A view that is known to count a large audience takes longer on purpose, by :func:`extend`. What
is streamed to the browser afterwards, an export, reads in slices of its own and is not limited here.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from db.dialect import is_postgresql

READING_SECONDS = 2.0
CHANGING_SECONDS = 60.0
STEP_SECONDS = 0.2  # The database hears of a limit that is shorter by this.
SQLITE_STEPS = 5_000  # Between two looks at the clock.

_local = threading.local()  # The limit of the request that this thread answers.


class TookTooLong(OperationalError):
    """The time of this request is over; nothing more is asked."""


class _Limit:
    """What one request has of the database's time; its own, of Python and templates, does not count."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.left = seconds
        self._told: float | None = None  # What the database was told last.
        self._began = 0.0  # The present statement …
        self._allowed = seconds  # … and how long it may take.

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if self.left <= 0:
            raise TookTooLong(f"the request has had its {self.seconds:g} s")
        if self._told is None or abs(self._told - self.left) > STEP_SECONDS:
            self._tell(context["connection"])
        self._began, self._allowed = time.monotonic(), self.left
        try:
            return execute(sql, params, many, context)
        finally:
            # Who writes may have waited for other writers, which no search is to blame for.
            if str(sql).lstrip(" (").upper().startswith(("SELECT", "WITH")):
                self.left -= time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        return self.left <= 0.05

    def _tell(self, database: Any) -> None:
        self._told = self.left
        if is_postgresql(database):
            database.connection.execute(f"SET statement_timeout = {max(1, int(self.left * 1000))}")
        else:
            # Here a statement goes on while its rows are read.
            database.connection.set_progress_handler(self._ends, SQLITE_STEPS)

    def _ends(self) -> bool:
        """Whether SQLite is to stop."""
        if time.monotonic() - self._began > self._allowed:
            self.left = 0.0
        return self.left <= 0

    def lift(self, database: Any) -> None:
        """Let whoever uses the connection next take as long as it likes."""
        if self._told is None or database.connection is None:
            return
        if not is_postgresql(database):
            database.connection.set_progress_handler(None, 0)
        elif not database.needs_rollback and not database.connection.closed:
            database.connection.execute("RESET statement_timeout")


def extend(seconds: float) -> None:
    """Give the present request so long from now on; outside of a request nothing happens."""
    limit: _Limit | None = getattr(_local, "limit", None)
    if limit is not None:
        limit.seconds = limit.left = seconds


class Deadlines:
    """The middleware: it goes around every view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_reading = request.method in ("GET", "HEAD", "OPTIONS") or bool(request.META.get("QUERY_STRING"))
        limit = _local.limit = _Limit(READING_SECONDS if is_reading else CHANGING_SECONDS)
        try:
            with connection.execute_wrapper(limit):
                return self._get_response(request)
        finally:
            _local.limit = None
            limit.lift(connection)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Say what happened, if it is the limit that ended the request."""
        limit: _Limit | None = getattr(_local, "limit", None)
        if not isinstance(error, OperationalError) or limit is None or not limit.is_over:
            return None
        return render(request, "took_too_long.html", {"seconds": limit.seconds}, status=503)
