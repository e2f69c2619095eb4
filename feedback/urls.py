"""The URLs of feedback. No trailing slash where providers post to: they follow no redirect."""

from django.urls import path

from feedback.views.posts import hook

app_name = "feedback"
urlpatterns = [path("hooks/<str:provider>/<str:secret>", hook, name="hook")]
