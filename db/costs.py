"""How a transaction may be written to the disk, and a statement be planned, where the usual way is the wrong one."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection, transaction

from db.dialect import is_postgresql


def hurry() -> None:
    """Let this transaction not wait for the disk: should the machine fail, it is lost as a whole."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")


@contextlib.contextmanager
def durable() -> Iterator[None]:
    """Have SQLite write through to the disk, as PostgreSQL always does; inside a transaction it is too late for it."""
    if is_postgresql() or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous=NORMAL")


def read_most(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that reads much of its tables."""
    rows: list[tuple[Any, ...]]
    if not is_postgresql():  # Where a transaction would keep everybody else from writing.
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows = cursor.fetchall()
        return rows
    with transaction.atomic(), connection.cursor() as cursor:
        # It takes groups for a few hundred rows, and would look up each of a million by itself.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL enable_nestloop = DEFAULT")
        cursor.execute("SET LOCAL work_mem = DEFAULT")
    return rows
