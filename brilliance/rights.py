"""What a permission lets people do, in the words and the places of the interface.

Django stores a name for each permission, made of a table's name. These names stay in the database, and no page
shows them.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from django import forms
from django.contrib.auth.models import Permission
from django.forms.models import ModelChoiceIterator
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from brilliance.web.navigation import PLACES

# What may be done with the rows of a table, in the order in which it is listed.
ACTIONS = {
    "view": _("View %(things)s"),
    "add": _("Add %(things)s"),
    "change": _("Edit %(things)s"),
    "delete": _("Delete %(things)s"),
}
_THINGS = {
    "auth.group": _("roles"),
    "admin.logentry": _("retention"),
    "campaigns.mediafile": _("media files"),
    "contacts.consentevent": _("the consent log"),
    "delivery.attempt": _("attempts to send messages"),
    "delivery.mailing": _("mail that campaigns queued"),
    "feedback.rawreport": _("the original text of replies"),
    "sandbox.sandboxmail": _("mail in the test inbox"),
}
_OTHERS = {
    "campaigns.approve_campaign": _("Approve or reject other people's campaigns"),
    "campaigns.override_check": _("Override a check that blocks a campaign"),
    "campaigns.pause_campaign": _("Pause and resume campaigns"),
    "campaigns.queue_campaign": _("Send, schedule and cancel campaigns, and send tests of them"),
    "campaigns.view_progress": _("View progress and figures of campaigns, without recipients"),
    "contacts.delete_suppression": _("Lift suppressions"),
    "contacts.export_contact": _("Export contacts"),
    "contacts.export_suppression": _("Export suppressions"),
    "contacts.import_contact": _("Import contacts"),
    "delivery.release_copy": _("Let a restored copy send mail"),
    "delivery.resend_message": _("Send unconfirmed and failed messages again"),
    "domains.manage_dkim_keys": _("Create and revoke DKIM keys of domains"),
    "feedback.retry_relay": _("Pass unsubscribes on again"),
    "smtpservers.pause_smtpserver": _("Resume paused servers, and activate or deactivate servers"),
    "smtpservers.send_test": _("Send tests through servers"),
    "smtpservers.view_fleet": _("View names and quotas of servers, without their settings"),
}
# Django makes four permissions for each table, and no page heeds these: rows that nobody may add, edit or delete.
_WITHOUT_EFFECT = {
    "campaigns.approvalrule": ("add", "delete"),
    "contacts.consentevent": ("add", "change", "delete"),
    "contacts.contactimport": ("change", "delete"),
    "contacts.suppression": ("change",),
    "contacts.suppressionlift": ("add", "change", "delete"),
    "feedback.feedback": ("add", "change", "delete"),
    "installation.sitesettings": ("add", "delete"),
    "publicpages.appearance": ("add", "delete"),
    "sandbox.sandboxmail": ("add", "change"),
}
HOME, CAMPAIGNS, AUDIENCE, MESSAGES, REPORTS, SERVERS, TEST_INBOX, SETTINGS = range(len(PLACES))
# The place of a room's tables, except those that are elsewhere.
_ROOMS = {
    "campaigns": CAMPAIGNS,
    "contacts": AUDIENCE,
    "delivery": MESSAGES,
    "domains": SERVERS,
    "feedback": MESSAGES,
    "oauth": SERVERS,
    "sandbox": TEST_INBOX,
    "smtpservers": SERVERS,
}
_ELSEWHERE = {
    "campaigns.approvalrule": SETTINGS,
    "campaigns.seedlist": SETTINGS,
    "campaigns.view_progress": REPORTS,
    "contacts.consentevent": SETTINGS,
    "delivery.release_copy": HOME,
    "feedback.mailbox": SERVERS,
}


def action_of(permission: Permission) -> str:
    """Return one of ``ACTIONS``; empty: it is a right of its own, and not one on each row of a table."""
    action, _line, thing = permission.codename.partition("_")
    return action if action in ACTIONS and thing == permission.content_type.model else ""


def has_effect(permission: Permission) -> bool:
    """Whether a page may heed the permission, as far as its kind says."""
    kind = permission.content_type
    return action_of(permission) not in _WITHOUT_EFFECT.get(f"{kind.app_label}.{kind.model}", ())


def in_words(permission: Permission) -> str:
    """Return what the permission allows, such as “Edit contacts”."""
    kind = permission.content_type
    if own := _OTHERS.get(f"{kind.app_label}.{permission.codename}"):
        return str(own)
    if action := action_of(permission):
        things = _THINGS.get(f"{kind.app_label}.{kind.model}") or _plural(permission)
        return ACTIONS[action] % {"things": things}
    return permission.name


def by_place(permissions: Iterable[Permission]) -> list[tuple[str, list[Permission]]]:
    """Return the permissions under the titles of their places, in the order of the sidebar."""
    ordered = sorted(permissions, key=lambda each: (_place(each), *_order(each)))
    return [(str(PLACES[place].title), list(found)) for place, found in groupby(ordered, _place)]


def listed(permissions: Iterable[Permission]) -> SafeString:
    """Return the permissions as a list to read, a paragraph for each place."""
    return format_html(
        '<dl class="rights-read">{}</dl>',
        format_html_join(
            "",
            "<dt>{}</dt><dd>{}</dd>",
            ((place, " · ".join(map(in_words, found))) for place, found in by_place(permissions)),
        ),
    )


class _ByPlace(ModelChoiceIterator):  # type: ignore[type-arg]  # Django's own takes no parameter.
    def __iter__(self) -> Any:
        for place, found in by_place(self.queryset):
            yield place, [self.choice(permission) for permission in found]


class RightsWidget(UnfoldAdminCheckboxSelectMultipleWidget):  # type: ignore[misc]  # unfold ships no types.
    """Checkboxes in a group for each place."""

    template_name = "brilliance/rights.html"

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        return render_to_string(self.template_name, self.get_context(name, value, attrs))


class RightsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """A choice of permissions in the words of the interface, grouped by place."""

    widget = RightsWidget
    iterator = _ByPlace

    def label_from_instance(self, permission: Permission) -> str:
        return in_words(permission)


def _plural(permission: Permission) -> str:
    model = permission.content_type.model_class()
    return str(model._meta.verbose_name_plural) if model is not None else permission.content_type.model


def _place(permission: Permission) -> int:
    kind = permission.content_type
    return next(
        (
            _ELSEWHERE[name]
            for name in (f"{kind.app_label}.{permission.codename}", f"{kind.app_label}.{kind.model}")
            if name in _ELSEWHERE
        ),
        _ROOMS.get(kind.app_label, SETTINGS),
    )


def _order(permission: Permission) -> tuple[str, str, int, str]:
    kind, action = permission.content_type, action_of(permission)
    rank = list(ACTIONS).index(action) if action else len(ACTIONS)
    return kind.app_label, kind.model, rank, permission.codename
