"""MailerSend's webhooks: developers.mailersend.com/api/v1/account/webhooks."""

from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter, Answer, KeyField, Keys, Post, World
from feedback.webhooks.event import Event, EventKind, at_path, cut, events_of, from_iso, make_event, parse_json
from feedback.webhooks.proofs import check_signature, hmac_hex, needed
from words.texts import text as _

# MailerSend asks for an answer to a ping before it saves a webhook. Everybody knows this key.
PING, PING_KEY = "webhook.test", "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"

_KINDS = {
    "activity.delivered": EventKind.DELIVERED,
    "activity.deferred": EventKind.DELAYED,
    "activity.soft_bounced": EventKind.SOFT_BOUNCE,
    "activity.hard_bounced": EventKind.BOUNCE,
    "activity.spam_complaint": EventKind.COMPLAINT,
    "activity.unsubscribed": EventKind.UNSUBSCRIBE,
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _event)


def _event(told: dict[str, Any]) -> Event | None:
    kind = _KINDS.get(cut(told.get("type"), 60))
    if kind is None:
        return None
    activity = told.get("data")
    return make_event(
        kind,
        at_path(activity, "email", "recipient", "email"),
        message_id=at_path(activity, "email", "headers", "message-id"),
        event_id=at_path(activity, "id"),
        reply=at_path(activity, "morph", "reason"),
        text=at_path(activity, "morph", "readable_reason"),
        at=from_iso(at_path(activity, "created_at") or told.get("created_at")),
    )


def _prove(post: Post, keys: Keys, world: World) -> None:
    given = post.headers.get("signature", "")
    # A ping holds no event, whoever signed it.
    check_signature(given, hmac_hex(PING_KEY if _is_ping(post) else needed(keys, "signing_key"), post.body))


def _answer(post: Post, keys: Keys, world: World) -> Answer | None:
    return Answer() if _is_ping(post) else None


def _is_ping(post: Post) -> bool:
    try:
        return bool(at_path(parse_json(post.body), "type") == PING)
    except ValueError:
        return False


ADAPTER = Adapter(
    key="mailersend",
    name="MailerSend",
    events=events,
    prove=_prove,
    answer=_answer,
    keys=(KeyField("signing_key", _("Signing secret"), _("Shown on the webhook's page.")),),
    proof_headers=("signature",),
    may_replace_message_id=True,
    events_to_tick=_("Delivered, deferred, soft bounced, hard bounced, spam complaint and unsubscribed"),
    guide=(
        _("In MailerSend, open your domain, Webhooks, and add one with the address above and the events."),
        _("Copy its signing secret into the field here."),
    ),
)
