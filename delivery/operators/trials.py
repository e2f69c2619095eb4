"""Trials: send tests that a page asked for, run one after the other by a worker, and their progress.

A worker runs them, because a server may be silent for minutes, and no page can wait that long.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from delivery.models import Trial
from delivery.operators import send_test
from delivery.operators.send_test import Conversation, Progress, ShownStep
from mail.addresses import fold
from smtpservers.models import SmtpServer
from smtpservers.smtp.conversation import Step

LOST_AFTER = dt.timedelta(seconds=30)  # A worker without a heartbeat for this long has ended.


def ask(server: SmtpServer, recipient: str, actor: Any, *, with_copies: bool, now: dt.datetime) -> Trial:
    """Queue a test for a worker."""
    return Trial.objects.create(
        server=server,
        created_by=actor,
        recipient=recipient,
        recipient_key=fold(recipient),
        with_copies=with_copies,
        created_at=now,
    )


def is_any_waiting() -> bool:
    return Trial.objects.filter(seen_at=None, ended_at=None).exists()


def make_next(clock: Callable[[], dt.datetime]) -> bool:
    """Run the oldest waiting test, unless another one is under way; return whether a test was run."""
    now = clock()
    waiting = Trial.objects.filter(seen_at=None, ended_at=None)
    trial = waiting.select_related("server", "created_by").order_by("pk").first()
    # One at a time: a few silent servers must not keep all workers from other tasks.
    if trial is None or Trial.objects.filter(ended_at=None, seen_at__gt=now - LOST_AFTER).exists():
        return False
    if not waiting.filter(pk=trial.pk).update(seen_at=now):
        return False

    def watch(progress: Progress) -> None:
        _note(
            trial, seen_at=clock(), message=progress.message_pk, is_sent=progress.is_sent, steps=_plain(progress.steps)
        )

    try:
        conversation = send_test.send_test(
            server_id=trial.server_id,
            recipient=trial.recipient,
            actor=trial.created_by,
            now=now,
            with_copies=trial.with_copies,
            watch=watch,
        )
    except send_test.SendTestRefused as refusal:
        _note(trial, ended_at=clock(), refusal=str(refusal))
        return True
    steps = [shown.step for shown in conversation.steps]
    explanations = [shown.explanation for shown in conversation.steps]
    _note(trial, ended_at=clock(), message=conversation.message_pk, steps=_plain(steps, explanations))
    return True


def is_lost(trial: Trial, now: dt.datetime) -> bool:
    """Whether the test's worker ended before the test did."""
    return trial.ended_at is None and trial.seen_at is not None and trial.seen_at <= now - LOST_AFTER


def conversation_of(trial: Trial) -> Conversation | None:
    """Return the conversation so far; None before the message is recorded."""
    message = trial.message
    if message is None:
        return None
    shown = tuple(ShownStep(Step(**step), explanation) for step, explanation in trial.steps)
    return Conversation(
        shown, message.status, message.reason, message.message_id, message.pk, trial.server.name, trial.recipient
    )


def forget_old(now: dt.datetime) -> None:
    """Delete trials that no page follows any more."""
    Trial.objects.filter(created_at__lte=now - Trial.KEPT_FOR).delete()


def _plain(steps: Any, explanations: Any = ()) -> list[Any]:
    known = list(explanations) or [""] * len(steps)
    return [[asdict(step), explanation] for step, explanation in zip(steps, known, strict=True)]


def _note(trial: Trial, **changes: Any) -> None:
    Trial.objects.filter(pk=trial.pk).update(**changes)
