"""The address under which mails show pictures of the media library; mounted at /media/, open to everybody."""

from django.urls import path

from campaigns.views import media

app_name = "media"
urlpatterns = [path("<str:stored_name>", media.file, name="file")]
