"""The admin pages of unsubscribes: read-only, but calls to custom pages that were given up can be made again."""

import datetime as dt
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from adminpages.instants import stamp
from adminpages.pages import ModelAdmin
from delivery import clock
from feedback import relay
from feedback.models import Feedback, RelayedUnsubscribe
from words.reasons import SENTENCES
from words.texts import translated


class PassedOnFilter(admin.SimpleListFilter):
    """Unsubscribes by what became of their call to a custom page."""

    title = _("passed on")
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
        "channel",
        "is_global",
        "campaign",
        "cause",
        "reason",
        "undone_at",
        "passed_on",
    ]
    card = ["email", "channel", "received_at"]
    fields = readonly_fields = (*list_display, "last_call", "next_try")
    actions = ["try_again"]
    change_form_outer_before_template = "feedback/given_up.html"
    list_filter = ["channel", "cause", "is_global", "received_at", PassedOnFilter]
    search_fields = ["email", "reason"]
    list_select_related = ["message__mailing", "relay"]
    ordering = ["-pk"]  # In order of arrival; there may be millions, and time has no index.
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feedback]:
        found: QuerySet[Feedback] = super().get_queryset(request)
        return found.filter(kind=Feedback.Kind.UNSUBSCRIBE)

    @admin.display(description=_("mailing"))
    def campaign(self, feedback: Feedback) -> str:
        return feedback.message.mailing.name if feedback.message else "–"

    @admin.display(description=_("passed on"))
    def passed_on(self, feedback: Feedback) -> str:
        call = getattr(feedback, "relay", None)
        if call is None:
            return "–"
        shown = str(call.get_state_display())
        if not call.answer or call.state == call.State.PASSED_ON:
            return shown
        return f"{shown}: {translated(SENTENCES.known(call.answer))}"

    @admin.display(description=_("last call"))
    def last_call(self, feedback: Feedback) -> str:
        call = getattr(feedback, "relay", None)
        return _in_words(call.called_at if call else None)

    @admin.display(description=_("next try"))
    def next_try(self, feedback: Feedback) -> str:
        call = getattr(feedback, "relay", None)
        return _in_words(call.due_at if call else None)

    # --- trying again

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.try_again_view))
        return [path("<int:feedback_id>/try-again/", view, name="feedback_feedback_try_again"), *super().get_urls()]

    def try_again_view(self, request: HttpRequest, feedback_id: int) -> HttpResponse:
        if not self.has_retry_permission(request):
            raise PermissionDenied
        self.try_again(request, Feedback.objects.filter(pk=feedback_id))
        return redirect("admin:feedback_feedback_change", feedback_id)

    @admin.action(description=_("Try again to pass on"), permissions=["retry"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[Feedback]) -> None:
        again = relay.try_again(chosen.order_by().values_list("pk", flat=True), clock.now())
        if not again:
            why = gettext(
                "Only unsubscribes that were given up can be passed on again, while the server has its own page."
            )
            self.message_user(request, why, messages.WARNING)
            return
        for feedback in again:
            self.log_change(request, feedback, "Queued to be passed on again.")
        text = ngettext(
            "%(n)s unsubscribe queued to be passed on. Failed calls are repeated for three days.",
            "%(n)s unsubscribes queued to be passed on. Failed calls are repeated for three days.",
            len(again),
        )
        self.message_user(request, text % {"n": f"{len(again):,}"})

    # --- permissions

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("feedback.retry_relay"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Feedback | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Feedback | None = None) -> bool:
        return False


def _in_words(instant: dt.datetime | None) -> str:
    return stamp(instant) or "–"
