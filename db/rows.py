"""Values passed to SQL as rows of a table, so that one statement handles hundreds of them.

PostgreSQL reads arrays, SQLite reads JSON. The arrays are passed as text: psycopg takes longer to write out a list
value by value than PostgreSQL takes to store its rows.
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from django.db import connection

from db.dialect import is_postgresql

Rows = tuple[str, list[Any]]

_BETWEEN = "\x1f"  # The unit separator; no address, reply or header needs it.


def rows(
    *,
    numbers: dict[str, Sequence[int | None]] | None = None,
    texts: dict[str, Sequence[str]] | None = None,
    instants: dict[str, Sequence[dt.datetime | None]] | None = None,
) -> Rows:
    """Return a table expression called ``given`` with these columns, and its parameters.

    All columns have the same number of values, at least one. Control characters that cannot be stored are removed from
    texts.
    """
    numbers, texts, instants = numbers or {}, texts or {}, instants or {}
    if is_postgresql():
        return _arrays(numbers, texts, instants)
    return _json(numbers, texts, instants)


def _arrays(
    numbers: dict[str, Sequence[int | None]],
    texts: dict[str, Sequence[str]],
    instants: dict[str, Sequence[dt.datetime | None]],
) -> Rows:
    arrays: list[str] = []
    parameters: list[Any] = []
    for values in numbers.values():
        arrays.append("CAST(%s AS bigint[])")
        parameters.append("{" + str(list(values))[1:-1].replace("None", "NULL") + "}")
    for words in texts.values():
        # string_to_array turns a single empty text into an empty array. So _joined puts "-" first, and [2:] removes it.
        arrays.append("(string_to_array(%s, chr(31)))[2:]")
        parameters.append(_joined(words))
    for moments in instants.values():
        arrays.append("CAST((string_to_array(%s, chr(31), ''))[2:] AS timestamptz[])")
        parameters.append(_joined([moment.isoformat() if moment else "" for moment in moments]))
    names = ", ".join((*numbers, *texts, *instants))
    return f"unnest({', '.join(arrays)}) AS given ({names})", parameters


def _joined(words: Sequence[str]) -> str:
    joined = _BETWEEN.join(("-", *words))
    if "\0" in joined or joined.count(_BETWEEN) != len(words):
        cleaned = (word.replace("\0", "").replace(_BETWEEN, " ") for word in words)
        joined = _BETWEEN.join(("-", *cleaned))
    return joined


def _json(
    numbers: dict[str, Sequence[int | None]],
    texts: dict[str, Sequence[str]],
    instants: dict[str, Sequence[dt.datetime | None]],
) -> Rows:
    adapt = connection.ops.adapt_datetimefield_value
    moments = {name: [adapt(moment) for moment in column] for name, column in instants.items()}
    words = {name: [word.replace("\0", "") for word in column] for name, column in texts.items()}
    columns: dict[str, Sequence[Any]] = {**numbers, **words, **moments}
    fields = ", ".join(f"json_extract(value, '$[{index}]') AS {name}" for index, name in enumerate(columns))
    packed = json.dumps(list(zip(*columns.values(), strict=True)))
    return f"(SELECT {fields} FROM json_each(%s)) AS given", [packed]  # noqa: S608  # The names are ours.
