"""Slow content: messages that take long to compose are made in the background, while all others go on.

Content is slow if one of its messages was. A message that takes longer than :data:`COMPOSE_SECONDS` is poison, and
fails alone. A mailing is stopped if its content is poison for at least half of its recipients.
"""

import asyncio
from collections import Counter

from delivery.content.composer import COMPOSE_SECONDS
from delivery.models import Mailing
from delivery.outbox.claims import Claim
from delivery.outcomes import consequences, results
from delivery.outcomes.verdicts import Judgement
from delivery.worker.composer_cache import POISON, ComposerCache, Item
from delivery.worker.lane import HeldLane
from delivery.worker.prefetch import Prefetch
from delivery.worker.result_buffer import NOT_BEGUN, ResultBuffer

# A campaign with this many poison messages, and at least half of those composed here, waits for a person.
POISON_MESSAGES = 10


class SlowContent:
    """The messages of a lane that are composed in the background."""

    def __init__(self, lane: HeldLane, buffer: ResultBuffer, cache: ComposerCache, prefetch: Prefetch) -> None:
        self._lane = lane
        self._buffer = buffer
        self._cache = cache
        self._prefetch = prefetch
        self._is_composing = False
        self._made: Counter[int] = Counter()  # Messages composed in the background, or tried, by mailing …
        self._poison: Counter[int] = Counter()  # … and the poison messages among them.
        lane.on_halt.append(self._halted)

    def takes(self, claim: Claim) -> bool:
        """Take a message with slow content and compose it in the background. Once composed, it is back on its pile."""
        if not self._cache.is_slow(claim):
            return False
        self._cache.waiting.append(claim)
        if not self._is_composing:
            self._is_composing = True
            self._lane.group.create_task(self._compose())
        return True

    async def _compose(self) -> None:
        loop, lane, waiting = asyncio.get_running_loop(), self._lane, self._cache.waiting
        while waiting:
            claim = waiting.popleft()
            began = loop.time()
            making = loop.run_in_executor(
                lane.process.composing, self._cache.make_in_background, claim, lane.process.clock()
            )
            # Half a second more than the budget: code that does not check its budget is cut off here.
            await asyncio.wait([making], timeout=COMPOSE_SECONDS + 0.5)
            if making.done():
                self._ready(claim, making.result())
            else:
                self._ready(claim, _too_long())
                await making
            await self._stop_poison(claim.message.mailing_id)
            # Other threads get the interpreter for as long.
            await asyncio.sleep(0 if lane.is_halted else min(loop.time() - began, COMPOSE_SECONDS))
        self._is_composing = False

    def _ready(self, claim: Claim, made: Item | Judgement) -> None:
        mailing_id = claim.message.mailing_id
        self._made[mailing_id] += 1
        if isinstance(made, Judgement):
            self._poison[mailing_id] += made.rule == POISON
            self._buffer.note(claim, made)
        elif self._lane.is_halted:
            self._buffer.note(claim, NOT_BEGUN)
        else:
            self._cache.keep(claim, made)
            self._prefetch.put_back(claim)

    async def _stop_poison(self, mailing_id: int) -> None:
        poison = self._poison[mailing_id]
        if poison < POISON_MESSAGES or 2 * poison < self._made[mailing_id]:
            return
        if self._cache.mailings[mailing_id].stream == Mailing.Stream.CAMPAIGN:
            why = (
                f"Poison: filling the content took too much work for {poison} of {self._made[mailing_id]} people."
                " Change it."
            )
            await self._lane.database(consequences.stop, mailing_id, why)

    def _halted(self) -> None:
        self._buffer.give_back(self._cache.waiting)
        self._cache.waiting.clear()


def _too_long() -> Judgement:
    why = f"Poison: composing this message took more than {COMPOSE_SECONDS:g} seconds."
    return results.ended("failed", why, rule=POISON)
