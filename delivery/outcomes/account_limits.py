"""Account limits that a provider does not name: all recipients get the same answer, and none is accepted.

Only answers without a reason count; an answer about the recipient stands. They are stored with their results
(:func:`note`) and reviewed after the commit (:func:`review`), so that two workers see each other's answers. The review
takes back what followed from them: nobody has bounced, nobody is suppressed, and the messages are due again.
Two answers are the same if they differ only in numbers, in addresses, or in one word at the same place, such as the
key of a log entry. A row of 421 means that the server failed, whatever the text and the recipients are; so does a row
of lost answers.
"""

import datetime as dt
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest

from contacts.consent import changes
from contacts.models import Suppression
from delivery.content.message import Outgoing, without_recipient
from delivery.models import Attempt, Correction, Mailing, MailingOutcome, Message, Refusal, ServerOutcome, StopTally
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import ACCEPTED
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.limits import circuit_breaker, refused_senders, reservations
from smtpservers.models import SmtpServer
from words.texts import kept, text

LEAST_RECIPIENTS, LEAST_DOMAINS, LEAST_MAILINGS = 5, 3, 2
LEAST_CLOSINGS = 3  # A server has failed after this many 421 without an acceptance in between …
LEAST_LOST = 5  # … or this many replies that were lost after the whole message was sent.
LOST = "lost"  # The ``alike`` key of lost answers.
LATEST_REFUSALS = 1_000  # The latest refusals of a row; older ones are not needed to decide.
COMPARED = 200  # Different answers that are compared word by word.
COMPARED_WORDS = 60  # The first words of each that are compared.
LEAST_SAME_WORDS = 2  # Answers that differ in one word must share at least this many others.
PAUSE = dt.timedelta(minutes=15)  # The pause before one message is tried again.
KEPT_FOR = dt.timedelta(days=3)  # The life of a campaign's message.
CROSSED = dt.timedelta(minutes=10)  # Answers shortly before an acceptance may have crossed with it.
RULE = "same-to-all"  # The rule of a corrected attempt.
BY = "Brilliance"
STOPPED = "Stopped:"  # The start of the reason of a stopped mailing.
STOPPED_FOR_COMPLAINTS = text("Stopped: complaints.")  # Of one that a person resumes with a reason.
STOPPED_WRONGLY = text(
    "Stopped for its content, but the server gives other mail the same answer: that is about the account of the server."
    " What failed is queued again; resume the campaign."
)
_ADDRESS = re.compile(r"(?<!\S)\S*@\S*")
_NUMBERED = re.compile(r"(?<!\S)\S*[0-9]\S*")  # Numbers, and the keys, hosts and addresses that hold some.


def likeness(stage: str, reply: Reply, message: Outgoing) -> str:
    """Return a hash that is equal for answers that differ only in numbers and addresses."""
    text = " ".join([stage, str(reply.code), reply.enhanced, *_words(reply, message)])
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _words(reply: Reply, message: Outgoing) -> list[str]:
    """Return the words of an answer with "#" and "@" in place of numbers and addresses.

    The recipient's local part and domain are replaced too, where they stand alone.
    """
    text = _ADDRESS.sub("@", without_recipient(reply.text, message).casefold())
    local_part, _, domain = message.written_to.casefold().rpartition("@")
    for part in (domain, local_part):
        if part:
            text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "@", text)
    return _NUMBERED.sub("#", text).split()


# --- storing refusals, with the results


def note(results: Sequence[Result], now: dt.datetime) -> None:
    """Store the answers of a group that give no reason. An acceptance ends the row of its server."""
    accepted = {result.server_id: place for place, result in enumerate(results) if result.judgement.is_accepted}
    accepted.pop(0, None)  # Zero stands for a deleted server.
    if accepted:
        _end_rows(accepted)
    notable = [(place, result) for place, result in enumerate(results) if result.judgement is not ACCEPTED]
    unexplained = [(place, result) for place, result in notable if _is_counted(result)]
    if not unexplained:
        return
    Refusal.objects.filter(
        server__in={result.server_id for _, result in unexplained}, refused_at__lt=now - KEPT_FOR
    ).delete()
    Refusal.objects.bulk_create(
        [
            Refusal(
                server_id=result.server_id,
                message_id=result.message.pk,
                number=result.message.attempt_count + 1,
                alike=LOST
                if result.judgement.is_answer_lost
                else likeness(result.stage, _reply_of(result), result.message),
                refused_at=now,
                is_closing=result.judgement.is_closing,
                is_content=result.judgement.is_content,
                is_in_row=accepted.get(result.server_id, -1) < place,
            )
            for place, result in unexplained
        ],
        ignore_conflicts=True,
    )


