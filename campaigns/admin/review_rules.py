"""Admin pages of seed lists and of the approval rule."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from adminpages.pages import ModelAdmin
from campaigns.audience import allowances
from campaigns.forms.review import ApprovalRuleForm, SeedListForm
from campaigns.models import ApprovalRule, SeedList


@admin.register(SeedList)
class SeedListAdmin(ModelAdmin):
    form = SeedListForm
    list_display = ["name", "number"]
    search_fields = ["name", "addresses"]

    @admin.display(description="Addresses")
    def number(self, seeds: SeedList) -> int:
        return len(seeds.addresses.split())


@admin.register(ApprovalRule)
class ApprovalRuleAdmin(ModelAdmin):
    """The page of a single row; the list redirects to it."""

    form = ApprovalRuleForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApprovalRule | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            answer: HttpResponse = super().changelist_view(request, extra_context)
            return answer
        return redirect("admin:campaigns_approvalrule_change", allowances.rule().pk)
