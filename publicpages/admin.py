"""The admin page of the public pages' appearance: one row."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminpages.one_row import OneRowAdmin
from publicpages.appearance.forms import AppearanceForm
from publicpages.appearance.looks import looks
from publicpages.models import Appearance


@admin.register(Appearance)
class AppearanceAdmin(OneRowAdmin):
    form = AppearanceForm
    readonly_fields = ["present_logo", "pages"]

    class Media:
        css = {"all": ["contacts/contacts.css"]}  # Styles links.

    def get_fieldsets(self, request: HttpRequest, obj: Appearance | None = None) -> Any:
        logo = ["present_logo", "new_logo", "without_logo"] if obj and obj.logo_type else ["new_logo"]
        return [
            (None, {"fields": ["name", "accent", *logo, "pages"]}),
            (_("Footer"), {"fields": ["postal_address", "imprint_url", "privacy_url"]}),
        ]

    @admin.display(description=_("current logo"))
    def present_logo(self, appearance: Appearance) -> SafeString:
        url = reverse("publicpages:logo", args=[looks().logo_name])
        return format_html('<img src="{}" alt="{}" height="64">', url, gettext("Logo"))

    @admin.display(description=_("Preview"))
    def pages(self, appearance: Appearance) -> SafeString:
        url = reverse("publicpages:subscribe")
        return format_html(
            '<a class="text-link" href="{}" target="_blank">{}</a>', url, gettext("Open the subscribe page")
        )
