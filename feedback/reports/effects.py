"""Effects: what a report does to its message, its recipient, the campaign and the server.

Each kind of report counts once for each attempt, whatever the number of reports. The caller has found the message, and
calls it in the transaction that stores the reports, one caller at a time.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import Count, Exists, F, OuterRef, Value
from django.db.models.functions import StrIndex, Substr, TruncDate

from campaigns.reports.providers import providers_of
from contacts.consent import changes
from contacts.models import ConsentEvent, Suppression
from contacts.privacy.redaction import ERASED
from delivery.models import Attempt, Mailing, Message
from delivery.outcomes import late, scorecard
from delivery.outcomes.late import LateKind, LateOutcome
from delivery.outcomes.scorecard import ScoreKey
from delivery.records.erasure import KEY, address_of, is_anonymous
from feedback import unsubscribe
from feedback.models import Feedback, RawReport, Report
from feedback.reports import complaint_rate
from mail.replies.rules import RULES, Repeats
from smtpservers.models import SmtpServer

Kind, State = Feedback.Kind, Report.State
LATE = {
    Kind.HARD_BOUNCE: LateKind.HARD,
    Kind.SOFT_BOUNCE: LateKind.SOFT,
    Kind.CONTENT: LateKind.CONTENT,
    Kind.SERVER: LateKind.SERVER,
    Kind.SUPPRESSED: LateKind.SUPPRESSED,
}
OURS = (Mailing.Stream.TEST, Mailing.Stream.NOTICE)  # Mail to our own people: it suppresses and counts nobody.
_RULES = {rule.name: rule for rule in RULES}
_Key = tuple[int, str, int]  # Message, kind and attempt: what counts once.


class Sent(NamedTuple):
    """What is known of an attempt."""

    server_id: int  # 0: unknown.
    day: dt.date  # In UTC.
    from_domain: str


@dataclass(slots=True)
class _Effects:
    """What a group of reports adds up to."""

    now: dt.datetime
    sent: Mapping[tuple[int, int], Sent]
    outcomes: list[LateOutcome] = field(default_factory=list)
    feedback: list[tuple[Report, Feedback]] = field(default_factory=list)
    complaints: list[Report] = field(default_factory=list)


def settle(reports: Sequence[Report], now: dt.datetime) -> None:
    """Give effect to reports whose message is known, and set their states and feedback. Store the reports afterwards.

    ``message`` has to be loaded with its mailing, contact and original.
    """
    counted = _counted(reports)
    effects = _Effects(now, _sent_of([report.message for report in reports if report.message]))
    first: dict[_Key, Report] = {}
    again: list[tuple[Report, Report]] = []
    for report in reports:
        message = report.message
        assert message is not None
        if _is_early(report, message):
            report.state = State.EARLY
            continue
        report.attempt = min(report.attempt or 0, message.attempt_count)
        key = (message.pk, report.kind, report.attempt)
        if key in counted:
            report.state, report.feedback_id = State.REPEATED, counted[key]
        elif key in first:
            report.state = State.REPEATED
            again.append((report, first[key]))
        else:
            _take(report, message, effects)
            first[key] = report
    late.record(effects.outcomes, now)
    made = Feedback.objects.bulk_create([feedback for _, feedback in effects.feedback])
    for (report, _), feedback in zip(effects.feedback, made, strict=True):
        report.feedback = feedback
    for report, earlier in again:
        report.feedback = earlier.feedback
    for report in effects.complaints:
        _complain(report, now)
    _count(effects)


def _counted(reports: Iterable[Report]) -> dict[_Key, int]:
    """Return what was counted before, with its feedback."""
    rows = Feedback.objects.filter(message__in=_messages(reports), attempt__isnull=False)
    return {
        (row.message_id or 0, row.kind, row.attempt or 0): row.pk for row in rows.only("message", "kind", "attempt")
    }


def _sent_of(messages: Iterable[Message]) -> dict[tuple[int, int], Sent]:
    """Return what is known of the attempts of messages, by message and number."""
    rows = Attempt.objects.filter(message__in={message.pk for message in messages}).order_by()
    there = Exists(SmtpServer.objects.filter(pk=OuterRef("batch__server_id")))  # And not deleted meanwhile.
    found = {}
    for message_id, number, ended, begun, header_from, server_id, is_there in rows.annotate(is_there=there).values_list(
        *("message", "number", "finished_at", "batch__started_at", "batch__header_from", "batch__server", "is_there")
    ):
        day = (ended or begun).astimezone(dt.UTC).date()
        found[message_id, number] = Sent(server_id if is_there else 0, day, scorecard.domain_of_from(header_from))
    return found


def _messages(reports: Iterable[Report]) -> set[int]:
    return {report.message.pk for report in reports if report.message is not None}


def _is_early(report: Report, message: Message) -> bool:
    """Whether the result of the attempt is still on its way to the database. A wish to leave waits for nothing."""
    is_pending = message.status in Message.PENDING
    return is_pending and report.kind != Kind.UNSUBSCRIBE and (report.attempt or 0) > message.attempt_count


def _take(report: Report, message: Message, effects: _Effects) -> None:
    report.state = State.APPLIED
    if report.kind == Kind.UNSUBSCRIBE:
        _unsubscribe(report, message, effects.now)
        return
    if not report.attempt:
        report.state, report.reason = State.NOTED, "This message was never sent."
        return
    if report.kind in LATE:
        effects.outcomes.append(_late(report, message, effects))
    if message.mailing.stream in OURS:
        report.state, report.reason = State.NOTED, "A test or a notice: it is on record, and counts nowhere."
        return
    if report.kind == Kind.COMPLAINT:
        effects.complaints.append(report)
    feedback = Feedback(
        kind=report.kind,
        channel=channel_of(report),
        message=message,
        attempt=report.attempt,
        email=ERASED if is_anonymous(message) else message.email,
        received_at=report.received_at,
    )
    effects.feedback.append((report, feedback))


def _late(report: Report, message: Message, effects: _Effects) -> LateOutcome:
    rule = _RULES.get(report.rule)
    limit = rule.suppresses_after if rule is not None else None
    kind = LATE[Kind(report.kind)]
    sent = effects.sent.get((message.pk, report.attempt or 0))
    is_incident = kind is LateKind.SERVER and message.mailing.stream not in OURS
    return LateOutcome(
        message,
        report.attempt or 0,
        kind,
        why(report),
        server_id=sent.server_id if sent else 0,
        rule=report.rule,
        must_confirm=rule is not None and rule.must_confirm,
        limit=limit,
        reported=_reported(message, report, limit, effects.now) if limit is not None and kind is LateKind.SOFT else 0,
        incident=((rule.kind if rule is not None else "") or "refused") if is_incident else "",
        is_erased=is_anonymous(message),
    )


def _reported(message: Message, report: Report, limit: Repeats, now: dt.datetime) -> int:
    """Return how many messages to the address reports ended under the rule, with this one."""
    alike = Report.objects.filter(
        message__email_key=message.email_key, rule=report.rule, state=State.APPLIED, received_at__gt=now - limit.within
    )
    return alike.exclude(message=message).values("message").distinct().count() + 1


def why(report: Report) -> str:
    """Return the reason that is stored with the message."""
    codes = " ".join(filter(None, (str(report.code or ""), report.enhanced)))
    said = report.text if report.text.startswith(codes) else f"{codes} {report.text}"
    how = "By webhook" if report.source == RawReport.Source.WEBHOOK else "By mail"
    return f"{how}: {said.strip() or report.get_kind_display()}"[:600]


def channel_of(report: Report) -> Feedback.Channel:
    is_posted = report.source == RawReport.Source.WEBHOOK
    return Feedback.Channel.WEBHOOK if is_posted else Feedback.Channel.MAIL


def _unsubscribe(report: Report, message: Message, now: dt.datetime) -> None:
    unsubscribe.unsubscribe(message, from_everything=False, channel=channel_of(report), reason="", now=now)
    report.feedback = (
        Feedback.objects.filter(message=message, kind=Kind.UNSUBSCRIBE, attempt=None).order_by("-received_at").first()
    )
    if report.feedback is None:
        report.state, report.reason = State.NOTED, "A test, a copy, or a person who was erased: nobody left a list."


def _complain(report: Report, now: dt.datetime) -> None:
    """Have the person get nothing more. A copy's reader is no contact of ours: only that address is suppressed."""
    message = report.message
    assert message is not None
    source = f"complaint: {message.mailing.name}"
    is_person = message.copy_of_id is None and (message.contact is not None or not is_anonymous(message))
    if is_person:
        changes.unsubscribe_from_everything(
            address_of(message),
            method=ConsentEvent.Method.COMPLAINT,
            source=source,
            now=now,
            contact_id=message.contact_id,
        )
    if not is_anonymous(message):
        changes.suppress(message.email, Suppression.Reason.COMPLAINT, source, now)


