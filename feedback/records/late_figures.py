"""Counts of feedback that came after the acceptance, for :mod:`campaigns.reports.figures`."""

import datetime as dt
from collections.abc import Iterator

from django.db.models import Case, CharField, Count, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce, StrIndex, Substr, TruncDate

from campaigns.reports.figures import LateCount
from delivery.models import Attempt, Mailing
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

    Servers have their names at sending, as in the other figures.

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
    # Of a report, the server of the attempt it is about; of an unsubscribe, the one that took the message.
    sent = Attempt.objects.filter(message=OuterRef("message")).order_by("-number").values("batch__server_name")
    about, taken = sent.filter(number=OuterRef("attempt")), sent.filter(outcome__in=Attempt.TAKEN)
    at_sending = Coalesce(Subquery(about[:1]), Subquery(taken[:1]), "message__server__name", Value(""))
    at = StrIndex("message__email_key", Value("@")) + 1
    columns = [When(kind=kind, then=Value(column)) for kind, column in COLUMNS.items()]
    found = rows.annotate(
        column=Case(*columns, output_field=CharField()),
        mailing_id=Case(is_campaigns, default=Value(0)),
        domain=Substr("message__email_key", at, output_field=CharField()),
        server_name=at_sending,
    ).values_list("column", "day", "mailing_id", "server_name", "domain")
    for column, on, mailing_id, server_name, domain, number in found.annotate(number=Count("message", distinct=True)):
        yield LateCount(column, on, mailing_id, server_name, domain.lower(), number)
