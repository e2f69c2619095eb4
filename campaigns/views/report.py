"""The progress page of a campaign, and its buttons: queue, pause, resume, cancel, retry, servers, duplicate."""

import datetime as dt
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from adminpages.access import needs
from campaigns.audience.audience import audience_of
from campaigns.audience.headcounts import NotCounted, headcount
from campaigns.lifecycle import servers as lifecycle_servers
from campaigns.lifecycle import states
from campaigns.models import Campaign, transitions
from campaigns.preflight.question import STALE
from campaigns.reports import charts, pace
from campaigns.reports.cache import remembered
from campaigns.reports.report import Report, report, retriable, unsent
from campaigns.reports.visits import VisitTotal, visit_total
from campaigns.schedule import mailings
from campaigns.tasks import have_counted, ring
from campaigns.views.pages import campaign_or_404, is_outdated, log, page, queued_in_words, written_or_404
from delivery import clock
from delivery.models import Message
from smtpservers.routing.candidates import server_choices
from words.numbers import counted

Status = Campaign.Status
MOST_REASON = 500  # Characters.
SERVERS_CHANGED = gettext_lazy("Someone else changed the servers, so your changes weren't saved. Check and save again.")


def _progress_context(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    may_see_recipients = request.user.has_perm("delivery.view_message")
    now = clock.now()
    with_names = request.user.has_perm("smtpservers.view_smtpserver")
    figures = report(campaign, now, with_replies=may_see_recipients, with_names=with_names)
    return {
        "campaign": campaign,
        "report": figures,
        "visits": visits_so_far(campaign, figures) if figures.total else None,
        "may_see_recipients": may_see_recipients,
        "may_pause": request.user.has_perm("campaigns.pause_campaign"),
        "may_queue": request.user.has_perm("campaigns.queue_campaign"),
        "may_resend": request.user.has_perm("delivery.resend_message"),
        "may_view": request.user.has_perm("campaigns.view_campaign"),
        "may_change": request.user.has_perm("campaigns.change_campaign"),
        "may_add": request.user.has_perm("campaigns.add_campaign"),
        "can_steer": campaign.status in lifecycle_servers.STEERABLE,
        "asks_why_resumed": states.asks_why_resumed(campaign),
        "can_cancel": campaign.status in transitions.before(Status.CANCELLED),
        "expected": None if figures.total else _expected(campaign, now),
    }


def visits_so_far(campaign: Campaign, found: Report) -> VisitTotal:
    """Return the opens and clicks of a campaign so far."""
    mailing_ids = mailings.mailing_ids(campaign)
    accepted = sum(share.count for share in found.statuses if share.key == Message.Status.ACCEPTED)
    key = f"visits-{'-'.join(map(str, mailing_ids))}-{accepted}"
    return remembered(key, lambda: visit_total(campaign, mailing_ids, accepted))


def _expected(campaign: Campaign, now: dt.datetime) -> int | None:
    """Return the number of people that a scheduled campaign would reach now; None for others, and while it counts."""
    if campaign.status != Status.SCHEDULED:
        return None
    try:
        return remembered(f"expected-{campaign.pk}", lambda: headcount(audience_of(campaign), now).reached)
    except NotCounted:
        have_counted(campaign.pk, now)
        return None


@require_GET
@needs("campaigns.view_progress")
def progress(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    context = {**_progress_context(request, campaign), **pace_context(campaign, clock.now())}
    return page(request, "campaigns/progress.html", campaign.name, context)


@require_GET
@needs("campaigns.view_progress")
def progress_json(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    context = _progress_context(request, campaign)
    answer = {
        "summary": context["report"].summary,
        "is_live": context["report"].is_live,
        "now": render_to_string("campaigns/progress_now.html", context, request),
        "figures": render_to_string("campaigns/figures.html", context, request),
        "actions": render_to_string("campaigns/actions.html", context, request),
    }
    if context["report"].test is not None:
        test = {**context, "test": context["report"].test}
        answer["test"] = render_to_string("campaigns/variants_compared.html", test, request)
    if "pace" in request.GET or not context["report"].is_live:
        drawn = pace_context(campaign, clock.now())
        answer["pace"] = drawn["pace_drawn"]
        answer["forecast"] = render_to_string("campaigns/progress_forecast.html", context, request)
        answer["pace_table"] = render_to_string("campaigns/figures_pace.html", drawn, request)
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def pace_context(campaign: Campaign, now: dt.datetime) -> dict[str, Any]:
    """Return the template context of the pace chart and its table."""
    mailing_ids = mailings.mailing_ids(campaign)
    is_live = campaign.status == Status.SENDING
    key = f"pace-{is_live}-{'-'.join(map(str, mailing_ids))}"
    found = remembered(key, lambda: pace.pace(mailing_ids, now, is_live=is_live))
    return {
        "pace": found,
        "pace_drawn": charts.pace_chart(found),
        "pace_rows": [
            (point, list(zip(found.servers, point.accepted, strict=True)))
            for point in reversed(found.points)
            if point.all_accepted or point.deferred
        ],
    }


# --- buttons --------------------------------------------------------------------------------


@require_POST
@needs("campaigns.queue_campaign")
def queue(request: HttpRequest, campaign_id: int) -> HttpResponse:
    written = written_or_404(campaign_id)
    if request.POST.get("seen", "") != written.version and written.campaign.status == Status.DRAFT:
        messages.warning(request, STALE)
        return redirect("campaigns:review", campaign_id)
    if obstacles := states.queue(written, request.user, clock.now(), request.POST.get("shown", "")):
        if campaign_or_404(campaign_id).status != Status.DRAFT:  # The button was pressed twice.
            messages.info(request, _("This campaign was sent or scheduled before. Nothing is sent twice."))
            return redirect("campaigns:progress", campaign_id)
        for obstacle in obstacles:
            messages.error(request, obstacle)
        if request.user.has_perm("campaigns.view_campaign"):
            return redirect("campaigns:review", campaign_id)
    else:
        log(request, written.campaign, "Queued.")
        transaction.on_commit(ring)
        messages.success(request, queued_in_words(written.campaign))
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.pause_campaign")
def pause(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign_or_404(campaign_id)
    if states.pause(campaign_id):
        log(request, campaign_id, "Paused.")
        messages.success(request, _("Campaign paused. Messages already in progress will finish."))
    else:
        messages.warning(request, _("This campaign isn't sending, so there's nothing to pause."))
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.pause_campaign")
def resume(request: HttpRequest, campaign_id: int) -> HttpResponse:
    why = " ".join(request.POST.get("reason", "").split())[:MOST_REASON]
    if states.asks_why_resumed(campaign_or_404(campaign_id)) and not why:
        messages.error(request, _("Say why it's right to go on in spite of the complaints. Nothing is sent yet."))
        return redirect("campaigns:progress", campaign_id)
    if states.resume(campaign_id):
        log(request, campaign_id, f"Resumed: {why}" if why else "Resumed.")
        transaction.on_commit(ring)
        messages.success(request, _("Sending resumed."))
    else:
        messages.warning(request, _("This campaign isn't paused, so there's nothing to resume."))
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.queue_campaign")
def cancel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    left = unsent(campaign_or_404(campaign_id))
    if states.cancel(campaign_id, clock.now()):
        log(request, campaign_id, "Cancelled.")
        transaction.on_commit(ring)
        sentence = ngettext(
            "Campaign cancelled. %(n)s unsent message won't be sent.",
            "Campaign cancelled. %(n)s unsent messages won't be sent.",
            left,
        )
        messages.success(request, sentence % {"n": f"{left:,}"} if left else _("Campaign cancelled."))
    else:
        messages.warning(request, _("This campaign isn't scheduled or sending, so there's nothing to cancel."))
    return redirect("campaigns:progress", campaign_id)


@require_http_methods(["GET", "POST"])
@needs("campaigns.pause_campaign")
def servers(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Choose the servers for the unsent messages."""
    campaign = campaign_or_404(campaign_id)
    choices = server_choices(campaign.server_ids)
    ticked = campaign.server_ids
    problems: list[str] = []
    if request.method == "POST":
        ticked = [pk for pk, _ in choices if str(pk) in request.POST.getlist("servers")]
        seen = request.POST.get("seen")
        if seen is not None and seen != ",".join(map(str, campaign.server_ids)):
            ticked, problems = campaign.server_ids, [str(SERVERS_CHANGED)]
        else:
            problems = lifecycle_servers.change_servers(campaign_id, ticked, clock.now())
        if not problems:
            names = ", ".join(name for pk, name in choices if pk in ticked) or "all that the routing rules allow"
            log(request, campaign_id, f"Changed its servers to {names}.")
            transaction.on_commit(ring)
            messages.success(request, _("Servers changed. Messages not yet in progress use them."))
            return redirect("campaigns:progress", campaign_id)
    context = {
        "campaign": campaign,
        "choices": choices,
        "ticked": ticked,
        "problems": problems,
        "can_steer": campaign.status in lifecycle_servers.STEERABLE,
    }
    status = 400 if problems else 200
    return page(
        request,
        "campaigns/progress_servers.html",
        _("Servers of %(campaign)s") % {"campaign": campaign},
        context,
        status=status,
    )


@require_POST
@needs("delivery.resend_message")
def retry(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    if (failed := retriable(campaign)) and is_outdated(request, campaign, failed):
        return redirect("campaigns:progress", campaign_id)
    count = states.retry_failed(campaign_id, clock.now())
    if count:
        log(request, campaign_id, f"Queued {counted(count, 'failed message')} again.")
        sentence = ngettext("%(n)s message queued again.", "%(n)s messages queued again.", count)
        messages.success(request, sentence % {"n": f"{count:,}"})
    else:
        messages.warning(request, _("This campaign has no failed or expired messages."))
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.add_campaign")
def duplicate(request: HttpRequest, campaign_id: int) -> HttpResponse:
    draft = states.duplicate(campaign_or_404(campaign_id).pk)
    messages.success(
        request, _("Campaign duplicated as “%(name)s”, with the same content and lists.") % {"name": draft}
    )
    return redirect("admin:campaigns_campaign_change", draft.pk)
