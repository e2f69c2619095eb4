"""Admin pages of the consent history, read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from adminpages.pages import ModelAdmin
from contacts.admin.cells import chip
from contacts.admin.pagination import LimitedPaginator, PeopleList
from contacts.models import ConsentEvent
from mail.addresses import normalise


@admin.register(ConsentEvent)
class ConsentEventAdmin(ModelAdmin):
    list_display = ["at", "person", "about", "step", "method", "source", "network"]
    card = ["person", "step", "at"]
    list_select_related = ["contact"]
    list_filter = [
        ("topic", ChoicesDropdownFilter),
        ("list", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
        ("method", ChoicesDropdownFilter),
    ]
    list_filter_submit = True
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    paginator = LimitedPaginator
    search_fields = ["contact__email_key__startswith"]
    search_help_text = gettext_lazy("Search by how the address begins.")
    ordering = ["-pk"]  # In order of arrival; there may be millions, and time alone has no index.
    empty_hint = gettext_lazy(
        "Each subscription, confirmation and unsubscribe is logged here, and each consent to count opens or clicks."
    )
    list_per_page = 50
    actions = None
    fields = ["at", "person", "about", "step", "method", "source", "wording", "network"]

    class Media:
        css = {"all": ["contacts/contacts.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PeopleList]:
        return PeopleList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ConsentEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ConsentEvent | None = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ConsentEvent], search_term: str
    ) -> tuple[QuerySet[ConsentEvent], bool]:
        found: tuple[QuerySet[ConsentEvent], bool] = super().get_search_results(
            request, queryset, normalise(search_term).lower()
        )
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.fields

    @admin.display(description=gettext_lazy("Person"), ordering="contact__email_key")
    def person(self, event: ConsentEvent) -> SafeString:
        url = reverse("admin:contacts_contact_change", args=[event.contact_id])
        return format_html('<a class="text-link" href="{}">{}</a>', url, event.contact.email)

    @admin.display(description=gettext_lazy("About"), ordering="list_name")
    def about(self, event: ConsentEvent) -> str:
        return event.about

    @admin.display(description=gettext_lazy("Status"), ordering="status")
    def step(self, event: ConsentEvent) -> SafeString:
        return chip(event.status, event.get_status_display())
