"""Group commit of received mail: many mails per transaction, and no answer before the commit.

SMTP is not known here.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, connection, connections, transaction

from sandbox.models import SandboxMail

log = logging.getLogger(__name__)

KEPT = 20_000  # Older mails are deleted.
MOST_AT_ONCE = 500  # Mails per transaction; short, so that nobody waits long for SQLite's one writer.
PRUNE_EVERY = 1_000  # Mails between two prunings.


class Store:
    """Group commit: mail that arrives during a transaction goes into the next one."""

    def __init__(self, kept: int = KEPT, prune_every: int = PRUNE_EVERY) -> None:
        self._kept = kept
        self._prune_every = prune_every
        self._since_pruning = 0
        self._waiting: list[tuple[Sequence[SandboxMail], asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox-store")  # The database's only user.

    async def save(self, mails: Sequence[SandboxMail]) -> bool:
        """Return True once ``mails`` are committed, False if the database refuses them."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((mails, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await done

    async def close(self) -> None:
        """Wait for transactions in progress, then release the thread and its connection."""
        if self._writer is not None:
            await self._writer
        await asyncio.get_running_loop().run_in_executor(self._thread, connections.close_all)
        self._thread.shutdown()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            mails = [mail for group, _ in batch for mail in group]
            is_saved = await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, mails)
            for _, done in batch:
                if not done.done():  # Its connection may be gone by now.
                    done.set_result(is_saved)
        self._writer = None

    def _insert(self, mails: list[SandboxMail]) -> bool:
        try:
            with transaction.atomic():
                SandboxMail.objects.bulk_create(mails)
            self._since_pruning += len(mails)
            if self._since_pruning >= self._prune_every:
                self._since_pruning = 0
                prune(self._kept)
        except DatabaseError as error:
            log.error(
                "%d mails could not be stored, their senders were asked to try again later: %s", len(mails), error
            )
            connection.close()  # The next batch gets a new one.
            return False
        return True


def prune(kept: int = KEPT) -> int:
    """Delete all but the newest ``kept`` mails and return the number deleted."""
    oldest = SandboxMail.objects.order_by("-id").values_list("id", flat=True)[kept : kept + 1].first()
    return SandboxMail.objects.filter(id__lte=oldest).delete()[0] if oldest is not None else 0
