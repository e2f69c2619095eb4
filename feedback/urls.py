"""The public addresses; mounted at /u/. No trailing slash: a redirect would break one-click (RFC 8058 section 3.1)."""

from django.urls import path

from feedback import views

app_name = "feedback"
urlpatterns = [path("<str:token>", views.unsubscribe_page, name="unsubscribe")]
