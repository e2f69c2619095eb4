"""Settling what a dead worker left behind, from its journal where it is on this machine."""

import datetime as dt
import uuid
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db import transaction

from delivery import journal, lanes, recording
from delivery.judging import Judgement, judge
from delivery.models import Attempt, Lane, Mailing
from delivery.outgoing import Outgoing
from delivery.recording import Result
from mail.replies import Stage
from smtpservers.transport import Answer

# How long the journal of another machine is waited for.
JOURNAL_ELSEWHERE = dt.timedelta(minutes=10)
SWEEP_ATTEMPTS = 500
# A message that was being composed when its worker was ended, so many times, is what ends them; so is a content.
POISON_KILLS = 3
_COMPOSING, _COMPILING = "ended-composing", "ended-compiling"  # Rules of attempts.


def journal_folder() -> Path:
    """Return where the journals of this machine are."""
    return Path(settings.DATA_DIR) / "journal"


def sweep(now: dt.datetime) -> int:
    """Free lanes whose lease ran out and settle every attempt whose worker is gone; return how many.

    Not begun: queued again, its quota given back. Answered: recorded as answered. Dot written and no answer:
    unconfirmed, and a campaign's message is not sent again by itself.
    """
    lanes.free_expired()
    held = Lane.objects.exclude(holder="").values("token")
    tokens = Attempt.objects.filter(finished_at=None).exclude(lane_token__in=held).values_list("lane_token", flat=True)
    return sum(_settle_token(token, now) for token in set(tokens.distinct()))


def _settle_token(token: uuid.UUID, now: dt.datetime) -> int:
    # A worker that just lost its lane, as when its server is deleted, still notes the answers under way.
    # One from the future speaks of a clock that was set back, and of nobody's life.
    if 0 <= now.timestamp() - journal.last_written(journal_folder(), token) < settings.LEASE_SECONDS:
        return 0
    known = journal.read(journal_folder(), token)
    at_hand = journal.at_hand(journal_folder(), token)
    settled = 0
    while True:
        with transaction.atomic():
            attempts = (
                Attempt.objects.filter(lane_token=token, finished_at=None)
                .select_related("message__mailing", "message__contact", "message__copy_of__contact")
                .order_by("pk")
            )
            if known is None:
                attempts = attempts.filter(started_at__lt=now - JOURNAL_ELSEWHERE)
            batch = list(attempts[:SWEEP_ATTEMPTS])
            recording.settle([_result(attempt, known, at_hand, now) for attempt in batch], now)
            _stop_poison(at_hand.mailing_id)
        settled += len(batch)
        if len(batch) < SWEEP_ATTEMPTS:
            break
    if known is not None:
        journal.remove(journal_folder(), token)
    return settled


def _result(
    attempt: Attempt, known: dict[int, journal.Entry] | None, at_hand: journal.AtHand, now: dt.datetime
) -> Result:
    message = attempt.message
    stream = message.mailing.stream
    answer: Answer | None = None
    if known is None:
        answer = Answer(Stage.DOT, None, is_dot_written=True, lost="the worker is gone, and its journal with it")
    elif (entry := known.get(attempt.pk)) is not None:
        is_dot = entry.stage in (None, Stage.DOT)
        lost = entry.lost or "the worker was ended while it waited"
        answer = Answer(entry.stage or Stage.DOT, entry.reply, is_dot_written=is_dot, lost=lost)
    if answer is None and stream == Mailing.Stream.TEST:
        judgement = recording.ended("failed", "The test was interrupted before the message was sent.")
    elif answer is None:
        judgement = _unsent(attempt, at_hand)
    else:
        earlier = message.attempts.filter(outcome="unconfirmed").exists()
        judgement = judge(
            answer, stream=stream, attempts=attempt.number, resent_before=earlier, back_off=settings.RETRY_WAITS
        )
    return Result(
        attempt_id=attempt.pk,
        message=Outgoing.of(message),
        mailing_id=message.mailing_id,
        stream=stream,
        server_id=attempt.server_id or 0,
        period_id=attempt.period_id,
        reserved_at=attempt.started_at,
        judgement=judgement,
        stage=answer.stage.value if answer else "",
        reply=answer.reply if answer else None,
    )


def _unsent(attempt: Attempt, at_hand: journal.AtHand) -> Judgement:
    """Return the judgement of a message whose worker was ended before it was sent, and perhaps by it."""
    given_back = recording.given_back("The worker was ended before this message was sent.")
    if attempt.message.mailing_id == at_hand.mailing_id:
        return replace(given_back, rule=_COMPILING)
    if attempt.pk != at_hand.attempt_id:
        return given_back
    if attempt.message.attempts.filter(rule=_COMPOSING).count() + 1 < POISON_KILLS:
        return replace(given_back, rule=_COMPOSING)
    why = f"Poison: the worker was ended each of the {POISON_KILLS} times it composed this message."
    return replace(recording.ended("failed", why), rule=_COMPOSING)


def _stop_poison(mailing_id: int) -> None:
    """Pause a mailing whose content ended its worker too often; 0: none was being compiled."""
    if not mailing_id:
        return
    ended = Attempt.objects.filter(message__mailing=mailing_id, rule=_COMPILING)
    if ended.values("lane_token").distinct().count() >= POISON_KILLS:
        why = f"Poison: the worker was ended each of the {POISON_KILLS} times it compiled this content. Change it."
        Mailing.objects.filter(pk=mailing_id, state=Mailing.State.OPEN).update(
            state=Mailing.State.PAUSED, waiting_reason=why, waiting_until=None
        )
