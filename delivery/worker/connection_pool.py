"""The connections of a lane: when one is opened, woken, kept and closed, and what a failure to open one means."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

from delivery.outcomes import consequences
from delivery.outcomes.verdicts import judge_connection
from delivery.worker.composer_cache import Item
from delivery.worker.lane import HeldLane
from delivery.worker.message_source import Handover
from delivery.worker.prefetch import Feed
from delivery.worker.result_buffer import Account
from smtpservers.models import SmtpServer
from smtpservers.smtp.connection import Connection, ConnectionFailed, connect
from smtpservers.smtp.pipeline import Pipeline

log = logging.getLogger(__name__)


class ConnectionPool:
    """The connections of a lane, by number: the higher ones are given up first when the server allows fewer."""

    def __init__(self, lane: HeldLane, account: Account, feed: Feed, handover: Handover) -> None:
        self._lane = lane
        self._account = account
        self._feed = feed
        self._handover = handover
        self._sources: set[_Source] = set()  # Of those that are open.
        self._callers: dict[asyncio.Future[None], int] = {}  # Those to be, with their numbers: they wait for work.
        # Until one connection was signed in, one tries alone: no storm hits a sick server.
        self._is_signed_in = False
        self._signing_in = asyncio.Lock()
        lane.when_halted.append(self._halted)

    async def serve(self, number: int) -> None:
        """Keep one connection busy: open it when there is work, again when it was used up or lost."""
        while await self._called(number):
            connection = await self._open(number)
            if connection is None:
                continue
            source = _Source(self._handover, self, number)
            source.pipeline = connection.pipeline(source)
            self._sources.add(source)
            source.pipeline.wake()
            source.idle()
            await source.over
            self._sources.discard(source)
            if connection.wire.fault is not None:
                raise connection.wire.fault
            await connection.quit()

    async def keep_waking(self) -> None:
        """Let connections that are idle go on, and open others, whenever there is something new for them."""
        while True:
            await self._feed.has_food.wait()
            self._feed.has_food.clear()
            self._wake()

    def may_stay(self, number: int) -> bool:
        """Whether an idle connection of that number is to be kept."""
        return not self._lane.is_halted and number < self._lane.connections

    def _wake(self) -> None:
        feed = self._feed
        for source in tuple(self._sources):
            if source.pipeline.is_idle and feed.has_work_for(source.number):
                source.pipeline.wake()
        waiting = len(feed.urgent) + len(feed.bulk)
        for caller, number in self._callers.items():
            if not waiting:
                break
            if not caller.done() and feed.has_work_for(number):
                caller.set_result(None)
                waiting -= 1

    def _halted(self) -> None:
        for caller in self._callers:
            if not caller.done():
                caller.set_result(None)
        for source in tuple(self._sources):
            if source.pipeline.is_idle:
                source.ended()

    # --- opening one

    async def _called(self, number: int) -> bool:
        """Wait until this connection is needed; False when the lane is halted."""
        while not self._lane.is_halted:
            if self._feed.has_work_for(number):
                return True
            caller: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._callers[caller] = number
            try:
                await caller
            finally:
                del self._callers[caller]
        return False

    async def _open(self, number: int) -> Connection | None:
        if self._is_signed_in:
            return await self._connect()
        async with self._signing_in:
            # While it waited, the lane may have been halted, or the one message that a probe is was taken.
            is_needed = not self._lane.is_halted and self._feed.has_work_for(number)
            return await self._connect() if is_needed else None

    async def _connect(self) -> Connection | None:
        try:
            connection = await connect(self._lane.endpoint)
        except ConnectionFailed as error:
            await self._failed(error)
            return None
        if not self._is_signed_in:
            self._is_signed_in = True
            await self._lane.database(self._note_what_it_told, connection.learned)
            # Or each further connection would first be refused again.
            self._lane.endpoint = replace(self._lane.endpoint, learned_mechanism=connection.learned_mechanism)
        return connection

    def _note_what_it_told(self, learned: dict[str, Any]) -> None:
        server = self._lane.server
        if any(getattr(server, name) != value for name, value in learned.items()):
            for name, value in learned.items():
                setattr(server, name, value)
            SmtpServer.objects.filter(pk=server.pk, version=server.version).update(**learned)

    async def _failed(self, error: ConnectionFailed) -> None:
        lane = self._lane
        judgement = judge_connection(error.stage, str(error), error.reply, needs_mending=error.needs_mending)
        log.warning("server %s: %s", lane.server.name, judgement.reason)
        if not await lane.database(lane.is_unchanged):
            # A password may just have been changed: how the old one fared says nothing of the server as it is now.
            lane.halt()
            return
        pile = self._feed.urgent or self._feed.bulk
        if pile:  # One of them is what the connection was for.
            self._account.note(pile.popleft(), judgement, error.stage, error.reply)
        else:  # All are on the line elsewhere; the server is told of nonetheless.
            await lane.database(consequences.act_on_connection, lane.server_id, judgement, lane.around.clock())
        await self._account.flush()
        if await lane.database(lane.is_unchanged):
            await asyncio.sleep(0.5)
        else:
            lane.halt()


class _Source:
    """One connection of a lane, as its pipeline knows it."""

    pipeline: Pipeline[Item]

    def __init__(self, handover: Handover, connections: ConnectionPool, number: int) -> None:
        self.number = number
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handover = handover
        self._connections = connections
        self.may_finish = handover.may_finish
        self.dot_kept = handover.dot_kept
        self.answered = handover.answered
        self.put_back = handover.put_back

    def next(self) -> Item | None:
        return self._handover.next_item(self.number, self.pipeline.begun)

    def idle(self) -> None:
        if self.pipeline.is_idle and not self._connections.may_stay(self.number):
            self.ended()

    def ended(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
