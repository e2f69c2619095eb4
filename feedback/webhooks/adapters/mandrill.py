"""Mailchimp Transactional (Mandrill): mailchimp.com/developer/transactional/docs/webhooks."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from feedback.webhooks.adapter import Adapter, Answer, KeyField, Keys, Post, Unproved, World
from feedback.webhooks.event import Event, EventKind, at_path, cut, events_of, from_epoch, make_event, parse_json
from feedback.webhooks.proofs import check_signature, needed
from words.texts import text as _

_NO_EVENTS = "[]"
TEST_KEY = "test-webhook"  # Signs the empty list that tries out a new address. Everybody knows it.

_KINDS = {
    "delivered": EventKind.DELIVERED,
    "deferral": EventKind.DELAYED,
    "hard_bounce": EventKind.BOUNCE,
    "soft_bounce": EventKind.SOFT_BOUNCE,
    "spam": EventKind.COMPLAINT,
    "unsub": EventKind.UNSUBSCRIBE,
}
_LISTED = {"hard-bounce", "soft-bounce", "spam", "unsub", "custom"}  # Reasons of "reject": it wasn't tried.


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(_form(body).get("mandrill_events", "").encode()), _event)


def _event(told: dict[str, Any]) -> Event | None:
    name, message = cut(told.get("event"), 40), told.get("msg")
    if name == "reject":
        reason = at_path(message, "reject", "reason") or at_path(told, "reject", "reason")
        kind = EventKind.SUPPRESSED if cut(reason, 40) in _LISTED else EventKind.SERVER
    elif name in _KINDS:
        kind, reason = _KINDS[name], at_path(message, "bounce_description")
    else:
        return None
    return make_event(
        kind,
        at_path(message, "email"),
        tag=at_path(message, "metadata", "brilliance"),
        reply=at_path(message, "diag") or at_path(message, "smtp_events", -1, "diag"),
        text=reason,
        at=from_epoch(told.get("ts")),
    )


def _prove(post: Post, keys: Keys, world: World) -> None:
    """Prove HMAC-SHA1 over the address, to the byte, and the names and values of the form in their order."""
    try:
        form = _form(post.body)
    except ValueError as error:
        raise Unproved(str(error)) from error
    signed = post.url + "".join(f"{name}{value}" for name, value in sorted(form.items()))
    key = TEST_KEY if form.get("mandrill_events") == _NO_EVENTS else needed(keys, "signing_key")
    right = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    check_signature(post.headers.get("x-mandrill-signature", ""), right)


def _answer(post: Post, keys: Keys, world: World) -> Answer | None:
    return Answer() if _form(post.body).get("mandrill_events") == _NO_EVENTS else None


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise ValueError("The form can't be read.") from error


ADAPTER = Adapter(
    key="mandrill",
    name="Mailchimp Transactional",
    events=events,
    prove=_prove,
    answer=_answer,
    keys=(KeyField("signing_key", _("Webhook key"), _("Shown beside the webhook after you saved it.")),),
    proof_headers=("x-mandrill-signature",),
    events_to_tick=_("Delivered, delayed, bounced, soft-bounced, marked as spam, recipient unsubscribes and rejected"),
    guide=(
        _("In Mailchimp Transactional, open Settings, Webhooks, and add one with the address above and the events."),
        _("Copy the key that stands beside it into the field here."),
    ),
)
