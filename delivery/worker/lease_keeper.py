"""The lease keeper: renews the leases of all lanes of a process, and checks whether the lanes may go on.

One query serves all lanes: a hundred lanes that each asked the database would slow it down.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

from django.conf import settings
from django.db import Error as DatabaseProblem

from delivery.outbox import claims, leases
from delivery.outcomes import provider_holds
from delivery.worker.lane_worker import LaneWorker
from smtpservers.models import SmtpServer

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0  # The pause between two checks. A stop takes effect within this time.
CHECKED_AT_ONCE = 2_000  # Messages in one check, so that other work of the database gets its turn in between.


class Process(Protocol):
    """The services of the process that the lease keeper uses."""

    in_database: Any
    for_leases: Any  # A second database thread, so that no lease expires while other work waits.
    clock: Callable[[], dt.datetime]

    @property
    def is_stopping(self) -> bool: ...

    def lane_workers(self) -> list[LaneWorker]: ...


class LeaseKeeper:
    """Renews the leases of a process, and checks its lanes, until it is cancelled."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def keep_leases(self) -> None:
        """Renew the leases periodically. A lane whose lease cannot be renewed is lost."""
        while True:
            await asyncio.sleep(settings.LEASE_SECONDS / 4)
            await self._run(self._renew, [worker for worker in self._process.lane_workers() if worker.has_lease])

    async def keep_checking(self) -> None:
        """Notice stops, pauses, edits and servers switched off within ``CHECK_SECONDS``."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self._run(self._check, [worker for worker in self._process.lane_workers() if worker.is_working])

    async def _run(self, step: Callable[[list[LaneWorker]], Awaitable[None]], workers: list[LaneWorker]) -> None:
        if not workers:
            return
        try:
            await step(workers)
        except Exception as error:  # Nobody knows their state: all lanes end, and the recovery settles their attempts.
            if isinstance(error, DatabaseProblem):
                log.error("the database does not answer; %d lanes stop: %s", len(workers), error)
            else:
                log.exception("%d lanes stop", len(workers))
            for worker in workers:
                worker.lane.lose()

    async def _renew(self, workers: list[LaneWorker]) -> None:
        lost = await self._process.for_leases(leases.renew, [worker.lane.lease for worker in workers])
        for worker in workers:
            if worker.lane.lease in lost:
                worker.lane.lose()

    async def _check(self, workers: list[LaneWorker]) -> None:
        may_go_on: set[LaneWorker] = set()
        if not self._process.is_stopping:
            for group in _groups([worker for worker in workers if not worker.lane.is_halted]):
                may_go_on |= await self._process.in_database(self._read_state, group)
        for worker in workers:
            if worker in may_go_on and not worker.lane.is_halted:
                worker.resume()
            else:
                worker.give_up()

    def _read_state(self, workers: Sequence[LaneWorker]) -> set[LaneWorker]:
        """Read stops, servers and holds for the lanes, in the database thread; return the workers that may go on."""
        now = self._process.clock()
        stopped = claims.stopped([pk for worker in workers for pk in tuple(worker.buffer.in_hand)], now)
        servers = SmtpServer.objects.in_bulk([worker.lane.server_id for worker in workers])
        provider_holds.load_all([worker.lane.holds for worker in workers], now)
        for worker in workers:
            worker.buffer.add_stops(stopped)
        return {worker for worker in workers if worker.lane.refresh(servers.get(worker.lane.server_id))}


def _groups(workers: Sequence[LaneWorker]) -> Iterator[list[LaneWorker]]:
    """Divide the workers into groups with about ``CHECKED_AT_ONCE`` messages in hand each."""
    group: list[LaneWorker] = []
    messages = 0
    for worker in workers:
        group.append(worker)
        messages += len(worker.buffer.in_hand)
        if messages >= CHECKED_AT_ONCE:
            yield group
            group, messages = [], 0
    if group:
        yield group
