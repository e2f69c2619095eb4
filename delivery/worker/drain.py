"""Sending what is due: one event loop and one database thread, beside one for leases, for a bounded time.

The plan is made anew every moment; for each server that has work and a free lane, the lane is set to work.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import gc
import logging
import math
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from django.db import Error as DatabaseProblem
from django.db import connections

from delivery.content.composer import SignerFor
from delivery.content.recipient_domains import Validator
from delivery.health import heartbeats
from delivery.outbox import leases
from delivery.outbox import plan as outbox_plan
from delivery.outbox.plan import LaneShare
from delivery.worker.lane_worker import LaneWork
from delivery.worker.lease_keeper import Oversight

log = logging.getLogger(__name__)
T = TypeVar("T")

PLAN_SECONDS = 0.5  # How often the plan is made anew …
PLAN_SHARE = 10  # … and how many times as long as making it the pause between two is at least.
IDLE_SECONDS = 3.0
LATE_SECONDS = 3.0  # A lane that takes so long for its last answers holds up the other servers no more.
MOST_DESCRIPTORS = 65_536  # Open files, which connections are.

Clock = Callable[[], dt.datetime]


async def drain(
    seconds: float,
    *,
    clock: Clock,
    read_clock: Callable[[], object] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
    idle_seconds: float = IDLE_SECONDS,
    signer_for: SignerFor | None = None,
) -> int:
    """Send what is due until nothing is left, ``seconds`` are over, or ``should_stop``; return how many were sent.

    Where one server is long in answering it takes longer, and the other servers go on meanwhile.

    :param seconds: after which it ends as soon as what is claimed is sent.
    :param idle_seconds: how long a lane without work is kept, its connections open.
    :param signer_for: says who signs the mail of a mailing and a server; None leaves it to the servers.
    :param clock: read for what is due and which quota period it is, often and by the event loop: it must not wait.
    :param read_clock: called in the thread of the database before each plan, where the clock has to be set by it.
    """
    _allow_many_connections()
    _leave_code_alone()
    async with _database_thread("database") as in_database, _database_thread("leases") as for_leases:
        with (
            ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="signing") as signing,
            ThreadPoolExecutor(1, thread_name_prefix="composing") as composing,
        ):
            drain = _Drain(in_database, for_leases, clock, read_clock, should_stop, seconds, idle_seconds, signer_for)
            drain.signing, drain.composing = signing, composing
            return await drain.run()


@asynccontextmanager
async def _database_thread(name: str) -> AsyncIterator[Any]:
    """Give what runs a function in a thread that has a connection to the database of its own, one after the other."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=name) as executor:

        async def in_database(function: Callable[..., T], *args: Any) -> T:
            # Shielded: what was handed to the database is done, also when who waits for it is cancelled.
            return await asyncio.shield(loop.run_in_executor(executor, partial(function, *args)))

        try:
            yield in_database
        finally:
            # The connection belongs to the thread that opened it.
            await in_database(connections.close_all)


