"""Findings in the database: an unanswered question changes no state, and every change is kept."""

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from domains.inspection import HostProof, Inspection
from domains.models import DnsChange, DnsFinding, SendingDomain
from mail.records.finding import COULD_NOT_ASK, Finding, Line, State
from mail.records.transport import PolicySeen

BETWEEN_LOOKS = dt.timedelta(days=1)
WHILE_BROKEN = dt.timedelta(hours=1)  # Also while something could not be asked.
CHANGES_KEPT = 200  # For each domain.


def save(domain: SendingDomain, found: Inspection, now: dt.datetime) -> None:
    """Store what a look found, and when the next one is due."""
    with transaction.atomic():
        # Two looks at once would each make the same rows; and somebody may have deleted the domain meanwhile.
        if not list(SendingDomain.objects.select_for_update().filter(pk=domain.pk).values_list("pk")):
            return
        known = {finding.line: finding for finding in domain.findings.all()}
        for finding in found.findings:
            rows = [list(row) for row in found.rows] if finding.line is Line.ALIGNMENT else []
            _save_line(domain, known.get(finding.line), finding, rows, now)
        is_urgent = any(finding.state is State.BROKEN or finding.fault == COULD_NOT_ASK for finding in found.findings)
        if found.host_proof is not None:
            is_urgent |= not found.host_proof.is_good
            _save_proof(domain, found.host_proof)
        sts = found.sts
        _end_look(domain, now + (WHILE_BROKEN if is_urgent else BETWEEN_LOOKS))
        SendingDomain.objects.filter(pk=domain.pk).update(
            checked_at=now,
            sts={
                "id": sts.id,
                "text": sts.text,
                "testing_since": sts.testing_since.isoformat() if sts.testing_since else "",
            },
        )
        _forget_old_changes(domain)


def _save_proof(domain: SendingDomain, proof: HostProof) -> None:
    """Store whether a host of links is proved, unless somebody has chosen another one since."""
    chosen = SendingDomain.objects.filter(pk=domain.pk, tracking_host=proof.host)
    if proof.is_good:
        chosen.update(proved_tracking_host=proof.host, is_tracking_host_good=True)
    else:
        chosen.update(is_tracking_host_good=False)


def put_off(domain: SendingDomain, now: dt.datetime) -> None:
    """Store that a look came to nothing: what was known stays, and the next look is due in an hour."""
    _end_look(domain, now + WHILE_BROKEN)


def _end_look(domain: SendingDomain, next_check_at: dt.datetime) -> None:
    """Store when the next look is due, unless somebody has asked for another one since this one began."""
    ours = SendingDomain.objects.filter(pk=domain.pk, next_check_at=domain.next_check_at)
    ours.update(taken_at=None, next_check_at=next_check_at)


def policy_seen(domain: SendingDomain) -> PolicySeen:
    """Return what the last look remembered of the MTA-STS policy."""
    since = domain.sts.get("testing_since", "")
    return PolicySeen(
        domain.sts.get("id", ""), domain.sts.get("text", ""), dt.datetime.fromisoformat(since) if since else None
    )


def _save_line(
    domain: SendingDomain, known: DnsFinding | None, finding: Finding, rows: Sequence[object], now: dt.datetime
) -> None:
    if finding.fault == COULD_NOT_ASK and known is not None:
        DnsFinding.objects.filter(pk=known.pk).update(unanswered_at=now, unanswered=finding.sentence[:300])
        return
    is_same = known is not None and (known.state, known.fault) == (finding.state.value, finding.fault)
    is_answered = finding.fault != COULD_NOT_ASK
    values = {
        "state": finding.state.value,
        "fault": finding.fault,
        "sentence": str(finding.sentence),
        "seen": str(finding.seen),
        "record_name": finding.record.name if finding.record else "",
        "record_kind": finding.record.kind if finding.record else "",
        "record_value": finding.record.value if finding.record else "",
        "rows": rows,
        "changed_at": known.changed_at if known is not None and is_same else now,
        "asked_at": now,
        "unanswered_at": None if is_answered else now,
        "unanswered": "" if is_answered else finding.sentence[:300],
    }
    DnsFinding.objects.update_or_create(domain=domain, line=finding.line.value, defaults=values)
    if known is not None and known.fault != COULD_NOT_ASK and not (is_same and known.seen == finding.seen):
        DnsChange.objects.create(
            domain=domain,
            line=finding.line.value,
            before=known.state,
            after=finding.state.value,
            sentence=str(finding.sentence),
            seen_before=known.seen,
            seen_after=str(finding.seen),
            changed_at=now,
            # A first answer, or another record in the same state, is on the page and no news.
            is_told=known.state == finding.state.value or State.BROKEN.value not in (known.state, finding.state.value),
        )


def _forget_old_changes(domain: SendingDomain) -> None:
    kept = list(domain.changes.values_list("pk", flat=True)[:CHANGES_KEPT])
    if len(kept) == CHANGES_KEPT:
        domain.changes.exclude(pk__in=kept).delete()
