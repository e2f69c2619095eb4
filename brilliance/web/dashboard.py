"""The dashboard: sent and queued mail, the use of the servers' quotas, and the next steps.

Every panel has a permission and is left out, not emptied, for users without it.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Prefetch, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats

from brilliance.health import probes
from brilliance.web import set_up
from campaigns.lifecycle import approvals
from campaigns.models import Campaign
from contacts.models import Contact
from delivery import clock
from delivery.health import readiness
from delivery.operators import restored_copy
from delivery.records import figures as records_figures
from installation.site import site
from smtpservers.admin import list_row, states
from smtpservers.limits.quota_period import kept_from_campaigns
from smtpservers.models import QuotaPeriod, SmtpServer

CHART_DAYS = 30
FLEET_ROWS = 10
NEARLY_FULL_PERCENT = 80
DRAFTS_LOOKED_AT = 20
# unfold's own options have neither stacked bars nor a legend.
CHART_OPTIONS = {
    "responsive": True,
    "maintainAspectRatio": False,
    "animation": False,
    "scales": {
        "x": {
            "stacked": True,
            "grid": {"display": False},
            "ticks": {"color": "#6b7280", "maxTicksLimit": 10, "maxRotation": 0},
        },
        "y": {"stacked": True, "beginAtZero": True, "grid": {}, "ticks": {"color": "#6b7280", "precision": 0}},
    },
    "plugins": {"legend": {"position": "bottom", "labels": {"color": "#6b7280", "boxWidth": 12, "boxHeight": 12}}},
}
# unfold rounds bars so much that the next one shows behind their corners.
BAR = {"maxBarThickness": 18, "borderRadius": 2, "borderSkipped": "start"}

HELD_SERVERS = 5

Person = User | AnonymousUser


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the panels of the dashboard to unfold's ``context``."""
    now = clock.now()
    context["title"] = "Home"
    context["set_up"] = set_up.steps(request.user)
    context["set_up_done"] = sum(step.is_done for step in context["set_up"])
    context["set_up_next"] = next((step for step in context["set_up"] if not step.is_done), None)
    context["steps"] = next_steps(request.user, is_setting_up=bool(context["set_up"]))
    if request.user.has_perm("campaigns.view_progress") or request.user.has_perm("smtpservers.view_fleet"):
        with_names = request.user.has_perm("smtpservers.view_smtpserver")
        look = readiness.WorkersSeen(now)
        problems = {"broker": probes.CHECKS["broker"](now), **readiness.ask(look)}
        if request.user.has_perm("delivery.release_copy"):
            problems.pop("copy", None)  # It is one of their next steps.
        context["obstacles"] = readiness.in_words(problems, look, with_names=with_names)
    if request.user.has_perm("campaigns.view_progress"):
        context["figures"] = figures(now)
        context["chart"] = chart(now)
        context["waiting"] = records_figures.waiting()
    if request.user.has_perm("smtpservers.view_fleet"):
        context["fleet"] = fleet(now, request.user)
        context["held_servers"] = held_servers(now)
        context["may_send_test"] = request.user.has_perm("smtpservers.send_test")
        context["may_resume"] = any(
            request.user.has_perm(f"smtpservers.{right}_smtpserver") for right in ("pause", "change")
        )
        # The reason names hosts and quotes replies, which users with view_fleet alone may not see.
        context["sees_reasons"] = request.user.has_perm("smtpservers.view_smtpserver")
    return context


def figures(now: dt.datetime) -> list[dict[str, Any]]:
    """Return the numbers of the top row, with an explanation of each."""
    today = records_figures.today(now, site().time_zone)
    return [
        {"label": "Sent today", "value": today["accepted"], "hint": f"Accepted since midnight ({site().time_zone})."},
        {
            "label": "Quota used",
            "value": records_figures.used_this_period(now),
            "hint": "Recipients counted in each server’s current quota period.",
        },
        {"label": "Queued", "value": today["queued"], "hint": "Waiting, sending or scheduled to retry."},
        {
            "label": "Failed today",
            "value": today["failed"],
            "hint": "Bounced, failed or unconfirmed since midnight.",
            "is_bad": today["failed"] > 0,
        },
    ]


def chart(now: dt.datetime) -> dict[str, Any]:
    """Return the last days for Chart.js, and as rows for readers of a table."""
    zone = site().time_zone
    today = now.astimezone(zone).date()
    days = records_figures.per_day(today - dt.timedelta(days=CHART_DAYS - 1), today, zone)
    drawn = {
        "labels": [formats.date_format(day, "j M") for day, _, _ in days],
        "datasets": [
            {
                "label": "Accepted",
                "data": [row[1] for row in days],
                "backgroundColor": "var(--color-primary-600)",
                **BAR,
            },
            {
                "label": "Not accepted",
                "data": [row[2] for row in days],
                "backgroundColor": "#f59e0b",
                **BAR,
            },
        ],
    }
    return {
        "drawn": json.dumps(drawn),
        "options": json.dumps(CHART_OPTIONS),
        "rows": [row for row in reversed(days) if row[1] or row[2]],
        "accepted": sum(row[1] for row in days),
        "failed": sum(row[2] for row in days),
    }


