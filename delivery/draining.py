"""Sending what is due: one event loop and one database thread, for a bounded time.

For each server that has work this process takes the lane, claims chunks, and sends them over the lane's
connections. Everything that must survive is in the database or the journal before the wire sees it.
"""

import asyncio
import datetime as dt
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error as DatabaseProblem
from django.db import connections

from delivery import claiming, lanes, planning, recording, sweeping
from delivery.claiming import Claim
from delivery.composing import Composer, composer_for
from delivery.journal import Journal
from delivery.judging import Judgement, judge, judge_connection
from delivery.models import Mailing
from delivery.planning import Share, Work
from delivery.recording import Result
from delivery.validating import Validator, syntax_problem
from mail.addresses import parse_mailbox
from mail.replies import Reply, Stage
from smtpservers import breaker
from smtpservers.endpoint import Endpoint, endpoint_of
from smtpservers.models import SmtpServer
from smtpservers.secrets import SecretUnreadable
from smtpservers.transport import Answer, Connection, ConnectionFailed, connect

log = logging.getLogger(__name__)
T = TypeVar("T")

PLAN_SECONDS = 0.5  # How often the plan is made anew.
LOOK_SECONDS = 1.0  # How old the last look before MAIL may be; a stop takes effect within it.
FLUSH_SECONDS = 0.05  # How long a result waits for others to be recorded with it.
FLUSH_RESULTS = 250
IDLE_SECONDS = 3.0

Clock = Callable[[], dt.datetime]


