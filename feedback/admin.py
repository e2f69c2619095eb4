"""The admin list of feedback, read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from adminpages.pages import ModelAdmin
from feedback.models import Feedback, RelayedUnsubscribe


class PassedOnFilter(admin.SimpleListFilter):
    """Unsubscribes by what became of their call to a custom page."""

    title = "passed on"
    parameter_name = "passed_on"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, str(state.label)) for state in RelayedUnsubscribe.State]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Feedback]) -> QuerySet[Feedback]:
        return queryset.filter(relay__state=self.value()) if self.value() else queryset


@admin.register(Feedback)
class FeedbackAdmin(ModelAdmin):
    list_display = [
        "received_at",
        "email",
        "kind",
        "channel",
        "is_global",
        "campaign",
        "cause",
        "reason",
        "undone_at",
        "passed_on",
    ]
    list_filter = ["channel", "cause", "is_global", "received_at", PassedOnFilter]
    search_fields = ["email", "reason"]
    list_select_related = ["message__mailing", "relay"]
    ordering = ["-pk"]  # In order of arrival; there may be millions, and time has no index.
    show_full_result_count = False

    @admin.display(description="mailing")
    def campaign(self, feedback: Feedback) -> str:
        return feedback.message.mailing.name if feedback.message else "–"

    @admin.display(description="passed on")
    def passed_on(self, feedback: Feedback) -> str:
        relay = getattr(feedback, "relay", None)
        if relay is None:
            return "–"
        shown = str(relay.get_state_display())
        return f"{shown}: {relay.answer}" if relay.answer and relay.state != relay.State.PASSED_ON else shown

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Feedback | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Feedback | None = None) -> bool:
        return False
