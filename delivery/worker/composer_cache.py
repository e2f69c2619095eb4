"""A lane's cache of composers and composed messages: content is compiled once, and some messages are composed ahead.

:mod:`delivery.content.composer` composes a message, and :mod:`mail.message.dkim` signs it.
"""

import datetime as dt
import itertools
import logging
import math
import os
import time
import traceback
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings

from delivery.content.attachments import FileGone
from delivery.content.composer import Composed, Composer, composer_for
from delivery.content.secret_links import has_secret_link
from delivery.content.signatures import SignatureMissing
from delivery.models import Mailing
from delivery.outbox.claims import Claim
from delivery.outcomes import consequences, results
from delivery.outcomes.verdicts import Judgement
from delivery.worker.lane import HeldLane
from mail.merge_fields import TooMuchWork
from mail.message.dkim import Signer
from smtpservers.smtp.pipeline import Envelope
from words.texts import text

log = logging.getLogger(__name__)

# Small messages are composed in groups: a message composed between two system calls takes twice as long.
COMPOSED_AT_ONCE, SMALL_BYTES = 16, 256 * 1024
# Messages that differ in plain values only are composed column by column, so many at once: more gain little.
COMPOSED_TOGETHER, TOGETHER_BYTES = 32, 512 * 1024
PROCESSORS = os.cpu_count() or 1
# A message slower than this delays all lanes of the process. Other messages of its content are then composed in the
# background.
SLOW_SECONDS = 0.05  # By the clock, and of processor time.
LOG_SECONDS = 60.0  # Between two log lines about failures of one mailing.
COMPOSING = "composing"  # The rule of attempts whose message cannot be composed.
POISON = "poison"  # The rule of attempts whose message takes too much work to compose.


@dataclass(slots=True)
class Item(Envelope):
    """A composed message with its claim."""

    claim: Claim
    provider: str = ""  # The recipient's provider; empty while no provider is held.
    stopped: Judgement | None = None  # Why its dot was not written.
    sent_before: int = 0  # Messages that its connection carried before.


