"""The answers to opens and clicks, in front of Django: a redirect or a pixel, and a line in the spool.

Nothing else passes here, so that a thousand clicks a second need no session, middleware or database. A wrong link is
left to Django, which has a page for it. No cookie is set or read, and no IP address or user agent is kept.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection

from delivery import clock
from feedback.visits import counts
from feedback.visits.gateways import Gateways
from feedback.visits.networks import NetworkHashes
from feedback.visits.spool import Line, Spool, spool_folder, written_line
from feedback.visits.targets import Targets
from feedback.visits.turn import StandIn
from mail.links.tracking import CLICKS, CODE_LETTERS, OPENS, PIXEL_SUFFIX, TOKEN_LETTERS, Token, read, read_link
from mail.visits.names import Kind
from mail.visits.request import facts
from net.origins import origin_of

log = logging.getLogger(__name__)

Environ = Mapping[str, Any]
Start = Callable[..., Any]
Application = Callable[[Any, Any], Iterable[bytes]]

WRONG_PER_MINUTE = 60  # Wrong links of one network.
MOST_NETWORKS = 10_000  # That are counted at once. Others wait for the next minute.
END_SECONDS = 5.0  # Most that ending waits for a thread, which may be waiting for the database.
RETRY_SECONDS = 5  # A browser asks again by itself when the database is away.
PIXEL = bytes.fromhex(  # One transparent point.
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)

_LINK = [
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),  # The address of the link belongs to one person.
    ("X-Robots-Tag", "noindex"),
]
_TEXT = [
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    *_LINK,
]
_IMAGE = [
    ("Content-Type", "image/gif"),
    ("Content-Length", str(len(PIXEL))),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),  # Web mail shows it on its own site.
    *_LINK,
]


class WrongLinks:
    """The number of wrong links of each network within a minute. It needs little memory, however many networks ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._ends_at = 0.0

    def is_too_often(self, network: str) -> bool:
        """Count a wrong link, and tell whether its network has had too many."""
        now = time.monotonic()
        with self._lock:
            if now >= self._ends_at:
                self._counts, self._ends_at = {}, now + 60
            if network not in self._counts and len(self._counts) >= MOST_NETWORKS:
                return True
            self._counts[network] = number = self._counts.get(network, 0) + 1
            return number > WRONG_PER_MINUTE


