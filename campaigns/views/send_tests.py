"""Test messages of a campaign to several addresses at once, and their results."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from adminpages.access import needs
from campaigns.forms.review import SendTestsForm
from campaigns.markup.convert import ContentInvalid
from campaigns.preflight import send_tests as preflight_send_tests
from campaigns.preflight.refusals import audience
from campaigns.views.pages import campaign_or_404, log, page

NO_SERVER = "There is no SMTP server yet, and its settings shape the mail. Ask an administrator to add one."


@require_POST
@needs("campaigns.queue_campaign")
def send_tests(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Send test messages to several addresses, with the merge values of the first person of the audience."""
    campaign, now = campaign_or_404(campaign_id), timezone.now()
    back = "campaigns:review" if campaign.status == campaign.Status.DRAFT else "campaigns:preview"
    form = SendTestsForm(request.POST)
    if not form.is_valid():
        for problems in form.errors.values():
            for problem in problems:
                messages.error(request, str(problem))
        return redirect(back, campaign_id)
    server = preflight_send_tests.server_for(campaign, now)
    if server is None:
        messages.error(request, NO_SERVER)
        return redirect(back, campaign_id)
    contact = None
    if request.user.has_perm("contacts.view_contact"):
        contact = audience(campaign, now).order_by("pk").first()
    try:
        outcomes = preflight_send_tests.send_tests(
            campaign, server, form.cleaned_data["addresses"], contact, request.user, now
        )
    except ContentInvalid as error:
        messages.error(request, str(error))
        return redirect(back, campaign_id)
    log(request, campaign_id, f"Sent tests to {len(outcomes)} addresses.")
    context = {
        "campaign": campaign,
        "server": server,
        "outcomes": outcomes,
        "accepted": sum(outcome.is_accepted for outcome in outcomes),
        "contact": contact,
        "back": back,
        # Hosts and log-ins are shown only to users who manage servers.
        "may_see_server": request.user.has_perm("smtpservers.send_test"),
    }
    return page(request, "campaigns/tests_result.html", f"Tests of {campaign}", context)
