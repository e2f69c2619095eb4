"""What becomes of a post: proof of origin, handshake, and the raw report that a worker reads later."""

import contextlib
import datetime as dt
import hashlib
from functools import partial

from django.db import transaction

from delivery import identity
from delivery.models import Incident
from encryption.keys import SecretUnreadable
from feedback.hooks.addresses import Addressee
from feedback.hooks.documents import document
from feedback.hooks.keys import opened
from feedback.intake.store import take
from feedback.models import Hook, HookToken, RawReport
from feedback.webhooks.adapter import Answer, Post, TryLater, Unproved, World
from feedback.webhooks.adapters import adapter_of
from feedback.webhooks.framing import pack

NOTED_EVERY = dt.timedelta(seconds=10)  # Not each of hundreds of posts a second writes to one row.
INCIDENT = "webhook"


def receive(to: Addressee, post: Post, now: dt.datetime) -> Answer:
    """Store a post, unless it is a handshake, and return what to answer. What nothing proves is stored as such.

    :raises TryLater: if what the proof needs is not to be had now.
    """
    adapter = adapter_of(to.preset)
    used: list[str] = []
    problem = ""
    try:
        keys = opened(to.keys, to.server_id, to.preset)
        world = World(now, document, partial(_is_unused, to, used), lambda: not identity.why_held(now))
        adapter.prove(post, keys, world)
        answer = adapter.answer(post, keys, world)
    except Unproved as error:
        answer, problem = None, str(error)
    except SecretUnreadable as error:
        raise TryLater(str(error)) from error
    if answer is None:
        kept = {name: post.headers[name] for name in adapter.kept_headers if name in post.headers}
        with transaction.atomic() if used else contextlib.nullcontext():
            for digest in used if not problem else ():
                HookToken.objects.create(hook_id=to.hook_id, digest=digest, used_at=now)
            take(
                RawReport.Source.WEBHOOK,
                pack(kept, post.body),
                now=now,
                server_id=to.server_id,
                provider=adapter.key,
                problem=problem,
            )
    _note(to, problem, now)
    return answer or Answer()


def refuse_size(server_id: int, now: dt.datetime) -> None:
    """Have a person look at a post that is too large to take, once a day."""
    why = "The provider posted more than 10 MiB at once to the webhook. Have it send fewer events in a request."
    Incident.objects.get_or_create(
        key=f"{server_id} {INCIDENT} {now:%Y-%m-%d}",
        defaults={"server_id": server_id, "kind": INCIDENT, "reason": why, "seen_at": now},
    )


def forget_tokens(now: dt.datetime) -> None:
    """Delete tokens that prove nothing any more, because their signature is too old."""
    HookToken.objects.filter(used_at__lt=now - HookToken.KEPT_FOR).delete()


def _is_unused(to: Addressee, used: list[str], token: str) -> bool:
    digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
    used.append(digest)
    return not HookToken.objects.filter(hook=to.hook_id, digest=digest).exists()


def _note(to: Addressee, problem: str, now: dt.datetime) -> None:
    noted_at = to.last_problem_at if problem else to.last_event_at
    if noted_at is not None and now - noted_at < NOTED_EVERY:
        return
    changes = {"last_problem": problem[:300], "last_problem_at": now} if problem else {"last_event_at": now}
    Hook.objects.filter(pk=to.hook_id).update(**changes)
