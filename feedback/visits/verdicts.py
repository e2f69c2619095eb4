"""The late pass: visits get their verdict when their neighbours are known, and count for good.

Numbers only grow, whatever comes later. What follows from a visit, follows from here.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import F

from campaigns.reports.providers import providers_of
from db.locks import take_turns
from delivery import clock
from delivery.outcomes.visited import note_first_visits
from feedback.models import FirstVisit, GatheredFile, PendingVisit, Visit
from feedback.visits import counts
from feedback.visits.counts import CountKey, First
from feedback.visits.messages import VisitedMessage, accepted_at, link_numbers, messages_of
from mail.visits.bursts import GATEWAY_SECONDS, SLOW_SECONDS
from mail.visits.gateways import is_gateway_provider
from mail.visits.judgement import SAYS_NOTHING, VisitFacts
from mail.visits.judgement import judge as judge_visits
from mail.visits.names import Family, Kind, Visitor
from mail.visits.request import facts_of_list
from mail.visits.rules import MessageFacts, Verdict, first_look

SLICE_ROWS = 1_000
NEIGHBOURS = dt.timedelta(seconds=GATEWAY_SECONDS)  # On the same network …
SLOW_NEIGHBOURS = dt.timedelta(seconds=SLOW_SECONDS)  # … and in the same message.
MOST_NEIGHBOURS = 3_000  # Five messages and three links give a scanner away.
KEPT_AFTERWARDS = dt.timedelta(minutes=4)  # For neighbours that are judged later …
KEPT_AFTER_FIRST_LOOK = dt.timedelta(minutes=9)  # … and of what wasn't made to wait for its verdict.
FORGOTTEN_AFTER = dt.timedelta(days=30)  # Positions in files that a killed process deleted.


class _Judged(NamedTuple):
    """A visit and its verdict."""

    row: PendingVisit
    message: VisitedMessage | None  # None: counted without the person.
    verdict: Verdict
    family: Family


def judge_for_a_while(read_clock: Callable[[], dt.datetime], seconds: float) -> bool:
    """Judge what is due, and delete what was judged a while ago; return whether anything is left."""
    end = clock.steady() + seconds
    _forget(read_clock())
    while clock.steady() < end:
        if not judge(read_clock()):
            return False
    return True


def judge(now: dt.datetime) -> int:
    """Judge the oldest visits that are due; return their number."""
    due = PendingVisit.objects.filter(is_judged=False, due_at__lte=now).order_by("due_at", "pk")
    ids = list(due.values_list("pk", flat=True)[:SLICE_ROWS])
    if not ids:
        return 0
    domains = {each.domain for each in messages_of(_message_ids(ids)).values()} - {""}
    providers = providers_of(domains, now)  # DNS is asked before the transaction, which others may wait for.
    with transaction.atomic():
        take_turns("visits")  # One judges at a time, in all processes.
        rows = list(due.select_for_update().filter(pk__in=ids))
        judged = _verdicts(rows, providers)
        _record(judged, providers, now)
        _keep_for_neighbours(rows)
    return len(ids)


def _forget(now: dt.datetime) -> None:
    PendingVisit.objects.filter(is_judged=True, due_at__lte=now).delete()
    GatheredFile.objects.filter(read_at__lt=now - FORGOTTEN_AFTER).delete()


def _keep_for_neighbours(rows: Sequence[PendingVisit]) -> None:
    """Mark rows as judged. They are due once more, to be deleted."""
    at_once = {row.pk for row in rows if first_look(facts_of_list(row.facts), row.at.timestamp()).is_final}
    for ids, kept_for in (
        (at_once, KEPT_AFTER_FIRST_LOOK),
        ({row.pk for row in rows} - at_once, KEPT_AFTERWARDS),
    ):
        PendingVisit.objects.filter(pk__in=ids).update(is_judged=True, due_at=F("due_at") + kept_for)


def _message_ids(ids: Collection[int]) -> set[int]:
    rows = PendingVisit.objects.filter(pk__in=ids, message__isnull=False)
    return set(rows.values_list("message_id", flat=True))


# --- the verdicts


def _verdicts(rows: Sequence[PendingVisit], providers: dict[str, str]) -> list[_Judged]:
    messages = messages_of({row.message_id for row in rows if row.message_id is not None})
    about = [_about(row, messages) for row in rows]
    visits = _with_neighbours(rows, about)
    verdicts = judge_visits(visits, _facts_of_messages(visits, messages, providers))
    return [
        _Judged(row, message, verdict, visit.request.family)
        for row, message, verdict, visit in zip(rows, about, verdicts, visits, strict=False)
    ]


def _about(row: PendingVisit, messages: dict[int, VisitedMessage]) -> VisitedMessage | None:
    message = messages.get(row.message_id) if row.message_id is not None else None
    if message is not None and not message.is_counted_by_person(row.kind):
        return None  # The consent was taken back meanwhile.
    return message


def _with_neighbours(rows: Sequence[PendingVisit], about: Sequence[VisitedMessage | None]) -> list[VisitFacts]:
    """Return the rows' visits, followed by those that tell something of them."""
    columns = ("at", "network", "mailing_id", "message_id", "link_id", "facts")
    first, last = min(row.at for row in rows), max(row.at for row in rows)
    others = PendingVisit.objects.exclude(pk__in=[row.pk for row in rows]).order_by("at").values_list(*columns)
    of_message = others.filter(
        message__in={row.message_id for row in rows} - {None},
        at__range=(first - SLOW_NEIGHBOURS, last + SLOW_NEIGHBOURS),
    )[:MOST_NEIGHBOURS]
    of_network = others.filter(
        network__in={row.network for row in rows if row.kind == Kind.CLICK} - {""},
        kind=Kind.CLICK.value,
        at__range=(first - NEIGHBOURS, last + NEIGHBOURS),
    )[:MOST_NEIGHBOURS]
    found = [
        (row.at, row.network, row.mailing_id, row.message_id if message else None, row.link_id, row.facts)
        for row, message in zip(rows, about, strict=True)
    ]
    known = {message_id for _, _, _, message_id, *_ in found}
    found += of_message
    found += (beside := [other for other in of_network if other[3] is None or other[3] not in known])
    found += others.filter(message__in={other[3] for other in beside} - {None}, kind=Kind.OPEN.value)[:MOST_NEIGHBOURS]
    links = link_numbers({mailing_id for _, _, mailing_id, *_ in found})
    return [
        VisitFacts(
            at.timestamp(), network, mailing_id, message_id, link_id, links.get(mailing_id, 0), facts_of_list(of)
        )
        for at, network, mailing_id, message_id, link_id, of in found
    ]


