"""The contact page: whether a person gets mail, why not, and the sections of their history.

This room knows consents and suppressions; the rooms above register their sections at start. Nothing here reads the
clock.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from adminpages.instants import day
from contacts.consent.suppressed import suppression_of
from contacts.models import ConsentEvent, Contact, Subscription, Suppression, SuppressionLift
from registry import Registry

EVENTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class ContactStanding:
    """Whether a person gets mail now."""

    kind: str  # "fine" or "stopped"; sets the colour.
    headline: str
    reasons: tuple[str, ...] = ()
    suppression: Suppression | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the contact page, with its template."""

    key: str  # The anchor in the page.
    title: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)


# Called with the contact, the request and the time; None if it has nothing to show to this user.
SectionBuilder = Callable[[Contact, HttpRequest, dt.datetime], Section | None]
SECTION_BUILDERS: Registry[SectionBuilder] = Registry()


def standing(contact: Contact, now: dt.datetime) -> ContactStanding:
    """Return whether campaigns reach this person, and every reason why they do not."""
    reasons = []
    suppression = suppression_of(contact.email_key, now)
    if suppression:
        reasons.append(_suppressed(suppression))
    if contact.paused_until and contact.paused_until > now:
        reasons.append(
            _("Asked for a break until %(day)s. Campaigns skip them until then.") % {"day": day(contact.paused_until)}
        )
    statuses = set(contact.subscriptions.values_list("status", flat=True))
    if Subscription.Status.SUBSCRIBED not in statuses:
        if Subscription.Status.PENDING in statuses:
            reasons.append(_("Hasn't confirmed the subscription yet."))
        elif statuses:
            reasons.append(_("Unsubscribed from every list."))
        else:
            reasons.append(_("Isn't on a list."))
    if reasons:
        return ContactStanding("stopped", _("Gets no campaigns"), tuple(reasons), suppression)
    return ContactStanding("fine", _("Gets campaigns"), (_("Sent to the lists marked Subscribed."),))


def sections(contact: Contact, request: HttpRequest, now: dt.datetime) -> list[Section]:
    """Return the sections that the user of the request may see, consents first."""
    built = (build(contact, request, now) for build in (_consents, *SECTION_BUILDERS.values()))
    return [section for section in built if section]


def _consents(contact: Contact, request: HttpRequest, now: dt.datetime) -> Section | None:
    if not request.user.has_perm("contacts.view_contact"):
        return None
    events = ConsentEvent.objects.filter(contact=contact)[: EVENTS_SHOWN + 1]
    lifts = SuppressionLift.objects.filter(email__iexact=contact.email)
    return Section(
        "consents",
        _("Consent history"),
        "contacts/consent_history.html",
        {"events": events[:EVENTS_SHOWN], "has_more": len(events) > EVENTS_SHOWN, "lifts": lifts},
    )


def _suppressed(suppression: Suppression) -> str:
    facts = {"domain": suppression.email[1:], "day": day(suppression.created_at)}
    if suppression.email.startswith("@"):
        sentences = [_("Everyone at %(domain)s is suppressed since %(day)s.") % facts]
    else:
        sentences = [_("Suppressed since %(day)s.") % facts]
    sentences.append(_("Reason: %(reason)s.") % {"reason": suppression.get_reason_display()})
    if suppression.source:
        sentences.append(f"{suppression.source.rstrip('.')}.")
    if suppression.expires_at:
        sentences.append(_("Ends on %(day)s.") % {"day": day(suppression.expires_at)})
    return " ".join(sentences)
