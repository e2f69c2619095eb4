"""What people choose on public pages about their opens and clicks being counted, and the words they agree to."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db import transaction

from contacts.consent import decisions, tracking
from contacts.consent.tracking import FIELDS
from contacts.models import ConsentEvent, Contact, ContactList
from installation.site import site
from mail.links.levels import OFF, PERSONAL, lowest
from publicpages.words.tracking import TRACKING

Topic = ConsentEvent.Topic

SOURCE = "preference page"


def label(topic: Topic, language: str) -> str:
    """Return the name of a switch."""
    return str(getattr(TRACKING[language], topic.value))


def meaning(topic: Topic, language: str, organisation: str) -> str:
    """Return the sentence behind a switch."""
    return str(getattr(TRACKING[language], f"{topic.value}_text")).format(organisation=organisation)


def wording(topic: Topic, language: str, organisation: str) -> str:
    """Return what people agree to, word for word."""
    return f"{label(topic, language)}: {meaning(topic, language, organisation)} {TRACKING[language].change}"


def wordings(names: Iterable[object], language: str, organisation: str) -> dict[str, str]:
    """Return what people agree to by these switches, by name; anybody may have sent the names."""
    return {topic.value: wording(topic, language, organisation) for topic in read(names)}


def agreed(contact: Contact) -> set[Topic]:
    """Return what the person agreed to."""
    return {topic for topic, field in FIELDS.items() if getattr(contact, field) == tracking.YES}


def is_undecided(contact: Contact) -> bool:
    """Whether the person was never asked about one of the two, so that it may be counted without their name."""
    return any(getattr(contact, field) == tracking.UNSET for field in FIELDS.values())


def matters_to(contact: Contact) -> bool:
    """Whether the preference page asks: something may be counted, or the person has decided about it before."""
    return site().tracking != OFF or any(getattr(contact, name) != tracking.UNSET for name in FIELDS.values())


def read(names: Iterable[object]) -> list[Topic]:
    """Return the switches among these names, which anybody may have sent."""
    given = {name for name in names if isinstance(name, str)}
    return [topic for topic in FIELDS if topic.value in given]


def save(
    contact: Contact,
    chosen: Collection[Topic],
    stamp: str,
    *,
    language: str,
    organisation: str,
    network: str,
    now: dt.datetime,
) -> bool:
    """Store both choices of the person's page: what is not ticked is refused.

    :param stamp: that of the page. If the person decided anything since, a tick grants nothing.
    :return: whether the person agrees to all that they ticked.
    """
    with transaction.atomic():
        may_agree = decisions.is_newest(stamp, contact.pk)
        contact.refresh_from_db(fields=list(FIELDS.values()))
        left_out = set() if may_agree else set(chosen) - agreed(contact)
        tracking.decide(
            contact.pk,
            {topic: topic in chosen for topic in FIELDS if topic not in left_out},
            method=ConsentEvent.Method.PREFERENCES,
            source=SOURCE,
            now=now,
            wordings={topic: wording(topic, language, organisation) for topic in FIELDS},
            network=network,
        )
    return not left_out


# --- the form


def asks(lists: Iterable[ContactList]) -> bool:
    """Whether a form for these lists asks for the consents: people on one of them may be counted by name."""
    return any(lowest([each.tracking, site().tracking]) == PERSONAL for each in lists)


def switches(language: str, organisation: str, chosen: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the two switches as a page shows them."""
    return [
        {
            "name": topic.value,
            "label": label(topic, language),
            "text": meaning(topic, language, organisation),
            "is_on": topic in chosen,
        }
        for topic in FIELDS
    ]


def missing(contact: Contact, wordings: Mapping[str, str]) -> list[Topic]:
    """Return what an entry of the form ticked and the person has not agreed to yet."""
    return [topic for topic in read(wordings) if topic not in agreed(contact)]


def confirm(
    contact: Contact, wordings: Mapping[str, str], asked_at: dt.datetime, network: str, now: dt.datetime
) -> None:
    """Record that the person confirmed what they left ticked, except what they refused since they were asked."""
    refused = ConsentEvent.objects.filter(contact=contact, status=tracking.NONE, at__gte=asked_at)
    since = set(refused.values_list("topic", flat=True))
    tracking.decide(
        contact.pk,
        {topic: True for topic in read(wordings) if topic not in since},
        method=ConsentEvent.Method.CONFIRMATION,
        source="",
        now=now,
        wordings={topic: wordings[topic] for topic in read(wordings)},
        network=network,
    )


def confirmed(contact: Contact, wordings: Mapping[str, str], names: Iterable[object]) -> list[Topic]:
    """Return what of an entry the person left ticked and now agrees to."""
    stored = Contact.objects.filter(pk=contact.pk).first()
    return [topic for topic in read(names) if stored and topic.value in wordings and topic in agreed(stored)]
