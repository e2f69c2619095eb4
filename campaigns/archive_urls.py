"""URLs of the public archive, mounted at /archive/."""

from django.urls import path

from campaigns.views import archive

app_name = "archive"
urlpatterns = [
    path("", archive.index, name="index"),
    path("feed.xml", archive.feed, name="feed"),
    path("<int:entry_id>/mail", archive.mail, name="mail"),
    path("<int:entry_id>/<slug:slug>", archive.entry, name="entry"),
]
