"""The pages of a campaign on its way: preview, test, progress, recipients, and the buttons between them.

Thin: they check the permission, call one use case with ids and the time, and show what came back.
"""

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from campaigns import queueing
from campaigns.checking import audience
from campaigns.forms import TestForm
from campaigns.models import Campaign
from campaigns.reporting import EXPLANATIONS, report
from campaigns.tasks import ring
from contacts.models import Contact
from delivery import accounting, testing
from delivery.composing import preview as compose_preview
from delivery.models import Message
from mail.composing import Rendered
from smtpservers import routes
from smtpservers.models import SmtpServer
from smtpservers.selection import choose, fleet

View = Callable[..., HttpResponse]
FOUND_CONTACTS = 8
RECIPIENTS_PER_PAGE = 50
MESSAGE_STEPS = ("MAIL", "RCPT", "DATA", "message")  # Of a test's conversation: what concerns the message itself.
NO_SERVER = "There is no SMTP server yet, and its settings shape the mail. Ask an administrator to add one."
# Mail content runs nothing and reaches nothing of ours; it may show its pictures.
FRAME_POLICY = (
    "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; font-src https: data:;"
    " frame-ancestors 'self'"
)


def needs(permission: str) -> Callable[[View], View]:
    """Send strangers to the sign-in page, and refuse people without the permission."""

    def decorate(view: View) -> View:
        return login_required(permission_required(permission, raise_exception=True)(view))

    return decorate


