"""One lane of one server at work: its claims, its connections, its results.

Claims come in groups from the database, are looked at once more, and wait in two piles, the urgent and the rest.
Connections take from the piles by themselves; nothing here waits for a single message.
"""

import asyncio
import datetime as dt
import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from django.conf import settings
from django.db import Error as DatabaseProblem

from delivery import acting, claiming, lanes, recording, sweeping
from delivery.claiming import Claim
from delivery.composing import Composer, SignerFor, composer_for
from delivery.holding import Holds, provider_of
from delivery.journal import Journal
from delivery.judging import Judgement, judge, judge_connection
from delivery.models import Mailing
from delivery.planning import Share
from delivery.recording import Result
from delivery.validating import Validator, syntax_problem
from mail.addresses import parse_mailbox
from mail.replies import Reply, Stage
from smtpservers import breaker, pace, slowing
from smtpservers.conversation import Answer
from smtpservers.endpoint import Endpoint, endpoint_of
from smtpservers.models import SmtpServer
from smtpservers.pipeline import Envelope, Pipeline
from smtpservers.secrets import SecretUnreadable
from smtpservers.transport import Connection, ConnectionFailed, connect

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_SECONDS = 1.0  # How old the last look before MAIL may be; a stop takes effect within it.
# How long results wait for others to be recorded with them: shortly while they are few, else until they are many.
FLUSH_SECONDS, BUSY_FLUSH_SECONDS = 0.05, 0.2
FEW_RESULTS, MANY_RESULTS, MOST_RESULTS = 20, 1000, 2000
URGENT_MESSAGES = 50  # That a lane claims ahead: they leave at once.
ASIDE_MESSAGES = 20  # That wait in the lane for a provider that is written to slowly.
RESERVED_SHARE = 10  # One connection in so many is kept for what somebody waits for.
# Messages composed in one go, unless they are large: between two calls of the kernel each takes twice as long.
COMPOSED_AT_ONCE, SMALL_BYTES = 16, 256 * 1024


