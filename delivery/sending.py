"""One lane of one server at work, from taking it to giving it up.

A claim's way: :mod:`delivery.feeding` puts it on a pile, a connection (:mod:`delivery.connecting`) asks
:mod:`delivery.handover` for it, which has it composed (:mod:`delivery.preparing`) and judges the answer, and
:mod:`delivery.noting` records what became of it. All of them share the lane (:mod:`delivery.keeping`).
"""

import asyncio

from delivery.connecting import Connections
from delivery.feeding import Feed
from delivery.handover import Handover
from delivery.keeping import Lane, Surroundings
from delivery.noting import Account
from delivery.preparing import Contents

LOOK_SECONDS = 1.0  # How old the last look before MAIL may be; a stop takes effect within it.


class LaneWork:
    """The work of one process for one server."""

    def __init__(self, surroundings: Surroundings, server_id: int) -> None:
        self._lane = Lane(surroundings, server_id)
        contents = Contents(self._lane)
        self._account = Account(self._lane, contents.mailings)
        self._feed = Feed(self._lane, self._account, contents)
        self._handover = Handover(self._lane, self._account, contents, self._feed)
        self._connections = Connections(self._lane, self._account, self._feed, self._handover)

    async def run(self) -> int:
        """Send until nothing is left or the lane has to be given up; return how many messages were accepted."""
        lane = self._lane
        if not await lane.take():
            return 0
        try:
            if await lane.around.in_database(lane.load):
                await self._work()
            await self._account.flush()
            if not lane.is_lost:
                await lane.release()
        finally:
            lane.journal.close()  # Where it still exists, the sweep reads it.
        return self._handover.accepted

    def leave(self) -> None:
        """Give the lane up after the messages that are under way: another worker is to have it."""
        self._lane.halt()

    def planned(self) -> None:
        """Learn that there is a new plan."""
        self._feed.is_hungry.set()

    async def _work(self) -> None:
        """Send until the feed and the connections are done; an unforeseen error in any of them ends them all."""
        self._handover.set_rate()
        connections = self._connections
        async with asyncio.TaskGroup() as self._lane.group:
            beside = (self._lane.keep_lease, self._keep_looking, self._account.keep_flushing, connections.keep_waking)
            tasks = [self._lane.group.create_task(step()) for step in beside]
            serving = [connections.serve(number) for number in range(self._lane.server.max_connections)]
            await asyncio.gather(self._feed.run(), *serving)
            for task in tasks:
                task.cancel()

    async def _keep_looking(self) -> None:
        """See stops, pauses, edits and a server switched off within ``LOOK_SECONDS``."""
        lane = self._lane
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if lane.around.is_stopping or lane.is_halted or not await lane.database(self._look):
                lane.halt()
                continue
            self._handover.set_rate()
            self._feed.bring_back()

    def _look(self) -> bool:
        self._account.look(self._account.in_hand)
        return self._lane.look()
