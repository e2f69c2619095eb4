"""Mailjet's event API: dev.mailjet.com/email/guides/webhooks."""

from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter
from feedback.webhooks.event import Event, EventKind, events_of, from_epoch, make_event, parse_json
from feedback.webhooks.proofs import BASIC_HEADERS, BASIC_KEYS, prove_basic
from words.texts import text as _

_SIMPLE = {
    "sent": EventKind.DELIVERED,  # Taken by the recipient's server.
    "spam": EventKind.COMPLAINT,
    "unsub": EventKind.UNSUBSCRIBE,
}
_ERRORS = {
    "preblocked": EventKind.SUPPRESSED,
    "blacklisted": EventKind.SUPPRESSED,
    "spam reporter": EventKind.SUPPRESSED,
    "duplicate in campaign": EventKind.OTHER,
    "content blocked": EventKind.CONTENT,
    "sender blocked": EventKind.SERVER,
    "policy issue": EventKind.SERVER,
    "greylisted": EventKind.SOFT_BOUNCE,
    "quota exceeded": EventKind.SOFT_BOUNCE,
    "typofix": EventKind.SOFT_BOUNCE,
}
_OF_ADDRESS = ("user unknown", "mailbox inactive", "invalid domain", "no mail host")


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _event)


def _event(told: dict[str, Any]) -> Event | None:
    kind = _kind(told)
    if kind is None:
        return None
    return make_event(
        kind,
        told.get("email"),
        tag=told.get("CustomID"),
        reply=told.get("smtp_reply") or told.get("comment"),
        text=told.get("error"),
        at=from_epoch(told.get("time")),
    )


def _kind(told: dict[str, Any]) -> EventKind | None:
    name = told.get("event")
    if name not in ("bounce", "blocked"):
        return _SIMPLE.get(name) if isinstance(name, str) else None
    error = str(told.get("error")).lower()
    is_hard = told.get("hard_bounce") is True
    if error == "greylisted" and not is_hard:
        return EventKind.DELAYED  # It is tried again.
    if is_hard and (error in _OF_ADDRESS or told.get("error_related_to") == "recipient"):
        return EventKind.BOUNCE
    return _ERRORS.get(error, EventKind.SOFT_BOUNCE)


ADAPTER = Adapter(
    key="mailjet",
    name="Mailjet",
    events=events,
    prove=prove_basic,
    keys=BASIC_KEYS,
    proof_headers=BASIC_HEADERS,
    events_to_tick=_("Sent, bounce, blocked, spam and unsub"),
    guide=(
        _("In Mailjet, open Account settings, Event notifications (webhooks)."),
        _("Paste the address above for each of the events, with the username and password of this page in front."),
        _("An address then begins with https://username:password@ and goes on with the host."),
        _("Tick Group events, which sends up to 100 events a second in one request."),
    ),
)
