"""Scaleway: www.scaleway.com/en/docs/transactional-email/reference-content/webhook-events-payloads."""

import re
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.x509 import BasicConstraints, Certificate, ExtensionNotFound, load_pem_x509_certificate

from feedback.webhooks.adapter import Adapter, Answer, Keys, Post, Unproved, World
from feedback.webhooks.event import (
    Event,
    EventKind,
    at_path,
    cut,
    events_of,
    from_iso,
    make_event,
    parse_json,
    reply_of,
)
from feedback.webhooks.sns import signature as sns
from feedback.webhooks.sns.scaleway_authority import INTERMEDIATE, ROOT
from words.texts import text as _

_CERTIFICATES = re.compile(r"https://messaging\.s3\.[a-z]{2}-[a-z]{3}\.scw\.cloud/[\w./-]+\.pem", re.ASCII)
_CONFIRMATIONS = re.compile(r"https://sns\.mnq\.[a-z]{2}-[a-z]{3}\.scaleway\.com/\?[\w.:%=&+-]+", re.ASCII)
_LONGEST_CHAIN = 4

_KINDS = {
    "email_delivered": EventKind.DELIVERED,
    "email_deferred": EventKind.DELAYED,
    "email_mailbox_not_found": EventKind.BOUNCE,
    "email_spam": EventKind.CONTENT,  # The recipient's server took it for spam.
    "email_blocklisted": EventKind.SUPPRESSED,
}


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    envelope = sns.envelope_of(body)
    message = cut(envelope.get("Message"), 10**7)
    if envelope["Type"] != "Notification" or not message.startswith("{"):
        return []
    return events_of(parse_json(message.encode()), _event)


def _event(told: dict[str, Any]) -> Event | None:
    code = told.get("email_response_code")
    code = code if isinstance(code, int) and 200 <= code < 600 else 0
    kind = _KINDS.get(cut(told.get("type"), 60))
    if told.get("type") == "email_dropped":  # A hard bounce to Scaleway, and its reply says of what kind.
        kind = EventKind.BOUNCE if code >= 500 else EventKind.SOFT_BOUNCE
    if kind is None:
        return None
    said = cut(told.get("email_response_message"), 600)
    headers = told.get("email_headers")
    ours = [
        at_path(header, "value")
        for header in (headers if isinstance(headers, list) else [])
        if cut(at_path(header, "key"), 40).lower() == "message-id"
    ]
    return make_event(
        kind,
        told.get("email_to"),
        message_id=ours[-1] if ours else "",
        event_id=told.get("id"),
        reply=reply_of(code, said),
        at=from_iso(told.get("created_at")),
    )


def check_chain(
    found: list[Certificate], world: World, authorities: tuple[bytes, ...] = (ROOT, INTERMEDIATE)
) -> Certificate:
    """Return the first certificate, if the root issued it, directly or through certificates that came along.

    :raises Unproved: for any other, and for one that has expired.
    """
    root, *known = (load_pem_x509_certificate(pem) for pem in authorities)
    one = found[0]
    for _step in range(_LONGEST_CHAIN):
        if not sns.is_current(one, world.now):
            break
        if _is_issued(one, root):
            return found[0]
        above = [other for other in (*found[1:], *known) if other != one and _is_issued(one, other)]
        if not above:
            break
        one = above[0]
    raise Unproved(_("The signing certificate isn't the provider's."))


def _is_issued(one: Certificate, by: Certificate) -> bool:
    try:
        if not by.extensions.get_extension_for_class(BasicConstraints).value.ca:
            return False
        one.verify_directly_issued_by(by)
    except (ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    return True


def _prove(post: Post, keys: Keys, world: World) -> None:
    sns.prove(post, keys, world, _CERTIFICATES, check_chain)


def _answer(post: Post, keys: Keys, world: World) -> Answer | None:
    return sns.confirm(post, world, _CONFIRMATIONS)


ADAPTER = Adapter(
    key="scaleway",
    name="Scaleway",
    events=events,
    prove=_prove,
    answer=_answer,
    keys=(sns.TOPICS,),
    events_to_tick=_("Delivered, dropped, deferred, spam, mailbox not found and blocklisted"),
    guide=(
        _("In Topics and Events, create a topic, and enter its ARN here under Topics."),
        _("Create a subscription of the topic: protocol HTTPS, endpoint the address above. Brilliance confirms it."),
        _("In Transactional Email, open your domain, Webhooks, and add one with the topic and the events."),
    ),
)
