"""The connection pool of a lane: opens, wakes, keeps and closes connections, and handles failures to connect."""

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import Any

from delivery.outcomes import consequences
from delivery.outcomes.verdicts import judge_connection
from delivery.worker.composer_cache import Item
from delivery.worker.lane import HeldLane
from delivery.worker.message_source import MessageSource
from delivery.worker.prefetch import Prefetch
from delivery.worker.result_buffer import ResultBuffer
from smtpservers.models import SmtpServer
from smtpservers.smtp.connection import Connection, ConnectionFailed, connect
from smtpservers.smtp.pipeline import Pipeline

log = logging.getLogger(__name__)


class ConnectionPool:
    """The connections of a lane, by number. When the server allows fewer, the highest numbers are closed first."""

    def __init__(self, lane: HeldLane, buffer: ResultBuffer, prefetch: Prefetch, message_source: MessageSource) -> None:
        self._lane = lane
        self._buffer = buffer
        self._prefetch = prefetch
        self._message_source = message_source
        self._sources: set[_ConnectionSource] = set()  # Of the open connections.
        self._waiting: dict[asyncio.Future[None], int] = {}  # Unopened connections that wait for work, by number.
        # Until one connection has signed in, only one tries, so that a sick server is not stormed.
        self._is_signed_in = False
        self._sign_in_lock = asyncio.Lock()
        lane.on_halt.append(self._halted)

    async def serve(self, number: int) -> None:
        """Keep one connection busy: open it when there is work, and again when it is used up or lost."""
        while await self._wait_for_work(number):
            connection = await self._open(number)
            if connection is None:
                continue
            source = _ConnectionSource(self._message_source, self, number)
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
        """Wake idle connections, and open others, whenever there is new work."""
        while True:
            await self._prefetch.has_work.wait()
            self._prefetch.has_work.clear()
            self._wake()

    def may_stay(self, number: int) -> bool:
        """Whether an idle connection with this number is kept open."""
        return not self._lane.is_halted and number < self._lane.connections

    def _wake(self) -> None:
        prefetch = self._prefetch
        for source in tuple(self._sources):
            if source.pipeline.is_idle and prefetch.has_work_for(source.number):
                source.pipeline.wake()
        waiting = len(prefetch.urgent) + len(prefetch.bulk)
        for waiter, number in self._waiting.items():
            if not waiting:
                break
            if not waiter.done() and prefetch.has_work_for(number):
                waiter.set_result(None)
                waiting -= 1

    def _halted(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        for source in tuple(self._sources):
            if source.pipeline.is_idle:
                source.ended()

    # --- new connections

    async def _wait_for_work(self, number: int) -> bool:
        """Wait until this connection is needed; False if the lane is halted."""
        while not self._lane.is_halted:
            if self._prefetch.has_work_for(number):
                return True
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[waiter] = number
            try:
                await waiter
            finally:
                del self._waiting[waiter]
        return False

    async def _open(self, number: int) -> Connection | None:
        if self._is_signed_in:
            return await self._connect()
        async with self._sign_in_lock:
            # While it waited, the lane may have been halted, or another connection took the probe's only message.
            is_needed = not self._lane.is_halted and self._prefetch.has_work_for(number)
            return await self._connect() if is_needed else None

    async def _connect(self) -> Connection | None:
        try:
            connection = await connect(self._lane.endpoint)
        except ConnectionFailed as error:
            await self._failed(error)
            return None
        if not self._is_signed_in:
            self._is_signed_in = True
            await self._lane.database(self._store_learned, connection.learned)
            # Otherwise each further connection would first be refused again.
            self._lane.endpoint = replace(self._lane.endpoint, learned_mechanism=connection.learned_mechanism)
        return connection

    def _store_learned(self, learned: dict[str, Any]) -> None:
        server = self._lane.server
        if any(getattr(server, name) != value for name, value in learned.items()):
            for name, value in learned.items():
                setattr(server, name, value)
            SmtpServer.objects.filter(pk=server.pk, version=server.version).update(**learned)

    async def _failed(self, error: ConnectionFailed) -> None:
        lane = self._lane
        judgement = judge_connection(
            error.stage,
            str(error),
            error.reply,
            needs_mending=error.needs_mending,
            awaits_account=error.awaits_account,
            lacks_token=error.lacks_token,
        )
        log.warning("server %s: %s", lane.server.name, judgement.reason)
        if not await lane.database(lane.is_unchanged):
            # The server was edited, perhaps its password: a failure with the old settings says nothing about the new.
            lane.halt()
            return
        pile = self._prefetch.urgent or self._prefetch.bulk
        if pile:  # The failure is recorded with the message that the connection was for.
            self._buffer.note(pile.popleft(), judgement, error.stage.value, error.reply)
        else:  # All messages are on other connections, but the failure counts for the server.
            await lane.database(consequences.act_on_connection, lane.server_id, judgement, lane.process.clock())
        await self._buffer.flush()
        if await lane.database(lane.is_unchanged):
            await asyncio.sleep(0.5)
        else:
            lane.halt()


class _ConnectionSource:
    """The message source of one connection, as its pipeline uses it."""

    pipeline: Pipeline[Item]

    def __init__(self, message_source: MessageSource, connections: ConnectionPool, number: int) -> None:
        self.number = number
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connections = connections
        self.next = partial(message_source.next_item, number)
        self.may_finish = message_source.may_finish
        self.dot_kept = message_source.dot_kept
        self.agreed = message_source.agreed
        self.answered = message_source.answered
        self.put_back = message_source.put_back

    def idle(self) -> None:
        if self.pipeline.is_idle and not self._connections.may_stay(self.number):
            self.ended()

    def ended(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
