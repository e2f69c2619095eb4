"""How a campaign looks to one person, and a test of it."""

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from campaigns import queueing
from campaigns.checking import audience
from campaigns.content import ContentInvalid
from campaigns.forms import TestForm
from campaigns.models import Campaign
from campaigns.views.pages import campaign_or_404, needs, page
from contacts.models import Contact
from delivery import testing
from delivery.composing import preview as compose_preview
from mail.composing import Rendered
from smtpservers import routes
from smtpservers.models import SmtpServer
from smtpservers.selection import choose, fleet

FOUND_CONTACTS = 8
MESSAGE_STEPS = ("MAIL", "RCPT", "DATA", "message")  # Of a test's conversation: what concerns the message itself.
NO_SERVER = "There is no SMTP server yet, and its settings shape the mail. Ask an administrator to add one."
# Mail content runs nothing and reaches nothing of ours; it may show its pictures.
FRAME_POLICY = (
    "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; font-src https: data:;"
    " frame-ancestors 'self'"
)


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
    return audience(campaign, timezone.now()).order_by("pk").first()


def _rendered(campaign: Campaign, contact: Contact | None, server: SmtpServer) -> Rendered:
    """:raises ValueError: naming what is wrong with the content."""
    content = queueing.frozen_content(campaign)
    for name in ("name", "lists", "reply_to", "sends_copies", "files"):  # What a reader does not see.
        del content[name]
    return compose_preview(**content, contact=contact, server=server, now=timezone.now())


@require_GET
@needs("campaigns.view_campaign")
def preview(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
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
    return page(request, "campaigns/preview.html", f"Preview of {campaign}", context)


@require_GET
@needs("campaigns.view_campaign")
def preview_html(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """The HTML as the recipient's mail program gets it; only for the frame in the preview."""
    campaign = campaign_or_404(campaign_id)
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
    campaign = campaign_or_404(campaign_id)
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
    except (testing.TestRefused, ContentInvalid) as refusal:
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
    return page(request, "campaigns/test_result.html", f"Test of {campaign}", context)
