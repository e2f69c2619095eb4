"""Asking an unsubscribe address of somebody's own whether it takes one click (RFC 8058), and noting the answer.

The address was typed by a person and is asked from inside our network: a name is resolved once, every address it has
must be one of the open Internet, and exactly the address that was judged is spoken to.
"""

import asyncio
import datetime as dt
import re
import ssl
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db.models import F

from mail.addresses import AddressInvalid, ascii_domain
from mail.reachability import is_loopback, is_public
from smtpservers.forms.validators import fill_unsubscribe_url
from smtpservers.models import SmtpServer
from smtpservers.smtp.connection import Resolve, look_up

SECONDS = 5.0  # For everything together.
HEAD_BYTES = 32 * 1024
BODY_BYTES = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])\b")
_PASSWORD_FIELD = re.compile(rb"<input\b[^>]*\btype\s*=\s*[\"']?password\b", re.IGNORECASE)
_BODY = b"List-Unsubscribe=One-Click"


class NoOneClick(Exception):
    """The address takes no click, or could not be asked; the text is a sentence that says why."""


def probe_server(server_id: int, now: dt.datetime, context: ssl.SSLContext | None = None) -> str | None:
    """Ask the unsubscribe address of a server and note the answer beside it.

    :param context: how certificates are checked; the usual way where none is given.
    :return: why it takes no click, empty if it does; None if there is nothing to ask, or it was changed meanwhile.
    """
    server = SmtpServer.objects.filter(pk=server_id).first()
    if server is None or not server.has_unsubscribe_page:  # Deleted or edited since it was to be asked.
        return None
    problem = probe(server.unsubscribe_url, allows_loopback=settings.IS_LOOPBACK, context=context)[:300]
    # The version grows, so that what is composed from now on follows the answer.
    noted = SmtpServer.objects.filter(pk=server_id, unsubscribe_url=server.unsubscribe_url).update(
        unsubscribe_probed_at=now, unsubscribe_problem=problem, version=F("version") + 1
    )
    return problem if noted else None


def probe(
    template: str,
    *,
    allows_loopback: bool,
    context: ssl.SSLContext | None = None,
    resolve: Resolve | None = None,
    seconds: float = SECONDS,
) -> str:
    """Send one click that belongs to nobody and return why it was not taken; empty if it was.

    It is taken by an answer of 2xx that is no redirect and asks for no password.

    :param allows_loopback: whether this machine itself may be asked, as in the demo.
    :param resolve: finds the addresses of a host; the system's resolver where none is given.
    """
    url = fill_unsubscribe_url(template, token="probe", email="probe@example.com", campaign="probe", list_id="0")  # noqa: S106 - it belongs to nobody.
    try:
        asyncio.run(_ask(url, allows_loopback, context or ssl.create_default_context(), resolve or look_up, seconds))
    except NoOneClick as error:
        return str(error)
    return ""


async def _ask(url: str, allows_loopback: bool, context: ssl.SSLContext, resolve: Resolve, seconds: float) -> None:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or 443
        host = host if ":" in host else ascii_domain(host)
    except (ValueError, AddressInvalid):
        raise NoOneClick("The address names no host that could be asked.") from None
    if parts.scheme != "https" or not host:
        raise NoOneClick("One click needs an address that starts with https://.")
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        async with asyncio.timeout(seconds):
            addresses = await _judged(host, port, allows_loopback, resolve)
            reader, writer = await _open(addresses, host, port, context)
            try:
                await _post(reader, writer, parts.netloc.rpartition("@")[2], target, host)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise NoOneClick(f"{host} did not answer within {seconds:g} seconds.") from None


async def _judged(host: str, port: int, allows_loopback: bool, resolve: Resolve) -> list[str]:
    """Return the addresses of a host if each of them may be asked."""
    try:
        addresses = await resolve(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise NoOneClick(f"There is no address for {host}.")
    if not all(may_be_asked(address, allows_loopback=allows_loopback) for address in addresses):
        raise NoOneClick(f"{host} is in a private network, where recipients cannot reach it either.")
    return addresses


def may_be_asked(address: str, *, allows_loopback: bool) -> bool:
    """Tell whether an IP address belongs to the open Internet or, where that may be, to this machine."""
    return is_public(address) or (allows_loopback and is_loopback(address))


async def _open(
    addresses: list[str], host: str, port: int, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    problem = ""
    for address in addresses:
        try:
            return await asyncio.open_connection(
                address, port, ssl=context, server_hostname=host, ssl_handshake_timeout=60, limit=HEAD_BYTES
            )
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or "no TLS"
            raise NoOneClick(f"The certificate or encryption of {host} was refused: {why}.") from None
        except OSError:
            problem = f"{host} does not take connections on port {port}."
    raise NoOneClick(problem)


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, target: str, host: str
) -> None:
    writer.write(
        f"POST {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Brilliance (one-click check)\r\n"
        "Accept-Encoding: identity\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(_BODY)}\r\nConnection: close\r\n\r\n".encode("ascii")
        + _BODY
    )
    status = 100
    try:
        while status < 200:  # What comes before is provisional (RFC 9110 section 15.2).
            head = await reader.readuntil(b"\r\n\r\n")
            found = _STATUS.match(head)
            if found is None:
                raise NoOneClick(f"{host} answered with something that is not HTTP.")
            status = int(found[1])
        if 300 <= status < 400:
            raise NoOneClick(f"{host} answered with a redirect ({status}), which one click does not follow.")
        if status >= 400:
            raise NoOneClick(f"{host} answered {status} to a click; it must answer 2xx without a sign-in.")
        if _PASSWORD_FIELD.search(await _body(reader)):
            raise NoOneClick(f"{host} answered with a page that asks for a password.")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise NoOneClick(f"{host} ended the connection without an answer.") from None


async def _body(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while part := await reader.read(BODY_BYTES - len(body)):  # Asked for no more bytes, it gives none.
        body += part
    return bytes(body)
