"""Mailgun's webhooks: documentation.mailgun.com/docs/mailgun/user-manual/webhooks."""

import datetime as dt
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
    make_event,
    parse_json,
    reply_of,
)
from feedback.webhooks.proofs import USED_BEFORE, check_age, check_signature, hmac_hex, needed
from words.texts import text as _

LONGEST_AGE = dt.timedelta(minutes=15)

_SIMPLE = {
    "delivered": EventKind.DELIVERED,
    "complained": EventKind.COMPLAINT,
    "unsubscribed": EventKind.UNSUBSCRIBE,
    "rejected": EventKind.SERVER,
}
_REASONS = {
    "suppress-bounce": EventKind.SUPPRESSED,
    "suppress-complaint": EventKind.SUPPRESSED,
    "suppress-unsubscribe": EventKind.SUPPRESSED,
    "espblock": EventKind.SERVER,
    "bounce": EventKind.BOUNCE,
    "old": EventKind.SOFT_BOUNCE,  # Tried for hours.
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    # The id of an event is unique for a day only; the token of the request always is.
    token = at_path(told := parse_json(body), "signature", "token")
    return events_of(at_path(told, "event-data"), lambda event: _event(event, token))


def _event(told: dict[str, Any], token: object) -> Event | None:
    status = at_path(told, "delivery-status")
    code = at_path(status, "code")
    has_reply = isinstance(code, int) and 200 <= code < 600
    kind = _kind(told, code if has_reply else 0)
    if kind is None:
        return None
    said = cut(at_path(status, "message") or at_path(status, "description"), 600)
    return make_event(
        kind,
        told.get("recipient"),
        tag=at_path(told, "user-variables", "brilliance"),
        message_id=at_path(told, "message", "headers", "message-id"),
        event_id=token,
        reply=reply_of(code, said),
        status=at_path(status, "enhanced-code"),
        text=at_path(told, "reject", "reason") or told.get("reason"),
        at=from_epoch(told.get("timestamp")),
    )


def _kind(told: dict[str, Any], code: int) -> EventKind | None:
    name = told.get("event")
    if name != "failed":
        return _SIMPLE.get(name) if isinstance(name, str) else None
    if told.get("severity") != "permanent":
        return EventKind.DELAYED
    # "generic" and the unknown ones: as final as the reply says.
    return _REASONS.get(str(told.get("reason")), EventKind.BOUNCE if code >= 500 else EventKind.SOFT_BOUNCE)


def _prove(post: Post, keys: Keys, world: World) -> None:
    """Prove HMAC-SHA256 over timestamp and token. It doesn't cover the event, so no token counts twice."""
    try:
        told = parse_json(post.body)
    except ValueError as error:
        raise Unproved(str(error)) from error
    # A subaccount's post also carries a signature by its parent's key.
    signatures = [at_path(told, name) for name in ("signature", "parent-signature")]
    key = needed(keys, "signing_key")
    for signature in filter(None, signatures):
        timestamp, token, given = (cut(at_path(signature, name), 200) for name in ("timestamp", "token", "signature"))
        try:
            check_signature(given, hmac_hex(key, f"{timestamp}{token}".encode()))
        except Unproved:
            continue
        check_age(from_epoch(timestamp), world, LONGEST_AGE)
        if not world.is_unused(token):
            raise Unproved(USED_BEFORE)
        return
    raise Unproved(_("The signature is wrong. Compare the signing key with Mailgun's page."))


ADAPTER = Adapter(
    key="mailgun",
    name="Mailgun",
    events=events,
    prove=_prove,
    keys=(KeyField("signing_key", _("Webhook signing key"), _("On Mailgun's page API security.")),),
    events_to_tick=_("Delivered messages, permanent failure, temporary failure, spam complaints and unsubscribes"),
    guide=(
        _("In Mailgun, open Sending, Webhooks, and choose your domain."),
        _("Add a webhook with the address above for each of the events."),
        _("Copy the HTTP webhook signing key from API security into the field here."),
    ),
)
