"""Messages that take long to compose: made beside the loop, one after the other, while all others go on.

Which contents are slow is found out by composing them. A message that takes longer than :data:`COMPOSE_SECONDS` is
poison, and fails alone; a content that is so for most of its recipients is stopped.
"""

import asyncio
from collections import Counter

from delivery.content.composer import COMPOSE_SECONDS
from delivery.models import Mailing
from delivery.outbox.claims import Claim
from delivery.outcomes import consequences, results
from delivery.outcomes.verdicts import Judgement
from delivery.worker.composer_cache import POISON, Contents, Item
from delivery.worker.lane import HeldLane
from delivery.worker.prefetch import Feed
from delivery.worker.result_buffer import NOT_BEGUN, Account

# A campaign whose content failed so many times, and no less than half of the time, waits for a person.
POISON_MESSAGES = 10


class SlowContent:
    """The messages of a lane that are composed beside its loop."""

    def __init__(self, lane: HeldLane, account: Account, contents: Contents, feed: Feed) -> None:
        self._lane = lane
        self._account = account
        self._contents = contents
        self._feed = feed
        self._is_composing = False
        self._made: Counter[int] = Counter()  # Messages composed beside, or tried to be, by mailing …
        self._poison: Counter[int] = Counter()  # … and those of them that took too much.
        lane.when_halted.append(self._halted)

    def takes(self, claim: Claim) -> bool:
        """Have a message composed beside if its content is slow; then it comes back to its pile when it is ready."""
        if not self._contents.is_slow(claim):
            return False
        self._contents.waiting.append(claim)
        if not self._is_composing:
            self._is_composing = True
            self._lane.group.create_task(self._compose())
        return True

    async def _compose(self) -> None:
        loop, lane, waiting = asyncio.get_running_loop(), self._lane, self._contents.waiting
        while waiting:
            claim = waiting.popleft()
            began = loop.time()
            making = loop.run_in_executor(lane.around.composing, self._contents.make_beside, claim, lane.around.clock())
            # A little longer than it is given itself: what does not look at its budget ends here.
            await asyncio.wait([making], timeout=COMPOSE_SECONDS + 0.5)
            if making.done():
                self._ready(claim, making.result())
            else:
                self._ready(claim, _too_long())
                await making
            await self._stop_poison(claim.message.mailing_id)
            # Whoever else needs the interpreter gets as much of it.
            await asyncio.sleep(0 if lane.is_halted else min(loop.time() - began, COMPOSE_SECONDS))
        self._is_composing = False

    def _ready(self, claim: Claim, made: Item | Judgement) -> None:
        mailing_id = claim.message.mailing_id
        self._made[mailing_id] += 1
        if isinstance(made, Judgement):
            self._poison[mailing_id] += made.rule == POISON
            self._account.note(claim, made)
        elif self._lane.is_halted:
            self._account.note(claim, NOT_BEGUN)
        else:
            self._contents.keep(claim, made)
            self._feed.put_back(claim)

    async def _stop_poison(self, mailing_id: int) -> None:
        poison = self._poison[mailing_id]
        if poison < POISON_MESSAGES or 2 * poison < self._made[mailing_id]:
            return
        if self._contents.mailings[mailing_id].stream == Mailing.Stream.CAMPAIGN:
            why = (
                f"Poison: filling the content took too much work for {poison} of {self._made[mailing_id]} people."
                " Change it."
            )
            await self._lane.database(consequences.stop, mailing_id, why)

    def _halted(self) -> None:
        self._account.give_back(self._contents.waiting)
        self._contents.waiting.clear()


def _too_long() -> Judgement:
    why = f"Poison: composing this message took more than {COMPOSE_SECONDS:g} seconds."
    return results.ended("failed", why, rule=POISON)