def _reply_of(result: Result) -> Reply:
    return result.reply if isinstance(result.reply, Reply) else Reply(0, "", "")


def _is_counted(result: Result) -> bool:
    # Not of tests: a person reads their answers.
    is_kept = result.judgement.gives_no_reason or result.judgement.is_answer_lost
    return is_kept and bool(result.server_id) and result.stream != Mailing.Stream.TEST


def _end_rows(server_ids: Iterable[int]) -> None:
    # Hand-written SQL for speed: every group of results runs this.
    with connection.cursor() as cursor:
        for server_id in sorted(server_ids):
            cursor.execute(
                "UPDATE delivery_refusal SET is_in_row = FALSE WHERE server_id = %s AND is_in_row", [server_id]
            )


# --- the review, after the commit


def review_answers(results: Iterable[Result], now: dt.datetime) -> None:
    """Review the servers for which this group of results has answers without a reason."""
    notable = [result for result in results if result.judgement is not ACCEPTED]
    if servers := {result.server_id for result in notable if _is_counted(result)}:
        review(now, servers)


def review(now: dt.datetime, server_ids: Collection[int] | None = None) -> None:
    """Review the answers of servers since they last accepted a message, and act on account limits and failures.

    A repeated review changes nothing, and makes up for a worker that was killed before its own review.

    :param server_ids: None: all servers.
    """
    rows = Refusal.objects.filter(is_in_row=True, is_taken_back=False)
    if server_ids is not None:
        rows = rows.filter(server__in=server_ids)
    found: dict[int, set[str]] = defaultdict(set)
    for server_id, alike, is_closing in rows.order_by().values_list("server", "alike", "is_closing").distinct():
        if is_closing:
            _review_closings(server_id, now)
        elif alike == LOST:
            _review_lost(server_id, now)
        else:
            found[server_id].add(alike)
    for server_id, alikes in found.items():
        for group in _groups(server_id, alikes, now):
            _review_alike(server_id, group, now)


def _review_closings(server_id: int, now: dt.datetime) -> None:
    every = Refusal.objects.filter(server=server_id, is_closing=True)
    row = every.filter(is_in_row=True)
    if row.count() < LEAST_CLOSINGS:
        return
    _, reply = _last_answer(row)
    with transaction.atomic():
        undoing = _Undoing.of(every.filter(_in_row_or_crossed(now)))
        undoing.free(f"The server failed; it is sent again. {reply}", now)
        if undoing.refusals:
            why = f"It closes every connection and accepts nothing: {reply}"
            circuit_breaker.trip(server_id, why, circuit_breaker.FIRST_PAUSE, circuit_breaker.LONGEST_PAUSE, now)
        undoing.reopen()


def _review_lost(server_id: int, now: dt.datetime) -> None:
    row = Refusal.objects.filter(server=server_id, alike=LOST, is_in_row=True)
    if row.count() < LEAST_LOST:
        return
    _, reply = _last_answer(row)
    with transaction.atomic():
        # The messages stay unconfirmed: each may have arrived.
        if _Undoing.of(row).refusals:
            why = f"It answers nothing that can be read once it has the message, and accepts nothing: {reply}"
            circuit_breaker.trip(server_id, why, circuit_breaker.FIRST_PAUSE, circuit_breaker.LONGEST_PAUSE, now)


