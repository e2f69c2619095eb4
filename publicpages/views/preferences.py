"""The view of the preference page, behind the link in a mail."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import formats, timezone, translation

from contacts.models import Contact
from delivery.content import tokens
from delivery.models import Message
from feedback import unsubscribe
from installation.site import site
from publicpages.appearance.looks import looks
from publicpages.subscriptions import preferences
from publicpages.subscriptions.subscribe import NAME_CHARACTERS, is_stopped, wording
from publicpages.views.base import dead_link, entered, masked, numbers, origin_of, public, say, show
from publicpages.views.unsubscribe import language_of_reader
from publicpages.words.preferences import PREFERENCES
from publicpages.words.unsubscribe import LANGUAGES


@public("GET", "POST")
def preferences_page(request: HttpRequest, settings_token: str) -> HttpResponse:
    message = unsubscribe.find_message(settings_token, tokens.PREFERENCES)
    if message is None:
        is_nobodys = unsubscribe.belongs_to_nobody(settings_token, tokens.PREFERENCES)
        return dead_link(request, belongs_to_nobody=is_nobodys)
    language = language_of_reader(message)
    words = LANGUAGES[language]
    if unsubscribe.is_copy(message):
        return say(request, language, words.copy_title, words.copy)
    if unsubscribe.is_test(message):
        return say(request, language, words.test_title, words.test)
    contact = preferences.person_of(message)
    if contact is None:
        return dead_link(request, belongs_to_nobody=False)
    if request.method != "POST":
        return _form(request, message, contact, language)
    return _act(request, message, contact, language)


def _act(request: HttpRequest, message: Message, contact: Contact, language: str) -> HttpResponse:
    now, what = timezone.now(), request.POST.get("do", "")
    match what:
        case "save":
            wishes = _wishes(request, language)
            preferences.save(message, contact, wishes, origin_of(request), now)
        case "pause":
            preferences.pause(contact, now)
        case "resume":
            preferences.end_pause(contact)
        case "leave":
            preferences.leave_everything(message, origin_of(request), now)
        case _:
            return _form(request, message, contact, language, status=400)
    contact.refresh_from_db()
    language = language_of_reader(message)  # It may have changed just now.
    return _form(request, message, contact, language, done=_done(what, contact, language))


def _done(what: str, contact: Contact, language: str) -> tuple[str, str]:
    """Return the message about the person's last action: a headline and a sentence."""
    labels, words = PREFERENCES[language], LANGUAGES[language]
    match what:
        case "pause":
            return labels.saved_title, labels.paused.format(date=_day(contact, language))
        case "resume":
            return labels.saved_title, labels.resumed
        case "leave":
            return words.done, words.done_all.format(organisation=looks().organisation)
    return labels.saved_title, labels.saved


def _wishes(request: HttpRequest, language: str) -> preferences.Wishes:
    chosen = entered(request, "language")
    return preferences.Wishes(
        shown=numbers(request, "shown"),
        chosen=numbers(request, "list"),
        first_name=entered(request, "first_name"),
        last_name=entered(request, "last_name"),
        language=chosen if chosen in dict(settings.LANGUAGES) else "",
        shown_in=language,
    )


def _form(
    request: HttpRequest,
    message: Message,
    contact: Contact,
    language: str,
    *,
    done: tuple[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    labels, organisation, now = PREFERENCES[language], looks().organisation, timezone.now()
    address = masked(contact.email)
    is_paused = contact.paused_until is not None and contact.paused_until > now
    context: dict[str, Any] = {
        "heading": labels.title,
        "done": done,
        "page": labels,
        "intro": LANGUAGES[language].intro.format(organisation=organisation, address=address),
        "offers": [
            {"offer": offer, "wording": "" if offer.is_on else wording(offer.list, language)}
            for offer in preferences.offers(contact)
        ],
        "contact": contact,
        "languages": settings.LANGUAGES,
        "name_characters": NAME_CHARACTERS,
        "paused": labels.paused.format(date=_day(contact, language)) if is_paused else "",
        "is_blocked": is_stopped(contact.email, now),
    }
    return show(request, "preferences", language, context, status=status)


def _day(contact: Contact, language: str) -> str:
    """Return the last day of the person's break, in their zone and language."""
    until = contact.paused_until or dt.datetime.max.replace(tzinfo=dt.UTC)
    with translation.override(language):
        return formats.date_format(until.astimezone(_zone(contact)), "DATE_FORMAT")


def _zone(contact: Contact) -> ZoneInfo:
    try:
        return ZoneInfo(contact.time_zone) if contact.time_zone else site().time_zone
    except (ValueError, OSError):  # Possibly from an import.
        return site().time_zone
