"""A lane in this process's keeping: its lease, its journal, what its server allows, and whether it goes on.

All who work in the lane know it. It knows none of them: whoever has something to end is told when it is halted.
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
from smtpservers.limits import circuit_breaker, rate_limiter
from smtpservers.models import SmtpServer
from smtpservers.secret_field import SecretUnreadable
from smtpservers.smtp.endpoint import Endpoint, endpoint_of

log = logging.getLogger(__name__)
T = TypeVar("T")


class Surroundings(Protocol):
    """What a lane asks of the process it works in."""

    in_database: Any
    clock: Callable[[], dt.datetime]
    idle_seconds: float
    validator: Validator
    signer_for: SignerFor | None
    signing: Executor  # Has a thread for each processor.
    composing: Executor  # Has one thread, for what takes long.

    @property
    def is_stopping(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    def shares(self, server_id: int) -> Sequence[LaneShare]: ...


class HeldLane:
    """One server's lane while this process holds it."""

    lease: leases.Lease
    journal: Journal
    server: SmtpServer  # As it was when the lane was taken: an edit halts the lane.
    endpoint: Endpoint
    group: asyncio.TaskGroup  # All that is at work in the lane; an unforeseen error in any of it ends it all.

    def __init__(self, surroundings: Surroundings, server_id: int) -> None:
        self.around = surroundings
        self.server_id = server_id
        self.is_halted = False  # Nothing more is begun; what is claimed goes back.
        self.is_lost = False  # The lane is another's, or the database is gone: the sweep settles the account.
        self.when_halted: list[Callable[[], None]] = []  # What each of those at work then does; it may be called again.
        self.connections = 1  # How many may be open.
        self.per_second: float | None = None  # How fast its messages may follow each other.
        self.holds = Holds(server_id)
        self.is_probing = False  # The server was paused: a single message shows whether it is well again.
        self.is_probe_out = False

    async def take(self) -> bool:
        """Take the lane if it is free, and begin its journal; return whether it is ours."""
        lease = await self.around.in_database(leases.acquire, self.server_id)
        if lease is None:
            return False
        self.lease = lease
        self.journal = Journal(recovery.journal_folder(), lease.token)
        return True

    async def release(self) -> None:
        """Let others have the lane: every result is recorded."""
        if self.holds:  # Those that were outlived end with the lane.
            await self.database(self.holds.load, self.around.clock())
        await self.around.in_database(leases.release, self.lease)
        self.journal.discard()

    async def database(self, function: Callable[..., T], *args: Any) -> T | None:
        """Run ``function`` in the database thread; when the database fails, halt the lane and return None."""
        try:
            result: T = await self.around.in_database(function, *args)
            return result
        except DatabaseProblem as error:
            log.error("server %s: the database does not answer; the lane stops: %s", self.server.name, error)
            self.lose()
            return None

    def halt(self) -> None:
        """Begin nothing more: what is claimed goes back, and connections end after the message they are at."""
        self.is_halted = True
        for end in self.when_halted:
            end()

    def lose(self) -> None:
        """Learn that the lane is another's now, or that nobody can tell."""
        self.is_lost = True
        self.halt()

    # --- the server; in the database thread

    def load(self) -> bool:
        """Read the server; return whether it can be sent through."""
        # A pause that is over ends here; its failures are kept, so that the next one doubles it.
        SmtpServer.objects.filter(pk=self.server_id, paused_until__lte=self.around.clock()).update(
            paused_reason="", paused_until=None
        )
        server = SmtpServer.objects.filter(pk=self.server_id).first()
        if server is None:
            return False
        self.server = server
        self.is_probing = circuit_breaker.is_on_probation(server)
        self.holds = Holds(server.pk, connections=server.max_connections)
        self._allow(server)
        self.holds.load(self.around.clock())
        try:
            self.endpoint = endpoint_of(server, final_timeout=settings.FINAL_ANSWER_SECONDS)
        except SecretUnreadable as error:
            circuit_breaker.pause(server.pk, str(error), None, self.around.clock())
            return False
        return True

    def look(self, server: SmtpServer | None) -> bool:
        """See what the server, as it was just read, allows; False: it was edited or deleted, is off, paused or full."""
        if server is None or not self._is_same(server):
            return False
        self._allow(server)
        return True

    def is_unchanged(self) -> bool:
        """Whether the server is as it was when the lane was taken, and neither paused nor full."""
        server = SmtpServer.objects.filter(pk=self.server_id).first()
        return server is not None and self._is_same(server)

    def _allow(self, server: SmtpServer) -> None:
        allowance = rate_limiter.effective(server, self.around.clock())
        self.connections, self.per_second = allowance.connections, allowance.per_second

    def _is_same(self, server: SmtpServer) -> bool:
        is_edited = server.version != self.server.version or server.is_active != self.server.is_active
        is_full = server.full_until is not None and server.full_until > self.around.clock()
        return not is_edited and not server.paused_reason and not is_full


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
