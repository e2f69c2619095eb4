"""A person's story on one page: whether they can be written to, and why not, and what happened so far.

This room knows consents and suppressions; the rooms above add their sections when they start. Nothing here looks at
the clock.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime

from contacts.consent.suppressed import suppression_of
from contacts.models import ConsentEvent, Contact, Subscription, Suppression, SuppressionLift

EVENTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class ContactStanding:
    """Whether a person can be written to now."""

    kind: str  # fine or stopped: its colour.
    headline: str
    reasons: tuple[str, ...] = ()
    suppression: Suppression | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the story, with the template that draws it."""

    key: str  # Its anchor.
    title: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)


# Each is asked with the contact, the request and the time; None where it has nothing to show to this user.
Teller = Callable[[Contact, HttpRequest, dt.datetime], Section | None]
TELLERS: list[Teller] = []


def standing(contact: Contact, now: dt.datetime) -> ContactStanding:
    """Say whether campaigns reach this person, and if not, everything that stands in the way."""
    reasons = []
    suppression = suppression_of(contact.email_key, now)
    if suppression:
        reasons.append(_suppressed(suppression))
    if contact.paused_until and contact.paused_until > now:
        reasons.append(
            f"They asked for a break until {_day(contact.paused_until)}; campaigns leave them out until then."
        )
    statuses = set(contact.subscriptions.values_list("status", flat=True))
    if Subscription.Status.SUBSCRIBED not in statuses:
        if Subscription.Status.PENDING in statuses:
            reasons.append("They have not confirmed their subscription yet.")
        elif statuses:
            reasons.append("They unsubscribed from every list they were on.")
        else:
            reasons.append("They are on no list.")
    if reasons:
        return ContactStanding("stopped", "Cannot be written to", tuple(reasons), suppression)
    return ContactStanding("fine", "May be written to", ("Campaigns to the lists marked subscribed reach them.",))


def sections(contact: Contact, request: HttpRequest, now: dt.datetime) -> list[Section]:
    """Return the parts of the story that whoever asks may see, consents first."""
    told = (tell(contact, request, now) for tell in (_consents, *TELLERS))
    return [section for section in told if section]


def _consents(contact: Contact, request: HttpRequest, now: dt.datetime) -> Section | None:
    if not request.user.has_perm("contacts.view_contact"):
        return None
    events = ConsentEvent.objects.filter(contact=contact)[: EVENTS_SHOWN + 1]
    lifts = SuppressionLift.objects.filter(email__iexact=contact.email)
    return Section(
        "consents",
        "History of consent",
        "contacts/consent_history.html",
        {"events": events[:EVENTS_SHOWN], "has_more": len(events) > EVENTS_SHOWN, "lifts": lifts},
    )


def _suppressed(suppression: Suppression) -> str:
    what = "this address" if not suppression.email.startswith("@") else f"anybody at {suppression.email[1:]}"
    until = f" It ends on {_day(suppression.expires_at)}." if suppression.expires_at else ""
    source = f" {suppression.source.rstrip('.')}." if suppression.source else ""
    reason = suppression.get_reason_display()
    return f"Nothing is sent to {what} since {_day(suppression.created_at)}: {reason}.{source}{until}"


def _day(instant: dt.datetime) -> str:
    return date_format(localtime(instant), "DATE_FORMAT")
