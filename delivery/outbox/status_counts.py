"""Message counts per status, kept by database triggers, so that every write path (ORM, bulk, raw SQL) keeps them right.

To count a million messages takes too long for a page, and an index on the status would cost a write at every change.
On PostgreSQL a trigger runs once per statement and inserts the changes as rows of their own, so that two workers never
wait for the same row. On SQLite, which has one writer at a time, it updates the sum.
"""

from typing import Any

from django.db import connection, transaction
from django.db.models import Sum

from db.dialect import is_postgresql
from delivery.models import Message, StatusCount

TIDIED_MAILINGS = 200

_POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION delivery_count_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO delivery_statuscount (mailing_id, status, is_copy, number, is_sum)
        SELECT mailing_id, status, copy_of_id IS NOT NULL, COUNT(*), FALSE FROM added GROUP BY 1, 2, 3;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION delivery_count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO delivery_statuscount (mailing_id, status, is_copy, number, is_sum)
        SELECT mailing_id, status, is_copy, SUM(one), FALSE FROM (
            SELECT mailing_id, status, copy_of_id IS NOT NULL AS is_copy, 1 AS one FROM after
            UNION ALL SELECT mailing_id, status, copy_of_id IS NOT NULL, -1 FROM before
        ) AS change GROUP BY 1, 2, 3 HAVING SUM(one) <> 0;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER delivery_message_added AFTER INSERT ON delivery_message
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION delivery_count_added()
    """,
    """
    CREATE OR REPLACE TRIGGER delivery_message_changed AFTER UPDATE ON delivery_message
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION delivery_count_changed()
    """,
)


def _sqlite_step(row: str, step: int) -> str:
    return f"""
        INSERT INTO delivery_statuscount (mailing_id, status, is_copy, number, is_sum)
        VALUES ({row}.mailing_id, {row}.status, {row}.copy_of_id IS NOT NULL, {step}, 1)
        ON CONFLICT (mailing_id, status, is_copy) WHERE is_sum DO UPDATE SET number = number + excluded.number;
    """  # noqa: S608  # Made of constants.


_SQLITE = (
    "DROP TRIGGER IF EXISTS delivery_message_added",
    "DROP TRIGGER IF EXISTS delivery_message_changed",
    f"CREATE TRIGGER delivery_message_added AFTER INSERT ON delivery_message BEGIN {_sqlite_step('NEW', 1)} END",
    f"""
    CREATE TRIGGER delivery_message_changed AFTER UPDATE OF status ON delivery_message WHEN OLD.status <> NEW.status
    BEGIN {_sqlite_step("OLD", -1)} {_sqlite_step("NEW", 1)} END
    """,
)


def install(database: Any) -> None:
    """Create the triggers, or replace them: SQLite loses them when a migration rebuilds the table."""
    with database.cursor() as cursor:
        for statement in _POSTGRESQL if is_postgresql(database) else _SQLITE:
            cursor.execute(statement)


def install_after_migrating(*, using: str, plan: list[Any] | None = None, **kwargs: Any) -> None:
    """Create the triggers again after migrations were applied; a receiver of ``post_migrate``."""
    from django.db import connections

    if plan:
        install(connections[using])


def by_status(mailing_id: int, *, with_copies: bool = False) -> dict[str, int]:
    """Return the number of the mailing's messages by stored status; every status is a key."""
    rows = StatusCount.objects.filter(mailing=mailing_id)
    if not with_copies:
        rows = rows.filter(is_copy=False)
    found = dict(rows.values_list("status").annotate(sum=Sum("number")))
    return {status.value: found.get(status.value, 0) for status in Message.Status}


def tidy() -> int:
    """Merge rows of changes into sums, and return the number of mailings. Safe if two workers do it at once."""
    if not is_postgresql():
        return 0
    loose = StatusCount.objects.filter(is_sum=False).order_by().values_list("mailing_id", flat=True).distinct()
    mailings = sorted(loose[:TIDIED_MAILINGS])
    for mailing_id in mailings:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                """
                WITH loose AS (
                    DELETE FROM delivery_statuscount WHERE mailing_id = %s AND NOT is_sum
                    RETURNING mailing_id, status, is_copy, number
                )
                INSERT INTO delivery_statuscount (mailing_id, status, is_copy, number, is_sum)
                SELECT mailing_id, status, is_copy, SUM(number), TRUE FROM loose GROUP BY 1, 2, 3
                ON CONFLICT (mailing_id, status, is_copy) WHERE is_sum
                DO UPDATE SET number = delivery_statuscount.number + excluded.number
                """,
                [mailing_id],
            )
    return len(mailings)
