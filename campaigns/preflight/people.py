"""The people of a campaign if it started now: who gets it, who is left out and why, as numbers and as lists.

Reads the database and changes nothing.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Max, Min, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from campaigns.audience.audience import audience_of
from campaigns.audience.headcounts import Headcounts
from campaigns.models import Campaign
from contacts.models import Contact, Subscription
from contacts.segments import query
from contacts.segments.audience import Audience, Reach, listed, reached, reserved_sql, subscribed
from contacts.segments.conditions import load
from delivery.content.recipient_domains import syntax_problem
from delivery.outcomes import unreachable_domains
from mail.addresses import is_reserved
from words.texts import text

# Reasons beside the verdicts of ``Reach``. They apply to people who are reached.
REPEATED, INVALID, UNREACHABLE, RESERVED = "repeated", "invalid", "unreachable", "reserved"
TITLES = {
    **{verdict.value: verdict.label for verdict in Reach},
    REPEATED: text("on several lists or segments"),
    INVALID: text("invalid address"),
    UNREACHABLE: text("domain accepts no mail"),
    RESERVED: text("domain reserved for examples"),
}
MOST_LOOKED_AT = 20_000  # Odd addresses, and domains known to be unreachable.
SLICE_CONTACTS = 20_000


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A number of people with the same reason."""

    reason: str  # Short and stable, such as "unsubscribed"; the key for a list of these people.
    title: str  # The reason in words to follow a number, such as "asked for a break".
    number: int


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """The number of people that a campaign reaches, and of the others by reason. Zeros are left out."""

    reached: int  # People who get a message.
    left_out: tuple[LeftOut, ...]  # People who get none.
    doubtful: tuple[LeftOut, ...]  # Reached people whose mail will fail at servers that check addresses.
    repeated: int  # Reached people on several of the lists and segments; each gets one message.

    @property
    def total(self) -> int:
        return self.reached + sum(each.number for each in self.left_out)

    @property
    def numbers(self) -> dict[str, int]:
        """The number of people for each reason of ``TITLES``."""
        found = {each.reason: each.number for each in (*self.left_out, *self.doubtful)}
        return dict.fromkeys(TITLES, 0) | found | {Reach.REACHED.value: self.reached, REPEATED: self.repeated}


@dataclass(frozen=True, slots=True)
class CheckedPerson:
    contact_id: int
    email: str
    why: str  # Why no message is sent, or why it will not arrive; empty otherwise.


def people(campaign: Campaign, now: dt.datetime) -> PeopleReport:
    """Count the people of the campaign's audience by reason. A million people take a few seconds.

    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    return people_of(Headcounts(audience_of(campaign)), now)


def people_of(headcounts: Headcounts, now: dt.datetime) -> PeopleReport:
    """Return the same for the numbers of an audience that the caller has.

    :raises NotCounted: as :func:`people` does.
    """
    audience, found = headcounts.audience, headcounts.people(now)
    left_out = tuple(
        LeftOut(verdict.value, TITLES[verdict.value], number)
        for verdict, number in found.numbers.items()
        if number and verdict != Reach.REACHED
    )
    failing = {
        INVALID: headcounts.once("invalid", now, lambda: len(_invalid(audience, now))) if found.odd else 0,
        UNREACHABLE: headcounts.once("unreachable", now, lambda: _unreachable(audience, now).count())
        if unreachable_domains.known(now)
        else 0,
        RESERVED: found.reserved,
    }
    doubtful = tuple(LeftOut(reason, TITLES[reason], number) for reason, number in failing.items() if number)
    return PeopleReport(found.reached, left_out, doubtful, found.repeated)


def brought(conditions: Mapping[str, Any], consent_lists: tuple[int, ...], now: dt.datetime) -> tuple[int, int]:
    """Return the number of people who meet a segment's conditions, and of those who also agreed to one of the lists.

    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    meeting = query.people(load(conditions), now)
    agreed = meeting.filter(subscribed(consent_lists))
    alone = Headcounts(Audience(segments=(conditions,), consent_lists=consent_lists))
    number, with_consent = alone.once("segment", now, lambda: [meeting.count(), agreed.count()])
    return number, with_consent


def some(campaign: Campaign, reason: str, now: dt.datetime, *, start: int, number: int) -> list[CheckedPerson]:
    """Return a page of the people with this reason, a key of ``TITLES``."""
    audience = audience_of(campaign)
    if reason == INVALID:
        return _invalid(audience, now)[start : start + number]
    if reason == UNREACHABLE:
        return _in_words(_unreachable(audience, now)[start : start + number])
    if reason == RESERVED:
        return _in_words(_reserved(audience, now)[start : start + number])
    verdict = Reach.REACHED if reason == REPEATED else Reach(reason)
    rows = listed(audience, now, verdict, is_repeated=reason == REPEATED, start=start, number=number)
    return [CheckedPerson(*row) for row in rows]


def everybody(campaign: Campaign, reason: str, now: dt.datetime) -> Iterator[CheckedPerson]:
    """Yield all people with this reason, slice by slice of the contacts."""
    audience = audience_of(campaign)
    if reason == INVALID:
        yield from _invalid(audience, now)
    elif reason == UNREACHABLE:
        yield from _in_words(_unreachable(audience, now))
    elif reason == RESERVED:
        yield from _in_words(_reserved(audience, now))
    else:
        verdict = Reach.REACHED if reason == REPEATED else Reach(reason)
        for between in _slices(audience):
            for row in listed(audience, now, verdict, is_repeated=reason == REPEATED, between=between):
                yield CheckedPerson(*row)


def _slices(audience: Audience) -> Iterator[tuple[int, int]]:
    # People of a segment may be on no list.
    whom = Contact.objects if audience.segments else Subscription.objects.filter(list__in=audience.lists)
    column = "pk" if audience.segments else "contact"
    bounds = whom.aggregate(first=Min(column), last=Max(column))
    for first in range(bounds["first"] or 1, (bounds["last"] or 0) + 1, SLICE_CONTACTS):
        yield first, first + SLICE_CONTACTS - 1


def _invalid(audience: Audience, now: dt.datetime) -> list[CheckedPerson]:
    odd = listed(audience, now, Reach.REACHED, is_odd=True, number=MOST_LOOKED_AT)
    return [CheckedPerson(pk, email, problem.sentence) for pk, email, _ in odd if (problem := syntax_problem(email))]


def _unreachable(audience: Audience, now: dt.datetime) -> QuerySet[Contact]:
    domains = unreachable_domains.known(now)[:MOST_LOOKED_AT]
    return reached(audience, now).filter(domain__in=domains).order_by("pk")


def _reserved(audience: Audience, now: dt.datetime) -> QuerySet[Contact]:
    condition = RawSQL(reserved_sql("contacts_contact.domain"), (), BooleanField())  # noqa: S611  # Only fixed words.
    return reached(audience, now).filter(condition).order_by("pk")


def _in_words(contacts: QuerySet[Contact]) -> list[CheckedPerson]:
    return [CheckedPerson(contact.pk, contact.email, _domain_problem(contact.domain)) for contact in contacts]


def _domain_problem(domain: str) -> str:
    if is_reserved(domain):
        return _("%(domain)s is reserved for examples and gets no mail.") % {"domain": domain}
    return _("%(domain)s doesn't exist or accepts no mail.") % {"domain": domain}
