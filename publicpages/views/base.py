"""The base of all public pages: no cookies, no scripts, no caching, and the organisation's appearance.

People without a session open them from mail and post to them from anywhere: no CSRF token, no login. The token in the
URL alone decides what a POST may do. GET shows a page and changes nothing, because link scanners follow every link.
"""

import functools
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.csrf import csrf_exempt

from adminpages.texts import one_line
from installation.site import from_environment, site
from publicpages.appearance.looks import looks
from publicpages.words.subscribe import SIGN_UP
from publicpages.words.unsubscribe import LANGUAGES, best_language

View = Callable[..., HttpResponse]

MOST_BODY_BYTES = 10 * 1024
PLAIN = "text/plain; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # The URL is the key to a person's subscription.
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
}


# The response does not depend on the requester, and no cookies are sent along.
FROM_ANY_SITE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
}


def public(*methods: str, from_any_site: bool = False, takes_large_bodies: bool = False) -> Callable[[View], View]:
    """Make a view a public page that accepts these methods, OPTIONS, and HEAD if GET is one of them.

    :param from_any_site: whether scripts of other sites may read the response.
    :param takes_large_bodies: whether the view checks the length of a body itself and reads no more than it needs.
    """
    headers = HEADERS | (FROM_ANY_SITE if from_any_site else {})
    allowed = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]

    def decorate(view: View) -> View:
        @csrf_exempt
        @functools.wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST" and is_large(request) and not takes_large_bodies:
                response = HttpResponse("The request is too large.", PLAIN, 413)
            else:
                response = _answer(view, allowed, request, *args, **kwargs)
            for name, value in headers.items():
                response.headers.setdefault(name, value)
            return response

        return answer

    return decorate


def _answer(view: View, allowed: list[str], request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers={"Allow": ", ".join(allowed)})
    if request.method not in allowed:
        return HttpResponseNotAllowed(allowed)
    try:
        return view(request, *args, **kwargs)
    except DatabaseError:  # Never report success without it: then providers and people try again.
        words = LANGUAGES[best_language(from_environment().language)]
        return HttpResponse(f"{words.busy_title} {words.busy}", PLAIN, 503, headers={"Retry-After": "600"})


def is_large(request: HttpRequest) -> bool:
    """Whether the declared length of the body exceeds that of every form here; Django reads no more than that."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return str(length).isdecimal() and int(length) > MOST_BODY_BYTES


def language_of(request: HttpRequest) -> str:
    """Return the language for an unknown visitor: from the URL or the browser, or else the site's."""
    return best_language(request.GET.get("language", ""), *browser_languages(request), site().language)


def browser_languages(request: HttpRequest) -> list[str]:
    """Return the languages that the browser asks for, the preferred one first."""
    return [name for name, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "")[:500])]


def entered(request: HttpRequest, name: str) -> str:
    """Return the text of one field, on one line."""
    return one_line(request.POST.get(name, ""))


def numbers(request: HttpRequest, name: str) -> list[int]:
    """Return the keys in a field that may occur several times."""
    return [int(text) for text in request.POST.getlist(name) if text.isdecimal() and len(text) < 18]


def show(
    request: HttpRequest, template: str, language: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Return a page in the organisation's appearance; ``context`` contains its heading."""
    shown = looks()
    context = {
        "words": LANGUAGES[language],
        "labels": SIGN_UP[language],
        "language": language,
        "looks": shown,
        "organisation": shown.organisation,
    } | context
    return render(request, f"publicpages/{template}.html", context, status=status)


def say(
    request: HttpRequest, language: str, heading: str, *sentences: str, status: int = 200, **context: Any
) -> HttpResponse:
    """Return a page that states something and asks nothing."""
    return show(request, "said", language, {"heading": heading, "sentences": sentences, **context}, status=status)


def dead_link(request: HttpRequest, *, belongs_to_nobody: bool) -> HttpResponse:
    """Return the page for a link without a person behind it."""
    language = language_of(request)
    words = LANGUAGES[language]
    if belongs_to_nobody:
        return say(request, language, words.nobody_title, words.nobody)
    return say(request, language, words.unknown_title, words.unknown, status=404)


def masked(address: str) -> str:
    """Return the address in a form that its owner recognises and a stranger with the link does not learn."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"
