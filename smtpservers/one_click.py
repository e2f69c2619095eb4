"""One click on somebody's unsubscribe page (RFC 8058), over a guarded connection.

Users type the URL, and the click runs inside our network. So the name is resolved once, every address of it must be
public, and the connection goes to exactly the address that was checked.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from mail.addresses import AddressInvalid, ascii_domain, readable_domain
from mail.reachability import is_loopback, is_public
from smtpservers.smtp.connection import Resolve, look_up

HEAD_BYTES = 32 * 1024
BODY_BYTES = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])\b")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
# Each byte is looked at once: the page may be made to last.
_PASSWORD_FIELD = re.compile(rb"<input\b[^<>]*\btype\s*=\s*[\"']?password\b", re.IGNORECASE)
_BODY = b"List-Unsubscribe=One-Click"


class _NotTaken(Exception):
    """The page did not take the click; the text is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """The answer of a page to a click."""

    sentence: str  # Names the host, and nothing of the page's own words or of the URL.
    is_taken: bool


async def click(
    url: str, *, allows_loopback: bool, context: ssl.SSLContext, seconds: float, resolve: Resolve | None = None
) -> PageAnswer:
    """Click once and return the answer. It is taken if it is a 2xx response that has no password field.

    :param allows_loopback: whether the page may be on this machine, as in the demo.
    :param seconds: the most that the whole click may take.
    :param resolve: resolves a host to addresses; None: the system's resolver.
    """
    try:
        return PageAnswer(await _ask(url, allows_loopback, context, resolve or look_up, seconds), True)
    except _NotTaken as error:
        return PageAnswer(str(error), False)


async def _ask(url: str, allows_loopback: bool, context: ssl.SSLContext, resolve: Resolve, seconds: float) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        host = host if ":" in host else ascii_domain(host)
    except (ValueError, AddressInvalid):
        raise _NotTaken("The address names no host that could be asked.") from None
    if parts.scheme != "https" or not host:
        raise _NotTaken("One click needs an address that starts with https://.")
    shown = readable_domain(host)  # In its own script.
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        async with asyncio.timeout(seconds):
            addresses = await _resolve_allowed(host, port, allows_loopback, resolve)
            reader, writer = await _open(addresses, host, port, context)
            try:
                status = await _post(reader, writer, parts.netloc.rpartition("@")[2], target, shown)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise _NotTaken(f"{shown} did not answer within {seconds:g} seconds.") from None
    return f"{shown} answered {status}."


async def _resolve_allowed(host: str, port: int, allows_loopback: bool, resolve: Resolve) -> list[str]:
    """Return the addresses of a host if all of them may be clicked."""
    try:
        addresses = await resolve(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise _NotTaken(f"There is no address for {readable_domain(host)}.")
    if not all(may_be_clicked(address, allows_loopback=allows_loopback) for address in addresses):
        raise _NotTaken(f"{readable_domain(host)} is in a private network, and only public pages are asked.")
    return addresses


def may_be_clicked(address: str, *, allows_loopback: bool) -> bool:
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
            raise _NotTaken(f"The certificate or encryption of {readable_domain(host)} was refused: {why}.") from None
        except OSError:
            problem = f"{readable_domain(host)} does not take connections on port {port}."
    raise _NotTaken(problem)


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, target: str, host: str
) -> int:
    """Send the request; return the status of the response if the click was taken.

    :param host: for people.
    """
    writer.write(
        f"POST {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Brilliance (one click)\r\n"
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
                raise _NotTaken(f"{host} answered with something that is not HTTP.")
            status = int(found[1])
        if 300 <= status < 400:
            raise _NotTaken(f"{host} answered with a redirect ({status}), which one click does not follow.")
        if status >= 400:
            raise _NotTaken(f"{host} answered {status} to a click; it must answer 2xx without a sign-in.")
        length = _LENGTH.search(head)
        announced = 0 if status == 204 else int(length[1]) if length else BODY_BYTES  # Noted, since it may stay open.
        if _PASSWORD_FIELD.search(await _body(reader, min(announced, BODY_BYTES))):
            raise _NotTaken(f"{host} answered with a page that asks for a password.")
        return status
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise _NotTaken(f"{host} ended the connection without an answer.") from None


async def _body(reader: asyncio.StreamReader, most: int) -> bytes:
    body = bytearray()
    while part := await reader.read(most - len(body)):  # At the limit it reads 0 bytes and the loop ends.
        body += part
    return bytes(body)
