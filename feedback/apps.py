"""The app configuration of ``feedback``, and its contributions to lower rooms."""

from functools import cache
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

if TYPE_CHECKING:
    from delivery.clock_steps import Waits


class FeedbackConfig(AppConfig):
    name = "feedback"
    verbose_name = _("Messages")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns.ab_test.winner import MAILING_VISITS
        from campaigns.preflight.checks.receivers import OLDEST_UNREAD
        from campaigns.reports.figures import LATE_COUNTS
        from campaigns.reports.report import LATE_OUTCOMES
        from contacts.consent.suppressed import SUPPRESSED_ELSEWHERE
        from contacts.privacy.contact_page import SECTION_BUILDERS
        from contacts.privacy.erasure import PERSONAL_DATA
        from contacts.privacy.retention import RULES
        from contacts.segments.query import CONDITION_KINDS
        from delivery.clock_steps import WAITS
        from delivery.health.readiness import CHECKS
        from delivery.operators.receipts import RECEIPTS
        from delivery.operators.restored_copy import CATCH_UPS
        from delivery.records.visits import LINK_CLICKS, VISIT_SUMS
        from domains.reports.uploads import READERS
        from encryption.rotation import OTHER_SECRETS
        from feedback.intake.store import oldest_waiting, reseal
        from feedback.mailboxes.restored import read_again
        from feedback.mailboxes.seed_tests import receipt_of
        from feedback.records import erasure, retention
        from feedback.records.campaign_report import count_auto_replies, count_complaints, visits_by_people
        from feedback.records.contact_page import feedback_of
        from feedback.records.late_figures import late_counts
        from feedback.records.link_clicks import clicks_on
        from feedback.records.segment_fields import FEEDBACK
        from feedback.records.still_suppressed import at_providers
        from feedback.records.visit_figures import visit_sums
        from feedback.records.visit_segments import VISIT_KINDS
        from feedback.records.visit_story import visits_of
        from feedback.reports.reader import read_upload
        from feedback.unsubscribe import count_unsubscribed
        from feedback.visits.turn import uncounted

        CATCH_UPS.register("mailboxes", read_again)
        CHECKS.register("visits", uncounted)
        CONDITION_KINDS.register("feedback", FEEDBACK)
        for name, kind in VISIT_KINDS.items():
            CONDITION_KINDS.register(name, kind)
        MAILING_VISITS.register("feedback", visits_by_people)
        OTHER_SECRETS.register("raw reports", reseal)
        OLDEST_UNREAD.register("feedback", oldest_waiting)
        LATE_COUNTS.register("feedback", late_counts)
        LINK_CLICKS.register("feedback", clicks_on)
        LATE_OUTCOMES.register(gettext_noop("Unsubscribed"), count_unsubscribed)
        LATE_OUTCOMES.register(gettext_noop("Complaints"), count_complaints)
        LATE_OUTCOMES.register(gettext_noop("Auto-replies"), count_auto_replies)
        READERS.register("feedback", read_upload)
        RECEIPTS.register("mailboxes", receipt_of)
        SUPPRESSED_ELSEWHERE.register("providers", at_providers)
        VISIT_SUMS.register("visits", visit_sums)
        SECTION_BUILDERS.register("visits", visits_of)
        SECTION_BUILDERS.register("feedback", feedback_of)
        PERSONAL_DATA.register("feedback", erasure.PART)
        for rule in retention.RULES:
            RULES.register(rule.title, rule)
        for name, waits in _waits().items():
            WAITS.register(name, waits)


@cache
def _waits() -> dict[str, "Waits"]:
    """Return what moves with the clock, the same at each start."""
    from delivery.clock_steps import Waits
    from feedback.models import CountingGap, Mailbox, PendingVisit, RawReport, RelayedUnsubscribe
    from feedback.visits.verdicts import KEPT_AFTER_FIRST_LOOK

    return {
        "mailboxes": Waits(Mailbox, ("due_at", "lease_until")),
        "raw reports": Waits(RawReport, ("claimed_until",)),
        "relayed unsubscribes": Waits(RelayedUnsubscribe, ("due_at",)),
        "visits": Waits(PendingVisit, ("due_at",), KEPT_AFTER_FIRST_LOOK),
        "uncounted visits": Waits(CountingGap, ("ended_at",)),
    }
