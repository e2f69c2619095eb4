"""Messages made ready in a lane: the content of each mailing is compiled once, some messages are composed ahead.

How a message is composed is :mod:`delivery.content.composer`'s, how it is signed :mod:`mail.message.dkim`'s.
"""

import datetime as dt
import itertools
import logging
import math
import os
import time
import traceback
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from delivery.content.attachments import FileGone
from delivery.content.composer import Composer, composer_for
from delivery.models import Mailing
from delivery.outbox.claims import Claim
from delivery.outcomes import consequences, results
from delivery.outcomes.verdicts import Judgement
from delivery.worker.lane import HeldLane
from mail.merge_fields import TooMuchWork
from mail.message.dkim import Signer
from smtpservers.smtp.pipeline import Envelope

log = logging.getLogger(__name__)

# Messages composed in one go, unless they are large: between two calls of the kernel each takes twice as long.
COMPOSED_AT_ONCE, SMALL_BYTES = 16, 256 * 1024
PROCESSORS = os.cpu_count() or 1
# A message that takes so long holds up all lanes of the process; others of its content are composed beside the loop.
SLOW_SECONDS = 0.05  # By the clock, and of the processor.
TELL_SECONDS = 60.0  # Between two lines of the log about messages of one mailing that cannot be made.
COMPOSING = "composing"  # The rule of attempts whose message cannot be composed.
POISON = "poison"  # The rule of attempts whose message takes too much to compose.


@dataclass(slots=True)
class Item(Envelope):
    """A composed message with the claim it comes from."""

    claim: Claim
    provider: str = ""  # Who receives for its recipient; empty while no provider is held.
    stopped: Judgement | None = None  # Why its dot was not written.
    sent_before: int = 0  # Messages its connection had carried before it.


