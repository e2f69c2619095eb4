"""The sign-up forms: our page, forms on other sites, JSON, and the confirmation link."""

import datetime as dt
import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from adminpages.texts import one_line
from contacts.models import ContactList
from installation.site import site
from mail import tokens
from mail.addresses import unwrap
from net.origins import origin_of
from publicpages import tasks
from publicpages.appearance.looks import looks
from publicpages.models import SignUp
from publicpages.subscriptions import subscribe, tracking
from publicpages.subscriptions.subscribe import FormEntry
from publicpages.views.base import (
    dead_link,
    entered,
    language_of,
    masked,
    numbers,
    public,
    say,
    show,
)
from publicpages.words.subscribe import SIGN_UP, SignUpWords
from publicpages.words.tracking import TRACKING
from publicpages.words.unsubscribe import best_language

OPENED = "form opened"  # The purpose of the token with the time at which a form was opened.
LEAST_FILLING = dt.timedelta(seconds=2)  # Bots fill it in faster.
MOST_FILLING = dt.timedelta(days=1)
RETRY_SECONDS = 3600


@public("GET", "POST")
def subscribe_page(request: HttpRequest, list_id: int | None = None) -> HttpResponse:
    """The form of one list, or of all public lists; forms on other sites post here too."""
    lists = list(subscribe.public_lists())
    if list_id is not None:
        lists = [each for each in lists if each.pk == list_id]
    language = language_of(request)
    if list_id is not None and not lists:
        labels = SIGN_UP[language]
        return say(request, language, labels.closed_title, labels.closed, status=404)
    if request.method == "POST":
        return _take_form(request, language, lists)
    return _form(request, language, lists)


def _take_form(request: HttpRequest, language: str, lists: list[ContactList]) -> HttpResponse:
    is_embedded = entered(request, "form") == "embedded"
    language = best_language(entered(request, "shown_in"), language)
    entry = FormEntry(
        email=unwrap(entered(request, "email")),
        first_name=entered(request, "first_name"),
        last_name=entered(request, "last_name"),
        language=best_language(entered(request, "language"), language),
        shown_in=language,
        list_ids=numbers(request, "list"),
        channel=SignUp.Channel.EMBEDDED if is_embedded else SignUp.Channel.PAGE,
        counted=tracking.wordings(request.POST.getlist("count"), language, looks().organisation),
    )
    now = timezone.now()
    problems = subscribe.problems(entry)
    if not problems and not is_embedded and not _was_filled_by_hand(request, now):
        problems["form"] = "again"
    if problems:
        return _form(request, language, lists, entry, problems, status=400)
    # A trap for bots; the response tells them nothing.
    if not entered(request, "website") and not _receive(entry, request, now):
        response = _form(request, language, lists, entry, {"form": "too_many"}, status=429)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
    labels = SIGN_UP[language]
    return say(request, language, labels.thanks_title, _thanks(entry, labels))


def _was_filled_by_hand(request: HttpRequest, now: dt.datetime) -> bool:
    opened = tokens.read(OPENED, request.POST.get("opened", ""), settings.TOKEN_KEYS)
    return opened is not None and LEAST_FILLING.seconds <= now.timestamp() - opened <= MOST_FILLING.total_seconds()


def _receive(entry: FormEntry, request: HttpRequest, now: dt.datetime) -> bool:
    is_taken = subscribe.receive(entry, origin_of(request.META), now)
    if is_taken:
        tasks.ring()  # Even if nothing was stored: every address takes the same time.
    return is_taken


def _thanks(entry: FormEntry, labels: SignUpWords) -> str:
    """Return the thanks, which depend on the lists only and are the same for every address."""
    is_double = any(each.opt_in == ContactList.OptIn.DOUBLE for each in subscribe.chosen_lists(entry))
    return labels.thanks_double if is_double else labels.thanks_single


