"""SparkPost's event webhooks: developers.sparkpost.com/api/webhooks, and the codes of bounce classes."""

from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter
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
from feedback.webhooks.proofs import BASIC_HEADERS, BASIC_KEYS, prove_basic
from words.texts import text as _

_KINDS = {
    "delivery": EventKind.DELIVERED,
    "delay": EventKind.DELAYED,
    "policy_rejection": EventKind.SERVER,
    "spam_complaint": EventKind.COMPLAINT,
    "generation_failure": EventKind.OTHER,
    "generation_rejection": EventKind.OTHER,
    "list_unsubscribe": EventKind.UNSUBSCRIBE,
    "link_unsubscribe": EventKind.UNSUBSCRIBE,
}
# Bounce classes. The others (undetermined, soft, DNS, mailbox full, timeout, transient) are soft.
_CLASSES = {
    "10": EventKind.BOUNCE,  # Invalid recipient.
    "30": EventKind.BOUNCE,  # No such recipient.
    "23": EventKind.CONTENT,  # Too large.
    "52": EventKind.CONTENT,  # Spam content.
    "53": EventKind.CONTENT,  # Prohibited attachment.
    "25": EventKind.SERVER,  # SparkPost's own policies.
    "50": EventKind.SERVER,  # Blocked.
    "51": EventKind.SERVER,  # Blocked as a source of spam.
    "54": EventKind.SERVER,  # Relaying denied.
    "60": EventKind.AUTO_REPLY,
    "100": EventKind.AUTO_REPLY,  # A challenge.
    "80": EventKind.OTHER,  # A subscription.
    "90": EventKind.UNSUBSCRIBE,
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _unwrapped)


def _unwrapped(wrapped: dict[str, Any]) -> list[Event]:
    inner = wrapped.get("msys")  # An empty one is a ping.
    told = [one for one in inner.values() if isinstance(one, dict)] if isinstance(inner, dict) else []
    return [event for one in told[:1] if (event := _event(one))]


def _event(told: dict[str, Any]) -> Event | None:
    kind = _kind(told)
    if kind is None:
        return None
    when = told.get("timestamp")
    return make_event(
        kind,
        told.get("raw_rcpt_to") or told.get("rcpt_to"),
        tag=at_path(told, "rcpt_meta", "brilliance"),
        event_id=told.get("event_id"),
        reply=told.get("raw_reason") or told.get("reason"),
        at=from_epoch(when) or from_iso(when),
    )


def _kind(told: dict[str, Any]) -> EventKind | None:
    name = cut(told.get("type"), 40)
    kind = _KINDS.get(name)
    if name in ("bounce", "out_of_band"):
        kind = _CLASSES.get(cut(told.get("bounce_class"), 10), EventKind.SOFT_BOUNCE)
    # 25 and rejections by policy are also what an address on the suppression list gets.
    is_listed = "suppress" in cut(told.get("raw_reason") or told.get("reason"), 600).lower()
    return EventKind.SUPPRESSED if kind is EventKind.SERVER and is_listed else kind


ADAPTER = Adapter(
    key="sparkpost",
    name="SparkPost",
    events=events,
    prove=prove_basic,
    keys=BASIC_KEYS,
    proof_headers=BASIC_HEADERS,
    events_to_tick=_("Delivery, bounce, out of band, delay, policy rejection, spam complaint and both unsubscribes"),
    guide=(
        _("In SparkPost, open Configuration, Webhooks, and create one."),
        _("Paste the address above as Target and tick the events."),
        _("Choose basic authentication, and enter the same username and password as here."),
    ),
)