class Contents:
    """The mailings a lane sends, and their messages."""

    def __init__(self, lane: HeldLane) -> None:
        self.mailings: dict[int, Mailing] = {}  # Of which something was claimed.
        self._lane = lane
        self._composers: dict[int, Composer] = {}
        self._signers: dict[int, Signer] = {}  # Of those mailings that we sign.
        self._unusable: dict[int, Judgement] = {}  # What becomes of mailings whose content cannot be composed …
        self._not_here: dict[int, Judgement] = {}  # … or not at present, by this machine.
        self._composed: dict[int, Item | Judgement] = {}  # By attempt, ahead of its turn; or what becomes of it.
        self.waiting: deque[Claim] = deque()  # To be composed beside, because their content takes long.
        self._told: dict[tuple[int, str], float] = {}  # When it was logged that a mailing's messages fail.
        self._slow: set[int] = set()  # Mailings of which a message took long.
        self._made_beside: dict[int, Item] = {}  # By attempt.
        lane.when_halted.append(self._forget)

    def compile(self, mailing_id: int) -> None:
        """Read a mailing and compile its content, in the database thread, unless that was done."""
        if mailing_id in self._composers or mailing_id in self._unusable:
            return
        lane = self._lane
        mailing = self.mailings[mailing_id] = Mailing.objects.get(pk=mailing_id)
        lane.journal.compiling(mailing_id)
        try:
            if lane.around.signer_for and (sign := lane.around.signer_for(mailing, lane.server)):
                self._signers[mailing_id] = sign  # First: nothing leaves unsigned.
            self._composers[mailing_id] = composer_for(mailing, lane.server)
        except FileGone as error:
            self._not_here[mailing_id] = _hold(mailing, str(error))
        except ValueError as error:  # A content that cannot be used fails each message.
            self._unusable[mailing_id] = _failed(str(error))
        lane.journal.compiling(0)

    def item(self, claim: Claim, now: dt.datetime, following: Iterable[Claim] = ()) -> Item | Judgement:
        """Return the composed message; or what becomes of it, where it cannot be composed.

        :param following: whose turn it is next: while messages flow freely, the first are composed along with it.
        """
        made = self._made_beside.pop(claim.attempt_id, None) or self._composed.pop(claim.attempt_id, None)
        if made is not None:
            return made
        item = self._make([claim], now)[claim.attempt_id]
        lane = self._lane
        is_flowing = lane.per_second is None and not (lane.holds or lane.is_probing)
        if following and is_flowing and isinstance(item, Item) and len(item.content) <= SMALL_BYTES:
            others = list(itertools.islice(following, min(COMPOSED_AT_ONCE, lane.connections) - 1))
            known = self._composed
            known |= self._make([other for other in others if other.attempt_id not in known], now, is_ahead=True)
            # What is not asked for any more is forgotten.
            self._composed = {each.attempt_id: known[each.attempt_id] for each in others if each.attempt_id in known}
        return item

    # --- contents that take long

    def has_slow(self, mailing_id: int) -> bool:
        """Whether messages of a mailing take long to compose."""
        return mailing_id in self._slow

    def is_slow(self, claim: Claim) -> bool:
        """Whether a message is likely to take long, and is still to be composed."""
        is_made = claim.attempt_id in self._made_beside or claim.attempt_id in self._composed
        return claim.message.mailing_id in self._slow and not is_made

    def make_beside(self, claim: Claim, now: dt.datetime) -> Item | Judgement:
        """Return the composed message, or what becomes of it; in another thread than the loop's."""
        return self._make([claim], now, is_beside=True)[claim.attempt_id]

    def keep(self, claim: Claim, item: Item) -> None:
        """Keep a message that was composed beside until its turn comes again."""
        self._made_beside[claim.attempt_id] = item

    # --- one message

    def _make(
        self, claims: Iterable[Claim], now: dt.datetime, *, is_beside: bool = False, is_ahead: bool = False
    ) -> dict[int, Item | Judgement]:
        """Return messages by attempt, or what becomes of them: composed one after the other, then signed.

        :param is_ahead: whether those that are likely to take long are left out.
        """
        made: dict[int, Item | Judgement] = {}
        suspects: set[int] = set()  # Mailings of which a message took long by the clock.
        began = time.thread_time()
        for claim in claims:
            if not is_ahead or claim.message.mailing_id not in self._slow:
                made[claim.attempt_id] = self._compose(claim, now, suspects, is_beside=is_beside)
        # By the clock alone every content is slow on a busy machine. The processor's time costs a system call each.
        if suspects and time.thread_time() - began > SLOW_SECONDS:
            self._slow |= suspects
        if self._signers:
            items = [item for item in made.values() if isinstance(item, Item)]
            # A slow signature is made without the interpreter: every processor takes its share of them.
            is_slow = any(signer.is_slow for signer in self._signers.values())
            ways = PROCESSORS if is_slow else 1
            own, *others = [items[first::ways] for first in range(ways)]
            beside = [self._lane.around.signing.submit(self._sign, share) for share in others if share]
            for problems in (self._sign(own), *(signing.result() for signing in beside)):
                made |= problems
        return made

    def _sign(self, items: Iterable[Item]) -> dict[int, Judgement]:
        """Sign some messages, and return by attempt what becomes of those that cannot be signed."""
        problems = {}
        for item in items:
            mailing_id = item.claim.message.mailing_id
            try:
                if sign := self._signers.get(mailing_id):
                    item.content = sign(item.content) + item.content
            except Exception as error:
                self._tell(mailing_id, "signed", error)
                problems[item.claim.attempt_id] = _failed(f"it could not be signed ({error})")
        return problems

    def _compose(self, claim: Claim, now: dt.datetime, suspects: set[int], *, is_beside: bool) -> Item | Judgement:
        message = claim.message
        if (composer := self._composers.get(message.mailing_id)) is None:
            return self._unusable.get(message.mailing_id) or self._not_here[message.mailing_id]
        journal, began = self._lane.journal, time.monotonic()
        journal.composing(claim.attempt_id, is_beside=is_beside)
        try:
            composed = composer.compose(message, now)
        except TooMuchWork as error:
            self._tell(message.mailing_id, "composed", error)
            return results.ended("failed", f"Poison: the message could not be composed. {error}", rule=POISON)
        except Exception as error:  # Nothing was sent: a content that breaks composing ends its own message alone.
            self._tell(message.mailing_id, "composed", error)
            return _failed(str(error))
        finally:
            journal.composing(0, is_beside=is_beside)
            if time.monotonic() - began > SLOW_SECONDS:
                suspects.add(message.mailing_id)
        envelope = (composed.envelope_from, composed.rcpt_to, composed.content, composed.is_smtputf8)
        return Item(*envelope, False, claim)  # Composing leaves no line that begins with a dot.

    def _tell(self, mailing_id: int, what: str, error: Exception) -> None:
        """Log that messages of a mailing could not be made, once a minute, and nothing of what stands in them."""
        now = time.monotonic()
        if now - self._told.get((mailing_id, what), -math.inf) < TELL_SECONDS:
            return
        self._told[mailing_id, what] = now
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(at.filename)}:{at.lineno}"
        log.error("mailing %s: a message could not be %s (%s, %s)", mailing_id, what, type(error).__name__, where)

    def _forget(self) -> None:
        self._composed, self._made_beside = {}, {}


def _failed(why: str) -> Judgement:
    return results.ended("failed", f"The message could not be composed: {why}", COMPOSING)


def _hold(mailing: Mailing, why: str) -> Judgement:
    """Return what becomes of messages that may be composed later or elsewhere; a campaign waits for a person."""
    if mailing.stream == Mailing.Stream.TEST:  # Somebody waits for it to tell.
        return _failed(why)
    if mailing.stream == Mailing.Stream.CAMPAIGN:
        consequences.stop(mailing.pk, f"Stopped: {why} Then resume.")
        return results.given_back(why)
    return results.given_back(why, settings.RETRY_WAITS[0])
