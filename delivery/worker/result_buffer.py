"""The result buffer of a lane: keeps results until they are recorded in groups, and knows the messages in hand.

:mod:`delivery.outcomes.results` records them. If the lane is lost, the recovery finds its results in the journal.
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
from mail.replies.reply import PlainReply, Reply

# How long results wait to be recorded in a group: a short time while they are few, and longer while many arrive.
FLUSH_SECONDS, BUSY_FLUSH_SECONDS = 0.05, 0.2
FEW_RESULTS, MANY_RESULTS, MOST_RESULTS = 20, 1000, 2000
MOST_UNRECORDED = 2 * MOST_RESULTS  # More results than these: nothing is claimed until some are recorded.

CAMPAIGN = Mailing.Stream.CAMPAIGN.value
NOT_BEGUN = results.given_back("Given back before it was begun.")


class ResultBuffer:
    """The messages that a lane has in hand, the stops among them, and the results that are not recorded yet."""

    def __init__(self, lane: HeldLane, mailings: Mapping[int, Mailing]) -> None:
        self.in_hand: set[int] = set()  # Claimed messages without a result.
        self.stops: dict[int, tuple[str, str]] = {}  # Messages that must not be sent: (what to do instead, why).
        self.noted = 0  # Results since the lane was acquired.
        self._recorded = 0  # Those that were recorded.
        self._lane = lane
        self._mailings = mailings
        self._results: list[Result] = []
        self._has_results = asyncio.Event()
        self._is_flush_due = asyncio.Event()

    @property
    def is_behind(self) -> bool:
        """Whether so many results wait to be recorded that no more messages should be claimed."""
        return self.noted - self._recorded > MOST_UNRECORDED

    def note(
        self,
        claim: Claim,
        judgement: Judgement,
        stage: str = "",
        reply: Reply | PlainReply | None = None,
        sent_before: int = 0,
    ) -> None:
        """Add the result of a message, which is then no longer in hand.

        :param sent_before: the messages that its connection carried before.
        """
        message, stream = claim.message, self._mailings[claim.message.mailing_id].stream
        self.in_hand.discard(message.pk)
        self.stops.pop(message.pk, None)
        self.noted += 1
        self._results.append(
            Result(  # By place: names would cost as much again.
                claim.attempt_id,
                message,
                message.mailing_id,
                stream,
                self._lane.server_id,
                claim.period_id,
                claim.reserved_at,
                judgement,
                stage,
                reply,
                sent_before,
            )
        )
        if len(self._results) == 1:
            self._has_results.set()
        # Enough for a group, or no others come soon, or somebody waits for this one.
        if len(self._results) == MANY_RESULTS or not self.in_hand or stream != CAMPAIGN:
            self._is_flush_due.set()

    def give_back(self, claims: Iterable[Claim]) -> None:
        """Release claims that were not begun."""
        for claim in claims:
            self.note(claim, NOT_BEGUN)

    def find_stops(self, message_ids: Iterable[int]) -> None:
        """Find the messages among these that must no longer be sent. Runs in the database thread."""
        self.stops.update(outbox_claims.stopped(list(message_ids), self._lane.process.clock()))

    def add_stops(self, stopped: Mapping[int, tuple[str, str]]) -> None:
        """Add stops, as far as they are for messages in hand."""
        self.stops.update({pk: what for pk, what in stopped.items() if pk in self.in_hand})

    async def flush(self) -> None:
        """Record all results."""
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
                # One group only: results that arrive in the meantime wait for the next group. A separate, shielded task
                # of the lane: if this task is cancelled, an error of the database must still be noticed.
                await asyncio.shield(self._lane.group.create_task(self._flush_some()))
            if not self._results:
                self._has_results.clear()

    async def _flush_some(self) -> None:
        """Record a group of results. If the lane is lost, the recovery records them from the journal instead."""
        group, self._results = self._results[:MOST_RESULTS], self._results[MOST_RESULTS:]
        await self._lane.record(self._record, group)
        self._recorded += len(group)
        if self._lane.is_halted:
            self._lane.halt()
        if not self._lane.is_lost:
            self._lane.journal.recorded([result.attempt_id for result in group])

    def _record(self, group: list[Result]) -> None:
        if not results.record(self._lane.lease.token, group, self._lane.process.clock()):
            self._lane.is_lost = self._lane.is_halted = True
        elif any(result.judgement.gives_no_reason for result in group) and not self._lane.is_unchanged():
            self._lane.is_halted = True  # The answers were about our account: nothing more is sent.
