"""Bulk storage of imported people in raw SQL: the ORM would take most of an import's time.

Each function is one step of a transaction that the caller opens. Rows are locked and written in key order, so that two
imports cannot deadlock.
"""

import csv
import datetime as dt
import io
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection

from contacts.transfer.contact_row import ContactRow, RowRefusal
from db.dialect import among, is_postgresql
from words.texts import kept

Line = tuple[str, ...]  # The columns of a person, encoded for the database.


class Known(NamedTuple):
    contact_id: int
    person: ContactRow
    is_counted: bool = False  # An earlier batch of the same import added or changed the person.


class Prepared(NamedTuple):
    """A batch of people in the encoding of the database; made beforehand, while the database stores the last batch."""

    lines: dict[str, Line]  # For SQLite: by folded address.
    block: str  # For PostgreSQL: as CSV.


NO_PEOPLE = Prepared({}, "")
_COLUMNS = "email, email_key, first_name, last_name, language, time_zone, attributes"
_SELECT_KNOWN = f"SELECT id, {_COLUMNS} FROM contacts_contact WHERE email_key"  # noqa: S608  # Only names.
# An import writes the time of its run, so a person with that time was counted.
_SELECT_COUNTED = _SELECT_KNOWN.replace(" FROM", ", updated_at BETWEEN %s AND %s FROM", 1)
_STAGED = "contacts_staged"
# Not FOR UPDATE: inserting a row that references the contact need not wait.
_LOCK_KNOWN = f"{_SELECT_COUNTED} IN (SELECT email_key FROM {_STAGED}) ORDER BY email_key FOR NO KEY UPDATE"  # noqa: S608
# Compact for PostgreSQL; for SQLite as Django writes it, because SQLite compares the texts.
_COMPACT, _AS_DJANGO = json.JSONEncoder(ensure_ascii=False).encode, json.JSONEncoder().encode


def prepare(people: Iterable[ContactRow]) -> Prepared:
    """Return the people encoded for the database. Runs no query."""
    encode = _COMPACT if is_postgresql() else _AS_DJANGO
    lines = [_line(person, encode) for person in people]
    if is_postgresql():
        return Prepared({}, _csv(lines))
    return Prepared({line[1]: line for line in lines}, "")


def lock_known(prepared: Prepared, started_at: dt.datetime, now: dt.datetime) -> dict[str, Known]:
    """Return the people who are stored already, by folded address, and lock their rows until the transaction ends.

    The first step: on PostgreSQL it also copies the batch into a temporary table for the next steps.

    :param started_at: the start of the import's first run.
    :param now: the start of this run.
    """
    between = [connection.ops.adapt_datetimefield_value(at) for at in (started_at, now)]
    with connection.cursor() as cursor:
        if is_postgresql():
            _copy_to_temporary(cursor, _STAGED, _COLUMNS, prepared.block)
            cursor.execute(_LOCK_KNOWN, between)
        else:
            condition, keys = among(prepared.lines)
            cursor.execute(f"{_SELECT_COUNTED} {condition}", [*between, *keys])
        return {row[2]: Known(row[0], _person(row[1:-1]), bool(row[-1])) for row in cursor.fetchall()}


def find_known(keys: Collection[str]) -> dict[str, ContactRow]:
    """Return the people who are stored, by folded address. Locks and writes nothing."""
    condition, values = among(keys)
    with connection.cursor() as cursor:
        cursor.execute(f"{_SELECT_KNOWN} {condition}", values)
        return {row[2]: _person(row[1:]) for row in cursor.fetchall()}


