"""The URLs of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from brilliance.health.probes import healthz, readyz

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
    path("campaigns/", include("campaigns.urls")),
    path("archive/", include("campaigns.archive_urls")),
    path("media/", include("campaigns.media_urls")),
    path("reports/", include("campaigns.report_urls")),
    path("", include("delivery.urls")),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("", include("publicpages.urls")),
]
