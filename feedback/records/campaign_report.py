"""What a campaign's report says of feedback that is no unsubscribe, and what decides its A/B test."""

from collections.abc import Collection

from django.db.models import Q, Sum

from campaigns.ab_test.winner import Visits
from feedback.models import Feedback, VisitCount
from mail.visits.names import Kind, Visitor


def count_complaints(mailing_id: int) -> int:
    """Return how many recipients of a mailing marked it as spam."""
    return _count(mailing_id, Feedback.Kind.COMPLAINT)


def count_auto_replies(mailing_id: int) -> int:
    """Return how many recipients of a mailing answered automatically."""
    return _count(mailing_id, Feedback.Kind.AUTO_REPLY)


def visits_by_people(mailing_ids: Collection[int]) -> dict[int, Visits]:
    """Return the visits by people to each of these mailings that has one."""
    counts = VisitCount.objects.filter(mailing__in=mailing_ids, visitor=Visitor.HUMAN, link_id=0).order_by()
    clicks, opens = Q(kind=Kind.CLICK), Q(kind=Kind.OPEN)
    sums = counts.values("mailing").annotate(
        clicked=Sum("people", filter=clicks, default=0),
        clicks=Sum("loads", filter=clicks & Q(is_personal=False), default=0),
        opened=Sum("people", filter=opens, default=0),
    )
    return {each["mailing"]: Visits(each["clicked"], each["clicks"], each["opened"]) for each in sums}


def _count(mailing_id: int, kind: str) -> int:
    # A copy's reader is no recipient.
    rows = Feedback.objects.filter(message__mailing_id=mailing_id, message__copy_of=None, kind=kind)
    return rows.values("message").distinct().count()
