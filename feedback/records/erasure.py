"""Export of a person's feedback, and its erasure in place, so that all counts stay."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from contacts.privacy.erasure import PersonalData, Subject
from contacts.privacy.redaction import ERASED
from delivery.records import erasure
from feedback.models import Feedback, RawReport, RelayedUnsubscribe, Report
from feedback.records import raw_reports, visits


def of_person(subject: Subject) -> QuerySet[Feedback]:
    """Return the feedback to the person's messages, or under one of their addresses."""
    return Feedback.objects.filter(Q(message__in=_messages(subject)) | Q(email__in=[*subject.emails, *subject.keys]))


def reports_of(subject: Subject) -> QuerySet[Report]:
    """Return the reports about the person's messages, or that name one of their addresses."""
    return Report.objects.filter(Q(message__in=_messages(subject)) | Q(recipient__in=[*subject.emails, *subject.keys]))


def _messages(subject: Subject) -> list[int]:
    """Return the person's messages. As a list, since PostgreSQL reads the whole table for "in a query, or …"."""
    return list(erasure.of_person(subject).values_list("pk", flat=True))


def emails(contact_id: int) -> Iterable[str]:
    return ()


def stop(subject: Subject, now: dt.datetime) -> bool:
    return False


def export(subject: Subject) -> dict[str, Any]:
    return {
        "feedback": [
            {
                "at": row.received_at,
                "kind": row.kind,
                "by": row.channel,
                "from all mail": row.is_global,
                "cause": row.cause,
                "reason": row.reason,
                "taken back at": row.undone_at,
                **_relayed(row),
            }
            for row in of_person(subject).select_related("relay").order_by("received_at", "pk")
        ],
        "reports": [
            {
                "at": row.received_at,
                "by": row.source,
                "kind": row.kind,
                "state": row.state,
                "recipient": row.recipient,
                "code": row.code,
                "enhanced code": row.enhanced,
                "answer": row.text,
            }
            for row in reports_of(subject).order_by("pk")
        ],
        "opens and clicks": visits.export(subject),
    }


def _relayed(row: Feedback) -> dict[str, Any]:
    relay = getattr(row, "relay", None)
    return {"passed on": {"state": relay.state, "at": relay.called_at, "answer": relay.answer}} if relay else {}


def erase(subject: Subject, now: dt.datetime) -> dict[str, int]:
    """Redact the person's feedback, and delete reports; call it while their messages have the address that finds it.

    An errand deletes raw reports that name the person without being about their messages, and redacts other texts.
    """
    reports = reports_of(subject)
    raws = set(reports.exclude(raw=None).values_list("raw", flat=True))
    number = reports.delete()[0]
    visited = visits.erase(subject)
    RawReport.objects.filter(pk__in=raws).delete()
    raw_reports.search_later(subject, now)
    ids = list(of_person(subject).values_list("pk", flat=True))
    Feedback.objects.filter(pk__in=ids).update(email=ERASED, reason="")
    calls = RelayedUnsubscribe.objects.filter(feedback__in=ids)
    calls.exclude(state=RelayedUnsubscribe.State.PASSED_ON).delete()
    return {"feedback": len(ids), "reports": number, "opens and clicks": visited}


PART = PersonalData(emails=emails, stop=stop, export=export, erase=erase)
