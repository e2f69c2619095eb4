"""URLs of the figures of any period, mounted at /reports/."""

from django.urls import path

from campaigns.views.reports import figures, visits

app_name = "reports"
urlpatterns = [
    path("", figures.period, name="figures"),
    path("opens-clicks/", visits.period, name="visits"),
    path("opens-clicks/<slug:table>.csv", visits.period_csv, name="visits_csv"),
    path("compare/", visits.compare, name="compare"),
    path("<slug:table>.csv", figures.period_csv, name="figures_csv"),
]
