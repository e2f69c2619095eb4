"""Adds attempts to the daily tallies in slices. Each attempt is counted once, even if a worker dies in between.

The tallies follow the attempts by some seconds, so that recording results stays fast. A slice and the mark behind it
are one transaction, so a repetition counts nothing twice. Attempts get their ids in the order in which they are
written, and may be committed in another order; :func:`_ceiling` makes sure that none is skipped.
"""

import datetime as dt
import time
from collections import Counter
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, CharField, Count, F, Max, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, StrIndex, Substr, TruncDate

from campaigns.models import Tally, TallyMark
from campaigns.reports.providers import Ask, providers_of
from db.dialect import is_postgresql
from delivery.models import Attempt, Correction, Mailing, Message
from delivery.outcomes import scorecard
from delivery.outcomes.scorecard import ScoreKey
from installation.site import site

SLICE_ATTEMPTS = 4_000
BUDGET_SECONDS = 1.5  # Per call, so that other tasks get their turn.
HELD_FOR = dt.timedelta(seconds=30)  # A shorter delay is not reported.
MOST_PROVIDERS = 300  # Per mailing; later ones are counted together. Large providers occur among the first ones.

_IS_CAMPAIGNS = Q(message__mailing__stream=Mailing.Stream.CAMPAIGN, message__copy_of=None)
_MAILING = Case(When(_IS_CAMPAIGNS, then=F("message__mailing_id")), default=Value(0))

Key = tuple[dt.date, int, str, str, str, str]


