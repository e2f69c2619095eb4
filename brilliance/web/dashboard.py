"""The dashboard: sent and queued mail, the use of the servers' quotas, and the next steps.

Every panel has a permission and is left out, not emptied, for users without it.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Case, Value, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from brilliance.health import probes
from brilliance.web import attention
from brilliance.web.first_run.views import set_up_context
from campaigns.content.build import is_sample
from campaigns.content.written import Written
from campaigns.lifecycle import approvals
from campaigns.models import Campaign, Experiment
from campaigns.preflight.refusals import refusals_known
from contacts.models import Contact
from delivery import clock
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.health import readiness
from delivery.models import NOT_ACCEPTED, TODAY
from delivery.records import figures as records_figures
from installation.site import site
from smtpservers.admin import states
from smtpservers.limits.quota_period import kept_from_campaigns, runs_out_at
from smtpservers.models import QuotaPeriod, SmtpServer
from smtpservers.routing.fleet import Fleet
from words import instants
from words.numbers import percentage

CHART_DAYS = 30
FLEET_ROWS = 10
NEARLY_FULL_PERCENT = 80
DRAFTS_LOOKED_AT = 20
RUNNING_CAMPAIGNS = 5

Person = User | AnonymousUser


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the panels of the dashboard to unfold's ``context``."""
    now = clock.now()
    context["title"] = _("Home")
    context.update(set_up_context(request))
    look = readiness.WorkersSeen(now)
    context["steps"] = next_steps(request.user, look, is_setting_up=bool(context["set_up"]))
    obstacles: list[str] = []
    mailings = records_figures.under_way()
    servers = attention.servers(now)
    if request.user.has_perm("campaigns.view_progress") or request.user.has_perm("smtpservers.view_fleet"):
        with_names = request.user.has_perm("smtpservers.view_smtpserver")
        problems = {"broker": probes.CHECKS["broker"](now), **readiness.ask(look)}
        if request.user.has_perm("delivery.release_copy"):
            problems.pop("copy", None)  # It is one of their next steps.
        obstacles = readiness.in_words(problems, look, with_names=with_names)
        context["flow"] = attention.flow(problems, servers, mailings, now)
    context["attention"], context["more_attention"] = attention.rows(
        obstacles, mailings if request.user.has_perm("campaigns.view_progress") else [], request.user, now
    )
    if request.user.has_perm("campaigns.view_progress"):
        context["figures"] = figures(now, request.user)
        context["chart"] = chart(now)
        context["running"] = running(request)
    if request.user.has_perm("smtpservers.view_fleet"):
        context["fleet"] = fleet(servers, now, request.user)
    return context


def figures(now: dt.datetime, user: Person) -> list[dict[str, Any]]:
    """Return the numbers of the top row, with an explanation of each."""
    today = records_figures.today(now, site().time_zone)
    return [
        {
            "label": _("Sent today"),
            "value": today["accepted"],
            "hint": _("Accepted since midnight (%(zone)s).") % {"zone": site().time_zone},
        },
        {
            "label": _("Quota used"),
            "value": records_figures.used_this_period(now),
            "hint": _("Recipients counted in each server’s current quota period."),
        },
        {"label": _("Queued"), "value": today["queued"], "hint": _("Waiting, sending or scheduled to retry.")},
        {
            "label": _("Bounced or failed today"),
            "value": today["failed"],
            "hint": _(
                "Bounced, failed or unconfirmed since midnight (%(zone)s). Includes tests, copies, and bounces of mail"
                " accepted earlier."
            )
            % {"zone": site().time_zone},
            "is_bad": today["failed"] > 0,
            "link": f"{reverse('delivery:messages')}?status={NOT_ACCEPTED}&changed={TODAY}"
            if today["failed"] and user.has_perm("delivery.view_message")
            else "",
        },
    ]


def chart(now: dt.datetime) -> dict[str, Any]:
    """Return the last days for Chart.js, and as rows for readers of a table."""
    zone = site().time_zone
    today = now.astimezone(zone).date()
    days = records_figures.per_day(today - dt.timedelta(days=CHART_DAYS - 1), today, zone)
    drawn = {
        "labels": [instants.day(day, today) for day, _accepted, _failed in days],
        "datasets": [
            {"label": _("Accepted"), "data": [row[1] for row in days], "colour": "accepted"},
            {"label": _("Bounced or failed"), "data": [row[2] for row in days], "colour": "bad"},
        ],
    }
    return {
        "drawn": drawn,
        "rows": [row for row in reversed(days) if row[1] or row[2]],
        "accepted": sum(row[1] for row in days),
        "failed": sum(row[2] for row in days),
    }


def fleet(servers: list[attention.Server], now: dt.datetime, user: Person) -> dict[str, Any]:
    """Return the servers whose quota runs out first, each with the use of its current period."""
    periods = {each.server_id: each for each in QuotaPeriod.objects.filter(starts_at__lte=now, ends_at__gt=now)}
    never = dt.datetime.max.replace(tzinfo=dt.UTC)
    ends = {each.key: _runs_out_at(periods.get(each.key), each.quota, now) for each in servers}

    def urgency(server: attention.Server) -> tuple[bool, dt.datetime, float]:
        used = periods[server.key].used if server.key in periods else 0
        return not server.is_active, ends[server.key] or never, -used / server.quota if server.quota else 1

    first = [each.key for each in sorted(servers, key=urgency)[:FLEET_ROWS]]
    found = SmtpServer.objects.in_bulk(first)
    ready = sum(each.is_ready for each in servers)
    total = len(servers)
    return {
        "rows": [_row(found[key], periods.get(key), ends[key], user, now) for key in first if key in found],
        "others": max(0, total - FLEET_ROWS),
        "active": ngettext("%(n)s of %(total)s server active", "%(n)s of %(total)s servers active", total)
        % {"n": f"{ready:,}", "total": f"{total:,}"},
    }


