"""The public page behind the unsubscribe link and the List-Unsubscribe header (RFC 8058).

Providers POST here from anywhere, without cookies, log-in or a form of ours: no CSRF, no session, no redirect,
no limit by address. GET shows a page and changes nothing, because link scanners follow every link.
"""

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from delivery.models import Message
from feedback.models import Feedback
from feedback.unsubscribing import find_message, is_copy, is_test, unsubscribe
from feedback.words import LANGUAGES, Words, best_language

MOST_BODY_BYTES = 10 * 1024
PLAIN = "text/plain; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # The address is the key to somebody's subscription.
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


@csrf_exempt
@require_http_methods(["GET", "HEAD", "OPTIONS", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    try:
        response = _answer(request, token)
    except DatabaseError:  # Never "done" when it was not: providers and people try again.
        response = HttpResponse("Not possible just now. Please try again later.", PLAIN, 503)
        response["Retry-After"] = "600"
    for name, value in HEADERS.items():
        response[name] = value
    return response


def _answer(request: HttpRequest, token: str) -> HttpResponse:
    if request.method == "OPTIONS":
        response = HttpResponse(status=204)
        response["Allow"] = "GET, HEAD, OPTIONS, POST"
        return response
    if request.method != "POST":
        return _page(request, find_message(token))
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BODY_BYTES:
        return HttpResponse("The request is too large.", PLAIN, 413)

    if request.POST.get("List-Unsubscribe", "").strip().lower() == "one-click":
        message = find_message(token)
        if message is not None:
            unsubscribe(
                message, from_everything=False, channel=Feedback.Channel.ONE_CLICK, reason="", now=timezone.now()
            )
        # The same words for every token, also a forged one: this tells nobody which addresses exist.
        return HttpResponse("The request was taken.", PLAIN)

    scope = request.POST.get("scope")
    message = find_message(token)
    if message is None or scope not in ("list", "all"):
        return _page(request, message, status=400)
    unsubscribe(
        message,
        from_everything=scope == "all",
        channel=Feedback.Channel.PAGE,
        reason=request.POST.get("reason", "").replace("\0", "").strip(),
        now=timezone.now(),
    )
    return _page(request, message, done=scope)


def _page(request: HttpRequest, message: Message | None, *, done: str = "", status: int = 200) -> HttpResponse:
    """Show the page that fits: the question, its confirmation, or why there is nothing to ask."""
    if message is None:
        language = best_language(settings.LANGUAGE_CODE)
        words = LANGUAGES[language]
        context: dict[str, object] = {"heading": words.unknown_title, "sentences": [words.unknown]}
        status = 404
    else:
        server = message.server or message.mailing.server
        contact = (message.copy_of or message).contact  # A copy is written in the language of its original.
        wishes = (contact.language if contact else "", server.language if server else "")
        language = best_language(*wishes, settings.LANGUAGE_CODE)
        words = LANGUAGES[language]
        context = _context(message, words, done)
        if server and server.use_abuse_address and server.abuse_address:
            context["abuse"] = words.abuse.format(address=server.abuse_address)
    context |= {"words": words, "language": language, "organisation": settings.ORGANISATION_NAME}
    return render(request, "feedback/unsubscribe.html", context, status=status)


def _context(message: Message, words: Words, done: str) -> dict[str, object]:
    lists = ", ".join(message.mailing.lists.values_list("name", flat=True)) if message.contact_id else ""
    filled = {
        "organisation": settings.ORGANISATION_NAME,
        "lists": lists,
        "address": _masked(message.email),
    }
    if is_copy(message):
        return {"heading": words.copy_title, "sentences": [words.copy]}
    if is_test(message):
        return {"heading": words.test_title, "sentences": [words.test]}
    if done:
        confirmation = words.done_list if done == "list" and lists else words.done_all
        return {"heading": words.done, "sentences": [confirmation.format(**filled), words.on_its_way]}
    return {
        "heading": words.title,
        "sentences": [words.intro.format(**filled)],
        "asks": True,
        "scope_list": words.scope_list.format(**filled) if lists else "",
        "scope_all": words.scope_all.format(**filled),
    }


def _masked(address: str) -> str:
    """Return the address so that its owner knows it and a stranger with the link does not learn it."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"
