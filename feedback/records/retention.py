"""Retention of feedback: after the period only kind, mailing and time remain, without the person.

Reports go entirely, raw ones sooner. Their fingerprints stay for good, so that no repetition counts, however late.
"""

import datetime as dt
from typing import Any

from django.db.models import QuerySet

from contacts.privacy.redaction import ERASED
from contacts.privacy.retention import SLICE_ROWS, RetentionRule, Slice, delete_slice
from feedback.models import ArrivedTest, Feedback, RawReport, Report
from feedback.records import visits


def _old(cutoff: dt.datetime) -> QuerySet[Feedback]:
    return Feedback.objects.filter(received_at__lt=cutoff).exclude(email=ERASED)


def forget_people(cutoff: dt.datetime, after: Any) -> Slice:
    ids = list(_old(cutoff).filter(pk__gt=after or 0).order_by("pk").values_list("pk", flat=True)[:SLICE_ROWS])
    changed = Feedback.objects.filter(pk__in=ids).update(email=ERASED, reason="")
    return Slice(changed, ids[-1] if len(ids) == SLICE_ROWS else None)


def _old_reports(cutoff: dt.datetime) -> QuerySet[Report]:
    return Report.objects.filter(received_at__lt=cutoff)


def _old_raws(cutoff: dt.datetime) -> QuerySet[RawReport]:
    return RawReport.objects.filter(received_at__lt=cutoff).exclude(state=RawReport.State.WAITING)


def _old_arrivals(cutoff: dt.datetime) -> QuerySet[ArrivedTest]:
    return ArrivedTest.objects.filter(arrived_at__lt=cutoff)


RULES = [
    RetentionRule(
        "Raw reports of bounces and complaints",
        "RETAIN_RAW_DAYS",
        lambda cutoff: _old_raws(cutoff).count(),
        lambda cutoff, after: delete_slice(_old_raws(cutoff)),
    ),
    RetentionRule(
        "Tests that arrived in mailboxes",
        "RETAIN_RAW_DAYS",
        lambda cutoff: _old_arrivals(cutoff).count(),
        lambda cutoff, after: delete_slice(_old_arrivals(cutoff)),
    ),
    RetentionRule(
        "Reports of bounces and complaints",
        "RETAIN_FEEDBACK_MONTHS",
        lambda cutoff: _old_reports(cutoff).count(),
        lambda cutoff, after: delete_slice(_old_reports(cutoff)),
    ),
    RetentionRule(
        "Who gave feedback, and in which words",
        "RETAIN_FEEDBACK_MONTHS",
        lambda cutoff: _old(cutoff).count(),
        forget_people,
    ),
    *visits.RULES,
]