def _groups(server_id: int, alikes: Collection[str], now: dt.datetime) -> list[frozenset[str]]:
    """Return groups of equal answers: each of ``alikes`` with the answers that differ from it in one word.

    Answers that crossed with an acceptance are compared too: they are taken back with those in the row.
    """
    rows = Refusal.objects.filter(_in_row_or_crossed(now), server=server_id, is_closing=False).exclude(alike=LOST)
    latest = dict(rows.order_by("-pk").values_list("alike", "pk")[:LATEST_REFUSALS])
    samples = Refusal.objects.filter(pk__in=list(latest.values())[:COMPARED]).select_related("message")
    attempts = {
        (attempt.message_id, attempt.number): attempt
        for attempt in Attempt.objects.filter(message__in={each.message_id for each in samples})
    }
    groups: dict[Hashable, set[str]] = defaultdict(set)
    for alike in alikes:
        groups[alike] = {alike}
    for refusal in samples:
        attempt = attempts.get((refusal.message_id, refusal.number))
        if attempt is None:
            continue
        reply = Reply.parse(attempt.reply)
        words = _words(reply, _addressed(refusal.message))
        if sum(word not in ("#", "@") for word in words) <= LEAST_SAME_WORDS:
            continue
        for place in range(min(len(words), COMPARED_WORDS)):
            others = (attempt.stage, reply.code, reply.enhanced, place, *words[:place], *words[place + 1 :])
            groups[others].add(refusal.alike)
    found: list[frozenset[str]] = []
    seen: set[str] = set()
    for group in sorted(map(frozenset, groups.values()), key=len, reverse=True):
        if not group.isdisjoint(alikes) and not group <= seen:
            found.append(group)
            seen |= group
    return found


def _review_alike(server_id: int, alikes: Collection[str], now: dt.datetime) -> None:
    every = Refusal.objects.filter(server=server_id, alike__in=alikes)
    row = every.filter(is_in_row=True)
    latest = row.order_by("-pk").values_list("message__redirected_to", "message__email_key", "message__mailing")
    recipients, mailings = set(), set()
    for redirected_to, email_key, mailing_id in latest[:LATEST_REFUSALS]:
        recipients.add(redirected_to.casefold() or email_key)
        mailings.add(mailing_id)
    if not recipients:  # The server accepted a message in the meantime.
        return
    domains = {recipient.rpartition("@")[2] for recipient in recipients}
    stage, reply = _last_answer(row)
    is_to_all = len(recipients) >= LEAST_RECIPIENTS and len(domains) >= LEAST_DOMAINS
    if not is_to_all or not _is_account(server_id, stage, mailings):
        if stage == Stage.MAIL and _is_sender_kept_away(server_id, mailings, now):
            with transaction.atomic():
                undoing = _Undoing.of(row)
                undoing.free(f"The server refuses the sender; another one is chosen. {reply}", now)
                undoing.reopen()
        return
    why = (
        f"The same answer to {len(recipients)} recipients of {len(domains)} domains, and nobody was accepted between:"
        f" it is about the account. {reply}"
    )
    with transaction.atomic():
        undoing = _Undoing.of(every.filter(_in_row_or_crossed(now)))
        undoing.free(f"The answer was about the account of the server; it is sent again. {reply}", now)
        if undoing.refusals:
            reservations.note_full(server_id, why, now + PAUSE, now)
            circuit_breaker.put_on_probation(server_id, now)
        undoing.reopen()


def _in_row_or_crossed(now: dt.datetime) -> Q:
    return Q(is_in_row=True) | Q(refused_at__gt=now - CROSSED)


def _last_answer(row: QuerySet[Refusal]) -> tuple[str, str]:
    """Return the stage and text of the latest answer in a row, without the recipient's address."""
    last = row.select_related("message").latest("pk")
    attempt = Attempt.objects.get(message=last.message, number=last.number)
    return attempt.stage, without_recipient(attempt.reply, _addressed(last.message))


def _addressed(message: Message) -> Outgoing:
    return Outgoing(
        *(message.pk, message.mailing_id, message.email, message.email_key), redirected_to=message.redirected_to
    )


def _is_sender_kept_away(server_id: int, mailings: Collection[int], now: dt.datetime) -> bool:
    """Whether the From of these mailings is kept from the server already. Then no message needs to avoid the server."""
    own = SmtpServer.objects.values_list("mail_from", flat=True).get(pk=server_id)
    used = Mailing.objects.filter(pk__in=mailings).values_list("mail_from", flat=True)
    kept_away = refused_senders.refused(now).get(server_id, {})
    return all(refused_senders.sender_of(mail_from or own) in kept_away for mail_from in used)