def fleet(now: dt.datetime, user: Person) -> dict[str, Any]:
    """Return the first servers by display order, each with the use of its current period."""
    current = QuotaPeriod.objects.filter(starts_at__lte=now, ends_at__gt=now)
    servers = SmtpServer.objects.prefetch_related(Prefetch("periods", current, to_attr="current"))
    total = SmtpServer.objects.count()
    return {
        "rows": [_row(server, user, now) for server in servers[:FLEET_ROWS]],
        "others": max(0, total - FLEET_ROWS),
        "active": SmtpServer.objects.filter(~list_row.paused(now), is_active=True, tested_at__isnull=False).count(),
        "total": total,
    }


def _row(server: Any, user: Person, now: dt.datetime) -> dict[str, Any]:
    used = server.current[0].used if server.current else 0
    quota = server.max_per_month or None  # 0 means no limit, like empty.
    percent = min(100, round(100 * used / quota)) if quota else None
    is_full = quota is not None and used >= quota - kept_from_campaigns(quota)
    return {
        "name": server.name,
        "state": states.state_of(server, now).word,
        "used": used,
        "quota": quota,
        "percent": percent,
        "level": "" if percent is None or percent < NEARLY_FULL_PERCENT else "full" if is_full else "nearly",
        "link": reverse("admin:smtpservers_smtpserver_change", args=[server.pk])
        if user.has_perm("smtpservers.view_smtpserver")
        else "",
    }


def held_servers(now: dt.datetime) -> list[dict[str, Any]]:
    """Return the first active servers that get no mail now: paused, untested or full."""
    is_held = list_row.paused(now) | Q(tested_at=None) | Q(full_until__gt=now)
    servers = SmtpServer.objects.filter(is_held, is_active=True)[:HELD_SERVERS]
    return [{"server": server, "state": states.state_of(server, now)} for server in servers]


def next_steps(user: Person, *, is_setting_up: bool = False) -> list[dict[str, str]]:
    """Return the steps before mail can be sent, as far as this user can take them.

    :param is_setting_up: whether the page shows the steps of :mod:`brilliance.web.set_up`, which say the rest.
    """
    steps = []
    if user.has_perm("delivery.release_copy") and restored_copy.held() is not None:
        text = "This is a restored or copied database: nothing is sent until you say go on."
        steps.append({"text": text, "label": "See what was under way", "link": reverse("delivery:restored")})
    if is_setting_up:
        return steps
    if user.has_perm("smtpservers.add_smtpserver") and not SmtpServer.objects.exists():
        steps.append(
            _step("Add the first SMTP server: it carries your mail.", "Add a server", "smtpservers_smtpserver")
        )
    if user.has_perm("contacts.add_contact") and not Contact.objects.exists():
        steps.append(_step("Add people to write to, one by one or from a file.", "Add a contact", "contacts_contact"))
    if user.has_perm("campaigns.add_campaign") and not Campaign.objects.exists():
        steps.append(_step("Write the first campaign.", "Write a campaign", "campaigns_campaign"))
    return steps or list(_steps_of_drafts(user))


def _steps_of_drafts(user: Person) -> Iterator[dict[str, str]]:
    """Yield the next step for a draft: this user's approval, or queueing it."""
    waiting = approvals.waiting(DRAFTS_LOOKED_AT)
    if user.has_perm("campaigns.approve_campaign"):
        for request in waiting:
            if request.requested_by_id != user.pk:
                name = request.campaign.name
                yield {
                    "text": f"The campaign “{name}” waits for approval. Look at it, then approve or reject it.",
                    "label": "Review it",
                    "link": reverse("campaigns:review", args=[request.campaign_id]),
                }
                return
    drafts = Campaign.objects.filter(status=Campaign.Status.DRAFT)
    draft = drafts.exclude(pk__in=[request.campaign_id for request in waiting]).first()
    if draft is not None and user.has_perm("campaigns.queue_campaign"):
        yield {
            "text": f"The campaign “{draft}” is a draft. Look at it, then queue it.",
            "label": "Open it",
            "link": reverse("admin:campaigns_campaign_change", args=[draft.pk]),
        }


def _step(text: str, label: str, model: str) -> dict[str, str]:
    return {"text": text, "label": label, "link": reverse(f"admin:{model}_add")}
