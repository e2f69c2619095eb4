"""Export and erasure of a person's sign-ups."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from contacts.privacy.erasure import PersonalData, Subject
from publicpages.models import SignUp


def of_person(subject: Subject) -> QuerySet[SignUp]:
    same = Q(contact=subject.contact_id)
    for key in subject.keys:
        same |= Q(email__iexact=key)
    return SignUp.objects.filter(same)


def emails(contact_id: int) -> Iterable[str]:
    return ()


def stop(subject: Subject, now: dt.datetime) -> bool:
    """Delete sign-ups that no worker has processed yet."""
    of_person(subject).filter(taken_at=None).delete()
    return False


def export(subject: Subject) -> dict[str, Any]:
    return {
        "sign-ups": [
            {
                "at": row.received_at,
                "e-mail": row.email,
                "first name": row.first_name,
                "last name": row.last_name,
                "choices": row.choices,
                "opens and clicks": row.tracking,
                "network": row.network,
                "confirmed at": row.confirmed_at,
            }
            for row in of_person(subject).order_by("received_at")
        ],
    }


def erase(subject: Subject, now: dt.datetime) -> dict[str, int]:
    deleted, _ = of_person(subject).delete()
    return {"sign-ups": deleted}


PART = PersonalData(emails=emails, stop=stop, export=export, erase=erase)
