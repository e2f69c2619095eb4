"""Approvals of large campaigns by a second person, and overrides of preflight checks.

Both are valid for one version of the campaign: any edit makes them void. An approval also covers a number of people,
with a tolerance: see :mod:`campaigns.audience.allowances`.
"""

import datetime as dt
import json
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.audience import allowances
from campaigns.audience.audience import audience_of
from campaigns.content.written import Written
from campaigns.models import Approval, Campaign, CheckOverride, FrozenContent
from campaigns.preflight.finding import Finding, Severity
from campaigns.preflight.review import Review, review
from contacts.segments.audience import Audience

Decision = Approval.Decision
CHANGED = gettext_lazy("The campaign has just been changed. Check it again.")


@dataclass(frozen=True, slots=True)
class ApprovalStanding:
    """Whether a campaign needs the approval of a second person, and has it."""

    is_needed: bool
    needed_above: int | None
    latest: Approval | None  # The latest approval or request of the present version.
    void: Approval | None = None  # The latest one, if the campaign was edited since.
    is_outgrown: bool = False  # The approval covers fewer people than the campaign reaches now.

    @property
    def is_met(self) -> bool:
        is_approved = self.latest is not None and self.latest.decision == Decision.APPROVED
        return not self.is_needed or (is_approved and not self.is_outgrown)


# --- checks


def overrides(written: Written) -> dict[str, CheckOverride]:
    """Return the overrides of this version of the campaign, by the id of the check."""
    rows = CheckOverride.objects.filter(campaign=written.campaign, version=written.version)
    return {row.check_id: row for row in rows}


def unanswered(found: Review) -> list[Finding]:
    """Return the blocking findings that are not overridden."""
    answered = overrides(found.written) if any(finding.is_blocking for finding in found.findings) else {}
    return _without(found.findings, answered)


def unanswered_at_start(campaign: Campaign, findings: Iterable[Finding]) -> list[Finding]:
    """Return the blocking findings of a queued campaign that were not overridden before it was queued."""
    blocking = [finding for finding in findings if finding.is_blocking]
    if not blocking:
        return []
    queued = FrozenContent.objects.filter(campaign=campaign.pk).values("version")
    answered = CheckOverride.objects.filter(campaign=campaign.pk, version__in=queued)
    return _without(blocking, set(answered.values_list("check_id", flat=True)))


def _without(findings: Iterable[Finding], answered: Container[str]) -> list[Finding]:
    return [
        finding
        for finding in findings
        if finding.severity == Severity.FATAL or (finding.is_blocking and finding.check_id not in answered)
    ]


