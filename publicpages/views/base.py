"""What all public pages have in common: no cookies, no script, nothing kept by browsers, and their looks.

They are opened from mail and posted to from anywhere, by people without a session: no CSRF token, no log-in. What a
POST may do hangs on the token in its address alone. GET shows a page and changes nothing, because link scanners follow
every link.
"""

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.csrf import csrf_exempt

from publicpages.appearance.looks import looks
from publicpages.words.subscribe import SIGN_UP
from publicpages.words.unsubscribe import LANGUAGES, best_language

View = Callable[..., HttpResponse]

MOST_BODY_BYTES = 10 * 1024
PLAIN = "text/plain; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # The address is the key to somebody's subscription.
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
}


# There is nothing in such an answer that depends on who asks, and no cookie is ever sent along.
FROM_ANY_SITE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
}


def public(*methods: str, from_any_site: bool = False, takes_large_bodies: bool = False) -> Callable[[View], View]:
    """Make a view a public page that answers to these methods, and to HEAD where GET is one, and OPTIONS.

    :param from_any_site: whether scripts of other sites may read the answer.
    :param takes_large_bodies: whether the view itself looks how long a body is, and reads no more than it needs.
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
    except DatabaseError:  # Never "done" when it was not: providers and people try again.
        words = LANGUAGES[settings.LANGUAGE_CODE]
        return HttpResponse(f"{words.busy_title} {words.busy}", PLAIN, 503, headers={"Retry-After": "600"})


def is_large(request: HttpRequest) -> bool:
    """Whether the body is longer than any form of ours, by what it says itself; Django reads no more than that."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return str(length).isdecimal() and int(length) > MOST_BODY_BYTES


def origin_of(request: HttpRequest) -> str:
    """Return the Internet address a request came from; behind a trusted proxy, as the proxy saw it."""
    seen = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_PROXY else ""
    return (seen.rpartition(",")[2] or request.META.get("REMOTE_ADDR", "")).strip()


def language_of(request: HttpRequest) -> str:
    """Return the language of a visitor nobody knows: what the address or the browser asks for, or the site's."""
    asked = [name for name, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "")[:500])]
    return best_language(request.GET.get("language", ""), *asked, settings.LANGUAGE_CODE)


def entered(request: HttpRequest, name: str) -> str:
    """Return what was entered in one field, on one line."""
    return " ".join(request.POST.get(name, "").replace("\0", " ").split())


def numbers(request: HttpRequest, name: str) -> list[int]:
    """Return the keys in a field that may be there several times."""
    return [int(text) for text in request.POST.getlist(name) if text.isdecimal() and len(text) < 18]


def show(
    request: HttpRequest, template: str, language: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Return a page in the looks of the organisation; ``context`` has its heading."""
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
    """Return a page that says something and asks nothing."""
    return show(request, "said", language, {"heading": heading, "sentences": sentences, **context}, status=status)


def dead_link(request: HttpRequest, *, belongs_to_nobody: bool) -> HttpResponse:
    """Return the page of a link that leads nowhere."""
    language = language_of(request)
    words = LANGUAGES[language]
    if belongs_to_nobody:
        return say(request, language, words.nobody_title, words.nobody)
    return say(request, language, words.unknown_title, words.unknown, status=404)


def masked(address: str) -> str:
    """Return the address so that its owner knows it and a stranger with the link does not learn it."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"
