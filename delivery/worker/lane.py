"""A lane held by this process: its lease, its journal, the limits of its server, and whether it goes on.

All parts of a lane worker know the lane. The lane knows none of them: it calls their callbacks when it is halted.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from django.conf import settings
from django.db import Error as DatabaseProblem

from delivery.content.composer import SignerFor
from delivery.content.recipient_domains import Validator
from delivery.outbox import leases
from delivery.outbox.plan import LaneShare
from delivery.outcomes import recovery
from delivery.outcomes.journal import Journal
from delivery.outcomes.provider_holds import Holds
from encryption.keys import SecretUnreadable
from installation.site import site
from mail.links import levels
from mail.links.levels import Level
from smtpservers.limits import circuit_breaker, rate_limiter
from smtpservers.models import SmtpServer
from smtpservers.smtp.endpoint import Endpoint, endpoint_of

log = logging.getLogger(__name__)
T = TypeVar("T")


class LaneProcess(Protocol):
    """The services of the process that a lane uses."""

    in_database: Any
    for_records: Any  # The thread that records results, so that claims don't wait for it.
    clock: Callable[[], dt.datetime]
    idle_seconds: float
    validator: Validator
    signer_for: SignerFor | None
    signing: Executor  # One thread per processor.
    composing: Executor  # One thread, for slow content.

    @property
    def is_stopping(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    def shares(self, server_id: int) -> Sequence[LaneShare]: ...


class HeldLane:
    """One server's lane while this process holds it."""

    lease: leases.Lease
    journal: Journal
    server: SmtpServer  # The server when the lane was acquired. An edit halts the lane.
    endpoint: Endpoint
    group: asyncio.TaskGroup  # All tasks of the lane. An unexpected error in one of them ends them all.

    def __init__(self, process: LaneProcess, server_id: int) -> None:
        self.process = process
        self.server_id = server_id
        self.is_halted = False  # No message is begun any more; claimed messages are released.
        self.is_lost = False  # Another process has the lane, or the database is gone: recovery settles it.
        self.on_halt: list[Callable[[], None]] = []  # Callbacks for a halt; each may be called more than once.
        self.connections = 1  # The most open connections.
        self.per_second: float | None = None  # The rate of messages; None: unlimited.
        self.tracking: Level = levels.OFF  # The most that the installation allows to count of opens and clicks.
        self.holds = Holds(server_id)
        self.is_probing = False  # The server was paused: a single message tests whether it is well again.
        self.is_probe_out = False

    async def acquire(self) -> bool:
        """Acquire the lane if it is free, and start its journal. False if another worker holds it."""
        lease = await self.process.in_database(leases.acquire, self.server_id)
        if lease is None:
            return False
        self.lease = lease
        self.journal = Journal(recovery.journal_folder(), lease.token)
        return True

    async def release(self) -> None:
        """Free the lane for other workers. All results must be recorded."""
        if self.holds:  # Deletes the holds from which mail has recovered.
            await self.database(self.holds.load, self.process.clock())
        await self.process.in_database(leases.release, self.lease)
        self.journal.discard()

    async def database(self, function: Callable[..., T], *args: Any) -> T | None:
        """Run ``function`` in the database thread. If the database fails, halt the lane and return None."""
        return await self._run(self.process.in_database, function, *args)

    async def record(self, function: Callable[..., T], *args: Any) -> T | None:
        """Do the same in the thread that records results."""
        return await self._run(self.process.for_records, function, *args)

    async def _run(self, thread: Any, function: Callable[..., T], *args: Any) -> T | None:
        try:
            result: T = await thread(function, *args)
            return result
        except DatabaseProblem as error:
            log.error("server %s: the database does not answer; the lane stops: %s", self.server.name, error)
            self.lose()
            return None

    def halt(self) -> None:
        """Begin no more messages: claimed ones are released, and connections end after their present message."""
        self.is_halted = True
        for end in self.on_halt:
            end()

    def lose(self) -> None:
        """Mark the lane as lost: another process has it, or nobody can tell."""
        self.is_lost = True
        self.halt()

    # --- the server; in the database thread

    def load(self) -> bool:
        """Read the server; return whether it can send."""
        # An expired pause is removed here. Its failures stay, so that the next pause is twice as long.
        SmtpServer.objects.filter(pk=self.server_id, paused_until__lte=self.process.clock()).update(
            paused_reason="", paused_until=None
        )
        server = SmtpServer.objects.filter(pk=self.server_id).first()
        if server is None:
            return False
        self.server = server
        self.is_probing = circuit_breaker.is_on_probation(server)
        self.holds = Holds(server.pk, connections=server.max_connections)
        self._allow(server)
        self.holds.load(self.process.clock())
        try:
            self.endpoint = endpoint_of(server, final_timeout=settings.FINAL_ANSWER_SECONDS, clock=self.process.clock)
        except SecretUnreadable as error:
            circuit_breaker.pause(server.pk, str(error), None, self.process.clock())
            return False
        return True

    def refresh(self, server: SmtpServer | None) -> bool:
        """Take limits from the freshly read server; False if it was edited or deleted, or is off, paused or full."""
        if server is None or not self._is_same(server):
            return False
        self._allow(server)
        return True

    def is_unchanged(self) -> bool:
        """Whether the server is unedited since the lane was acquired, and neither paused nor full."""
        server = SmtpServer.objects.filter(pk=self.server_id).first()
        return server is not None and self._is_same(server)

    def _allow(self, server: SmtpServer) -> None:
        allowance = rate_limiter.effective(server, self.process.clock())
        self.connections, self.per_second = allowance.connections, allowance.per_second
        self.tracking = site().tracking

    def _is_same(self, server: SmtpServer) -> bool:
        is_edited = server.version != self.server.version or server.is_active != self.server.is_active
        is_full = server.full_until is not None and server.full_until > self.process.clock()
        return not is_edited and not server.paused_reason and not is_full


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, or until ``seconds`` have passed."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
