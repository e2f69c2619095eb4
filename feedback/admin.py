"""The admin list of feedback, read-only."""

from django.contrib import admin
from django.http import HttpRequest

from adminpages.pages import ModelAdmin
from feedback.models import Feedback


@admin.register(Feedback)
class FeedbackAdmin(ModelAdmin):
    list_display = ["received_at", "email", "kind", "channel", "is_global", "campaign", "cause", "reason", "undone_at"]
    list_filter = ["channel", "cause", "is_global", "received_at"]
    search_fields = ["email", "reason"]
    list_select_related = ["message__mailing"]
    ordering = ["-pk"]  # In order of arrival; there may be millions, and time has no index.
    show_full_result_count = False

    @admin.display(description="mailing")
    def campaign(self, feedback: Feedback) -> str:
        return feedback.message.mailing.name if feedback.message else "–"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Feedback | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Feedback | None = None) -> bool:
        return False
