"""Postmark's webhooks: postmarkapp.com/developer/webhooks/webhooks-overview."""

from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter
from feedback.webhooks.event import Event, EventKind, at_path, cut, events_of, from_iso, make_event, parse_json
from feedback.webhooks.proofs import BASIC_HEADERS, BASIC_KEYS, prove_basic
from words.texts import text as _

# postmarkapp.com/developer/api/bounce-api#bounce-types
_TYPES = {
    "HardBounce": EventKind.BOUNCE,
    "BadEmailAddress": EventKind.BOUNCE,
    "SoftBounce": EventKind.SOFT_BOUNCE,
    "Unknown": EventKind.SOFT_BOUNCE,
    "Transient": EventKind.DELAYED,
    "DnsError": EventKind.DELAYED,
    "AutoResponder": EventKind.AUTO_REPLY,
    "AddressChange": EventKind.AUTO_REPLY,
    "ChallengeVerification": EventKind.AUTO_REPLY,
    "Unsubscribe": EventKind.UNSUBSCRIBE,
    "SpamComplaint": EventKind.COMPLAINT,
    "SpamNotification": EventKind.CONTENT,  # A filter took it for spam; no person complained.
    "VirusNotification": EventKind.CONTENT,
    "ManuallyDeactivated": EventKind.SUPPRESSED,
    "Blocked": EventKind.SERVER,
    "DMARCPolicy": EventKind.SERVER,
    "SMTPApiError": EventKind.SERVER,
}
_RECORDS = {"Delivery": EventKind.DELIVERED, "SpamComplaint": EventKind.COMPLAINT}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _event)


def _event(told: dict[str, Any]) -> Event | None:
    kind = _kind(told)
    if kind is None:
        return None
    number = cut(told.get("ID"), 40)  # Only bounces and complaints have one.
    times = (told.get(name) for name in ("BouncedAt", "DeliveredAt", "ChangedAt"))
    return make_event(
        kind,
        told.get("Email") or told.get("Recipient"),
        tag=at_path(told, "Metadata", "brilliance"),
        event_id=f"{told['RecordType']} {number}" if number else "",
        reply=told.get("Details"),
        text=told.get("Description") or told.get("SuppressionReason"),
        at=next(filter(None, map(from_iso, times)), None),
    )


def _kind(told: dict[str, Any]) -> EventKind | None:
    record = told.get("RecordType")
    if record == "Bounce":
        return _TYPES.get(str(told.get("Type")), EventKind.OTHER)
    if record == "SubscriptionChange":
        if told.get("SuppressSending") is not True:
            return EventKind.OTHER
        is_wish = told.get("SuppressionReason") == "ManualSuppression" and told.get("Origin") == "Recipient"
        return EventKind.UNSUBSCRIBE if is_wish else EventKind.SUPPRESSED
    return _RECORDS.get(record) if isinstance(record, str) else None


ADAPTER = Adapter(
    key="postmark",
    name="Postmark",
    events=events,
    prove=prove_basic,
    keys=BASIC_KEYS,
    proof_headers=BASIC_HEADERS,
    events_to_tick=_("Delivery, bounce, spam complaint and subscription change"),
    guide=(
        _("In Postmark, open your server, its message stream, Webhooks, and add one."),
        _("Paste the address above and tick the events. Do this for each stream that you send with."),
        _("Under Basic auth credentials, enter the same username and password as here."),
    ),
)
