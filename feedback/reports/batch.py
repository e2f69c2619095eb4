"""A batch: raw reports that were read together take effect in one transaction, and count as read in the same one.

So a worker may be killed at any time: either nothing of a batch has happened, or all of it, and the next worker repeats
the first and skips the second. One batch takes effect after the other, whoever read them.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models import F, Prefetch, Q, QuerySet

from contacts.privacy.erasure import is_erased
from db.locks import take_turns
from delivery.content import tokens
from delivery.models import Mailing, Message
from delivery.outcomes import late, scorecard
from delivery.outcomes.scorecard import ScoreKey
from delivery.records.erasure import KEY, is_anonymous
from domains.reports import store as domain_reports
from feedback.models import Feedback, RawReport, Report, Seen
from feedback.reports import effects, matches, statements, unmatched
from feedback.reports.matches import Match
from feedback.reports.reader import Content, Unreadable
from feedback.reports.statements import Statement
from feedback.webhooks.event import Event
from mail import verp
from mail.addresses import fold
from mail.aggregates.report import DmarcReport, TlsReport
from mail.incoming.report import Reading
from mail.tokens import prover

PURPOSE = "report fingerprint"
TURN = "feedback reports"
ASKED_AT_ONCE = 500
DELETED = "Its message was deleted."
ANOTHER_RECIPIENT = "The report names another recipient for this."

State = Report.State
Read = tuple[RawReport, bytes, Content | Unreadable]  # A raw report, its bytes, and what the reader made of them.


@dataclass(slots=True)
class _Item:
    """One statement on its way to becoming a report."""

    raw: RawReport
    statement: Statement
    match: Match | None = None
    message: Message | None = None


@dataclass(slots=True)
class _Outcome:
    """What a batch leaves: reports, and the raws that must not be kept."""

    reports: list[Report] = field(default_factory=list)
    forgotten: set[int] = field(default_factory=set)  # Raw reports about people who were erased.


def apply(read: Sequence[Read], now: dt.datetime) -> None:
    """Give effect to what was read, once, and mark the raw reports as read."""
    with transaction.atomic():
        take_turns(TURN)
        waiting = RawReport.objects.filter(pk__in=[raw.pk for raw, _, _ in read], state=RawReport.State.WAITING)
        mine = set(waiting.values_list("pk", flat=True))
        read = [each for each in read if each[0].pk in mine]
        items = [
            _Item(raw, statement)
            for raw, content, said in read
            if not isinstance(said, Unreadable | DmarcReport | TlsReport)
            for statement in _statements(raw, content, said)
        ]
        _note_delivered([item for item in items if item.statement.kind == statements.DELIVERED], now)
        new = _unseen([item for item in items if item.statement.kind != statements.DELIVERED])
        _find_messages(new, now)
        _mark(read, items, _report(new, now))
        _count_domain_reports(read)


def settle_early(now: dt.datetime) -> int:
    """Give effect to reports that came before the result of their attempt, and return their number."""
    is_settled = Q(message__attempt_count__gte=F("attempt")) | ~Q(message__status__in=Message.PENDING)
    early = Report.objects.filter(state=State.EARLY)
    if not early.filter(is_settled | Q(message=None)).exists():  # Mostly, and every two seconds.
        return 0
    with transaction.atomic():
        take_turns(TURN)
        settled = early.filter(is_settled, message__isnull=False)
        due = list(settled.prefetch_related(Prefetch("message", _messages())).order_by("pk")[:ASKED_AT_ONCE])
        effects.settle(due, now)
        for report in due:
            _forget_erased(report)
        Report.objects.bulk_update(due, ["state", "attempt", "feedback", "reason", "recipient", "text"])
        early.filter(message=None).update(state=State.NOTED, reason=DELETED)
    return len(due)


# --- statements


def _statements(raw: RawReport, content: bytes, said: Reading | list[Event]) -> Iterable[Statement]:
    if isinstance(said, Reading):
        return statements.of_mail(content, said)
    return statements.of_webhook(raw.provider, content, said)


def _unseen(items: Sequence[_Item]) -> list[_Item]:
    """Return the items that no earlier report said, and remember them."""
    prints: dict[bytes, _Item] = {}
    older: dict[bytes, bytes] = {}  # Under earlier keys.
    first, *others = [prover(PURPOSE, key) for key in settings.TOKEN_KEYS]
    for item in items:
        own = first(item.statement.identity)[:32]
        prints.setdefault(own, item)
        older |= {prove(item.statement.identity)[:32]: own for prove in others}
    asked = [*prints, *older]
    for start in range(0, len(asked), ASKED_AT_ONCE):
        found = Seen.objects.filter(fingerprint__in=asked[start : start + ASKED_AT_ONCE])
        for fingerprint in found.values_list("fingerprint", flat=True):
            prints.pop(older.get(bytes(fingerprint), bytes(fingerprint)), None)
    Seen.objects.bulk_create(Seen(fingerprint=each) for each in prints)
    return list(prints.values())


def _find_messages(items: Sequence[_Item], now: dt.datetime) -> None:
    found = matches.find([(item.raw, item.statement) for item in items], now)
    numbers = sorted({match.message_id for match in found if match and match.message_id != tokens.NOBODY})
    messages: dict[int, Message] = {}
    for start in range(0, len(numbers), ASKED_AT_ONCE):
        messages |= _messages().in_bulk(numbers[start : start + ASKED_AT_ONCE])
    for item, match in zip(items, found, strict=True):
        item.match = match
        item.message = messages.get(match.message_id) if match else None


def _messages() -> QuerySet[Message]:
    """Return messages as effects need them: their mailings once each, and without the content."""
    mailings = Mailing.objects.defer("html", "text", "files", "audience")
    return Message.objects.select_related("contact", "copy_of").prefetch_related(Prefetch("mailing", mailings))


# --- deliveries


def _note_delivered(items: Sequence[_Item], now: dt.datetime) -> None:
    """Note when messages were delivered, where that is not known yet, and count them. No report is stored."""
    found = matches.find([(item.raw, item.statement) for item in items], now)
    matched = [(item, match.message_id) for item, match in zip(items, found, strict=True) if match is not None]
    keys = _email_keys(sorted({number for _, number in matched}))
    at = {
        number: min(item.statement.at or item.raw.received_at, now)
        for item, number in matched
        if number in keys and not _names_another(item, keys[number])
    }
    effects.count_delivered(late.note_delivered(at), now)


def _email_keys(numbers: Sequence[int]) -> dict[int, str]:
    keys: dict[int, str] = {}
    for start in range(0, len(numbers), ASKED_AT_ONCE):
        some = Message.objects.filter(pk__in=numbers[start : start + ASKED_AT_ONCE])
        keys |= dict(some.order_by().values_list("pk", "email_key"))
    return keys


# --- reports


def _report(items: Sequence[_Item], now: dt.datetime) -> _Outcome:
    """Store a report for each item, after its effect."""
    outcome = _Outcome()
    erased = is_erased({address for item in items for address in item.statement.recipients})
    by_message: dict[tuple[int, int], list[tuple[Report, _Item]]] = defaultdict(list)
    for item in items:
        report = _new_report(item)
        outcome.reports.append(report)
        if report.message is not None and report.state == State.APPLIED:
            by_message[item.raw.pk, report.message.pk].append((report, item))
        if _forget_erased(report, is_named=not erased.isdisjoint(item.statement.recipients)):
            outcome.forgotten.add(item.raw.pk)
    for group in by_message.values():
        _keep_to_recipient(group)
        _keep_to_tag(group)
    effects.settle([report for report in outcome.reports if report.message and report.state == State.APPLIED], now)
    _count_ours(outcome.reports, items)
    for report in outcome.reports:
        if report.raw_id in outcome.forgotten:
            report.raw = None
    Report.objects.bulk_create(outcome.reports, batch_size=ASKED_AT_ONCE)
    unmatched.note(outcome.reports)
    return outcome


def _new_report(item: _Item) -> Report:
    statement, match, message = item.statement, item.match, item.message
    report = Report(
        raw=item.raw,
        source=item.raw.source,
        server_id=item.raw.server_id,
        provider=item.raw.provider,
        received_at=item.raw.received_at,
        happened_at=statement.at,
        state=State.APPLIED,
        kind="" if statement.kind == statements.NOTHING else statement.kind,
        message=message,
        recipient=next(iter(statement.recipients), "")[:320],
        code=statement.code,
        enhanced=statement.enhanced[:16],
        text=statement.text[:600],
        rule=statement.rule,
        reason=statement.reason[:300],
    )
    if statement.kind == statements.UNKNOWN:
        report.state = State.UNREAD
    elif match is None:
        report.state = State.UNMATCHED
    elif message is None or message.redirected_to:
        is_ours = message is not None or match.message_id == tokens.NOBODY
        report.state, report.message = State.NOTED, None
        report.reason = "Mail to our own people." if is_ours else DELETED
    elif statement.kind == statements.NOTHING:
        report.state = State.NOTED
    if report.message is not None and match is not None:
        report.attempt = attempt_of(report.message, match.attempt)
    return report


def attempt_of(message: Message, tagged: int | None) -> int:
    """Return the number of the attempt in a tag. One that the message never had counts as its last.

    Of a message that is under way it may be the next number, whose result is not on record yet.

    :param tagged: modulo ``verp.ATTEMPTS``; None: unknown.
    """
    last = message.attempt_count
    highest = last + 1 if message.status in Message.PENDING else last
    if tagged is None:
        return max(last, 1)
    number = highest - (highest - tagged) % verp.ATTEMPTS
    return number if number > 0 else last


def _forget_erased(report: Report, *, is_named: bool = False) -> bool:
    """Take the address and the words out of a report about somebody who was erased; return whether it is one."""
    if not is_named and (report.message is None or not is_anonymous(report.message)):
        return False
    report.recipient = report.text = ""
    return True


def _keep_to_recipient(group: Sequence[tuple[Report, _Item]]) -> None:
    """Have only what a report says of the message's own recipient take effect.

    An address may be delivered to several others. If one of those fails and another does not, the address works.
    """
    if len(group) == 1:
        return
    message = group[0][0].message
    assert message is not None
    own = [report for report, item in group if message.email_key in map(fold, item.statement.recipients)]
    for report, _ in group:
        if own and report not in own:
            report.state, report.reason = State.NOTED, ANOTHER_RECIPIENT
    kinds = {report.kind for report, _ in group}
    if not own and len(kinds) > 1:
        for report, _ in group:
            if report.kind == Feedback.Kind.HARD_BOUNCE:
                report.kind = Feedback.Kind.SOFT_BOUNCE


def _keep_to_tag(group: Sequence[tuple[Report, _Item]]) -> None:
    """Let no event of a webhook that names somebody else take effect on the recipient of its tag."""
    for report, item in group:
        message = report.message
        if message is not None and _names_another(item, message.email_key):
            report.state, report.reason = State.NOTED, ANOTHER_RECIPIENT


def _names_another(item: _Item, email_key: str) -> bool:
    """Tell whether an event of a webhook names others than the recipient of its message.

    A bounce by mail may name the address that the recipient's mail goes on to; a provider names whom it sent to. The
    address of somebody who was erased is not known any more.
    """
    named = item.statement.recipients
    is_comparable = item.raw.source == RawReport.Source.WEBHOOK and bool(named) and not email_key.startswith(KEY)
    return is_comparable and email_key not in map(fold, named)


def _count_ours(reports: Sequence[Report], items: Sequence[_Item]) -> None:
    """Count what came back of mail to our own people, by server only."""
    counts: Counter[ScoreKey] = Counter()
    for report, item in zip(reports, items, strict=True):
        is_ours = item.match is not None and item.match.message_id == tokens.NOBODY
        if is_ours and report.kind:
            day = report.received_at.astimezone(dt.UTC).date()
            counts[ScoreKey(day, report.server_id or 0, "", "", report.kind)] += 1
    scorecard.add(counts)


# --- reports about domains


def _count_domain_reports(read: Sequence[Read]) -> None:
    """Count the DMARC and TLS reports. One about a domain that is none of ours says so."""
    for raw, _content, said in read:
        if isinstance(said, DmarcReport | TlsReport):
            problem = domain_reports.save(said, raw.received_at).problem
            if problem:
                RawReport.objects.filter(pk=raw.pk).update(problem=problem[:300])


# --- raw reports


def _mark(read: Sequence[Read], items: Sequence[_Item], outcome: _Outcome) -> None:
    """Mark the raw reports as read. A request that held nothing but deliveries, or an erased person, is not kept."""
    kinds: dict[int, set[str]] = defaultdict(set)
    for item in items:
        kinds[item.raw.pk].add(item.statement.kind)
    gone = set(outcome.forgotten)
    recognised: dict[bool, list[int]] = {True: [], False: []}
    for raw, _, said in read:
        if isinstance(said, Unreadable):
            unread = {"state": RawReport.State.UNREADABLE, "problem": said.why[:300], "is_recognised": False}
            RawReport.objects.filter(pk=raw.pk).update(**unread)
        elif raw.source == RawReport.Source.WEBHOOK and kinds[raw.pk] <= {statements.DELIVERED}:
            gone.add(raw.pk)
        else:
            recognised[kinds[raw.pk] != {statements.UNKNOWN}].append(raw.pk)
    for is_recognised, keys in recognised.items():
        RawReport.objects.filter(pk__in=keys).update(state=RawReport.State.DONE, is_recognised=is_recognised)
    RawReport.objects.filter(pk__in=gone).delete()
