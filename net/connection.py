"""Connections to hosts that the judge of addresses allows: as a socket, or as the streams of asyncio."""

import asyncio
import socket
import ssl
from collections.abc import Container

from mail.addresses import readable_domain
from net.addresses import PORTS, NotConnected, Resolve, allowed_addresses

ADDRESS_SECONDS = 3.0  # Per address but the last, so that a broken IPv6 costs little.


def safe_connect(
    host: str,
    port: int,
    *,
    timeout: float,
    tls: bool = True,
    context: ssl.SSLContext | None = None,
    ports: Container[int] = PORTS,
    resolve: Resolve | None = None,
) -> socket.socket:
    """Return a connected socket, for protocols that block, such as IMAP and POP3. Not for use within an event loop.

    :param timeout: in seconds, for the look-up, the connection and the TLS handshake together; and for each operation
        on the socket afterwards.
    :param tls: whether to encrypt from the first byte; otherwise the caller may do so later with :func:`secure`.
    :param context: the TLS context; None: the default checks, and TLS 1.2 or later.
    :param ports: the ports that may be connected to; any port where this machine is allowed.
    :param resolve: resolves a host to addresses; None: the system's resolver.
    :raises NotConnected: with the reason.
    """
    host = host.strip("[]")
    try:
        connected = asyncio.run(_connect(host, port, timeout, ports, resolve))
    except TimeoutError:
        raise _too_slow(host, timeout) from None
    connected.settimeout(timeout)
    return secure(connected, host, context) if tls else connected


async def _connect(
    host: str, port: int, seconds: float, ports: Container[int], resolve: Resolve | None
) -> socket.socket:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        left = await allowed_addresses(host, port, ports=ports, resolve=resolve)
        while left:
            address, *left = left
            connecting = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            connecting.setblocking(False)
            try:
                async with asyncio.timeout(ADDRESS_SECONDS if left else None):
                    await loop.sock_connect(connecting, (address, port))
                return connecting
            except OSError:  # A timeout is one too.
                connecting.close()
            except BaseException:
                connecting.close()
                raise
    raise _no_connection(host, port)


def secure(connected: socket.socket, host: str, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    """Start TLS on a socket; the certificate must be for ``host``. The socket is closed if that fails.

    :raises NotConnected: with the reason.
    """
    try:
        return (context or ssl.create_default_context()).wrap_socket(connected, server_hostname=host)
    except ssl.SSLError as error:
        connected.close()
        raise _no_tls(host, error) from None
    except OSError:  # Cut off, or too slow.
        connected.close()
        raise NotConnected(
            f"{readable_domain(host)} ended the connection without an answer."
            " Check port and encryption, or try again later."
        ) from None


async def open_streams(
    host: str,
    port: int,
    *,
    context: ssl.SSLContext | None = None,
    ports: Container[int] = PORTS,
    resolve: Resolve | None = None,
    limit: int = 32 * 1024,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of a TLS connection. The caller limits the time.

    :param limit: the most bytes that a line or head may have.
    :raises NotConnected: as :func:`safe_connect`.
    """
    secured = context or ssl.create_default_context()
    left = await allowed_addresses(host, port, ports=ports, resolve=resolve)
    while left:
        address, *left = left
        try:
            async with asyncio.timeout(ADDRESS_SECONDS if left else None):
                return await asyncio.open_connection(
                    address, port, ssl=secured, server_hostname=host, ssl_handshake_timeout=60, limit=limit
                )
        except ssl.SSLError as error:
            raise _no_tls(host, error) from None
        except OSError:  # A timeout is one too. Its next address may answer.
            continue
    raise _no_connection(host, port)


def _too_slow(host: str, seconds: float) -> NotConnected:
    return NotConnected(
        f"{readable_domain(host)} did not answer within {seconds:g} seconds. Check host and port, or try again later."
    )


def _no_connection(host: str, port: int) -> NotConnected:
    return NotConnected(
        f"{readable_domain(host)} does not take connections on port {port}. Check host, port and firewall."
    )


def _no_tls(host: str, error: ssl.SSLError) -> NotConnected:
    why = getattr(error, "verify_message", "") or error.reason or "no TLS"
    return NotConnected(
        f"The certificate or encryption of {readable_domain(host)} was refused: {why}."
        " Check host and port, or ask its operator to fix it."
    )
