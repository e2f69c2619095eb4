"""Exceptions to the database's defaults: when a commit waits for the disk, and how a large read is planned."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection, transaction

from db.dialect import is_postgresql


def commit_asynchronously() -> None:
    """Let PostgreSQL commit this transaction without waiting for the disk. A crash may lose it, but only as a whole."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")


@contextlib.contextmanager
def durable() -> Iterator[None]:
    """Let SQLite write each commit through to the disk, as PostgreSQL does. Without effect inside a transaction."""
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
    """Return the rows of a statement that reads large parts of its tables."""
    rows: list[tuple[Any, ...]]
    if not is_postgresql():  # On SQLite a transaction would block all writers.
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            rows = cursor.fetchall()
        return rows
    with transaction.atomic(), connection.cursor() as cursor:
        # PostgreSQL estimates a few hundred groups, and would look up each of a million rows one by one.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL enable_nestloop = DEFAULT")
        cursor.execute("SET LOCAL work_mem = DEFAULT")
    return rows
