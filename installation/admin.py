"""The page of the settings: one row."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from adminpages.one_row import OneRowAdmin
from installation.forms import SiteSettingsForm
from installation.models import SiteSettings


@admin.register(SiteSettings)
class SiteSettingsAdmin(OneRowAdmin):
    form = SiteSettingsForm
    fieldsets = [
        (None, {"fields": ["organisation", "postal_address", "alert_address"]}),
        (_("Time and language"), {"fields": ["time_zone", "language"]}),
        (_("Opens and clicks"), {"fields": ["tracking", "gateway_networks"]}),
    ]
