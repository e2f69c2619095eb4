"""Trials: send tests that a page asked for, run one after the other by a worker, and their progress.

A worker runs them, because a server may be silent for minutes, and no page can wait that long.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from django.db import transaction
from django.utils.translation import gettext as _

from delivery.models import Trial
from delivery.operators import send_test
from delivery.operators.send_test import Content, Conversation, Progress, ShownStep
from delivery.outbox import mailings
from mail.addresses import fold
from smtpservers.models import SmtpServer
from smtpservers.smtp.conversation import Step
from words.texts import kept, restored, text, text_of

LOST_AFTER = dt.timedelta(seconds=30)  # A worker without a heartbeat for this long has ended.
TAKEN_WITHIN = dt.timedelta(seconds=10)  # A test that no worker has taken by then waits for other tests or a worker.
NOT_TRIED = text("Not tried, because the test before it failed before the message was sent.")


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


def ask_several(
    server: SmtpServer,
    recipients: Sequence[str],
    content: Content,
    merge: Mapping[str, Any] | None,
    actor: Any,
    now: dt.datetime,
) -> str:
    """Queue a test of the same content for each recipient, and return the name of their batch.

    :param merge: the values that fill the merge fields; None: those of a reader without a name.
    """
    batch = uuid.uuid4().hex
    with transaction.atomic():
        for position, recipient in enumerate(recipients):
            Trial.objects.create(
                server=server,
                created_by=actor,
                recipient=recipient,
                recipient_key=fold(recipient),
                with_copies=True,
                mailing=send_test.open_test(server, content, actor),
                merge=merge,
                batch=batch,
                position=position,
                created_at=now,
            )
    return batch


def is_any_waiting() -> bool:
    return Trial.objects.filter(seen_at=None, ended_at=None).exists()


def make_next(clock: Callable[[], dt.datetime]) -> bool:
    """Run the oldest waiting test, unless another one is under way; return whether a test was run."""
    now = clock()
    waiting = Trial.objects.filter(seen_at=None, ended_at=None)
    # The first ones of all batches before their second ones: nobody waits for somebody's twenty addresses.
    trial = waiting.select_related("server", "created_by", "mailing").order_by("position", "pk").first()
    # One at a time: a few silent servers must not keep all workers from other tasks.
    if trial is None or Trial.objects.filter(ended_at=None, seen_at__gt=now - LOST_AFTER).exists():
        return False
    if not waiting.filter(pk=trial.pk).update(seen_at=now):
        return False

    if _is_batch_broken(trial):
        _note_refusal(trial, NOT_TRIED, clock())
        return True

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
            mailing=trial.mailing,
            merge=trial.merge,
            with_copies=trial.with_copies,
            watch=watch,
        )
    except send_test.SendTestRefused as refusal:
        _note_refusal(trial, text_of(refusal), clock())
        return True
    steps = [shown.step for shown in conversation.steps]
    explanations = [shown.explanation for shown in conversation.steps]
    _note(trial, ended_at=clock(), message=conversation.message_pk, steps=_plain(steps, explanations))
    return True


def _is_batch_broken(trial: Trial) -> bool:
    """Whether an earlier test of the batch did not even reach MAIL: the server is asked once, not twenty times."""
    if not trial.batch:
        return False
    ended = Trial.objects.filter(batch=trial.batch, ended_at__isnull=False, refusal="")
    return any(all(step["name"] != "MAIL" for step, _ in steps) for steps in ended.values_list("steps", flat=True))


def of_batch(batch: str, reference: str) -> list[Trial]:
    """Return the tests that were asked for together, in their order; empty if they are not of this reference."""
    found = Trial.objects.filter(batch=batch, mailing__reference=reference).exclude(batch="")
    return list(found.select_related("server", "message").order_by("position"))


def under_way(trial: Trial, now: dt.datetime) -> tuple[str, str]:
    """Return in words how far a test is that has not ended: a headline and what to do."""
    values = {"name": trial.server.name, "seconds": trial.server.timeout_seconds}
    if is_lost(trial, now):
        return (
            _("The worker stopped during this test."),
            _("The message may have been sent. Check the mailbox, then send another test."),
        )
    if trial.seen_at is None and now - trial.created_at > TAKEN_WITHIN:
        return (
            _("Waiting for a worker."),
            _("Workers run one test at a time. If this takes long, check that a worker for errands is running."),
        )
    if trial.seen_at is None:
        return _("The test is about to start."), _("This page updates automatically.")
    if trial.is_sent:
        return (
            _("Sent in full, no reply yet."),
            _("%(name)s can take up to %(seconds)s seconds to reply. This page updates automatically.") % values,
        )
    return _("Talking to %(name)s.") % values, (
        _("Each reply can take up to %(seconds)s seconds. This page updates automatically.") % values
    )


def is_lost(trial: Trial, now: dt.datetime) -> bool:
    """Whether the test's worker ended before the test did."""
    return trial.ended_at is None and trial.seen_at is not None and trial.seen_at <= now - LOST_AFTER


def conversation_of(trial: Trial) -> Conversation | None:
    """Return the conversation so far; None before the message is recorded."""
    message = trial.message
    if message is None:
        return None
    shown = tuple(ShownStep(_restored(step), cast("str", restored(explanation))) for step, explanation in trial.steps)
    return Conversation(
        shown, message.status, message.reason, message.message_id, message.pk, trial.server.name, trial.recipient
    )


def forget_old(now: dt.datetime) -> None:
    """Delete trials that no page follows any more, and end the mailings that got no recipient."""
    old = Trial.objects.filter(created_at__lte=now - Trial.KEPT_FOR)
    for mailing_id in old.filter(message=None).exclude(mailing=None).values_list("mailing", flat=True):
        mailings.abandon(mailing_id, now)
    old.delete()


def _plain(steps: Any, explanations: Any = ()) -> list[Any]:
    known = list(explanations) or [""] * len(steps)
    return [[_kept(step), kept(explanation)] for step, explanation in zip(steps, known, strict=True)]


def _kept(step: Step) -> dict[str, Any]:
    """Return a step for the database. Our own words in it stay texts; those of a server are no templates."""
    details = {name: kept(value) for name, value in step.details.items()}
    return {**asdict(step), "sent": kept(step.sent), "reply": kept(step.reply), "details": details}


def _restored(step: dict[str, Any]) -> Step:
    details = {name: restored(value) for name, value in step["details"].items()}
    return Step(**{**step, "sent": restored(step["sent"]), "reply": restored(step["reply"]), "details": details})


def _note_refusal(trial: Trial, why: str, now: dt.datetime) -> None:
    _note(trial, ended_at=now, refusal=str(why), refusal_words=kept(why))


def _note(trial: Trial, **changes: Any) -> None:
    Trial.objects.filter(pk=trial.pk).update(**changes)
