"""Rows that are kept for the rest of a transaction."""

from collections.abc import Collection

from django.db import connection

from db.dialect import among, locking


def keep(table: str, keys: Collection[int]) -> list[int]:
    """Keep rows from being deleted until the caller's transaction ends, and return the keys of those that are there.

    Shared: everybody else may go on reading, changing and keeping them. They are locked in the order of their keys.
    """
    condition, parameters = among(keys)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE id {condition} ORDER BY id {locking('FOR KEY SHARE')}",  # noqa: S608
            parameters,
        )
        return [row[0] for row in cursor.fetchall()]
