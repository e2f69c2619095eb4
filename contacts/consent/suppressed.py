"""Who must not be written to: which suppressions hold now, for an address or for its whole domain.

In the ORM for pages, and as SQL for the statements of delivery; choosing and storing an audience is delivery's.
"""

import datetime as dt
from collections.abc import Iterable

from django.db.models import Case, Exists, F, Func, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Length, Replace, Substr

from contacts.models import Suppression
from db.dialect import after_last

# Kept with a message that nobody gets for want of consent.
UNSUBSCRIBED = "Unsubscribed."
NOT_CONFIRMED = "Not confirmed."

ASKED_AT_ONCE = 2_000  # Bound parameters in one query; SQLite may be built with a limit of 32,766.


def active(now: dt.datetime) -> Q:
    """Hold for suppressions that are not over."""
    return Q(expires_at=None) | Q(expires_at__gt=now)


def suppressions(now: dt.datetime) -> QuerySet[Suppression]:
    """Return what stops mail to a contact of the outer query: its address first, then its domain."""
    own = [OuterRef("email_key"), _domain_key(OuterRef("email_key"))]
    return Suppression.objects.filter(active(now), email_key__in=own).order_by(_is_domain(), "pk")


def suppressed(now: dt.datetime) -> Q:
    """Hold for contacts whose address or domain is suppressed."""
    # Two questions: PostgreSQL answers each for all people at once, but one with two keys for each person.
    standing = Suppression.objects.filter(active(now))
    own, domain = OuterRef("email_key"), _domain_key(OuterRef("email_key"))
    return Q(Exists(standing.filter(email_key=own))) | Q(Exists(standing.filter(email_key=domain)))


def suppression_of(email_key: str, now: dt.datetime) -> Suppression | None:
    """Return what stops mail to this folded address: the address itself, or else its domain."""
    own = [email_key, domain_key(email_key)]
    return Suppression.objects.filter(active(now), email_key__in=own).order_by(_is_domain()).first()


def is_suppressed(email_keys: Iterable[str], now: dt.datetime) -> set[str]:
    """Return those of ``email_keys`` (folded addresses, see mail.addresses.fold) that are suppressed now."""
    keys = list(email_keys)
    found: set[str] = set()
    for start in range(0, len(keys), ASKED_AT_ONCE // 2):
        own = {key: (key, domain_key(key)) for key in keys[start : start + ASKED_AT_ONCE // 2]}
        asked = {each for pair in own.values() for each in pair}
        stopped = set(Suppression.objects.filter(active(now), email_key__in=asked).values_list("email_key", flat=True))
        found.update(key for key, pair in own.items() if not stopped.isdisjoint(pair))
    return found


def domain_key(email_key: str) -> str:
    """Return the key under which the whole domain of a folded address is suppressed: ``@example.com``."""
    return "@" + email_key.rpartition("@")[2]


# --- as SQL


def domain_key_sql(column: str) -> str:
    """Return what :func:`domain_key` does, in SQL: from the last @ on. A quoted local part may hold another one."""
    return f"'@' || {after_last(column, '@')}"


def active_sql(table: str) -> str:
    """Return the condition that a suppression is not over; its one parameter is the instant, adapted."""
    return f"({table}.expires_at IS NULL OR {table}.expires_at > %s)"


def suppressed_because_sql(table: str) -> str:
    """Return the sentence kept with a message that a suppression stopped; of an address, with what made us stop."""
    labels = " ".join(f"WHEN '{value}' THEN '{label}'" for value, label in Suppression.Reason.choices)
    return (
        f"CASE WHEN SUBSTR({table}.email_key, 1, 1) = '@'"
        f" THEN 'The domain ' || SUBSTR({table}.email, 2) || ' is on the suppression list.'"
        f" ELSE 'On the suppression list: ' || CASE {table}.reason {labels} ELSE {table}.reason END || '.' END"
    )


def paused_because_sql(table: str) -> str:
    """Return the sentence kept with a message to a contact who asked for a break. The day is that of UTC."""
    return f"'Asked for a break until ' || SUBSTR(CAST({table}.paused_until AS text), 1, 10) || '.'"


def _domain_key(column: F) -> Substr:
    others = Func(column, Replace(column, Value("@"), Value("")), function="RTRIM")
    return Substr(column, Length(others))


def _is_domain() -> Case:
    return Case(When(email_key__startswith="@", then=1), default=0)
