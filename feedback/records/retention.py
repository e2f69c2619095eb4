"""Retention of feedback: after the period only kind, mailing and time remain, without the person."""

import datetime as dt
from typing import Any

from django.db.models import QuerySet

from contacts.privacy.redaction import ERASED
from contacts.privacy.retention import SLICE_ROWS, RetentionRule, Slice
from feedback.models import Feedback


def _old(cutoff: dt.datetime) -> QuerySet[Feedback]:
    return Feedback.objects.filter(received_at__lt=cutoff).exclude(email=ERASED)


def forget_people(cutoff: dt.datetime, after: Any) -> Slice:
    ids = list(_old(cutoff).filter(pk__gt=after or 0).order_by("pk").values_list("pk", flat=True)[:SLICE_ROWS])
    changed = Feedback.objects.filter(pk__in=ids).update(email=ERASED, reason="")
    return Slice(changed, ids[-1] if len(ids) == SLICE_ROWS else None)


RULES = [
    RetentionRule(
        "Who gave feedback, and in which words",
        "RETAIN_FEEDBACK_MONTHS",
        lambda cutoff: _old(cutoff).count(),
        forget_people,
    )
]
