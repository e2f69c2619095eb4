"""Sums of the stored counts of opens and clicks, for :mod:`delivery.records.visits`."""

from collections.abc import Iterator

from django.db.models import CharField, F, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import TruncDate

from delivery.records.visits import By, VisitQuery, VisitSum
from feedback.models import VisitCount
from installation.site import site

_COLUMNS: dict[By, str] = {
    "mailing": "mailing_id",
    "server": "server_name",
    "provider": "provider",
    "family": "family",
    "link": "link_id",
    "quarter": "quarter_at",
}


def visit_sums(asked: VisitQuery) -> Iterator[VisitSum]:
    """Yield the selected sums."""
    rows = VisitCount.objects.order_by()
    rows = rows.filter(link_id__gt=0) if asked.by == "link" else rows.filter(link_id=0)
    if asked.mailing_ids is not None:
        rows = rows.filter(mailing__in=list(asked.mailing_ids))
    if asked.server_name:
        rows = rows.filter(server_name=asked.server_name)
    if asked.start is not None:
        rows = rows.filter(quarter_at__gte=asked.start)
    if asked.end is not None:
        rows = rows.filter(quarter_at__lt=asked.end)
    columns = ("key", "kind", "visitor", "is_personal")
    groups = rows.annotate(key=_key(asked.by)).values_list(*columns)
    for row in groups.annotate(all_loads=Sum("loads"), all_people=Sum("people")):
        yield VisitSum(*row)


def _key(by: By) -> Combinable:
    if by == "day":
        # Time zones differ from UTC by whole quarters of an hour, so a quarter lies within one day.
        return TruncDate("quarter_at", tzinfo=site().time_zone)
    return F(_COLUMNS[by]) if by else Value("", output_field=CharField())
