"""How many people are stored at once, past the ORM: it would take most of an import's time.

Each function is one step of a transaction that the caller opens. Rows are locked and written in the order of their
keys, so that two imports cannot wait for each other.
"""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection

from contacts.models import ContactList
from contacts.rows import Person, Refusal


class Known(NamedTuple):
    contact_id: int
    person: Person


Line = tuple[str, ...]  # A person as the database is told.


_SAID = "email, email_key, first_name, last_name, language, time_zone, attributes"
_SELECT_KNOWN = f"SELECT id, {_SAID} FROM contacts_contact WHERE email_key"  # noqa: S608  # Only names.
_AMONG = " IN (SELECT value FROM json_each(%s))"  # For SQLite: one parameter, however many values.
_SELECT_IDS = "SELECT id FROM contacts_contact WHERE email_key" + _AMONG  # noqa: S608  # Only constants.
POSTGRES = "postgresql"


def hurry() -> None:
    """Let this transaction not wait for the disk: should the machine fail, its rows and its progress go together."""
    if connection.vendor == POSTGRES:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")


def hold_lists(list_ids: Sequence[int]) -> list[int]:
    """Return those of the lists that are there, and keep them from being deleted until the transaction ends."""
    lists = ContactList.objects.filter(pk__in=list_ids).order_by("pk").values_list("pk", flat=True)
    if connection.vendor != POSTGRES or not list_ids:
        return list(lists)
    with connection.cursor() as cursor:
        # Shared, so that two imports into one list need not wait for each other.
        cursor.execute(
            "SELECT id FROM contacts_contactlist WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", [list(list_ids)]
        )
        return [row[0] for row in cursor.fetchall()]


def lock_known(keys: Sequence[str]) -> dict[str, Known]:
    """Return who is there already, by folded address, and keep others from changing them until the transaction ends."""
    with connection.cursor() as cursor:
        if connection.vendor == POSTGRES:
            # Not FOR UPDATE: who inserts a row that points at the contact need not wait.
            cursor.execute(_SELECT_KNOWN + " = ANY(%s) ORDER BY email_key FOR NO KEY UPDATE", [list(keys)])
        else:
            cursor.execute(_SELECT_KNOWN + _AMONG, [json.dumps(keys)])
        return {row[2]: Known(row[0], _person(row[1:])) for row in cursor.fetchall()}


def line_of(person: Person) -> Line:
    """Return what :func:`add` stores of a person; made beforehand, while the database is at work."""
    return (*person[:6], json.dumps(person.attributes) if person.attributes else "{}")


def add(lines: Sequence[Line], now: dt.datetime) -> list[int]:
    """Store people who were not there, and return their keys.

    Somebody whom another transaction stored meanwhile stays as they are there, and their key is returned too.
    """
    if not lines:
        return []
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if connection.vendor == POSTGRES:
            _copy_aside(cursor, "contacts_added", _SAID, lines)
            cursor.execute(
                f"INSERT INTO contacts_contact ({_SAID}, created_at, updated_at)"  # noqa: S608  # Only names.
                f" SELECT {_SAID}, %s, %s FROM contacts_added ORDER BY email_key"
                # It changes nothing, but it locks the row and returns it.
                " ON CONFLICT (email_key) DO UPDATE SET email_key = excluded.email_key RETURNING id",
                [moment, moment],
            )
            return [row[0] for row in cursor.fetchall()]
        cursor.executemany(
            f"INSERT INTO contacts_contact ({_SAID}, created_at, updated_at)"  # noqa: S608  # Only names.
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (email_key) DO NOTHING",
            [(*line, moment, moment) for line in lines],
        )
        cursor.execute(
            _SELECT_IDS,
            [json.dumps([line[1] for line in lines])],
        )
        return [row[0] for row in cursor.fetchall()]


def change(people: Iterable[Known], now: dt.datetime) -> None:
    """Write what is known now of people whose rows are locked."""
    rows: list[tuple[Any, ...]] = [(*line_of(known.person), known.contact_id) for known in people]
    if not rows:
        return
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if connection.vendor == POSTGRES:
            _copy_aside(cursor, "contacts_changed", f"{_SAID}, id", rows)
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


def keep_refused(import_id: int, refusals: Iterable[Refusal]) -> None:
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
        if connection.vendor == POSTGRES:
            _copy(cursor, "contacts_refusedrow", columns, rows)
        else:
            cursor.executemany(
                f"INSERT INTO contacts_refusedrow ({columns}) VALUES (%s, %s, %s, %s, %s)",  # noqa: S608  # Only names.
                rows,
            )


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd")  # PostgreSQL stores everything but NUL.


def _person(row: tuple[Any, ...]) -> Person:
    *said, attributes = row
    return Person._make([*said, {} if attributes == "{}" else json.loads(attributes)])


def _copy_aside(cursor: Any, table: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
    """Copy rows into a table of this transaction's own, with columns like the contacts'."""
    cursor.execute(
        f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS SELECT {columns} FROM contacts_contact WITH NO DATA"  # noqa: S608
    )
    _copy(cursor, table, columns, rows)


def _copy(cursor: Any, table: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
    """Hand rows to PostgreSQL as one block of CSV: the csv module writes it faster than anything row by row."""
    block = io.StringIO()
    csv.writer(block, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)") as copy:
        copy.write(block.getvalue())
