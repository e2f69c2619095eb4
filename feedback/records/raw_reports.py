"""Raw reports and other texts that name an erased person: they are searched for in the background.

Raw reports have to be decrypted one by one, and a table of replies may have a million rows.
"""

import datetime as dt
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db import models, transaction

from contacts.privacy.erasure import Subject
from contacts.privacy.redaction import Pattern, redact, text_columns
from delivery.records import erasure as mail_erasure
from encryption.keys import SecretUnreadable
from feedback.intake.store import content_of
from feedback.models import FirstVisit, RawReport, RawSearch, Visit
from feedback.reports.reader import Reader, Unreadable

log = logging.getLogger(__name__)

AT_ONCE = 20  # Rows in memory; each may have some megabytes.
TEXTS_AT_ONCE = 2_000  # Rows of texts.
FOR_A_WHILE = 4.0  # Seconds, so that other errands get their turn.
# Marks of texts that hide an address from a plain search: transfer encodings, encoded words, escapes of JSON and forms.
_ENCODED = re.compile(rb"base64|quoted-printable|=\?|\\u|%40", re.IGNORECASE)

# Millions of rows, whose columns hold the words of mail.visits.names and nothing else.
WITHOUT_TEXT = {Visit, FirstVisit}


def search_later(subject: Subject, now: dt.datetime) -> None:
    """Have raw reports of up to now, and texts of feedback and of mail, searched for a person's addresses.

    The search is stored in the caller's transaction.

    The addresses are kept encrypted until then. What comes in later is read by a worker that keeps nothing of an erased
    person.
    """
    last = RawReport.objects.order_by("-pk").values_list("pk", flat=True).first()
    RawSearch.objects.create(emails=json.dumps(sorted(subject.emails)), last_raw=last or 0, created_at=now)


def search(reader: Reader, should_pause: Callable[[], bool]) -> bool:
    """Go on with the searches: delete raw reports, redact texts; return whether some are left to go on with.

    A search that is killed goes on where it was.
    """
    for each in RawSearch.objects.order_by("pk"):
        try:
            pattern = Pattern(json.loads(each.emails.reveal(each.destination)))
        except SecretUnreadable as error:  # It waits for the key.
            log.warning("raw reports can't be searched for the person erased at %s: %s", each.created_at, error)
            continue
        while _delete_some(each, pattern, reader) or _redact_some(each, pattern):
            if should_pause():
                return True
        each.delete()
    return False


def _delete_some(search: RawSearch, pattern: Pattern, reader: Reader) -> bool:
    """Search the next raw reports; False if none is left."""
    chunk = _next(search)
    if not chunk:
        return False
    found = [raw.pk for raw in chunk if _names(pattern, raw, reader)]
    search.searched_to = chunk[-1].pk
    with transaction.atomic():
        RawReport.objects.filter(pk__in=found).delete()
        search.save(update_fields=["searched_to"])
    return True


def _redact_some(search: RawSearch, pattern: Pattern) -> bool:
    """Redact the next texts; False if none is left."""
    for rows, columns in _texts():
        name = rows.model.__name__
        left = rows.filter(pk__gt=search.redacted_to.get(name, 0))
        pks = list(left.order_by("pk").values_list("pk", flat=True)[:TEXTS_AT_ONCE])
        if pks:
            search.redacted_to[name] = pks[-1]
            with transaction.atomic():
                redact(left.filter(pk__lte=pks[-1]), pattern, *columns)
                search.save(update_fields=["redacted_to"])
            return True
    return False


def _texts() -> Iterator[tuple["models.QuerySet[Any]", Sequence[str]]]:
    """Yield this room's rows with texts and those of mail, each with the columns."""
    for model in apps.get_app_config("feedback").get_models():
        if model not in WITHOUT_TEXT and (columns := text_columns(model)):
            yield model._default_manager.all(), columns
    yield mail_erasure.texts()


def _next(search: RawSearch) -> list[RawReport]:
    """Return the next raw reports of a search.

    One that waits is left to the worker, which keeps nothing of an erased person: a request may hold other people's
    events.
    """
    read = RawReport.objects.exclude(state=RawReport.State.WAITING)
    return list(read.filter(pk__gt=search.searched_to, pk__lte=search.last_raw).order_by("pk")[:AT_ONCE])


def _names(pattern: Pattern, raw: RawReport, reader: Reader) -> bool:
    """Tell whether its decoded text has one of the addresses. What can't be decoded is searched as it stands."""
    try:
        content = content_of(raw)
    except SecretUnreadable:  # Nobody can read it.
        return False
    if pattern.finds(content.decode("utf-8", "replace")):
        return True
    text = reader.text_of(raw.provider, content) if _ENCODED.search(content) else ""
    return not isinstance(text, Unreadable) and pattern.finds(text)