class Edge:
    """A WSGI application (PEP 3333) that answers opens and clicks, and leaves everything else to another one."""

    def __init__(self, application: Application, busy_page: Callable[[str], bytes]) -> None:
        """
        :param busy_page: returns the HTML page for a link that cannot be looked up now, by ``Accept-Language``.
        """
        self._application = application
        self._busy_page = busy_page
        self._targets = Targets()
        self._spool = Spool(spool_folder())
        self._networks = NetworkHashes(spool_folder())
        self._gateways = Gateways()
        self._wrong = WrongLinks()
        self._caretakers: list[threading.Thread] = []
        self._is_ending = threading.Event()
        self._starting = threading.Lock()

    def start(self) -> None:
        """Read the saved networks of gateways and begin to follow them, before the first visit comes."""
        self._look_at_gateways()
        self._start_caretakers()

    def end(self) -> None:
        """End the threads. A visit after it starts them again."""
        with self._starting:
            self._is_ending.set()
            for thread in self._caretakers:
                thread.join(END_SECONDS)

    def __call__(self, wsgi: Environ, start: Start) -> Iterable[bytes]:
        path = wsgi.get("PATH_INFO", "")
        if not path.startswith((CLICKS, OPENS)):
            return self._application(wsgi, start)
        if wsgi["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")])
            return [b""]
        if path.startswith(CLICKS):
            return self._redirect(path.removeprefix(CLICKS), wsgi, start)
        return self._show_pixel(path.removeprefix(OPENS), wsgi, start)

    def _redirect(self, text: str, wsgi: Environ, start: Start) -> Iterable[bytes]:
        # Scanners and programs add to links. That leads to the same place, and is noted.
        link, suffix = text[: TOKEN_LETTERS + CODE_LETTERS], text[TOKEN_LETTERS + CODE_LETTERS :]
        found = read_link(link, settings.TOKEN_KEYS)
        if found is None:
            return self._refuse(wsgi, start)
        token, code = found
        try:
            location = self._targets.location_of(code)
        except DatabaseError:
            return self._ask_to_wait(wsgi, start)
        if location is None:  # Whoever has one token could go on guessing codes.
            return self._refuse(wsgi, start)
        self._note(Kind.CLICK, token, code, suffix, wsgi)
        start("302 Found", [("Location", location), ("Content-Length", "0"), *_LINK])
        return [b""]

    def _show_pixel(self, text: str, wsgi: Environ, start: Start) -> Iterable[bytes]:
        token = read(text[:TOKEN_LETTERS], settings.TOKEN_KEYS)
        if token is None:
            return self._refuse(wsgi, start)
        self._note(Kind.OPEN, token, "", text[TOKEN_LETTERS:].removeprefix(PIXEL_SUFFIX), wsgi)
        start("200 OK", list(_IMAGE))
        return [b"" if wsgi["REQUEST_METHOD"] == "HEAD" else PIXEL]

    def _note(self, kind: Kind, token: Token, code: str, suffix: str, wsgi: Environ) -> None:
        origin = origin_of(wsgi)
        noted = facts(kind, wsgi, suffix, origin in self._gateways)
        line = Line(int(time.time()), token, code, noted, self._networks.of(origin))
        self._spool.append(written_line(line))
        if not self._is_taken_care_of():
            self._start_caretakers()

    def _is_taken_care_of(self) -> bool:
        return bool(self._caretakers) and self._caretakers[0].is_alive()  # No thread outlives a fork.

    def _start_caretakers(self) -> None:
        with self._starting:
            if self._is_taken_care_of():  # Another thread was first.
                return
            self._is_ending = threading.Event()
            # Two of them: to gather what has waited for long may take minutes.
            self._caretakers = [
                threading.Thread(target=self._take_care, name="spool", daemon=True),
                threading.Thread(target=self._follow_gateways, name="gateways", daemon=True),
            ]
            for thread in self._caretakers:
                thread.start()

    def _follow_gateways(self) -> None:
        while not self._is_ending.wait(1):
            self._look_at_gateways()

    def _look_at_gateways(self) -> None:
        try:
            self._gateways.look()
        except Exception:  # The thread must outlive whatever happens.
            log.exception("the networks of gateways were not read")

    def _take_care(self) -> None:
        stand_in = StandIn()
        while not self._is_ending.wait(1):
            try:
                self._look_after_spool()
                stand_in.step_in()
            except Exception:  # The thread must outlive whatever happens.
                log.exception("the spool was not tended")

    def _look_after_spool(self) -> None:
        self._spool.tend()
        if self._spool.has_gap:
            self._note_gap()

    def _note_gap(self) -> None:
        """Note that answered visits could not be kept. Where the database can't be written either, a later call does.

        Nobody is called silent then who may have been one of these visitors.
        """
        self._spool.has_gap = False  # Before the time is read: what is lost meanwhile is noted by the next call.
        try:
            counts.note_gap(clock.now(), every=dt.timedelta())
        except DatabaseError:
            self._spool.has_gap = True
        finally:
            connection.close()

    def _refuse(self, wsgi: Environ, start: Start) -> Iterable[bytes]:
        if not self._wrong.is_too_often(self._networks.of(origin_of(wsgi))):
            return self._leave_to_django(wsgi, start)
        body = b"Too many requests with a wrong link. Please try again in a minute."
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start("429 Too Many Requests", [*headers, ("Retry-After", "60"), *_TEXT])
        return [b"" if wsgi["REQUEST_METHOD"] == "HEAD" else body]

    def _leave_to_django(self, wsgi: Environ, start: Start) -> Iterable[bytes]:
        """Have Django show the page about the link, under the name that it knows itself by."""
        host = settings.BASE_URL.partition("://")[2].partition("/")[0]
        return self._application({**wsgi, "HTTP_HOST": host}, start)

    def _ask_to_wait(self, wsgi: Environ, start: Start) -> Iterable[bytes]:
        """Have the browser ask again by itself, so that the person gets where they wanted to go."""
        body = self._busy_page(str(wsgi.get("HTTP_ACCEPT_LANGUAGE", ""))[:500])
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
        waits = [("Retry-After", str(RETRY_SECONDS)), ("Refresh", str(RETRY_SECONDS))]
        start("503 Service Unavailable", [*headers, *waits, *_TEXT])
        return [b"" if wsgi["REQUEST_METHOD"] == "HEAD" else body]
