"""Postal's webhooks: docs.postalserver.io/developer/webhooks. Signed with SHA-256 from Postal 3.3.7 on."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from feedback.webhooks.adapter import Adapter, KeyField, Keys, Post, TryLater, Unproved, World
from feedback.webhooks.event import Event, EventKind, at_path, cut, events_of, from_epoch, make_event, parse_json
from feedback.webhooks.proofs import decoded, needed
from mail.addresses import ascii_domain
from words.texts import text as _

_KEYS_PATH = "/.well-known/jwks.json"
_HOST_MISSING = _("Postal's host is missing here. Enter the one of its web pages.")


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(parse_json(body), _event)


def _event(told: dict[str, Any]) -> Event | None:
    payload = told.get("payload")
    kind = _kind(cut(told.get("event"), 40), payload)
    if kind is None:
        return None
    message = at_path(payload, "message") or at_path(payload, "original_message")
    return make_event(
        kind,
        at_path(message, "to"),
        message_id=at_path(message, "message_id"),
        event_id=told.get("uuid"),
        reply=at_path(payload, "output"),
        text=at_path(payload, "details"),
        at=from_epoch(told.get("timestamp")),
    )


def _kind(name: str, payload: object) -> EventKind | None:
    if name == "MessageSent":
        return EventKind.DELIVERED
    if name == "MessageDelayed":
        return EventKind.DELAYED
    if name == "MessageBounced":
        return EventKind.SOFT_BOUNCE  # A bounce came back later, and Postal doesn't say of what kind.
    if name == "MessageHeld":
        is_listed = "suppression list" in cut(at_path(payload, "details"), 600)
        return EventKind.SUPPRESSED if is_listed else EventKind.OTHER
    if name == "MessageDeliveryFailed":
        # Also after the last try of a message that was only delayed: the reply tells them apart.
        is_final = cut(at_path(payload, "output"), 600).startswith("5")
        return EventKind.BOUNCE if is_final else EventKind.SOFT_BOUNCE
    return None


def _prove(post: Post, keys: Keys, world: World) -> None:
    signature = decoded(post.headers.get("x-postal-signature-256", ""))
    key = _public_key(keys, post.headers.get("x-postal-signature-kid", ""), world)
    try:
        key.verify(signature, post.body, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise Unproved(_("The signature is wrong.")) from error


def _public_key(keys: Keys, number: str, world: World) -> RSAPublicKey:
    try:
        found = at_path(parse_json(world.fetch(f"https://{needed(keys, 'host', _HOST_MISSING)}{_KEYS_PATH}")), "keys")
    except (OSError, ValueError) as error:
        raise TryLater("Postal's keys can't be fetched now.") from error
    for one in found if isinstance(found, list) else []:
        if number and at_path(one, "kid") == number:
            try:
                exponent, modulus = (_number(at_path(one, name)) for name in ("e", "n"))
                return RSAPublicNumbers(exponent, modulus).public_key()
            except (ValueError, binascii.Error) as error:
                raise Unproved(_("Postal's key can't be read.")) from error
    raise Unproved(_("Postal doesn't know the key that signed this."))


def _number(text: object) -> int:
    letters = cut(text, 2000)
    return int.from_bytes(base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4)))


def _check_host(text: str) -> str:
    return ascii_domain(text.removeprefix("https://").partition("/")[0])


ADAPTER = Adapter(
    key="postal",
    name="Postal",
    events=events,
    prove=_prove,
    keys=(
        KeyField(
            "host",
            _("Postal's host"),
            _("Where its web pages are, e.g. postal.example.com."),
            is_secret=False,
            check=_check_host,
        ),
    ),
    proof_headers=("x-postal-signature-256", "x-postal-signature-kid"),
    events_to_tick=_("Message sent, delayed, delivery failed, held and bounced"),
    guide=(
        _("In Postal 3.3.7 or newer, open your mail server, Webhooks, and add one."),
        _("Paste the address above, tick the events, and leave signing on."),
    ),
)
