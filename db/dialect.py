"""Which database a connection uses, PostgreSQL or SQLite, and the SQL that the two spell differently.

Functions and not constants: a question at import time would read the settings before they exist.
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
    """Return the placeholder of one instant. In a SELECT list PostgreSQL needs the type of a bare parameter."""
    return "CAST(%s AS timestamptz)" if is_postgresql() else "%s"


def clock() -> str:
    """Return SQL for the time at which the current statement began. SQLite reads the clock of this process."""
    return "STATEMENT_TIMESTAMP()" if is_postgresql() else "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"


def each() -> str:
    """Return the end of a subquery that must run row by row, through its index.

    Otherwise PostgreSQL reads a table of some ten thousand rows whole, at every statement, to find a few hundred.
    """
    return "OFFSET 0" if is_postgresql() else ""


def joined_by_key(table: str, alias: str, key: str) -> str:
    """Return a left join to the one row whose ``id`` is ``key``, looked up row by row as with :func:`each`."""
    if is_postgresql():
        return f"LEFT JOIN LATERAL (SELECT * FROM {table} WHERE id = {key} OFFSET 0) AS {alias} ON TRUE"  # noqa: S608
    return f"LEFT JOIN {table} {alias} ON {alias}.id = {key}"


def among(values: Collection[int] | Collection[str]) -> tuple[str, list[Any]]:
    """Return the end of the condition that a column has one of the values, and its one parameter for all values."""
    if is_postgresql():
        return "= ANY(%s)", [list(values)]
    return "IN (SELECT value FROM json_each(%s))", [json.dumps(list(values))]


def keys_of(column: str) -> str:
    """Return a table expression ``keys`` with the column ``key``: the names in a JSON object."""
    return f"jsonb_object_keys({column}) AS keys (key)" if is_postgresql() else f"json_each({column}) AS keys"


def after_last(column: str, character: str) -> str:
    """Return SQL for the text behind the last ``character``, or for all of the text if it has none."""
    if is_postgresql():
        return f"SPLIT_PART({column}, '{character}', -1)"
    return f"SUBSTR({column}, LENGTH(RTRIM({column}, REPLACE({column}, '{character}', ''))) + 1)"


def matches() -> str:
    """Return the operator that compares a text with a regular expression."""
    return "~" if is_postgresql() else "REGEXP"


def byte_order() -> str:
    """Return the collation that compares text byte by byte, as SQLite always does."""
    return ' COLLATE "C"' if is_postgresql() else ""


def locking(clause: str) -> str:
    """Return a clause like ``FOR UPDATE SKIP LOCKED``, or nothing on SQLite, which has one writer at a time."""
    return clause if is_postgresql() else ""
