"""Figures of sent mail for pages, read-only. Copies (CC, BCC) are messages of their own, and are not counted."""

import datetime as dt
from collections.abc import Collection, Iterable

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate

from delivery.models import (
    FAILED,
    NOT_ACCEPTED,
    Attempt,
    Batch,
    Mailing,
    MailingOutcome,
    Message,
    ServerOutcome,
    StatusCount,
)
from delivery.outbox import status_counts
from smtpservers.models import QuotaPeriod


def counts(mailing_id: int) -> dict[str, int]:
    """Return the number of the mailing's recipients by status; every status is a key."""
    found = status_counts.by_status(mailing_id)
    # Messages claimed from a chunk are still ``queued`` in their rows.
    batches = Batch.objects.filter(Batch.OPEN, mailing=mailing_id, is_cut=True)
    held = batches.aggregate(sum=Sum("open_count"))["sum"] or 0
    held = min(held, found[Message.Status.QUEUED])  # The two counts are from different instants.
    found[Message.Status.QUEUED] -= held
    found[Message.Status.SENDING] += held
    return found


def of_status(messages: QuerySet[Message], status: str) -> QuerySet[Message]:
    """Return the messages with this status, as people see it: claimed messages count as ``sending``.

    :param status: one of a message, or ``NOT_ACCEPTED`` for all of ``FAILED``.
    """
    if status == NOT_ACCEPTED:
        return messages.filter(status__in=FAILED)
    if status == Message.Status.SENDING:
        return messages.filter(Q(status=status) | Q(status="queued", due_at=None, pk__in=_claimed()))
    if status == Message.Status.QUEUED:
        return messages.filter(status=status).exclude(due_at=None, pk__in=_claimed())
    return messages.filter(status=status)


def show_claimed(messages: Iterable[Message]) -> None:
    """Set the status of claimed messages to ``sending`` for display; their rows are still ``queued``."""
    queued = [message for message in messages if message.status == Message.Status.QUEUED and message.due_at is None]
    claimed = _claimed({message.mailing_id for message in queued}) if queued else set()
    for message in queued:
        if message.pk in claimed:
            message.status = Message.Status.SENDING


def _claimed(mailings: Collection[int] | None = None) -> set[int]:
    """Return the messages claimed from chunks; some may have a recorded result already."""
    batches = Batch.objects.filter(Batch.OPEN, is_cut=True)
    if mailings is not None:
        batches = batches.filter(mailing__in=mailings)
    return {message_id for claims in batches.values_list("claims", flat=True) for message_id, _ in claims}


def attempts(message: Message) -> list[Attempt]:
    """Return the attempts of a message in order. The last one may be under way, and has no row yet."""
    written = list(message.attempts.select_related("batch").order_by("number"))
    number = len(written) + 1
    for batch in Batch.objects.filter(Batch.OPEN, mailing=message.mailing_id):
        if [message.pk, number] in batch.claims:
            return [*written, Attempt(message=message, number=number, batch=batch)]
    return written


def by_server(mailing_id: int) -> list[tuple[str, int, int]]:
    """Return (server name, accepted, tried) for each server that the mailing used, most used first."""
    rows = (
        MailingOutcome.objects.filter(mailing=mailing_id)
        .values("server_name")
        .annotate(accepted=Coalesce(Sum("number", filter=Q(outcome="accepted")), 0), tried=Sum("number"))
        .order_by("-accepted", "server_name")
    )
    return [(row["server_name"], row["accepted"], row["tried"]) for row in rows]


def reasons(mailing_id: int, most: int = 10) -> list[tuple[str, str, int]]:
    """Return (status, reason, number) for messages that were not accepted, most frequent first."""
    rows = (
        Message.objects.filter(mailing=mailing_id, copy_of=None)
        .exclude(reason="")  # Uses a partial index.
        .exclude(status__in=["accepted", "queued", "sending"])
        .values("status", "reason")
        .annotate(number=Count("id"))
        .order_by("-number", "status", "reason")[:most]
    )
    return [(row["status"], row["reason"], row["number"]) for row in rows]


def per_day(start: dt.date, end: dt.date, zone: dt.tzinfo) -> list[tuple[dt.date, int, int]]:
    """Return (day, accepted, not accepted) for every day from ``start`` to ``end``, both included.

    A message that bounced after it was accepted counts in both, the second time on the day of the report.
    """
    begin = dt.datetime.combine(start, dt.time.min, tzinfo=zone)
    finish = dt.datetime.combine(end + dt.timedelta(days=1), dt.time.min, tzinfo=zone)
    rows = (
        ServerOutcome.objects.filter(quarter_at__gte=begin, quarter_at__lt=finish)
        .annotate(day=TruncDate("quarter_at", tzinfo=zone))
        .values("day")
        .annotate(
            accepted=Coalesce(Sum("number", filter=Q(outcome="accepted")), 0),
            failed=Coalesce(Sum("number", filter=Q(outcome__in=(*FAILED, ServerOutcome.LATE))), 0),
        )
        .order_by("day")
    )
    found = {row["day"]: (row["accepted"], row["failed"]) for row in rows}
    days = [start + dt.timedelta(days=number) for number in range((end - start).days + 1)]
    return [(day, *found.get(day, (0, 0))) for day in days]


def midnight(now: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return the first instant of the present day in ``zone``."""
    return dt.datetime.combine(now.astimezone(zone).date(), dt.time.min, tzinfo=zone)


def today(now: dt.datetime, zone: dt.tzinfo) -> dict[str, int]:
    """Return ``accepted`` and ``failed`` since :func:`midnight` in ``zone``, and ``queued`` now.

    The search for messages ``NOT_ACCEPTED`` that changed since then lists what ``failed`` counts: no stream and no copy
    is left out of either. Only a message that somebody retried leaves the list, and stays counted.
    """
    day = now.astimezone(zone).date()
    _, accepted, failed = per_day(day, day, zone)[0]
    pending = StatusCount.objects.filter(mailing__finished_at=None, status__in=Message.PENDING)
    return {
        "accepted": accepted,
        "failed": failed,
        "queued": pending.aggregate(sum=Sum("number"))["sum"] or 0,
    }


def used_this_period(now: dt.datetime) -> int:
    """Return the units of quota that all servers have used in their current periods."""
    total = QuotaPeriod.objects.filter(starts_at__lte=now, ends_at__gt=now).aggregate(total=Sum("used"))["total"]
    return total or 0


def under_way() -> list[Mailing]:
    """Return the open mailings; ``waiting_reason`` and ``waiting_until`` say why one waits.

    Notices to operators are left out: they tell of the trouble that they wait for.
    """
    rows = Mailing.objects.filter(finished_at=None, state="open").exclude(stream=Mailing.Stream.NOTICE)
    return list(rows.order_by("pk").only("id", "name", "waiting_reason", "waiting_words", "waiting_until"))
