"""Reports for pages: lists by kind and state, and those of one message."""

from dataclasses import dataclass

from django.db.models import QuerySet

from feedback.models import RawReport, Report

PAGE = 100


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A page of reports, newest first."""

    reports: list[Report]
    older: int | None = None  # The id before which the next page begins; None: there is none.


def page(*, kind: str = "", state: str = "", before: int | None = None) -> ReportPage:
    """Return the newest reports.

    :param kind: one of ``Feedback.Kind``; empty: all.
    :param state: one of ``Report.State``; empty: all.
    :param before: only reports with a lower id; None: from the newest on.
    """
    rows = _related(Report.objects.order_by("-pk"))
    if kind:
        rows = rows.filter(kind=kind)
    if state:
        rows = rows.filter(state=state)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    some = list(rows[: PAGE + 1])  # One more than shown, to see whether there are others.
    return ReportPage(some[:PAGE], some[PAGE - 1].pk if len(some) > PAGE else None)


def of_message(message_id: int) -> list[Report]:
    """Return all reports about a message, oldest first."""
    return list(_related(Report.objects.filter(message=message_id)).order_by("pk"))


def not_read() -> QuerySet[RawReport]:
    """Return raw reports that have no report: not proved, or unreadable; newest first."""
    states = (RawReport.State.UNPROVED, RawReport.State.UNREADABLE)
    return RawReport.objects.filter(state__in=states).defer("sealed").order_by("-pk")


def _related(reports: QuerySet[Report]) -> QuerySet[Report]:
    return reports.select_related("message", "server", "feedback").defer("message__merge")
