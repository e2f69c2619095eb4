"""The page of retention rules, with the number of rows that are due."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from contacts.privacy import retention


class RetentionPage:
    """A mix-in of the admin of contacts."""

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site  # type: ignore[attr-defined]  # A mix-in of ModelAdmin.
        page = path("retention/", site.admin_view(require_safe(self.retention)), name="contacts_contact_retention")
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        return [page, *urls]

    def retention(self, request: HttpRequest) -> HttpResponse:
        """Show the rules and what is due. Counting reads whole tables, so the page needs a special permission."""
        if not request.user.has_perm("admin.view_logentry"):
            raise PermissionDenied
        rows = [
            {
                "title": _(rule.title),
                "setting": rule.setting,
                "kept": _kept(rule),
                "number": number,
            }
            for rule, number in retention.report(timezone.now())
        ]
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": _("Retention"),
            "rows": rows,
        }
        return TemplateResponse(request, "contacts/retention.html", context)


def _kept(rule: retention.RetentionRule) -> str:
    """Return how long the rule keeps; empty: forever."""
    if not rule.kept:
        return ""
    if rule.setting.endswith("_MONTHS"):
        return ngettext("%(count)s month", "%(count)s months", rule.kept) % {"count": f"{rule.kept:,}"}
    return ngettext("%(count)s day", "%(count)s days", rule.kept) % {"count": f"{rule.kept:,}"}