def override(campaign_id: int, check_id: str, reason: str, actor: Any, now: dt.datetime) -> str:
    """Override a check that blocks the campaign; return the reason to refuse, or an empty string.

    The caller has checked the actor's permission.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    if campaign.status != Campaign.Status.DRAFT:
        return _("Only the checks of a draft can be overridden.")
    if not reason.strip():
        return _("Enter a reason. It's saved with the campaign.")
    found = review(campaign, now)
    blocking = [finding for finding in found.findings if finding.check_id == check_id]
    if any(finding.severity == Severity.FATAL for finding in blocking):
        return _("This check can't be overridden: the campaign couldn't be sent at all.")
    blocking = [finding for finding in blocking if finding.severity == Severity.BLOCK]
    if not blocking:
        return _("This check no longer blocks the campaign.")
    CheckOverride.objects.update_or_create(
        campaign=campaign,
        check_id=check_id,
        version=found.written.version,
        defaults={
            "sentence": " ".join(finding.sentence for finding in blocking)[:1000],
            "reason": reason.strip()[:1000],
            "by": actor,
            "by_name": str(actor)[:150],
            "at": now,
        },
    )
    return ""


# --- the second person


def standing(written: Written, people: int) -> ApprovalStanding:
    """Return the approval state of a campaign that reaches this number of people."""
    needed_above = allowances.rule().needed_above
    if needed_above is None or people <= needed_above:
        return ApprovalStanding(False, needed_above, None)
    latest = Approval.objects.filter(campaign=written.campaign).select_related("requested_by").first()
    if latest is None:
        return ApprovalStanding(True, needed_above, None)
    if latest.version != written.version:
        return ApprovalStanding(True, needed_above, None, void=latest)
    is_outgrown = latest.decision == Decision.APPROVED and people > allowances.allowed(latest)
    return ApprovalStanding(True, needed_above, latest, is_outgrown=is_outgrown)


def waiting(most: int) -> list[Approval]:
    """Return the requests that a second person can decide on, the oldest first.

    :param most: the number of requests that are examined.
    """
    if allowances.rule().needed_above is None:
        return []
    open_now = Approval.objects.filter(decision=Decision.OPEN, campaign__status=Campaign.Status.DRAFT)
    requests = open_now.select_related("campaign").order_by("pk")[:most]
    return [request for request in requests if request.version == Written(request.campaign).version]


def is_audience_changed(campaign: Campaign) -> bool:
    """Whether a second person approved the campaign and its lists or conditions have changed since it was queued."""
    frozen = FrozenContent.objects.filter(campaign=campaign.pk).first()
    if frozen is None or frozen.audience == audience_json(audience_of(campaign)):
        return False
    return Approval.objects.filter(campaign=campaign.pk, decision=Decision.APPROVED, version=frozen.version).exists()


def audience_json(audience: Audience) -> Any:
    """Return an audience in the form in which JSON columns store it."""
    return json.loads(json.dumps(audience.as_json()))


def ask_for(campaign_id: int, note: str, actor: Any, now: dt.datetime) -> str:
    """Request approval by a second person; return the reason to refuse, or an empty string."""
    with transaction.atomic():
        written = Written.read(campaign_id, locks=True)
        campaign = written.campaign
        if campaign.status != Campaign.Status.DRAFT:
            return _("Only a draft can be approved.")
        version = written.version
        open_now = Approval.objects.filter(campaign=campaign, decision=Decision.OPEN)
        if open_now.filter(version=version).exists():
            return _("Approval has already been requested.")
        # A request that an edit has made void can no longer be decided.
        open_now.update(decision=Decision.REJECTED, note="No longer valid: the campaign was edited.", decided_at=now)
        try:
            with transaction.atomic():
                Approval.objects.create(
                    campaign=campaign,
                    version=version,
                    requested_by=actor,
                    requested_by_name=str(actor)[:150],
                    requested_at=now,
                    request_note=note.strip()[:1000],
                )
        except IntegrityError:
            return _("Approval has already been requested.")
    return ""


def decide(
    approval_id: int, is_approved: bool, note: str, actor: Any, now: dt.datetime, people: int | None = None
) -> str:
    """Approve or reject; return the reason to refuse, or an empty string. The person who asked cannot decide.

    :param people: the number of people that the actor's page showed; None for the present number.
    """
    approval = Approval.objects.select_related("campaign").get(pk=approval_id)
    if approval.requested_by_id == actor.pk:
        return _("You can't approve your own request. Ask someone else.")
    if approval.campaign.status != Campaign.Status.DRAFT:
        return _("The campaign is no longer a draft.")
    written = Written(approval.campaign)
    if approval.version != written.version:
        return str(CHANGED)
    if not is_approved and not note.strip():
        return _("Enter a note that says what to change.")
    if is_approved:  # The form's number may be forged, so it can only lower the number counted here.
        reached = written.headcounts.people(now).reached
        people = reached if people is None else min(people, reached)
    decided = Approval.objects.filter(pk=approval_id, decision=Decision.OPEN).update(
        people=people if is_approved else None,
        decision=Decision.APPROVED if is_approved else Decision.REJECTED,
        decided_by=actor,
        decided_by_name=str(actor)[:150],
        decided_at=now,
        note=note.strip()[:1000],
    )
    return "" if decided else _("Someone else has already decided.")