def _form(
    request: HttpRequest,
    language: str,
    lists: list[ContactList],
    entry: FormEntry | None = None,
    problems: dict[str, str] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    labels = SIGN_UP[language]
    context: dict[str, Any] = {
        "heading": labels.title,
        "lists": [
            {
                "list": each,
                "wording": subscribe.wording(each, language),
                "is_chosen": entry is not None and each.pk in entry.list_ids,
            }
            for each in lists
        ],
        "counting": TRACKING[language] if tracking.asks(lists) else None,
        "switches": tracking.switches(language, looks().organisation, entry.counted if entry else ()),
        "entry": entry,
        "problems": {field: getattr(labels, name) for field, name in (problems or {}).items()},
        "chosen_language": entry.language if entry else language,
        "languages": settings.LANGUAGES,
        "opened": tokens.make(OPENED, int(timezone.now().timestamp()), settings.TOKEN_KEYS),
        "name_characters": subscribe.NAME_CHARACTERS,
    }
    return show(request, "subscribe", language, context, status=status)


# --- JSON


@public("POST", from_any_site=True)
def subscribe_json(request: HttpRequest) -> HttpResponse:
    """Accept a sign-up from a script on another site; any site may send it, without cookies."""
    try:
        given = json.loads(request.body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return _json(400, {"errors": {"form": "Send a JSON object."}})
    entry = _entry_of(given)
    labels = SIGN_UP[entry.shown_in]
    if problems := subscribe.problems(entry):
        return _json(400, {"errors": {field: getattr(labels, name) for field, name in problems.items()}})
    if not given.get("website") and not _receive(entry, request, timezone.now()):
        response = _json(429, {"errors": {"form": labels.too_many}})
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
    return _json(202, {"message": _thanks(entry, labels)})


def _entry_of(given: dict[str, Any]) -> FormEntry:
    def text(name: str) -> str:
        value = given.get(name)
        # JSON can contain lone surrogates, which no database takes.
        whole = value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
        return one_line(whole)

    lists, count = given.get("lists"), given.get("count")
    language = best_language(text("language"), site().language)
    return FormEntry(
        email=text("email") if _is_whole(given.get("email")) else "",  # A repaired address would be another address.
        first_name=text("first_name"),
        last_name=text("last_name"),
        language=language,
        shown_in=language,
        list_ids=[each for each in lists if type(each) is int and 0 < each < 2**62] if isinstance(lists, list) else [],
        channel=SignUp.Channel.JSON,
        counted=tracking.wordings(count if isinstance(count, list) else [], language, looks().organisation),
    )


def _is_whole(value: object) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in str(value))


def _json(status: int, answer: dict[str, Any]) -> HttpResponse:
    return JsonResponse(answer, status=status, json_dumps_params={"ensure_ascii": False})


# --- the link that confirms


@public("GET", "POST")
def confirm_page(request: HttpRequest, confirm_token: str) -> HttpResponse:
    now = timezone.now()
    sign_up = subscribe.find(confirm_token, now)
    if sign_up is None:
        return _expired(request, language_of(request), is_genuine=subscribe.is_genuine(confirm_token))
    language = best_language(sign_up.language)
    labels = SIGN_UP[language]
    if sign_up.confirmed_at is not None:
        return say(request, language, labels.confirmed_title, labels.used)
    if request.method != "POST":
        filled = {"address": masked(sign_up.email), "organisation": looks().organisation}
        context = {
            "heading": labels.confirm_title,
            "sentence": labels.confirm_intro.format(**filled),
            "lists": subscribe.names_of_lists(sign_up),
            "counting": TRACKING[language],
            "wishes": sign_up.tracking,
        }
        return show(request, "confirm", language, context)
    left_ticked = request.POST.getlist("count")
    names = subscribe.confirm(sign_up, left_ticked, origin_of(request.META), now)
    if names is None:  # By another click just now.
        return say(request, language, labels.confirmed_title, labels.used)
    if not names:  # Withdrawn since: a new entry is the way back.
        return _expired(request, language, is_genuine=True)
    sentences = [labels.confirmed.format(lists=", ".join(names))]
    if sign_up.contact and (counted := tracking.confirmed(sign_up.contact, sign_up.tracking, left_ticked)):
        switches = ", ".join(tracking.label(topic, language) for topic in counted)
        sentences.append(TRACKING[language].agreed.format(names=switches))
    return say(request, language, labels.confirmed_title, *sentences)


def _expired(request: HttpRequest, language: str, *, is_genuine: bool) -> HttpResponse:
    labels = SIGN_UP[language]
    if not is_genuine:
        return dead_link(request, belongs_to_nobody=False)
    sentence = labels.expired.format(days=settings.CONFIRM_DAYS)
    return say(request, language, labels.expired_title, sentence, status=410, to_form=labels.to_form)
