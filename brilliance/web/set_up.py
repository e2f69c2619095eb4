"""The steps from an empty installation to its first campaign, on the Home of administrators until one was sent."""

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F
from django.urls import reverse

from campaigns.lifecycle import approvals
from campaigns.models import Campaign
from contacts.models import ContactList, Subscription
from installation.models import SiteSettings
from smtpservers.models import SmtpServer


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    hint: str
    label: str  # Of its button.
    link: str
    is_done: bool


def steps(user: User | AnonymousUser) -> list[Step]:
    """Return the steps with what is done.

    Empty once a campaign was queued or waits for approval, and for users who cannot take all steps.
    """
    may_take_all = user.is_authenticated and user.has_perm("installation.change_sitesettings")
    is_over = Campaign.objects.exclude(status=Campaign.Status.DRAFT).exists() or approvals.waiting(1)
    if not may_take_all or is_over:
        return []
    draft = Campaign.objects.order_by("-pk").first()
    server = SmtpServer.objects.order_by(F("tested_at").desc(nulls_last=True), "pk").first()
    has_list = ContactList.objects.exists()
    return [
        Step(
            "Your organisation",
            "Its name and postal address stand in every newsletter.",
            "Enter organisation",
            reverse("admin:installation_sitesettings_changelist"),
            SiteSettings.objects.exclude(organisation="").exists(),
        ),
        Step(
            "A server",
            "Choose your provider, enter its three fields and send yourself a test.",
            "Send test" if server else "Connect server",
            reverse("delivery:send_test", args=[server.pk]) if server else reverse("admin:smtpservers_smtpserver_add"),
            server is not None and server.tested_at is not None,
        ),
        Step(
            "People",
            "Create a list, then add people to it by hand or from a file.",
            "Import people" if has_list else "Create list",
            reverse("admin:contacts_contactimport_add" if has_list else "admin:contacts_contactlist_add"),
            Subscription.objects.exists(),
        ),
        Step(
            "A campaign",
            "Pick a template, write, and send a test to yourself.",
            "Continue writing" if draft else "Write campaign",
            reverse("admin:campaigns_campaign_change", args=[draft.pk])
            if draft
            else reverse("admin:campaigns_campaign_add"),
            draft is not None,
        ),
        Step(
            "Send it",
            "The review shows who gets it and what to fix first.",
            "Review and send",
            reverse("campaigns:review", args=[draft.pk]) if draft else "",
            False,
        ),
    ]