class ComposerCache:
    """The mailings that a lane sends, with their composers and composed messages."""

    def __init__(self, lane: HeldLane) -> None:
        self.mailings: dict[int, Mailing] = {}  # Mailings with claims in this lane.
        self.secret: set[int] = set()  # The mailings among them whose content has a secret link.
        self._lane = lane
        self._composers: dict[int, Composer] = {}
        self._signers: dict[int, Signer] = {}  # Only of mailings that we sign.
        self._unusable: dict[int, Judgement] = {}  # Judgements for mailings whose content cannot be composed …
        self._unavailable: dict[int, Judgement] = {}  # … or not by this machine at present.
        self._composed: dict[int, Item | Judgement] = {}  # Messages composed ahead of their turn, by attempt.
        self.waiting: deque[Claim] = deque()  # Claims with slow content, to be composed in the background.
        self._logged_at: dict[tuple[int, str], float] = {}  # The time of the last log line by mailing and failure.
        self._slow: set[int] = set()  # Mailings with a slow message.
        self._made_in_background: dict[int, Item] = {}  # By attempt.
        self._sizes: dict[int, int] = {}  # Bytes of a message, of mailings whose messages are composed together.
        lane.on_halt.append(self._forget)

    def compile(self, mailing_id: int) -> None:
        """Read a mailing and compile its content once. Runs in the database thread."""
        if mailing_id in self._composers or mailing_id in self._unusable:
            return
        lane = self._lane
        mailing = self.mailings[mailing_id] = Mailing.objects.get(pk=mailing_id)
        if has_secret_link(mailing):
            self.secret.add(mailing_id)
        lane.journal.compiling(mailing_id)
        try:
            if lane.process.signer_for and (sign := lane.process.signer_for(mailing, lane.server)):
                self._signers[mailing_id] = sign  # Before the composer, so that no message leaves unsigned.
            self._composers[mailing_id] = composer_for(mailing, lane.server)
        except SignatureMissing as error:  # The keys changed since the plan was made; the next one waits for them.
            self._unavailable[mailing_id] = _wait(mailing, str(error))
        except FileGone as error:
            self._unavailable[mailing_id] = _hold(mailing, str(error))
        except ValueError as error:  # Unusable content fails each of its messages.
            self._unusable[mailing_id] = _failed(str(error))
        lane.journal.compiling(0)

    def item(self, claim: Claim, now: dt.datetime, following: Iterable[Claim] = ()) -> Item | Judgement:
        """Return the composed message, or its judgement if it cannot be composed.

        :param following: the next claims; while messages flow freely, the first of them are composed along with it.
        """
        made = self._made_in_background.pop(claim.attempt_id, None) or self._composed.pop(claim.attempt_id, None)
        if made is not None:
            return made
        lane = self._lane
        is_flowing = lane.per_second is None and not (lane.holds or lane.is_probing)
        composer = self._composers.get(claim.message.mailing_id)
        if (
            is_flowing
            and following
            and composer is not None
            and composer.builds_together(claim.message, tracking=lane.tracking)
        ):
            self._compose_together(composer, claim, following, now)
            following = ()
            if (made := self._composed.pop(claim.attempt_id, None)) is not None:
                return made
        item = self._make([claim], now)[claim.attempt_id]
        if following and is_flowing and isinstance(item, Item) and len(item.content) <= SMALL_BYTES:
            others = list(itertools.islice(following, min(COMPOSED_AT_ONCE, lane.connections) - 1))
            known = self._composed
            known |= self._make([other for other in others if other.attempt_id not in known], now, is_ahead=True)
            # Messages that are no longer next are dropped.
            self._composed = {each.attempt_id: known[each.attempt_id] for each in others if each.attempt_id in known}
        return item

    def take_composed(self, claim: Claim) -> Item | None:
        """Return a message that was composed ahead of its turn, if it was."""
        made = self._composed.get(claim.attempt_id)
        if isinstance(made, Item):
            del self._composed[claim.attempt_id]
            return made
        return None

    # --- slow content

    def has_slow(self, mailing_id: int) -> bool:
        """Whether a mailing's messages are slow to compose."""
        return mailing_id in self._slow

    def is_slow(self, claim: Claim) -> bool:
        """Whether a message is probably slow, and not composed yet."""
        is_made = claim.attempt_id in self._made_in_background or claim.attempt_id in self._composed
        return claim.message.mailing_id in self._slow and not is_made

    def make_in_background(self, claim: Claim, now: dt.datetime) -> Item | Judgement:
        """Return the composed message, or its judgement. Runs in the composing thread, not in the event loop."""
        return self._make([claim], now, in_background=True)[claim.attempt_id]

    def keep(self, claim: Claim, item: Item) -> None:
        """Keep a message that was composed in the background until its turn comes again."""
        self._made_in_background[claim.attempt_id] = item

    # --- many messages

    def _compose_together(self, composer: Composer, claim: Claim, following: Iterable[Claim], now: dt.datetime) -> None:
        """Compose a message and the next ones of its mailing at once, as far as they are alike, and keep them.

        A message that was claimed before is made alone, under its own mark in the journal: perhaps it ended the worker.
        """
        mailing_id, known = claim.message.mailing_id, self._composed
        most = min(COMPOSED_TOGETHER, TOGETHER_BYTES // self._sizes.get(mailing_id, TOGETHER_BYTES))
        claims = [claim, *itertools.islice(following, most - 1 if most else 0)]
        new = [
            each
            for each in claims
            if each.attempt_id not in known and each.message.mailing_id == mailing_id and not each.message.attempt_count
        ]
        try:
            composed = composer.compose_together([each.message for each in new], now, tracking=self._lane.tracking)
        except Exception as error:  # Each of them is composed again alone, and shows itself what is wrong with it.
            self._log_failure(mailing_id, "composed with others", error)
            return
        made: dict[int, Item | Judgement] = {
            each.attempt_id: _item(one, each) for each, one in zip(new, composed, strict=True) if one is not None
        }
        self._sizes[mailing_id] = next((len(one.content) for one in composed if one), TOGETHER_BYTES)
        made |= self._sign_all(made)
        known |= made
        # Messages that are no longer next are dropped.
        self._composed = {each.attempt_id: known[each.attempt_id] for each in claims if each.attempt_id in known}

    # --- one message

    def _make(
        self, claims: Iterable[Claim], now: dt.datetime, *, in_background: bool = False, is_ahead: bool = False
    ) -> dict[int, Item | Judgement]:
        """Compose messages one after the other and sign them; return them, or their judgements, by attempt.

        :param is_ahead: whether messages of slow content are left out.
        """
        made: dict[int, Item | Judgement] = {}
        suspects: set[int] = set()  # Mailings with a message that was slow by the clock.
        began = time.thread_time()
        for claim in claims:
            if not is_ahead or claim.message.mailing_id not in self._slow:
                made[claim.attempt_id] = self._compose(claim, now, suspects, in_background=in_background)
        # On a busy machine all content is slow by the clock. Processor time is read once, since it costs a system call.
        if suspects and time.thread_time() - began > SLOW_SECONDS:
            self._slow |= suspects
        return made | self._sign_all(made)

    def _sign_all(self, made: Mapping[int, Item | Judgement]) -> dict[int, Judgement]:
        """Sign the messages among these; return the judgements of messages that cannot be signed, by attempt."""
        if not self._signers:
            return {}
        items = [item for item in made.values() if isinstance(item, Item)]
        # A slow signature releases the interpreter lock, so that all processors can share the work.
        is_slow = any(signer.is_slow for signer in self._signers.values())
        ways = PROCESSORS if is_slow else 1
        own, *others = [items[first::ways] for first in range(ways)]
        signatures = [self._lane.process.signing.submit(self._sign, share) for share in others if share]
        problems = self._sign(own)
        for signature in signatures:
            problems |= signature.result()
        return problems

    def _sign(self, items: Iterable[Item]) -> dict[int, Judgement]:
        """Sign messages; return the judgements of messages that cannot be signed, by attempt."""
        problems = {}
        for item in items:
            mailing_id = item.claim.message.mailing_id
            try:
                if sign := self._signers.get(mailing_id):
                    item.content = sign(item.content) + item.content
            except Exception as error:
                self._log_failure(mailing_id, "signed", error)
                problems[item.claim.attempt_id] = _failed(f"it could not be signed ({error})")
        return problems

    def _compose(self, claim: Claim, now: dt.datetime, suspects: set[int], *, in_background: bool) -> Item | Judgement:
        message = claim.message
        if (composer := self._composers.get(message.mailing_id)) is None:
            return self._unusable.get(message.mailing_id) or self._unavailable[message.mailing_id]
        journal, began = self._lane.journal, time.monotonic()
        journal.composing(claim.attempt_id, in_background=in_background)
        try:
            composed = composer.compose(message, now, tracking=self._lane.tracking)
        except TooMuchWork as error:
            self._log_failure(message.mailing_id, "composed", error)
            return results.ended("failed", f"Poison: the message could not be composed. {error}", rule=POISON)
        except Exception as error:  # Nothing was sent: content that breaks the composer fails only its own message.
            self._log_failure(message.mailing_id, "composed", error)
            return _failed(str(error))
        finally:
            journal.composing(0, in_background=in_background)
            if time.monotonic() - began > SLOW_SECONDS:
                suspects.add(message.mailing_id)
        return _item(composed, claim)

    def _log_failure(self, mailing_id: int, what: str, error: Exception) -> None:
        """Log that a message could not be made: once a minute per mailing, and without any of its content."""
        now = time.monotonic()
        if now - self._logged_at.get((mailing_id, what), -math.inf) < LOG_SECONDS:
            return
        self._logged_at[mailing_id, what] = now
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(at.filename)}:{at.lineno}"
        log.error("mailing %s: a message could not be %s (%s, %s)", mailing_id, what, type(error).__name__, where)

    def _forget(self) -> None:
        self._composed, self._made_in_background = {}, {}


def _item(composed: Composed, claim: Claim) -> Item:
    # No line of a composed message begins with a dot.
    return Item(composed.envelope_from, composed.rcpt_to, composed.content, composed.is_smtputf8, False, claim)


def _failed(why: str) -> Judgement:
    return results.ended("failed", f"The message could not be composed: {why}", COMPOSING)


def _wait(mailing: Mailing, why: str) -> Judgement:
    """Return the judgement of messages that wait for a DKIM key; of a test, whose result a person waits for, failed."""
    if mailing.stream == Mailing.Stream.TEST:
        return _failed(why)
    return results.given_back(why, settings.RETRY_WAITS[0])


def _hold(mailing: Mailing, why: str) -> Judgement:
    """Return the judgement of messages that may be composed later or elsewhere. A campaign waits for a person."""
    if mailing.stream == Mailing.Stream.TEST:  # A person waits for the result.
        return _failed(why)
    if mailing.stream == Mailing.Stream.CAMPAIGN:
        consequences.stop(mailing.pk, text("Stopped: %(why)s Then resume.", why=why))
        return results.given_back(why)
    return results.given_back(why, settings.RETRY_WAITS[0])
