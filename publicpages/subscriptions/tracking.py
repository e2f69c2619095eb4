"""What people choose on public pages about their opens and clicks being counted, and the words they agree to."""

import datetime as dt
from collections.abc import Collection, Iterable

from contacts.consent import tracking
from contacts.consent.tracking import FIELDS
from contacts.models import ConsentEvent, Contact, ContactList
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


def agreed(contact: Contact) -> set[Topic]:
    """Return what the person agreed to."""
    return {topic for topic, field in FIELDS.items() if getattr(contact, field) == tracking.YES}


def is_undecided(contact: Contact) -> bool:
    """Whether the person was never asked about one of the two, so that it may be counted without their name."""
    return any(getattr(contact, field) == tracking.UNSET for field in FIELDS.values())


def read(names: Iterable[object]) -> list[Topic]:
    """Return the switches among these names, which anybody may have sent."""
    given = {name for name in names if isinstance(name, str)}
    return [topic for topic in FIELDS if topic.value in given]


def save(
    contact: Contact,
    chosen: Collection[Topic],
    shown: Collection[Topic],
    *,
    language: str,
    organisation: str,
    network: str,
    now: dt.datetime,
) -> None:
    """Store both choices of the person's page: what is not ticked is refused.

    :param shown: what the page showed as agreed to. Left ticked, it grants nothing: another page may have ended it.
    """
    tracking.decide(
        contact.pk,
        {topic: topic in chosen for topic in FIELDS if topic not in chosen or topic not in shown},
        method=ConsentEvent.Method.PREFERENCES,
        source=SOURCE,
        now=now,
        wordings={topic: wording(topic, language, organisation) for topic in FIELDS},
        network=network,
    )


def asks(lists: Iterable[ContactList]) -> bool:
    """Whether a form for these lists asks for the consents: people on one of them may be counted by name."""
    return any(each.tracking == ContactList.Tracking.PERSONAL for each in lists)
