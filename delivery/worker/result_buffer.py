"""The account of a lane: a message it claimed is in hand until its result is noted; results are recorded in groups.

How they are recorded is :mod:`delivery.outcomes.results`'s. Those of a lane that was lost, the sweep finds in the
journal.
"""

import asyncio
from collections.abc import Iterable, Mapping

from delivery.models import Mailing
from delivery.outbox import claims as outbox_claims
from delivery.outbox.claims import Claim
from delivery.outcomes import results
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import Judgement
from delivery.worker.lane import HeldLane, wait
from mail.replies.reply import Reply
from mail.replies.rules import Stage

# How long results wait for others to be recorded with them: shortly while they are few, else until they are many.
FLUSH_SECONDS, BUSY_FLUSH_SECONDS = 0.05, 0.2
FEW_RESULTS, MANY_RESULTS, MOST_RESULTS = 20, 1000, 2000

NOT_BEGUN = results.given_back("Given back before it was begun.")


class Account:
    """The messages a lane has in hand, which of them must not be sent any more, and what became of the others."""

    def __init__(self, lane: HeldLane, mailings: Mapping[int, Mailing]) -> None:
        self.in_hand: set[int] = set()  # Messages claimed and not yet done with.
        self.stops: dict[int, tuple[str, str]] = {}  # What to do instead of sending, and why, by message.
        self.noted = 0  # Results, since the lane was taken.
        self._lane = lane
        self._mailings = mailings
        self._results: list[Result] = []
        self._has_results = asyncio.Event()
        self._is_flush_due = asyncio.Event()

    def note(
        self,
        claim: Claim,
        judgement: Judgement,
        stage: Stage | None = None,
        reply: Reply | None = None,
        sent_before: int = 0,
    ) -> None:
        """Be done with a message: this became of it.

        :param sent_before: messages its connection had carried before it.
        """
        message = claim.message
        self.in_hand.discard(message.pk)
        self.stops.pop(message.pk, None)
        self.noted += 1
        self._results.append(
            Result(
                attempt_id=claim.attempt_id,
                message=message,
                mailing_id=message.mailing_id,
                stream=self._mailings[message.mailing_id].stream,
                server_id=self._lane.server_id,
                period_id=claim.period_id,
                reserved_at=claim.reserved_at,
                judgement=judgement,
                stage=stage.value if stage else "",
                reply=reply,
                sent_before=sent_before,
            )
        )
        self._has_results.set()
        if len(self._results) == MANY_RESULTS or not self.in_hand:  # Many, or no others come soon.
            self._is_flush_due.set()

    def give_back(self, claims: Iterable[Claim]) -> None:
        """Note of claims that nothing of them was begun."""
        for claim in claims:
            self.note(claim, NOT_BEGUN)

    def look(self, message_ids: Iterable[int]) -> None:
        """Find out, in the database thread, which of these must not be sent any more."""
        self.stops.update(outbox_claims.stopped(list(message_ids), self._lane.around.clock()))

    def stop(self, stopped: Mapping[int, tuple[str, str]]) -> None:
        """Learn which messages must not be sent any more, among them perhaps some of these."""
        self.stops.update({pk: what for pk, what in stopped.items() if pk in self.in_hand})

    async def flush(self) -> None:
        """Record everything that is known."""
        while self._results and not self._lane.is_lost:
            await self._flush_some()

    async def keep_flushing(self) -> None:
        """Record results as they come."""
        while True:
            await self._has_results.wait()
            await wait(self._is_flush_due, FLUSH_SECONDS)
            if len(self._results) > FEW_RESULTS:
                await wait(self._is_flush_due, BUSY_FLUSH_SECONDS - FLUSH_SECONDS)
            self._is_flush_due.clear()
            if self._results and not self._lane.is_lost:
                # No more than these: what comes meanwhile waits for its like again. A task of its own, which is waited
                # for when this one is cancelled: nobody would learn that the database refused the group.
                await asyncio.shield(self._lane.group.create_task(self._flush_some()))
            if not self._results:
                self._has_results.clear()

    async def _flush_some(self) -> None:
        """Record a group of results. When the lane was lost, the sweep records them from the journal instead."""
        group, self._results = self._results[:MOST_RESULTS], self._results[MOST_RESULTS:]
        await self._lane.database(self._record, group)
        if self._lane.is_halted:
            self._lane.halt()
        if not self._lane.is_lost:
            self._lane.journal.recorded([result.attempt_id for result in group])

    def _record(self, group: list[Result]) -> None:
        if not results.record(self._lane.lease.token, group, self._lane.around.clock()):
            self._lane.is_lost = self._lane.is_halted = True
        elif any(result.judgement.gives_no_reason for result in group) and not self._lane.is_unchanged():
            self._lane.is_halted = True  # The answers were about our account: no more of them is asked for.
