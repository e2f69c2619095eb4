"""The figures of what was sent: read-only, for pages. Copies (CC, BCC) are messages of their own and not counted."""

import datetime as dt

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from delivery.models import Attempt, Mailing, Message
from smtpservers.models import QuotaPeriod


def counts(mailing_id: int) -> dict[str, int]:
    """Return how many recipients of the mailing have each status; every status is there."""
    found = dict(
        Message.objects.filter(mailing=mailing_id, copy_of=None)
        .values_list("status")
        .annotate(number=Count("id"))
        .order_by()
    )
    return {status.value: found.get(status.value, 0) for status in Message.Status}


def by_server(mailing_id: int) -> list[tuple[str, int, int]]:
    """Return (server's name, accepted, tried) for each server the mailing used, most used first."""
    rows = (
        Attempt.objects.filter(message__mailing=mailing_id, message__copy_of=None)
        .exclude(outcome="not_sent")
        .values("server_name")
        .annotate(accepted=Count("id", filter=Q(outcome="accepted")), tried=Count("id"))
        .order_by("-accepted", "server_name")
    )
    return [(row["server_name"], row["accepted"], row["tried"]) for row in rows]


def reasons(mailing_id: int, most: int = 10) -> list[tuple[str, str, int]]:
    """Return (status, reason, how many) for what was not accepted, most frequent first."""
    rows = (
        Message.objects.filter(mailing=mailing_id, copy_of=None)
        .exclude(status__in=["accepted", "queued", "sending"])
        .values("status", "reason")
        .annotate(number=Count("id"))
        .order_by("-number", "status", "reason")[:most]
    )
    return [(row["status"], row["reason"], row["number"]) for row in rows]


def rate(mailing_id: int, now: dt.datetime, window: dt.timedelta = dt.timedelta(minutes=1)) -> float:
    """Return the messages a second that were answered within the last ``window``."""
    span = Message.objects.filter(mailing=mailing_id, changed_at__gt=now - window, copy_of=None).filter(
        status__in=["accepted", "bounced", "failed", "unconfirmed"]
    )
    number = span.count()
    if not number:
        return 0.0
    first = span.order_by("changed_at").values_list("changed_at", flat=True)[0]
    return number / max((now - first).total_seconds(), 1.0)


def remaining(mailing_id: int, now: dt.datetime) -> dt.timedelta | None:
    """Return the time the rest takes at the present rate; None when nothing is being sent."""
    speed = rate(mailing_id, now)
    pending = Message.objects.filter(mailing=mailing_id, status__in=["queued", "sending"], copy_of=None).count()
    return dt.timedelta(seconds=pending / speed) if speed and pending else None


def per_day(start: dt.date, end: dt.date, zone: dt.tzinfo) -> list[tuple[dt.date, int, int]]:
    """Return (day, accepted, not accepted) for every day from ``start`` to ``end``, both included."""
    begin = dt.datetime.combine(start, dt.time.min, tzinfo=zone)
    finish = dt.datetime.combine(end + dt.timedelta(days=1), dt.time.min, tzinfo=zone)
    rows = (
        Attempt.objects.filter(finished_at__gte=begin, finished_at__lt=finish)
        .annotate(day=TruncDate("finished_at", tzinfo=zone))
        .values("day")
        .annotate(
            accepted=Count("id", filter=Q(outcome="accepted")),
            failed=Count("id", filter=Q(outcome__in=["bounced", "failed", "unconfirmed"])),
        )
        .order_by("day")
    )
    found = {row["day"]: (row["accepted"], row["failed"]) for row in rows}
    days = [start + dt.timedelta(days=number) for number in range((end - start).days + 1)]
    return [(day, *found.get(day, (0, 0))) for day in days]


def today(now: dt.datetime, zone: dt.tzinfo) -> dict[str, int]:
    """Return ``accepted`` and ``failed`` since midnight in ``zone``, and ``queued`` now."""
    day = now.astimezone(zone).date()
    _, accepted, failed = per_day(day, day, zone)[0]
    return {
        "accepted": accepted,
        "failed": failed,
        "queued": Message.objects.filter(status__in=Message.PENDING, mailing__finished_at=None).count(),
    }


def used_this_period(now: dt.datetime) -> int:
    """Return the units that all servers together have used in their current periods."""
    total = QuotaPeriod.objects.filter(starts_at__lte=now, ends_at__gt=now).aggregate(total=Sum("used"))["total"]
    return total or 0


def waiting() -> list[Mailing]:
    """Return the open mailings that cannot go on just now; ``waiting_reason`` and ``waiting_until`` say why."""
    rows = Mailing.objects.filter(finished_at=None, state="open").exclude(waiting_reason="")
    return list(rows.only("id", "name", "waiting_reason", "waiting_until"))
