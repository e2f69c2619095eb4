"""Consent to have opens and clicks counted by name: given, refused and withdrawn, with its history.

Opens and clicks are two consents. Only this module changes ``Contact.open_tracking`` and ``click_tracking``, and every
change writes one ConsentEvent in the same transaction. Like subscriptions, a refusal is undone by the person or by a
user on the person's behalf, never by an import. How a level and a consent go together is the subject of
``mail.links.levels``.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from django.db import transaction

from contacts.consent.ip_networks import network_of
from contacts.models import SOURCE_CHARACTERS, ConsentEvent, Contact

OPENS, CLICKS = ConsentEvent.Topic.OPENS, ConsentEvent.Topic.CLICKS
UNSET, NONE, YES = Contact.TrackingConsent.UNSET, Contact.TrackingConsent.NONE, Contact.TrackingConsent.YES

FIELDS = {OPENS: "open_tracking", CLICKS: "click_tracking"}  # The columns of a contact.

Wishes = Mapping[ConsentEvent.Topic, bool]  # Whether the person agrees, by what it is about.


class Step(NamedTuple):
    """A change that is due: a person who now agrees, or does not."""

    contact_id: int
    topic: ConsentEvent.Topic
    agrees: bool


def decide(
    contact_id: int,
    wishes: Wishes,
    *,
    method: str,
    source: str,
    now: dt.datetime,
    wordings: Mapping[ConsentEvent.Topic, str] | None = None,
    network: str = "",
) -> list[ConsentEvent.Topic]:
    """Record what the person chose, and return what changed by it. A repetition changes nothing.

    The caller must know that the person chose this: on a page that only they have the link of, or they told a user.

    :param method: one of ``ConsentEvent.Method``.
    :param source: who or what gave the consent, for example ``admin: ann``; cut to 200 characters.
    :param wordings: the texts the person agreed to, word for word.
    :param network: the IP address of the request; only its /24 or /48 is kept.
    """
    with transaction.atomic():
        # Not FOR UPDATE: inserting a row that references the contact need not wait.
        held = Contact.objects.select_for_update(no_key=True).filter(pk=contact_id).order_by()
        stored = held.values(*FIELDS.values()).first()
        if stored is None:
            return []
        steps = [
            Step(contact_id, topic, agrees)
            for topic, agrees in wishes.items()
            if stored[FIELDS[topic]] != (YES if agrees else NONE)
        ]
        _take(steps, method, source, now, wordings or {}, network)
    return [step.topic for step in steps]


def withdraw(contact_ids: Collection[int], *, method: str, source: str, now: dt.datetime, network: str = "") -> None:
    """Withdraw what these people agreed to, as they want no more mail. Call it with their rows locked."""
    steps = [
        Step(contact_id, topic, agrees=False)
        for topic, field in FIELDS.items()
        for contact_id in Contact.objects.filter(pk__in=contact_ids, **{field: YES}).values_list("pk", flat=True)
    ]
    _take(steps, method, source, now, {}, network)


def due(told: Mapping[str, Wishes], *, overwrites: bool) -> dict[str, list[Step]]:
    """Return what a file changes about stored people, by folded address. An agreement never undoes a refusal.

    :param told: what the file says, by folded address.
    :param overwrites: whether a refusal in the file replaces an agreement; else only people who were not asked change.
    """
    found: dict[str, list[Step]] = {}
    people = Contact.objects.filter(email_key__in=list(told)).order_by()
    for pk, key, *stored in people.values_list("pk", "email_key", *FIELDS.values()):
        steps = [
            Step(pk, topic, told[key][topic])
            for topic, before in zip(FIELDS, stored, strict=True)
            if topic in told[key] and (before == UNSET or (overwrites and before == YES and not told[key][topic]))
        ]
        if steps:
            found[key] = steps
    return found


def take(steps: Iterable[Step], *, method: str, source: str, now: dt.datetime, wording: str) -> None:
    """Store what :func:`due` found. Call it in the same transaction, with the people's rows locked.

    :param wording: how these people agreed.
    """
    _take(steps, method, source, now, dict.fromkeys(FIELDS, wording), "")


def _take(
    steps: Iterable[Step],
    method: str,
    source: str,
    now: dt.datetime,
    wordings: Mapping[ConsentEvent.Topic, str],
    network: str,
) -> None:
    steps = list(steps)
    for topic, field in FIELDS.items():
        for agrees in (True, False):
            people = [step.contact_id for step in steps if step.topic == topic and step.agrees == agrees]
            if people:
                Contact.objects.filter(pk__in=people).update(**{field: YES if agrees else NONE}, updated_at=now)
    ConsentEvent.objects.bulk_create(
        ConsentEvent(
            contact_id=step.contact_id,
            topic=step.topic,
            status=YES if step.agrees else NONE,
            method=method,
            source=source[:SOURCE_CHARACTERS],
            wording=wordings.get(step.topic, "") if step.agrees else "",
            network=network_of(network),
            at=now,
        )
        for step in steps
    )
