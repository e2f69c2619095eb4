"""The URLs of feedback. No trailing slash where providers post to: they follow no redirect."""

from django.urls import path

from feedback.views.posts import hook
from feedback.views.scorecard import scorecard
from feedback.views.webhook import follow_probe, new_address, send_probe, webhook

app_name = "feedback"
urlpatterns = [
    path("hooks/<str:provider>/<str:secret>", hook, name="hook"),
    path("servers/<int:server_id>/scorecard/", scorecard, name="scorecard"),
    path("servers/<int:server_id>/webhook/", webhook, name="webhook"),
    path("servers/<int:server_id>/webhook/address/", new_address, name="webhook_address"),
    path("servers/<int:server_id>/webhook/probe/", send_probe, name="send_probe"),
    path("servers/<int:server_id>/webhook/probe/<int:trial_id>/", follow_probe, name="probe"),
]
