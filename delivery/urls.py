"""The URLs of delivery's pages. The first word is that of the place in the sidebar."""

from django.urls import path

from delivery import views

app_name = "delivery"
urlpatterns = [
    path("servers/<int:server_id>/test/", views.send_test, name="send_test"),
    path("servers/<int:server_id>/test/<int:trial_id>/", views.follow_test, name="follow_test"),
    path("servers/<int:server_id>/held-back/", views.held_back, name="held_back"),
    path("servers/health/", views.server_health, name="health"),
    path("messages/", views.search, name="messages"),
    path("restored/", views.restored, name="restored"),
]
