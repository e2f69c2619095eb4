"""The judge of addresses: what may be called, and names that are resolved once."""

import asyncio
import socket
import threading
from typing import Any

import pytest
from django.conf import LazySettings

from net.addresses import ANY_PORT, NotConnected, allowed_addresses, look_up, may_be_called


@pytest.mark.parametrize("allows_loopback", [True, False])
@pytest.mark.parametrize(
    ("address", "may_be"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.0.0.1", False),
        ("172.16.5.4", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound to it.
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("198.51.100.7", False),
        ("198.18.0.1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a9fe:a9fe", False),  # NAT64 of 169.254.169.254.
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),  # NAT64 of 93.184.216.34: how networks without IPv4 see it.
        ("2002:a9fe:a9fe::1", False),  # 6to4 of the same.
        ("2002:7f00:1::1", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_asked(address: str, may_be: bool, allows_loopback: bool) -> None:
    assert may_be_called(address, allows_loopback=allows_loopback) is may_be


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_asked_in_the_demo_only(address: str) -> None:
    assert may_be_called(address, allows_loopback=True)
    assert not may_be_called(address, allows_loopback=False)
    assert not may_be_called(f"::ffff:{address}" if "." in address else "2002:7f00:1::", allows_loopback=True)


@pytest.mark.parametrize(
    ("port", "found", "ports", "why"),
    [
        (993, ["93.184.216.34"], None, ""),
        (8993, ["93.184.216.34"], None, "Port 8993 of mail.example is not called"),
        (8993, ["93.184.216.34"], ANY_PORT, ""),
        (8993, ["127.0.0.1"], None, ""),
        (8993, ["127.0.0.1", "93.184.216.34"], None, "Port 8993 of mail.example is not called"),
        (993, ["93.184.216.34", "10.0.0.1"], None, "mail.example is in a private network"),
        (993, [], None, "There is no address for mail.example. Check its spelling, or its record in DNS."),
    ],
)
def test_all_addresses_of_a_host_and_the_port_must_be_allowed(
    port: int, found: list[str], ports: Any, why: str
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return found

    options = {"ports": ports} if ports else {}
    try:
        said = str(asyncio.run(allowed_addresses("mail.example", port, resolve=resolve, **options)))
    except NotConnected as error:
        said = str(error)

    assert said.startswith(why or str(found))


def test_this_machine_is_allowed_where_the_site_is_on_it_alone(settings: LazySettings) -> None:
    settings.IS_LOOPBACK = False

    with pytest.raises(NotConnected, match="localhost is in a private network"):
        asyncio.run(allowed_addresses("localhost", 993))


def test_a_name_that_takes_forever_keeps_neither_another_name_nor_the_end_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, may_go_on, has_ended = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "localhost":
            return real(host, *arguments, **options)
        may_go_on.wait(60)
        has_ended.set()
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async def ask_all() -> list[object]:
        silent = [asyncio.wait_for(look_up("silent.example", 443), 0.5) for _ in range(50)]
        return await asyncio.gather(*silent, look_up("localhost", 443), return_exceptions=True)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    *silent, found = asyncio.run(ask_all())

    assert all(isinstance(each, TimeoutError) for each in silent)
    assert "127.0.0.1" in found
    assert not has_ended.is_set()
    may_go_on.set()
