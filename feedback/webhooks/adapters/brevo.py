"""Brevo's transactional webhooks: developers.brevo.com/docs/transactional-webhooks."""

from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter
from feedback.webhooks.event import Event, EventKind, cut, events_of, from_epoch, make_event, parse_json
from feedback.webhooks.proofs import BASIC_HEADERS, BASIC_KEYS, prove_basic
from words.texts import text as _

_KINDS = {
    "delivered": EventKind.DELIVERED,
    "hard_bounce": EventKind.BOUNCE,
    "invalid_email": EventKind.BOUNCE,
    "soft_bounce": EventKind.SOFT_BOUNCE,
    "deferred": EventKind.DELAYED,
    "blocked": EventKind.SUPPRESSED,
    "spam": EventKind.COMPLAINT,
    "complaint": EventKind.COMPLAINT,
    "unsubscribe": EventKind.UNSUBSCRIBE,
    "unsubscribed": EventKind.UNSUBSCRIBE,
    "error": EventKind.SERVER,
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _event)


def _event(told: dict[str, Any]) -> Event | None:
    kind = _KINDS.get(cut(told.get("event"), 40))
    if kind is None:
        return None
    epoch = told.get("ts_epoch")  # Milliseconds. Unlike ts and date it doesn't depend on the account's zone.
    return make_event(
        kind,
        told.get("email"),
        tag=cut(told.get("X-Mailin-custom"), 500).removeprefix("brilliance:"),
        message_id=told.get("message-id"),
        reply=told.get("reason"),
        at=from_epoch(epoch, per_second=1_000) or from_epoch(told.get("ts_event")),
    )


ADAPTER = Adapter(
    key="brevo",
    name="Brevo",
    events=events,
    prove=prove_basic,
    keys=BASIC_KEYS,
    proof_headers=BASIC_HEADERS,
    events_to_tick=_(
        "Delivered, hard bounce, soft bounce, deferred, blocked, invalid email, error, complaint, unsubscribed"
    ),
    guide=(
        _("In Brevo, open Transactional, Settings, Webhook, and add one."),
        _("Paste the address above and tick the events."),
        _("Choose basic authentication, and enter the same username and password as here."),
    ),
)
