"""Admin pages of seed lists and of the approval rule."""

from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminpages.one_row import THE_ONE, OneRowAdmin
from adminpages.pages import Deletion, ModelAdmin
from campaigns.audience import allowances
from campaigns.forms.review import ApprovalRuleForm, SeedListForm
from campaigns.models import ApprovalRule, SeedList


@admin.register(SeedList)
class SeedListAdmin(ModelAdmin):
    form = SeedListForm
    list_display = ["name", "number"]
    search_fields = ["name", "addresses"]

    def deletion(self, obj: SeedList) -> Deletion:
        return Deletion([gettext("The list with its addresses")], [gettext("Tests that were sent to it")])

    @admin.display(description=_("Addresses"))
    def number(self, seeds: SeedList) -> int:
        return len(seeds.addresses.split())


@admin.register(ApprovalRule)
class ApprovalRuleAdmin(OneRowAdmin):
    form = ApprovalRuleForm

    def key(self) -> int:
        return allowances.rule().pk or THE_ONE
