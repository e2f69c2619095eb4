"""The preview of a campaign for one person."""

import re
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from adminpages.access import needs
from campaigns.models import Campaign
from campaigns.preflight.checks.message import GMAIL_CLIPS_AT
from campaigns.preflight.preview import build_preview, in_dark_mode, server_for
from campaigns.preflight.refusals import audience
from campaigns.views.pages import campaign_or_404, page
from contacts.models import Contact
from mail.addresses import normalise
from smtpservers.models import SmtpServer
from words.texts import translated

NOBODY = "nobody"  # Instead of a contact's id: a reader without a name.
FOUND_CONTACTS = 8
NO_SERVER = gettext_lazy("No SMTP servers yet. Ask an administrator to add one: its settings are part of each message.")
# Mail content runs no scripts and asks no other host: it may show this site's own pictures alone.
FRAME_POLICY = (
    f"sandbox; default-src 'none'; img-src 'self' data: {settings.BASE_URL}/media/;"
    " style-src 'unsafe-inline'; font-src data:;"
    " frame-ancestors 'self'"
)
# Beside the editor the preview keeps its scroll position when it reloads, which requires our own origin. Without
# scripts it cannot misuse that.
_SCRIPT = re.compile(r"<script\b.*?(?:</script\s*>|\Z)", re.IGNORECASE | re.DOTALL)
BESIDE_POLICY = FRAME_POLICY.replace("sandbox", "sandbox allow-same-origin", 1)


def chosen_contact(request: HttpRequest, campaign: Campaign) -> Contact | None:
    """Return the chosen contact, or the first one of the audience; None for users who may not see contacts."""
    chosen = request.POST.get("contact", "") or request.GET.get("contact", "")
    if chosen == NOBODY or not request.user.has_perm("contacts.view_contact"):
        return None
    if chosen.isdecimal() and len(chosen) < 19:
        return Contact.objects.filter(pk=int(chosen)).first()
    return audience(campaign, timezone.now()).order_by("pk").first()


def _preview_context(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """Return the template context of a preview: with ``look``, or with ``problem`` if there is no preview."""
    now = timezone.now()
    contact = chosen_contact(request, campaign)
    server = server_for(campaign, request.POST.get("server", "") or request.GET.get("server", ""), now)
    chosen = {"contact": contact.pk if contact else NOBODY, "server": server.pk if server else ""}
    context: dict[str, Any] = {
        "campaign": campaign,
        "contact": contact,
        "server": server,
        "servers": SmtpServer.objects.order_by("display_order", "name").values_list("pk", "name"),
        "chosen": urlencode(chosen),
        "clips_at": GMAIL_CLIPS_AT,
        "may_choose": request.user.has_perm("contacts.view_contact"),
    }
    if server is None:
        return {**context, "problem": NO_SERVER}
    try:
        seen = build_preview(campaign, contact, server, now)
    except ValueError as error:
        return {**context, "problem": translated(error)}
    share = min(seen.bytes * 100 // GMAIL_CLIPS_AT, 100)
    return {**context, "look": seen, "share": share, "is_clipped": seen.bytes > GMAIL_CLIPS_AT}


def _found(request: HttpRequest, sought: str) -> Any:
    if not sought or not request.user.has_perm("contacts.view_contact"):
        return []
    words = (
        Q(email_key__contains=normalise(sought).lower())
        | Q(first_name__icontains=sought)
        | Q(last_name__icontains=sought)
    )
    return Contact.objects.filter(words)[:FOUND_CONTACTS]


@require_GET
@needs("campaigns.view_campaign")
def preview(request: HttpRequest, campaign_id: int) -> HttpResponse:
    return preview_page(request, campaign_or_404(campaign_id), getattr(request.user, "email", ""))


def preview_page(request: HttpRequest, campaign: Campaign, recipient: str, status: int = 200) -> HttpResponse:
    """Return the page of the preview.

    :param recipient: the address in the form for a test.
    """
    sought = request.GET.get("q", "").strip()[:320]
    context = {
        **_preview_context(request, campaign),
        "sought": sought,
        "found": _found(request, sought),
        "may_test": request.user.has_perm("campaigns.queue_campaign"),
        "recipient": recipient,
    }
    return page(
        request, "campaigns/preview.html", _("Preview of %(campaign)s") % {"campaign": campaign}, context, status
    )


@require_GET
@needs("campaigns.view_campaign")
def preview_beside(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Render the part below the preview beside the editor: subject, problems, size, links, text and source."""
    context = {**_preview_context(request, campaign_or_404(campaign_id)), "is_beside": True}
    answer = render(request, "campaigns/look.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


@require_GET
@needs("campaigns.view_campaign")
def find_contact(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Find contacts for the preview, for the search field beside the editor."""
    found = _found(request, request.GET.get("q", "").strip()[:320])
    return JsonResponse({"found": [{"id": str(one.pk), "email": one.email, "name": one.full_name} for one in found]})


@require_GET
@needs("campaigns.view_campaign")
def preview_html(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Answer with the HTML as the recipient's mail program gets it, for the frame in the preview."""
    context = _preview_context(request, campaign_or_404(campaign_id))
    html = ""
    if seen := context.get("look"):  # Without a preview, the page around the frame names the problem.
        html = in_dark_mode(seen) if "dark" in request.GET else seen.html
    policy = FRAME_POLICY
    if "beside" in request.GET:
        policy = BESIDE_POLICY
        html = _SCRIPT.sub("", html)  # No mail program runs scripts, and the browser would log an error per keystroke.
    return HttpResponse(html, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})
