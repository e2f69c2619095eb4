"""One lane of one server at work, from taking it to giving it up.

A claim's way: :mod:`delivery.worker.prefetch` puts it on a pile, a connection (:mod:`delivery.worker.connection_pool`)
asks :mod:`delivery.worker.message_source` for it, which has it composed (:mod:`delivery.worker.composer_cache`) and
judges the answer, and
:mod:`delivery.worker.result_buffer` records what became of it. All of them share the lane
(:mod:`delivery.worker.lane`).
"""

import asyncio

from delivery.worker.composer_cache import Contents
from delivery.worker.connection_pool import ConnectionPool
from delivery.worker.lane import HeldLane, Surroundings
from delivery.worker.message_source import Handover
from delivery.worker.prefetch import Feed
from delivery.worker.result_buffer import Account
from delivery.worker.slow_content import SlowContent


class LaneWork:
    """The work of one process for one server."""

    def __init__(self, surroundings: Surroundings, server_id: int) -> None:
        self.has_lease = False  # It must be kept meanwhile …
        self.is_at_work = False  # … and the lane looked at, from when on its server is known.
        self.lane = HeldLane(surroundings, server_id)
        contents = Contents(self.lane)
        self.account = Account(self.lane, contents.mailings)
        self._feed = Feed(self.lane, self.account, contents)
        slow = SlowContent(self.lane, self.account, contents, self._feed)
        self._handover = Handover(self.lane, self.account, contents, self._feed, slow)
        self._connections = ConnectionPool(self.lane, self.account, self._feed, self._handover)

    async def run(self) -> int:
        """Send until nothing is left or the lane has to be given up; return how many messages were accepted."""
        lane = self.lane
        if not await lane.take():
            return 0
        self.has_lease = True
        try:
            if await lane.around.in_database(lane.load):
                await self._work()
            await self.account.flush()
            if not lane.is_lost:
                await lane.release()
        finally:
            self.has_lease = False
            lane.journal.close()  # Where it still exists, the sweep reads it.
        return self._handover.accepted

    def leave(self) -> None:
        """Give the lane up after the messages that are under way: another worker is to have it."""
        self.lane.halt()

    def go_on(self) -> None:
        """Learn that the lane was looked at and may go on, perhaps at another rate."""
        self._handover.set_rate()
        self._feed.bring_back()
        self._feed.give_back_surplus()

    def planned(self) -> None:
        """Learn that there is a new plan."""
        self._feed.is_hungry.set()

    async def _work(self) -> None:
        """Send until the feed and the connections are done; an unforeseen error in any of them ends them all."""
        self._handover.set_rate()
        self.is_at_work = True
        connections = self._connections
        async with asyncio.TaskGroup() as self.lane.group:
            beside = (self.account.keep_flushing, connections.keep_waking)
            tasks = [self.lane.group.create_task(step()) for step in beside]
            serving = [connections.serve(number) for number in range(self.lane.server.max_connections)]
            await asyncio.gather(self._feed.run(), *serving)
            for task in tasks:
                task.cancel()
        self.is_at_work = False
