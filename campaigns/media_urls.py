"""URLs of media files in mails, mounted at /media/ and open to everybody."""

from django.urls import path

from campaigns.views import media

app_name = "media"
urlpatterns = [path("<str:stored_name>", media.file, name="file")]
