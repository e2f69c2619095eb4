"""The recipients of a campaign, one by one, and sending to one of them again."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from campaigns import queueing
from campaigns.models import Campaign
from campaigns.reporting import EXPLANATIONS
from campaigns.views.pages import campaign_or_404, needs, page
from delivery import accounting
from delivery.models import Message
from smtpservers.models import SmtpServer

RECIPIENTS_PER_PAGE = 50


@require_GET
@needs("delivery.view_message")
def recipients(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
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
    shown = paginator.get_page(request.GET.get("page"))
    accounting.show_claimed(shown.object_list)
    context = {
        "campaign": campaign,
        "rows": shown,
        "statuses": Message.Status.choices,
        "servers": servers,
        "status": status,
        "server": server,
        "sought": sought,
        "query": query.urlencode(),
    }
    return page(request, "campaigns/recipients.html", f"Recipients of {campaign}", context)


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
    return page(request, "campaigns/recipient.html", "Recipient", context)


@require_POST
@needs("delivery.resend_message")
def resend(request: HttpRequest, message_id: int) -> HttpResponse:
    message = get_object_or_404(Message, pk=message_id)
    if queueing.resend(message_id, message.mailing_id, timezone.now()):
        messages.success(request, "The message was queued again.")
    else:
        messages.warning(request, "The message cannot be sent again: it did not fail, or its mailing was cancelled.")
    return redirect("campaigns:recipient", message_id)
