"""The steps from an empty installation to its first campaign, on the Home of administrators until one was sent."""

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, F
from django.urls import reverse
from django.utils.translation import gettext as _

from campaigns.content.build import is_sample
from campaigns.content.written import Written
from campaigns.lifecycle import approvals
from campaigns.models import Campaign
from campaigns.preflight.refusals import refusals_known
from contacts.models import ContactImport, ContactList, Subscription
from delivery import clock
from installation.models import SiteSettings
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet

# Who has all of these may take all steps.
RIGHTS = (
    "installation.change_sitesettings",
    "smtpservers.add_smtpserver",
    "contacts.add_contactlist",
    "contacts.import_contact",
    "campaigns.add_campaign",
)
# The pages of each step, by the names of their addresses.
PAGES = {
    "set_up_organisation": 1,
    "set_up_server": 2,
    "admin:smtpservers_smtpserver_add": 2,
    "delivery:send_test": 2,
    "delivery:follow_test": 2,
    "set_up_people": 3,
    "admin:contacts_contactimport_add": 3,
    "admin:contacts_contactimport_columns": 3,
    "admin:contacts_contactimport_change": 3,
    "admin:campaigns_campaign_add": 4,
    "admin:campaigns_campaign_change": 4,
    "campaigns:review": 5,
}


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    hint: str
    label: str  # Of its button.
    link: str
    is_done: bool


def may_take_all(user: User | AnonymousUser) -> bool:
    return user.is_authenticated and user.has_perms(RIGHTS)


def is_hidden(user: User | AnonymousUser) -> bool:
    """Whether the user of a request has hidden the steps; costs no query."""
    return bool(getattr(user, "hides_set_up", False))


def is_over() -> bool:
    """Whether a campaign was queued or waits for approval."""
    return Campaign.objects.exclude(status=Campaign.Status.DRAFT).exists() or bool(approvals.waiting(1))


def here(view: str, user: User | AnonymousUser) -> tuple[int, Step, Step | None] | None:
    """Return the number and the step that an open page belongs to, and the next step if this one is done.

    None for other pages, once the steps are over, and for users who have hidden them or cannot take them.

    :param view: the name of the page's address.
    """
    number = PAGES.get(view)
    if number is None or is_hidden(user):
        return None
    found = steps(user)
    if not found:
        return None
    step = found[number - 1]
    in_turn = [*found[number:], *found[:number]]
    return (
        number,
        step,
        next((each for each in in_turn if not each.is_done and each.link), None) if step.is_done else None,
    )


def steps(user: User | AnonymousUser) -> list[Step]:
    """Return the steps with what is done; empty once they are over, and for users who cannot take all of them."""
    if not may_take_all(user) or is_over():
        return []
    draft = Campaign.objects.order_by("-pk").first()
    server = SmtpServer.objects.order_by(F("tested_at").desc(nulls_last=True), "pk").first()
    people = Exists(Subscription.objects.all()) | Exists(ContactImport.objects.exclude(lists=[]))
    lists = ContactList.objects.annotate(has_people=people).values_list("has_people", flat=True)[:1]
    has_list, has_people = bool(lists), any(lists)
    return [
        Step(
            _("Your organisation"),
            _("Every newsletter shows its name and postal address."),
            _("Enter organisation"),
            reverse("set_up_organisation"),
            SiteSettings.objects.exclude(organisation="").exists(),
        ),
        Step(
            _("A server"),
            _("Choose your provider, enter its three fields and send yourself a test."),
            _("Send test") if server else _("Connect server"),
            reverse("delivery:send_test", args=[server.pk]) if server else reverse("set_up_server"),
            server is not None and server.tested_at is not None,
        ),
        Step(
            _("People"),
            _("Name a list, and paste addresses, upload a file or begin with yourself."),
            _("Add people"),
            reverse("admin:contacts_contactimport_add" if has_list else "set_up_people"),
            has_people,
        ),
        Step(
            _("A campaign"),
            _("Pick a template, write, and send a test to yourself."),
            _("Continue writing") if draft else _("Write campaign"),
            reverse("admin:campaigns_campaign_change", args=[draft.pk])
            if draft
            else reverse("admin:campaigns_campaign_add"),
            draft is not None and not is_sample(draft) and not refusals_known(Written(draft), Fleet(clock.now())),
        ),
        Step(
            _("Send it"),
            _("The review shows who gets it and what to fix first."),
            _("Review and send"),
            reverse("campaigns:review", args=[draft.pk]) if draft else "",
            False,
        ),
    ]
