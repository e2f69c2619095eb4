"""The judge of addresses: which hosts may be connected to, where users type them and we call from inside our network.

A name is resolved once, every address of it must be allowed, and the connection goes to exactly those addresses.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Container
from typing import Any

from django.conf import settings

from mail.addresses import AddressInvalid, ascii_domain, readable_domain
from mail.reachability import is_loopback, is_public

Resolve = Callable[[str, int], Awaitable[list[str]]]

# Mail submission, relay and reading, with TLS and without, and HTTPS. Where this machine is allowed, any port of it is.
PORTS = frozenset({25, 465, 587, 2525, 143, 993, 110, 995, 443})
ANY_PORT = range(1, 65536)


class NotConnected(Exception):
    """No connection could be had; the text is a sentence for people that names the host and no address of it."""


def may_be_called(address: str, *, allows_loopback: bool) -> bool:
    """Tell whether an IP address is public or, if allowed, of this machine."""
    return is_public(address) or (allows_loopback and is_loopback(address))


async def allowed_addresses(
    host: str, port: int, *, ports: Container[int] = PORTS, resolve: Resolve | None = None
) -> list[str]:
    """Return the addresses of a host, if all of them may be connected to.

    This machine is allowed where the site itself is on it, as in the demo (``BASE_URL``), and nowhere else.

    :param host: a name or IP address, without brackets.
    :param resolve: resolves a host to addresses; None: the system's resolver.
    :raises NotConnected: if there is no address, one of them is not allowed, or the port is not.
    """
    shown = readable_domain(host)
    try:
        addresses = await (resolve or look_up)(host if ":" in host else ascii_domain(host), port)
    except (OSError, UnicodeError, AddressInvalid):
        addresses = []
    if not addresses:
        raise NotConnected(f"There is no address for {shown}. Check its spelling, or its record in DNS.")
    if not all(may_be_called(address, allows_loopback=settings.IS_LOOPBACK) for address in addresses):
        raise NotConnected(f"{shown} is in a private network, and only public hosts are called. Enter a public host.")
    if port not in ports and not all(map(is_loopback, addresses)):
        raise NotConnected(
            f"Port {port} of {shown} is not called: it is no port of mail or the web. Use a usual one, e.g. 993 or 443."
        )
    return addresses


async def look_up(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host from the system's resolver, without duplicates.

    The resolver cannot be interrupted. So each question has a thread of its own: a slow name holds up no other name,
    and neither the caller's time limit nor the end of its event loop.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Any]] = loop.create_future()

    def settle(found: list[Any], error: Exception | None) -> None:
        if answer.cancelled():
            return
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)

    def ask() -> None:
        found: list[Any] = []
        problem: Exception | None = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # Whatever it is, the caller has to hear it.
            problem = error
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            loop.call_soon_threadsafe(settle, found, problem)

    threading.Thread(target=ask, name=f"look up {host[:50]}", daemon=True).start()
    return list(dict.fromkeys(str(entry[4][0]) for entry in await answer))
