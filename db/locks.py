"""Row locks that last until a transaction ends."""

from collections.abc import Collection

from django.db import connection

from db.dialect import among, locking


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
