"""The A/B test of a campaign: its variants while it is a draft, and the choice of the winner."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from adminpages.access import needs
from campaigns.ab_test import run, winner
from campaigns.ab_test.comparison import compare
from campaigns.audience.headcounts import NotCounted
from campaigns.content.written import Written
from campaigns.forms.variants import VariantForms, remove
from campaigns.models import Campaign, Experiment
from campaigns.tasks import ring
from campaigns.views.pages import campaign_or_404, held_in_words, is_outdated, log, page
from delivery import clock


@require_http_methods(["GET", "POST"])
@needs("campaigns.change_campaign")
def variants(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    if campaign.status != Campaign.Status.DRAFT:
        messages.warning(request, _("This campaign can't be changed any more. Duplicate it to set up another test."))
        return redirect("campaigns:progress", campaign_id)
    test = VariantForms(campaign, request.POST if request.method == "POST" else None)
    if request.method == "POST" and test.is_valid():
        try:
            test.save()
        except ValidationError as error:
            messages.error(request, error.messages[0])
        else:
            log(request, campaign_id, "Changed its A/B test.")
            messages.success(request, _("A/B test saved. It starts with the campaign."))
            if unlikely := _why_unlikely(campaign):
                messages.warning(request, unlikely)
        return redirect("admin:campaigns_campaign_change", campaign_id)
    context = {
        "campaign": campaign,
        "test": test,
        "is_stored": test.experiment.pk is not None,
        "unlikely": _why_unlikely(campaign),
    }
    status = 400 if request.method == "POST" else 200
    return page(
        request,
        "campaigns/variants.html",
        _("A/B test of %(campaign)s") % {"campaign": campaign},
        context,
        status=status,
    )


def _why_unlikely(campaign: Campaign) -> str:
    """Return why the stored test's winner probably can't be chosen automatically; empty if it can."""
    written = Written(campaign)
    if written.experiment is None:
        return ""
    try:
        people = written.headcounts.people(clock.now()).reached
    except NotCounted:  # An audience that takes long to count isn't too small.
        return ""
    return winner.why_unlikely(written.experiment, len(written.variants), people)


@require_POST
@needs("campaigns.change_campaign")
def remove_test(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign_or_404(campaign_id)
    if remove(campaign_id):
        log(request, campaign_id, "Removed its A/B test.")
        messages.success(request, _("A/B test removed. Everyone gets the campaign itself."))
    else:
        messages.warning(request, _("This campaign has no A/B test to remove."))
    return redirect("admin:campaigns_campaign_change", campaign_id)


@require_POST
@needs("campaigns.queue_campaign")
def choose(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign, now = campaign_or_404(campaign_id), clock.now()
    chosen = request.POST.get("variant", "")
    test = compare(campaign, now, lambda mailing_ids: [])
    variant = next((each for each in test.variants if str(each.pk) == chosen), None) if test else None
    if test and variant and test.can_choose and is_outdated(request, campaign, test.waiting, variant.letter):
        return redirect("campaigns:progress", campaign_id)
    if why_not := run.choose(campaign_id, variant.pk if variant else 0, request.user, now):
        messages.error(request, why_not)
    else:
        chosen_one = Experiment.objects.select_related("winner").get(campaign=campaign_id).winner
        log(request, campaign_id, f"Chose variant {chosen_one} for everyone else.")
        transaction.on_commit(ring)
        messages.success(request, _("Variant %(letter)s chosen for everyone else.") % {"letter": chosen_one})
        if held := held_in_words(clock.now()):
            messages.info(request, held)
    return redirect("campaigns:progress", campaign_id)
