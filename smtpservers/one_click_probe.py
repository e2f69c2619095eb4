"""A probe whether a custom unsubscribe page supports one-click unsubscribe (RFC 8058); the result is stored.

Users type the URL, and the probe runs inside our network. So the name is resolved once, every address of it must be
public, and the connection goes to exactly the address that was checked.
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

SECONDS = 5.0  # For the whole probe.
HEAD_BYTES = 32 * 1024
BODY_BYTES = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])\b")
_PASSWORD_FIELD = re.compile(rb"<input\b[^>]*\btype\s*=\s*[\"']?password\b", re.IGNORECASE)
_BODY = b"List-Unsubscribe=One-Click"


class NoOneClick(Exception):
    """The page does not support one click, or could not be probed; the text is a sentence that says why."""


def probe_server(server_id: int, now: dt.datetime, context: ssl.SSLContext | None = None) -> str | None:
    """Probe the unsubscribe page of a server and store the result with the server.

    :param context: the TLS context; None: the default checks.
    :return: the reason why it does not support one click, empty if it does; None if there is nothing to probe, or the
        URL changed meanwhile.
    """
    server = SmtpServer.objects.filter(pk=server_id).first()
    if server is None or not server.has_unsubscribe_page:  # Deleted or edited since the probe was requested.
        return None
    problem = probe(server.unsubscribe_url, allows_loopback=settings.IS_LOOPBACK, context=context)[:300]
    # A new version, so that messages composed from now on follow the result.
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
    """Send one click with a token that belongs to nobody; return the reason why it failed, empty if it was accepted.

    Accepted means a 2xx response that is no redirect and has no password field.

    :param allows_loopback: whether this machine may be probed, as in the demo.
    :param resolve: resolves a host to addresses; None: the system's resolver.
    """
    url = fill_unsubscribe_url(template, token="probe", email="probe@example.com", campaign="probe", list_id="0")  # noqa: S106 - the token belongs to nobody.
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
            addresses = await _resolve_allowed(host, port, allows_loopback, resolve)
            reader, writer = await _open(addresses, host, port, context)
            try:
                await _post(reader, writer, parts.netloc.rpartition("@")[2], target, host)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise NoOneClick(f"{host} did not answer within {seconds:g} seconds.") from None


async def _resolve_allowed(host: str, port: int, allows_loopback: bool, resolve: Resolve) -> list[str]:
    """Return the addresses of a host if all of them may be probed."""
    try:
        addresses = await resolve(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise NoOneClick(f"There is no address for {host}.")
    if not all(may_be_probed(address, allows_loopback=allows_loopback) for address in addresses):
        raise NoOneClick(f"{host} is in a private network, where recipients cannot reach it either.")
    return addresses


def may_be_probed(address: str, *, allows_loopback: bool) -> bool:
    """Tell whether an IP address is public or, if allowed, of this machine."""
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
        while status < 200:  # Responses below 200 are provisional (RFC 9110 section 15.2).
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
    while part := await reader.read(BODY_BYTES - len(body)):  # At the limit it reads 0 bytes and the loop ends.
        body += part
    return bytes(body)
