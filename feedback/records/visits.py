"""Opens and clicks of a person: their export, their erasure, and their end after the time of retention. Counts stay."""

import datetime as dt
from operator import itemgetter
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, QuerySet

from contacts.privacy.erasure import Subject
from contacts.privacy.retention import SLICE_ROWS, RetentionRule, Slice
from db.locks import take_turns
from delivery.outcomes.visited import forget_first_visits
from delivery.records import erasure
from feedback.models import FirstVisit, PendingVisit, Visit
from mail.visits.names import Kind, Reason, Visitor


def opens_by_click() -> QuerySet[FirstVisit]:
    """Return the opens by people that are known by a click alone: programs had loaded the pixel."""
    opens = Visit.objects.filter(message=OuterRef("message"), kind=Kind.OPEN.value, visitor=Visitor.HUMAN.value)
    counted = FirstVisit.objects.filter(kind=Kind.OPEN.value, link_id=0, visitor=Visitor.HUMAN.value)
    return counted.exclude(Exists(opens))


def export(subject: Subject) -> list[dict[str, Any]]:
    """Return the person's opens and clicks, oldest first."""
    messages = erasure.of_person(subject).values("pk")
    visits = Visit.objects.filter(message__in=messages)
    inferred = [
        {
            "at": first.message.first_opened_at or first.at,
            "kind": first.kind,
            "mailing": first.message.mailing.name,
            "link": "",
            "by": "person",
            "because": Reason.CLICKED.value,
            "program": "",
        }
        for first in opens_by_click().filter(message__in=messages).select_related("message__mailing").order_by("pk")
    ]
    stored = [
        {
            "at": visit.at,
            "kind": visit.kind,
            "mailing": visit.message.mailing.name,
            "link": str(visit.link) if visit.link else "",
            "by": "person" if visit.visitor == Visitor.HUMAN else visit.visitor,
            "because": visit.reason,
            "program": visit.family,
        }
        for visit in visits.select_related("message__mailing", "link").order_by("at", "pk")
    ]
    return sorted(inferred + stored, key=itemgetter("at"))


def erase(subject: Subject) -> int:
    """Delete the person's opens and clicks; return the number of visits.

    In turn with verdicts: one that is given meanwhile ends before, so that its visit is found here.
    """
    take_turns("visits")
    messages = list(erasure.of_person(subject).values_list("pk", flat=True))
    PendingVisit.objects.filter(message__in=messages).delete()
    FirstVisit.objects.filter(message__in=messages).delete()
    return Visit.objects.filter(message__in=messages).delete()[0]


def _delete_oldest_firsts(cutoff: dt.datetime, after: object) -> Slice:
    """Delete the oldest first visits as far as they are due, and the times that their messages hold of them."""
    with transaction.atomic():
        oldest = FirstVisit.objects.order_by("pk")[:SLICE_ROWS]
        due = [first for first in oldest if first.at < cutoff]
        by_people = [first for first in due if first.visitor == Visitor.HUMAN and first.link_id == 0]
        forget_first_visits(
            [first.message_id for first in by_people if first.kind == Kind.OPEN],
            [first.message_id for first in by_people if first.kind == Kind.CLICK],
        )
        return _delete_oldest(FirstVisit, cutoff)


def _delete_oldest(model: type[models.Model], cutoff: dt.datetime) -> Slice:
    """Delete the oldest rows as far as they are due. Rows are in the order of time, so that no index is needed."""
    rows = model._default_manager.order_by("pk").values_list("pk", "at")[:SLICE_ROWS]
    ids = [pk for pk, at in rows if at < cutoff]
    model._default_manager.filter(pk__in=ids).delete()
    return Slice(len(ids), ids[-1] if len(ids) == SLICE_ROWS else None)


RULES = [
    RetentionRule(
        "Opens and clicks of single people",
        "RETAIN_FEEDBACK_MONTHS",
        lambda cutoff: Visit.objects.filter(at__lt=cutoff).count(),
        lambda cutoff, after: _delete_oldest(Visit, cutoff),
    ),
    RetentionRule(
        "Who opened and clicked at all",
        "RETAIN_FEEDBACK_MONTHS",
        lambda cutoff: FirstVisit.objects.filter(at__lt=cutoff).count(),
        _delete_oldest_firsts,
    ),
]