def _count(effects: _Effects) -> None:
    """Count the new feedback on the scorecards, and look at the rate of complaints."""
    counted = [report for report, _ in effects.feedback]
    providers = providers_of(set(filter(None, map(_domain, counted))), effects.now, ask=lambda unknown: {})
    counts: Counter[ScoreKey] = Counter()
    cells = []
    for report in counted:
        assert report.message is not None
        unknown = Sent(report.server_id or 0, report.received_at.astimezone(dt.UTC).date(), "")
        sent = effects.sent.get((report.message.pk, report.attempt or 0), unknown)
        provider = providers.get(_domain(report), "")
        counts[ScoreKey(sent.day, sent.server_id, sent.from_domain, provider, report.kind)] += 1
        if report.kind == Kind.COMPLAINT:
            cells.append(complaint_rate.Cell(sent.day, sent.from_domain, provider, sent.server_id))
    scorecard.add(counts)
    complaint_rate.check(cells, effects.now)


def count_delivered(message_ids: Sequence[int], now: dt.datetime) -> None:
    """Count messages as delivered on the scorecards, by their last attempts."""
    last = Attempt.objects.filter(message__in=message_ids, number=F("message__attempt_count")).order_by()
    at = StrIndex("message__email_key", Value("@")) + 1
    groups = (
        last.exclude(message__mailing__stream__in=OURS)
        .annotate(day=TruncDate("finished_at", tzinfo=dt.UTC), domain=Substr("message__email_key", at))
        .values_list("day", "batch__server_id", "batch__header_from", "domain")
        .annotate(number_of=Count("pk"))
    )
    found = list(groups)
    domains = {domain for _, _, _, domain, _ in found if domain and not domain.startswith(KEY)}
    providers = providers_of(domains, now, ask=lambda unknown: {})
    counts: Counter[ScoreKey] = Counter()
    for day, server_id, header_from, domain, number in found:
        key = ScoreKey(
            day or now.astimezone(dt.UTC).date(),
            server_id or 0,
            scorecard.domain_of_from(header_from),
            providers.get(domain, ""),
            scorecard.DELIVERED,
        )
        counts[key] += number
    scorecard.add(counts)


def _domain(report: Report) -> str:
    assert report.message is not None
    return "" if is_anonymous(report.message) else report.message.email_key.rpartition("@")[2]
