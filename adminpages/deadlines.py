"""Time limits for the database work of a web request. The middleware gives every request one.

A request that only reads, or that has a query string, gets two seconds. A request that changes something gets a
minute. A view that counts a large audience asks for more with :func:`extend`. An export streams after the view
has returned: it reads in slices of its own and is not limited here.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from db.dialect import is_postgresql

log = logging.getLogger(__name__)

READING_SECONDS = 2.0
CHANGING_SECONDS = 60.0
STEP_SECONDS = 0.2  # The limit set in the database is renewed once the time left differs by more than this.
SQLITE_STEPS = 5_000  # Instructions of SQLite's virtual machine between two looks at the clock.

_local = threading.local()  # The limit of the request that this thread answers.


class TookTooLong(OperationalError):
    """The request has used up its database time; no further statement runs."""


class _Limit:
    """The database time that one request has left. Time in Python and templates does not count."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.left = seconds
        self.is_begun = False  # Before the view, other middleware asks who is there.
        self._set_to: float | None = None  # The limit that the database knows.
        self._began = 0.0  # Start of the present statement.
        self._allowed = seconds  # The longest time that this statement may take.

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not self.is_begun:
            return execute(sql, params, many, context)
        if self.left <= 0:
            raise TookTooLong(f"the request has had its {self.seconds:g} s")
        if self._set_to is None or abs(self._set_to - self.left) > STEP_SECONDS:
            self._set(context["connection"])
        self._began, self._allowed = time.monotonic(), self.left
        try:
            return execute(sql, params, many, context)
        finally:
            # Writes are free: they may have waited for other writers, and that is not the request's fault.
            if str(sql).lstrip(" (").upper().startswith(("SELECT", "WITH")):
                self.left -= time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        return self.left <= 0.05

    def _set(self, database: Any) -> None:
        self._set_to = self.left
        if is_postgresql(database):
            database.connection.execute(f"SET statement_timeout = {max(1, int(self.left * 1000))}")
        else:
            # In SQLite a statement still runs while its rows are read.
            database.connection.set_progress_handler(self._ends, SQLITE_STEPS)

    def _ends(self) -> bool:
        """Whether SQLite has to interrupt the statement."""
        if time.monotonic() - self._began > self._allowed:
            self.left = 0.0
        return self.left <= 0

    def lift(self, database: Any) -> None:
        """Remove the limit, so that the next user of the connection has none."""
        if self._set_to is None or database.connection is None:
            return
        if not is_postgresql(database):
            database.connection.set_progress_handler(None, 0)
        elif not database.needs_rollback and not database.connection.closed:
            database.connection.execute("RESET statement_timeout")


def extend(seconds: float) -> None:
    """Give the present request this many seconds from now on. Outside of a request nothing happens."""
    limit: _Limit | None = getattr(_local, "limit", None)
    if limit is not None:
        limit.seconds = limit.left = seconds


class Deadlines:
    """The middleware that limits every view. It is the last one, so that it wraps the view alone."""

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

    def process_view(self, request: HttpRequest, *args: Any) -> None:
        """Begin to count."""
        limit: _Limit | None = getattr(_local, "limit", None)
        if limit is not None:
            limit.is_begun = True

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return a page that explains the limit, if the limit ended the request."""
        limit: _Limit | None = getattr(_local, "limit", None)
        if not isinstance(error, OperationalError) or limit is None or not limit.is_over:
            return None
        page = request.resolver_match.view_name if request.resolver_match else ""  # An address may hold a secret.
        log.warning("the page %s was ended: its database statements took more than %g s", page, limit.seconds)
        return render(request, "took_too_long.html", {"seconds": limit.seconds}, status=503)
