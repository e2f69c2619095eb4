"""Who clicked a link of a campaign, a page at a time, as far as people agreed to be counted by name."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages.access import needs
from campaigns.reports.recipients import MOST_COUNTED
from campaigns.reports.visits import visit_total
from campaigns.schedule import mailings
from campaigns.views.pages import campaign_or_404, page
from campaigns.views.reports.recipients import RECIPIENTS_PER_PAGE
from delivery.models import TrackedLink
from delivery.records.visits import link_clicks
from mail.visits.names import VISITOR_TITLES


@require_GET
@needs("delivery.view_message")
def who_clicked(request: HttpRequest, campaign_id: int, link_id: int) -> HttpResponse:
    """List the recipients who clicked a link, with the time and who it was: they themselves, or a program."""
    campaign = campaign_or_404(campaign_id)
    link = get_object_or_404(TrackedLink, pk=link_id, mailing__in=mailings.mailing_ids(campaign))
    visits = visit_total(campaign, [link.mailing_id], 0)
    pages = Paginator(link_clicks(link.pk)[:MOST_COUNTED], RECIPIENTS_PER_PAGE)
    titles = {visitor.value: title for visitor, title in VISITOR_TITLES.items()}
    found = pages.get_page(request.GET.get("page"))
    context = {
        "campaign": campaign,
        "link": link,
        "visits": visits,
        "found": found,
        "rows": [(row, titles.get(row.visitor, row.visitor)) for row in found],
        "is_cut": pages.count == MOST_COUNTED,
        "most": MOST_COUNTED,
    }
    if link.is_in_text:
        title = _("Who clicked text link %(number)s of %(campaign)s")
    else:
        title = _("Who clicked link %(number)s of %(campaign)s")
    title %= {"number": link.position, "campaign": campaign}
    return page(request, "campaigns/link_clicks.html", title, context)
