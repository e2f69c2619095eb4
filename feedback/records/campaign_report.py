"""What a campaign's report says of feedback that is no unsubscribe."""

from feedback.models import Feedback


def count_complaints(mailing_id: int) -> int:
    """Return how many recipients of a mailing marked it as spam."""
    return _count(mailing_id, Feedback.Kind.COMPLAINT)


def count_auto_replies(mailing_id: int) -> int:
    """Return how many recipients of a mailing answered automatically."""
    return _count(mailing_id, Feedback.Kind.AUTO_REPLY)


def _count(mailing_id: int, kind: str) -> int:
    # A copy's reader is no recipient.
    rows = Feedback.objects.filter(message__mailing_id=mailing_id, message__copy_of=None, kind=kind)
    return rows.values("message").distinct().count()
