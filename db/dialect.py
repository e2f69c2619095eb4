"""Which of the two databases a connection speaks to, and the pieces of SQL that each of them spells its own way.

Functions and not constants: a module that asks while it is imported would open the settings before they are made.
"""

import json
from collections.abc import Collection
from typing import Any

from django.db import connection


def is_postgresql(database: Any = None) -> bool:
    """Whether the database is PostgreSQL; the other one is SQLite.

    :param database: a connection; None: the default one.
    """
    return bool((database or connection).vendor == "postgresql")


def instant() -> str:
    """Return the mark of one instant: in a SELECT list PostgreSQL must be told what a bare parameter is."""
    return "CAST(%s AS timestamptz)" if is_postgresql() else "%s"


def clock() -> str:
    """Return the database's time as each statement begins; SQLite asks the clock of this process."""
    return "STATEMENT_TIMESTAMP()" if is_postgresql() else "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"


def each() -> str:
    """Return what closes a subquery that is to be looked up row by row, through its index.

    For a few hundred rows PostgreSQL would rather read tables of some ten thousand rows whole, at every statement.
    """
    return "OFFSET 0" if is_postgresql() else ""


def joined_by_key(table: str, alias: str, key: str) -> str:
    """Return a left join of the one row whose ``id`` is ``key``, looked up for each row as by :func:`each`."""
    if is_postgresql():
        return f"LEFT JOIN LATERAL (SELECT * FROM {table} WHERE id = {key} OFFSET 0) AS {alias} ON TRUE"  # noqa: S608
    return f"LEFT JOIN {table} {alias} ON {alias}.id = {key}"


def among(values: Collection[int] | Collection[str]) -> tuple[str, list[Any]]:
    """Return the end of a condition that a column has one of the values, and its one parameter, however many."""
    if is_postgresql():
        return "= ANY(%s)", [list(values)]
    return "IN (SELECT value FROM json_each(%s))", [json.dumps(list(values))]


def keys_of(column: str) -> str:
    """Return a table ``keys`` with the column ``key``: the names in a JSON object."""
    return f"jsonb_object_keys({column}) AS keys (key)" if is_postgresql() else f"json_each({column}) AS keys"


def after_last(column: str, character: str) -> str:
    """Return the text behind the last of these characters; all of it where there is none."""
    if is_postgresql():
        return f"SPLIT_PART({column}, '{character}', -1)"
    return f"SUBSTR({column}, LENGTH(RTRIM({column}, REPLACE({column}, '{character}', ''))) + 1)"


def matches() -> str:
    """Return the operator that compares a text with a regular expression."""
    return "~" if is_postgresql() else "REGEXP"


def byte_order() -> str:
    """Return what has a text compared byte by byte, as SQLite always does."""
    return ' COLLATE "C"' if is_postgresql() else ""


def locking(clause: str) -> str:
    """Return a clause like ``FOR UPDATE SKIP LOCKED``; SQLite has none, as one writes at a time."""
    return clause if is_postgresql() else ""