def _runs_out_at(period: QuotaPeriod | None, quota: int | None, now: dt.datetime) -> dt.datetime | None:
    return runs_out_at(period.used, quota, period.starts_at, period.ends_at, now) if period and quota else None


def _row(
    server: SmtpServer, period: QuotaPeriod | None, runs_out: dt.datetime | None, user: Person, now: dt.datetime
) -> dict[str, Any]:
    used = period.used if period else 0
    quota = server.max_per_month or None  # 0 means no limit, like empty.
    percent = min(100, percentage(used, quota)) if quota else None
    is_full = quota is not None and used >= quota - kept_from_campaigns(quota)
    return {
        "name": server.name,
        "state": states.state_of(server, now),
        "used": used,
        "quota": quota,
        "percent": percent,
        "level": "" if percent is None or percent < NEARLY_FULL_PERCENT else "full" if is_full else "nearly",
        "runs_out_at": None if is_full else runs_out,
        "resets_at": period.ends_at if period and is_full else None,
        "link": reverse("admin:smtpservers_smtpserver_change", args=[server.pk])
        if user.has_perm("smtpservers.view_smtpserver")
        else "",
    }


def running(request: HttpRequest) -> list[Any]:
    """Return the first campaigns that are being sent, are paused, or start next, with their numbers."""
    order = {Campaign.Status.SENDING: 0, Campaign.Status.PAUSED: 1, Campaign.Status.SCHEDULED: 2}
    place = Case(*(When(status=status, then=Value(number)) for status, number in order.items()))
    campaigns = admin.site.get_model_admin(Campaign).get_queryset(request).filter(status__in=order, is_overdue=False)
    found: list[Any] = list(campaigns.order_by(place, "starts_at", "pk")[:RUNNING_CAMPAIGNS])
    for campaign in found:
        test = getattr(campaign, "experiment", None)
        if test is not None and test.waits_for_winner:  # Those who wait for it have no message yet.
            campaign.recipient_count = max(campaign.recipient_count, test.expected or 0)
            if test.winner_by == Experiment.WinnerBy.HAND or test.undecided:
                campaign.task = _("Choose a winner")
    return found


def next_steps(user: Person, look: readiness.WorkersSeen, *, is_setting_up: bool = False) -> list[dict[str, str]]:
    """Return the steps before mail can be sent, as far as this user can take them.

    :param is_setting_up: whether the page shows the steps of :mod:`brilliance.web.first_run`, which say the rest.
    """
    steps = []
    if user.has_perm("delivery.release_copy") and look.is_held:
        text = _("This database is a restored copy. Nothing is sent until you say how to continue.")
        steps.append({"text": text, "label": _("View what was in progress"), "link": reverse("delivery:restored")})
    if is_setting_up:
        return steps
    if user.has_perm("smtpservers.add_smtpserver") and not SmtpServer.objects.exists():
        steps.append(_step(_("Connect your first SMTP server."), _("Connect server"), "smtpservers_smtpserver"))
    if user.has_perm("contacts.add_contact") and not Contact.objects.exists():
        steps.append(
            _step(_("Add people to write to, one by one or from a file."), _("Add contact"), "contacts_contact")
        )
    if user.has_perm("campaigns.add_campaign") and not Campaign.objects.exists():
        steps.append(_step(_("Write your first campaign."), _("Write campaign"), "campaigns_campaign"))
    return steps or list(_steps_of_drafts(user)) or _step_beyond_test_inbox(user)


def _step_beyond_test_inbox(user: Person) -> list[dict[str, str]]:
    """Return what follows the first campaigns, while all servers lead to the test inbox."""
    if not user.has_perm("smtpservers.add_smtpserver"):
        return []
    if not all(map(leads_to_test_inbox, SmtpServer.objects.only("host", "port"))):
        return []
    text = _("All mail ends in the Test inbox. Connect a server that reaches real people.")
    return [_step(text, _("Connect server"), "smtpservers_smtpserver")]


def _steps_of_drafts(user: Person) -> Iterator[dict[str, str]]:
    """Yield the next step for a draft: this user's approval, or queueing it."""
    waiting = approvals.waiting(DRAFTS_LOOKED_AT)
    if user.has_perm("campaigns.approve_campaign"):
        for request in waiting:
            if request.requested_by_id != user.pk:
                name = request.campaign.name
                yield {
                    "text": _("“%(name)s” is waiting for your approval.") % {"name": name},
                    "label": _("Review"),
                    "link": reverse("campaigns:review", args=[request.campaign_id]),
                }
                return
    drafts = Campaign.objects.filter(status=Campaign.Status.DRAFT)
    draft = drafts.exclude(pk__in=[request.campaign_id for request in waiting]).first()
    if draft is None:
        return
    obstacles = refusals_known(Written(draft), Fleet(clock.now()))
    if (obstacles or is_sample(draft)) and user.has_perm("campaigns.change_campaign"):
        missing = obstacles[0] if obstacles else _("It still has the template's text.")
        yield {
            "text": _("“%(name)s” isn't finished. %(missing)s") % {"name": draft, "missing": missing},
            "label": _("Continue writing"),
            "link": reverse("admin:campaigns_campaign_change", args=[draft.pk]),
        }
    elif not obstacles and user.has_perm("campaigns.queue_campaign"):
        yield {
            "text": _("“%(name)s” is ready to review.") % {"name": draft},
            "label": _("Review and send"),
            "link": reverse("campaigns:review", args=[draft.pk]),
        }


def _step(text: str, label: str, model: str) -> dict[str, str]:
    return {"text": text, "label": label, "link": reverse(f"admin:{model}_add")}
