"""Raw reports that name an erased person: they are searched for in the background, since each has to be decrypted."""

import datetime as dt
import json
import logging
import re
from collections.abc import Callable

from django.db import transaction

from contacts.privacy.erasure import Subject
from contacts.privacy.redaction import Pattern
from encryption.keys import SecretUnreadable
from feedback.intake.store import content_of
from feedback.models import RawReport, RawSearch
from feedback.reports.reader import Reader, Unreadable

log = logging.getLogger(__name__)

AT_ONCE = 20  # Rows in memory; each may have some megabytes.
FOR_A_WHILE = 4.0  # Seconds, so that other errands get their turn.
# Marks of texts that hide an address from a plain search: transfer encodings, encoded words, escapes of JSON and forms.
_ENCODED = re.compile(rb"base64|quoted-printable|=\?|\\u|%40", re.IGNORECASE)


def search_later(subject: Subject, now: dt.datetime) -> None:
    """Have the raw reports of up to now searched for a person's addresses, in the caller's transaction.

    The addresses are kept encrypted until then. What comes in later is read by a worker that keeps nothing of an erased
    person.
    """
    last = RawReport.objects.order_by("-pk").values_list("pk", flat=True).first()
    if last is not None:
        RawSearch.objects.create(emails=json.dumps(sorted(subject.emails)), last_raw=last, created_at=now)


def search(reader: Reader, should_pause: Callable[[], bool]) -> bool:
    """Go on with the searches, and delete what they find; return whether some are left to go on with.

    A search that is killed goes on where it was.
    """
    for each in RawSearch.objects.order_by("pk"):
        while chunk := _next(each):
            if should_pause():
                return True
            try:
                pattern = Pattern(json.loads(each.emails.reveal(each.destination)))
            except SecretUnreadable as error:  # It waits for the key, or until all of them are too old to be kept.
                log.warning("raw reports can't be searched for the person erased at %s: %s", each.created_at, error)
                break
            found = [raw.pk for raw in chunk if _names(pattern, raw, reader)]
            each.searched_to = chunk[-1].pk
            with transaction.atomic():
                RawReport.objects.filter(pk__in=found).delete()
                each.save(update_fields=["searched_to"])
        else:
            each.delete()
    return False


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
