"""The drain: sends due mail for a bounded time, with one event loop and threads for claims, records and leases.

It makes a new plan twice a second, and starts a worker for each server with work and a free lane.
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
from django.db import close_old_connections, connection, connections

from db.dialect import is_postgresql
from delivery.content.composer import SignerFor
from delivery.content.recipient_domains import Validator
from delivery.health import heartbeats
from delivery.outbox import leases
from delivery.outbox import plan as outbox_plan
from delivery.outbox.plan import LaneShare
from delivery.worker.bell import RING_SECONDS, Bell
from delivery.worker.lane_worker import LaneWorker
from delivery.worker.lease_keeper import LeaseKeeper

log = logging.getLogger(__name__)
T = TypeVar("T")

PLAN_SECONDS = 0.5  # The pause between two plans, which lasts …
PLAN_SHARE = 10  # … at least this many times as long as a plan takes.
IDLE_SECONDS = 3.0
LATE_SECONDS = 3.0  # After this wait for the last answers of a lane, the other servers go on sending.
MOST_DESCRIPTORS = 65_536  # Open files, and so connections.

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
    """Send due mail until none is left, ``seconds`` are over or ``should_stop``; return how many were accepted.

    If one server is slow to answer, the drain takes longer, and the other servers go on sending.

    :param seconds: no claims are made after this time; the drain ends once all claimed messages are sent.
    :param idle_seconds: how long a lane without work is held, with its connections open.
    :param signer_for: returns the signer for a mailing and a server; None leaves signatures to the servers.
    :param clock: read for due times and quota periods, often and in the event loop, so it must not wait.
    :param read_clock: called in the database thread before each plan, to set the clock by the database's.
    """
    _allow_many_connections()
    _tune_garbage_collector()
    async with (
        _database_thread("database") as in_database,
        _database_thread("records") as for_records,
        _database_thread("leases") as for_leases,
    ):
        with (
            ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="signing") as signing,
            ThreadPoolExecutor(1, thread_name_prefix="composing") as composing,
        ):
            drain = _Drain(in_database, for_leases, clock, read_clock, should_stop, seconds, idle_seconds, signer_for)
            drain.signing, drain.composing = signing, composing
            if is_postgresql():  # SQLite has one writer at a time, and a second one would only wait for it.
                drain.for_records = for_records
            return await drain.run()


@asynccontextmanager
async def _database_thread(name: str) -> AsyncIterator[Any]:
    """Give a coroutine that runs functions one after the other, in a thread with its own database connection.

    The function during which the connection breaks raises a database error; the next one gets a new connection.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix=name, initializer=partial(_name_connection, name)) as executor:

        async def in_database(function: Callable[..., T], *args: Any) -> T:
            # Shielded: a function that was handed over runs to its end, even if its waiter is cancelled.
            return await asyncio.shield(loop.run_in_executor(executor, partial(_run, function, *args)))

        try:
            yield in_database
        finally:
            # Only the thread that opened the connection may close it.
            await in_database(connections.close_all)


