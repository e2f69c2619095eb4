"""Names that do not resolve, lines that fall silent, and a fleet of many connections: the rest of the mail goes on."""

import os
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from delivery.models import Mailing, Message
from delivery.outcomes import recovery
from smtpservers.models import Route
from tests.delivery.making import make_list, make_mailing, make_server, run_drain, run_until_finished
from tests.harness.judge import judge_account, most_on_one_connection, most_open, per_server, verify
from tests.peers.conversation import late
from tests.peers.crowd import running_crowd
from tests.peers.misbehaving import at
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


class StallingProxy:
    """A line to a server that can fall silent: no byte passes any more, and no end of the connection either."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._other: dict[socket.socket, socket.socket] = {}
        self._is_over = threading.Event()
        self._is_to_stall = threading.Event()
        self.stalled = 0

    def stall(self) -> None:
        """Silence the connections there are; new ones work."""
        self._is_to_stall.set()

    def run(self) -> None:
        while not self._is_over.is_set():
            if self._is_to_stall.is_set():
                self._is_to_stall.clear()
                self.stalled += len(self._other) // 2
                for one in self._other:
                    self._selector.unregister(one)
                self._silent, self._other = self._other, {}
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._pass_on(key.fileobj)

    _silent: dict[socket.socket, socket.socket] = {}

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._other[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        if one not in self._other:  # Its other half ended in this very turn.
            return
        try:
            passing = one.recv(65536)
            if passing:
                self._other[one].sendall(passing)
                return
        except OSError:
            pass
        other = self._other.pop(one)
        del self._other[other]
        for each in (one, other):
            self._selector.unregister(each)
            each.close()

    def close(self) -> None:
        self._is_over.set()

    def close_sockets(self) -> None:
        for one in (*self._other, *self._silent, self._listener):
            one.close()
        self._selector.close()


@contextmanager
def stalling_proxy(target: int) -> Iterator[StallingProxy]:
    proxy = StallingProxy(target)
    thread = threading.Thread(target=proxy.run, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(5)
        proxy.close_sockets()


def test_lines_that_fall_silent_are_given_up_and_the_rest_goes_on(tmp_path: Path, settings: Any) -> None:
    settings.FINAL_ANSWER_SECONDS = 1
    with running_peer(tmp_path, at("dot", late(0.02, b"250 2.0.0 queued"))) as peer, stalling_proxy(peer.port) as proxy:
        server = make_server(proxy.port, timeout_seconds=1, max_connections=4)
        mailing = make_mailing(make_list(150))
        watch = threading.Thread(target=_when_accepted, args=(peer, 30, proxy.stall))
        watch.start()

        run_until_finished(mailing)
        watch.join()

        assert proxy.stalled > 0
        statuses = verify(mailing.pk, 150, [(server, peer)])
        assert statuses["accepted"] + statuses["unconfirmed"] == 150
        assert statuses["unconfirmed"] <= proxy.stalled


def _when_accepted(peer: Any, number: int, act: Any) -> None:
    deadline = time.monotonic() + 30
    while len(peer.accepted()) < number and time.monotonic() < deadline:
        time.sleep(0.02)
    act()


@pytest.mark.parametrize("problem", ["silent", "no such name", "a name without a server"])
def test_a_host_name_that_leads_nowhere_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    real = socket.getaddrinfo
    is_over = threading.Event()

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != "mail.lost.example":
            return real(host, *arguments, **options)
        if problem == "silent":
            is_over.wait(30)
        if problem == "a name without a server":
            return real("127.0.0.1", 1, **{key: value for key, value in options.items() if key == "type"})
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with running_peer(tmp_path) as peer:
        lost = make_server(1, "Lost", host="mail.lost.example", timeout_seconds=1, display_order=1)
        server = make_server(peer.port, "Alive", display_order=2)
        mailing = make_mailing(make_list(40))

        threading.Thread(target=_when_accepted, args=(peer, 40, is_over.set)).start()
        run_until_finished(mailing)

        assert verify(mailing.pk, 40, [(server, peer)]) == {"accepted": 40}
        lost.refresh_from_db()
        assert "mail.lost.example" in lost.paused_reason or "refused" in lost.paused_reason


def test_twenty_servers_with_ten_connections_each_keep_every_limit(tmp_path: Path) -> None:
    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": "weighted"})
    with running_crowd(
        tmp_path, ["answers late"] * 14 + ["closes after five", "never greets", "stops reading"] * 2
    ) as crowd:
        servers = {
            port: make_server(
                port,
                f"Server {port}",
                max_connections=10,
                messages_per_connection=7,
                max_per_month=150,
                timeout_seconds=1,
                display_order=number,
            )
            for number, port in enumerate(crowd.ports)
        }
        mailing = make_mailing(make_list(800))
        before = _descriptors()

        deadline = time.monotonic() + 90
        while Mailing.objects.filter(finished_at=None).exists():
            assert time.monotonic() < deadline, (mailing.waiting_reason, crowd.counts())
            run_drain(seconds=10)
            recovery.sweep(timezone.now())

        assert _descriptors() <= before + 3, "no connection is left open"
        found = per_server(crowd.events())
        account = judge_account([mailing.pk], 800, [(server, found[port]) for port, server in servers.items()])
        assert account.problems == {}
        assert account.statuses["accepted"] + account.statuses["unconfirmed"] == 800
        for port, events in found.items():
            assert most_open(events) <= 10, crowd.ways[port]
            assert most_on_one_connection(events) <= 7, crowd.ways[port]
        assert Message.objects.filter(status="accepted").count() > 700


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
