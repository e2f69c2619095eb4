"""The review page of a draft and its buttons, and the answers to a missed start."""

import datetime as dt
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from adminpages import deadlines
from adminpages.access import needs
from campaigns.ab_test import winner
from campaigns.audience import allowances
from campaigns.audience.audience import audience_of, names_of
from campaigns.audience.headcounts import NotCounted, headcount
from campaigns.content.written import Written
from campaigns.forecast.words import late_in_words, words
from campaigns.forms.review import ScheduleForm, SendTestsForm
from campaigns.lifecycle import approvals
from campaigns.models import Approval, Campaign
from campaigns.preflight import inquiry
from campaigns.preflight.checks import visits
from campaigns.preflight.checks.routes import carried, routes_of
from campaigns.preflight.finding import CHECKS, Severity, by_weight
from campaigns.preflight.preview import sample_subject
from campaigns.preflight.review import review as look
from campaigns.schedule import schedule as campaign_schedule
from campaigns.tasks import ring
from campaigns.views.pages import COUNTING_SECONDS, campaign_or_404, held_in_words, is_outdated, log, page
from campaigns.views.pending import waits_for_numbers
from delivery import clock
from smtpservers.routing.fleet import Fleet
from words.instants import stamp
from words.time_zones import place

Status = Campaign.Status