def _is_account(server_id: int, stage: str, mailings: Collection[int]) -> bool:
    """Whether an answer to all recipients is about the account, and not about the content of one mailing."""
    if stage != Stage.DOT or len(mailings) >= LEAST_MAILINGS:  # Only at the dot does the server know the content.
        return True
    server_name = SmtpServer.objects.filter(pk=server_id).values("name")
    earlier = MailingOutcome.objects.filter(mailing__in=mailings, server_name__in=server_name)
    return earlier.filter(outcome=Attempt.Outcome.ACCEPTED).exists()


# --- taking back


@dataclass(slots=True)
class _Undoing:
    """Undoes the consequences of refusals, each of them once.

    Rows are locked in the same order as in :mod:`delivery.outcomes.results`, so that the two cannot deadlock.
    """

    refusals: dict[tuple[int, int], Refusal]  # By (message, attempt number).
    wrong: list[Attempt] = field(default_factory=list)  # With their wrong outcome, bounced or failed.
    freed: set[int] = field(default_factory=set)  # Messages that are due again.

    @classmethod
    def of(cls, refusals: QuerySet[Refusal]) -> Self:
        """Lock the refusals that are not taken back yet, and mark them as taken back."""
        rows = list(refusals.filter(is_taken_back=False).order_by("pk").select_for_update())
        Refusal.objects.filter(pk__in=[each.pk for each in rows]).update(is_taken_back=True)
        return cls({(each.message_id, each.number): each for each in rows})

    def free(self, reason: str, now: dt.datetime) -> None:
        """Make the messages due at once for any server, set their attempts to deferred, and lift the suppressions."""
        self._free_messages(reason[:600], now)
        self._correct_attempts()
        self._correct_outcomes()
        self._lift_suppressions(now)

    def _free_messages(self, reason: str, now: dt.datetime) -> None:
        rows = Message.objects.filter(Q(status__in=["bounced", "failed"]) | Q(status="deferred", due_at__isnull=False))
        rows = rows.filter(pk__in=[message_id for message_id, _ in self.refusals]).select_related("mailing")
        alike: dict[tuple[str, tuple[int, ...]], list[int]] = defaultdict(list)
        # Messages that another worker has locked, or that were tried again in the meantime, are left alone.
        for message in rows.order_by("pk").select_for_update(skip_locked=True, of=("self",)):
            refusal = self.refusals.get((message.pk, message.attempt_count))
            if refusal is None:
                continue
            status: str = Message.Status.QUEUED
            if message.mailing.state == Mailing.State.CANCELLED:
                status = Message.Status.CANCELLED
            elif message.expires_at is not None and message.expires_at <= now:
                status = Message.Status.EXPIRED
            else:
                self.freed.add(message.pk)
            avoid = tuple(each for each in message.avoid if each != refusal.server_id)
            alike[status, avoid].append(message.pk)
        for (status, avoid), ids in alike.items():
            due_at = now if status == Message.Status.QUEUED else None
            changed = {
                "status": status,
                "due_at": due_at,
                "avoid": list(avoid),
                "is_refused": False,
                "reason": reason,
                "changed_at": now,
            }
            Message.objects.filter(pk__in=ids).update(**changed)

    def _correct_attempts(self) -> None:
        attempts = Attempt.objects.filter(
            message__in=[message_id for message_id, _ in self.refusals], outcome__in=["bounced", "failed"]
        )
        found = attempts.select_related("message__mailing", "batch").order_by("pk")
        self.wrong = [attempt for attempt in found if (attempt.message_id, attempt.number) in self.refusals]
        Correction.objects.bulk_create(
            Correction(attempt=attempt, was_outcome=attempt.outcome, was_rule=attempt.rule) for attempt in self.wrong
        )
        ids = [attempt.pk for attempt in self.wrong]
        Attempt.objects.filter(pk__in=ids).update(outcome=Attempt.Outcome.DEFERRED, rule=RULE)

    def _correct_outcomes(self) -> None:
        """Move the wrong outcomes to deferred in the counts by minute and by quarter of an hour."""
        of_mailings: Counter[tuple[int, str, dt.datetime, str]] = Counter()
        of_servers: Counter[tuple[str, dt.datetime, str]] = Counter()
        for each in self.wrong:
            assert each.finished_at is not None
            minute = each.finished_at.replace(second=0, microsecond=0)
            quarter = minute.replace(minute=minute.minute - minute.minute % 15)
            of_servers[each.batch.server_name, quarter, each.outcome] += 1
            if self._is_campaigns(each):
                of_mailings[each.message.mailing_id, each.batch.server_name, minute, each.outcome] += 1
        deferred = Attempt.Outcome.DEFERRED
        for (mailing_id, server, at, outcome), number in sorted(of_mailings.items()):
            minutes = MailingOutcome.objects.filter(mailing=mailing_id, server_name=server, minute_at=at)
            if minutes.filter(outcome=outcome, number__gte=number).update(number=F("number") - number):
                key = {"mailing_id": mailing_id, "server_name": server, "minute_at": at, "outcome": deferred}
                MailingOutcome.objects.get_or_create(**key, defaults={"number": 0, "first_at": at})
                minutes.filter(outcome=deferred).update(number=F("number") + number)
                minutes.filter(number=0).delete()
        for (server, at, outcome), number in sorted(of_servers.items()):
            quarters = ServerOutcome.objects.filter(server_name=server, quarter_at=at)
            if quarters.filter(outcome=outcome, number__gte=number).update(number=F("number") - number):
                ServerOutcome.objects.get_or_create(
                    server_name=server, quarter_at=at, outcome=deferred, defaults={"number": 0}
                )
                quarters.filter(outcome=deferred).update(number=F("number") + number)
                quarters.filter(number=0).delete()

    def _lift_suppressions(self, now: dt.datetime) -> None:
        ids = [message_id for message_id, _ in self.refusals]
        keys = dict(Message.objects.filter(pk__in=ids).values_list("pk", "email_key"))
        # A suppression has the instant of the answer that caused it.
        made = {(keys[each.message_id], each.refused_at) for each in self.refusals.values() if each.message_id in keys}
        bounced = Suppression.objects.filter(
            reason=Suppression.Reason.HARD_BOUNCE, email_key__in={key for key, _ in made}
        )
        why = "The answers that it followed from were about the account of a server, not about this address."
        for suppression in bounced.order_by("email_key"):
            if (suppression.email_key, suppression.created_at) in made:
                changes.lift(suppression, why, None, now, by=BY)

    def reopen(self) -> None:
        """Subtract the answers from the stop tallies of their mailings, and reopen mailings with messages due again."""
        sent: Counter[tuple[int, int]] = Counter()
        content: Counter[tuple[int, int]] = Counter()
        for each in self.wrong:
            if each.message.mailing.stream == Mailing.Stream.CAMPAIGN:
                refusal = self.refusals[each.message_id, each.number]
                sent[each.message.mailing_id, refusal.server_id] += 1
                content[each.message.mailing_id, refusal.server_id] += refusal.is_content
        for mailing_id, server_id in sorted(sent):
            StopTally.objects.filter(mailing=mailing_id, server=server_id).update(
                sent=Greatest(F("sent") - sent[mailing_id, server_id], 0),
                content_failures=Greatest(F("content_failures") - content[mailing_id, server_id], 0),
            )
        stopped = {mailing_id for (mailing_id, _), number in content.items() if number}
        # A mailing that finished in the meantime has no reason any more.
        is_known = Q(waiting_reason__startswith=STOPPED) | Q(finished_at__isnull=False)
        Mailing.objects.filter(is_known, pk__in=stopped, state="paused").update(
            waiting_reason=STOPPED_WRONGLY, waiting_words=kept(STOPPED_WRONGLY)
        )
        open_again = Message.objects.filter(pk__in=self.freed).order_by().values("mailing")
        Mailing.objects.filter(pk__in=open_again).update(finished_at=None, is_reported=False)

    @staticmethod
    def _is_campaigns(attempt: Attempt) -> bool:
        return attempt.message.mailing.stream == Mailing.Stream.CAMPAIGN and attempt.message.copy_of_id is None