def _page(request: HttpRequest, template: str, title: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Answer with a page in the frame of the admin."""
    site = admin.site.each_context(request)
    return render(request, template, {**site, "title": title, **context}, status=status)


def _campaign(campaign_id: int) -> Campaign:
    return get_object_or_404(Campaign.objects.select_related("mailing", "queued_by"), pk=campaign_id)


def _log(request: HttpRequest, campaign_id: int, what: str) -> None:
    """Keep in the campaign's history who did what."""
    assert request.user.pk is not None
    LogEntry.objects.log_actions(
        request.user.pk, Campaign.objects.filter(pk=campaign_id), CHANGE, what, single_object=True
    )


# --- progress -------------------------------------------------------------------------------


def _progress_context(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    may_see_recipients = request.user.has_perm("delivery.view_message")
    figures = report(campaign, timezone.now(), with_replies=may_see_recipients)
    status = Campaign.Status
    return {
        "campaign": campaign,
        "report": figures,
        "time_left": _in_words(figures.remaining),
        "may_see_recipients": may_see_recipients,
        "may_pause": request.user.has_perm("campaigns.pause_campaign"),
        "may_queue": request.user.has_perm("campaigns.queue_campaign"),
        "may_resend": request.user.has_perm("delivery.resend_message"),
        "may_view": request.user.has_perm("campaigns.view_campaign"),
        "may_add": request.user.has_perm("campaigns.add_campaign"),
        "can_cancel": campaign.status in (status.SCHEDULED, status.SENDING, status.PAUSED),
    }


@require_GET
@needs("campaigns.view_progress")
def progress(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = _campaign(campaign_id)
    return _page(request, "campaigns/progress.html", campaign.name, _progress_context(request, campaign))


@require_GET
@needs("campaigns.view_progress")
def progress_json(request: HttpRequest, campaign_id: int) -> HttpResponse:
    context = _progress_context(request, _campaign(campaign_id))
    return JsonResponse(
        {
            "summary": context["report"].summary,
            "is_live": context["report"].is_live,
            "figures": render_to_string("campaigns/figures.html", context, request),
            "actions": render_to_string("campaigns/actions.html", context, request),
        },
        headers={"Cache-Control": "no-store"},
    )


def _in_words(duration: dt.timedelta | None) -> str:
    """Return a duration as people say it, no finer than it is known."""
    if duration is None:
        return ""
    seconds = int(duration.total_seconds())
    if seconds < 60:
        return "less than a minute"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"


# --- buttons --------------------------------------------------------------------------------


@require_POST
@needs("campaigns.queue_campaign")
def queue(request: HttpRequest, campaign_id: int) -> HttpResponse:
    _campaign(campaign_id)
    if obstacles := queueing.queue_campaign(campaign_id, request.user, timezone.now()):
        for obstacle in obstacles:
            messages.error(request, obstacle)
    else:
        _log(request, campaign_id, "Queued.")
        transaction.on_commit(ring)
        messages.success(request, "The campaign was queued. It starts within seconds.")
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.pause_campaign")
def pause(request: HttpRequest, campaign_id: int) -> HttpResponse:
    _campaign(campaign_id)
    if queueing.pause(campaign_id):
        _log(request, campaign_id, "Paused.")
        messages.success(request, "The campaign is paused. What is on the line still gets its answer.")
    else:
        messages.warning(request, "The campaign is not being sent, so there is nothing to pause.")
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.pause_campaign")
def resume(request: HttpRequest, campaign_id: int) -> HttpResponse:
    _campaign(campaign_id)
    if queueing.resume(campaign_id):
        _log(request, campaign_id, "Resumed.")
        transaction.on_commit(ring)
        messages.success(request, "The campaign goes on.")
    else:
        messages.warning(request, "The campaign is not paused, so there is nothing to resume.")
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.queue_campaign")
def cancel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    _campaign(campaign_id)
    if queueing.cancel(campaign_id, timezone.now()):
        _log(request, campaign_id, "Cancelled.")
        transaction.on_commit(ring)
        messages.success(request, "The campaign was cancelled. What had not left never will.")
    else:
        messages.warning(request, "The campaign is not on its way, so there is nothing to cancel.")
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("delivery.resend_message")
def retry(request: HttpRequest, campaign_id: int) -> HttpResponse:
    _campaign(campaign_id)
    count = queueing.retry_failed(campaign_id, timezone.now())
    if count:
        _log(request, campaign_id, f"Queued {count} failed messages again.")
        messages.success(request, f"{count:,} messages were queued again.")
    else:
        messages.warning(request, "No message of this campaign has failed or expired.")
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.add_campaign")
def duplicate(request: HttpRequest, campaign_id: int) -> HttpResponse:
    draft = queueing.duplicate(_campaign(campaign_id).pk)
    messages.success(request, f"“{draft}” is a new draft with the same content and lists. Change what you like.")
    return redirect("admin:campaigns_campaign_change", draft.pk)


# --- preview and test -----------------------------------------------------------------------


def _server_for(campaign: Campaign) -> SmtpServer | None:
    """Return the server that would be asked first now, or any; only none at all gives None."""
    now = timezone.now()
    rule = routes.applying(routes.rules(), campaign.mail_from)[-1]  # That of recipients no rule names.
    choice = choose(fleet(now), now, rule=rule, mail_from=campaign.mail_from, named=campaign.server_ids).server
    if choice is not None:
        return SmtpServer.objects.get(pk=choice.server_id)
    return SmtpServer.objects.order_by("-is_active", "display_order").first()


def _preview_contact(request: HttpRequest, campaign: Campaign) -> Contact | None:
    """Return the chosen contact, or the first of the audience; none for people who may not see contacts."""
    if not request.user.has_perm("contacts.view_contact"):
        return None
    chosen = request.POST.get("contact", "") or request.GET.get("contact", "")
    if chosen.isdecimal():
        return Contact.objects.filter(pk=int(chosen)).first()
    return audience(campaign).order_by("pk").first()


def _rendered(campaign: Campaign, contact: Contact | None, server: SmtpServer) -> Rendered:
    """:raises ValueError: naming what is wrong with the content."""
    content = queueing.frozen_content(campaign)
    for name in ("name", "lists", "reply_to", "sends_copies"):  # What a reader does not see.
        del content[name]
    return compose_preview(**content, contact=contact, server=server, now=timezone.now())


@require_GET
@needs("campaigns.view_campaign")
def preview(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = _campaign(campaign_id)
    contact = _preview_contact(request, campaign)
    server = _server_for(campaign)
    sought = request.GET.get("q", "").strip()[:320]
    may_choose = request.user.has_perm("contacts.view_contact")
    context: dict[str, Any] = {
        "campaign": campaign,
        "contact": contact,
        "server": server,
        "sought": sought,
        "found": Contact.objects.filter(email_key__contains=sought.lower())[:FOUND_CONTACTS]
        if sought and may_choose
        else [],
        "may_choose": may_choose,
        "may_test": request.user.has_perm("campaigns.queue_campaign"),
        "recipient": getattr(request.user, "email", ""),
    }
    if server is None:
        context["problem"] = NO_SERVER
    else:
        try:
            context["rendered"] = _rendered(campaign, contact, server)
        except ValueError as error:
            context["problem"] = str(error)
    return _page(request, "campaigns/preview.html", f"Preview of {campaign}", context)


@require_GET
@needs("campaigns.view_campaign")
def preview_html(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The HTML as the recipient's mail program gets it; only for the frame in the preview."""
    campaign = _campaign(campaign_id)
    server = _server_for(campaign)
    html = ""
    if server is not None:
        with suppress(ValueError):  # The page around the frame names it.
            html = _rendered(campaign, _preview_contact(request, campaign), server).html
    return HttpResponse(html, headers={"Content-Security-Policy": FRAME_POLICY, "Cache-Control": "no-store"})


@require_POST
@needs("campaigns.queue_campaign")
def send_test(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Send the campaign's content to one address at once, with the merge values of the previewed contact."""
    campaign = _campaign(campaign_id)
    form = TestForm(request.POST)
    server = _server_for(campaign)
    if not form.is_valid():
        messages.error(request, str(form.errors["recipient"][0]))
        return redirect("campaigns:preview", campaign_id)
    if server is None:
        messages.error(request, NO_SERVER)
        return redirect("campaigns:preview", campaign_id)
    try:
        conversation = testing.send_test(
            server_id=server.pk,
            recipient=form.cleaned_data["recipient"],
            actor=request.user,
            now=timezone.now(),
            content=testing.Content(**queueing.frozen_content(campaign)),
            contact=_preview_contact(request, campaign),
        )
    except testing.TestRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("campaigns:preview", campaign_id)
    context = {
        "campaign": campaign,
        "conversation": conversation,
        # Hosts, certificates and log-ins belong to those who look after the servers.
        "may_see_server": request.user.has_perm("smtpservers.send_test"),
        "message_steps": MESSAGE_STEPS,
        "reached_message": any(shown.step.name in MESSAGE_STEPS for shown in conversation.steps),
    }
    return _page(request, "campaigns/test_result.html", f"Test of {campaign}", context)


# --- recipients -----------------------------------------------------------------------------


@require_GET
@needs("delivery.view_message")
def recipients(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = _campaign(campaign_id)
    status, server, sought = (request.GET.get(name, "").strip() for name in ("status", "server", "q"))
    rows = Message.objects.filter(mailing=campaign.mailing_id, copy_of=None).select_related("server").order_by("pk")
    if campaign.mailing_id is None:
        rows = rows.none()
    if status in Message.Status.values:
        rows = accounting.of_status(rows, status)
    servers = SmtpServer.objects.order_by("display_order").values_list("pk", "name")
    if server.isdecimal():
        rows = rows.filter(server=int(server)) if server in {str(pk) for pk, _ in servers} else rows.none()
    if sought:
        rows = rows.filter(email_key__contains=sought.lower())
    query = request.GET.copy()
    query.pop("page", None)
    paginator = Paginator(rows, RECIPIENTS_PER_PAGE)
    if campaign.mailing_id is not None and not server and not sought:
        # Known already: counting a million rows takes a while.
        counts = accounting.counts(campaign.mailing_id)
        paginator.count = counts[status] if status in counts else sum(counts.values())
    page = paginator.get_page(request.GET.get("page"))
    accounting.show_claimed(page.object_list)
    context = {
        "campaign": campaign,
        "rows": page,
        "statuses": Message.Status.choices,
        "servers": servers,
        "status": status,
        "server": server,
        "sought": sought,
        "query": query.urlencode(),
    }
    return _page(request, "campaigns/recipients.html", f"Recipients of {campaign}", context)


@require_GET
@needs("delivery.view_message")
def recipient(request: HttpRequest, message_id: int) -> HttpResponse:
    message = get_object_or_404(Message.objects.select_related("mailing", "contact", "server"), pk=message_id)
    accounting.show_claimed([message])
    again = (Message.Status.UNCONFIRMED, Message.Status.FAILED, Message.Status.EXPIRED)
    context = {
        "message": message,
        "campaign": Campaign.objects.filter(mailing=message.mailing_id).first(),
        "attempts": accounting.attempts(message),
        "copies": message.copies.order_by("pk"),
        "explanation": EXPLANATIONS[Message.Status(message.status)],
        "can_resend": message.status in again
        and message.mailing.state != "cancelled"
        and request.user.has_perm("delivery.resend_message"),
    }
    return _page(request, "campaigns/recipient.html", "Recipient", context)


@require_POST
@needs("delivery.resend_message")
def resend(request: HttpRequest, message_id: int) -> HttpResponse:
    message = get_object_or_404(Message, pk=message_id)
    if queueing.resend(message_id, message.mailing_id, timezone.now()):
        messages.success(request, "The message was queued again.")
    else:
        messages.warning(request, "The message cannot be sent again: it did not fail, or its mailing was cancelled.")
    return redirect("campaigns:recipient", message_id)
