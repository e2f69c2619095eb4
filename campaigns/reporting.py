"""What became of a campaign so far, in figures and plain words. Read-only; no address of anybody is in it."""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from campaigns.models import Campaign
from delivery import accounting
from delivery.models import Mailing, Message
from smtpservers.selection import named_servers

Status = Message.Status

# Counts of what came back later, by label. ``feedback`` stands above this room and adds its own when it starts.
LATE_OUTCOMES: dict[str, Callable[[int], int]] = {}

EXPLANATIONS = {
    Status.QUEUED: "Not tried yet.",
    Status.SENDING: "A worker is handing it over now.",
    Status.DEFERRED: "A server said “not now”. It is tried again by itself.",
    Status.ACCEPTED: "A server took responsibility for it. What the recipient’s side does with it comes later.",
    Status.BOUNCED: "The recipient’s side refused it.",
    Status.FAILED: "It could not be sent, and the address is not to blame. You can retry it.",
    Status.EXPIRED: "It was tried until its time was over. You can retry it.",
    Status.SUPPRESSED: "The person unsubscribed or must not be written to, so nothing was sent.",
    Status.CANCELLED: "The campaign was cancelled before it was sent.",
    Status.UNCONFIRMED: "Sent in full, but the answer was lost: it may have arrived. Nothing is sent twice by itself.",
}
# As people read it: what is good, what waits, what went wrong.
ORDER = (
    Status.ACCEPTED,
    Status.SENDING,
    Status.QUEUED,
    Status.DEFERRED,
    Status.UNCONFIRMED,
    Status.BOUNCED,
    Status.FAILED,
    Status.EXPIRED,
    Status.SUPPRESSED,
    Status.CANCELLED,
)
_ADDRESS = re.compile(r"(?:\"[^\"]*\"|[^\s<>\"(),;:]+)@[^\s<>\"'(),;]+")
_CODE = re.compile(r"[245]\d\d(?:[ -]\d\.\d{1,3}\.\d{1,3})?(?=\D|$)")


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a whole: a status or a server."""

    key: str
    label: str
    explanation: str
    count: int
    percent: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the progress page shows."""

    total: int = 0
    settled: int = 0  # Whose status is final.
    percent: int = 0
    statuses: list[Share] = field(default_factory=list)
    servers: list[Share] = field(default_factory=list)
    named_servers: str = ""  # Those that the campaign names; empty: all that the routing rules allow.
    reasons: list[tuple[str, str, int]] = field(default_factory=list)  # Status in words, reason, how many.
    late: list[tuple[str, int]] = field(default_factory=list)
    rate: float = 0.0  # Messages a second.
    remaining: dt.timedelta | None = None
    waiting_reason: str = ""
    is_paused: bool = False
    waiting_until: dt.datetime | None = None
    is_live: bool = False  # Whether the figures may still change by themselves.
    retriable: int = 0
    summary: str = ""


LIVE = (Campaign.Status.SCHEDULED, Campaign.Status.SENDING, Campaign.Status.PAUSED)


def report(campaign: Campaign, now: dt.datetime, *, with_replies: bool) -> Report:
    """Return the report of a campaign.

    :param with_replies: whether to quote what servers answered. They quote the address or the person's name,
        so whoever may not see recipients gets the codes alone.
    """
    if campaign.mailing_id is None:
        return Report(is_live=campaign.status in LIVE, summary=_summary(campaign, 0, 0))
    mailing = Mailing.objects.get(pk=campaign.mailing_id)
    counts = accounting.counts(mailing.pk)
    total = sum(counts.values())
    settled = total - sum(counts[status] for status in Message.PENDING)
    is_sending = campaign.status == Campaign.Status.SENDING
    is_paused = campaign.status == Campaign.Status.PAUSED
    return Report(
        total=total,
        settled=settled,
        percent=settled * 100 // total if total else 0,
        statuses=[
            Share(status.value, status.label, EXPLANATIONS[status], counts[status], _percent(counts[status], total))
            for status in ORDER
            if counts[status] or status == Status.ACCEPTED
        ],
        servers=_servers(mailing.pk),
        named_servers=named_servers(mailing.server_ids),
        reasons=_reasons(mailing.pk, with_replies),
        late=[(label, count(mailing.pk)) for label, count in LATE_OUTCOMES.items()],
        rate=accounting.rate(mailing.pk, now) if is_sending else 0.0,
        remaining=accounting.remaining(mailing.pk, now) if is_sending else None,
        waiting_reason=_waiting_reason(mailing, with_replies) if is_sending or is_paused else "",
        is_paused=is_paused,
        waiting_until=mailing.waiting_until if is_sending else None,
        # A cancelled campaign lives on until what was on the line has its answer.
        is_live=campaign.status in LIVE or bool(counts[Status.SENDING]),
        retriable=(counts[Status.FAILED] + counts[Status.EXPIRED])
        if campaign.status != Campaign.Status.CANCELLED
        else 0,
        summary=_summary(campaign, settled, total),
    )


def _summary(campaign: Campaign, settled: int, total: int) -> str:
    match campaign.status:
        case Campaign.Status.DRAFT:
            return "This is a draft. Nothing has been sent."
        case Campaign.Status.SCHEDULED:
            return f"The recipients are being prepared, {total:,} so far." if total else "The worker is about to start."
        case Campaign.Status.SENDING:
            return f"{settled:,} of {total:,} are done."
        case Campaign.Status.PAUSED:
            return f"Paused. {settled:,} of {total:,} are done."
        case Campaign.Status.CANCELLED:
            return "Cancelled. What had not left never will."
        case _:
            return f"Finished. All {total:,} are accounted for."


def _percent(count: int, total: int) -> float:
    return round(count * 100 / total, 2) if total else 0.0


def _servers(mailing_id: int) -> list[Share]:
    rows = accounting.by_server(mailing_id)
    accepted_in_all = sum(accepted for _, accepted, _ in rows)
    return [
        Share(name, name, f"{tried:,} tried", accepted, _percent(accepted, accepted_in_all))
        for name, accepted, tried in rows
    ]


def _reasons(mailing_id: int, with_replies: bool) -> list[tuple[str, str, int]]:
    rows: dict[tuple[str, str], int] = {}
    for status, reason, count in accounting.reasons(mailing_id):
        label = Status(status).label
        shown = reason if with_replies else without_addresses(reason)
        rows[label, shown] = rows.get((label, shown), 0) + count
    return [(label, reason, count) for (label, reason), count in rows.items()]


def _waiting_reason(mailing: Mailing, with_replies: bool) -> str:
    # It may quote the answer that stopped the mailing.
    return mailing.waiting_reason if with_replies else _ADDRESS.sub("…", mailing.waiting_reason)


def without_addresses(reason: str) -> str:
    """Return a reason without anything that names a person: of a server's answer only the codes remain."""
    if code := _CODE.match(reason):
        return code.group()
    return _ADDRESS.sub("…", reason)
