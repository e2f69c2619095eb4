"""Mailings in the outbox: snapshot of the audience, pause, resume, cancel, expire and retry.

Everything here is a conditional UPDATE or a repeatable INSERT: two clicks, two workers or a crash in the middle lead
to the same rows.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Q, Sum, Value, When
from django.db.models.functions import Concat, Left

from contacts.models import ContactList
from delivery.content.tracking_hosts import present_hosts
from delivery.models import Chunk, LaterChunk, Mailing, Message, StopTally, new_identity
from delivery.outbox import plan
from installation.site import site
from mail.links import levels
from words.texts import kept

CANCELLED_REASON = "The mailing was cancelled."
CHUNK_MESSAGES = 500
CHUNKS_AT_ONCE = 500
CHUNKS_ENDED_AT_ONCE = 10  # Per transaction, so that nobody waits long for the row locks.
ENDED_AT_ONCE = 100_000  # Messages per run of the task; then other tasks have a turn.
LIFE = {
    Mailing.Stream.CAMPAIGN: dt.timedelta(hours=settings.RETRY_CAMPAIGN_HOURS),
    Mailing.Stream.SINGLE: dt.timedelta(hours=settings.RETRY_SINGLE_HOURS),
    Mailing.Stream.TEST: dt.timedelta(0),  # One try: a person is waiting for the answer.
    Mailing.Stream.NOTICE: dt.timedelta(hours=settings.RETRY_SINGLE_HOURS),
}


def open_mailing(
    *,
    stream: str,
    name: str,
    subject: str,
    html: str,
    text: str,
    files: Iterable[Mapping[str, str]] = (),
    mail_from: str = "",
    reply_to: str = "",
    is_tagged: bool = True,
    sends_copies: bool = True,
    tracking: str = levels.OFF,
    track_text: bool = False,
    tracking_hosts: Mapping[str, str] | None = None,
    utm: Mapping[str, str] | None = None,
    lists: Iterable[ContactList] = (),
    audience: Mapping[str, Any] | None = None,
    reference: str = "",
    identity: str = "",
    slug: str = "",
    created_by: Any = None,
    server: Any = None,
    server_ids: Iterable[int] = (),
    is_for_test_inbox: bool = False,
    is_commercial: bool = False,
    language: str = "",
    organisation: str | None = None,
    postal_address: str | None = None,
    site_language: str = "",
) -> Mailing:
    """Create a mailing with frozen content. Nothing is sent before it has messages.

    :param tracking: how opens and clicks are counted; the installation's present level, if lower, wins.
    :param tracking_hosts: the hosts of counted links by domain of From; None: those that are proved now.
    :param organisation: who sends it; None: the organisation of this installation, as it is now. The same holds for
        ``postal_address`` and ``site_language``.
    :param identity: up to 32 characters that its Message-IDs are made from; empty: a new identity.
    """
    present = site()
    if tracking_hosts is None:
        tracking_hosts = present_hosts(mail_from) if tracking != levels.OFF else {}
    with transaction.atomic():
        mailing = Mailing.objects.create(
            stream=stream,
            name=name,
            subject=subject,
            html=html,
            text=text,
            files=list(files),
            mail_from=mail_from,
            reply_to=reply_to,
            is_tagged=is_tagged,
            sends_copies=sends_copies,
            tracking=tracking,
            track_text=track_text,
            tracking_hosts=dict(tracking_hosts),
            utm=dict(utm or {}),
            audience=dict(audience or {}),
            reference=reference,
            identity=identity or new_identity(),
            slug=slug,
            created_by=created_by,
            server=server,
            server_ids=list(server_ids),
            is_for_test_inbox=is_for_test_inbox,
            is_commercial=is_commercial,
            language=language,
            organisation=present.organisation if organisation is None else organisation,
            postal_address=present.postal_address if postal_address is None else postal_address,
            site_language=site_language or present.language,
            # A person watches a test, and a failed notice must not cause another notice.
            is_reported=stream in (Mailing.Stream.TEST, Mailing.Stream.NOTICE),
        )
        mailing.lists.set(lists)
    return mailing


def address(
    mailing: Mailing,
    *,
    email: str,
    email_key: str,
    now: dt.datetime,
    life: dt.timedelta | None = None,
    **fields: Any,
) -> Message:
    """Add the only recipient of a test, a single message or a notice, and mark the mailing as snapshotted.

    :param life: how long it is tried; None: as long as others of its stream.
    """
    with transaction.atomic():
        message = Message.objects.create(
            mailing=mailing,
            email=email,
            email_key=email_key,
            changed_at=now,
            due_at=now,
            expires_at=now + (LIFE[Mailing.Stream(mailing.stream)] if life is None else life),
            **fields,
        )
        Mailing.objects.filter(pk=mailing.pk).update(is_snapshotted=True)
    return message


def pause(mailing_id: int) -> bool:
    """Pause the mailing. Claimed messages stop before MAIL within seconds. False if it was not open."""
    return bool(
        Mailing.objects.filter(pk=mailing_id, state="open").update(
            state="paused", waiting_reason="", waiting_until=None
        )
    )


def resume(mailing_id: int) -> bool:
    """Resume a paused mailing. False if it was not paused."""
    with transaction.atomic():
        resumed = Mailing.objects.filter(pk=mailing_id, state="paused").update(
            state="open", waiting_reason="", waiting_until=None
        )
        if resumed:
            # The person who resumes it has seen the figures that stopped it: only later results count.
            StopTally.objects.filter(mailing=mailing_id).update(sent=0, hard_bounces=0, content_failures=0)
    return bool(resumed)


def cancel(mailing_id: int, now: dt.datetime) -> bool:
    """Cancel the mailing for good: unsent messages are never sent. False if it was cancelled before.

    It takes effect at once: nothing more is claimed, and claimed messages stop before MAIL. The messages of a large
    mailing get their final status slice by slice; see :func:`settle_cancelled`. Claimed messages are left to their
    worker.
    """
    if not Mailing.objects.filter(pk=mailing_id).exclude(state="cancelled").update(state="cancelled"):
        return False
    count = 0
    for number in _slices(mailing_id, Message.Status.CANCELLED, CANCELLED_REASON, now):
        count += number
        if count >= CHUNKS_ENDED_AT_ONCE * CHUNK_MESSAGES:  # A person waits for the page.
            break
    return True


def settle_cancelled(now: dt.datetime) -> int:
    """Cancel unsent messages of cancelled mailings, about ``ENDED_AT_ONCE`` of them at most, and return their number.

    It may be killed and repeated: each slice is a transaction.
    """
    count = 0
    cancelled = Mailing.objects.filter(state="cancelled", finished_at=None).order_by("pk")
    for mailing_id in cancelled.values_list("pk", flat=True):
        for number in _slices(mailing_id, Message.Status.CANCELLED, CANCELLED_REASON, now):
            count += number
            if count >= ENDED_AT_ONCE:
                return count
    return count


def abandon(mailing_id: int, now: dt.datetime) -> None:
    """Cancel an unsent mailing that no campaign uses any more, and end its snapshot: it gets no more messages."""
    Mailing.objects.filter(pk=mailing_id).update(is_snapshotted=True)
    cancel(mailing_id, now)


def expire_rest(mailing_id: int, reason: str, now: dt.datetime) -> int:
    """Expire all unclaimed messages of the mailing, and return their number.

    Claimed messages are left to their worker: they are sent, or they come back and the next call expires them.
    """
    return sum(_slices(mailing_id, Message.Status.EXPIRED, reason, now))


def _slices(mailing_id: int, status: str, reason: str, now: dt.datetime) -> Iterator[int]:
    while (number := _end_slice(mailing_id, status, reason, now)) is not None:
        yield number


def _end_slice(mailing_id: int, status: str, reason: str, now: dt.datetime) -> int | None:
    """End some unclaimed messages and return their number; None if none is left."""
    ended = {"status": status, "changed_at": now, "due_at": None, "reason": reason[:600]}
    with transaction.atomic():
        # Later chunks first: one that is being opened is among the others by then. The locks wait for claims under way,
        # and afterwards a chunk begins where its claim ended.
        later = LaterChunk.objects.select_for_update().filter(mailing=mailing_id).order_by("pk")
        chunks = Chunk.objects.select_for_update().filter(mailing=mailing_id).order_by("pk")
        some: list[Chunk | LaterChunk] = [*later[:CHUNKS_ENDED_AT_ONCE]] or [*chunks[:CHUNKS_ENDED_AT_ONCE]]
        if some:
            count = 0
            for first, last in _runs(sorted(some, key=attrgetter("next_id"))):
                queued = Message.objects.filter(pk__gte=first, pk__lte=last, mailing=mailing_id, due_at=None)
                count += queued.filter(status="queued").update(**ended)
            for chunk in some:
                chunk.delete()
            return count
        waiting = Message.objects.filter(mailing=mailing_id, due_at__isnull=False, status__in=["queued", "deferred"])
        ids = list(waiting.order_by("due_at")[: CHUNKS_ENDED_AT_ONCE * CHUNK_MESSAGES].values_list("pk", flat=True))
        return waiting.filter(pk__in=ids).update(**ended) if ids else None


def call_unconfirmed(mailing_id: int, reason: str, until: dt.datetime, now: dt.datetime) -> bool:
    """Mark a slice of the mailing's unclaimed messages that were due as unconfirmed; False if none is left.

    :param until: messages that were queued again at this instant or later stay as they are.
    """
    ended = {"status": Message.Status.UNCONFIRMED, "changed_at": now, "due_at": None, "reason": reason[:600]}
    with transaction.atomic():
        chunks = Chunk.objects.select_for_update().filter(mailing=mailing_id)
        later = LaterChunk.objects.select_for_update().filter(mailing=mailing_id, opens_at__lte=now)
        chunk = chunks.order_by("pk").first() or later.order_by("pk").first()
        if chunk is not None:
            queued = Message.objects.filter(pk__gte=chunk.next_id, pk__lte=chunk.last_id, mailing=mailing_id)
            queued.filter(status="queued", due_at=None).update(**ended)
            chunk.delete()
            return True
        due = plan.due(mailing_id, now).filter(changed_at__lt=until).order_by("pk")
        ids = list(due.values_list("pk", flat=True)[:CHUNK_MESSAGES])
        return bool(Message.objects.filter(pk__in=ids).update(**ended))


def open_for(
    mailing_id: int, opens_at: dt.datetime | None, closes_at: dt.datetime | None, why: str, now: dt.datetime
) -> bool:
    """Allow claims of a mailing only from ``opens_at`` until ``closes_at``. False if these bounds were set before.

    From ``closes_at`` on no worker claims more. Messages claimed already, a few seconds' worth, are still sent.

    :param why: the reason shown while the mailing is closed, as a sentence.
    """
    changed = Mailing.objects.filter(pk=mailing_id).exclude(opens_at=opens_at, closes_at=closes_at)
    is_changed = bool(changed.update(opens_at=opens_at, closes_at=closes_at))
    if opens_at is not None and opens_at > now:
        waits = {"waiting_reason": why[:500], "waiting_until": opens_at}
        # A paused mailing keeps the reason of its pause.
        Mailing.objects.filter(pk=mailing_id, state="open").exclude(**waits).update(**waits, waiting_words=kept(why))
    return is_changed


def open_chunks(now: dt.datetime) -> int:
    """Open the later chunks whose time has come, so that they can be claimed, and return their number."""
    count = 0
    while due := list(LaterChunk.objects.filter(opens_at__lte=now).order_by("opens_at", "pk")[:CHUNKS_AT_ONCE]):
        with transaction.atomic():
            # Two workers may run at once: the one that locks a chunk first opens it.
            mine = list(
                LaterChunk.objects.select_for_update().filter(pk__in=[chunk.pk for chunk in due]).order_by("pk")
            )
            Chunk.objects.bulk_create(
                Chunk(
                    mailing_id=chunk.mailing_id,
                    next_id=chunk.next_id,
                    last_id=chunk.last_id,
                    messages=chunk.messages,
                    route_id=chunk.route_id,
                )
                for chunk in mine
            )
            LaterChunk.objects.filter(pk__in=[chunk.pk for chunk in mine]).delete()
        count += len(mine)
    return count


def later_starts(mailing_id: int) -> list[tuple[dt.datetime, int]]:
    """Return the later starts of a mailing as (instant, number of messages), the next first."""
    rows = LaterChunk.objects.filter(mailing=mailing_id).order_by("opens_at").values_list("opens_at")
    return list(rows.annotate(number=Sum("messages")))


def _runs(chunks: Iterable[Chunk | LaterChunk]) -> list[tuple[int, int]]:
    """Return the id ranges of chunks; adjacent ranges are joined."""
    runs: list[tuple[int, int]] = []
    for chunk in chunks:
        if runs and chunk.next_id == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], chunk.last_id)
        else:
            runs.append((chunk.next_id, chunk.last_id))
    return runs


def retry_failed(mailing_id: int, now: dt.datetime) -> int:
    """Queue the failed and expired messages of a mailing again, and return their number."""
    return _requeue(Q(mailing=mailing_id, status__in=["failed", "expired"]), now)


def resend(message_id: int, now: dt.datetime) -> bool:
    """Queue one unconfirmed, failed or expired message again. It keeps its Message-ID.

    An unconfirmed message may have arrived: only a person may decide to risk a second copy.
    """
    return bool(_requeue(Q(pk=message_id, status__in=["unconfirmed", "failed", "expired"]), now))


def _requeue(which: Q, now: dt.datetime) -> int:
    with transaction.atomic():
        mailings = list(
            Message.objects.filter(which)
            .exclude(mailing__state="cancelled")
            .values_list("mailing", flat=True)
            .distinct()
        )
        count = Message.objects.filter(which, mailing__in=mailings).update(
            status=Message.Status.QUEUED,
            due_at=now,
            changed_at=now,
            expires_at=now + LIFE[Mailing.Stream.CAMPAIGN],
            avoid=[],
            is_refused=False,
            reason="Queued again by hand.",
        )
        Mailing.objects.filter(pk__in=mailings).update(finished_at=None, is_reported=False)
    return count


def expire(now: dt.datetime) -> int:
    """Expire single messages and notices that no server could take in time, and return their number.

    A campaign waits for quota as long as it takes; but a late receipt or notice is worse than none.
    """
    overdue = Message.objects.filter(
        mailing__in=Mailing.objects.filter(finished_at=None, stream__in=["single", "notice"]).values("pk"),
        status__in=["queued", "deferred"],
        expires_at__lte=now,
    )
    return overdue.update(
        status=Message.Status.EXPIRED,
        due_at=None,
        changed_at=now,
        reason=Case(
            When(reason="", then=Value("Given up: no server could take it in time.")),
            default=Left(Concat(Value("Given up: "), "reason"), 600),
        ),
    )
