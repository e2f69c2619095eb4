"""The places of the site: for each user only the pages they may open.

The sidebar holds places, and what belongs to a place is a tab in it. A place leads to the first of its pages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Tab:
    """A page of a place. Below it are the pages of the same model, and those whose names begin as in ``covers``."""

    title: str | Promise
    url_name: str
    permissions: tuple[str, ...] = ()  # One of them is enough; empty: everybody who may sign in.
    covers: tuple[str, ...] = ()
    label: str | Promise = ""  # What stands on the tab, where it is not the title.
    status: str = ""  # The tab is a list of what has this status.
    is_form: bool = False  # There is one row, and the list leads to its form.

    @property
    def link(self) -> str:
        return reverse(self.url_name) + (f"?status__exact={self.status}" if self.status else "")

    @property
    def view_name(self) -> str:
        """The name of the view that the link ends at."""
        return self.url_name.replace("_changelist", "_change") if self.is_form else self.url_name

    def how_near(self, request: HttpRequest) -> int:
        """Return how much of the open view's name says that it is this tab or below it; 0: it is elsewhere."""
        view = _view_name(request)
        if self.status:
            is_here = view == self.url_name and request.GET.get("status__exact") == self.status
            return len(view) + 1 if is_here else 0
        beginnings = (self.url_name.removesuffix("changelist"), *self.covers)
        return max(len(beginning) if view.startswith(beginning) else 0 for beginning in beginnings)


@dataclass(frozen=True)
class Place:
    title: str | Promise
    icon: str  # A name in Material Symbols, which unfold includes.
    tabs: tuple[Tab, ...]