def _run(function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    except DatabaseProblem:
        close_old_connections()  # Django itself replaces a broken connection only between requests.
        raise


def _name_connection(name: str) -> None:
    """Make this thread's connections known to PostgreSQL by their work, as ``pg_stat_activity`` shows it."""
    if is_postgresql():
        given = connection.settings_dict
        options = {"application_name": f"brilliance {name}", **given["OPTIONS"]}
        connection.settings_dict = {**given, "OPTIONS": options}


def _allow_many_connections() -> None:
    """Raise the limit of open files, 1,024 on most systems, as far as this process is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@functools.cache
def _tune_garbage_collector() -> None:
    """Make the garbage collector skip all objects loaded so far, which are permanent, and run less often.

    Messages are thousands of small objects a second, and hardly ever form reference cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class _Drain:
    """The present plan, and the lane workers of this process."""

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
        self.for_records = in_database
        self.for_leases = for_leases  # A second database thread, since leases must not wait behind other work.
        self.idle_seconds = idle_seconds
        self.clock = clock
        self._read_clock = read_clock
        self.validator = Validator()
        self._shares: dict[int, Sequence[LaneShare]] = {}
        self._should_stop = should_stop
        self._seconds = seconds
        self._end = asyncio.get_running_loop().time() + seconds
        self._is_broken = False  # The database or a lane failed: the drain ends, and the next one starts afresh.
        self._lanes: dict[int, tuple[LaneWorker, asyncio.Task[int]]] = {}
        self._idle_since: dict[int, float] = {}  # When the server of a lane ran out of work.
        self._has_rung = asyncio.Event()  # Urgent mail is due that no plan has seen.
        self._processes = 1  # Worker processes that send, with this one.
        self._heartbeat_at = -1e9

    @property
    def is_stopping(self) -> bool:
        """Whether the process must end: messages that are not begun are released."""
        return self._should_stop()

    @property
    def is_over(self) -> bool:
        """Whether claims have ended. Claimed messages are still sent."""
        return self._is_broken or self._should_stop() or asyncio.get_running_loop().time() >= self._end

    def shares(self, server_id: int) -> Sequence[LaneShare]:
        """Return the server's shares in the present plan, the most urgent first."""
        return self._shares.get(server_id, ())

    def lane_workers(self) -> list[LaneWorker]:
        """Return the running lane workers."""
        return [worker for worker, task in self._lanes.values() if not task.done()]

    async def run(self) -> int:
        lease_keeper = LeaseKeeper(self)
        steps = (lease_keeper.keep_leases, lease_keeper.keep_checking, self._listen)
        watching = [asyncio.create_task(step()) for step in steps]
        try:
            return await self._send()
        finally:
            for task in watching:
                task.cancel()

    async def _send(self) -> int:
        sent = 0
        while True:
            self._has_rung.clear()
            pause = await self._make_plan()
            if not self._lanes:
                return sent
            ring = asyncio.ensure_future(self._has_rung.wait())
            tasks = [ring, *(task for _, task in self._lanes.values())]
            await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            ring.cancel()
            for server_id, (_, task) in list(self._lanes.items()):
                if not task.done():
                    continue
                del self._lanes[server_id]
                if (error := task.exception()) is not None:
                    log.error("a lane broke off; the sweep settles it", exc_info=error)
                    self._is_broken = True
                    await self._store_cause(server_id, error)
                else:
                    sent += task.result()

    async def _listen(self) -> None:
        """Have a plan made as soon as urgent mail is due."""
        bell = Bell()
        while True:
            await asyncio.sleep(RING_SECONDS)
            try:
                if self._lanes and not self.is_over and await self.for_leases(bell.rings, self.clock()):
                    self._has_rung.set()
            except DatabaseProblem as error:
                log.error("the database does not answer; urgent mail waits for a plan: %s", error)

    async def _store_cause(self, server_id: int, error: BaseException) -> None:
        with contextlib.suppress(DatabaseProblem):  # Then people are told of the database instead.
            await self.in_database(leases.broke_off, server_id, error, self.clock())

    async def _make_plan(self) -> float:
        """Make a plan, and start a worker for each server with work and a free lane; return the pause in seconds."""
        self._extend_if_late()
        if self.is_over:
            self._shares = {}
            return PLAN_SECONDS
        began = asyncio.get_running_loop().time()
        try:
            plan, busy, took = await self.in_database(self._plan)
            if began >= self._heartbeat_at + heartbeats.RECORD_EVERY.total_seconds():
                self._heartbeat_at = began
                self._processes = await self.in_database(self._send_heartbeat)
        except DatabaseProblem as error:
            log.error("the database does not answer; sending stops: %s", error)
            self._shares, self._is_broken = {}, True
            return PLAN_SECONDS
        self._shares = {work.server_id: work.shares for work in plan}
        self._share_lanes(busy)
        pause: float = max(PLAN_SECONDS, PLAN_SHARE * took)
        return pause

    def _extend_if_late(self) -> None:
        """Extend the drain while one lane waits for a slow answer, so that the other servers keep sending."""
        now = asyncio.get_running_loop().time()
        if self._lanes and now >= self._end + LATE_SECONDS and not (self._is_broken or self._should_stop()):
            self._end = now + self._seconds

    def _plan(self) -> tuple[Sequence[outbox_plan.ServerWork], set[int], float]:
        """Return the plan, the servers whose lanes are held, and the seconds that the database took for it."""
        began = time.monotonic()
        self._read_clock()
        plan = outbox_plan.plan(self.clock())
        return plan, leases.busy_servers(), time.monotonic() - began

    def _send_heartbeat(self) -> int:
        now = self.clock()
        heartbeats.record(heartbeats.SENDS, now)
        return heartbeats.senders(now, heartbeats.BELIEVED)

    def _share_lanes(self, busy: set[int]) -> None:
        """Start workers for this process's fair share of the servers, and leave the others to other processes."""
        most = math.ceil(len(self._shares) / max(1, self._processes))
        now = asyncio.get_running_loop().time()
        self._idle_since = {pk: self._idle_since.get(pk, now) for pk in self._lanes if pk not in self._shares}
        taken = sum(now < self._idle_since.get(server_id, now) + LATE_SECONDS for server_id in self._lanes)
        for server_id in self._shares:
            if server_id in self._lanes:
                self._lanes[server_id][0].plan_changed()
            elif server_id not in busy and taken < most:
                taken += 1
                worker = LaneWorker(self, server_id)
                self._lanes[server_id] = (worker, asyncio.create_task(worker.run()))
        if self._processes > 1:
            working = [worker for server_id, (worker, _) in self._lanes.items() if server_id in self._shares]
            for worker in working[most:]:
                worker.give_up()
