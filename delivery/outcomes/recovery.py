"""The recovery of a dead worker's batches, with its journal if that is on this machine."""

import datetime as dt
import uuid
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from delivery import clock, identity
from delivery.content.message import Outgoing
from delivery.content.return_paths import ReturnPath
from delivery.models import Attempt, Batch, Lane, Mailing, Message
from delivery.outbox import claims, leases
from delivery.outcomes import account_limits, journal
from delivery.outcomes import results as outcomes_results
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import Judgement, judge
from mail.replies.rules import Stage
from smtpservers.limits import reservations
from smtpservers.smtp.answer import Answer
from words.texts import kept, text

# How long a batch waits for the other machine that may hold its journal.
JOURNAL_ELSEWHERE = dt.timedelta(minutes=10)
JOURNAL_KEPT = dt.timedelta(hours=1)  # The journal of a worker that left nothing to settle.
# A message is poison if its worker ended this many times while it composed the message. The same goes for content.
POISON_KILLS = 3
_COMPOSING, _COMPILING = "ended-composing", "ended-compiling"  # Rules of attempts.

Known = dict[int, journal.JournalEntry] | None  # The journal's entries by attempt; None: it is not on this machine.


def journal_folder() -> Path:
    """Return the folder of this machine's journals."""
    return Path(settings.DATA_DIR) / "journal"


def sweep(now: dt.datetime) -> int:
    """Free lanes with an expired lease, settle all attempts of dead workers, and return the number settled.

    An attempt that was not begun is queued again, and its quota released. An answered one is recorded as answered. One
    with its dot written and no answer is unconfirmed, and a campaign's message is not sent again by itself. While this
    database is a copy that waits for a person's answer, nothing is settled.
    """
    if identity.why_held(now):
        return 0
    leases.free_expired()
    held = Lane.objects.exclude(holder="").values("token")
    settled = _settle_tokens(Batch.objects.filter(Batch.OPEN).exclude(lane_token__in=held), now)
    account_limits.review(now)  # For workers that died between their results and their own review.
    _clear_away(now)
    return settled


def sweep_here(now: dt.datetime) -> int:
    """Settle the attempts of this machine's dead workers, whose journals no other machine can read; return the number.

    Each sending worker calls this, so that its machine needs no worker for errands.
    """
    if identity.why_held(now):
        return 0
    leases.free_expired()
    written = journal.tokens(journal_folder()) - set(Lane.objects.exclude(holder="").values_list("token", flat=True))
    return _settle_tokens(Batch.objects.filter(Batch.OPEN, lane_token__in=written), now)


def settle_copied(now: dt.datetime) -> bool:
    """Settle the attempts that were under way when this copy was made; False while a lease of the original is valid.

    The original may have finished them: attempts without an entry in a journal here are unconfirmed.
    """
    leases.free_expired()
    left = Batch.objects.filter(Batch.OPEN)
    if Lane.objects.exclude(holder="").filter(token__in=left.values("lane_token")).exists():
        return False
    folder = journal_folder()
    for batch in left:
        attempts = range(batch.pk * Batch.MOST, batch.pk * Batch.MOST + len(batch.claims))
        unsure = dict.fromkeys(attempts, journal.JournalEntry(lost="this is a copy, and the original may have sent it"))
        _settle_batch(batch.pk, unsure | (journal.read(folder, batch.lane_token) or {}), journal.InProgress(), now)
    return True


def _clear_away(now: dt.datetime) -> None:
    """Remove the journals of workers that ended with nothing left to settle."""
    old = journal.older_than(journal_folder(), (now + clock.drift() - JOURNAL_KEPT).timestamp())
    if old:
        left = Batch.objects.filter(Batch.OPEN).values_list("lane_token", flat=True)
        for token in old - {*Lane.objects.values_list("token", flat=True), *left}:
            journal.remove(journal_folder(), token)


def _settle_tokens(batches: QuerySet[Batch], now: dt.datetime) -> int:
    tokens = set(batches.order_by().values_list("lane_token", flat=True).distinct())
    return sum(_settle_token(token, now) for token in tokens)


def _settle_token(token: uuid.UUID, now: dt.datetime) -> int:
    # A worker that just lost its lane, as when its server is deleted, still writes the answers under way.
    # A journal from the future means a clock that was set back, and not a live worker.
    here = (now + clock.drift()).timestamp()  # Files have this machine's clock.
    if 0 <= here - journal.last_written(journal_folder(), token) < settings.LEASE_SECONDS:
        return 0
    known = journal.read(journal_folder(), token)
    in_progress = journal.in_progress(journal_folder(), token)
    batches = Batch.objects.filter(Batch.OPEN, lane_token=token)
    if known is None:
        batches = batches.filter(started_at__lt=now - JOURNAL_ELSEWHERE)
    settled = sum(_settle_batch(batch_id, known, in_progress, now) for batch_id in batches.values_list("pk", flat=True))
    if known is not None:
        journal.remove(journal_folder(), token)
    return settled


