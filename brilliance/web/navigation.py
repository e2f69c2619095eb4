"""The sidebar: for each user only the pages they may open."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


@dataclass(frozen=True)
class NavigationEntry:
    title: str
    icon: str  # A name in Material Symbols, which unfold includes.
    url_name: str
    permissions: tuple[str, ...] = ()  # One of them is enough; empty: everybody who may sign in.
    room: str = ""  # The namespace of its pages outside the admin.


GROUPS: tuple[tuple[str, tuple[NavigationEntry, ...]], ...] = (
    (
        "Sending",
        (
            NavigationEntry("Dashboard", "dashboard", "admin:index"),
            NavigationEntry(
                "Campaigns",
                "campaign",
                "admin:campaigns_campaign_changelist",
                ("campaigns.view_campaign", "campaigns.view_progress"),
                room="campaigns",
            ),
            NavigationEntry("Figures", "monitoring", "campaigns:figures", ("campaigns.view_progress",)),
            NavigationEntry(
                "Pictures", "perm_media", "admin:campaigns_mediafile_changelist", ("campaigns.view_mediafile",)
            ),
            NavigationEntry("Layouts", "web_asset", "admin:campaigns_layout_changelist", ("campaigns.view_layout",)),
            NavigationEntry(
                "Archive", "inventory_2", "campaigns:archive_settings", ("campaigns.view_archivesettings",)
            ),
            NavigationEntry("Outbox", "outbox", "delivery:messages", ("delivery.view_message",)),
            NavigationEntry(
                "SMTP servers",
                "dns",
                "admin:smtpservers_smtpserver_changelist",
                ("smtpservers.view_smtpserver", "smtpservers.view_fleet"),
            ),
            NavigationEntry("Routing", "alt_route", "admin:smtpservers_route_changelist", ("smtpservers.view_route",)),
        ),
    ),
    (
        "People",
        (
            NavigationEntry("Contacts", "person", "admin:contacts_contact_changelist", ("contacts.view_contact",)),
            NavigationEntry("Attributes", "label", "admin:contacts_attribute_changelist", ("contacts.view_attribute",)),
            NavigationEntry("Lists", "group", "admin:contacts_contactlist_changelist", ("contacts.view_contactlist",)),
            NavigationEntry("Segments", "filter_alt", "admin:contacts_segment_changelist", ("contacts.view_segment",)),
            NavigationEntry(
                "Imports", "upload_file", "admin:contacts_contactimport_changelist", ("contacts.view_contactimport",)
            ),
            NavigationEntry(
                "Suppressions", "block", "admin:contacts_suppression_changelist", ("contacts.view_suppression",)
            ),
            NavigationEntry(
                "Consent events", "verified", "admin:contacts_consentevent_changelist", ("contacts.view_consentevent",)
            ),
            NavigationEntry("Feedback", "feedback", "admin:feedback_feedback_changelist", ("feedback.view_feedback",)),
        ),
    ),
    (
        "System",
        (
            NavigationEntry(
                "Received mail", "inbox", "admin:sandbox_sandboxmail_changelist", ("sandbox.view_sandboxmail",)
            ),
            NavigationEntry(
                "Organisation",
                "business",
                "admin:installation_sitesettings_changelist",
                ("installation.view_sitesettings",),
            ),
            NavigationEntry(
                "Public pages", "public", "admin:publicpages_appearance_changelist", ("publicpages.view_appearance",)
            ),
            NavigationEntry("Retention", "auto_delete", "admin:contacts_contact_retention", ("admin.view_logentry",)),
            NavigationEntry(
                "Approval",
                "verified_user",
                "admin:campaigns_approvalrule_changelist",
                ("campaigns.change_approvalrule",),
            ),
            NavigationEntry("Users", "manage_accounts", "admin:auth_user_changelist", ("auth.view_user",)),
            NavigationEntry("Roles", "shield_person", "admin:auth_group_changelist", ("auth.view_group",)),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups of the sidebar in unfold's form, without empty groups."""
    groups = [{"title": title, "items": _items(request, entries)} for title, entries in GROUPS]
    return [group for group in groups if group["items"]]


def account_links(request: HttpRequest) -> list[dict[str, str]]:
    """Return the links of the user menu in unfold's form; to change a password only where the user signs in by one."""
    has_password = request.user.is_authenticated and request.user.has_usable_password() and not settings.OIDC_ONLY
    more = (("Second factor", "mfa_index"), ("Sessions", "sessions"))
    links = (("Change password", "admin:password_change"),) if has_password else ()
    return [{"title": title, "link": reverse(name)} for title, name in (*links, *more)]


def _items(request: HttpRequest, entries: tuple[NavigationEntry, ...]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for entry in entries:
        if entry.url_name.startswith("admin:sandbox") and not settings.SANDBOX_ENABLED:
            continue
        if entry.permissions and not any(request.user.has_perm(name) for name in entry.permissions):
            continue
        item: dict[str, Any] = {"title": entry.title, "icon": entry.icon, "link": reverse(entry.url_name)}
        if entry.room and request.resolver_match and request.resolver_match.namespace == entry.room:
            item["active"] = not _has_own_entry(request)  # Otherwise unfold compares the URLs.
        items.append(item)
    return items


def _has_own_entry(request: HttpRequest) -> bool:
    """Whether the open page has an entry of its own, besides that of its room."""
    names = {entry.url_name for _, entries in GROUPS for entry in entries}
    return request.resolver_match is not None and request.resolver_match.view_name in names
