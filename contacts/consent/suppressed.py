"""The suppressions that are active now, for an address or its whole domain.

As ORM conditions for pages, and as SQL for the statements of ``contacts.segments`` and delivery, which select and store
audiences.
"""

import datetime as dt
from collections.abc import Callable, Iterable

from django.db.models import Case, Exists, F, Func, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Length, Replace, Substr

from contacts.models import Suppression
from db.dialect import after_last
from registry import Registry

# The reasons stored with messages that are not sent for lack of consent.
UNSUBSCRIBED = "Unsubscribed."
NOT_CONFIRMED = "Not confirmed."

# Who else suppresses addresses: each function returns their names by folded address. The room ``feedback`` adds the
# mail providers.
SUPPRESSED_ELSEWHERE: Registry[Callable[[Iterable[str]], dict[str, list[str]]]] = Registry()

ASKED_AT_ONCE = 2_000  # Bound parameters per query; SQLite may be built with a limit of 32,766.


def active(now: dt.datetime) -> Q:
    """Condition: the suppression has not ended. A person's own wish beside another reason has no end."""
    return Q(expires_at=None) | Q(expires_at__gt=now) | Q(unsubscribed_at__isnull=False)


def left_everything() -> Q:
    """Condition: the person unsubscribed from everything, whatever reason the suppression has."""
    return Q(reason=Suppression.Reason.UNSUBSCRIBED) | Q(unsubscribed_at__isnull=False)


def suppressions(now: dt.datetime) -> QuerySet[Suppression]:
    """Return the suppressions that stop mail to a contact of the outer query: its address first, then its domain."""
    own = [OuterRef("email_key"), _domain_key(OuterRef("email_key"))]
    return Suppression.objects.filter(active(now), email_key__in=own).order_by(_is_domain(), "pk")


def suppressed(now: dt.datetime) -> Q:
    """Condition: the contact's address or domain is suppressed."""
    # Two subqueries: PostgreSQL runs each once for all people, but one with two keys once per person.
    standing = Suppression.objects.filter(active(now))
    own, domain = OuterRef("email_key"), _domain_key(OuterRef("email_key"))
    return Q(Exists(standing.filter(email_key=own))) | Q(Exists(standing.filter(email_key=domain)))


def suppression_of(email_key: str, now: dt.datetime) -> Suppression | None:
    """Return the suppression that stops mail to this folded address: of the address itself, or else of its domain."""
    own = [email_key, domain_key(email_key)]
    return Suppression.objects.filter(active(now), email_key__in=own).order_by(_is_domain()).first()


def is_suppressed(email_keys: Iterable[str], now: dt.datetime) -> set[str]:
    """Return the subset of ``email_keys`` (folded addresses, see mail.addresses.fold) that is suppressed now."""
    keys = list(email_keys)
    found: set[str] = set()
    for start in range(0, len(keys), ASKED_AT_ONCE // 2):
        own = {key: (key, domain_key(key)) for key in keys[start : start + ASKED_AT_ONCE // 2]}
        asked = {each for pair in own.values() for each in pair}
        stopped = set(Suppression.objects.filter(active(now), email_key__in=asked).values_list("email_key", flat=True))
        found.update(key for key, pair in own.items() if not stopped.isdisjoint(pair))
    return found


def domain_key(email_key: str) -> str:
    """Return the key that suppresses the whole domain of a folded address: ``@example.com``."""
    return "@" + email_key.rpartition("@")[2]


# --- as SQL


def domain_key_sql(column: str) -> str:
    """Return :func:`domain_key` as SQL: the text from the last @ on. A quoted local part may contain an @ too."""
    return f"'@' || {after_last(column, '@')}"


def active_sql(table: str) -> str:
    """Return :func:`active` as SQL; its one parameter is the instant, adapted."""
    return f"({table}.expires_at IS NULL OR {table}.expires_at > %s OR {table}.unsubscribed_at IS NOT NULL)"


def is_a_wish_alone_sql(table: str) -> str:
    """Return the condition that an active suppression is only the person's wish; its parameter is the instant."""
    return f"({table}.reason = 'unsubscribed' OR ({table}.expires_at IS NOT NULL AND {table}.expires_at <= %s))"


def suppressed_because_sql(table: str) -> str:
    """Return SQL for the reason stored with a suppressed message; for an address it names the suppression's reason."""
    labels = " ".join(f"WHEN '{each.value}' THEN '{each.in_files}'" for each in Suppression.Reason)
    return (
        f"CASE WHEN SUBSTR({table}.email_key, 1, 1) = '@'"
        f" THEN 'The domain ' || SUBSTR({table}.email, 2) || ' is on the suppression list.'"
        f" ELSE 'On the suppression list: ' || CASE {table}.reason {labels} ELSE {table}.reason END || '.' END"
    )


def paused_because_sql(table: str) -> str:
    """Return SQL for the reason stored with a message to a contact who asked for a break. The day is in UTC."""
    return f"'Asked for a break until ' || SUBSTR(CAST({table}.paused_until AS text), 1, 10) || '.'"


def _domain_key(column: F) -> Substr:
    others = Func(column, Replace(column, Value("@"), Value("")), function="RTRIM")
    return Substr(column, Length(others))


def _is_domain() -> Case:
    return Case(When(email_key__startswith="@", then=1), default=0)
