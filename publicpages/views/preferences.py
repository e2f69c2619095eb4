"""The views of the preference page and of its part about opens and clicks, each behind a link in a mail."""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import formats, timezone, translation

from contacts.consent import decisions
from contacts.models import Contact
from delivery.content import tokens
from delivery.models import Message
from feedback import unsubscribe
from installation.site import site
from net.origins import origin_of
from publicpages.appearance.looks import looks
from publicpages.subscriptions import preferences, tracking
from publicpages.subscriptions.subscribe import NAME_CHARACTERS, is_stopped, wording
from publicpages.views.base import dead_link, entered, masked, numbers, public, say, show
from publicpages.views.unsubscribe import language_of_reader
from publicpages.words.preferences import PREFERENCES
from publicpages.words.tracking import TRACKING
from publicpages.words.unsubscribe import LANGUAGES

AGAIN = "again"  # What was done, if the page was too old to agree: people are asked to choose again.


@public("GET", "POST")
def preferences_page(request: HttpRequest, settings_token: str) -> HttpResponse:
    reader = _reader_of(request, settings_token, tokens.PREFERENCES)
    if isinstance(reader, HttpResponse):
        return reader
    if request.method != "POST":
        return _form(request, reader)
    return _act(request, reader)


@public("GET", "POST")
def tracking_page(request: HttpRequest, tracking_token: str) -> HttpResponse:
    """Ask only whether opens and clicks are counted."""
    reader = _reader_of(request, tracking_token, tokens.TRACKING)
    if isinstance(reader, HttpResponse):
        return reader
    status = 200
    if request.method == "POST":
        if request.POST.get("do") == "count":
            return _reopen(request, reader, "count" if _save_tracking(request, reader) else AGAIN)
        status = 400
    path = tokens.preferences_url(reader.message.pk).removeprefix(settings.BASE_URL)
    context = {
        "heading": TRACKING[reader.language].title,
        **_said(request, reader),
        "counting": _counting(reader),
        "settings_path": path,
    }
    return show(request, "tracking", reader.language, context, status=status)


@dataclass(frozen=True, slots=True)
class Reader:
    """The person behind the link of a message, and the language of their pages."""

    message: Message
    contact: Contact
    language: str
    stamp: str  # What they decided last; see contacts.consent.decisions.


def _reader_of(request: HttpRequest, token: str, purpose: str) -> Reader | HttpResponse:
    """Return the person behind a link, or the page that says why there is none."""
    message = unsubscribe.find_message(token, purpose)
    if message is None:
        return dead_link(request, belongs_to_nobody=unsubscribe.belongs_to_nobody(token, purpose))
    language = language_of_reader(message)
    words = LANGUAGES[language]
    if unsubscribe.is_copy(message):
        return say(request, language, words.copy_title, words.copy)
    if unsubscribe.is_test(message):
        return say(request, language, words.test_title, words.test)
    contact = preferences.person_of(message)
    if contact is None:
        return dead_link(request, belongs_to_nobody=False)
    stamp = decisions.stamp_of(contact.pk)
    contact.refresh_from_db()  # After it: what the page shows must not be older.
    return Reader(message, contact, language, stamp)


def _act(request: HttpRequest, reader: Reader) -> HttpResponse:
    now, what = timezone.now(), request.POST.get("do", "")
    message, contact, origin = reader.message, reader.contact, origin_of(request.META)
    stamp, is_done = entered(request, decisions.FIELD), True
    match what:
        case "save":
            is_done = preferences.save(message, contact, _wishes(request, reader.language), stamp, origin, now)
        case "count":
            is_done = _save_tracking(request, reader)
        case "pause":
            preferences.pause(contact, now)
        case "resume":
            is_done = preferences.end_pause(contact, stamp)
        case "leave":
            preferences.leave_everything(message, origin, now)
        case _:
            return _form(request, reader, status=400)
    return _reopen(request, reader, what if is_done else AGAIN)


def _reopen(request: HttpRequest, reader: Reader, what: str) -> HttpResponse:
    """Have the browser open the page anew, so that it sends nothing twice when people reload it.

    The address says what was done, with the stamp of it: the page repeats it until something else is decided.
    """
    query = urlencode({"done": what, decisions.FIELD: decisions.stamp_of(reader.contact.pk)})
    return SeeOther(f"{request.path}?{query}")


class SeeOther(HttpResponseRedirect):
    """The answer to a POST that is shown by a GET (RFC 9110 section 15.4.4)."""

    status_code = 303


def _said(request: HttpRequest, reader: Reader) -> dict[str, Any]:
    """Return what the page says about the person's last action."""
    is_fresh = request.method != "POST" and request.GET.get(decisions.FIELD) == reader.stamp
    what = request.GET.get("done", "") if is_fresh else ""
    return {"done": _done(what, reader), "is_again": what == AGAIN, "stamp": reader.stamp}


def _save_tracking(request: HttpRequest, reader: Reader) -> bool:
    return tracking.save(
        reader.contact,
        tracking.read(request.POST.getlist("count")),
        entered(request, decisions.FIELD),
        language=reader.language,
        organisation=looks().organisation,
        network=origin_of(request.META),
        now=timezone.now(),
    )


def _counting(reader: Reader) -> dict[str, Any]:
    """Return what the two switches show."""
    words, organisation, agreed = TRACKING[reader.language], looks().organisation, tracking.agreed(reader.contact)
    return {
        "words": words,
        "intro": words.intro.format(organisation=organisation),
        # Who wants no more mail isn't told that a choice is missing.
        "is_undecided": tracking.is_undecided(reader.contact) and not preferences.left_everything(reader.contact),
        "switches": tracking.switches(reader.language, organisation, agreed),
    }


def _done(what: str, reader: Reader) -> tuple[str, str] | None:
    """Return the message about something that was done: a headline and a sentence."""
    labels, words = PREFERENCES[reader.language], LANGUAGES[reader.language]
    match what:
        case "save" | "count":
            return labels.saved_title, labels.saved
        case "pause":
            return labels.saved_title, labels.paused.format(date=_day(reader.contact, reader.language))
        case "resume":
            return labels.saved_title, labels.resumed
        case "leave":
            return words.done, words.done_all.format(organisation=looks().organisation)
    return None


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


def _form(request: HttpRequest, reader: Reader, *, status: int = 200) -> HttpResponse:
    contact, language = reader.contact, reader.language
    labels, organisation, now = PREFERENCES[language], looks().organisation, timezone.now()
    address, offers = masked(contact.email), preferences.offers(contact)
    intro = LANGUAGES[language].intro.format(organisation=organisation, address=address)
    is_paused = contact.paused_until is not None and contact.paused_until > now
    context: dict[str, Any] = {
        "heading": labels.title,
        **_said(request, reader),
        "page": labels,
        "intro": intro if any(offer.is_on for offer in offers) else address,  # Nobody writes to them otherwise.
        "offers": [
            {"offer": offer, "wording": "" if offer.is_on else wording(offer.list, language)} for offer in offers
        ],
        "counting": _counting(reader) if tracking.matters_to(contact) else None,
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
