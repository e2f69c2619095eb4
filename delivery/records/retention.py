"""Retention of messages: after a time recipients are erased, and mailing, status, server and times stay.

The link to the contact stays as long as the contact does, because the unsubscribe link of an old message must work.
"""

import datetime as dt
from typing import Any

from django.db import transaction
from django.db.models import CharField, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Replace

from contacts.privacy.redaction import ERASED
from contacts.privacy.retention import SLICE_ROWS, RetentionRule, Slice
from delivery.models import Attempt, Mailing, Message
from delivery.records.erasure import ANONYMOUS, KEY


def _finished(cutoff: dt.datetime) -> QuerySet[Mailing]:
    return Mailing.objects.filter(finished_at__lt=cutoff, is_anonymous=False)


def count_messages(cutoff: dt.datetime) -> int:
    return Message.objects.filter(mailing__in=_finished(cutoff)).exclude(email_key__startswith=KEY).count()


def forget_recipients(cutoff: dt.datetime, after: tuple[int, int] | None) -> Slice:
    """Erase the recipients of the oldest mailing's next messages, or mark the mailing as anonymous."""
    mailing = _finished(cutoff).order_by("pk").first()
    if mailing is None:
        return Slice(0)
    first = after[1] if after and after[0] == mailing.pk else 0
    # Uses the index on mailing and id, from the end of the previous slice on.
    rows = Message.objects.filter(mailing=mailing, pk__gt=first).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:SLICE_ROWS])
    some = Message.objects.filter(pk__in=ids).exclude(email_key__startswith=KEY)
    with transaction.atomic():
        _forget_answers(some)
        changed = some.update(**ANONYMOUS, redirected_to="", reason=_without(F("reason"), F("email"), F("email_key")))
        if len(ids) < SLICE_ROWS:
            own = {"name": ERASED, "subject": ERASED, "html": "", "text": ERASED, "files": []}
            is_own = mailing.stream in (Mailing.Stream.SINGLE, Mailing.Stream.NOTICE)
            Mailing.objects.filter(pk=mailing.pk).update(is_anonymous=True, **(own if is_own else {}))
    return Slice(changed, (mailing.pk, ids[-1] if ids else 0))


def _forget_answers(messages: QuerySet[Message]) -> None:
    of_attempt = Message.objects.filter(pk=OuterRef("message_id"))
    email, key = Subquery(of_attempt.values("email")), Subquery(of_attempt.values("email_key"))
    attempts = Attempt.objects.filter(message__in=messages).exclude(reply="")
    attempts.update(reply=_without(F("reply"), email, key))


def _without(text: Any, email: Any, key: Any) -> Replace:
    """Return the text without the address, in its original and its folded spelling."""
    word = Value(ERASED)
    return Replace(Replace(text, email, word), key, word, output_field=CharField())


def _tests(cutoff: dt.datetime) -> QuerySet[Message]:
    return Message.objects.filter(mailing__stream=Mailing.Stream.TEST, changed_at__lt=cutoff, merge__isnull=False)


def forget_test_values(cutoff: dt.datetime, after: Any) -> Slice:
    ids = list(_tests(cutoff).order_by("pk").values_list("pk", flat=True)[:SLICE_ROWS])
    changed = Message.objects.filter(pk__in=ids).update(merge=None)
    return Slice(changed, ids[-1] if len(ids) == SLICE_ROWS else None)


RULES = [
    RetentionRule("Recipients of messages", "RETAIN_MESSAGES_MONTHS", count_messages, forget_recipients),
    RetentionRule(
        "Whose values tests were filled with",
        "RETAIN_RAW_DAYS",
        lambda cutoff: _tests(cutoff).count(),
        forget_test_values,
    ),
]
