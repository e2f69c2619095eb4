"""Test messages of a campaign to one or several addresses: they are asked for here, and followed to their results."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from adminpages.access import needs
from campaigns.forms.campaign import CampaignTestForm
from campaigns.forms.review import SendTestsForm
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign
from campaigns.preflight import send_tests as preflight_send_tests
from campaigns.preflight.preview import server_for
from campaigns.preflight.refusals import audience
from campaigns.views.pages import campaign_or_404, log, page
from campaigns.views.pending import waits_for_numbers
from campaigns.views.preview import NO_SERVER, chosen_contact, preview_page
from campaigns.views.review import review_page
from contacts.models import Contact
from delivery import clock, hints
from delivery.tasks import make_trials
from smtpservers.models import SmtpServer
from words.texts import translated

MESSAGE_STEPS = ("MAIL", "RCPT", "DATA", "message")  # Steps of the SMTP conversation about the message itself.


@require_POST
@needs("campaigns.queue_campaign")
def send_test(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Have a test message sent to one address, with the merge values of the previewed contact."""
    campaign = campaign_or_404(campaign_id)
    form = CampaignTestForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(form.errors["recipient"][0]))
        return preview_page(request, campaign, request.POST.get("recipient", "")[:320], 422)
    server = server_for(campaign, request.POST.get("server", ""), clock.now())
    return _ask(request, campaign, server, [form.cleaned_data["recipient"]], chosen_contact(request, campaign))


@require_POST
@needs("campaigns.queue_campaign")
@waits_for_numbers
def send_tests(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Have test messages sent to several addresses, with the merge values of the first person of the audience."""
    campaign, now = campaign_or_404(campaign_id), clock.now()
    if campaign.status != Campaign.Status.DRAFT:  # The form is on the page of a draft.
        return redirect("campaigns:progress", campaign_id)
    form = SendTestsForm(request.POST)
    if not form.is_valid():
        return review_page(request, campaign, 422, tests_form=form)
    contact = None
    if request.user.has_perm("contacts.view_contact"):
        contact = audience(campaign, now).order_by("pk").first()
    server = preflight_send_tests.server_for(campaign, now)
    return _ask(request, campaign, server, form.cleaned_data["addresses"], contact)


def _ask(
    request: HttpRequest, campaign: Campaign, server: SmtpServer | None, recipients: list[str], contact: Contact | None
) -> HttpResponse:
    if server is None:
        messages.error(request, NO_SERVER)
        return redirect("campaigns:preview", campaign.pk)
    try:
        batch = preflight_send_tests.ask(campaign, server, recipients, contact, request.user, clock.now())
    except ContentInvalid as error:
        messages.error(request, translated(error))
        return redirect("campaigns:preview", campaign.pk)
    transaction.on_commit(partial(hints.ring, make_trials))
    if len(recipients) > 1:
        log(request, campaign, f"Sent tests to {len(recipients)} addresses.")
    return redirect("campaigns:follow_tests", campaign.pk, batch)


@require_GET
@needs("campaigns.queue_campaign")
@never_cache
def follow_tests(request: HttpRequest, campaign_id: int, batch: str) -> HttpResponse:
    """Show how far tests are. The page's script fetches only the changing part."""
    campaign = campaign_or_404(campaign_id)
    outcomes = preflight_send_tests.results(campaign, batch, clock.now())
    if not outcomes:
        raise Http404(_("These tests are no longer on record."))
    context = {"campaign": campaign, **_words(request, outcomes)}
    template = "test_result" if len(outcomes) == 1 else "tests_result"
    if "part" in request.GET:
        return page(request, f"campaigns/{template}_part.html", "", context)
    return page(request, f"campaigns/{template}.html", _("Tests of %(campaign)s") % {"campaign": campaign}, context)


def _words(request: HttpRequest, outcomes: list[preflight_send_tests.SendTestResult]) -> dict[str, Any]:
    conversation = outcomes[0].conversation
    return {
        "outcome": outcomes[0],
        "outcomes": outcomes,
        "conversation": conversation,
        "accepted": sum(outcome.is_accepted for outcome in outcomes),
        "is_under_way": any(outcome.waiting for outcome in outcomes),
        "is_receipt_followed": any(outcome.is_receipt_followed for outcome in outcomes),
        # Hosts, certificates and log-ins are shown only to users who manage servers.
        "may_see_server": request.user.has_perm("smtpservers.send_test"),
        "message_steps": MESSAGE_STEPS,
        "reached_message": conversation is not None
        and any(shown.step.name in MESSAGE_STEPS for shown in conversation.steps),
    }
