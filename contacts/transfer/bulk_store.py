"""How many people are stored at once, past the ORM: it would take most of an import's time.

Each function is one step of a transaction that the caller opens. Rows are locked and written in the order of their
keys, so that two imports cannot wait for each other.
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

Line = tuple[str, ...]  # A person as the database is told.


class Known(NamedTuple):
    contact_id: int
    person: ContactRow


class Prepared(NamedTuple):
    """A batch of people in the form that is stored; made beforehand, while the database is at work."""

    lines: dict[str, Line]  # By folded address; empty for PostgreSQL.
    block: str  # For PostgreSQL: the same, as CSV.


NOBODY = Prepared({}, "")
_SAID = "email, email_key, first_name, last_name, language, time_zone, attributes"
_SELECT_KNOWN = f"SELECT id, {_SAID} FROM contacts_contact WHERE email_key"  # noqa: S608  # Only names.
_STAGED = "contacts_staged"
# Not FOR UPDATE: who inserts a row that points at the contact need not wait.
_LOCK_KNOWN = f"{_SELECT_KNOWN} IN (SELECT email_key FROM {_STAGED}) ORDER BY email_key FOR NO KEY UPDATE"  # noqa: S608
# For PostgreSQL as short as it can be; for SQLite as Django writes it, which compares the texts.
_SHORT, _AS_DJANGO = json.JSONEncoder(ensure_ascii=False).encode, json.JSONEncoder().encode


def prepare(people: Iterable[ContactRow]) -> Prepared:
    """Return the people as they are stored. Asks no database."""
    written = _SHORT if is_postgresql() else _AS_DJANGO
    lines = [_line(person, written) for person in people]
    if is_postgresql():
        return Prepared({}, _csv(lines))
    return Prepared({line[1]: line for line in lines}, "")


def lock_known(prepared: Prepared) -> dict[str, Known]:
    """Return who is there already, by folded address, and keep others from changing them until the transaction ends.

    The first of the steps: on PostgreSQL it also brings the people to the database.
    """
    with connection.cursor() as cursor:
        if is_postgresql():
            _copy_aside(cursor, _STAGED, _SAID, prepared.block)
            cursor.execute(_LOCK_KNOWN)
        else:
            condition, keys = among(prepared.lines)
            cursor.execute(f"{_SELECT_KNOWN} {condition}", keys)
        return {row[2]: Known(row[0], _person(row[1:])) for row in cursor.fetchall()}


def add(prepared: Prepared, known: Collection[str], now: dt.datetime) -> list[int]:
    """Store those of the people who were not known, and return their keys.

    Somebody whom another transaction stored meanwhile stays as they are there, and their key is returned too.
    """
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute(
                f"INSERT INTO contacts_contact ({_SAID}, created_at, updated_at)"  # noqa: S608  # Only names.
                f" SELECT {_SAID}, %s, %s FROM {_STAGED} WHERE NOT email_key = ANY(%s) ORDER BY email_key"
                # It changes nothing, but it locks the row and returns it.
                " ON CONFLICT (email_key) DO UPDATE SET email_key = excluded.email_key RETURNING id",
                [moment, moment, list(known)],
            )
            return [row[0] for row in cursor.fetchall()]
        new = {key: line for key, line in prepared.lines.items() if key not in known}
        cursor.executemany(
            f"INSERT INTO contacts_contact ({_SAID}, created_at, updated_at)"  # noqa: S608  # Only names.
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (email_key) DO NOTHING",
            [(*line, moment, moment) for line in new.values()],
        )
        condition, keys = among(new)
        cursor.execute(f"SELECT id FROM contacts_contact WHERE email_key {condition}", keys)  # noqa: S608
        return [row[0] for row in cursor.fetchall()]


def change(people: Iterable[Known], now: dt.datetime) -> None:
    """Write what is known now of people whose rows are locked."""
    written = _SHORT if is_postgresql() else _AS_DJANGO
    rows: list[tuple[Any, ...]] = [(*_line(known.person, written), known.contact_id) for known in people]
    if not rows:
        return
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if is_postgresql():
            _copy_aside(cursor, "contacts_changed", f"{_SAID}, id", _csv(rows))
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


def keep_refused(import_id: int, refusals: Iterable[RowRefusal]) -> None:
    rows = [
        (
            import_id,
            refusal.line_number,
            json.dumps([_storable(cell) for cell in refusal.cells]),
            _storable(refusal.content),
            _storable(refusal.reason),
        )
        for refusal in refusals
    ]
    if not rows:
        return
    columns = "contact_import_id, line_number, cells, content, reason"
    with connection.cursor() as cursor:
        if is_postgresql():
            _copy(cursor, "contacts_refusedrow", columns, _csv(rows))
        else:
            cursor.executemany(
                f"INSERT INTO contacts_refusedrow ({columns}) VALUES (%s, %s, %s, %s, %s)",  # noqa: S608  # Only names.
                rows,
            )


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")  # PostgreSQL stores everything but NUL.


def _person(row: tuple[Any, ...]) -> ContactRow:
    *said, attributes = row
    return ContactRow._make([*said, {} if attributes == "{}" else json.loads(attributes)])


def _line(person: ContactRow, written: Callable[[object], str]) -> Line:
    return (*person[:6], written(person.attributes) if person.attributes else "{}")


def _csv(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as one block of CSV: the csv module writes it faster than anything that goes row by row."""
    block = io.StringIO()
    csv.writer(block, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return block.getvalue()


def _copy_aside(cursor: Any, table: str, columns: str, block: str) -> None:
    """Copy rows into a table of this transaction's own, with columns like the contacts'."""
    cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table}")  # A transaction around several batches still has it.
    cursor.execute(
        f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS SELECT {columns} FROM contacts_contact WITH NO DATA"  # noqa: S608
    )
    _copy(cursor, table, columns, block)


def _copy(cursor: Any, table: str, columns: str, block: str) -> None:
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(block)
