"""The report of a campaign so far, in figures and words. Read-only, and without anybody's address."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from django.utils import timezone

from campaigns.ab_test.comparison import Comparison, compare, done, summary
from campaigns.models import Campaign, TallyMark
from campaigns.reports import pace
from campaigns.reports.cache import remembered
from campaigns.reports.figures import COLUMNS, AnswerCount, FiguresLine, FiguresQuery, figures
from campaigns.reports.providers import OTHERS
from campaigns.reports.tally import held_since
from campaigns.schedule import mailings as schedule_mailings
from delivery.health import readiness
from delivery.models import Mailing, Message
from delivery.operators import restored_copy
from delivery.records import figures as records_figures
from registry import Registry
from smtpservers.routing.candidates import named_servers

Status = Message.Status

# Functions that count later feedback on a mailing, by label. ``feedback`` stands above this room and adds its own when
# it starts.
LATE_OUTCOMES: Registry[Callable[[int], int]] = Registry()

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
SENT_ELSEWHERE = "It may have been sent before this database was restored or copied. Nothing is sent twice by itself."
SENT_SOMEWHERE = (
    "It may have been sent: the answer was lost, or this database was restored or copied since. Nothing is sent twice"
    " by itself."
)
# Display order: good, waiting, bad.
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
class ReportShare:
    """One part of a whole: a status or a server."""

    key: str
    label: str
    explanation: str
    count: int
    percent: float


@dataclass(frozen=True, slots=True)
class Report:
    """All contents of the progress page."""

    total: int = 0
    settled: int = 0  # Messages with a final status.
    percent: int = 0
    statuses: list[ReportShare] = field(default_factory=list)
    servers: list[ReportShare] = field(default_factory=list)
    named_servers: str = ""  # Names of the chosen servers; empty: all that the routing rules allow.
    providers: list[FiguresLine] = field(default_factory=list)
    answers: list[AnswerCount] = field(default_factory=list)
    counted_at: dt.datetime | None = None  # When providers and answers were complete for the last time.
    held_since: dt.datetime | None = None  # Since then providers and answers lack newer attempts.
    reasons: list[tuple[str, str, int]] = field(default_factory=list)  # Status in words, reason, number.
    sent_elsewhere: int = 0  # Messages that the original of a restored copy may have sent; not tried here.
    late: list[tuple[str, int]] = field(default_factory=list)  # Later feedback, by label.
    rate: float = 0.0  # Messages per second.
    time_left: str = ""  # In words.
    waiting_reason: str = ""
    is_paused: bool = False
    obstacles: list[str] = field(default_factory=list)  # Sentences about problems that stop all mail.
    waiting_until: dt.datetime | None = None
    is_live: bool = False  # Whether the figures may still change by themselves.
    retriable: int = 0
    summary: str = ""
    test: Comparison | None = None  # The A/B test.


LIVE = (Campaign.Status.SCHEDULED, Campaign.Status.SENDING, Campaign.Status.PAUSED)
MOST_PROVIDERS = 20
SETTLING = "Cancelled. Nothing more is sent. {left:,} of {total:,} messages are still being marked."


def report(campaign: Campaign, now: dt.datetime, *, with_replies: bool, with_names: bool = False) -> Report:
    """Return the report of a campaign.

    A page asks for it every two seconds, so it reads stored counts and never the messages: a million recipients cost
    no more than ten.

    :param with_replies: whether to quote the answers of servers. Answers may contain the address or name of a person,
        so users who may not see recipients get the codes only.
    :param with_names: whether the obstacles name machines and servers.
    """
    mailing_ids = schedule_mailings.mailing_ids(campaign)
    is_on_its_way = campaign.status in (Campaign.Status.SCHEDULED, Campaign.Status.SENDING)
    look = readiness.WorkersSeen(now)
    problems = readiness.ask(look) if is_on_its_way else {}
    obstacles = readiness.in_words(problems, look, with_names=with_names)
    if not mailing_ids:
        test = compare(campaign, now, late_outcomes)
        return Report(
            is_live=campaign.status in LIVE,
            summary=_before_start(campaign, now, is_held=bool(problems.get("copy"))),
            test=test,
            obstacles=obstacles,
        )
    mailings = list(Mailing.objects.filter(pk__in=mailing_ids).order_by("pk"))
    counts = sum_counts(mailing_ids)
    total = sum(counts.values())
    settled = total - sum(counts[status] for status in Message.PENDING)
    is_settling = settled < total and any(mailing.state == Mailing.State.CANCELLED for mailing in mailings)
    is_sending = campaign.status == Campaign.Status.SENDING
    is_paused = campaign.status == Campaign.Status.PAUSED
    waiting = next((mailing for mailing in mailings if mailing.waiting_reason), None)
    is_all_waiting = all(mailing.waiting_reason for mailing in mailings if mailing.finished_at is None)
    can_leave = not (problems.get("worker") or problems.get("copy"))
    recent = pace.recent(mailing_ids, now) if is_sending and can_leave else pace.Recent()
    waiting_until = waiting.waiting_until if waiting and is_sending else None
    key = "-".join(map(str, mailing_ids))
    asked = FiguresQuery(mailing_ids=mailing_ids, names_all_domains=with_replies)
    found = remembered(f"figures-{key}-{with_replies}", lambda: figures(asked, now))
    test = compare(campaign, now, late_outcomes)
    reasons = remembered(f"reasons-{key}-{with_replies}", lambda: _reasons(mailing_ids, with_replies))
    sent_elsewhere = sum(number for _, reason, number in reasons if reason == restored_copy.REASON)
    return Report(
        total=total,
        settled=settled,
        percent=settled * 100 // total if total else 0,
        statuses=[
            ReportShare(
                status.value,
                status.label,
                _explanation(status, counts[status], sent_elsewhere),
                counts[status],
                _percent(counts[status], total),
            )
            for status in ORDER
            if counts[status] or status == Status.ACCEPTED
        ],
        servers=remembered(f"servers-{key}", lambda: _servers(mailing_ids)),
        named_servers=named_servers(mailings[-1].server_ids),
        providers=_most(found.providers),
        answers=[answer for answer in found.answers if answer.number],
        counted_at=TallyMark.objects.values_list("counted_at", flat=True).first(),
        held_since=held_since(now),
        reasons=reasons,
        sent_elsewhere=sent_elsewhere,
        late=remembered(f"late-{key}", lambda: late_outcomes(mailing_ids)),
        rate=recent.rate,
        time_left=pace.time_left(
            pending=counts[Status.QUEUED] + counts[Status.SENDING],
            deferred=counts[Status.DEFERRED],
            rate=recent.rate,
            now=now,
            zone=timezone.get_current_timezone(),
            waiting_until=waiting_until,
            is_waiting=not can_leave or (waiting is not None and (is_all_waiting or not recent.rate)),
            is_paused=is_paused,
        )
        if is_sending or is_paused
        else "",
        waiting_reason=_waiting_reason(waiting, with_replies)
        if waiting and (is_sending or is_paused)
        else _standstill(counts, mailings[0].created_at, now)
        if is_sending and not recent.rate and not obstacles
        else "",
        is_paused=is_paused,
        obstacles=obstacles,
        waiting_until=waiting_until,
        # A cancelled campaign stays live until messages in progress have their answer and all others a final status.
        is_live=campaign.status in LIVE or bool(counts[Status.SENDING]) or is_settling,
        retriable=(counts[Status.FAILED] + counts[Status.EXPIRED])
        if campaign.status != Campaign.Status.CANCELLED
        else 0,
        summary=summary(test, settled, total)
        if test is not None and is_sending
        else SETTLING.format(left=total - settled, total=total)
        if is_settling
        else _summary(campaign, settled, total),
        test=test,
    )


def sum_counts(mailing_ids: Collection[int]) -> dict[str, int]:
    """Return the number of recipients of these mailings by status, with zeros."""
    counts = dict.fromkeys(Status.values, 0)
    for mailing_id in mailing_ids:
        for status, number in records_figures.counts(mailing_id).items():
            counts[status] += number
    return counts


def late_outcomes(mailing_ids: Collection[int]) -> list[tuple[str, int]]:
    """Return the later feedback on these mailings: label and number."""
    return [(label, sum(map(count, mailing_ids))) for label, count in LATE_OUTCOMES.items()]


def _most(lines: list[FiguresLine]) -> list[FiguresLine]:
    """Return the first lines, and the sum of the others as one line."""
    shown, rest = lines[:MOST_PROVIDERS], lines[MOST_PROVIDERS:]
    if not rest:
        return shown
    others = FiguresLine("", OTHERS)
    for line in rest:
        others = others.plus(Counter(dict(zip(COLUMNS, line.cells, strict=True))))
    return [*shown, others]


def _before_start(campaign: Campaign, now: dt.datetime, *, is_held: bool) -> str:
    if campaign.status == Campaign.Status.SCHEDULED and campaign.is_overdue:
        return "It missed its start, and waits for an answer."
    if campaign.status == Campaign.Status.SCHEDULED and campaign.is_unreviewed:
        return "Its people are being counted and its checks made. Nothing leaves before that."
    if campaign.status == Campaign.Status.SCHEDULED and campaign.starts_at and campaign.starts_at > now:
        return "It waits for its start."
    if campaign.status == Campaign.Status.SCHEDULED and is_held:
        return "It is queued, and nothing starts before an administrator lets this restored copy send."
    return _summary(campaign, 0, 0)


def _summary(campaign: Campaign, settled: int, total: int) -> str:
    match campaign.status:
        case Campaign.Status.DRAFT:
            return "This is a draft. Nothing has been sent."
        case Campaign.Status.SCHEDULED:
            return f"The recipients are being prepared, {total:,} so far." if total else "The worker is about to start."
        case Campaign.Status.SENDING:
            return f"{done(settled, total)}."
        case Campaign.Status.PAUSED:
            return f"Paused. {done(settled, total)}."
        case Campaign.Status.CANCELLED:
            return "Cancelled. What had not left never will."
        case Campaign.Status.FINISHED:
            return f"Finished. {_accounted_for(total)}"
    raise ValueError(f"A campaign that is {campaign.status} has no summary.")  # A new status needs one.


def _accounted_for(total: int) -> str:
    if total > 1:
        return f"All {total:,} are accounted for."
    return "The one recipient is accounted for." if total else "There was nobody to write to."


def explain(message: Message) -> str:
    """Return an explanation of the status of one message."""
    status = Message.Status(message.status)
    return _explanation(status, 1, int(message.reason == restored_copy.REASON))


def _explanation(status: Status, count: int, sent_elsewhere: int) -> str:
    if status != Status.UNCONFIRMED or not sent_elsewhere:
        return EXPLANATIONS[status]
    return SENT_ELSEWHERE if sent_elsewhere >= count else SENT_SOMEWHERE


def _percent(count: int, total: int) -> float:
    return round(count * 100 / total, 2) if total else 0.0


def _servers(mailing_ids: Collection[int]) -> list[ReportShare]:
    accepted: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for mailing_id in mailing_ids:
        for name, was_accepted, was_tried in records_figures.by_server(mailing_id):
            accepted[name] += was_accepted
            tried[name] += was_tried
    return [
        ReportShare(name, name, f"{tried[name]:,} tried", number, _percent(number, accepted.total()))
        for name, number in sorted(accepted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _reasons(mailing_ids: Collection[int], with_replies: bool) -> list[tuple[str, str, int]]:
    rows: Counter[tuple[str, str]] = Counter()
    for mailing_id in mailing_ids:
        for status, reason, count in records_figures.reasons(mailing_id):
            shown = reason if with_replies else without_addresses(reason)
            rows[Status(status).label, shown] += count
    return [(label, reason, count) for (label, reason), count in rows.most_common()]


def _standstill(counts: Mapping[str, int], since: dt.datetime, now: dt.datetime) -> str:
    """Return why there are no recent answers, if no other reason is known; empty shortly after the start."""
    if now - since < pace.QUIET:
        return ""
    if counts[Status.SENDING]:
        return "Its servers have answered nothing in the last minutes. What they were given waits for their answer."
    if counts[Status.QUEUED]:
        return "No worker has taken it up in the last minutes. It goes on by itself as soon as one does."
    return ""


def _waiting_reason(mailing: Mailing, with_replies: bool) -> str:
    # The reason may quote the answer that stopped the mailing.
    return mailing.waiting_reason if with_replies else _ADDRESS.sub("…", mailing.waiting_reason)


def without_addresses(reason: str) -> str:
    """Return a reason without personal data: of a server's answer only the codes, else the text without addresses."""
    if code := _CODE.match(reason):
        return code.group()
    return _ADDRESS.sub("…", reason)
