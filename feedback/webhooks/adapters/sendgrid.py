"""Twilio SendGrid's Event Webhook: www.twilio.com/docs/sendgrid/for-developers/tracking-events/event."""

import functools
import textwrap
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from feedback.webhooks.adapter import Adapter, KeyField, Keys, Post, Unproved, World
from feedback.webhooks.event import Event, EventKind, events_of, from_epoch, make_event, parse_json
from feedback.webhooks.proofs import decoded, needed
from words.texts import text as _

_HEADERS = ("x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp")
_SIMPLE = {
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DELAYED,
    "spamreport": EventKind.COMPLAINT,
    "unsubscribe": EventKind.UNSUBSCRIBE,
    "group_unsubscribe": EventKind.UNSUBSCRIBE,
    "group_resubscribe": EventKind.OTHER,
}
_CLASSES = {"content": EventKind.CONTENT, "reputation": EventKind.SERVER}  # bounce_classification
_DROPPED = {
    "bounced address": EventKind.SUPPRESSED,
    "unsubscribed address": EventKind.SUPPRESSED,
    "spam reporting address": EventKind.SUPPRESSED,
    "invalid": EventKind.SUPPRESSED,  # On the account's list of invalid addresses.
    "spam content (if spam checker app is enabled)": EventKind.CONTENT,
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _event)


def _event(told: dict[str, Any]) -> Event | None:
    kind = _kind(told)
    if kind is None:
        return None
    return make_event(
        kind,
        told.get("email"),
        tag=told.get("brilliance"),
        message_id=told.get("smtp-id"),
        event_id=told.get("sg_event_id"),
        reply=told.get("reason") or told.get("response"),
        status=told.get("status"),
        at=from_epoch(told.get("timestamp")),
    )


def _kind(told: dict[str, Any]) -> EventKind | None:
    name = told.get("event")
    if name == "bounce":
        if found := _CLASSES.get(str(told.get("bounce_classification")).lower()):
            return found
        return EventKind.BOUNCE if told.get("type") == "bounce" else EventKind.SOFT_BOUNCE
    if name == "dropped":
        return _DROPPED.get(str(told.get("reason")).strip().lower(), EventKind.SERVER)
    return _SIMPLE.get(name) if isinstance(name, str) else None


def _prove(post: Post, keys: Keys, world: World) -> None:
    """Prove ECDSA with P-256 and SHA-256 over the timestamp and the body."""
    signature, timestamp = (post.headers.get(name, "") for name in _HEADERS)
    try:
        _public_key(needed(keys, "public_key")).verify(
            decoded(signature), timestamp.encode() + post.body, ECDSA(hashes.SHA256())
        )
    except InvalidSignature as error:
        raise Unproved(_("The signature is wrong. Compare the verification key with SendGrid's page.")) from error


@functools.lru_cache(maxsize=64)
def _public_key(text: str) -> EllipticCurvePublicKey:
    # SendGrid shows the bare base64; people also paste whole PEM files.
    inner = "".join(line for line in text.split() if "-----" not in line and line not in ("PUBLIC", "BEGIN", "END"))
    pem = "\n".join(("-----BEGIN PUBLIC KEY-----", *textwrap.wrap(inner, 64), "-----END PUBLIC KEY-----", ""))
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise Unproved(_("The verification key can't be read. Copy it again from SendGrid's page.")) from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise Unproved(_("The verification key can't be read. Copy it again from SendGrid's page."))
    return key


def _check_key(text: str) -> str:
    try:
        _public_key(text)
    except Unproved as error:
        raise ValueError(str(error)) from error
    return text


ADAPTER = Adapter(
    key="sendgrid",
    name="Twilio SendGrid",
    events=events,
    prove=_prove,
    keys=(
        KeyField(
            "public_key",
            _("Verification key"),
            _("Shown by SendGrid after you turn on the signature."),
            is_secret=False,
            is_long=True,
            check=_check_key,
        ),
    ),
    proof_headers=_HEADERS,
    events_to_tick=_("Dropped, delivered, deferred, bounced, spam reports, unsubscribes and group unsubscribes"),
    guide=(
        _("In SendGrid, open Settings, Mail settings, Event webhooks, and create one."),
        _("Paste the address above as Post URL and tick the events."),
        _("Turn on Signature verification, and copy the verification key into the field here."),
    ),
)