def tally(now: dt.datetime, ask: Ask | None = None, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Count the attempts that were recorded since the last call; return their number.

    :param ask: looks up the providers of unknown domains; None: DNS.
    """
    began, counted = time.monotonic(), 0
    mark, _ = TallyMark.objects.get_or_create(pk=1)
    while time.monotonic() - began < budget_seconds:
        ceiling = _ceiling(mark)
        if mark.attempt_id >= ceiling:
            _record_end(mark, now)
            break
        last = min(mark.attempt_id + SLICE_ATTEMPTS, ceiling)
        # Outside the transaction, which must not wait for the network.
        providers = providers_of(_domains(mark.attempt_id, last), now, ask)
        number = _count(mark.attempt_id, last, providers)
        if number is None:  # Another worker was faster, and continues.
            break
        counted += number
        mark.attempt_id = last
    while time.monotonic() - began < budget_seconds and _correct(now, ask):
        pass
    return counted


def _ceiling(mark: TallyMark) -> int:
    """Return the id up to which no new attempt can appear.

    SQLite has one writer at a time. On PostgreSQL a transaction may commit its attempts after higher ids are visible.
    Recording locks its batch before it writes attempts, so by then it has a transaction id. Once all transactions have
    ended that were running when the highest attempt was seen, every attempt below it is visible or never will be. A
    long transaction in this database delays the tallies and never makes them wrong.
    """
    if not is_postgresql():
        return Attempt.objects.aggregate(last=Max("pk"))["last"] or 0
    with connection.cursor() as cursor:
        if mark.ceiling_id <= mark.attempt_id:
            cursor.execute(
                "SELECT COALESCE(MAX(id), 0), CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"
                " FROM delivery_attempt"
            )
            mark.ceiling_id, mark.ceiling_transaction = cursor.fetchone()
            TallyMark.objects.filter(pk=1).update(
                ceiling_id=mark.ceiling_id, ceiling_transaction=mark.ceiling_transaction
            )
        cursor.execute("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")
        # First the oldest transaction of all databases, which costs nothing; then the oldest one of this database.
        if cursor.fetchone()[0] >= mark.ceiling_transaction or _oldest_of_ours(cursor) >= mark.ceiling_transaction:
            return mark.ceiling_id
    return mark.attempt_id


def _oldest_of_ours(cursor: Any) -> int:
    """Return the id of the oldest writing transaction in this database; without one, the next id.

    Each transaction with an id holds a lock on it until it ends, and every user may see that lock. A lock contains only
    the last 32 bits of the id.
    """
    cursor.execute(
        """
        SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint), ARRAY(
            SELECT CAST(CAST(held.transactionid AS text) AS bigint) FROM pg_locks held
            JOIN pg_stat_activity running ON running.pid = held.pid AND running.datname = current_database()
            WHERE held.locktype = 'transactionid' AND held.mode = 'ExclusiveLock'
            UNION ALL SELECT CAST(CAST(transaction AS text) AS bigint) FROM pg_prepared_xacts
            WHERE database = current_database()
        )
        """
    )
    following, short = cursor.fetchone()
    return int(min((following - (following - number) % 2**32 for number in short), default=following))


def _record_end(mark: TallyMark, now: dt.datetime) -> None:
    """Record that all attempts are counted, or that newer ones are held back since now."""
    mine = TallyMark.objects.filter(pk=1, attempt_id=mark.attempt_id)
    if Attempt.objects.filter(pk__gt=mark.attempt_id).exists():
        mine.filter(held_since=None).update(held_since=now)
    else:
        mine.update(counted_at=now, held_since=None)


def held_since(now: dt.datetime) -> dt.datetime | None:
    """Return the time since which newer attempts are held back; None while the tallies are up to date."""
    since = TallyMark.objects.filter(pk=1).values_list("held_since", flat=True).first()
    return since if since is not None and now - since > HELD_FOR else None


def _slice(after: int, last: int) -> QuerySet[Any]:
    return _with_domain(Attempt.objects.filter(pk__gt=after, pk__lte=last).order_by())


def _with_domain(attempts: QuerySet[Attempt]) -> QuerySet[Any]:
    to = Case(When(message__redirected_to="", then=F("message__email_key")), default=F("message__redirected_to"))
    attempts = attempts.annotate(to=to)
    return attempts.annotate(domain=Substr("to", StrIndex("to", Value("@")) + 1, output_field=CharField()))


def _domains(after: int, last: int) -> set[str]:
    return {domain.lower() for domain in _slice(after, last).values_list("domain", flat=True).distinct()}


def _count(after: int, last: int, providers: dict[str, str]) -> int | None:
    """Add the attempts after one id and up to another to the tallies. None if they are counted already."""
    with transaction.atomic():
        if not TallyMark.objects.filter(pk=1, attempt_id=after).update(attempt_id=last, held_since=None):
            return None
        counts = _groups(after, last, providers)
        _fold(counts)
        _add(counts)
        scorecard.add(_scores(after, last, providers))
    return counts.total()


def _groups(after: int, last: int, providers: dict[str, str]) -> Counter[Key]:
    # An attempt that was claimed and given back does not count, unless its message ended without being sent.
    ended = Q(message__attempt_count=F("number"), message__status__in=["failed", "suppressed"])
    attempts = _slice(after, last).exclude(Q(outcome=Attempt.Outcome.NOT_SENT) & ~ended)
    rows = (
        attempts.annotate(
            day=TruncDate("finished_at", tzinfo=site().time_zone),
            mailing_id=_MAILING,
            # A corrected attempt counts with its old outcome here; :func:`_correct` follows.
            became=Case(
                When(outcome=Attempt.Outcome.NOT_SENT, then=F("message__status")),
                default=Coalesce("correction__was_outcome", "outcome"),
            ),
            why=Case(
                When(
                    Q(outcome=Attempt.Outcome.NOT_SENT, message__status=Message.Status.SUPPRESSED),
                    then=Value("withdrawn"),
                ),
                When(Q(outcome=Attempt.Outcome.NOT_SENT, rule=""), then=Value("other")),
                default=Coalesce("correction__was_rule", "rule"),
                output_field=CharField(),
            ),
        )
        .values_list("day", "mailing_id", "batch__server_name", "domain", "became", "why")
        .annotate(number=Count("pk"))
    )
    counts: Counter[Key] = Counter()
    for day, mailing_id, server_name, domain, outcome, rule, number in rows:
        domain = domain.lower()
        provider = providers.get(domain, domain)[:255]
        counts[day, mailing_id, server_name, provider, outcome, rule] += number
    return counts


def _scores(after: int, last: int, providers: dict[str, str]) -> Counter[ScoreKey]:
    """Return the counts of the same attempts for scorecards. Mail to our own people, tests and notices, is left out."""
    mail = _slice(after, last).filter(message__mailing__stream__in=[Mailing.Stream.CAMPAIGN, Mailing.Stream.SINGLE])
    rows = mail.filter(message__redirected_to="", finished_at__isnull=False).annotate(
        day=TruncDate("finished_at", tzinfo=dt.UTC)
    )
    groups = rows.values_list("day", "batch__server_id", "batch__header_from", "domain", "outcome", "rule")
    counts: Counter[ScoreKey] = Counter()
    for day, server_id, header_from, domain, outcome, rule, number in groups.annotate(number=Count("pk")):
        if kind := scorecard.kind_of(outcome, rule):
            provider = providers.get(domain.lower(), domain.lower())
            counts[ScoreKey(day, server_id or 0, scorecard.domain_of_from(header_from), provider, kind)] += number
    return counts


def _correct(now: dt.datetime, ask: Ask | None) -> bool:
    """Move some corrected attempts to their new outcome; False if no correction of a counted attempt is left."""
    counted = Correction.objects.filter(attempt__lte=TallyMark.objects.filter(pk=1).values("attempt_id"))
    if not (ids := list(counted.order_by("pk").values_list("pk", flat=True)[:SLICE_ATTEMPTS])):
        return False
    attempts = _with_domain(Attempt.objects.filter(correction__in=ids))
    domains = {domain.lower() for domain in attempts.values_list("domain", flat=True).distinct()}
    # Outside the transaction, which must not wait for the network.
    providers = providers_of(domains, now, ask)
    with transaction.atomic():
        # A second worker waits here, and then finds nothing left.
        mine = Correction.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",))
        rows = _with_domain(Attempt.objects.filter(correction__in=[each.pk for each in mine])).annotate(
            day=TruncDate("finished_at", tzinfo=site().time_zone), mailing_id=_MAILING
        )
        counts: Counter[Key] = Counter()
        for day, mailing_id, server, domain, *was, outcome, rule in rows.values_list(
            *("day", "mailing_id", "batch__server_name", "domain", "correction__was_outcome", "correction__was_rule"),
            *("outcome", "rule"),
        ):
            provider = providers.get(domain.lower(), domain.lower())[:255]
            provider = _take_one(day, mailing_id, server, provider, *was)
            counts[day, mailing_id, server, provider, outcome, rule] += 1
        _add(counts)
        Correction.objects.filter(pk__in=ids).delete()
    return True


def _take_one(day: dt.date, mailing_id: int, server_name: str, provider: str, outcome: str, rule: str) -> str:
    """Subtract an attempt from its tally; return the tally's provider, which may be ``OTHER`` by now."""
    alike = Tally.objects.filter(
        day=day, mailing_id=mailing_id, server_name=server_name, outcome=outcome, rule=rule, number__gt=0
    )
    found = sorted(alike, key=lambda row: (row.provider != provider, row.provider != Tally.OTHER))
    if not found:
        return provider
    Tally.objects.filter(pk=found[0].pk).update(number=F("number") - 1)
    Tally.objects.filter(pk=found[0].pk, number=0).delete()
    return found[0].provider


