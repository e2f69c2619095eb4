"""The source of a lane's messages: which one goes next, whether it may still be sent, and what its answer means.

Connections call it for every message, so nothing here may wait.
"""

import asyncio
import datetime as dt
from dataclasses import replace

from django.conf import settings

from delivery.clock import steady
from delivery.models import Mailing
from delivery.outbox.claims import Claim
from delivery.outcomes import results
from delivery.outcomes.provider_holds import provider_of
from delivery.outcomes.verdicts import ACCEPTED, Judgement, judge
from delivery.worker.composer_cache import ComposerCache, Item
from delivery.worker.lane import HeldLane
from delivery.worker.prefetch import Prefetch
from delivery.worker.result_buffer import NOT_BEGUN, ResultBuffer
from delivery.worker.slow_content import SlowContent
from mail.replies.reply import PlainReply
from mail.replies.rules import Stage
from smtpservers.limits import rate_limiter, throttling
from smtpservers.smtp.answer import Answer, accepted

NOW_SECONDS = 0.01  # For so long a reading of the clock is good enough for the end of a quota period.
UNKEPT = "(The words of this reply are not kept: they could quote the link of the mail.)"


class MessageSource:
    """The messages of a lane between prefetch and result buffer."""

    def __init__(
        self, lane: HeldLane, buffer: ResultBuffer, cache: ComposerCache, prefetch: Prefetch, slow: SlowContent
    ) -> None:
        self.accepted = 0  # Messages that the server accepted.
        self._lane = lane
        self._buffer = buffer
        self._cache = cache
        self._prefetch = prefetch
        self._slow = slow
        self._bucket = rate_limiter.Bucket(None, 0.0)
        self._later: asyncio.TimerHandle | None = None  # Set for the time when the rate allows the next message.
        self._back_off = settings.RETRY_WAITS
        self._now, self._now_until = lane.process.clock(), 0.0

    # --- before MAIL

    def next_item(self, number: int, sent_before: int) -> Item | None:
        """Return the next message for a connection, composed; None if no MAIL may be sent now.

        :param number: the connection's number in the pool.
        :param sent_before: the messages that this connection has carried.
        """
        lane, prefetch, holds = self._lane, self._prefetch, self._lane.holds
        is_flowing = lane.per_second is None and not (lane.is_probing or holds)
        while not lane.is_halted and prefetch.has_work_for(number):
            pile = prefetch.urgent or prefetch.bulk
            claim = pile.popleft()
            if pile is prefetch.bulk and len(pile) < prefetch.wanted:
                prefetch.should_claim.set()
            if is_flowing and (ready := self._ready(claim)) is not None:
                ready.sent_before = sent_before
                lane.is_probe_out = True
                return ready
            now = lane.process.clock()
            if (judgement := self._obstacle(claim, now)) is not None:
                self._buffer.note(claim, judgement)
                continue
            provider = provider_of(claim.message) if holds else ""
            if provider and not holds.may_begin(provider, now):
                if not prefetch.put_aside(claim):
                    wait = holds.patience(provider, now)
                    why = f"Mail to {provider} goes out slowly just now."
                    self._buffer.note(claim, results.given_back(why, wait))
                continue
            if self._slow.takes(claim):
                continue
            if not self._is_granted():
                pile.appendleft(claim)
                return None
            item = self._cache.item(claim, now, pile if pile is prefetch.bulk else ())
            if not isinstance(item, Item):
                self._buffer.note(claim, item)
                continue
            item.sent_before = sent_before
            lane.is_probe_out = True
            if provider:
                item.provider = provider
                holds.begun(provider, now)
            return item
        return None

    def _ready(self, claim: Claim) -> Item | None:
        """Return a message that was composed ahead and may be sent; None: it needs a closer look."""
        lane, at = self._lane, steady()
        if at >= self._now_until:
            self._now, self._now_until = lane.process.clock(), at + NOW_SECONDS
        is_stopped = claim.message.pk in self._buffer.stops
        if is_stopped or at >= lane.lease.valid_until or self._now >= claim.period_ends_at:
            return None
        return self._cache.take_composed(claim)

    def _obstacle(self, claim: Claim, now: dt.datetime) -> Judgement | None:
        """Return the judgement of a message that must not be sent now; None if it may be sent."""
        if (stop := self._buffer.stops.get(claim.message.pk)) is not None:
            what, why = stop
            return results.given_back(why) if what == "give back" else results.ended(what, why)
        lane = self._lane
        if not lane.lease.is_valid or now >= claim.period_ends_at:
            return results.given_back("The time to send this message was over; it is claimed anew.")
        return lane.holds.look(claim.message, now) if lane.holds else None

    def _is_granted(self) -> bool:
        """Whether the server's rate allows a message now. If not, connections are woken when it does."""
        if self._lane.per_second is None:
            return True
        loop = asyncio.get_running_loop()
        if self._bucket.take(loop.time()):
            return True
        if self._later is None:
            self._later = loop.call_later(self._bucket.wait(loop.time()), self._rate_allows)
        return False

    def _rate_allows(self) -> None:
        self._later = None
        self._prefetch.has_work.set()

    def set_rate(self) -> None:
        """Set the rate limiter to the lane's present rate."""
        self._bucket.set_rate(self._lane.per_second, asyncio.get_running_loop().time())

    # --- the dot, and the answer

    def may_finish(self, item: Item) -> bool:
        """Whether the final dot may be written: the last moment at which a message can be stopped."""
        lane, claim = self._lane, item.claim
        stop = self._buffer.stops.get(claim.message.pk)
        if stop is not None or steady() >= lane.lease.valid_until:
            item.stopped = self._obstacle(claim, lane.process.clock())
            if item.stopped is not None:
                return False
        lane.journal.dot(claim.attempt_id)
        return True

    def dot_kept(self, item: Item) -> None:
        """Record that the dot could not be written yet."""
        self._lane.journal.kept(item.claim.attempt_id)

    def answered(self, item: Item, answer: Answer) -> None:
        """Judge the answer to a message, and note its result."""
        claim, lane = item.claim, self._lane
        if item.stopped is not None and not answer.is_dot_written:
            self._ended(item, item.stopped)
            self._buffer.note(claim, item.stopped)
            return
        mailing = self._cache.mailings[claim.message.mailing_id]
        if mailing.pk in self._cache.secret:
            answer = _without_words(answer)
        lane.journal.answer(claim.attempt_id, answer.stage, answer.reply, answer.lost)
        judgement = judge(
            answer,
            stream=mailing.stream,
            attempts=claim.message.tries + 1,
            recipient=claim.message.written_to,
            resent_before=claim.was_unconfirmed,
            back_off=self._back_off,
        )
        if judgement.is_accepted:
            self.accepted += 1
        self._ended(item, judgement)
        self._buffer.note(claim, judgement, answer.stage.value, answer.reply, item.sent_before)
        # An answer without a reason may be about our account, so that it does not show the server to be well.
        is_well = judgement.is_answer and not judgement.gives_no_reason
        if judgement.pauses_server or (lane.is_probing and not is_well):
            lane.halt()
        elif lane.is_probing:
            lane.is_probing = False
            self._prefetch.should_claim.set()

    def agreed(self, item: Item, text: str) -> None:
        """Note the result of a message that was accepted with a plain 250; as :meth:`answered` does, at less cost.

        :param text: the reply after the code.
        """
        lane, claim = self._lane, item.claim
        needs_more = item.provider or lane.is_probing or self._prefetch.aside
        if needs_more or claim.message.mailing_id in self._cache.secret:
            self.answered(item, accepted(text))
            return
        lane.journal.agreed(claim.attempt_id, text)
        self.accepted += 1
        lane.is_probe_out = False
        self._buffer.note(claim, ACCEPTED, "DOT", PlainReply(text), item.sent_before)

    def put_back(self, item: Item, answer: Answer) -> None:
        """Put back a message that its connection did not begin before it ended, for another connection."""
        lane = self._lane
        lane.is_probe_out = False
        if item.provider:
            lane.holds.ended(item.provider, is_ok=False, now=lane.process.clock())
        if answer.reply is not None:
            self._learn(answer, item.sent_before)
        if lane.is_halted:
            self._buffer.note(item.claim, NOT_BEGUN)
        else:
            self._prefetch.put_back(item.claim)

    def _ended(self, item: Item, judgement: Judgement) -> None:
        """Update holds and probe for a message that is off the line."""
        lane = self._lane
        lane.is_probe_out = False
        if item.provider:
            lane.holds.ended(item.provider, is_ok=judgement.is_accepted, now=lane.process.clock())
        if judgement.hold is not None or judgement.refusal is not None:
            lane.holds.note(judgement, item.claim.message, lane.process.clock())
        if self._prefetch.aside:
            self._prefetch.bring_back()

    def _learn(self, answer: Answer, sent_before: int) -> None:
        """Store the most messages that the server takes over one connection, if its answer shows that."""
        judgement = judge(answer, stream=Mailing.Stream.CAMPAIGN, attempts=1, back_off=self._back_off)
        if judgement.learns_limit and sent_before:
            lane = self._lane
            most = min(lane.endpoint.messages_per_connection, sent_before)
            lane.endpoint = replace(lane.endpoint, messages_per_connection=most)
            learn = throttling.learn_messages_per_connection
            lane.group.create_task(lane.database(learn, lane.server_id, sent_before, lane.server.version))


def _without_words(answer: Answer) -> Answer:
    """Return an answer to a mail with a secret link: servers quote links that they refuse, and answers are stored."""
    if answer.reply is None or answer.stage not in (Stage.DATA, Stage.DOT):
        return answer  # Before DATA the server has not seen the content.
    return replace(answer, reply=replace(answer.reply, text=UNKEPT))