@require_GET
@needs("campaigns.view_campaign")
@waits_for_numbers
def review(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    if campaign.status != Status.DRAFT:
        return redirect("campaigns:progress", campaign_id)
    return review_page(request, campaign)


def review_page(request: HttpRequest, campaign: Campaign, status: int = 200, **forms: Form) -> HttpResponse:
    """Return the review page.

    :param forms: a form with errors, by its name in the template.
    """
    context = _context(request, campaign) | forms
    for form in forms.values():
        # The browser shows the first wrong field, which is far below the top of the page.
        if wrong := next((name for name in form.errors if name in form.fields), None):
            form.fields[wrong].widget.attrs["autofocus"] = True
    title = _("Review of %(campaign)s") % {"campaign": campaign}
    return page(request, "campaigns/review.html", title, context, status)


def _context(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    now = clock.now()
    deadlines.extend(COUNTING_SECONDS)
    found = look(campaign, now)
    experiment = found.written.experiment
    standing = approvals.standing(found.written, found.people.reached)
    unanswered = approvals.unanswered(found)
    overridden = approvals.overrides(found.written)
    if any(finding.check_id == "S0" for finding in found.findings):
        inquiry.want_sessions(found.routes, now)
    return {
        "campaign": campaign,
        "audience": names_of(campaign),
        "experiment": experiment,
        "winner_plan": _winner_plan(found.written, found.people.reached),
        "variants": [(letter, sample_subject(varied.subject)) for letter, varied in found.written.contents if letter],
        "review": found,
        "counting": visits.in_words(
            found.written.tracking, is_text_only=found.written.is_text_only, in_text=campaign.track_text
        ),
        "weights": by_weight(found.findings, overridden),
        "is_asking": inquiry.is_under_way(found.routes, now),
        "forecast": words(found.forecast, timezone.get_current_timezone()),
        "counted_at": found.written.headcounts.counted_at(),
        "starts": _starts(found.written, now),
        "hours": campaign_schedule.hours_of(campaign),
        "schedule_form": ScheduleForm.of(campaign, now),
        "tests_form": SendTestsForm(initial={"recipients": getattr(request.user, "email", "")}),
        "overrides": overridden,
        "standing": standing,
        "tolerance": allowances.rule(),
        "unanswered": unanswered,
        "overridable": {each.check_id: each for each in unanswered if each.severity == Severity.BLOCK},
        "late": late_in_words(found.forecast, timezone.get_current_timezone()),
        "warnings": sum(finding.severity == Severity.WARN for finding in found.findings),
        "is_ready": not unanswered and standing.is_met,
        "may_queue": request.user.has_perm("campaigns.queue_campaign"),
        "may_change": request.user.has_perm("campaigns.change_campaign"),
        "may_override": request.user.has_perm("campaigns.override_check"),
        "may_approve": request.user.has_perm("campaigns.approve_campaign"),
        "is_requester": standing.latest is not None and standing.latest.requested_by_id == request.user.pk,
        "may_see_people": request.user.has_perm("contacts.view_contact"),
    }


def _winner_plan(written: Written, people: int) -> str:
    """Return who chooses the winner of the A/B test, and when; empty without one."""
    if written.experiment is None:
        return ""
    return winner.plan(written.experiment, written.counting, len(written.variants), people)


def _starts(written: Written, now: dt.datetime) -> str:
    """Return a sentence about the start of the campaign."""
    campaign = written.campaign
    begins = campaign_schedule.begins_at(campaign, now, written.headcounts)
    zone = campaign_schedule.zone_for(campaign)
    wall = campaign_schedule.wall_of(campaign)
    if campaign.start == Campaign.Start.LOCAL and wall is not None:
        sentence = _("Sends at %(time)s in each recipient's time zone (%(zone)s if unknown).")
        return sentence % {"time": campaign_schedule.wall_in_words(campaign, now), "zone": place(str(zone)) or zone}
    if begins <= now:
        return held_in_words(now) or _("Sends right away.")
    return _("Sends at %(time)s (%(zone)s).") % {"time": stamp(begins, now, zone), "zone": place(str(zone)) or zone}


@require_POST
@needs("campaigns.change_campaign")
@waits_for_numbers
def schedule(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    form = ScheduleForm.of(campaign, clock.now(), request.POST)
    if not form.is_valid():
        return review_page(request, campaign, 422, schedule_form=form)
    overridden = approvals.overrides(Written(campaign))
    if problems := campaign_schedule.set_schedule(campaign_id, form.schedule(), clock.now()):
        for problem in problems:
            messages.error(request, problem)
    else:
        log(request, campaign_id, "Changed when it is sent.")
        messages.success(request, _("Schedule saved."))
        left = approvals.overrides(Written(campaign_or_404(campaign_id)))
        if ended := [f"{CHECKS[check].title} ({check})" for check in overridden if check not in left]:
            said = _("The schedule changed, so these checks count again: %(checks)s. Override them again if needed.")
            messages.warning(request, said % {"checks": ", ".join(ended)})
    return redirect("campaigns:review", campaign_id)


@require_POST
@needs("campaigns.override_check")
@waits_for_numbers
def override(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign_or_404(campaign_id)
    check_id, reason = request.POST.get("check", "")[:16], request.POST.get("reason", "")
    problem = approvals.override(campaign_id, check_id, reason, request.user, clock.now())
    if problem:
        messages.error(request, problem)
    else:
        log(request, campaign_id, f"Overrode check {check_id}: {reason.strip()[:500]}")
        messages.success(request, _("Check overridden. Any edit turns it back on."))
    return redirect("campaigns:review", campaign_id)


@require_POST
@needs("campaigns.queue_campaign")
def ask_again(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Have a worker ask DNS and the servers that this campaign would use."""
    written, fleet = Written(campaign_or_404(campaign_id)), Fleet(clock.now())
    inquiry.ask_again(routes_of(carried(written, fleet)), fleet.now)
    messages.success(request, _("DNS and servers are being asked. Open this page again in a minute."))
    return redirect("campaigns:review", campaign_id)


@require_POST
@needs("campaigns.queue_campaign")
def ask_approval(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign_or_404(campaign_id)
    note = request.POST.get("note", "")
    if problem := approvals.ask_for(campaign_id, note, request.user, clock.now()):
        messages.error(request, problem)
    else:
        log(request, campaign_id, f"Asked for approval. {note.strip()[:500]}".strip())
        messages.success(request, _("Approval requested. Ask a colleague to open this page."))
    return redirect("campaigns:review", campaign_id)


@require_POST
@needs("campaigns.approve_campaign")
def decide(request: HttpRequest, approval_id: int) -> HttpResponse:
    approval = get_object_or_404(Approval, pk=approval_id)
    is_approved, note = request.POST.get("decision") == "approve", request.POST.get("note", "")
    seen = request.POST.get("people", "")
    people = int(seen) if seen.isdecimal() and len(seen) < 10 else None
    try:
        problem = approvals.decide(approval_id, is_approved, note, request.user, clock.now(), people)
    except NotCounted:
        problem = _("The recipients weren't counted yet. Check the numbers on this page, then decide.")
    if problem:
        messages.error(request, problem)
    else:
        said = "Approved." if is_approved else "Rejected."
        log(request, approval.campaign_id, f"{said} {note.strip()[:500]}".strip())
        messages.success(request, _("Campaign approved.") if is_approved else _("Campaign rejected."))
    return redirect("campaigns:review", approval.campaign_id)


# --- a start that was missed


@require_POST
@needs("campaigns.queue_campaign")
def start_anyway(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign, now = campaign_or_404(campaign_id), clock.now()
    if campaign.is_overdue:
        try:
            people = headcount(audience_of(campaign), now).reached
        except NotCounted:
            people = None
        if is_outdated(request, campaign, people):
            return redirect("campaigns:progress", campaign_id)
    if problems := campaign_schedule.start_anyway(campaign_id, now):
        for problem in problems:
            messages.error(request, problem)
    else:
        log(request, campaign_id, "Started although it was late.")
        transaction.on_commit(ring)
        messages.success(request, f"{_('Campaign queued.')} {held_in_words(clock.now())}".strip())
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.queue_campaign")
def take_back(request: HttpRequest, campaign_id: int) -> HttpResponse:
    if campaign_or_404(campaign_id).status == Campaign.Status.DRAFT:
        messages.info(request, _("This campaign is already a draft."))
        return redirect("campaigns:review", campaign_id)
    if campaign_schedule.take_back(campaign_id):
        log(request, campaign_id, "Made a draft again.")
        messages.success(request, _("Campaign is back to draft. Nothing has been sent."))
        return redirect("campaigns:review", campaign_id)
    messages.warning(request, _("The campaign has already started, so it can't go back to draft."))
    return redirect("campaigns:progress", campaign_id)