def _settle_batch(batch_id: int, known: Known, in_progress: journal.InProgress, now: dt.datetime) -> int:
    with transaction.atomic():
        # If two sweeps run at once, the second one waits here and finds nothing left.
        server_id = Batch.objects.filter(pk=batch_id).values_list("server", flat=True).first()
        is_there = server_id is not None and reservations.prevent_deletion(server_id)
        batches = Batch.objects.select_for_update(of=("self",)).select_related("mailing")
        batch = batches.filter(Batch.OPEN, pk=batch_id).first()
        if batch is None:
            return 0
        if not is_there:
            batch.server_id = batch.period_id = None
        results = [_result(batch, place, message, known, in_progress, now) for place, message in _left(batch)]
        outcomes_results.settle(results, now)
        _stop_poison(in_progress.mailing_id)
        Batch.objects.filter(pk=batch_id).update(open_count=0, claims=[])  # If some of its messages were deleted.
    return len(results)


def _left(batch: Batch) -> list[tuple[int, Outgoing]]:
    """Return the messages of the batch with unrecorded attempts, each with its place in the batch."""
    numbers = dict(batch.claims)
    recorded = set(Attempt.objects.filter(message__in=numbers).values_list("message_id", "number"))
    rows = Message.objects.select_related("contact", "copy_of__contact").in_bulk(list(numbers))
    return_path = ReturnPath.recorded(
        batch.return_path, is_tagged=batch.is_return_path_tagged, stream=batch.mailing.stream
    )
    left = []
    for place, (message_id, number) in enumerate(batch.claims):
        if message_id in rows and (message_id, number) not in recorded:
            left.append((place, Outgoing.of(rows[message_id])))
    claims.address([message for _, message in left], batch.mailing, return_path)
    return left


def _result(
    batch: Batch, place: int, message: Outgoing, known: Known, in_progress: journal.InProgress, now: dt.datetime
) -> Result:
    stream = batch.mailing.stream
    attempt_id = batch.pk * Batch.MOST + place
    answer: Answer | None = None
    entry = None
    if known is None:
        answer = Answer(Stage.DOT, None, is_dot_written=True, lost="the worker is gone, and its journal with it")
    elif (entry := known.get(attempt_id)) is not None:
        is_dot = entry.stage in (None, Stage.DOT)
        lost = entry.lost or "the worker was ended while it waited"
        answer = Answer(entry.stage or Stage.DOT, entry.reply, is_dot_written=is_dot, lost=lost)
    if answer is None and stream == Mailing.Stream.TEST:
        judgement = outcomes_results.ended("failed", "The test was interrupted before the message was sent.")
    elif answer is None:
        judgement = _unsent(attempt_id, message, in_progress)
    else:
        tries = Attempt.objects.filter(message=message.pk).exclude(outcome=Attempt.Outcome.NOT_SENT)
        earlier = tries.filter(outcome=Attempt.Outcome.UNCONFIRMED).exists()
        judgement = judge(
            answer,
            stream=stream,
            attempts=tries.count() + 1,
            recipient=message.written_to,
            resent_before=earlier,
            back_off=settings.RETRY_WAITS,
        )
        if entry is None or not entry.lost:  # Not the server's fault.
            judgement = replace(judgement, is_answer_lost=False)
    return Result(
        attempt_id=attempt_id,
        message=message,
        mailing_id=message.mailing_id,
        stream=stream,
        server_id=batch.server_id or 0,
        period_id=batch.period_id,
        reserved_at=batch.started_at,
        judgement=judgement,
        stage=answer.stage.value if answer else "",
        reply=answer.reply if answer else None,
    )


def _unsent(attempt_id: int, message: Outgoing, in_progress: journal.InProgress) -> Judgement:
    """Return the judgement of an unsent message whose worker ended, perhaps because of this message."""
    given_back = outcomes_results.given_back("The worker was ended before this message was sent.")
    if message.mailing_id == in_progress.mailing_id:
        return replace(given_back, rule=_COMPILING)
    if attempt_id not in (in_progress.attempt_id, in_progress.background_id):
        return given_back
    if Attempt.objects.filter(message=message.pk, rule=_COMPOSING).count() + 1 < POISON_KILLS:
        return replace(given_back, rule=_COMPOSING)
    why = f"Poison: the worker was ended each of the {POISON_KILLS} times it composed this message."
    return replace(outcomes_results.ended("failed", why), rule=_COMPOSING)


def _stop_poison(mailing_id: int) -> None:
    """Pause a mailing whose content ended its worker too often.

    :param mailing_id: the mailing whose content was being compiled; 0: none.
    """
    if not mailing_id:
        return
    ended = Attempt.objects.filter(message__mailing=mailing_id, rule=_COMPILING)
    if ended.values("batch__lane_token").distinct().count() >= POISON_KILLS:
        why = text(
            "Poison: the worker was ended each of the %(n)s times it compiled this content. Change it.", n=POISON_KILLS
        )
        Mailing.objects.filter(pk=mailing_id, state=Mailing.State.OPEN).update(
            state=Mailing.State.PAUSED, waiting_reason=why, waiting_words=kept(why), waiting_until=None
        )
