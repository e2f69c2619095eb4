"""The click map of a campaign: its links as a list, on the mail itself, and as CSV."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages.access import needs
from campaigns.models import Campaign, Variant
from campaigns.preflight.preview import server_for
from campaigns.reports.click_map import MappedLink, mapped_links, marked_html, write_csv
from campaigns.reports.visits import VisitTotal, visit_total
from campaigns.schedule import mailings
from campaigns.views.pages import campaign_or_404, page
from campaigns.views.preview import FRAME_POLICY
from campaigns.views.reports.periods import csv_file
from delivery.models import Mailing, TrackedLink
from smtpservers.models import SmtpServer
from words.texts import translated


@dataclass(frozen=True, slots=True)
class _Map:
    """What was asked for: one mailing of a campaign, and its links."""

    mailing: Mailing
    choices: list[tuple[int, str]]  # The mailings of an A/B test: id and letter.
    server: SmtpServer | None  # None: there is none, or the content can't be made into a message.
    links: list[MappedLink]


def _map(request: HttpRequest, campaign: Campaign) -> _Map | None:
    """Return the chosen mailing with its links, or the first one's; None before anything is sent."""
    ids = mailings.mailing_ids(campaign)
    if not ids:
        return None
    wanted = request.GET.get("mailing", "")
    chosen = int(wanted) if wanted.isdecimal() and len(wanted) < 19 and int(wanted) in ids else ids[0]
    samples = Variant.objects.filter(experiment__campaign=campaign.pk, mailing__isnull=False).order_by("position")
    letters = {variant.mailing_id: str(variant) for variant in samples}
    choices = [(pk, letters.get(pk, _("Everyone else"))) for pk in ids] if len(ids) > 1 else []
    mailing = Mailing.objects.get(pk=chosen)
    server = server_for(campaign, "", timezone.now())
    try:
        return _Map(mailing, choices, server, mapped_links(mailing, server))
    except ValueError:
        return _Map(mailing, choices, None, mapped_links(mailing, None))


@require_GET
@needs("campaigns.view_progress")
def click_map(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show how often each link of a campaign was clicked."""
    campaign = campaign_or_404(campaign_id)
    found = _map(request, campaign)
    visits = visit_total(campaign, [found.mailing.pk], 0) if found is not None else VisitTotal("off")
    links = found.links if found is not None else []
    context = {
        "campaign": campaign,
        "found": found,
        "visits": visits,
        "html_links": [link for link in links if link.part == TrackedLink.Part.HTML],
        "text_links": [link for link in links if link.part == TrackedLink.Part.TEXT],
        "may_see_people": request.user.has_perm("delivery.view_message"),
        "may_see_content": request.user.has_perm("campaigns.view_campaign"),
    }
    return page(request, "campaigns/click_map.html", _("Click map of %(campaign)s") % {"campaign": campaign}, context)


@require_GET
@needs("campaigns.view_campaign")
def click_map_html(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Answer with the mail and its badges, for the frame in the click map."""
    found = _map(request, campaign_or_404(campaign_id))
    html = ""
    if found is not None and found.server is not None:
        try:
            html = marked_html(found.mailing, found.links, found.server)
        except ValueError as error:  # The page around the frame has the links as a list.
            html = format_html("<p>{} {}</p>", _("Couldn't show the mail."), translated(error))
    return HttpResponse(html, headers={"Content-Security-Policy": FRAME_POLICY, "Cache-Control": "no-store"})


@require_GET
@needs("campaigns.view_progress")
def links_csv(request: HttpRequest, campaign_id: int) -> HttpResponseBase:
    """Answer with the links and their clicks as CSV. It contains no personal data."""
    campaign = campaign_or_404(campaign_id)
    found = _map(request, campaign)
    return csv_file(write_csv(found.links if found is not None else []), f"campaign-{campaign.pk}-links")
