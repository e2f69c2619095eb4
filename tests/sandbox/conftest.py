"""A running sandbox for the tests: the real listeners on free ports, storing into the test database."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import certificates, credentials
from sandbox.late_delivery import LateDelivery
from sandbox.listeners import receiving
from sandbox.models import AUTH, PLAIN, STARTTLS
from sandbox.store import Store


@dataclass(frozen=True)
class Running:
    plain: int
    starttls: int
    auth: int
    authority: Path
    password: str


@pytest.fixture
def sandbox(transactional_db: None, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, LateDelivery(0)) as sandbox:  # Nobody listens for late mail.
        yield sandbox


@contextmanager
def running(tmp_path: Path, late: LateDelivery) -> Iterator[Running]:
    started, ports = threading.Event(), {}
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    async def run() -> None:
        free = {PLAIN: 0, STARTTLS: 0, AUTH: 0}
        async with receiving(tmp_path, free, Store(kept=100, prune_every=10), late) as taken:
            ports.update(taken)
            started.set()
            await stopped.wait()

    def run_loop() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=run_loop)
    thread.start()
    try:
        assert started.wait(10)
        yield Running(
            ports[PLAIN],
            ports[STARTTLS],
            ports[AUTH],
            certificates.ensure(tmp_path).authority,
            credentials.password(tmp_path),
        )
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)
    assert not thread.is_alive()
