"""The A/B test of a campaign: its variants while it is a draft, and the choice of the winner."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from adminpages.access import needs
from campaigns.ab_test import run
from campaigns.forms.variants import VariantForms, remove
from campaigns.models import Campaign, Experiment
from campaigns.tasks import ring
from campaigns.views.pages import campaign_or_404, log, page, starts_at_once
from delivery import clock


@require_http_methods(["GET", "POST"])
@needs("campaigns.change_campaign")
def variants(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    if campaign.status != Campaign.Status.DRAFT:
        messages.warning(request, "What was queued cannot be changed any more. Duplicate it to write another test.")
        return redirect("campaigns:progress", campaign_id)
    test = VariantForms(campaign, request.POST if request.method == "POST" else None)
    if request.method == "POST" and test.is_valid():
        try:
            test.save()
        except ValidationError as error:
            messages.error(request, error.messages[0])
        else:
            log(request, campaign_id, "Changed its A/B test.")
            messages.success(request, "The A/B test was saved. It begins when the campaign is queued.")
        return redirect("campaigns:progress", campaign_id)
    context = {
        "campaign": campaign,
        "test": test,
        "is_stored": test.experiment.pk is not None,
    }
    status = 400 if request.method == "POST" else 200
    return page(request, "campaigns/variants.html", f"A/B test of {campaign}", context, status=status)


@require_POST
@needs("campaigns.change_campaign")
def remove_test(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign_or_404(campaign_id)
    if remove(campaign_id):
        log(request, campaign_id, "Removed its A/B test.")
        messages.success(request, "The A/B test was removed. Everybody gets the campaign as it is.")
    else:
        messages.warning(request, "There is no A/B test that could be removed.")
    return redirect("campaigns:progress", campaign_id)


@require_POST
@needs("campaigns.queue_campaign")
def choose(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign_or_404(campaign_id)
    chosen = request.POST.get("variant", "")
    if why_not := run.choose(
        campaign_id, int(chosen) if chosen.isdecimal() and len(chosen) < 18 else 0, request.user, clock.now()
    ):
        messages.error(request, why_not)
    else:
        winner = Experiment.objects.select_related("winner").get(campaign=campaign_id).winner
        log(request, campaign_id, f"Chose variant {winner} for the rest.")
        transaction.on_commit(ring)
        messages.success(request, f"Variant {winner} goes to everybody else. {starts_at_once(clock.now())}")
    return redirect("campaigns:progress", campaign_id)
