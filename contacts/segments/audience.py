"""The audience of a mailing: which people get a message, and why each other person does not.

One statement serves the snapshot of a mailing, the count in a form and the lists before a start, so that all three
agree. Nothing here is stored or sent.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, TextChoices

from contacts.consent.suppressed import (
    NOT_CONFIRMED,
    UNSUBSCRIBED,
    domain_key_sql,
    paused_because_sql,
    suppressed,
    suppressed_because_sql,
)
from contacts.models import Contact, Subscription
from contacts.segments import query
from contacts.segments.conditions import load
from db.costs import read_most
from db.dialect import instant, matches
from mail.addresses import RESERVED_ENDS
from words.texts import text as _

Sql = tuple[str, list[Any]]


class Reach(TextChoices):
    """The outcome for a person of the audience; the first that applies. The labels follow "left out" and a number."""

    EXCLUDED = "excluded", _("excluded by a list or segment")  # By the campaign; no message row.
    SUPPRESSED = "suppressed", _("on the suppression list")
    DOMAIN = "domain", _("at a suppressed domain")
    UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
    PENDING = "pending", _("not confirmed yet")
    STRANGER = "stranger", _("without consent")  # In a segment only, never on a consent list; no message row.
    PAUSED = "paused", _("asked for a break")
    REACHED = "reached", _("gets a message")


EXCLUDED = _("Excluded by a list or segment of the campaign.")
NO_CONSENT = _("In a segment, and never on a list whose consent counts.")


@dataclass(frozen=True, slots=True)
class Audience:
    """The people a mailing is for: everyone on the lists, and the members of the segments who agreed to a consent list.

    Subscribers of an excluded list and members of an excluded segment are left out.
    """

    lists: tuple[int, ...] = ()
    consent_lists: tuple[int, ...] = ()  # The lists whose consent counts for the segments.
    segments: tuple[Mapping[str, Any], ...] = ()  # Their conditions.
    excluded_lists: tuple[int, ...] = ()
    excluded_segments: tuple[Mapping[str, Any], ...] = ()

    @property
    def all_lists(self) -> tuple[int, ...]:
        """The lists whose consent permits the mailing; unsubscribing from the mailing withdraws these."""
        return tuple(dict.fromkeys((*self.lists, *(self.consent_lists if self.segments else ()))))

    def as_json(self) -> dict[str, Any]:
        """Return the form that a mailing stores."""
        return {name: list(getattr(self, name)) for name in _NAMES if getattr(self, name)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Audience":
        return cls(**{name: tuple(kept.get(name, ())) for name in _NAMES})


_NAMES = ("lists", "consent_lists", "segments", "excluded_lists", "excluded_segments")


# --- as statements --------------------------------------------------------------------------

_STRANGER = -1
# No bounded repetition: it would make the pattern slow.
_PLAIN = r"^[a-z0-9][a-z0-9._+-]*@[a-z0-9][a-z0-9.-]*\.[a-z]{2,}$"


def _odd() -> str:
    """Return the condition that an address may contain a mistake; addresses that fail it are certainly fine."""
    return (
        f"(NOT email_key {matches()} '{_PLAIN}' OR LENGTH(email_key) > 60"
        " OR REPLACE(REPLACE(REPLACE(email_key, '@', '.'), '-.', '..'), '.-', '..') LIKE '%%..%%')"
    )


def reserved_sql(column: str) -> str:
    """Return :func:`mail.addresses.is_reserved` of a column in lower case as SQL, with doubled percent signs."""
    return "(" + " OR ".join(f"'.' || {column} LIKE '%%{end}'" for end in RESERVED_ENDS) + ")"


def people_sql(
    audience: Audience, now: dt.datetime, between: tuple[int, int] | None = None, *, with_strangers: bool = False
) -> Sql:
    """Return a SELECT of the audience's people, and its parameters.

    Its columns: ``id``, ``email``, ``email_key``, ``domain``, ``verdict``, ``reason`` (why no message is sent; empty if
    one is) and ``sources`` (the number of lists and segments that include the person).

    :param between: only people whose ids are in this range, both ends included.
    :param with_strangers: include segment members who agreed to none of the lists.
    """
    pool, parameters = _pool(audience, now, between, with_strangers)
    moment, mark = connection.ops.adapt_datetimefield_value(now), instant()
    excluded, excluding = _excluded(audience, now, between)
    within, bounds = _within("c.id", between)
    sql = f"""
        SELECT c.id, c.email, c.email_key, c.domain, pool.sources,
            CASE WHEN {excluded} THEN 'excluded'
                 WHEN p.id IS NOT NULL THEN 'suppressed'
                 WHEN d.id IS NOT NULL THEN 'domain'
                 WHEN pool.standing = 0 THEN 'unsubscribed'
                 WHEN pool.standing = 1 THEN 'pending'
                 WHEN pool.standing = {_STRANGER} THEN 'stranger'
                 WHEN c.paused_until > {mark} THEN 'paused'
                 ELSE 'reached' END AS verdict,
            CASE WHEN p.id IS NOT NULL THEN {suppressed_because_sql("p")}
                 WHEN d.id IS NOT NULL THEN {suppressed_because_sql("d")}
                 WHEN pool.standing = 0 THEN '{UNSUBSCRIBED}'
                 WHEN pool.standing = 1 THEN '{NOT_CONFIRMED}'
                 WHEN c.paused_until > {mark} THEN {paused_because_sql("c")}
                 ELSE '' END AS reason
        FROM ({pool}) AS pool
        JOIN contacts_contact c ON c.id = pool.contact_id{within}
        LEFT JOIN contacts_suppression p ON p.email_key = c.email_key
            AND (p.expires_at IS NULL OR p.expires_at > {mark})
        LEFT JOIN contacts_suppression d ON d.email_key = {domain_key_sql("c.email_key")}
            AND (d.expires_at IS NULL OR d.expires_at > {mark})
    """  # noqa: S608  # Constants and placeholders only.
    return sql, [*excluding, moment, moment, *parameters, *bounds, moment, moment]


def _pool(audience: Audience, now: dt.datetime, between: tuple[int, int] | None, with_strangers: bool) -> Sql:
    """Return the people of all lists and segments, each with their best standing and the number of sources."""
    parts: list[Sql] = []
    if audience.lists:
        parts.append(_subscriptions(audience.lists, between, "SUM"))
    for conditions in audience.segments:
        members, values = query.people_sql(conditions, now, between)
        if audience.consent_lists:
            parts.append(_subscriptions(audience.consent_lists, between, "MAX", (members, values)))
        if with_strangers:
            strangers = f"SELECT id AS contact_id, {_STRANGER} AS standing, 0 AS sources FROM ({members}) AS member"  # noqa: S608
            parts.append((strangers, values))
    if not parts:
        return "SELECT 0 AS contact_id, 0 AS standing, 0 AS sources WHERE 1 = 0", []
    if len(parts) == 1:
        return parts[0]
    sql = " UNION ALL ".join(part for part, _ in parts)
    whole = f"SELECT contact_id, MAX(standing) AS standing, SUM(sources) AS sources FROM ({sql}) AS part GROUP BY 1"  # noqa: S608
    return whole, [value for _, values in parts for value in values]


def _subscriptions(
    list_ids: Sequence[int], between: tuple[int, int] | None, sources: str, members: Sql | None = None
) -> Sql:
    """Return the standing of people on some lists.

    :param sources: the SQL aggregate that makes one number of sources from the lists' own.
    :param members: only people whose ids this selects.
    """
    within, parameters = _within("contact_id", between)
    if members:
        within += f" AND contact_id IN ({members[0]})"
        parameters = [*parameters, *members[1]]
    standing = "CASE status WHEN 'subscribed' THEN 2 WHEN 'pending' THEN 1 ELSE 0 END"
    is_subscribed = "CASE WHEN status = 'subscribed' THEN 1 ELSE 0 END"
    rows = f"FROM contacts_subscription WHERE list_id IN ({_marks(list_ids)}){within}"
    if len(list_ids) == 1:  # Nobody is on one list twice: grouping a million rows would take longer than finding them.
        sql = f"SELECT contact_id, {standing} AS standing, {is_subscribed} AS sources {rows}"
    else:
        sql = (
            f"SELECT contact_id, MAX({standing}) AS standing, {sources}({is_subscribed}) AS sources {rows}"
            " GROUP BY contact_id"
        )
    return sql, [*list_ids, *parameters]


def _excluded(audience: Audience, now: dt.datetime, between: tuple[int, int] | None) -> Sql:
    """Return a condition that holds for people ``c`` whom the campaign excludes."""
    parts: list[Sql] = []
    if audience.excluded_lists:
        within, bounds = _within("contact_id", between)
        parts.append(
            (
                "c.id IN (SELECT contact_id FROM contacts_subscription WHERE status = 'subscribed'"  # noqa: S608
                f" AND list_id IN ({_marks(audience.excluded_lists)}){within})",
                [*audience.excluded_lists, *bounds],
            )
        )
    for conditions in audience.excluded_segments:
        members, values = query.people_sql(conditions, now, between)
        parts.append((f"c.id IN ({members})", values))
    if not parts:
        return "1 = 0", []
    return "(" + " OR ".join(part for part, _ in parts) + ")", [value for _, values in parts for value in values]


def _within(column: str, between: tuple[int, int] | None) -> Sql:
    return (f" AND {column} BETWEEN %s AND %s", list(between)) if between else ("", [])


def _marks(values: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(values))


@dataclass(frozen=True, slots=True)
class Count:
    """The number of people of an audience, by outcome."""

    numbers: Mapping[Reach, int]  # Has every verdict.
    repeated: int  # People reached who are in several of the lists and segments.
    odd: int  # People reached whose address may contain a mistake and needs a check of its own.
    reserved: int  # People reached at a reserved domain, where no mail arrives.

    @property
    def reached(self) -> int:
        return self.numbers[Reach.REACHED]


def count(audience: Audience, now: dt.datetime) -> Count:
    """Count the people of an audience. A million people take a few seconds."""
    sql, parameters = people_sql(audience, now, with_strangers=True)
    rows = read_most(
        "SELECT verdict, COUNT(*), SUM(CASE WHEN sources > 1 THEN 1 ELSE 0 END),"  # noqa: S608
        f" SUM(CASE WHEN verdict = 'reached' AND {_odd()} THEN 1 ELSE 0 END),"
        f" SUM(CASE WHEN verdict = 'reached' AND {reserved_sql('domain')} THEN 1 ELSE 0 END)"
        f" FROM ({sql}) AS people GROUP BY verdict",
        parameters,
    )
    found = {Reach(verdict): [int(number) for number in numbers] for verdict, *numbers in rows}
    numbers = {verdict: found.get(verdict, [0])[0] for verdict in Reach}
    _, repeated, odd, reserved = found.get(Reach.REACHED, [0, 0, 0, 0])
    return Count(numbers, repeated, odd, reserved)


def listed(
    audience: Audience,
    now: dt.datetime,
    verdict: Reach,
    *,
    is_repeated: bool = False,
    is_odd: bool = False,
    between: tuple[int, int] | None = None,
    number: int | None = None,
    start: int = 0,
) -> list[tuple[int, str, str]]:
    """Return (id, address, reason why no message is sent) of people with that verdict, ordered by id.

    :param is_repeated: only people who are in several of the lists and segments.
    :param is_odd: only people whose address may contain a mistake.
    :param number: the maximum number of people, after skipping ``start``.
    """
    people, parameters = people_sql(audience, now, between, with_strangers=True)
    sql = f"SELECT id, email, reason FROM ({people}) AS people WHERE verdict = %s"  # noqa: S608
    sql += " AND sources > 1" if is_repeated else ""
    sql += f" AND {_odd()}" if is_odd else ""
    sql += " ORDER BY id"
    if number is not None:
        sql += f" LIMIT {int(number)} OFFSET {int(start)}"
    own = {Reach.EXCLUDED: EXCLUDED, Reach.STRANGER: NO_CONSENT}.get(verdict)
    rows = read_most(sql, [*parameters, verdict])
    return [(pk, email, own or reason) for pk, email, reason in rows]


def at_places(audience: Audience, now: dt.datetime, key: Sql, places: Collection[int]) -> dict[int, str]:
    """Return {place: key} of the reached people at these places, when ordered by key.

    :param key: SQL for a text that is unique among ``people``.
    :param places: counted from 0; places after the last person are left out.
    """
    people, parameters = people_sql(audience, now)
    return dict(
        read_most(
            "SELECT place, key FROM (SELECT key, ROW_NUMBER() OVER (ORDER BY key) - 1 AS place"  # noqa: S608
            f" FROM (SELECT {key[0]} AS key FROM ({people}) AS people WHERE verdict = 'reached') AS keyed) AS placed"
            f" WHERE place IN ({_marks(places)})",
            [*key[1], *parameters, *places],
        )
    )


# --- as a queryset --------------------------------------------------------------------------


def subscribed(list_ids: Sequence[int]) -> Q:
    """Condition: the contact is subscribed to one of the lists."""
    return Q(
        Exists(
            Subscription.objects.filter(
                contact=OuterRef("pk"), list__in=list_ids, status=Subscription.Status.SUBSCRIBED
            )
        )
    )


def reached(audience: Audience, now: dt.datetime) -> QuerySet[Contact]:
    """Return the people whose verdict is ``REACHED``; fast if only the first ones are taken."""
    moment = query.moment(now)
    meant = subscribed(audience.lists)
    for conditions in audience.segments:
        meant |= query.meets(load(conditions), moment) & subscribed(audience.consent_lists)
    people = Contact.objects.filter(meant)
    if audience.excluded_lists:
        people = people.exclude(subscribed(audience.excluded_lists))
    for conditions in audience.excluded_segments:
        people = people.filter(~query.meets(load(conditions), moment))
    return people.exclude(suppressed(now)).exclude(paused_until__gt=now)
