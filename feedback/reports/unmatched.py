"""Bounces that match no message of ours: noted, so that :mod:`feedback.forwards` sends them on to people."""

from collections.abc import Iterable

from feedback.models import Feedback, Forward, Report

BOUNCES = {Feedback.Kind.HARD_BOUNCE, Feedback.Kind.SOFT_BOUNCE, Feedback.Kind.CONTENT, Feedback.Kind.SERVER}


def note(reports: Iterable[Report]) -> None:
    """Note the bounces that came to a return path and match no message, in the caller's transaction."""
    raws = {
        report.raw.pk: report.raw
        for report in reports
        if report.raw and report.state == Report.State.UNMATCHED and report.kind in BOUNCES and report.raw.envelope_to
    }
    Forward.objects.bulk_create(
        (Forward(raw=raw, address=raw.envelope_to, is_unmatched=True) for raw in raws.values()), ignore_conflicts=True
    )
