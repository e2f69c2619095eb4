"""Counts of feedback that came after the acceptance, for :mod:`campaigns.reports.figures`."""

import datetime as dt
from collections.abc import Iterator

from django.db.models import Case, CharField, Count, F, Value, When
from django.db.models.functions import StrIndex, Substr, TruncDate

from campaigns.reports.figures import LateCount
from delivery.models import Mailing
from feedback.models import Feedback
from installation.site import site

Kind = Feedback.Kind
COLUMNS = {
    Kind.UNSUBSCRIBE: "unsubscribed",
    Kind.COMPLAINT: "complaints",
    **dict.fromkeys((Kind.HARD_BOUNCE, Kind.SOFT_BOUNCE, Kind.CONTENT, Kind.SERVER), "late_bounces"),
}


def late_counts(start: dt.date | None, end: dt.date | None) -> Iterator[LateCount]:
    """Yield the numbers of messages by column, day, campaign, server and domain; each counts once in a column and day.

    :param start: the first day, in the site's time zone; None: from the beginning.
    :param end: the last day, included; None: until now.
    """
    day = TruncDate("received_at", tzinfo=site().time_zone)
    rows = Feedback.objects.filter(kind__in=COLUMNS, undone_at=None, message__isnull=False)
    rows = rows.order_by().annotate(day=day)
    if start is not None:
        rows = rows.filter(day__gte=start)
    if end is not None:
        rows = rows.filter(day__lte=end)
    # Copies belong to no campaign.
    is_campaigns = When(
        message__mailing__stream=Mailing.Stream.CAMPAIGN, message__copy_of=None, then=F("message__mailing_id")
    )
    at = StrIndex("message__email_key", Value("@")) + 1
    columns = [When(kind=kind, then=Value(column)) for kind, column in COLUMNS.items()]
    found = rows.annotate(
        column=Case(*columns, output_field=CharField()),
        mailing_id=Case(is_campaigns, default=Value(0)),
        domain=Substr("message__email_key", at, output_field=CharField()),
    ).values_list("column", "day", "mailing_id", "message__server__name", "domain")
    for column, on, mailing_id, server_name, domain, number in found.annotate(number=Count("message", distinct=True)):
        yield LateCount(column, on, mailing_id, server_name or "", domain.lower(), number)
