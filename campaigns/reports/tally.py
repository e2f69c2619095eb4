"""Counts attempts into tallies, in slices, each of them exactly once whoever is killed when.

Recording writes attempts and nothing of this: the count runs behind it by some seconds. Each slice and the mark that
it was counted are one transaction, so a repetition counts nothing twice. Attempts are numbered in the order they
are written, not in the order they are committed; see :func:`_ceiling` for how none is passed over.
"""

import datetime as dt
import time
from collections import Counter
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, CharField, Count, F, Max, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, StrIndex, Substr, TruncDate
from django.utils import timezone

from campaigns.models import Tally, TallyMark
from campaigns.reports.providers import Ask, providers_of
from db.dialect import is_postgresql
from delivery.models import Attempt, Correction, Mailing, Message

SLICE_ATTEMPTS = 4_000
BUDGET_SECONDS = 1.5  # Of one call, so that other errands get their turn.
HELD_FOR = dt.timedelta(seconds=30)  # What is held back for less is no news.
MOST_PROVIDERS = 300  # Of one mailing; later ones are counted together. Large ones are met among the first.

_IS_CAMPAIGNS = Q(message__mailing__stream=Mailing.Stream.CAMPAIGN, message__copy_of=None)
_MAILING = Case(When(_IS_CAMPAIGNS, then=F("message__mailing_id")), default=Value(0))

Key = tuple[dt.date, int, str, str, str, str]


def tally(now: dt.datetime, ask: Ask | None = None, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Count what was recorded since the last call and return how many attempts that were.

    :param ask: who says which provider a domain is at; None: DNS.
    """
    began, counted = time.monotonic(), 0
    mark, _ = TallyMark.objects.get_or_create(pk=1)
    while time.monotonic() - began < budget_seconds:
        ceiling = _ceiling(mark)
        if mark.attempt_id >= ceiling:
            _note_end(mark, now)
            break
        last = min(mark.attempt_id + SLICE_ATTEMPTS, ceiling)
        # Before the transaction, which must not wait for the network.
        providers = providers_of(_domains(mark.attempt_id, last), now, ask)
        number = _count(mark.attempt_id, last, providers)
        if number is None:  # Somebody else was faster, and goes on.
            break
        counted += number
        mark.attempt_id = last
    while time.monotonic() - began < budget_seconds and _correct(now, ask):
        pass
    return counted


def _ceiling(mark: TallyMark) -> int:
    """Return up to which number no attempt can appear any more.

    SQLite has one writer at a time. On PostgreSQL a transaction takes numbers and may commit them after higher ones
    are seen; recording locks its batches before it writes attempts, so by then it has a transaction number. Once all
    transactions have ended that had begun when the highest attempt was seen, everything below it is seen or never
    will be. A transaction of this database that lasts holds the count back and never makes it wrong.
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
        # The oldest of all databases, which costs nothing to ask for; then that of ours alone.
        if cursor.fetchone()[0] >= mark.ceiling_transaction or _oldest_of_ours(cursor) >= mark.ceiling_transaction:
            return mark.ceiling_id
    return mark.attempt_id


def _oldest_of_ours(cursor: Any) -> int:
    """Return the number of the oldest transaction that writes in this database, or that of the next one.

    Each transaction with a number holds a lock on it to its end, which everybody may see. The numbers in the locks are
    the last 32 bits.
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


def _note_end(mark: TallyMark, now: dt.datetime) -> None:
    """Keep that everything is counted, or since when something is held back."""
    mine = TallyMark.objects.filter(pk=1, attempt_id=mark.attempt_id)
    if Attempt.objects.filter(pk__gt=mark.attempt_id).exists():
        mine.filter(held_since=None).update(held_since=now)
    else:
        mine.update(counted_at=now, held_since=None)


def held_since(now: dt.datetime) -> dt.datetime | None:
    """Return since when newer attempts are not counted; None while the count follows."""
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
    """Add the attempts within these numbers to the tallies; None, and nothing, if that was done before."""
    with transaction.atomic():
        if not TallyMark.objects.filter(pk=1, attempt_id=after).update(attempt_id=last, held_since=None):
            return None
        counts = _groups(after, last, providers)
        _fold(counts)
        _add(counts)
    return counts.total()


def _groups(after: int, last: int, providers: dict[str, str]) -> Counter[Key]:
    # What was claimed and given back was no attempt; what ended without one is told by its message.
    ended = Q(message__attempt_count=F("number"), message__status__in=["failed", "suppressed"])
    attempts = _slice(after, last).exclude(Q(outcome=Attempt.Outcome.NOT_SENT) & ~ended)
    rows = (
        attempts.annotate(
            day=TruncDate("finished_at", tzinfo=timezone.get_default_timezone()),
            mailing_id=_MAILING,
            # What was corrected since is counted as it was: its correction follows.
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
        .values_list("day", "mailing_id", "server_name", "domain", "became", "why")
        .annotate(number=Count("pk"))
    )
    counts: Counter[Key] = Counter()
    for day, mailing_id, server_name, domain, outcome, rule, number in rows:
        domain = domain.lower()
        provider = providers.get(domain, domain)[:255]
        counts[day, mailing_id, server_name, provider, outcome, rule] += number
    return counts


def _correct(now: dt.datetime, ask: Ask | None) -> bool:
    """Count some attempts as what they turned out to be; False when no correction of a counted one is left."""
    counted = Correction.objects.filter(attempt__lte=TallyMark.objects.filter(pk=1).values("attempt_id"))
    if not (ids := list(counted.order_by("pk").values_list("pk", flat=True)[:SLICE_ATTEMPTS])):
        return False
    attempts = _with_domain(Attempt.objects.filter(correction__in=ids))
    domains = {domain.lower() for domain in attempts.values_list("domain", flat=True).distinct()}
    # Before the transaction, which must not wait for the network.
    providers = providers_of(domains, now, ask)
    with transaction.atomic():
        # Two at once: the second one waits, and finds nothing left.
        mine = Correction.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",))
        rows = _with_domain(Attempt.objects.filter(correction__in=[each.pk for each in mine])).annotate(
            day=TruncDate("finished_at", tzinfo=timezone.get_default_timezone()), mailing_id=_MAILING
        )
        counts: Counter[Key] = Counter()
        for day, mailing_id, server, domain, *was, outcome, rule in rows.values_list(
            *("day", "mailing_id", "server_name", "domain", "correction__was_outcome", "correction__was_rule"),
            *("outcome", "rule"),
        ):
            provider = providers.get(domain.lower(), domain.lower())[:255]
            provider = _take_one(day, mailing_id, server, provider, *was)
            counts[day, mailing_id, server, provider, outcome, rule] += 1
        _add(counts)
        Correction.objects.filter(pk__in=ids).delete()
    return True


def _take_one(day: dt.date, mailing_id: int, server_name: str, provider: str, outcome: str, rule: str) -> str:
    """Take an attempt off the tally that has it, and return that one's provider: it may have been folded since."""
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
    """Put what goes to providers beyond the most that are told apart together, so that the tallies stay few."""
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
