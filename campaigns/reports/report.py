"""The report of a campaign so far, in figures and words. Read-only, and without anybody's address."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

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
from words.numbers import percent, percentage
from words.texts import translated

Status = Message.Status

# Functions that count later feedback on a mailing, by label. ``feedback`` stands above this room and adds its own when
# it starts.
LATE_OUTCOMES: Registry[Callable[[int], int]] = Registry()

EXPLANATIONS = {
    Status.QUEUED: gettext_lazy("Waiting for its first attempt."),
    Status.SENDING: gettext_lazy("Being sent now."),
    Status.DEFERRED: gettext_lazy("A server asked to try again later. That happens automatically."),
    Status.ACCEPTED: gettext_lazy("A server accepted it. It isn't known yet whether it reached the inbox."),
    Status.BOUNCED: gettext_lazy("The recipient's mail server rejected it."),
    Status.FAILED: gettext_lazy("It couldn't be sent, and the address isn't to blame. You can retry it."),
    Status.EXPIRED: gettext_lazy("It couldn't be sent before its time ran out. You can retry it."),
    Status.SUPPRESSED: gettext_lazy("The person unsubscribed or is suppressed, so nothing was sent."),
    Status.CANCELLED: gettext_lazy("The campaign was cancelled before it was sent."),
    Status.UNCONFIRMED: gettext_lazy(
        "Sent, but the server's reply was lost. It may have arrived, so it isn't sent again automatically."
    ),
}
SENT_ELSEWHERE = gettext_lazy(
    "It may have been sent before this database was restored or copied, so it isn't sent again automatically."
)
SENT_SOMEWHERE = gettext_lazy(
    "It may have been sent: the server's reply was lost, or this database was restored or copied. It isn't sent again"
    " automatically."
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
MAY_ARRIVE = (Status.ACCEPTED, Status.UNCONFIRMED)
_ADDRESS = re.compile(r"(?:\"[^\"]*\"|[^\s<>\"(),;:]+)@[^\s<>\"'(),;]+")
_CODE = re.compile(r"[245]\d\d(?:[ -]\d\.\d{1,3}\.\d{1,3})?(?=\D|$)")


@dataclass(frozen=True, slots=True)
class ReportShare:
    """One part of a whole: a status or a server."""

    key: str
    label: str
    explanation: str | Promise
    count: int
    whole: int

    @property
    def percent(self) -> float:
        return round(self.count * 100 / self.whole, 2) if self.whole else 0.0

    @property
    def percent_in_words(self) -> str:
        return percent(self.count, self.whole)


@dataclass(frozen=True, slots=True)
class Report:
    """All contents of the progress page."""

    total: int = 0
    recipients: int = 0  # All messages, and the people who wait for an A/B test's winner.
    waiting: int = 0  # The people who wait for it, a part of ``recipients``.
    settled: int = 0  # Messages with a final status.
    percent: int = 0
    statuses: list[ReportShare] = field(default_factory=list)
    servers: list[ReportShare] = field(default_factory=list)
    has_changed_later: bool = False  # Servers accepted messages that bounced or failed since.
    named_servers: str = ""  # Names of the chosen servers; empty: all that the routing rules allow.
    providers: list[FiguresLine] = field(default_factory=list)
    answers: list[AnswerCount] = field(default_factory=list)
    counted_at: dt.datetime | None = None  # When providers and answers were complete for the last time.
    held_since: dt.datetime | None = None  # Since then providers and answers lack newer attempts.
    reasons: list[tuple[str, str, int]] = field(default_factory=list)  # Status in words, reason, number.
    has_failed: bool = False  # It has ended, and no message was accepted or may have arrived.
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
    unsent: int = 0  # Messages that would not be sent if the campaign were cancelled now.
    summary: str = ""
    test: Comparison | None = None  # The A/B test.

    @property
    def waiting_share(self) -> ReportShare:
        """The people who wait for the winner, as a part of all recipients."""
        return ReportShare("waiting", _("Waiting for the winner"), "", self.waiting, self.recipients)


LIVE = (Campaign.Status.SCHEDULED, Campaign.Status.SENDING, Campaign.Status.PAUSED)
MOST_PROVIDERS = 20


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
    key = "-".join(map(str, mailing_ids))
    asked = FiguresQuery(mailing_ids=mailing_ids, names_all_domains=with_replies)
    found = remembered(f"figures-{key}-{with_replies}", lambda: figures(asked, now))
    reasons = remembered(f"reasons-{key}-{with_replies}", lambda: _reasons(mailing_ids, with_replies))
    servers = remembered(f"servers-{key}", lambda: _servers(mailing_ids))
    # Read last: a server has then accepted no more than is done, however many replies came meanwhile.
    counts = sum_counts(mailing_ids)
    total = sum(counts.values())
    settled = total - sum(counts[status] for status in Message.PENDING)
    is_settling = settled < total and any(mailing.state == Mailing.State.CANCELLED for mailing in mailings)
    is_sending = campaign.status == Campaign.Status.SENDING
    is_paused = campaign.status == Campaign.Status.PAUSED
    waiting = next((mailing for mailing in mailings if mailing.waiting_reason), None)
    is_all_waiting = all(mailing.waiting_reason for mailing in mailings if mailing.finished_at is None)
    can_leave = not (problems.get("worker") or problems.get("copy"))
    # While an A/B test waits for its winner, nothing is sent, whatever the last minutes brought.
    is_moving = is_sending and can_leave and settled < total
    recent = pace.recent(mailing_ids, now) if is_moving else pace.Recent()
    waiting_until = waiting.waiting_until if waiting and is_sending else None
    test = compare(campaign, now, late_outcomes)
    for_winner = test.waiting if test is not None else 0
    whole = total + for_winner
    sent_elsewhere = sum(number for _, reason, number in reasons if reason == restored_copy.REASON)
    return Report(
        total=total,
        recipients=whole,
        waiting=for_winner,
        settled=settled,
        percent=percentage(settled, whole),
        statuses=[
            ReportShare(
                status.value,
                str(status.label),
                _explanation(status, counts[status], sent_elsewhere),
                counts[status],
                whole,
            )
            for status in ORDER
            if counts[status] or status == Status.ACCEPTED
        ],
        servers=servers,
        has_changed_later=sum(server.count for server in servers) > counts[Status.ACCEPTED],
        named_servers=named_servers(mailings[-1].server_ids) if campaign.server_ids else "",
        providers=_most(found.providers),
        answers=[answer for answer in found.answers if answer.number],
        counted_at=TallyMark.objects.values_list("counted_at", flat=True).first(),
        held_since=held_since(now),
        has_failed=campaign.status == Campaign.Status.FINISHED and not any(counts[each] for each in MAY_ARRIVE),
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
        if is_moving and not recent.rate and not obstacles
        else "",
        is_paused=is_paused,
        obstacles=obstacles,
        waiting_until=waiting_until,
        # A cancelled campaign stays live until messages in progress have their answer and all others a final status.
        is_live=campaign.status in LIVE or bool(counts[Status.SENDING]) or is_settling,
        retriable=(counts[Status.FAILED] + counts[Status.EXPIRED])
        if campaign.status != Campaign.Status.CANCELLED
        else 0,
        unsent=total - settled + for_winner,
        summary=summary(test, settled, total)
        if test is not None and is_sending
        else _settling(total - settled)
        if is_settling
        else _summary(campaign, settled, total, counts),
        test=test,
    )


def unsent(campaign: Campaign) -> int:
    """Return the number of messages of the campaign that have no final status yet."""
    counts = sum_counts(schedule_mailings.mailing_ids(campaign))
    return sum(counts[status] for status in Message.PENDING)


def retriable(campaign: Campaign) -> int:
    """Return the number of failed and expired messages of the campaign."""
    counts = sum_counts(schedule_mailings.mailing_ids(campaign))
    return counts[Status.FAILED] + counts[Status.EXPIRED]


def sum_counts(mailing_ids: Collection[int]) -> dict[str, int]:
    """Return the number of recipients of these mailings by status, with zeros."""
    counts = dict.fromkeys(Status.values, 0)
    for mailing_id in mailing_ids:
        for status, number in records_figures.counts(mailing_id).items():
            counts[status] += number
    return counts


def late_outcomes(mailing_ids: Collection[int]) -> list[tuple[str, int]]:
    """Return the later feedback on these mailings: label and number."""
    return [(_(label), sum(map(count, mailing_ids))) for label, count in LATE_OUTCOMES.items()]


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
        return _("Missed its start time. Send now or go back to draft?")
    if campaign.status == Campaign.Status.SCHEDULED and campaign.is_unreviewed:
        return _("Counting recipients and running checks. Nothing is sent before that.")
    if campaign.status == Campaign.Status.SCHEDULED and campaign.starts_at and campaign.starts_at > now:
        return _("Waiting to start.")
    if campaign.status == Campaign.Status.SCHEDULED and is_held:
        return _("Waiting for an administrator to allow this restored copy to send.")
    return _summary(campaign, 0, 0, {})


def _summary(campaign: Campaign, settled: int, total: int, counts: Mapping[str, int]) -> str:
    match campaign.status:
        case Campaign.Status.DRAFT:
            return _("Nothing sent yet.")
        case Campaign.Status.SCHEDULED:
            return _("Preparing messages: %(n)s so far.") % {"n": f"{total:,}"} if total else _("Starting.")
        case Campaign.Status.SENDING:
            return f"{done(settled, total)}."
        case Campaign.Status.PAUSED:
            return _("Paused: %(done)s.") % {"done": done(settled, total)}
        case Campaign.Status.CANCELLED:
            return _("Cancelled. Unsent messages won't be sent.")
        case Campaign.Status.FINISHED:
            return _finished(total, counts)
    raise ValueError(f"A campaign that is {campaign.status} has no summary.")  # A new status needs one.


def _settling(left: int) -> str:
    sentence = ngettext(
        "Cancelled. Nothing more is sent. %(n)s message is still being marked.",
        "Cancelled. Nothing more is sent. %(n)s messages are still being marked.",
        left,
    )
    return sentence % {"n": f"{left:,}"}


def _finished(total: int, counts: Mapping[str, int]) -> str:
    """Return what became of a finished campaign's messages: the numbers of the final statuses that occur."""
    if not total:
        return _("Nothing was sent. There were no recipients.")
    has_failed = not any(counts[status] for status in MAY_ARRIVE)
    found = ", ".join(
        f"{counts[status]:,} {str(status.label).lower()}"
        for status in ORDER
        if status not in Message.PENDING and (counts[status] or (status == Status.ACCEPTED and not has_failed))
    )
    if has_failed:
        return _("Nothing was accepted: %(numbers)s.") % {"numbers": found}
    return _("Finished: %(numbers)s.") % {"numbers": found}


