"""The URLs of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from brilliance.health.probes import healthz, readyz
from brilliance.web.first_run import views as first_run

handler404 = "publicpages.views.not_found.not_found"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("set-up/organisation/", first_run.organisation, name="set_up_organisation"),
    path("set-up/server/", first_run.server, name="set_up_server"),
    path("set-up/people/", first_run.first_people, name="set_up_people"),
    path("set-up/hide/", first_run.hide, name="set_up_hide"),
    path("set-up/demo/", first_run.make_demo, name="demo_make"),
    path("set-up/demo/remove/", first_run.remove_demo, name="demo_remove"),
    path("accounts/", include("accounts.urls")),
    path("oauth/", include("oauth.urls")),
    path("campaigns/", include("campaigns.urls")),
    path("archive/", include("campaigns.archive_urls")),
    path("media/", include("campaigns.media_urls")),
    path("reports/", include("campaigns.report_urls")),
    path("", include("delivery.urls")),
    path("", include("feedback.urls")),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("", include("publicpages.urls")),
]
