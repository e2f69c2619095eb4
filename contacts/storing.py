"""How many people are stored at once, past the ORM: it would take most of an import's time.

Each function is one step of a transaction that the caller opens. Rows are locked and written in the order of their
keys, so that two imports cannot wait for each other.
"""

import csv
import datetime as dt
import io
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection

from contacts.models import ContactList
from contacts.rows import Person, Refusal

Line = tuple[str, ...]  # A person as the database is told.


class Known(NamedTuple):
    contact_id: int
    person: Person


class Prepared(NamedTuple):
    """A batch of people in the form that is stored; made beforehand, while the database is at work."""

    lines: dict[str, Line]  # By folded address; empty for PostgreSQL.
    block: str  # For PostgreSQL: the same, as CSV.


NOBODY = Prepared({}, "")
_SAID = "email, email_key, first_name, last_name, language, time_zone, attributes"
_SELECT_KNOWN = f"SELECT id, {_SAID} FROM contacts_contact WHERE email_key"  # noqa: S608  # Only names.
_AMONG = " IN (SELECT value FROM json_each(%s))"  # For SQLite: one parameter, however many values.
_SELECT_IDS = "SELECT id FROM contacts_contact WHERE email_key" + _AMONG  # noqa: S608  # Only constants.
_STAGED = "contacts_staged"
# Not FOR UPDATE: who inserts a row that points at the contact need not wait.
_LOCK_KNOWN = f"{_SELECT_KNOWN} IN (SELECT email_key FROM {_STAGED}) ORDER BY email_key FOR NO KEY UPDATE"  # noqa: S608
POSTGRES = "postgresql"
# For PostgreSQL as short as it can be; for SQLite as Django writes it, which compares the texts.
_written = json.JSONEncoder(ensure_ascii=connection.vendor != POSTGRES).encode


def prepare(people: Iterable[Person]) -> Prepared:
    """Return the people as they are stored. Asks no database."""
    lines = [_line(person) for person in people]
    if connection.vendor == POSTGRES:
        return Prepared({}, _csv(lines))
    return Prepared({line[1]: line for line in lines}, "")


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


def lock_known(prepared: Prepared) -> dict[str, Known]:
    """Return who is there already, by folded address, and keep others from changing them until the transaction ends.

    The first of the steps: on PostgreSQL it also brings the people to the database.
    """
    with connection.cursor() as cursor:
        if connection.vendor == POSTGRES:
            _copy_aside(cursor, _STAGED, _SAID, prepared.block)
            cursor.execute(_LOCK_KNOWN)
        else:
            cursor.execute(_SELECT_KNOWN + _AMONG, [json.dumps(list(prepared.lines))])
        return {row[2]: Known(row[0], _person(row[1:])) for row in cursor.fetchall()}


def add(prepared: Prepared, known: Collection[str], now: dt.datetime) -> list[int]:
    """Store those of the people who were not known, and return their keys.

    Somebody whom another transaction stored meanwhile stays as they are there, and their key is returned too.
    """
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if connection.vendor == POSTGRES:
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
        cursor.execute(_SELECT_IDS, [json.dumps(list(new))])
        return [row[0] for row in cursor.fetchall()]


def change(people: Iterable[Known], now: dt.datetime) -> None:
    """Write what is known now of people whose rows are locked."""
    rows: list[tuple[Any, ...]] = [(*_line(known.person), known.contact_id) for known in people]
    if not rows:
        return
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        if connection.vendor == POSTGRES:
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
            _copy(cursor, "contacts_refusedrow", columns, _csv(rows))
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


def _line(person: Person) -> Line:
    return (*person[:6], _written(person.attributes) if person.attributes else "{}")


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
