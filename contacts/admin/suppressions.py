"""The pages of suppressions: add, search, remove. What made us stop is never edited."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from contacts.admin.drawing import SummarisedDeletion, badge
from contacts.forms import SuppressionForm
from contacts.models import Suppression

KINDS = {
    Suppression.Reason.HARD_BOUNCE: "danger",
    Suppression.Reason.COMPLAINT: "danger",
    Suppression.Reason.UNSUBSCRIBED: "warning",
}


@admin.register(Suppression)
class SuppressionAdmin(SummarisedDeletion, ModelAdmin):  # type: ignore[misc]  # unfold ships no types.
    form = SuppressionForm
    list_display = ["email", "why", "source", "created_at"]
    list_filter = [("reason", ChoicesDropdownFilter)]
    list_filter_submit = True
    search_fields = ["email", "source"]
    search_help_text = "Search by address or source."
    list_per_page = 50
    fields = ["email", "reason", "source"]

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> list[str]:
        return [*self.fields, "created_at"] if obj else self.fields

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        by = f"admin: {request.user.get_username()}"
        obj.source = f"{by} – {obj.source}"[:500] if obj.source else by
        super().save_model(request, obj, form, change)

    @admin.display(description="Reason", ordering="reason")
    def why(self, suppression: Suppression) -> SafeString:
        return badge(suppression.get_reason_display(), KINDS.get(Suppression.Reason(suppression.reason), ""))
