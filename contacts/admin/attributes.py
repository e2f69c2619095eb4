"""Admin pages of custom attributes."""

from collections.abc import Collection
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adminpages.pages import Deletion, ModelAdmin
from contacts import tasks
from contacts.admin.cells import SummarisedDeletion
from contacts.attributes.retype import holders
from contacts.forms.attribute import AttributeForm
from contacts.models import Attribute, Contact
from contacts.segments.query import users_of


@admin.register(Attribute)
class AttributeAdmin(SummarisedDeletion, ModelAdmin):
    form = AttributeForm
    list_display = ["label", "merge_field", "kind", "offered", "is_column"]
    card = ["label", "kind", "merge_field"]
    ordering = ["position", "name"]
    ordering_field = "position"
    hide_ordering_field = True
    search_fields = ["label", "name"]
    search_help_text = gettext_lazy("Search by label or name.")
    empty_hint = gettext_lazy(
        "Attributes hold what else you know about people, such as city or birthday. An import can create them."
    )
    empty_hint_without_add = gettext_lazy("Import a file with more columns, or ask an administrator.")
    list_per_page = 100

    class Media:
        css = {"all": ["contacts/contacts.css"]}
        js = ["contacts/attribute.js"]

    def get_fields(self, request: HttpRequest, obj: Attribute | None = None) -> list[str]:
        fields = ["label", "name", "kind", "choices", "is_column", "position"]
        if request.method == "POST" and obj and request.POST.get("kind", obj.kind) != obj.kind:
            fields.insert(3, "is_sure")  # Only if the kind was changed.
        return fields

    def get_readonly_fields(self, request: HttpRequest, obj: Attribute | None = None) -> list[str]:
        return ["name"] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        last = Attribute.objects.order_by("-position").values_list("position", flat=True).first()
        return {"position": 0 if last is None else last + 1}

    @admin.display(description=gettext_lazy("Merge field"))
    def merge_field(self, definition: Attribute) -> SafeString:
        return format_html("<code>{{{{ {} }}}}</code>", definition.name)

    @admin.display(description=gettext_lazy("Choices"))
    def offered(self, definition: Attribute) -> str:
        return Truncator(", ".join(definition.choices)).chars(80) or "–"

    def save_model(self, request: HttpRequest, obj: Attribute, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change or {"kind", "choices"} & set(form.changed_data):
            count = holders(obj.name)
            if count:
                transaction.on_commit(partial(tasks.retype.delay, obj.pk), robust=True)
                messages.info(
                    request,
                    ngettext(
                        "The value of %(count)s contact is being converted to “%(kind)s”.",
                        "The values of %(count)s contacts are being converted to “%(kind)s”.",
                        count,
                    )
                    % {"count": f"{count:,}", "kind": obj.get_kind_display()},
                )

    def what_keeps(self, objs: QuerySet[Any] | Collection[Any]) -> list[str]:
        return users_of(attributes=[definition.name for definition in objs])

    def deletion(self, obj: Attribute) -> Deletion:
        count = holders(obj.name)
        stays = ngettext(
            "The value of %(count)s contact, without a definition",
            "The values of %(count)s contacts, without a definition",
            count,
        )
        return Deletion(
            [_("The attribute with its kind, field, filter and column")],
            [stays % {"count": f"{count:,}"}] if count else [],
        )

    def count_what_goes_along(self, objs: QuerySet[Any] | Collection[Any]) -> dict[str, int]:
        having = Q()
        for definition in objs:
            having |= Q(attributes__has_key=definition.name)
        count = Contact.objects.filter(having).count() if having else 0
        return {_("contacts with a value (values are kept, without a definition)"): count}