def add(prepared: Prepared, known: Collection[str], now: dt.datetime) -> list[int]:
    """Store the people who are not among ``known``, and return their keys.

    If another transaction stored one of them meanwhile, that row stays as it is, and its key is returned too.
    """
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute(
                f"INSERT INTO contacts_contact ({_COLUMNS}, created_at, updated_at)"  # noqa: S608  # Only names.
                f" SELECT {_COLUMNS}, %s, %s FROM {_STAGED} WHERE NOT email_key = ANY(%s) ORDER BY email_key"
                # Changes nothing, but locks the row and returns it.
                " ON CONFLICT (email_key) DO UPDATE SET email_key = excluded.email_key RETURNING id",
                [moment, moment, list(known)],
            )
            return [row[0] for row in cursor.fetchall()]
        new = {key: line for key, line in prepared.lines.items() if key not in known}
        cursor.executemany(
            f"INSERT INTO contacts_contact ({_COLUMNS}, created_at, updated_at)"  # noqa: S608  # Only names.
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (email_key) DO NOTHING",
            [(*line, moment, moment) for line in new.values()],
        )
        condition, keys = among(new)
        cursor.execute(f"SELECT id FROM contacts_contact WHERE email_key {condition}", keys)  # noqa: S608
        return [row[0] for row in cursor.fetchall()]


def change(people: Iterable[Known], now: dt.datetime) -> None:
    """Update people whose rows are locked."""
    encode = _COMPACT if is_postgresql() else _AS_DJANGO
    rows: list[tuple[Any, ...]] = [(*_line(known.person, encode), known.contact_id) for known in people]
    if not rows:
        return
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if is_postgresql():
            _copy_to_temporary(cursor, "contacts_changed", f"{_COLUMNS}, id", _csv(rows))
            cursor.execute(
                "UPDATE contacts_contact c SET first_name = n.first_name, last_name = n.last_name,"
                " language = n.language, time_zone = n.time_zone, attributes = n.attributes, updated_at = %s"
                " FROM contacts_changed n WHERE c.id = n.id",
                [moment],
            )
        else:
            cursor.executemany(
                "UPDATE contacts_contact SET first_name = %s, last_name = %s, language = %s, time_zone = %s,"
                " attributes = %s, updated_at = %s WHERE id = %s",
                [(*row[2:7], moment, row[7]) for row in rows],
            )


def store_refused(import_id: int, refusals: Iterable[RowRefusal]) -> None:
    rows = [
        (
            import_id,
            refusal.line_number,
            json.dumps([_storable(cell) for cell in refusal.cells]),
            _storable(refusal.content),
            _storable(refusal.reason),
            json.dumps(kept(refusal.reason)).replace("\\u0000", "\\ufffd"),
        )
        for refusal in refusals
    ]
    if not rows:
        return
    columns = "contact_import_id, line_number, cells, content, reason, words"
    with connection.cursor() as cursor:
        if is_postgresql():
            _copy(cursor, "contacts_refusedrow", columns, _csv(rows))
        else:
            cursor.executemany(
                f"INSERT INTO contacts_refusedrow ({columns}) VALUES (%s, %s, %s, %s, %s, %s)",  # noqa: S608  # Only names.
                rows,
            )


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")  # PostgreSQL cannot store NUL.


def _person(row: tuple[Any, ...]) -> ContactRow:
    email, key, first_name, last_name, language, time_zone, attributes = row
    known = {} if attributes == "{}" else json.loads(attributes)
    return ContactRow(email, key, first_name, last_name, language, time_zone, known)


def _line(person: ContactRow, encode: Callable[[object], str]) -> Line:
    return (*person[:6], encode(person.attributes) if person.attributes else "{}")


def _csv(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as one block of CSV: the csv module is faster than any row-by-row interface."""
    block = io.StringIO()
    csv.writer(block, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return block.getvalue()


def _copy_to_temporary(cursor: Any, table: str, columns: str, block: str) -> None:
    """Copy rows into a temporary table of this transaction, with the column types of the contacts table."""
    cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table}")  # It still exists if one transaction spans several batches.
    cursor.execute(
        f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS SELECT {columns} FROM contacts_contact WITH NO DATA"  # noqa: S608
    )
    _copy(cursor, table, columns, block)


def _copy(cursor: Any, table: str, columns: str, block: str) -> None:
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(block)
