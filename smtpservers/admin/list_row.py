"""The cells of a server in a list: address, encryption, quota and caps."""

import datetime as dt

from django.db.models import Case, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Least
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mail.addresses import readable_domain
from smtpservers.admin.states import badge
from smtpservers.destinations import Security
from smtpservers.limits import sliding_window
from smtpservers.limits.quota_period import MOST_KEPT, kept_from_campaigns
from smtpservers.limits.sliding_window import DAY, HOUR
from smtpservers.models import QuotaPeriod, RecentUse, SmtpServer
from words import numbers
from words.instants import ago, stamp

NEARLY_FULL_PERCENT = 80
FULL_PERCENT = 95
# As smtpservers.limits.quota_period.kept_from_campaigns says.
_KEPT = Least(F("max_per_month") / 100, MOST_KEPT, output_field=IntegerField())

_SECURITY = {
    Security.IMPLICIT: ("blue", "TLS", gettext_lazy("Implicit TLS.")),
    Security.STARTTLS: ("green", "STARTTLS", gettext_lazy("TLS is required.")),
    Security.OPPORTUNISTIC: (
        "orange",
        gettext_lazy("TLS optional"),
        gettext_lazy("TLS is used if the server offers it."),
    ),
    Security.NEVER: (
        "orange",
        gettext_lazy("No TLS"),
        gettext_lazy("Nothing is encrypted, even if the server offers TLS."),
    ),
}


def with_current_period(servers: QuerySet[SmtpServer], now: dt.datetime) -> QuerySet[SmtpServer]:
    """Annotate each server with ``units_used``, ``units_reserved`` and ``period_ends_at`` of the current period; None
    before its first unit.

    The use for its caps is selected along.
    """
    current = QuotaPeriod.objects.filter(server=OuterRef("pk"), starts_at__lte=now, ends_at__gt=now)
    latest = current.order_by("-starts_at")
    return servers.select_related("recent_use").annotate(
        units_used=Subquery(latest.values("used")[:1]),
        units_reserved=Subquery(latest.values("reserved")[:1]),
        period_ends_at=Subquery(latest.values("ends_at")[:1]),
    )


def nearly_full() -> Q:
    """Return the condition for servers that have used most of their quota; see :func:`with_current_period`."""
    return Q(max_per_month__gt=0, units_used__gte=F("max_per_month") * (NEARLY_FULL_PERCENT / 100))


def used_up() -> Q:
    """Return the condition for servers whose quota campaigns have used up; see :func:`with_current_period`."""
    return Q(max_per_month__gt=0, units_used__gte=F("max_per_month") - _KEPT)


def has_room() -> Q:
    """Return the opposite of :func:`used_up`, written out: in SQL, NOT of a comparison with NULL is NULL."""
    return (
        Q(max_per_month=None) | Q(max_per_month=0) | Q(units_used=None) | Q(units_used__lt=F("max_per_month") - _KEPT)
    )


def paused(now: dt.datetime) -> Q:
    """Return the condition for servers that the system has paused, which is not the operator's switch."""
    return ~Q(paused_reason="") & (Q(paused_until=None) | Q(paused_until__gt=now))


def held(now: dt.datetime) -> Q:
    """Return the condition for servers that get no mail now, active or not: paused, untested or full."""
    return paused(now) | Q(tested_at=None) | Q(full_until__gt=now)


def worst_first(now: dt.datetime) -> QuerySet[SmtpServer]:
    """Return all servers: first those that are active and get no mail, at last the inactive ones."""
    place = Case(When(is_active=False, then=Value(2)), When(held(now), then=Value(0)), default=Value(1))
    return SmtpServer.objects.order_by(place, "display_order", "id")


def security_badge(server: SmtpServer) -> SafeString:
    """Return the encryption of connections as a badge."""
    colour, word, meaning = _SECURITY[server.destination.security]
    return badge(colour, str(word), str(meaning))


def address(server: SmtpServer) -> str:
    """Return ``host:port``, with an IPv6 address in brackets and a domain in its own script."""
    host = readable_domain(server.host)
    return f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"


def quota_bar(server: SmtpServer, now: dt.datetime) -> SafeString:
    """Return the use in this period as numbers and, with a limit, a bar; below, the last hour and day.

    See :func:`with_current_period`.
    """
    return format_html('<span class="server-figures">{}{}</span>', _period_bar(server), _caps(server, now))


def _caps(server: SmtpServer, now: dt.datetime) -> SafeString:
    recent: RecentUse | None = getattr(server, "recent_use", None)
    lines = []
    hour, day = _("%(used)s of %(cap)s this hour"), _("%(used)s of %(cap)s this day")
    for window, cap, text in ((HOUR, server.max_per_hour, hour), (DAY, server.max_per_day, day)):
        if cap:
            buckets = (recent.by_minute if window is HOUR else recent.by_quarter) if recent else {}
            used = sliding_window.total(buckets, window, now)
            lines.append((text % {"used": f"{used:,}", "cap": f"{cap:,}"},))
    return format_html_join("", '<span class="server-cap">{}</span>', lines)


def _period_bar(server: SmtpServer) -> SafeString:
    used: int = getattr(server, "units_used", None) or 0
    reserved: int = getattr(server, "units_reserved", None) or 0
    if not server.max_per_month:
        return format_html(
            '<span class="server-quota">{}</span>', _("%(n)s sent · no monthly limit") % {"n": f"{used:,}"}
        )
    percent = min(100, 100 * used // server.max_per_month)
    kept = kept_from_campaigns(server.max_per_month)
    left = max(0, server.max_per_month - kept - used - reserved)
    about = [_("%(percent)s used") % {"percent": numbers.percent(used, server.max_per_month)}]
    about += [_("%(n)s sending") % {"n": f"{reserved:,}"}] if reserved else []
    about.append(_("%(n)s left for campaigns") % {"n": f"{left:,}"})
    colour = "red" if percent >= FULL_PERCENT else "orange" if percent >= NEARLY_FULL_PERCENT else "green"
    return format_html(
        '<span class="server-quota" title="{}"><span class="server-bar" aria-hidden="true">'
        '<span class="server-bar-fill server-bar-{}" style="width: {}%"></span></span>{}</span>',
        " · ".join(about),
        colour,
        percent,
        _("%(part)s of %(total)s") % {"part": f"{used:,}", "total": f"{server.max_per_month:,}"},
    )


def last_success(server: SmtpServer, now: dt.datetime) -> str | SafeString:
    """Return how long ago the server last accepted a message."""
    if server.last_success_at is None:
        return _("Never")
    zone = get_current_timezone()
    exact = stamp(server.last_success_at, now, zone)
    return format_html('<span title="{}">{}</span>', exact, ago(server.last_success_at, now, zone))