def explain(message: Message) -> str | Promise:
    """Return an explanation of the status of one message."""
    status = Message.Status(message.status)
    return _explanation(status, 1, int(message.reason == restored_copy.REASON))


def _explanation(status: Status, count: int, sent_elsewhere: int) -> str | Promise:
    if status != Status.UNCONFIRMED or not sent_elsewhere:
        return EXPLANATIONS[status]
    return SENT_ELSEWHERE if sent_elsewhere >= count else SENT_SOMEWHERE


def _servers(mailing_ids: Collection[int]) -> list[ReportShare]:
    accepted: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for mailing_id in mailing_ids:
        for name, was_accepted, was_tried in records_figures.by_server(mailing_id):
            accepted[name] += was_accepted
            tried[name] += was_tried
    return [
        ReportShare(name, name, _("%(n)s attempted") % {"n": f"{tried[name]:,}"}, number, accepted.total())
        for name, number in sorted(accepted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _reasons(mailing_ids: Collection[int], with_replies: bool) -> list[tuple[str, str, int]]:
    rows: Counter[tuple[str, str]] = Counter()
    for mailing_id in mailing_ids:
        for status, reason, count in records_figures.reasons(mailing_id):
            shown = reason if with_replies else without_addresses(reason)
            rows[str(Status(status).label), shown] += count
    return [(label, reason, count) for (label, reason), count in rows.most_common()]


def _standstill(counts: Mapping[str, int], since: dt.datetime, now: dt.datetime) -> str:
    """Return why there are no recent answers, if no other reason is known; empty shortly after the start."""
    if now - since < pace.QUIET:
        return ""
    if counts[Status.SENDING]:
        return _("No server reply in the last minutes. Messages in progress wait for it.")
    if counts[Status.QUEUED]:
        return _("No worker has picked it up in the last minutes. It continues automatically once one does.")
    return ""


def _waiting_reason(mailing: Mailing, with_replies: bool) -> str:
    # The reason may quote the answer that stopped the mailing.
    reason = translated(mailing.waiting_text)
    return reason if with_replies else _ADDRESS.sub("…", reason)


def without_addresses(reason: str) -> str:
    """Return a reason without personal data: of a server's answer only the codes, else the text without addresses."""
    if code := _CODE.match(reason):
        return code.group()
    return _ADDRESS.sub("…", reason)
