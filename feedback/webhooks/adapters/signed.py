"""The hook of any other relay: JSON in the form that docs/feedback.md shows, signed with a key of ours."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from feedback.webhooks.adapter import Adapter, KeyField, Keys, Post, World
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
from feedback.webhooks.proofs import OWN_KEY_MISSING, OWN_KEY_WRONG, check_age, check_signature, hmac_hex, needed
from words.texts import text as _

_KINDS = {kind.value: kind for kind in EventKind}
LONGEST_AGE = dt.timedelta(minutes=5)
TIMESTAMP, SIGNATURE = "x-brilliance-timestamp", "x-brilliance-signature"


def events(body: bytes, headers: Mapping[str, str]) -> list[Event]:
    return events_of(at_path(parse_json(body), "events"), _event)


def _event(told: dict[str, Any]) -> Event:
    kind = cut(told.get("kind"), 40)
    return make_event(
        _KINDS.get(kind, EventKind.OTHER),
        told.get("recipient"),
        tag=told.get("tag"),
        message_id=told.get("message_id"),
        event_id=told.get("id"),
        reply=told.get("reply"),
        status=told.get("status"),
        text=told.get("text"),
        at=from_iso(told.get("at")),
    )


def _prove(post: Post, keys: Keys, world: World) -> None:
    """Prove HMAC-SHA256 over timestamp, a dot, and the body, in hexadecimal digits."""
    timestamp = post.headers.get(TIMESTAMP, "")
    right = hmac_hex(needed(keys, "signing_key", OWN_KEY_MISSING), timestamp.encode() + b"." + post.body)
    check_signature(post.headers.get(SIGNATURE, "").removeprefix("sha256="), right, wrong=OWN_KEY_WRONG)
    check_age(from_epoch(timestamp), world, LONGEST_AGE)


ADAPTER = Adapter(
    key="signed",
    name="Signed JSON",
    events=events,
    prove=_prove,
    keys=(KeyField("signing_key", _("Signing key"), _("A long random text that the relay signs with, too.")),),
    proof_headers=(TIMESTAMP, SIGNATURE),
    events_to_tick=_("Whatever your relay can tell: deliveries, bounces, complaints, unsubscribes"),
    guide=(
        _("Have a program post what your relay reports to the address above, as the documentation shows."),
        _("Enter a long random signing key here and in the program."),
    ),
)
