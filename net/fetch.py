"""One HTTPS request over a guarded connection: no redirects, and limits on the time and size of the response."""

import asyncio
import re
import ssl
from collections.abc import Container, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from mail.addresses import AddressInvalid, ascii_domain, readable_domain
from net.addresses import PORTS, NotConnected, Resolve
from net.connection import open_streams

HEAD_BYTES = 32 * 1024
BODY_BYTES = 64 * 1024
FORM = "application/x-www-form-urlencoded"
_NOT_IN_TARGETS = re.compile(r"[^!-~]")  # RFC 9112 section 3.2: visible characters of ASCII alone.
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])\b")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Response:
    """A response; its body is cut off at the limit. Redirects are responses too."""

    status: int
    body: bytes
    host: str  # For people: in its own script.


def fetch(
    url: str,
    *,
    seconds: float,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    most: int = BODY_BYTES,
    context: ssl.SSLContext | None = None,
) -> Response:
    """Return the response to one request. Not for use within an event loop; see :func:`request` for the parameters."""
    return asyncio.run(
        request(url, seconds=seconds, method=method, body=body, headers=headers, most=most, context=context)
    )


async def request(
    url: str,
    *,
    seconds: float,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    most: int = BODY_BYTES,
    context: ssl.SSLContext | None = None,
    ports: Container[int] = PORTS,
    resolve: Resolve | None = None,
) -> Response:
    """Return the response to one request.

    :param url: must start with https://.
    :param seconds: the most that all of it may take.
    :param headers: further ones; no line breaks.
    :param most: the bytes of the body to read; the rest is left.
    :param context: the TLS context; None: the default checks.
    :raises NotConnected: with a sentence for people that names the host alone, and nothing of the URL or the response.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        host = host if ":" in host else ascii_domain(host)
    except (ValueError, AddressInvalid):
        raise NotConnected(
            "The address names no host that could be asked. Write it like https://example.com/page."
        ) from None
    if parts.scheme != "https" or not host:
        raise NotConnected(
            "Only an address that starts with https:// is called. Write it like https://example.com/page."
        )
    shown = readable_domain(host)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    if _NOT_IN_TARGETS.search(target):  # A space would end it early.
        raise NotConnected(
            f"The address at {shown} holds a space or a letter that has to be percent-encoded."
            " Copy it from a browser's address bar."
        )
    lines = {
        "Host": _host_line(host, parts.port),
        "User-Agent": "Brilliance",
        "Accept-Encoding": "identity",
        **(headers or {}),
        **({"Content-Length": str(len(body))} if body or method != "GET" else {}),
        "Connection": "close",
    }
    head = _head(f"{method} {target} HTTP/1.1", lines)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await open_streams(
                host, port, context=context, ports=ports, resolve=resolve, limit=HEAD_BYTES
            )
            try:
                writer.write(head + body)
                return await _response(reader, most, shown)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise NotConnected(
            f"{shown} did not answer within {seconds:g} seconds. Check host and port, or try again later."
        ) from None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise NotConnected(
            f"{shown} ended the connection without an answer. Check port and encryption, or try again later."
        ) from None


def _host_line(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _head(first: str, headers: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    if any(character in line for line in lines for character in "\r\n\0"):
        raise ValueError("a line of an HTTP request holds no line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _response(reader: asyncio.StreamReader, most: int, host: str) -> Response:
    status, head = 100, b""
    while status < 200:  # Responses below 200 are provisional (RFC 9110 section 15.2).
        head = await reader.readuntil(b"\r\n\r\n")
        found = _STATUS.match(head)
        if found is None:
            raise NotConnected(f"{host} answered with something that is not HTTP. Check the address and its port.")
        status = int(found[1])
    if status in (204, 304):  # Without a body, whatever the head announces.
        return Response(status, b"", host)
    if _CHUNKED.search(head):
        return Response(status, await _chunks(reader, most), host)
    length = _LENGTH.search(head)
    return Response(status, await _up_to(reader, min(int(length[1]), most) if length else most), host)


async def _up_to(reader: asyncio.StreamReader, most: int) -> bytes:
    body = bytearray()
    while part := await reader.read(most - len(body)):  # At the limit it reads 0 bytes and the loop ends.
        body += part
    return bytes(body)


async def _chunks(reader: asyncio.StreamReader, most: int) -> bytes:
    """Return a body in chunks (RFC 9112 section 7.1), up to the limit."""
    body = b""
    while len(body) < most:
        line = (await reader.readuntil(b"\r\n")).partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", line):
            raise OSError("a chunk without a size")
        size = int(line, 16)
        if size == 0:
            break
        body += await reader.readexactly(min(size, most - len(body)))
        if len(body) < most:
            await reader.readexactly(2)  # Its line end.
    return body