async def drain(
    seconds: float,
    *,
    clock: Clock,
    should_stop: Callable[[], bool] = lambda: False,
    idle_seconds: float = IDLE_SECONDS,
) -> int:
    """Send what is due until nothing is left, ``seconds`` are over, or ``should_stop``; return how many were sent.

    :param idle_seconds: how long a lane without work is kept, its connections open.
    :param clock: read for what is due and which quota period it is; leases have the database's clock.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="database") as executor:
        loop = asyncio.get_running_loop()

        async def in_database(function: Callable[..., T], *args: Any) -> T:
            # Shielded: what was handed to the database is done, also when who waits for it is cancelled.
            return await asyncio.shield(loop.run_in_executor(executor, partial(function, *args)))

        try:
            return await _Drain(in_database, clock, should_stop, seconds, idle_seconds).run()
        finally:
            # The connection belongs to the thread that opened it.
            await in_database(connections.close_all)


class _Drain:
    """The plan, and the lanes this process works."""

    def __init__(
        self, in_database: Any, clock: Clock, should_stop: Callable[[], bool], seconds: float, idle_seconds: float
    ) -> None:
        self.in_database = in_database
        self.idle_seconds = idle_seconds
        self.clock = clock
        self.validator = Validator()
        self.plan: dict[int, Work] = {}
        self._should_stop = should_stop
        self._end = asyncio.get_running_loop().time() + seconds
        self._tasks: dict[int, asyncio.Task[int]] = {}

    @property
    def is_stopping(self) -> bool:
        """Whether the process is to end: what is not begun goes back."""
        return self._should_stop()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is claimed; what is claimed is still sent."""
        return self._should_stop() or asyncio.get_running_loop().time() >= self._end

    async def run(self) -> int:
        sent = 0
        while True:
            await self._make_plan()
            if not self._tasks:
                return sent
            done, _ = await asyncio.wait(
                self._tasks.values(), timeout=PLAN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for server_id, task in list(self._tasks.items()):
                if task not in done:
                    continue
                del self._tasks[server_id]
                if (error := task.exception()) is not None:
                    log.error("a lane broke off; the sweep settles it", exc_info=error)
                    self._end = 0.0
                else:
                    sent += task.result()

    async def _make_plan(self) -> None:
        """Start a lane for every server that has work and whose lane is free."""
        if self.is_over:
            self.plan = {}
            return
        try:
            self.plan = {work.server_id: work for work in await self.in_database(planning.plan, self.clock())}
            busy = await self.in_database(lanes.busy_servers)
        except DatabaseProblem as error:
            log.error("the database does not answer; sending stops: %s", error)
            self.plan, self._end = {}, 0.0
            return
        for server_id in self.plan:
            if server_id not in self._tasks and server_id not in busy:
                self._tasks[server_id] = asyncio.create_task(_LaneWork(self, server_id).run())


class _LaneWork:
    """One lane of one server: its connections, its claims, its results."""

    def __init__(self, drain: _Drain, server_id: int) -> None:
        self._drain = drain
        self._server_id = server_id
        self._claims: deque[Claim] = deque()
        self._claims_came = asyncio.Condition()
        self._results: list[Result] = []
        self._stops: dict[int, tuple[str, str]] = {}
        self._in_hand: set[int] = set()  # Messages claimed and not yet done with.
        self._composers: dict[int, Composer] = {}
        self._unusable: dict[int, str] = {}  # Mailings whose content cannot be composed, and why.
        self._mailings: dict[int, Mailing] = {}
        self._is_halted = False  # Nothing more is begun; what is claimed goes back.
        self._is_lost = False  # The lane is another's, or the database is gone: the sweep settles the account.
        # Until one connection was signed in, one tries alone: no storm hits a sick server.
        self._may_connect = asyncio.Event()
        self._sent = 0
        self._pace = _Pace()
        self._server: SmtpServer
        self._endpoint: Endpoint
        self._lease: lanes.Lease
        self._journal: Journal

    async def run(self) -> int:
        lease = await self._drain.in_database(lanes.acquire, self._server_id)
        if lease is None:
            return 0
        self._lease = lease
        self._journal = Journal(sweeping.journal_folder(), lease.token)
        try:
            if await self._drain.in_database(self._load):
                await self._work()
            await self._flush()
            if not self._is_lost:
                await self._drain.in_database(lanes.release, lease)
                self._journal.discard()
        finally:
            self._journal.close()  # Where it still exists, the sweep reads it.
        return self._sent

    def _load(self) -> bool:
        # A pause that is over ends here; its failures are kept, so that the next one doubles it.
        SmtpServer.objects.filter(pk=self._server_id, paused_until__lte=self._drain.clock()).update(
            paused_reason="", paused_until=None
        )
        server = SmtpServer.objects.filter(pk=self._server_id).first()
        if server is None:
            return False
        self._server = server
        try:
            self._endpoint = endpoint_of(server, final_timeout=settings.FINAL_ANSWER_SECONDS)
        except SecretUnreadable as error:
            breaker.pause(server.pk, str(error), None, self._drain.clock())
            return False
        return True

    async def _work(self) -> None:
        """Send until the feeder and the senders are done; an unforeseen error in any of them ends them all."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(step()) for step in (self._keep_lease, self._keep_looking, self._keep_flushing)]
            senders = [self._send_all(number) for number in range(self._server.max_connections)]
            await asyncio.gather(self._feed(), *senders)
            for task in beside:
                task.cancel()

    # --- claims

    async def _feed(self) -> None:
        """Claim while there is work; end after a while without, or when the lane is halted."""
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while not self._is_halted and not self._drain.is_over:
            wanted = self._pace.wanted(loop.time(), self._server.max_connections)
            if len(self._claims) > wanted // 3:
                await asyncio.sleep(0.01)
                continue
            if await self._claim_some(wanted):
                idle_since = loop.time()
            elif self._in_hand:
                await asyncio.sleep(0.05)
            elif loop.time() - idle_since > self._drain.idle_seconds:
                break
            else:
                await asyncio.sleep(0.1)
        while self._claims and not self._is_halted and not self._drain.is_stopping:
            await asyncio.sleep(0.05)
        await self._halt()

    async def _claim_some(self, wanted: int) -> bool:
        work = self._drain.plan.get(self._server_id)
        for share in work.shares if work else ():
            claims = await self._database(self._claim, share, wanted)
            if claims:
                self._in_hand.update(claim.message.pk for claim in claims)
                if not self._server.handles_email_validation:
                    self._drain.validator.look_ahead(claim.message.email for claim in claims)
                async with self._claims_came:
                    self._claims.extend(claims)
                    self._claims_came.notify_all()
                return True
        return False

    def _claim(self, share: Share, wanted: int) -> list[Claim]:
        claims = claiming.claim(self._lease.token, self._server, share, wanted, self._drain.clock())
        if claims is None:
            self._is_lost = self._is_halted = True
            return []
        if claims:
            for claim in claims:
                self._stops.pop(claim.message.pk, None)  # Of an earlier claim.
            self._stops.update(claiming.stopped([claim.message.pk for claim in claims]))
            self._prepare(share.mailing_id)
        return claims

    async def _database(self, function: Callable[..., T], *args: Any) -> T | None:
        """Run ``function`` in the database thread; when the database fails, halt the lane and return None."""
        try:
            result: T = await self._drain.in_database(function, *args)
            return result
        except DatabaseProblem as error:
            log.error("server %s: the database does not answer; the lane stops: %s", self._server.name, error)
            self._is_lost = True
            await self._halt()
            return None

    def _prepare(self, mailing_id: int) -> None:
        if mailing_id in self._mailings:
            return
        mailing = self._mailings[mailing_id] = Mailing.objects.get(pk=mailing_id)
        try:
            self._composers[mailing_id] = composer_for(mailing, self._server)
        except ValueError as error:  # A content that cannot be used fails each message.
            self._unusable[mailing_id] = str(error)

    async def _next(self) -> Claim | None:
        async with self._claims_came:
            while not self._claims:
                if self._is_halted:
                    return None
                await self._claims_came.wait()
            return self._claims.popleft()

    async def _halt(self) -> None:
        self._is_halted = True
        self._may_connect.set()
        async with self._claims_came:
            self._claims_came.notify_all()

    # --- sending

    async def _send_all(self, number: int) -> None:
        connection: Connection | None = None
        try:
            if number:
                await self._may_connect.wait()
            while (claim := await self._next()) is not None:
                if self._is_halted:
                    self._note(claim, recording.given_back("Given back before it was begun."))
                    continue
                connection = await self._send_one(claim, connection)
        finally:
            if connection is not None:
                await connection.quit()

    async def _send_one(self, claim: Claim, connection: Connection | None) -> Connection | None:
        message = claim.message
        judgement = await self._last_look(claim)
        if judgement is not None:
            self._note(claim, judgement)
            return connection
        if (why := self._unusable.get(message.mailing_id)) is not None:
            self._note(claim, recording.ended("failed", f"The message could not be composed: {why}"))
            return connection
        try:
            composed = self._composers[message.mailing_id].compose(message, self._drain.clock())
        except Exception as error:  # Nothing was sent yet: a content that breaks composing ends its own message alone.
            log.exception("mailing %s: a message could not be composed", message.mailing_id)
            self._note(claim, recording.ended("failed", f"The message could not be composed: {error}"))
            return connection
        if connection is not None and not connection.is_usable:
            await connection.quit()
            connection = None
        if connection is None:
            try:
                connection = await connect(self._endpoint)
            except ConnectionFailed as error:
                await self._connection_failed(claim, error)
                return None
            self._may_connect.set()
            await self._database(self._note_certificate, connection.certificate_expires_at)
        # Once more: looking up a domain and connecting may have taken long.
        if (judgement := self._stop(claim)) is not None:
            self._note(claim, judgement)
            return connection
        if not self._lease.is_valid or self._drain.clock() >= claim.period_ends_at:
            self._note(claim, recording.given_back("The time to send this message was over; it is claimed anew."))
            return connection
        answer = await connection.send(
            composed.envelope_from,
            composed.rcpt_to,
            composed.content,
            smtputf8=composed.is_smtputf8,
            before_dot=partial(self._before_dot, claim),
        )
        self._answered(claim, answer)
        return connection

    def _stop(self, claim: Claim) -> Judgement | None:
        """Return what becomes of a message that must not be sent any more; None when it may."""
        if (stop := self._stops.get(claim.message.pk)) is None:
            return None
        what, why = stop
        return recording.given_back(why) if what == "give back" else recording.ended(what, why)

    async def _last_look(self, claim: Claim) -> Judgement | None:
        message = claim.message
        if (judgement := self._stop(claim)) is not None:
            return judgement
        mailing = self._mailings[message.mailing_id]
        is_redirectable = mailing.stream == Mailing.Stream.SINGLE and message.copy_of_id is None
        problem = ""
        if not self._server.handles_email_validation:
            problem = await self._drain.validator.problem(message.email)
        elif is_redirectable:  # Nobody else looked at its address.
            problem = syntax_problem(message.email)
        if not is_redirectable or not (problem or message.redirected_to):
            return recording.ended("failed", problem) if problem else None
        to = parse_mailbox(self._server.mail_to_unknown).address if problem and self._server.mail_to_unknown else ""
        reason = f"Redirected to {to}, the recipient is unknown: {problem}" if to else ""
        if not await self._database(claiming.redirect, claim, self._server, mailing, to, reason):
            return recording.given_back("Given back before it was begun.")
        return recording.ended("failed", problem) if problem and not to else None

    def _before_dot(self, claim: Claim) -> bool:
        if not self._lease.is_valid:
            return False
        self._journal.dot(claim.attempt_id)
        return True

    def _answered(self, claim: Claim, answer: Answer) -> None:
        self._journal.answer(claim.attempt_id, answer.stage, answer.reply, answer.lost)
        mailing = self._mailings[claim.message.mailing_id]
        judgement = judge(
            answer,
            stream=mailing.stream,
            attempts=claim.number,
            resent_before=claim.was_unconfirmed,
        )
        if judgement.is_accepted:
            self._sent += 1
        if judgement.pauses_server:
            self._is_halted = True
        self._note(claim, judgement, answer.stage, answer.reply)

    def _note_certificate(self, expires_at: dt.datetime | None) -> None:
        if expires_at != self._server.certificate_expires_at:
            self._server.certificate_expires_at = expires_at
            SmtpServer.objects.filter(pk=self._server_id).update(certificate_expires_at=expires_at)

    async def _connection_failed(self, claim: Claim, error: ConnectionFailed) -> None:
        judgement = judge_connection(error.stage, str(error), error.reply)
        log.warning("server %s: %s", self._server.name, judgement.reason)
        self._note(claim, judgement, error.stage, error.reply)
        await self._flush()
        if await self._database(self._is_unchanged):
            await asyncio.sleep(0.5)
        else:
            await self._halt()

    # --- results

    def _note(self, claim: Claim, judgement: Judgement, stage: Stage | None = None, reply: Reply | None = None) -> None:
        self._in_hand.discard(claim.message.pk)
        self._stops.pop(claim.message.pk, None)
        self._pace.count()
        self._results.append(
            Result(
                attempt_id=claim.attempt_id,
                message=claim.message,
                mailing_id=claim.message.mailing_id,
                stream=self._mailings[claim.message.mailing_id].stream,
                server_id=self._server_id,
                period_id=claim.period_id,
                reserved_at=claim.reserved_at,
                judgement=judgement,
                stage=stage.value if stage else "",
                reply=reply,
            )
        )

    async def _flush(self) -> None:
        """Record what is known. When the lane was lost, the sweep records it from the journal instead."""
        while self._results and not self._is_lost:
            group, self._results = self._results[:FLUSH_RESULTS], self._results[FLUSH_RESULTS:]
            await self._database(self._record, group)

    def _record(self, group: list[Result]) -> None:
        if not recording.record(self._lease.token, group, self._drain.clock()):
            self._is_lost = self._is_halted = True

    # --- what goes on beside the sending

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._flush()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(settings.LEASE_SECONDS / 4)
            if not await self._database(lanes.renew, self._lease):
                self._is_lost = True
                await self._halt()

    async def _keep_looking(self) -> None:
        """See stops, pauses, edits and a server switched off within ``LOOK_SECONDS``."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._drain.is_stopping or not await self._database(self._look):
                await self._halt()

    def _look(self) -> bool:
        self._stops.update(claiming.stopped(list(self._in_hand)))
        return self._is_unchanged()

    def _is_unchanged(self) -> bool:
        rows = SmtpServer.objects.filter(pk=self._server_id, version=self._server.version, paused_reason="")
        return rows.filter(is_active=self._server.is_active).exists()


class _Pace:
    """How many messages to claim at once: about three seconds of what this lane sends."""

    def __init__(self) -> None:
        self._sent = 0
        self._since = 0.0
        self._rate = 0.0

    def count(self) -> None:
        self._sent += 1

    def wanted(self, now: float, connections: int) -> int:
        if not self._since:
            self._since = now
        elif now - self._since >= 0.5:
            self._rate = self._sent / (now - self._since)
            self._sent, self._since = 0, now
        return min(claiming.CLAIM_MESSAGES, max(4 * connections, int(3 * self._rate)))