def _allow_many_connections() -> None:
    """Raise the limit of open files, 1,024 on most systems, as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@functools.cache
def _leave_code_alone() -> None:
    """Have the garbage collector pass over what was loaded so far, which stays for good, and come less often.

    Messages are thousands of small objects a second that hardly ever form circles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class _Drain:
    """The plan, and the lanes this process works."""

    signing: Executor
    composing: Executor

    def __init__(
        self,
        in_database: Any,
        for_leases: Any,
        clock: Clock,
        read_clock: Callable[[], object],
        should_stop: Callable[[], bool],
        seconds: float,
        idle_seconds: float,
        signer_for: SignerFor | None,
    ) -> None:
        self.signer_for = signer_for
        self.in_database = in_database
        self.for_leases = for_leases  # The same, for what must not wait behind other work.
        self.idle_seconds = idle_seconds
        self.clock = clock
        self._read_clock = read_clock
        self.validator = Validator()
        self._shares: dict[int, Sequence[LaneShare]] = {}
        self._should_stop = should_stop
        self._seconds = seconds
        self._end = asyncio.get_running_loop().time() + seconds
        self._is_broken = False  # The database or a lane failed: the drain ends, and the next one begins anew.
        self._lanes: dict[int, tuple[LaneWork, asyncio.Task[int]]] = {}
        self._since: dict[int, float] = {}  # When the server of a lane had nothing more to send.
        self._workers = 1  # That send, this one included.
        self._shown_at = -1e9

    @property
    def is_stopping(self) -> bool:
        """Whether the process is to end: what is not begun goes back."""
        return self._should_stop()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is claimed; what is claimed is still sent."""
        return self._is_broken or self._should_stop() or asyncio.get_running_loop().time() >= self._end

    def shares(self, server_id: int) -> Sequence[LaneShare]:
        """Return what the server is to send by the present plan, the most urgent first."""
        return self._shares.get(server_id, ())

    def at_work(self) -> list[LaneWork]:
        """Return the work on all lanes that were set to work."""
        return [work for work, task in self._lanes.values() if not task.done()]

    async def run(self) -> int:
        oversight = Oversight(self)
        watching = [asyncio.create_task(step()) for step in (oversight.keep_leases, oversight.keep_looking)]
        try:
            return await self._send()
        finally:
            for task in watching:
                task.cancel()

    async def _send(self) -> int:
        sent = 0
        while True:
            pause = await self._make_plan()
            if not self._lanes:
                return sent
            tasks = [task for _, task in self._lanes.values()]
            await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for server_id, (_, task) in list(self._lanes.items()):
                if not task.done():
                    continue
                del self._lanes[server_id]
                if (error := task.exception()) is not None:
                    log.error("a lane broke off; the sweep settles it", exc_info=error)
                    self._is_broken = True
                    await self._keep_cause(server_id, error)
                else:
                    sent += task.result()

    async def _keep_cause(self, server_id: int, error: BaseException) -> None:
        with contextlib.suppress(DatabaseProblem):  # Then that is what people are told.
            await self.in_database(leases.broke_off, server_id, error, self.clock())

    async def _make_plan(self) -> float:
        """Set a lane to work for every server that has work and whose lane is free; return for how long it holds."""
        self._go_on_if_late()
        if self.is_over:
            self._shares = {}
            return PLAN_SECONDS
        began = asyncio.get_running_loop().time()
        try:
            plan, busy, took = await self.in_database(self._plan)
            if began >= self._shown_at + heartbeats.SHOW_EVERY.total_seconds():
                self._shown_at = began
                self._workers = await self.in_database(self._show_life)
        except DatabaseProblem as error:
            log.error("the database does not answer; sending stops: %s", error)
            self._shares, self._is_broken = {}, True
            return PLAN_SECONDS
        self._shares = {work.server_id: work.shares for work in plan}
        self._share_lanes(busy)
        pause: float = max(PLAN_SECONDS, PLAN_SHARE * took)
        return pause

    def _go_on_if_late(self) -> None:
        """Begin another turn when a lane holds the slot anyway: one server's delay must not become that of all mail."""
        now = asyncio.get_running_loop().time()
        if self._lanes and now >= self._end + LATE_SECONDS and not (self._is_broken or self._should_stop()):
            self._end = now + self._seconds

    def _plan(self) -> tuple[Sequence[outbox_plan.ServerWork], set[int], float]:
        """Return the plan, the servers whose lanes are taken, and for how many seconds this kept the database."""
        began = time.monotonic()
        self._read_clock()
        plan = outbox_plan.plan(self.clock())
        return plan, leases.busy_servers(), time.monotonic() - began

    def _show_life(self) -> int:
        now = self.clock()
        heartbeats.show(heartbeats.SENDS, now)
        return heartbeats.senders(now, heartbeats.BELIEVED)

    def _share_lanes(self, busy: set[int]) -> None:
        """Work the lanes of this process's fair share of the servers, and leave the others to other workers."""
        most = math.ceil(len(self._shares) / max(1, self._workers))
        now = asyncio.get_running_loop().time()
        self._since = {pk: self._since.get(pk, now) for pk in self._lanes if pk not in self._shares}
        taken = sum(now < self._since.get(server_id, now) + LATE_SECONDS for server_id in self._lanes)
        for server_id in self._shares:
            if server_id in self._lanes:
                self._lanes[server_id][0].planned()
            elif server_id not in busy and taken < most:
                taken += 1
                work = LaneWork(self, server_id)
                self._lanes[server_id] = (work, asyncio.create_task(work.run()))
        if self._workers > 1:
            working = [work for server_id, (work, _) in self._lanes.items() if server_id in self._shares]
            for work in working[most:]:
                work.leave()