class Surroundings(Protocol):
    """What a lane asks of the process it works in."""

    in_database: Any
    clock: Callable[[], dt.datetime]
    idle_seconds: float
    validator: Validator
    signer_for: SignerFor | None

    @property
    def is_stopping(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    def shares(self, server_id: int) -> Sequence[Share]: ...


@dataclass(slots=True)
class _Item(Envelope):
    """A composed message with the claim it comes from."""

    claim: Claim
    provider: str = ""  # Who receives for its recipient; empty while no provider is held.
    stopped: Judgement | None = None  # Why its dot was not written.
    sent_before: int = 0  # Messages its connection had carried before it.


class LaneWork:
    """The work of one process for one server."""

    def __init__(self, surroundings: Surroundings, server_id: int) -> None:
        self._around = surroundings
        self._server_id = server_id
        self._urgent: deque[Claim] = deque()
        self._bulk: deque[Claim] = deque()
        self._planned: Sequence[Share] = ()
        self._taken: dict[tuple[int, int, bool], int] = {}  # Messages claimed of each share under this plan.
        self._exhausted: set[tuple[int, int, bool]] = set()  # Shares that had nothing more under this plan.
        self._is_hungry = asyncio.Event()
        self._should_kick = asyncio.Event()
        self._results: list[Result] = []
        self._has_results = asyncio.Event()
        self._is_flush_due = asyncio.Event()
        self._stops: dict[int, tuple[str, str]] = {}
        self._in_hand: set[int] = set()  # Messages claimed and not yet done with.
        self._composers: dict[int, Composer] = {}
        self._composed: dict[int, _Item | str] = {}  # By attempt, ahead of its turn; or why it could not be.
        self._unusable: dict[int, str] = {}  # Mailings whose content cannot be composed, and why.
        self._mailings: dict[int, Mailing] = {}
        self._sources: set[_Source] = set()
        self._aside: list[Claim] = []  # Their provider takes no more at once just now.
        self._callers: dict[asyncio.Future[None], int] = {}  # Connections to be, by number: they wait for work.
        self.is_halted = False  # Nothing more is begun; what is claimed goes back.
        self._is_lost = False  # The lane is another's, or the database is gone: the sweep settles the account.
        # Until one connection was signed in, one tries alone: no storm hits a sick server.
        self._is_signed_in = False
        self._signing_in = asyncio.Lock()
        self._is_probing = False  # The server was paused: a single message shows whether it is well again.
        self._is_probe_out = False
        self._connections = 1  # How many may be open.
        self._per_second: float | None = None  # How fast its messages may follow each other.
        self._bucket = pace.Bucket(None, 0.0)
        self._later: asyncio.TimerHandle | None = None  # When the rate lets the next message go.
        self._holds = Holds(server_id)
        self._sent = 0
        self._pace = _Pace()
        self._back_off = settings.RETRY_WAITS
        self._group: asyncio.TaskGroup
        self._server: SmtpServer
        self._endpoint: Endpoint
        self._lease: lanes.Lease
        self._journal: Journal

    async def run(self) -> int:
        """Send until nothing is left or the lane has to be given up; return how many messages were accepted."""
        lease = await self._around.in_database(lanes.acquire, self._server_id)
        if lease is None:
            return 0
        self._lease = lease
        self._journal = Journal(sweeping.journal_folder(), lease.token)
        try:
            if await self._around.in_database(self._load):
                await self._work()
            await self._flush()
            if not self._is_lost:
                if self._holds:  # Those that were outlived end with the lane.
                    await self._database(self._holds.load, self._around.clock())
                await self._around.in_database(lanes.release, lease)
                self._journal.discard()
        finally:
            self._journal.close()  # Where it still exists, the sweep reads it.
        return self._sent

    def leave(self) -> None:
        """Give the lane up after the messages that are under way: another worker is to have it."""
        self._halt()

    def planned(self) -> None:
        """Learn that there is a new plan."""
        self._is_hungry.set()

    def _load(self) -> bool:
        # A pause that is over ends here; its failures are kept, so that the next one doubles it.
        SmtpServer.objects.filter(pk=self._server_id, paused_until__lte=self._around.clock()).update(
            paused_reason="", paused_until=None
        )
        server = SmtpServer.objects.filter(pk=self._server_id).first()
        if server is None:
            return False
        self._server = server
        self._is_probing = breaker.is_on_probation(server)
        self._holds = Holds(server.pk, connections=server.max_connections)
        self._holds.load(self._around.clock())
        try:
            self._endpoint = endpoint_of(server, final_timeout=settings.FINAL_ANSWER_SECONDS)
        except SecretUnreadable as error:
            breaker.pause(server.pk, str(error), None, self._around.clock())
            return False
        return True

    async def _work(self) -> None:
        """Send until the feeder and the connections are done; an unforeseen error in any of them ends them all."""
        loop = asyncio.get_running_loop()
        allowance = pace.effective(self._server, self._around.clock())
        self._connections, self._per_second = allowance.connections, allowance.per_second
        self._bucket = pace.Bucket(allowance.per_second, loop.time())
        async with asyncio.TaskGroup() as self._group:
            beside = (self._keep_lease, self._keep_looking, self._keep_flushing, self._keep_kicking)
            tasks = [self._group.create_task(step()) for step in beside]
            serving = [self._serve(number) for number in range(self._server.max_connections)]
            await asyncio.gather(self._feed(), *serving)
            for task in tasks:
                task.cancel()

    async def _database(self, function: Callable[..., T], *args: Any) -> T | None:
        """Run ``function`` in the database thread; when the database fails, halt the lane and return None."""
        try:
            result: T = await self._around.in_database(function, *args)
            return result
        except DatabaseProblem as error:
            log.error("server %s: the database does not answer; the lane stops: %s", self._server.name, error)
            self._is_lost = True
            self._halt()
            return None

    def _halt(self) -> None:
        """Begin nothing more: what is claimed goes back, and connections end after the message they are at."""
        self.is_halted = True
        self._is_hungry.set()
        for claim in (*self._urgent, *self._bulk, *self._aside):
            self._note(claim, recording.given_back("Given back before it was begun."))
        for pile in (self._urgent, self._bulk, self._aside):
            pile.clear()
        self._composed.clear()
        for caller in self._callers:
            if not caller.done():
                caller.set_result(None)
        for source in tuple(self._sources):
            if source.pipeline.is_idle:
                source.ended()

    # --- claims

    async def _feed(self) -> None:
        """Claim while there is work; end after a while without, or when the lane is halted."""
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while not self.is_halted and not self._around.is_over:
            self._is_hungry.clear()
            if await self._claim_some(loop.time()) or self._in_hand:
                idle_since = loop.time()
            elif loop.time() - idle_since > self._around.idle_seconds:
                break
            await _wait(self._is_hungry, 0.25 if self._in_hand else 0.1)
        while (self._urgent or self._bulk) and not self.is_halted and not self._around.is_stopping:
            await asyncio.sleep(0.05)
        self._halt()

    async def _claim_some(self, now: float) -> bool:
        """Claim what may be claimed of the plan; return whether anything came."""
        planned = self._around.shares(self._server_id)
        if planned is not self._planned:
            self._planned, self._taken = planned, {}
            self._exhausted.clear()
        wanted = 1 if self._is_probing else self._pace.wanted(now, self._connections, self._per_second)
        has_come = False
        for share in planned:
            is_urgent = share.stream != Mailing.Stream.CAMPAIGN
            pile, most = (self._urgent, min(wanted, URGENT_MESSAGES)) if is_urgent else (self._bulk, wanted)
            number = most
            if share.at_most is not None:
                number = min(number, share.at_most - self._taken.get(share.key, 0))
            if number <= 0 or len(pile) >= most or share.key in self._exhausted or self.is_halted:
                continue
            claims = await self._database(self._claim, share, number)
            if not claims:
                self._exhausted.add(share.key)
                continue
            has_come = True
            self._taken[share.key] = self._taken.get(share.key, 0) + len(claims)
            self._admit(claims, pile)
        if len(self._bulk) < wanted and has_come:
            self._is_hungry.set()
        return has_come

    def _claim(self, share: Share, wanted: int) -> list[Claim]:
        claims = claiming.claim(self._lease.token, self._server, share, wanted, self._around.clock())
        if claims is None:
            self._is_lost = self.is_halted = True
            return []
        if claims:
            for claim in claims:
                self._stops.pop(claim.message.pk, None)  # Of an earlier claim.
            self._stops.update(claiming.stopped([claim.message.pk for claim in claims], self._around.clock()))
            self._prepare(share.mailing_id)
        return claims

    def _prepare(self, mailing_id: int) -> None:
        if mailing_id in self._mailings:
            return
        mailing = self._mailings[mailing_id] = Mailing.objects.get(pk=mailing_id)
        self._journal.compiling(mailing_id)
        try:
            sign = self._around.signer_for(mailing, self._server) if self._around.signer_for else None
            self._composers[mailing_id] = composer_for(mailing, self._server, sign=sign)
        except ValueError as error:  # A content that cannot be used fails each message.
            self._unusable[mailing_id] = str(error)
        self._journal.compiling(0)

    def _admit(self, claims: list[Claim], pile: deque[Claim]) -> None:
        """Put claims on their pile, those whose domain must be asked for once the answer is there."""
        self._in_hand.update([claim.message.pk for claim in claims])
        if self.is_halted:
            for claim in claims:
                self._note(claim, recording.given_back("Given back before it was begun."))
            return
        if self._holds:  # A provider is known by its MX.
            self._around.validator.look_ahead([claim.message.email for claim in claims])
        mailing = self._mailings[claims[0].message.mailing_id]
        is_single = mailing.stream == Mailing.Stream.SINGLE
        for claim in claims:
            known: str | None = ""
            if is_single and claim.message.copy_of is None:
                known = None
            elif not self._server.handles_email_validation:
                known = self._around.validator.known(claim.message.email)
            if known is None:
                self._group.create_task(self._ask(claim, mailing, pile))
            elif known:
                self._note(claim, recording.ended("failed", known))
            else:
                pile.append(claim)
        self._kick()

    async def _ask(self, claim: Claim, mailing: Mailing, pile: deque[Claim]) -> None:
        """Find out whether the recipient can get mail, and where to a single message goes instead."""
        judgement = await self._look_at_recipient(claim, mailing)
        if judgement is None and self.is_halted:
            judgement = recording.given_back("Given back before it was begun.")
        if judgement is not None:
            self._note(claim, judgement)
            return
        pile.append(claim)
        self._kick()

    async def _look_at_recipient(self, claim: Claim, mailing: Mailing) -> Judgement | None:
        message = claim.message
        is_redirectable = mailing.stream == Mailing.Stream.SINGLE and message.copy_of is None
        problem = ""
        if not self._server.handles_email_validation:
            problem = await self._around.validator.problem(message.email)
        elif is_redirectable:  # Nobody else looked at its address.
            problem = syntax_problem(message.email)
        if not is_redirectable or not (problem or message.redirected_to):
            return recording.ended("failed", problem) if problem else None
        to = parse_mailbox(self._server.mail_to_unknown).address if problem and self._server.mail_to_unknown else ""
        reason = f"Redirected to {to}, the recipient is unknown: {problem}" if to else ""
        if not await self._database(claiming.redirect, claim, self._server, mailing, to, reason):
            return recording.given_back("Given back before it was begun.")
        return recording.ended("failed", problem) if problem and not to else None

    # --- connections

    def _is_reserved(self, number: int) -> bool:
        """Whether the connection of that number is kept for what somebody waits for."""
        return self._connections > 1 and number < max(1, self._connections // RESERVED_SHARE)

    def is_needed(self, number: int) -> bool:
        """Whether there may be a connection of that number, and there is work for it."""
        if number >= self._connections or (self._is_probing and self._is_probe_out):
            return False
        return bool(self._urgent or (self._bulk and not self._is_reserved(number)))

    def may_stay(self, number: int) -> bool:
        """Whether an idle connection of that number is to be kept."""
        return not self.is_halted and number < self._connections

    def _kick(self) -> None:
        """Let connections that are idle go on, and open others for what is left."""
        for source in tuple(self._sources):
            if source.pipeline.is_idle and self.is_needed(source.number):
                source.pipeline.wake()
        waiting = len(self._urgent) + len(self._bulk)
        for caller, number in self._callers.items():
            if not waiting:
                break
            if not caller.done() and self.is_needed(number):
                caller.set_result(None)
                waiting -= 1

    async def _serve(self, number: int) -> None:
        """Keep one connection busy: open it when there is work, again when it was used up or lost."""
        while await self._called(number):
            connection = await self._open()
            if connection is None:
                continue
            source = _Source(self, number)
            source.pipeline = connection.pipeline(source)
            self._sources.add(source)
            source.pipeline.wake()
            source.idle()
            await source.over
            self._sources.discard(source)
            if connection.wire.fault is not None:
                raise connection.wire.fault
            await connection.quit()

    async def _called(self, number: int) -> bool:
        """Wait until this connection is needed; False when the lane is halted."""
        while not self.is_halted:
            if self.is_needed(number):
                return True
            caller: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._callers[caller] = number
            try:
                await caller
            finally:
                del self._callers[caller]
        return False

    async def _open(self) -> Connection | None:
        if self._is_signed_in:
            return await self._connect()
        async with self._signing_in:
            return None if self.is_halted else await self._connect()

    async def _connect(self) -> Connection | None:
        try:
            connection = await connect(self._endpoint)
        except ConnectionFailed as error:
            await self._connection_failed(error)
            return None
        if not self._is_signed_in:
            self._is_signed_in = True
            await self._database(self._note_what_it_told, connection.certificate_expires_at, connection.extensions.size)
        return connection

    def _note_what_it_told(self, certificate_expires_at: dt.datetime | None, max_message_bytes: int | None) -> None:
        server = self._server
        if (certificate_expires_at, max_message_bytes) != (server.certificate_expires_at, server.max_message_bytes):
            server.certificate_expires_at, server.max_message_bytes = certificate_expires_at, max_message_bytes
            SmtpServer.objects.filter(pk=self._server_id).update(
                certificate_expires_at=certificate_expires_at, max_message_bytes=max_message_bytes
            )

    async def _connection_failed(self, error: ConnectionFailed) -> None:
        judgement = judge_connection(error.stage, str(error), error.reply, needs_mending=error.needs_mending)
        log.warning("server %s: %s", self._server.name, judgement.reason)
        if not await self._database(self._is_unchanged):
            # A password may just have been changed: how the old one fared says nothing of the server as it is now.
            self._halt()
            return
        pile = self._urgent or self._bulk
        if pile:  # One of them is what the connection was for.
            self._note(pile.popleft(), judgement, error.stage, error.reply)
        else:  # All are on the line elsewhere; the server is told of nonetheless.
            await self._database(acting.act_on_connection, self._server_id, judgement, self._around.clock())
        await self._flush()
        if await self._database(self._is_unchanged):
            await asyncio.sleep(0.5)
        else:
            self._halt()

    # --- messages; called by connections, which must not wait

    def next_item(self, number: int, sent_before: int) -> _Item | None:
        """Return the next message whose MAIL may go out over the connection of that number now, composed."""
        while not self.is_halted and self.is_needed(number):
            pile = self._urgent or self._bulk
            claim = pile.popleft()
            if pile is self._bulk and len(pile) < self._pace.last_wanted:
                self._is_hungry.set()
            now = self._around.clock()
            if (judgement := self._obstacle(claim, now)) is not None:
                self._note(claim, judgement)
                continue
            provider = provider_of(claim.message) if self._holds else ""
            if provider and not self._holds.may_begin(provider, now):
                self._put_aside(claim, provider, now)
                continue
            if not self._is_granted():
                pile.appendleft(claim)
                return None
            item = self._item_of(claim, now, pile)
            if isinstance(item, str):
                self._note(claim, recording.ended("failed", f"The message could not be composed: {item}"))
                continue
            item.sent_before = sent_before
            self._is_probe_out = True
            if provider:
                item.provider = provider
                self._holds.begun(provider, now)
            return item
        return None

    def _put_aside(self, claim: Claim, provider: str, now: dt.datetime) -> None:
        """Keep a few messages at hand for a provider that is written to slowly; the others come back later."""
        if len(self._aside) < ASIDE_MESSAGES:
            self._aside.append(claim)
        else:
            wait = self._holds.patience(provider, now)
            self._note(claim, recording.given_back(f"Mail to {provider} goes out slowly just now.", wait))

    def _is_granted(self) -> bool:
        """Whether the server's rate lets a message go now; if not, connections are woken when it does."""
        if self._per_second is None:
            return True
        loop = asyncio.get_running_loop()
        if self._bucket.take(loop.time()):
            return True
        if self._later is None:
            self._later = loop.call_later(self._bucket.wait(loop.time()), self._rate_allows)
        return False

    def _rate_allows(self) -> None:
        self._later = None
        self._should_kick.set()

    def _obstacle(self, claim: Claim, now: dt.datetime) -> Judgement | None:
        """Return what becomes of a message that must not be sent now; None when it may."""
        if (stop := self._stops.get(claim.message.pk)) is not None:
            what, why = stop
            return recording.given_back(why) if what == "give back" else recording.ended(what, why)
        if not self._lease.is_valid or now >= claim.period_ends_at:
            return recording.given_back("The time to send this message was over; it is claimed anew.")
        return self._holds.look(claim.message, now) if self._holds else None

    def _item_of(self, claim: Claim, now: dt.datetime, pile: deque[Claim]) -> _Item | str:
        """Return the composed message, or why it cannot be; others of its pile are composed along with it."""
        made = self._composed.pop(claim.attempt_id, None)
        if made is not None:
            return made
        item = self._compose(claim, now)
        is_flowing = pile is self._bulk and self._per_second is None and not (self._holds or self._is_probing)
        if is_flowing and isinstance(item, _Item) and len(item.content) <= SMALL_BYTES:
            for other in itertools.islice(pile, min(COMPOSED_AT_ONCE, self._connections) - 1):
                if other.attempt_id not in self._composed:
                    self._composed[other.attempt_id] = self._compose(other, now)
        return item

    def _compose(self, claim: Claim, now: dt.datetime) -> _Item | str:
        message = claim.message
        if (why := self._unusable.get(message.mailing_id)) is not None:
            return why
        self._journal.composing(claim.attempt_id)
        try:
            composed = self._composers[message.mailing_id].compose(message, now)
        except Exception as error:  # Nothing was sent: a content that breaks composing ends its own message alone.
            log.exception("mailing %s: a message could not be composed", message.mailing_id)
            return str(error)
        finally:
            self._journal.composing(0)
        envelope = (composed.envelope_from, composed.rcpt_to, composed.content, composed.is_smtputf8)
        return _Item(*envelope, False, claim)  # Composing leaves no line that begins with a dot.

    def may_finish(self, item: _Item) -> bool:
        """The last moment before a message is the server's."""
        stop = self._stops.get(item.claim.message.pk)
        if stop is not None or not self._lease.is_valid:
            item.stopped = self._obstacle(item.claim, self._around.clock())
            if item.stopped is not None:
                return False
        self._journal.dot(item.claim.attempt_id)
        return True

    def dot_kept(self, item: _Item) -> None:
        self._journal.kept(item.claim.attempt_id)

    def answered(self, item: _Item, answer: Answer) -> None:
        claim = item.claim
        if item.stopped is not None and not answer.is_dot_written:
            self._ended(item, item.stopped)
            self._note(claim, item.stopped)
            return
        self._journal.answer(claim.attempt_id, answer.stage, answer.reply, answer.lost)
        mailing = self._mailings[claim.message.mailing_id]
        judgement = judge(
            answer,
            stream=mailing.stream,
            attempts=claim.message.tries + 1,
            resent_before=claim.was_unconfirmed,
            back_off=self._back_off,
        )
        if judgement.is_accepted:
            self._sent += 1
        self._ended(item, judgement)
        self._note(claim, judgement, answer.stage, answer.reply, item.sent_before)
        if judgement.pauses_server or (self._is_probing and not judgement.is_answer):
            self._halt()
        elif self._is_probing:
            self._is_probing = False
            self._is_hungry.set()

    def put_back(self, item: _Item, answer: Answer) -> None:
        """The connection ended before it came to this message: another one takes it."""
        self._is_probe_out = False
        if item.provider:
            self._holds.ended(item.provider, is_ok=False, now=self._around.clock())
        if answer.reply is not None:
            self._learn(answer, item.sent_before)
        if self.is_halted:
            self._note(item.claim, recording.given_back("Given back before it was begun."))
            return
        is_urgent = self._mailings[item.claim.message.mailing_id].stream != Mailing.Stream.CAMPAIGN
        (self._urgent if is_urgent else self._bulk).appendleft(item.claim)
        self._should_kick.set()

    def _ended(self, item: _Item, judgement: Judgement) -> None:
        """Let the holds and the probe know that a message is off the line."""
        self._is_probe_out = False
        if item.provider:
            self._holds.ended(item.provider, is_ok=judgement.is_accepted, now=self._around.clock())
        if judgement.hold is not None or judgement.refusal is not None:
            self._holds.note(judgement, item.claim.message, self._around.clock())
        if self._aside:
            self._bulk.extendleft(reversed(self._aside))
            self._aside.clear()
            self._should_kick.set()

    def _learn(self, answer: Answer, sent_before: int) -> None:
        """Take a server's word for how many messages it takes over one connection."""
        judgement = judge(answer, stream=Mailing.Stream.CAMPAIGN, attempts=1)
        if judgement.learns_limit and sent_before:
            most = min(self._endpoint.messages_per_connection, sent_before)
            self._endpoint = replace(self._endpoint, messages_per_connection=most)
            learn = slowing.learn_messages_per_connection
            self._group.create_task(self._database(learn, self._server_id, sent_before, self._server.version))

    # --- results

    def _note(
        self,
        claim: Claim,
        judgement: Judgement,
        stage: Stage | None = None,
        reply: Reply | None = None,
        sent_before: int = 0,
    ) -> None:
        message = claim.message
        self._in_hand.discard(message.pk)
        self._stops.pop(message.pk, None)
        self._composed.pop(claim.attempt_id, None)
        self._pace.count()
        self._results.append(
            Result(
                attempt_id=claim.attempt_id,
                message=message,
                mailing_id=message.mailing_id,
                stream=self._mailings[message.mailing_id].stream,
                server_id=self._server_id,
                period_id=claim.period_id,
                reserved_at=claim.reserved_at,
                judgement=judgement,
                stage=stage.value if stage else "",
                reply=reply,
                sent_before=sent_before,
            )
        )
        self._has_results.set()
        if len(self._results) == MANY_RESULTS or not self._in_hand:  # Many, or no others come soon.
            self._is_flush_due.set()

    async def _flush(self) -> None:
        """Record everything that is known."""
        while self._results and not self._is_lost:
            await self._flush_some()

    async def _flush_some(self) -> None:
        """Record a group of results. When the lane was lost, the sweep records them from the journal instead."""
        group, self._results = self._results[:MOST_RESULTS], self._results[MOST_RESULTS:]
        await self._database(self._record, group)
        if self._is_lost:
            self._halt()
        else:
            self._journal.recorded([result.attempt_id for result in group])

    def _record(self, group: list[Result]) -> None:
        if not recording.record(self._lease.token, group, self._around.clock()):
            self._is_lost = self.is_halted = True

    # --- what goes on beside the sending

    async def _keep_kicking(self) -> None:
        while True:
            await self._should_kick.wait()
            self._should_kick.clear()
            self._kick()

    async def _keep_flushing(self) -> None:
        while True:
            await self._has_results.wait()
            await _wait(self._is_flush_due, FLUSH_SECONDS)
            if len(self._results) > FEW_RESULTS:
                await _wait(self._is_flush_due, BUSY_FLUSH_SECONDS - FLUSH_SECONDS)
            self._is_flush_due.clear()
            if self._results and not self._is_lost:
                # No more than these: what comes meanwhile waits for its like again. A task of its own, which is waited
                # for when this one is cancelled: nobody would learn that the database refused the group.
                await asyncio.shield(self._group.create_task(self._flush_some()))
            if not self._results:
                self._has_results.clear()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(settings.LEASE_SECONDS / 4)
            if not await self._database(lanes.renew, self._lease):
                self._is_lost = True
                self._halt()

    async def _keep_looking(self) -> None:
        """See stops, pauses, edits and a server switched off within ``LOOK_SECONDS``."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._around.is_stopping or self.is_halted or not await self._database(self._look):
                self._halt()
                continue
            now = asyncio.get_running_loop().time()
            self._bucket.set_rate(self._per_second, now)
            if self._aside:
                self._bulk.extendleft(reversed(self._aside))
                self._aside.clear()
            self._kick()

    def _look(self) -> bool:
        self._stops.update(claiming.stopped(list(self._in_hand), self._around.clock()))
        server = SmtpServer.objects.filter(pk=self._server_id).first()
        if server is None or not self._is_same(server):
            return False
        allowance = pace.effective(server, self._around.clock())
        self._connections, self._per_second = allowance.connections, allowance.per_second
        self._holds.load(self._around.clock())
        return True

    def _is_unchanged(self) -> bool:
        server = SmtpServer.objects.filter(pk=self._server_id).first()
        return server is not None and self._is_same(server)

    def _is_same(self, server: SmtpServer) -> bool:
        is_edited = server.version != self._server.version or server.is_active != self._server.is_active
        return not is_edited and not server.paused_reason


class _Source:
    """One connection of a lane, as its pipeline knows it."""

    pipeline: Pipeline[_Item]

    def __init__(self, lane: LaneWork, number: int) -> None:
        self.number = number
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lane = lane
        self.may_finish = lane.may_finish
        self.dot_kept = lane.dot_kept
        self.answered = lane.answered
        self.put_back = lane.put_back

    def next(self) -> _Item | None:
        return self._lane.next_item(self.number, self.pipeline.begun)

    def idle(self) -> None:
        if self.pipeline.is_idle and not self._lane.may_stay(self.number):
            self.ended()

    def ended(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


class _Pace:
    """How many messages to claim at once: about three seconds of what this lane sends."""

    def __init__(self) -> None:
        self.last_wanted = 0
        self._sent = 0
        self._since = 0.0
        self._rate = 0.0

    def count(self) -> None:
        self._sent += 1

    def wanted(self, now: float, connections: int, per_second: float | None) -> int:
        if not self._since:
            self._since = now
        elif now - self._since >= (0.5 if self._rate else 0.05):  # Soon at first: small claims cost as much as large.
            self._rate = self._sent / (now - self._since)
            self._sent, self._since = 0, now
        self.last_wanted = min(claiming.CLAIM_MESSAGES, max(4 * connections, int(3 * self._rate)))
        if per_second is not None:
            self.last_wanted = min(self.last_wanted, math.ceil(3 * per_second))
        return self.last_wanted
