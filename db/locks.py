"""Locks that last until a transaction ends."""

from collections.abc import Collection

from django.db import connection

from db.dialect import among, is_postgresql, locking


def prevent_deletion(table: str, keys: Collection[int]) -> list[int]:
    """Lock rows against deletion until the caller's transaction ends, and return the keys of the rows that exist.

    The lock is shared: others may read and change the rows, and lock them this way too. Rows are locked in key order.
    """
    condition, parameters = among(keys)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE id {condition} ORDER BY id {locking('FOR KEY SHARE')}",  # noqa: S608
            parameters,
        )
        return [row[0] for row in cursor.fetchall()]


def take_turns(name: str) -> None:
    """Wait until no other transaction holds this name, and hold it until the caller's transaction ends.

    On SQLite the transaction itself is a turn: it began as the one writer.
    """
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
