"""The page of a model with a single row."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from adminpages.pages import ModelAdmin

THE_ONE = 1  # The key of the row.


class OneRowAdmin(ModelAdmin):
    """The list redirects to the row; one that was never saved shows the model's defaults."""

    def key(self) -> int:
        return THE_ONE

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            answer: HttpResponse = super().changelist_view(request, extra_context)  # It refuses.
            return answer
        name = f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_change"
        return redirect(reverse(name, args=[self.key()]))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        return self.model(pk=THE_ONE) if found is None and object_id == str(THE_ONE) else found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
