"""The pace of a campaign: messages accepted and deferred per minute, and the time left at the present rate."""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Max, Min, Sum
from django.db.models.functions import TruncHour, TruncMinute
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from delivery.models import MailingOutcome
from installation.site import site
from words import durations
from words.instants import when

ANSWERED = ("accepted", "bounced", "failed", "unconfirmed")
MOST_POINTS = 120
# Minutes between two points of the chart.
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080)
MOST_SERVERS = 6  # Servers with a bar of their own; all others share one.
OTHER_SERVERS = gettext_noop("other servers")
RECENT = dt.timedelta(minutes=10)
QUIET = dt.timedelta(minutes=3)  # After that long without an answer the page says so.


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the chart."""

    at: dt.datetime
    accepted: tuple[float, ...]  # Per minute, by server in the order of :attr:`Pace.servers`.
    deferred: float  # Per minute.

    @property
    def all_accepted(self) -> float:
        return sum(self.accepted)


@dataclass(frozen=True, slots=True)
class Pace:
    """The points of the chart."""

    step_minutes: int = 1
    servers: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()


def step_minutes(span: dt.timedelta) -> int:
    """Return the minutes between two points, so that the chart has no more than ``MOST_POINTS``."""
    minutes = span.total_seconds() / 60 + 1
    return next((step for step in STEPS if minutes / step <= MOST_POINTS), STEPS[-1])


def pace(mailing_ids: Collection[int], now: dt.datetime, *, is_live: bool) -> Pace:
    """Return messages accepted and deferred per minute, from the first answer to the last one.

    :param is_live: let the chart end now.
    """
    outcomes = MailingOutcome.objects.filter(mailing__in=list(mailing_ids)).order_by()
    bounds = outcomes.aggregate(first=Min("minute_at"), last=Max("minute_at"))
    if bounds["first"] is None:
        return Pace()
    last = max(bounds["last"], now) if is_live else bounds["last"]
    step = step_minutes(last - bounds["first"])
    truncate = TruncHour if step % 60 == 0 else TruncMinute
    rows = (
        outcomes.filter(outcome__in=["accepted", "deferred"])
        .annotate(at=truncate("minute_at", tzinfo=dt.UTC))
        .values_list("at", "server_name", "outcome")
        .annotate(sum=Sum("number"))
    )
    return drawn(rows, bounds["first"], last, step)


def drawn(rows: Iterable[tuple[dt.datetime, str, str, int]], first: dt.datetime, last: dt.datetime, step: int) -> Pace:
    """Sum counts by (minute, server, outcome) into points of ``step`` minutes each, without gaps."""
    width = dt.timedelta(minutes=step)
    start = _floor(first, step)
    counts: Counter[tuple[int, str, str]] = Counter()
    by_server: Counter[str] = Counter()
    for at, server, outcome, number in rows:
        counts[int((at - start) / width), server, outcome] += number
        by_server[server] += number if outcome == "accepted" else 0
    names = [name for name, _ in sorted(by_server.items(), key=lambda item: (-item[1], item[0]))]
    alone, others = names[:MOST_SERVERS], names[MOST_SERVERS:]
    points = []
    for index in range(int((_floor(last, step) - start) / width) + 1):
        accepted = [counts[index, name, "accepted"] / step for name in alone]
        if others:
            accepted.append(sum(counts[index, name, "accepted"] for name in others) / step)
        deferred = sum(counts[index, name, "deferred"] for name in names) / step
        points.append(Point(start + index * width, tuple(accepted), deferred))
    return Pace(step, (*alone, *([OTHER_SERVERS] if others else [])), tuple(points))


def _floor(instant: dt.datetime, step: int) -> dt.datetime:
    """Return the start of the step that contains an instant. Steps are counted from the site's midnight."""
    midnight = timezone.localtime(instant, site().time_zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if step > 24 * 60:
        return midnight.astimezone(dt.UTC)
    width = dt.timedelta(minutes=step)
    midnight = midnight.astimezone(dt.UTC)
    return midnight + (instant - midnight) // width * width


# --- the time left


@dataclass(frozen=True, slots=True)
class Recent:
    """The number of recent final answers, and the seconds in which they came."""

    answered: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.answered / self.seconds if self.seconds else 0.0


def recent(mailing_ids: Collection[int], now: dt.datetime) -> Recent:
    """Return the final answers of the last minutes, and the time since the first of them."""
    since = now.replace(second=0, microsecond=0) - RECENT
    lately = MailingOutcome.objects.filter(mailing__in=list(mailing_ids), minute_at__gte=since, outcome__in=ANSWERED)
    found = lately.aggregate(number=Sum("number"), first=Min("first_at"), last=Max("minute_at"))
    if not found["number"] or now - found["last"] >= QUIET + dt.timedelta(minutes=1):
        return Recent()
    return Recent(found["number"], max((now - found["first"]).total_seconds(), 1.0))


def time_left(
    *,
    pending: int,
    deferred: int,
    rate: float,
    now: dt.datetime,
    zone: dt.tzinfo,
    waiting_until: dt.datetime | None = None,
    is_waiting: bool = False,
    is_paused: bool = False,
) -> str:
    """Return the time left in words, as far as it is known.

    :param pending: the number of messages not tried yet or being sent.
    :param deferred: the number of deferred messages, whose time depends on the servers.
    :param rate: messages per second, from recent answers.
    """
    if is_paused:
        return _("paused")
    if not pending and not deferred:
        return ""
    if not pending:
        sentence = ngettext("until %(n)s retry is over", "until %(n)s retries are over", deferred)
        return sentence % {"n": f"{deferred:,}"}
    if waiting_until is not None and waiting_until > now:
        return _("waiting until %(time)s") % {"time": _waiting(waiting_until, now, zone)}
    if is_waiting:
        return _("waiting")
    if not rate:
        return _("unknown (no replies in the last minutes)")
    left = dt.timedelta(seconds=pending / rate)
    return _("%(span)s (done about %(time)s)") % {"span": durations.about(left), "time": when(now + left, now, zone)}


def _waiting(until: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return when a wait ends; within two minutes the day is clear, and the seconds are not."""
    return f"{until.astimezone(zone):%H:%M:%S}" if until - now < dt.timedelta(minutes=2) else when(until, now, zone)
