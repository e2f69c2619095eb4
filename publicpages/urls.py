"""The public URLs, and one for users. No trailing slash: a redirect would break one-click (RFC 8058 section 3.1)."""

from django.urls import path

from publicpages.views.appearance import logo, style
from publicpages.views.embed import form_of_list
from publicpages.views.links import dead_click, dead_pixel
from publicpages.views.preferences import preferences_page, tracking_page
from publicpages.views.subscribe import confirm_page, subscribe_json, subscribe_page
from publicpages.views.unsubscribe import unsubscribe_page
from publicpages.views.web_version import web_version

app_name = "publicpages"
urlpatterns = [
    # In mail, so they are short.
    path("u/<str:token>", unsubscribe_page, name="unsubscribe"),
    path("p/<str:settings_token>", preferences_page, name="preferences"),
    path("t/<str:tracking_token>", tracking_page, name="tracking"),
    path("v/<str:web_token>", web_version, name="web_version"),
    # Here only if they lead nowhere: feedback.visits.edge answers the others.
    path("c/<path:click_token>", dead_click, name="dead_click"),
    path("o/<path:pixel_token>", dead_pixel, name="dead_pixel"),
    path("confirm/<str:confirm_token>", confirm_page, name="confirm"),
    # On sites.
    path("subscribe", subscribe_page, name="subscribe"),
    path("subscribe/", subscribe_page),  # As people type it.
    path("subscribe/<int:list_id>", subscribe_page, name="subscribe_to"),
    path("subscribe.json", subscribe_json, name="subscribe_json"),
    path("looks/<str:name>.css", style, name="style"),
    path("looks/<str:name>", logo, name="logo"),
    # For users.
    path("audience/lists/<int:list_id>/form", form_of_list, name="form_of_list"),
]
