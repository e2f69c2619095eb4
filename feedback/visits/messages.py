"""What is known of the messages and mailings that visits belong to, and whether they are counted by person."""

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple

from django.db.models import Max, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from delivery.models import Attempt, Message, TrackedLink, TrackedMailing, TrackedTarget
from installation.site import site
from mail.addresses import AddressInvalid, domain_of
from mail.links.levels import PERSONAL, YES, Level, lowest
from mail.visits.names import Kind


class VisitedMessage(NamedTuple):
    """A message with a personal token."""

    mailing_id: int
    server_name: str  # At sending. Empty: unknown.
    level: Level  # The most that is counted of its mailing now.
    open_consent: str | None  # None: nobody to ask is left.
    click_consent: str | None
    domain: str  # Of the recipient; empty: unknown.
    delivered_at: dt.datetime | None

    def is_counted_by_person(self, kind: str) -> bool:
        """Whether the person agrees now; a consent that was taken back holds for mail that was sent before."""
        consent = self.click_consent if kind == Kind.CLICK else self.open_consent
        return self.level == PERSONAL and consent == YES


class VisitedGroup(NamedTuple):
    """A mailing through one server, which an anonymous token stands for."""

    mailing_id: int
    server_name: str
    level: Level


class Place(NamedTuple):
    """A link of a mailing."""

    link_id: int
    mailing_id: int


def messages_of(ids: Collection[int]) -> dict[int, VisitedMessage]:
    """Return the messages that exist."""
    cap = site().tracking
    taken = Attempt.objects.filter(message=OuterRef("pk"), outcome__in=Attempt.TAKEN).order_by("-number")
    # A visit may come before the attempt is on record. That is seconds after sending, so the name is still the same.
    named = Coalesce(Subquery(taken.values("batch__server_name")[:1]), "server__name", Value(""))
    rows = Message.objects.filter(pk__in=ids).values_list(
        *("pk", "mailing_id", named, "mailing__tracking", "mailing__is_anonymous"),
        *("contact__open_tracking", "contact__click_tracking", "email", "delivered_at"),
    )
    found = {}
    for pk, mailing_id, server_name, level, is_anonymous, opens, clicks, email, delivered_at in rows:
        if is_anonymous:
            opens = clicks = None
        level_now = lowest([level, cap])
        found[pk] = VisitedMessage(mailing_id, server_name, level_now, opens, clicks, _domain(email), delivered_at)
    return found


def _domain(email: str) -> str:
    """Return the domain of an address; empty for what stands in its place after an erasure."""
    try:
        return domain_of(email)
    except AddressInvalid:
        return ""


def groups_of(ids: Collection[int]) -> dict[int, VisitedGroup]:
    """Return the mailings through servers that exist, by the number in their token."""
    cap = site().tracking
    rows = TrackedMailing.objects.filter(pk__in=ids).values_list("pk", "mailing_id", "server_name", "mailing__tracking")
    return {
        pk: VisitedGroup(mailing_id, server_name, lowest([level, cap])) for pk, mailing_id, server_name, level in rows
    }


def places_of(codes: Collection[str]) -> dict[str, Place]:
    """Return the links that codes of targets stand for."""
    rows = TrackedTarget.objects.filter(code__in=codes).values_list("code", "link_id", "link__mailing_id")
    return {code: Place(link_id, mailing_id) for code, link_id, mailing_id in rows}


def accepted_at(ids: Collection[int]) -> dict[int, dt.datetime]:
    """Return when a server took each message, as far as its attempt has ended."""
    sent = Attempt.objects.filter(message__in=ids, outcome__in=Attempt.TAKEN, finished_at__isnull=False)
    return dict(sent.order_by().values_list("message_id").annotate(Max("finished_at")))


def link_numbers(mailings: Collection[int]) -> dict[int, int]:
    """Return how many counted links each mailing has in its HTML."""
    rows = TrackedLink.objects.filter(mailing__in=mailings, part=TrackedLink.Part.HTML, is_counted=True).order_by()
    numbers: dict[int, int] = {}
    for mailing_id in rows.values_list("mailing_id", flat=True):
        numbers[mailing_id] = numbers.get(mailing_id, 0) + 1
    return numbers
