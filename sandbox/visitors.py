"""Visitors of a received mail: a person, a proxy of Apple or Gmail, or a link scanner.

They make real requests, for the pixel and the counted links of this site alone, and only to this machine's own port.
Each comes from a loopback network of its own, as on the Internet.
"""

import http.client
import logging
import re
import threading
import time
import zlib
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from mail.links import tracking
from mail.links.tracking import CLICKS, CODE_LETTERS, OPENS, PIXEL_SUFFIX, TOKEN_LETTERS
from mail.visits.rules import AT_ONCE_SECONDS
from sandbox.mail_view import read
from sandbox.specials import Special

log = logging.getLogger(__name__)

READING_SECONDS = AT_ONCE_SECONDS + 5  # Even mail that came this moment is then clicked like a person's.
SCANNER_PAUSE_SECONDS = 0.2
MOST_LINKS = 50
MOST_AT_ONCE = 50  # Visitors in one process.
TIMEOUT_SECONDS = 5.0

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
EDGE = f"{CHROME} Edg/126.0.0.0"
APPLE_PRIVACY = "Mozilla/5.0"
GMAIL_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"

_TOKEN = rf"[A-Za-z0-9_-]{{{TOKEN_LETTERS}}}"
_COUNTED = rf"({CLICKS}{_TOKEN}[a-z2-7]{{{CODE_LETTERS}}}|{OPENS}{_TOKEN}{re.escape(PIXEL_SUFFIX)})(?![\w-])"
_OTHER_HOST = r"https://[a-z0-9.-]+"
_places = threading.Semaphore(MOST_AT_ONCE)


class Guise(StrEnum):
    """Who visits."""

    PERSON = "person"
    APPLE_PRIVACY = "apple-privacy"
    SCANNER = "scanner"
    GMAIL_PROXY = "gmail-proxy"


_GUISES = {
    Special.READS: Guise.PERSON,
    Special.APPLE_PRIVACY: Guise.APPLE_PRIVACY,
    Special.GMAIL_PROXY: Guise.GMAIL_PROXY,
    Special.LINK_SCANNER: Guise.SCANNER,
}
_PROXIES = {Guise.APPLE_PRIVACY: APPLE_PRIVACY, Guise.GMAIL_PROXY: GMAIL_PROXY}  # They load pixels alone.
EARLIEST_SECONDS = {
    Guise.PERSON: 15,
    Guise.APPLE_PRIVACY: 5,
    Guise.GMAIL_PROXY: 20,
    Guise.SCANNER: 2,
}  # After a mail came.


class PlannedRequest(NamedTuple):
    """One request of a visitor."""

    seconds: float  # After the beginning.
    url: str  # It names the host; the request goes to this machine whatever that is.
    user_agent: str
    address: str  # On loopback, where the request comes from.


class Counted(NamedTuple):
    """The addresses in a mail that are counted."""

    pixel: str  # Empty: none.
    links: list[str]


def counted_in(content: bytes) -> Counted:
    """Return the pixel and the different counted links of a mail, in their order."""
    mail = read(content)
    site = settings.TRACKING_URL
    found = re.finditer(rf"({re.escape(site)}|{_OTHER_HOST}){_COUNTED}", f"{mail.html or ''}\n{mail.text or ''}")
    # Domains may have hosts of their own for links. Under any name, a genuine token is ours.
    ours = [(each[2], each[0]) for each in found if each[1] == site or _is_genuine(each[2])]
    pixels = [url for path, url in ours if path.startswith(OPENS)]
    links = dict.fromkeys(url for path, url in ours if path.startswith(CLICKS))
    return Counted(pixels[0] if pixels else "", list(links)[:MOST_LINKS])


def _is_genuine(path: str) -> bool:
    if path.startswith(OPENS):
        return tracking.read_pixel(path.removeprefix(OPENS), settings.TOKEN_KEYS) is not None
    return tracking.read_link(path.removeprefix(CLICKS), settings.TOKEN_KEYS) is not None


def requests_of(guise: Guise, counted: Counted, recipient: str) -> list[PlannedRequest]:
    """Return what a visitor asks for. The source network and the link that a person clicks differ by recipient."""
    number = zlib.crc32(recipient.encode())
    network = list(Guise).index(guise) * 60 + 10 + number % 60
    address = f"127.{network}.{number // 60 % 250}.1"
    pixel, links = counted
    if guise in _PROXIES:
        return [PlannedRequest(0, pixel, _PROXIES[guise], address)] if pixel else []
    if guise is Guise.SCANNER:
        return [
            PlannedRequest(place * SCANNER_PAUSE_SECONDS, link, CHROME, address) for place, link in enumerate(links)
        ]
    opened = [PlannedRequest(0, pixel, EDGE, address)] if pixel else []
    clicked = [links[number % len(links)]] if links else []
    return [*opened, *(PlannedRequest(READING_SECONDS, link, EDGE, address) for link in clicked)]


def visit_by(kind: Special | None, recipient: str, content: bytes) -> None:
    """Have a mail visited some seconds later, if its recipient is one who does that."""
    if kind not in _GUISES:
        return
    guise = _GUISES[kind]
    wait = EARLIEST_SECONDS[guise]
    if guise is Guise.PERSON:  # Not all at once.
        wait += zlib.crc32(recipient.encode()) % 60
    requests = requests_of(guise, counted_in(content), recipient)
    if requests:
        visit([request._replace(seconds=request.seconds + wait) for request in requests])


def visit(requests: Sequence[PlannedRequest]) -> bool:
    """Make the requests in the background, each at its time; False if too many visitors are at work already."""
    if not _places.acquire(blocking=False):
        return False
    threading.Thread(target=_visit, args=(list(requests),), name="sandbox-visitor", daemon=True).start()
    return True


def _visit(requests: list[PlannedRequest]) -> None:
    begun = time.monotonic()
    try:
        for request in sorted(requests):
            time.sleep(max(begun + request.seconds - time.monotonic(), 0))
            ask(request)
    except (OSError, http.client.HTTPException) as error:
        log.warning("A visitor of the test inbox did not reach this site on port %d: %s", settings.PORT, error)
    finally:
        _places.release()


def ask(request: PlannedRequest) -> int:
    """Make one request and return the status of its answer. A redirect isn't followed.

    :raises OSError: or ``HTTPException``, if this site doesn't answer.
    """
    host = "127.0.0.1" if settings.HOST in ("0.0.0.0", "") else settings.HOST  # noqa: S104  # compared, not bound
    source = (request.address, 0) if host == "127.0.0.1" else None
    connection = http.client.HTTPConnection(host, settings.PORT, timeout=TIMEOUT_SECONDS, source_address=source)
    try:
        headers = {"Host": urlsplit(request.url).netloc, "User-Agent": request.user_agent}
        # What stands before it is where a proxy has this site.
        path = request.url[max(request.url.rfind(CLICKS), request.url.rfind(OPENS)) :]
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
