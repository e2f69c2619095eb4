"""The pages of a campaign beside its form; mounted at /campaigns/."""

from django.urls import path

from campaigns import views

app_name = "campaigns"
urlpatterns = [
    path("<int:campaign_id>/", views.progress, name="progress"),
    path("<int:campaign_id>/progress.json", views.progress_json, name="progress_json"),
    path("<int:campaign_id>/queue/", views.queue, name="queue"),
    path("<int:campaign_id>/pause/", views.pause, name="pause"),
    path("<int:campaign_id>/resume/", views.resume, name="resume"),
    path("<int:campaign_id>/cancel/", views.cancel, name="cancel"),
    path("<int:campaign_id>/retry/", views.retry, name="retry"),
    path("<int:campaign_id>/duplicate/", views.duplicate, name="duplicate"),
    path("<int:campaign_id>/preview/", views.preview, name="preview"),
    path("<int:campaign_id>/preview/html/", views.preview_html, name="preview_html"),
    path("<int:campaign_id>/test/", views.send_test, name="send_test"),
    path("<int:campaign_id>/recipients/", views.recipients, name="recipients"),
    path("recipients/<int:message_id>/", views.recipient, name="recipient"),
    path("recipients/<int:message_id>/resend/", views.resend, name="resend"),
]
