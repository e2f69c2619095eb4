"""Amazon SES by way of SNS: docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html."""

from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter, Answer, Keys, Post, World
from feedback.webhooks.event import Event, EventKind, at_path, cut, from_iso, make_event, parse_json
from feedback.webhooks.sns import signature as sns
from words.texts import text as _

# SES didn't try (docs.aws.amazon.com/ses/latest/dg/notification-contents.html).
_NOT_TRIED = {"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"}
_CONTENT = {"MessageTooLarge", "ContentRejected", "AttachmentRejected"}
_LISTS = {
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
    "Delivery": ("delivery", "recipients"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    envelope = sns.envelope_of(body)
    if envelope["Type"] != "Notification":
        return []
    message = cut(envelope.get("Message"), 10**7)
    if not message.startswith("{"):
        return []  # "Successfully validated SNS topic for Amazon SES event publishing."
    told = parse_json(message.encode())
    name = cut(at_path(told, "eventType") or at_path(told, "notificationType"), 40)
    part, many = _LISTS.get(name, ("", ""))
    said = at_path(told, part) if part else at_path(told, name.lower())
    recipients = at_path(said, many) if many else at_path(told, "mail", "destination")
    if name in ("Send", "Open", "Click") or not isinstance(recipients, list):
        return []
    return [_event(name, told, said, one, envelope) for one in recipients[:1000]]


def _event(name: str, told: Any, said: Any, one: Any, envelope: dict[str, Any]) -> Event:
    recipient = one if isinstance(one, str) else at_path(one, "emailAddress")
    reply = at_path(one, "diagnosticCode") or (at_path(said, "smtpResponse") if name == "Delivery" else "")
    kinds = [at_path(said, key) for key in ("bounceType", "bounceSubType", "complaintSubType", "complaintFeedbackType")]
    return make_event(
        _kind(name, said, bool(reply)),
        recipient,
        tag=at_path(told, "mail", "tags", "brilliance", 0),
        message_id=at_path(told, "mail", "commonHeaders", "messageId"),
        event_id=f"{cut(envelope.get('MessageId'), 100)} {cut(recipient, 200)}",
        reply=reply,
        status=at_path(one, "status"),
        text=": ".join(kind for kind in kinds if isinstance(kind, str)) or at_path(said, "reason"),
        at=from_iso(at_path(said, "timestamp") or envelope.get("Timestamp")),
    )


def _kind(name: str, said: Any, has_reply: bool) -> EventKind:
    if name == "Complaint":
        if at_path(said, "complaintSubType") == "OnAccountSuppressionList":
            return EventKind.SUPPRESSED
        return EventKind.OTHER if at_path(said, "complaintFeedbackType") == "not-spam" else EventKind.COMPLAINT
    if name == "Bounce":
        type_, subtype = (cut(at_path(said, name), 60) for name in ("bounceType", "bounceSubType"))
        if subtype in _NOT_TRIED:
            return EventKind.SUPPRESSED
        if subtype in _CONTENT:
            return EventKind.CONTENT
        if type_ == "Permanent":
            return EventKind.BOUNCE
        # SES takes holiday replies for transient bounces of the general kind, and has no reply to quote then.
        return (
            EventKind.OTHER if (type_, subtype, has_reply) == ("Transient", "General", False) else EventKind.SOFT_BOUNCE
        )
    simple = {
        "Delivery": EventKind.DELIVERED,
        "DeliveryDelay": EventKind.DELAYED,
        "Reject": EventKind.CONTENT,  # SES found a virus.
    }
    return simple.get(name, EventKind.OTHER)


def _prove(post: Post, keys: Keys, world: World) -> None:
    sns.prove(post, keys, world, sns.AMAZON_CERTIFICATE, sns.only_certificate)


def _answer(post: Post, keys: Keys, world: World) -> Answer | None:
    return sns.confirm(post, world, sns.AMAZON_CONFIRMATION)


ADAPTER = Adapter(
    key="ses",
    name="Amazon SES",
    events=events,
    prove=_prove,
    answer=_answer,
    keys=(sns.TOPICS,),
    events_to_tick=_("Bounces, complaints, deliveries, delivery delays and rejects"),
    guide=(
        _("In SNS, create a standard topic in the region of this server, and enter its ARN here under Topics."),
        _("Create a subscription of the topic: protocol HTTPS, endpoint the address above. Brilliance confirms it."),
        _("Set the subscription's delivery policy to retry for an hour, and give it a dead-letter queue."),
        _("In SES, add the topic as an event destination of your configuration set, and tick the events."),
        _("Enter the name of the configuration set in this server's field Provider's configuration."),
    ),
    simulator="bounce@simulator.amazonses.com",
)
