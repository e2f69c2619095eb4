"""What the listener asks of the database: whose an address is, and to store a mail. SMTP is not known here.

The database is asked in threads, so that a slow answer to one sender delays no other.
"""

import asyncio
import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from django.db import DatabaseError, close_old_connections, connections, transaction

from db.costs import durable
from delivery import clock
from feedback.intake import store
from feedback.intake.addresses import OurAddresses, Purpose, our_addresses
from feedback.listener import heartbeat
from feedback.models import Forward, RawReport
from feedback.probes import arrived, key_in
from mail.addresses import fold
from mail.incoming.mime import MOST_HEADER_BYTES, Part, parse_headers, split, with_plain_line_ends

log = logging.getLogger(__name__)
Result = TypeVar("Result")

THREADS = 4
CLOSE_SECONDS = 10.0  # For what is being stored.
FRESH_SECONDS = 10.0  # How long the servers' addresses are remembered.
# Addresses that everybody can guess. The senders of more mail in a day come again, or complain of it.
MOST_A_DAY = {Purpose.ROLE: 100, Purpose.REPORT: 5_000, Purpose.DOMAIN_REPORT: 2_000}
LARGE_A_DAY = 50
LARGE_BYTES = 1024 * 1024
FOR_PEOPLE = (Purpose.ROLE, Purpose.REPORT)  # As long as no report is in it.


class DatabaseAway(Exception):
    """The database does not answer, or refuses. The sender should try again later."""


class Storage:
    """The listener's database, as long as the listener runs."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")
        self._known: tuple[OurAddresses, float] | None = None

    async def purpose(self, address: str) -> Purpose | None:
        """Return what mail to an address is about; None if the address is not ours.

        :raises DatabaseAway:
        """
        if self._known is None or clock.steady() - self._known[1] > FRESH_SECONDS:
            self._known = await self._in_thread(our_addresses), clock.steady()
        return self._known[0].purpose(address)

    async def has_room(self, address: str, purpose: Purpose, is_large: bool) -> bool:
        """Tell whether an address may get another mail today.

        :raises DatabaseAway:
        """
        most = LARGE_A_DAY if is_large else MOST_A_DAY.get(purpose)
        return most is None or await self._in_thread(lambda: _count_today(address, is_large)) < most

    async def take(self, content: bytes, sender: str, recipients: Sequence[str]) -> None:
        """Store a mail once for each tag and return path, and once for all other addresses. It is committed on return.

        :param sender: of the envelope; empty for the null sender.
        :raises DatabaseAway:
        """
        addressed = _each_once([(address, await self.purpose(address)) for address in recipients])
        await self._in_thread(lambda: _take(content, sender, addressed))

    async def beat(self, stopped: asyncio.Event) -> None:
        """Record again and again that the listener runs, and at last that it ends in order."""
        loop = asyncio.get_running_loop()
        while not stopped.is_set():
            await loop.run_in_executor(self._threads, _quietly, heartbeat.beat)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), heartbeat.EVERY_SECONDS)
        await loop.run_in_executor(self._threads, _quietly, heartbeat.end)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _asked, work)

    def close(self) -> None:
        """Wait for what is being stored, then give back the connections."""
        all_here = threading.Barrier(THREADS)  # So that each thread closes its own.

        def leave() -> None:
            with suppress(threading.BrokenBarrierError):
                all_here.wait(CLOSE_SECONDS)
            connections.close_all()

        for _ in range(THREADS):
            self._threads.submit(leave)
        self._threads.shutdown()


def _asked(work: Callable[[], Result]) -> Result:
    close_old_connections()
    try:
        return work()
    except DatabaseError as error:
        log.error("mail could not be stored, its sender was asked to try again later: %s", type(error).__name__)
        connections.close_all()
        raise DatabaseAway from None


def _quietly(work: Callable[[], None]) -> None:
    """Do what may fail while the database is away; the next mail says so."""
    close_old_connections()
    try:
        work()
    except DatabaseError:
        connections.close_all()


def _each_once(addressed: Iterable[tuple[str, Purpose | None]]) -> list[tuple[str, Purpose | None]]:
    """Return recipients of one mail without repetitions, and one of those that people read."""
    once: dict[str, tuple[str, Purpose | None]] = {}
    for address, purpose in addressed:
        once.setdefault("" if purpose in FOR_PEOPLE else fold(address), (address, purpose))
    return list(once.values())


def _count_today(address: str, is_large: bool) -> int:
    since = clock.now() - dt.timedelta(days=1)
    mails = RawReport.objects.filter(source=RawReport.Source.LISTENER, received_at__gt=since)
    if is_large:
        mails = mails.filter(size_bytes__gt=LARGE_BYTES)
    return mails.filter(envelope_to=fold(address)).count()


def _take(content: bytes, sender: str, addressed: Sequence[tuple[str, Purpose | None]]) -> None:
    now = clock.now()
    head = split(with_plain_line_ends(content[: 2 * MOST_HEADER_BYTES]))[0][:MOST_HEADER_BYTES]
    key = key_in(Part(parse_headers(head), b"").first("subject"))
    with durable(), transaction.atomic():
        for address, purpose in addressed:
            if key and arrived(key, purpose, now):
                continue
            # As a mail server that delivers it (RFC 5321 section 4.4).
            envelope = f"Return-Path: <{sender}>\r\nDelivered-To: {address}\r\n".encode("utf-8", "surrogateescape")
            to = fold(address) if purpose in MOST_A_DAY else address
            taken = store.take(RawReport.Source.LISTENER, envelope + content, now=now, envelope_to=to)
            if taken.is_new and purpose in FOR_PEOPLE:
                Forward.objects.create(raw_id=taken.raw_id, address=address)
