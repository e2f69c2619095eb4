"""What becomes of a post: proof of origin, handshake, and the raw report that a worker reads later."""

import contextlib
import datetime as dt
from functools import partial
from typing import NamedTuple

from django.db import transaction

from delivery import identity
from delivery.models import Incident
from encryption.keys import SecretUnreadable
from feedback.hooks import unproved
from feedback.hooks.addresses import Addressee, digest_of, url_of
from feedback.hooks.documents import document
from feedback.hooks.keys import keys_of, opened
from feedback.intake.store import take
from feedback.models import Hook, HookToken, RawReport
from feedback.webhooks.adapter import Adapter, Answer, Keys, Post, TryLater, Unproved, World
from feedback.webhooks.adapters import adapter_of
from feedback.webhooks.frame import pack, unpack
from feedback.webhooks.proofs import USED_BEFORE

NOTED_EVERY = dt.timedelta(seconds=10)  # Not each of hundreds of posts a second writes to one row.
INCIDENT = "webhook"
FAILED_FETCHES = 3  # Each of them takes seconds, and a person waits.


class Proved(NamedTuple):
    """A post that comes from the provider."""

    answer: Answer | None  # None: it holds events.
    tokens: list[str]  # Digests of tokens that prove no other post.


def receive(to: Addressee, post: Post, now: dt.datetime) -> Answer:
    """Store a post, unless it is a handshake, and return what to answer. What nothing proves is stored as such.

    :raises TryLater: if what the proof needs is not to be had now.
    """
    adapter = adapter_of(to.preset)
    try:
        keys = opened(to.keys, to.server_id, to.preset)
    except SecretUnreadable as error:
        raise TryLater(str(error)) from error
    try:
        proved = prove(to.hook_id, adapter, keys, post, now)
        if proved.answer is None:
            _store(to, adapter, post, proved.tokens, now)
    except Unproved as error:
        unproved.keep(to.server_id, adapter, post, str(error), now)
        _note(to, str(error), now)
        return Answer()
    _note(to, "", now)
    return proved.answer or Answer()


def prove(hook_id: int, adapter: Adapter, keys: Keys, post: Post, at: dt.datetime) -> Proved:
    """Prove a post.

    :param at: when it came.
    :raises Unproved: if it is none of the provider's.
    :raises TryLater: if what the proof needs is not to be had now.
    """
    tokens: list[str] = []
    world = World(at, document, partial(_is_unused, hook_id, tokens), lambda: not identity.why_held(at))
    adapter.prove(post, keys, world)
    return Proved(adapter.answer(post, keys, world), tokens)


def prove_again(hook: Hook, now: dt.datetime) -> int:
    """Prove the posts that wait unproved, by the keys of now, and return how many are read after all.

    Each is judged as of the time when it came: its signature was young then.

    :raises SecretUnreadable: if no key of ours opens the webhook's.
    """
    adapter, keys, url = adapter_of(hook.server.preset), keys_of(hook), url_of(hook)
    count = failures = 0
    for raw, content in unproved.kept(hook.server_id, adapter):
        headers, body = unpack(content)
        try:
            proved = prove(hook.pk, adapter, keys, Post(body, headers, url), raw.received_at)
        except Unproved:
            continue
        except TryLater:
            failures += 1
            if failures == FAILED_FETCHES:
                break
            continue
        if proved.answer is not None:
            unproved.forget(raw)
            continue
        with contextlib.suppress(Unproved), transaction.atomic():
            _use(hook.pk, proved.tokens, now)
            count += unproved.release(raw, adapter, headers, body)
    return count


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


def _store(to: Addressee, adapter: Adapter, post: Post, tokens: list[str], now: dt.datetime) -> None:
    kept = {name: post.headers[name] for name in adapter.kept_headers if name in post.headers}
    source, content = RawReport.Source.WEBHOOK, pack(kept, post.body)
    with transaction.atomic() if tokens else contextlib.nullcontext():
        _use(to.hook_id, tokens, now)
        take(source, content, now=now, server_id=to.server_id, provider=adapter.key)


def _use(hook_id: int, tokens: list[str], now: dt.datetime) -> None:
    """Note that tokens were used.

    :raises Unproved: if another request was faster.
    """
    for digest in tokens:
        if not HookToken.objects.get_or_create(hook_id=hook_id, digest=digest, defaults={"used_at": now})[1]:
            raise Unproved(USED_BEFORE)


def _is_unused(hook_id: int, tokens: list[str], token: str) -> bool:
    tokens.append(digest := digest_of(token))
    return not HookToken.objects.filter(hook=hook_id, digest=digest).exists()


def _note(to: Addressee, problem: str, now: dt.datetime) -> None:
    noted_at = to.last_problem_at if problem else to.last_event_at
    if noted_at is not None and now - noted_at < NOTED_EVERY:
        return
    changes = {"last_problem": problem[:300], "last_problem_at": now} if problem else {"last_event_at": now}
    Hook.objects.filter(pk=to.hook_id).update(**changes)
