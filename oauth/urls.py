"""The addresses of ``oauth`` outside the admin."""

from django.urls import path

from oauth.views import done

urlpatterns = [path("done", done, name="oauth_done")]
