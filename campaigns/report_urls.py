"""URLs of the figures of any period, mounted at /reports/."""

from django.urls import path

from campaigns.views import figures

app_name = "reports"
urlpatterns = [
    path("", figures.period, name="figures"),
    path("<slug:table>.csv", figures.period_csv, name="figures_csv"),
]
