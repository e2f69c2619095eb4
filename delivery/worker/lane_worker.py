"""The worker of one lane, from acquiring the lane to releasing it.

A claim's way: :mod:`delivery.worker.prefetch` puts it on a pile, and a connection of
:mod:`delivery.worker.connection_pool` asks :mod:`delivery.worker.message_source` for it. That gets the composed message
from :mod:`delivery.worker.composer_cache` and judges the answer, and :mod:`delivery.worker.result_buffer` records the
result. All of them share the lane (:mod:`delivery.worker.lane`).
"""

import asyncio

from delivery.worker.composer_cache import ComposerCache
from delivery.worker.connection_pool import ConnectionPool
from delivery.worker.lane import HeldLane, LaneProcess
from delivery.worker.message_source import MessageSource
from delivery.worker.prefetch import Prefetch
from delivery.worker.result_buffer import ResultBuffer
from delivery.worker.slow_content import SlowContent


class LaneWorker:
    """Sends one server's mail in this process."""

    def __init__(self, process: LaneProcess, server_id: int) -> None:
        self.has_lease = False  # While true, the lease must be renewed.
        self.is_working = False  # While true, the server is known and the lane must be checked.
        self.lane = HeldLane(process, server_id)
        cache = ComposerCache(self.lane)
        self.buffer = ResultBuffer(self.lane, cache.mailings)
        self._prefetch = Prefetch(self.lane, self.buffer, cache)
        slow = SlowContent(self.lane, self.buffer, cache, self._prefetch)
        self._message_source = MessageSource(self.lane, self.buffer, cache, self._prefetch, slow)
        self._connections = ConnectionPool(self.lane, self.buffer, self._prefetch, self._message_source)

    async def run(self) -> int:
        """Send until nothing is left or the lane must be given up; return the number of accepted messages."""
        lane = self.lane
        if not await lane.acquire():
            return 0
        self.has_lease = True
        try:
            if await lane.process.in_database(lane.load):
                await self._work()
            await self.buffer.flush()
            if not lane.is_lost:
                await lane.release()
        finally:
            self.has_lease = False
            lane.journal.close()  # If the file still exists, the recovery reads it.
        return self._message_source.accepted

    def give_up(self) -> None:
        """Give the lane up after the messages on the line, so that another worker can have it."""
        self.lane.halt()

    def resume(self) -> None:
        """Go on after a check of the lane, perhaps at another rate."""
        self._message_source.set_rate()
        self._prefetch.bring_back()
        self._prefetch.release_surplus()

    def plan_changed(self) -> None:
        """React to a new plan."""
        self._prefetch.should_claim.set()

    async def _work(self) -> None:
        """Send until prefetch and connections are done. An unexpected error in one of them ends them all."""
        self._message_source.set_rate()
        self.is_working = True
        connections = self._connections
        async with asyncio.TaskGroup() as self.lane.group:
            background = (self.buffer.keep_flushing, connections.keep_waking)
            tasks = [self.lane.group.create_task(step()) for step in background]
            serving = [connections.serve(number) for number in range(self.lane.server.max_connections)]
            await asyncio.gather(self._prefetch.run(), *serving)
            for task in tasks:
                task.cancel()
        self.is_working = False
