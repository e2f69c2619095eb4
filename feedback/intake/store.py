"""The store of raw reports: each request and mail once, encrypted, before its sender gets an answer.

Nothing here reads what it stores; :mod:`feedback.reports` does, in a worker.
"""

import contextlib
import datetime as dt
import hashlib
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction

from encryption.keys import SecretUnreadable, open_bytes, reseal_bytes, seal_bytes
from feedback.models import RawReport


class Taken(NamedTuple):
    """What became of a raw report."""

    raw_id: int
    is_new: bool  # False: the same bytes came in before.


def take(
    source: RawReport.Source,
    content: bytes,
    *,
    now: dt.datetime,
    server_id: int | None = None,
    provider: str = "",
    envelope_to: str = "",
    problem: str = "",
    mailbox_id: int | None = None,
    identity: bytes | None = None,
) -> Taken:
    """Store one request or mail, once, and return what became of it.

    It is committed on return, unless the caller has a transaction open. Bytes that first came without a proof of their
    origin, and now with one, are new.

    :param provider: of a webhook: the name of its adapter.
    :param envelope_to: the recipient in the SMTP session, or in a header that the receiving system wrote.
    :param problem: why its origin is not proved; it is then kept and shown, and never read.
    :param identity: the bytes that are the same with and without a proof; None: ``content``.
    """
    States, digest = RawReport.State, _digest(source, server_id, content if identity is None else identity)
    try:
        # Most are new, so the row is not looked for first. A savepoint keeps the caller's transaction, if there is one.
        with transaction.atomic() if connection.in_atomic_block else contextlib.nullcontext():
            raw = RawReport.objects.create(
                source=source,
                digest=digest,
                server_id=server_id,
                provider=provider,
                mailbox_id=mailbox_id,
                envelope_to=envelope_to[:320],
                sealed=seal_bytes(content),
                size_bytes=len(content),
                state=States.UNPROVED if problem else States.WAITING,
                problem=problem[:300],
                received_at=now,
            )
        return Taken(raw.pk, True)
    except IntegrityError:
        row = RawReport.objects.only("pk", "state").filter(digest=digest).first()
        if row is None:  # Another constraint.
            raise
    is_new = False
    if not problem and row.state == States.UNPROVED:
        unproved = RawReport.objects.filter(pk=row.pk, state=States.UNPROVED)
        sealed = {"sealed": seal_bytes(content), "size_bytes": len(content)}  # It was kept with its would-be proof.
        is_new = bool(unproved.update(state=States.WAITING, problem="", received_at=now, **sealed))
    return Taken(row.pk, is_new)


def content_of(raw: RawReport) -> bytes:
    """Return the bytes as they came in.

    :raises SecretUnreadable: if no key decrypts them.
    """
    return open_bytes(bytes(raw.sealed))


def reseal() -> tuple[int, list[str]]:
    """Encrypt every raw report with the first key; return how many were, and the names of those that no key opens."""
    count = 0
    closed = []
    for pk in RawReport.objects.order_by("pk").values_list("pk", flat=True).iterator():
        raw = RawReport.objects.only("pk", "source", "sealed").filter(pk=pk).first()
        if raw is None:
            continue
        try:
            sealed = reseal_bytes(bytes(raw.sealed))
        except SecretUnreadable:
            closed.append(str(raw))
            continue
        count += RawReport.objects.filter(pk=pk).update(sealed=sealed)  # Its content never changes.
    return count, closed


def _digest(source: RawReport.Source, server_id: int | None, content: bytes) -> str:
    return hashlib.sha256(f"{source.value} {server_id or ''}\n".encode() + content).hexdigest()


def oldest_waiting() -> dt.datetime | None:
    """Return when the oldest report came in that no worker has read yet; None without one."""
    waiting = RawReport.objects.filter(state=RawReport.State.WAITING).order_by("pk")
    return waiting.values_list("received_at", flat=True).first()
