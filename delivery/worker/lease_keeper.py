"""What a process does for all of its lanes at once: it keeps their leases, and looks whether they may go on.

Were each lane to ask for itself, a hundred of them would keep the database from its work.
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
from delivery.worker.lane_worker import LaneWork
from smtpservers.models import SmtpServer

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # How old the last look before MAIL may be; a stop takes effect within it.
LOOKED_AT_ONCE = 2_000  # Messages: other work of the database gets its turn between two groups.


class Process(Protocol):
    """What the lanes of a process have in common."""

    in_database: Any
    for_leases: Any  # The same in a thread of its own: a lease must not run out while many lanes wait for theirs.
    clock: Callable[[], dt.datetime]

    @property
    def is_stopping(self) -> bool: ...

    def at_work(self) -> list[LaneWork]: ...


class Oversight:
    """Keeps and looks at the lanes of a process, for as long as it is not cancelled."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def keep_leases(self) -> None:
        """Renew the leases again and again; a lane is lost when that fails."""
        while True:
            await asyncio.sleep(settings.LEASE_SECONDS / 4)
            await self._see_to(self._renew, [work for work in self._process.at_work() if work.has_lease])

    async def keep_looking(self) -> None:
        """See stops, pauses, edits and servers switched off within ``LOOK_SECONDS``."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._see_to(self._look, [work for work in self._process.at_work() if work.is_at_work])

    async def _see_to(self, step: Callable[[list[LaneWork]], Awaitable[None]], works: list[LaneWork]) -> None:
        if not works:
            return
        try:
            await step(works)
        except Exception as error:  # Nothing more is known of any of them: they end, and the sweep settles them.
            if isinstance(error, DatabaseProblem):
                log.error("the database does not answer; %d lanes stop: %s", len(works), error)
            else:
                log.exception("%d lanes stop", len(works))
            for work in works:
                work.lane.lose()

    async def _renew(self, works: list[LaneWork]) -> None:
        lost = await self._process.for_leases(leases.renew, [work.lane.lease for work in works])
        for work in works:
            if work.lane.lease in lost:
                work.lane.lose()

    async def _look(self, works: list[LaneWork]) -> None:
        may_go_on: set[LaneWork] = set()
        if not self._process.is_stopping:
            for group in _groups([work for work in works if not work.lane.is_halted]):
                may_go_on |= await self._process.in_database(self._see, group)
        for work in works:
            if work in may_go_on and not work.lane.is_halted:
                work.go_on()
            else:
                work.leave()

    def _see(self, works: Sequence[LaneWork]) -> set[LaneWork]:
        """Let the lanes know, in the database thread, what is to be known; return which of them may go on."""
        now = self._process.clock()
        stopped = claims.stopped([pk for work in works for pk in tuple(work.account.in_hand)], now)
        servers = SmtpServer.objects.in_bulk([work.lane.server_id for work in works])
        provider_holds.load_all([work.lane.holds for work in works], now)
        for work in works:
            work.account.stop(stopped)
        return {work for work in works if work.lane.look(servers.get(work.lane.server_id))}


def _groups(works: Sequence[LaneWork]) -> Iterator[list[LaneWork]]:
    """Part the lanes so that each group has about ``LOOKED_AT_ONCE`` messages in hand."""
    group: list[LaneWork] = []
    messages = 0
    for work in works:
        group.append(work)
        messages += len(work.account.in_hand)
        if messages >= LOOKED_AT_ONCE:
            yield group
            group, messages = [], 0
    if group:
        yield group