def _fold(counts: Counter[Key]) -> None:
    """Count all providers beyond ``MOST_PROVIDERS`` of a mailing together, so that there are few tallies."""
    for mailing_id in {key[1] for key in counts}:
        known = set(Tally.objects.filter(mailing_id=mailing_id).values_list("provider", flat=True).distinct())
        by_provider: Counter[str] = Counter()
        for key, number in counts.items():
            if key[1] == mailing_id and key[3] not in known:
                by_provider[key[3]] += number
        room = max(0, MOST_PROVIDERS - len(known))
        beyond = {provider for provider, _ in by_provider.most_common()[room:]}
        for key in [key for key in counts if key[1] == mailing_id and key[3] in beyond]:
            day, _, server_name, _, outcome, rule = key
            counts[day, mailing_id, server_name, Tally.OTHER, outcome, rule] += counts.pop(key)


def _add(counts: Counter[Key]) -> None:
    adapt = connection.ops.adapt_datefield_value
    rows: list[list[Any]] = [[adapt(key[0]), *key[1:], number] for key, number in sorted(counts.items())]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO campaigns_tally (day, mailing_id, server_name, provider, outcome, rule, number)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (mailing_id, day, server_name, provider, outcome, rule)"
            " DO UPDATE SET number = campaigns_tally.number + excluded.number",
            rows,
        )