def _facts_of_messages(
    visits: Sequence[VisitFacts], messages: dict[int, VisitedMessage], providers: dict[str, str]
) -> dict[int, MessageFacts]:
    """Return what the rules need of the messages, and of those that are neighbours who opened them."""
    accepted = accepted_at(messages)
    opened = _openers({visit.message for visit in visits if visit.message is not None})
    facts = {pk: MessageFacts(None, opened_by=frozenset(families)) for pk, families in opened.items()}
    for pk, message in messages.items():
        taken_at = message.delivered_at or accepted.get(pk)
        provider = providers.get(message.domain, message.domain)
        facts[pk] = MessageFacts(
            taken_at.timestamp() if taken_at else None,
            is_gateway_provider(provider, message.domain),
            frozenset(opened[pk]),
        )
    return facts


def _openers(messages: Collection[int]) -> defaultdict[int, set[Family]]:
    """Return the programs that opened messages, as far as that was judged before."""
    opened: defaultdict[int, set[Family]] = defaultdict(set)
    visits = Visit.objects.filter(message__in=messages, kind=Kind.OPEN.value).exclude(reason__in=SAYS_NOTHING)
    for message_id, family in visits.values_list("message_id", "family"):
        opened[message_id].add(Family(family))
    return opened


# --- what is stored


def _record(judged: Sequence[_Judged], providers: dict[str, str], now: dt.datetime) -> None:
    loads: Counter[CountKey] = Counter()
    firsts: dict[First, CountKey] = {}
    visits = []
    for each in judged:
        row = each.row
        row.at = min(row.at, now)  # The clock was set back since.
        for link_id in sorted({0, row.link_id or 0}):
            key = _count_key(each, link_id, providers)
            loads[key] += row.loads
            if each.message is not None:
                firsts.setdefault(First(row.message_id or 0, row.kind, link_id, each.verdict.visitor.value), key)
        if each.message is not None and row.message_id is not None:
            visits.append(_visit(each, row.message_id))
    Visit.objects.bulk_create(visits)
    new = counts.note_first(firsts, now)
    people = Counter(firsts[first] for first in new)
    openers = _openers_by_click({first.message_id: firsts[first] for first in new}, now)
    people.update(openers.values())
    counts.add(loads, people)
    _note_first_people(judged, openers)


def _openers_by_click(touched: dict[int, CountKey], now: dt.datetime) -> dict[int, CountKey]:
    """Call people who clicked openers too, where a proxy, Apple's too, opened their message.

    :param touched: messages with a new first visit, and how it counts.
    """
    known = FirstVisit.objects.filter(message__in=touched, link_id=0).values_list("message_id", "kind", "visitor")
    clicked = {pk for pk, kind, visitor in known if (kind, visitor) == (Kind.CLICK, Visitor.HUMAN)}
    opened = {pk for pk, kind, _visitor in known if kind == Kind.OPEN}
    openers = [First(pk, Kind.OPEN.value, 0, Visitor.HUMAN.value) for pk in clicked & opened]
    return {
        first.message_id: touched[first.message_id]._replace(
            kind=Kind.OPEN.value, link_id=0, visitor=Visitor.HUMAN.value
        )
        for first in counts.note_first(openers, now)
    }


def _count_key(each: _Judged, link_id: int, providers: dict[str, str]) -> CountKey:
    row, message = each.row, each.message
    provider = providers.get(message.domain, message.domain)[:255] if message is not None else ""
    return CountKey(
        *(row.mailing_id, counts.quarter_of(row.at), row.kind, link_id, each.verdict.visitor.value),
        *(each.family.value, row.server_name, provider, message is not None),
    )


def _visit(each: _Judged, message_id: int) -> Visit:
    row = each.row
    return Visit(
        message_id=message_id,
        link_id=row.link_id,
        kind=row.kind,
        visitor=each.verdict.visitor.value,
        reason=each.verdict.reason.value,
        family=each.family.value,
        loads=row.loads,
        at=row.at,
    )


def _note_first_people(judged: Sequence[_Judged], openers: Collection[int]) -> None:
    """Note in the messages when people first opened and clicked them; who opened is known by a click of some."""
    opened: dict[int, dt.datetime] = {}
    clicked: dict[int, dt.datetime] = {}
    for row, message, verdict, _family in judged:
        if message is None or row.message_id is None:
            continue
        is_human = verdict.visitor is Visitor.HUMAN
        if is_human and row.kind == Kind.CLICK:
            clicked[row.message_id] = min(row.at, clicked.get(row.message_id, row.at))
        if (is_human and row.kind == Kind.OPEN) or row.message_id in openers:
            opened[row.message_id] = min(row.at, opened.get(row.message_id, row.at))
    note_first_visits(opened, clicked)
