"""The page behind the unsubscribe link and the List-Unsubscribe header (RFC 8058).

Providers POST here from anywhere, without cookies, login or a form of ours: no session, no redirect, no rate limit by
IP address.
"""

from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone

from contacts.consent import decisions
from delivery.content import tokens
from delivery.models import Message
from delivery.records.erasure import address_of
from feedback import unsubscribe
from feedback.models import Feedback
from installation.site import site
from net.origins import origin_of
from publicpages.appearance.looks import looks
from publicpages.subscriptions.preferences import person_of
from publicpages.views.base import PLAIN, dead_link, entered, is_large, masked, public, show
from publicpages.words.unsubscribe import CAUSES, LANGUAGES, UnsubscribeWords, best_language


@public("GET", "POST", takes_large_bodies=True)  # An unsubscribe is never refused because of its body.
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    message = unsubscribe.find_message(token)
    if request.method != "POST":
        return _page(request, token, message)
    scope = _scope(request)
    if scope is None:
        return _take_one_click(token, message)
    if message is None or scope not in ("list", "all", "undo"):
        return _page(request, token, message, status=400)
    if scope == "undo":
        stamp = entered(request, decisions.FIELD)
        is_undone = unsubscribe.undo(message, stamp, timezone.now(), origin_of(request.META))
        return _page(request, token, message, done="undone" if is_undone else "again")
    cause = entered(request, "cause")
    unsubscribe.unsubscribe(
        message,
        from_everything=scope == "all",
        channel=Feedback.Channel.PAGE,
        reason=request.POST.get("reason", "").replace("\0", "").strip(),
        cause=cause if cause in CAUSES else "",
        now=timezone.now(),
        network=origin_of(request.META),
    )
    return _page(request, token, message, done=scope)


def _scope(request: HttpRequest) -> str | None:
    """Return the choice on our own page; None for one click, which some providers send in a non-standard form.

    Without a choice of ours, a POST to this URL always means one click, whatever its type and body. A body larger than
    our page's can be is not read.
    """
    if is_large(request):
        return None
    try:
        given = request.POST
    except (BadRequest, MultiPartParserError, SuspiciousOperation):  # A type or body that Django cannot parse.
        return None
    is_one_click = given.get("List-Unsubscribe", "").strip().lower() == "one-click"
    return None if is_one_click else given.get("scope")


def _take_one_click(token: str, message: Message | None) -> HttpResponse:
    if tokens.message_of(token) is None:
        # Never report success without it: people with a truncated link would go on getting mail.
        return HttpResponse("This link is incomplete or was changed. Nothing was done.", PLAIN, 404)
    if message is not None:
        unsubscribe.unsubscribe(
            message,
            from_everything=False,
            channel=Feedback.Channel.ONE_CLICK,
            reason="",
            now=timezone.now(),  # Without the network, which is the provider's.
        )
    # The same response if the message is gone or anonymous: nobody is left to send to.
    return HttpResponse("The request was taken.", PLAIN)


def _page(
    request: HttpRequest, token: str, message: Message | None, *, done: str = "", status: int = 200
) -> HttpResponse:
    """Show the fitting page: the question, its confirmation, or why there is nothing to ask."""
    if message is None:
        return dead_link(request, belongs_to_nobody=unsubscribe.belongs_to_nobody(token))
    server = message.server or message.mailing.server
    language = language_of_reader(message)
    words = LANGUAGES[language]
    context = _context(message, words, done)
    if server and server.use_abuse_address and server.abuse_address:
        context["abuse"] = words.abuse.format(address=server.abuse_address)
    return show(request, "unsubscribe", language, context, status=status)


def language_of_reader(message: Message) -> str:
    """Return the language of the person a message was sent to; a copy uses that of its original."""
    server, contact = message.server or message.mailing.server, (message.copy_of or message).contact
    wishes = (contact.language if contact else "", server.language if server else "")
    return best_language(*wishes, site().language)


def _context(message: Message, words: UnsubscribeWords, done: str) -> dict[str, Any]:
    if unsubscribe.is_copy(message):
        return {"heading": words.copy_title, "sentences": [words.copy]}
    if unsubscribe.is_test(message):
        return {"heading": words.test_title, "sentences": [words.test]}
    stamp = unsubscribe.stamp_of(message)  # First: what the page shows must not be older.
    now = unsubscribe.standing(message, timezone.now())
    filled = {"organisation": looks().organisation, "address": masked(address_of(message))}
    staying, left = ", ".join(now.staying), ", ".join(now.left)
    # Pressed twice, there is nothing left to undo, and nothing to say about it.
    context: dict[str, Any] = {"may_undo": now.may_undo, "stamp": stamp, "is_again": done == "again" and now.may_undo}
    if person_of(message) is not None:
        context["settings_path"] = tokens.preferences_url(message.pk).removeprefix(settings.BASE_URL)
    if done == "undone":
        sentence = words.undone.format(lists=staying) if staying else words.undone_all.format(**filled)
        return {**context, "heading": words.undone_title, "sentences": [sentence]}
    if done in ("list", "all"):
        is_list = done == "list" and left
        sentence = words.done_list.format(lists=left) if is_list else words.done_all.format(**filled)
        return {**context, "heading": words.done, "sentences": [sentence, words.on_its_way]}
    if now.left_everything:
        return {**context, "heading": words.done, "sentences": [words.already_all.format(**filled)]}
    sentences = [words.intro.format(**filled)]
    if left:
        sentences.append(words.already.format(lists=left))
    return {
        **context,
        "heading": words.title,
        "sentences": sentences,
        "asks": True,
        "scope_list": words.scope_list.format(lists=staying) if staying else "",
        "scope_all": words.scope_all.format(**filled),
        "causes": list(zip(CAUSES, words.causes, strict=True)),
    }