CAMPAIGN_LIST = "admin:campaigns_campaign_changelist"
SEES_CAMPAIGNS = ("campaigns.view_campaign", "campaigns.view_progress")
TEST_INBOX, SETTINGS = "inbox", "settings"  # The icons of these places.
PLACES = (
    Place(_("Home"), "home", (Tab(_("Home"), "admin:index", covers=("delivery:restored",)),)),
    Place(
        _("Campaigns"),
        "campaign",
        (
            Tab(_("Campaigns"), CAMPAIGN_LIST, SEES_CAMPAIGNS, label=_("All"), covers=("campaigns:",)),
            Tab(_("Drafts"), CAMPAIGN_LIST, SEES_CAMPAIGNS, status="draft"),
            Tab(_("Scheduled"), CAMPAIGN_LIST, SEES_CAMPAIGNS, status="scheduled"),
            Tab(_("Sent"), CAMPAIGN_LIST, SEES_CAMPAIGNS, status="finished"),
            Tab(_("Layouts"), "admin:campaigns_layout_changelist", ("campaigns.view_layout",)),
            Tab(_("Media"), "admin:campaigns_mediafile_changelist", ("campaigns.view_mediafile",)),
            Tab(_("Archive"), "campaigns:archive_settings", ("campaigns.view_archivesettings",)),
        ),
    ),
    Place(
        _("Audience"),
        "group",
        (
            Tab(_("Contacts"), "admin:contacts_contact_changelist", ("contacts.view_contact",)),
            Tab(
                _("Lists"),
                "admin:contacts_contactlist_changelist",
                ("contacts.view_contactlist",),
                covers=("publicpages:form_of_list",),
            ),
            Tab(_("Segments"), "admin:contacts_segment_changelist", ("contacts.view_segment",)),
            Tab(
                _("Imports"),
                "admin:contacts_contactimport_changelist",
                ("contacts.view_contactimport",),
                covers=("admin:contacts_contact_import",),
            ),
            Tab(_("Attributes"), "admin:contacts_attribute_changelist", ("contacts.view_attribute",)),
            Tab(
                _("Suppressions"),
                "admin:contacts_suppression_changelist",
                ("contacts.view_suppression",),
                covers=("admin:contacts_suppressionlift_",),
            ),
        ),
    ),
    Place(
        _("Messages"),
        "outbox",
        (
            Tab(_("Messages"), "delivery:messages", ("delivery.view_message",), label=_("All messages")),
            Tab(
                _("Replies"),
                "admin:feedback_report_changelist",
                ("feedback.view_report",),
                covers=("admin:feedback_rawreport_",),
            ),
            Tab(_("Unsubscribes"), "admin:feedback_feedback_changelist", ("feedback.view_feedback",)),
        ),
    ),
    Place(
        _("Reports"),
        "monitoring",
        (
            Tab(_("Reports"), "reports:figures", ("campaigns.view_progress",), label=_("Sending")),
            Tab(_("Opens and clicks"), "reports:visits", ("campaigns.view_progress",)),
            Tab(_("Compare campaigns"), "reports:compare", ("campaigns.view_progress",), label=_("Compare")),
        ),
    ),
    Place(
        _("Servers"),
        "dns",
        (
            Tab(
                _("Servers"),
                "admin:smtpservers_smtpserver_changelist",
                ("smtpservers.view_smtpserver", "smtpservers.view_fleet"),
                covers=(
                    *("delivery:send_test", "delivery:follow_test", "delivery:held_back"),
                    *("feedback:webhook", "feedback:send_probe", "feedback:probe", "feedback:scorecard"),
                ),
            ),
            Tab(
                _("OAuth accounts"),
                "admin:oauth_oauthaccount_changelist",
                ("oauth.view_oauthaccount",),
                label=_("OAuth"),
            ),
            Tab(_("Routing"), "admin:smtpservers_route_changelist", ("smtpservers.view_route",)),
            Tab(_("Domains"), "admin:domains_sendingdomain_changelist", ("domains.view_sendingdomain",)),
            Tab(_("Mailboxes"), "admin:feedback_mailbox_changelist", ("feedback.view_mailbox",)),
            Tab(_("Health"), "delivery:health", ("smtpservers.view_smtpserver",)),
        ),
    ),
    Place(
        _("Test inbox"),
        TEST_INBOX,
        (Tab(_("Test inbox"), "admin:sandbox_sandboxmail_changelist", ("sandbox.view_sandboxmail",)),),
    ),
    Place(
        _("Settings"),
        SETTINGS,
        (
            Tab(
                _("Organisation"),
                "admin:installation_sitesettings_changelist",
                ("installation.view_sitesettings",),
                is_form=True,
            ),
            Tab(
                _("Public pages"),
                "admin:publicpages_appearance_changelist",
                ("publicpages.view_appearance",),
                is_form=True,
            ),
            Tab(
                _("Approval"),
                "admin:campaigns_approvalrule_changelist",
                ("campaigns.change_approvalrule",),
                is_form=True,
            ),
            Tab(_("Retention"), "admin:contacts_contact_retention", ("admin.view_logentry",)),
            Tab(_("Consent log"), "admin:contacts_consentevent_changelist", ("contacts.view_consentevent",)),
            Tab(_("Users"), "admin:auth_user_changelist", ("auth.view_user",)),
            Tab(_("Invitations"), "admin:accounts_invitation_changelist", ("accounts.view_invitation",)),
            Tab(_("Account mail"), "admin:accounts_accountserver_changelist", ("accounts.view_accountserver",)),
            Tab(_("Roles"), "admin:auth_group_changelist", ("auth.view_group",)),
            Tab(_("Seed lists"), "admin:campaigns_seedlist_changelist", ("campaigns.view_seedlist",)),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar in unfold's form: the places with pages for this user, and the settings by themselves."""
    here = where(request)
    items = [
        {
            "title": str(place.title),
            "icon": place.icon,
            "link": tabs[0].link,
            "active": here is not None and here[0] is place,
        }
        for place in PLACES
        if (tabs := tabs_of(place, request))
    ]
    settings_alone = [item for item in items if item["icon"] == SETTINGS]
    return [{"items": [item for item in items if item not in settings_alone]}, {"items": settings_alone}]


def where(request: HttpRequest) -> tuple[Place, Tab] | None:
    """Return the place and the tab that the open page belongs to; None: it belongs to none."""
    near, place, tab = max(
        ((tab.how_near(request), place, tab) for place in PLACES for tab in place.tabs), key=lambda found: found[0]
    )
    return (place, tab) if near else None


def tabs_of(place: Place, request: HttpRequest) -> list[Tab]:
    """Return the tabs of the place that the user may open."""
    return list(_open_to(place, request))


def is_a_tab(tab: Tab, request: HttpRequest) -> bool:
    """Whether the open page is the tab itself and not a page below it."""
    return _view_name(request) == tab.view_name


def account_links(request: HttpRequest) -> list[dict[str, str]]:
    """Return the links of the user menu in unfold's form."""
    return [{"title": gettext("Your account"), "link": reverse("account")}]


def _view_name(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match else ""


def _open_to(place: Place, request: HttpRequest) -> Iterator[Tab]:
    if place.icon == TEST_INBOX and not settings.SANDBOX_ENABLED:
        return
    for tab in place.tabs:
        if not tab.permissions or any(request.user.has_perm(name) for name in tab.permissions):
            yield tab
