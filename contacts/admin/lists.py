"""The pages of lists."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.admin import ModelAdmin

from contacts.admin.drawing import SummarisedDeletion, figure
from contacts.models import ContactList, Subscription


def _count(status: Subscription.Status) -> Coalesce:
    """Count the people of each list shown, from the index on list and status."""
    of_list = Subscription.objects.filter(list=OuterRef("pk"), status=status).order_by().values("list")
    return Coalesce(Subquery(of_list.annotate(people=Count("pk")).values("people")), 0, output_field=IntegerField())


@admin.register(ContactList)
class ContactListAdmin(SummarisedDeletion, ModelAdmin):  # type: ignore[misc]  # unfold ships no types.
    list_display = ["name", "purpose", "subscribed", "unsubscribed", "created_at"]
    search_fields = ["name", "description"]
    list_per_page = 50
    fields = ["name", "description"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactList]:
        lists: QuerySet[ContactList] = super().get_queryset(request)
        return lists.annotate(
            subscribed_count=_count(Subscription.Status.SUBSCRIBED),
            unsubscribed_count=_count(Subscription.Status.UNSUBSCRIBED),
        )

    def get_fields(self, request: HttpRequest, obj: ContactList | None = None) -> list[str]:
        return [*self.fields, "subscribed", "unsubscribed"] if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: ContactList | None = None) -> list[str]:
        return ["subscribed", "unsubscribed"]

    @admin.display(description="Description")
    def purpose(self, contact_list: ContactList) -> str:
        return Truncator(contact_list.description).chars(80) or "–"

    @admin.display(description="Subscribed", ordering="subscribed_count")
    def subscribed(self, contact_list: ContactList) -> SafeString:
        return self._people(contact_list, "subscribed")

    @admin.display(description="Unsubscribed", ordering="unsubscribed_count")
    def unsubscribed(self, contact_list: ContactList) -> SafeString:
        return self._people(contact_list, "unsubscribed")

    def _people(self, contact_list: ContactList, state: str) -> SafeString:
        url = f"{reverse('admin:contacts_contact_changelist')}?list={contact_list.pk}&state={state}"
        return figure(getattr(contact_list, f"{state}_count"), url, f"people {state}")

    def count_what_goes_along(self, objs: QuerySet[Any] | Collection[Any]) -> dict[str, int]:
        return {"subscriptions": Subscription.objects.filter(list__in=objs).count()}
