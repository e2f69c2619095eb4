"""Messages made ready in a lane: the content of each mailing is compiled once, some messages are composed ahead.

How a message is composed is :mod:`delivery.composing`'s.
"""

import datetime as dt
import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from delivery.claiming import Claim
from delivery.composing import Composer, composer_for
from delivery.judging import Judgement
from delivery.keeping import Lane
from delivery.models import Mailing
from smtpservers.pipeline import Envelope

log = logging.getLogger(__name__)

# Messages composed in one go, unless they are large: between two calls of the kernel each takes twice as long.
COMPOSED_AT_ONCE, SMALL_BYTES = 16, 256 * 1024


@dataclass(slots=True)
class Item(Envelope):
    """A composed message with the claim it comes from."""

    claim: Claim
    provider: str = ""  # Who receives for its recipient; empty while no provider is held.
    stopped: Judgement | None = None  # Why its dot was not written.
    sent_before: int = 0  # Messages its connection had carried before it.


class Contents:
    """The mailings a lane sends, and their messages."""

    def __init__(self, lane: Lane) -> None:
        self.mailings: dict[int, Mailing] = {}  # Of which something was claimed.
        self._lane = lane
        self._composers: dict[int, Composer] = {}
        self._unusable: dict[int, str] = {}  # Mailings whose content cannot be composed, and why.
        self._composed: dict[int, Item | str] = {}  # By attempt, ahead of its turn; or why it could not be.
        lane.when_halted.append(self._forget)

    def compile(self, mailing_id: int) -> None:
        """Read a mailing and compile its content, in the database thread, unless that was done."""
        if mailing_id in self.mailings:
            return
        lane = self._lane
        mailing = self.mailings[mailing_id] = Mailing.objects.get(pk=mailing_id)
        lane.journal.compiling(mailing_id)
        try:
            sign = lane.around.signer_for(mailing, lane.server) if lane.around.signer_for else None
            self._composers[mailing_id] = composer_for(mailing, lane.server, sign=sign)
        except ValueError as error:  # A content that cannot be used fails each message.
            self._unusable[mailing_id] = str(error)
        lane.journal.compiling(0)

    def item(self, claim: Claim, now: dt.datetime, following: Iterable[Claim] = ()) -> Item | str:
        """Return the composed message, or why it cannot be.

        :param following: whose turn it is next: while messages flow freely, the first are composed along with it.
        """
        made = self._composed.pop(claim.attempt_id, None)
        if made is not None:
            return made
        item = self._compose(claim, now)
        lane = self._lane
        is_flowing = lane.per_second is None and not (lane.holds or lane.is_probing)
        if following and is_flowing and isinstance(item, Item) and len(item.content) <= SMALL_BYTES:
            known, self._composed = self._composed, {}  # What is not asked for any more is forgotten.
            for other in itertools.islice(following, min(COMPOSED_AT_ONCE, lane.connections) - 1):
                self._composed[other.attempt_id] = known.get(other.attempt_id) or self._compose(other, now)
        return item

    def _compose(self, claim: Claim, now: dt.datetime) -> Item | str:
        message = claim.message
        if (why := self._unusable.get(message.mailing_id)) is not None:
            return why
        self._lane.journal.composing(claim.attempt_id)
        try:
            composed = self._composers[message.mailing_id].compose(message, now)
        except Exception as error:  # Nothing was sent: a content that breaks composing ends its own message alone.
            log.exception("mailing %s: a message could not be composed", message.mailing_id)
            return str(error)
        finally:
            self._lane.journal.composing(0)
        envelope = (composed.envelope_from, composed.rcpt_to, composed.content, composed.is_smtputf8)
        return Item(*envelope, False, claim)  # Composing leaves no line that begins with a dot.

    def _forget(self) -> None:
        self._composed = {}
