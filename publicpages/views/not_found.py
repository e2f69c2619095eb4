"""The page for an address that leads nowhere: for strangers in the language of their browser."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from publicpages.views.base import browser_languages
from publicpages.words.not_found import NOT_FOUND
from publicpages.words.unsubscribe import best_language


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page; users read it in English, as everything else."""
    user = getattr(request, "user", None)
    is_user = user is not None and user.is_authenticated
    language = "en" if is_user else best_language(*browser_languages(request), "en")
    return render(request, "404.html", {"words": NOT_FOUND[language], "language": language}, status=404)
