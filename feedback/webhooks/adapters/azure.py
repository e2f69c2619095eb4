"""Azure Communication Services: learn.microsoft.com/azure/event-grid/communication-services-email-events."""

import json
from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter, Answer, KeyField, Keys, Post, Unproved, World
from feedback.webhooks.event import Event, EventKind, at_path, cut, events_of, from_iso, make_event, parse_json
from feedback.webhooks.proofs import is_same
from words.texts import text as _

REPORT = "Microsoft.Communication.EmailDeliveryReportReceived"
HEADER = "x-brilliance-secret"
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"

_KINDS = {
    "Delivered": EventKind.DELIVERED,
    "Bounced": EventKind.BOUNCE,  # Azure calls only hard bounces so.
    "Failed": EventKind.SOFT_BOUNCE,
    "Suppressed": EventKind.SUPPRESSED,
    "Quarantined": EventKind.CONTENT,
    "FilteredSpam": EventKind.CONTENT,
    "Expanded": EventKind.OTHER,  # A distribution list took it.
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _event)


def _event(told: dict[str, Any]) -> Event | None:
    # "type" in the schema of CloudEvents, "eventType" in Event Grid's own.
    if (told.get("type") or told.get("eventType")) != REPORT:
        return None
    report = told.get("data")
    status = cut(at_path(report, "status"), 40)
    return make_event(
        _KINDS.get(status, EventKind.OTHER),
        at_path(report, "recipient"),
        message_id=at_path(report, "internetMessageId"),
        event_id=told.get("id"),
        reply=at_path(report, "deliveryStatusDetails", "statusMessage"),
        text=status,
        at=from_iso(at_path(report, "deliveryAttemptTimeStamp") or told.get("eventTime") or told.get("time")),
    )


def _prove(post: Post, keys: Keys, world: World) -> None:
    """Prove the secret header, if the hook has one. Event Grid signs nothing.

    The question about the address comes before Event Grid sends headers of ours, and its answer tells nothing.
    """
    secret = keys.get("secret", "")
    if secret and _validation_code(post) is None and not is_same(post.headers.get(HEADER, ""), secret):
        raise Unproved(_("The secret header was wrong or missing."))


def _answer(post: Post, keys: Keys, world: World) -> Answer | None:
    """Answer the question whether this address is meant to be one, in Event Grid's own schema."""
    code = _validation_code(post)
    return None if code is None else Answer(json.dumps({"validationResponse": cut(code, 600)}), "application/json")


def _validation_code(post: Post) -> str | None:
    try:
        told = parse_json(post.body)
    except ValueError:
        return None
    code = at_path(told, 0, "data", "validationCode")
    return code if at_path(told, 0, "eventType") == VALIDATION and isinstance(code, str) else None


ADAPTER = Adapter(
    key="azure",
    name="Azure Communication Services",
    events=events,
    prove=_prove,
    answer=_answer,
    keys=(
        KeyField(
            "secret",
            _("Secret header"),
            _(
                "A long random text that each post has to carry as X-Brilliance-Secret. While it is empty, the secret"
                " address alone is the proof."
            ),
        ),
    ),
    proof_headers=(HEADER,),
    needs_reference=True,
    asks_from="eventgrid.azure.net",
    events_to_tick=_("Email delivery report received"),
    guide=(
        _("In the Azure portal, open your Communication Services resource, Events, and create a subscription."),
        _("Tick the event, choose the endpoint type Web hook, and paste the address above."),
        _("Under Delivery properties, add the header X-Brilliance-Secret with the text entered below, as a secret."),
    ),
)
