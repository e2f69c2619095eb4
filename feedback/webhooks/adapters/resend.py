"""Resend's webhooks: resend.com/docs/webhooks; signed by Standard Webhooks under its svix names."""

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter, KeyField, Keys, Post, Unproved, World
from feedback.webhooks.event import (
    Event,
    EventKind,
    at_path,
    cut,
    events_of,
    from_epoch,
    from_iso,
    make_event,
    parse_json,
)
from feedback.webhooks.proofs import check_age, check_signature, decoded, is_same, needed
from words.texts import text as _

LONGEST_AGE = dt.timedelta(minutes=5)  # As Standard Webhooks' own libraries.

_KINDS = {
    "email.delivered": EventKind.DELIVERED,
    "email.delivery_delayed": EventKind.DELAYED,
    "email.complained": EventKind.COMPLAINT,
    "email.suppressed": EventKind.SUPPRESSED,
    "email.failed": EventKind.SERVER,
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(
        parse_json(body), lambda told: _event(told, headers.get("svix-id") or headers.get("webhook-id", ""))
    )


def _event(told: dict[str, Any], event_id: str) -> Event | None:
    name, sent = cut(told.get("type"), 60), told.get("data")
    kind = _bounce(at_path(sent, "bounce")) if name == "email.bounced" else _KINDS.get(name)
    if kind is None:
        return None
    return make_event(
        kind,
        at_path(sent, "to", 0) or at_path(sent, "to"),  # We send to one recipient at a time.
        message_id=at_path(sent, "message_id"),
        event_id=event_id,
        text=at_path(sent, "bounce", "message") or at_path(sent, "failed", "reason"),
        at=from_iso(told.get("created_at")),
    )


def _bounce(said: object) -> EventKind:
    if "suppress" in (cut(at_path(said, "subType"), 60) + cut(at_path(said, "message"), 600)).lower():
        return EventKind.SUPPRESSED
    return EventKind.BOUNCE if at_path(said, "type") == "Permanent" else EventKind.SOFT_BOUNCE


def _prove(post: Post, keys: Keys, world: World) -> None:
    """Prove HMAC-SHA256 over id, timestamp and body, in the form of standardwebhooks.com."""
    number, timestamp, given = (
        post.headers.get(f"svix-{name}") or post.headers.get(f"webhook-{name}", "")
        for name in ("id", "timestamp", "signature")
    )
    key = decoded(needed(keys, "signing_key").removeprefix("whsec_"))
    signed = hmac.new(key, f"{number}.{timestamp}.".encode() + post.body, hashlib.sha256).digest()
    right = f"v1,{base64.b64encode(signed).decode()}"
    # While a key is changed there are several, with blanks between them.
    check_signature(next((one for one in given.split()[:10] if is_same(one, right)), given), right)
    check_age(from_epoch(timestamp), world, LONGEST_AGE)


def _check_key(text: str) -> str:
    try:
        decoded(text.removeprefix("whsec_"))
    except Unproved:
        raise ValueError(_("This is no signing secret of Resend. Copy it again; it starts with whsec_.")) from None
    return text


ADAPTER = Adapter(
    key="resend",
    name="Resend",
    events=events,
    prove=_prove,
    keys=(
        KeyField(
            "signing_key",
            _("Signing secret"),
            _("Shown on the webhook's page. It starts with whsec_."),
            check=_check_key,
        ),
    ),
    kept_headers=("svix-id", "webhook-id"),
    proof_headers=tuple(f"{start}-{name}" for start in ("svix", "webhook") for name in ("timestamp", "signature")),
    may_replace_message_id=True,
    events_to_tick=_("Delivered, delivery delayed, bounced, complained, suppressed and failed"),
    guide=(
        _("In Resend, open Webhooks, and add one with the address above and the events."),
        _("Copy its signing secret into the field here."),
    ),
    simulator="bounced@resend.dev",
)
