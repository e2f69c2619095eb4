"""The answer of a page while a worker counts its numbers. The browser then reloads until the page itself is ready."""

import functools
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from campaigns.audience.headcounts import NotCounted
from campaigns.content.written import Written
from campaigns.models import Campaign
from campaigns.tasks import have_counted
from campaigns.views.pages import campaign_or_404, page
from delivery import clock

View = Callable[..., HttpResponseBase]


def waits_for_numbers(view: View) -> View:
    """Wrap a view that may raise :exc:`NotCounted`: ask a worker to count, and show a waiting page.

    A POST is not repeated: the user is sent to the review page with a message.
    """

    @functools.wraps(view)
    def waiting(request: HttpRequest, campaign_id: int) -> HttpResponseBase:
        try:
            return view(request, campaign_id)
        except NotCounted:
            return _wait(request, campaign_id)

    return waiting


def _wait(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    now = clock.now()
    asked_at = have_counted(campaign_id, now)
    if request.method == "POST":
        messages.warning(request, _("Recipients are still being counted, so nothing was done. Try again in a moment."))
        return redirect("campaigns:review", campaign_id)
    seconds = max(0, int((now - asked_at).total_seconds()))
    may_queue = campaign.status == Campaign.Status.DRAFT and request.user.has_perm("campaigns.queue_campaign")
    context = {"campaign": campaign, "seconds": seconds, "version": Written(campaign).version if may_queue else ""}
    return page(request, "campaigns/counting.html", campaign.name, context)
