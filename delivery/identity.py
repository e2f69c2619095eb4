"""Whether this database is the one that mail was sent from all along, or a copy that must wait for a person.

A copy knows of nothing that the original sent after it was made, and would send it once more. It is noticed by what a
copy changes (on PostgreSQL the cluster and the database's number, on SQLite the machine and the file), and where a
dump was restored in place by the generation: a number that every process raises in the database and then writes down
in ``DATA_DIR``, so that a database which knows a lower one was set back. SQLite's file lies beside that note, and a
backup of the folder holds both: there the database also remembers when the note was last changed (its ctime, which no
copying sets back), so that a note which was put there since shows a restored folder. A machine without a note proves
nothing: it may be new. What was under way, and how it goes on, is :mod:`delivery.operators.restored_copy`'s.
"""

import contextlib
import datetime as dt
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction

from db.costs import durable
from db.dialect import is_postgresql
from delivery.models import Installation

log = logging.getLogger(__name__)
LOOK_SECONDS = 20.0  # What is sent for so long after a dump, and no longer, a restore in place may hide.
COARSE_NS = 2_000_000_000  # File systems that keep times in seconds round them; nobody restores a backup so fast.
MACHINE_ID = Path("/etc/machine-id")
COPIED = "This database was restored from a dump, or copied: mail was sent from another one before."
SET_BACK = "This database was set back: it knows less than this machine remembers of it."
PUT_BACK = "The folder of this database was restored from a backup, or the owner or mode of all its files was changed."
BY_SETTING = "START_HELD is set, so that nothing is sent before a person has said so."


@dataclass(slots=True)
class _Process:
    """What this process remembers."""

    looked_at: float | None = None  # By the monotonic clock.
    key: UUID | None = None
    generation: int = 0


_process = _Process()


def why_held(now: dt.datetime) -> str:
    """Return why nothing is sent until a person has said so; empty where all is well.

    Whatever sends, or leads to it, asks here first: each claim, each plan and each task.
    """
    if _process.looked_at is None or time.monotonic() - _process.looked_at >= LOOK_SECONDS:
        look(now)
    row = _row()
    if row is None or (row[0] == _process.key and row[1] < _process.generation):
        look(now)
        row = _row()
    return row[2] if row else ""


def _row() -> tuple[UUID, int, str] | None:
    # Asked with each claim; Django would take several times as long to make this as the database to answer it.
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, generation, held_because FROM delivery_installation WHERE id = 1")
        row = cursor.fetchone()
    if row is None:
        return None
    key, generation, held_because = row
    return key if isinstance(key, UUID) else UUID(key), generation, held_because  # SQLite knows no such type.


def look(now: dt.datetime) -> None:
    """Compare the database with what is known of it: hold it if it is a copy, else raise its generation."""
    is_alone = not connection.in_atomic_block  # What a caller may take back must not be written down elsewhere.
    if is_alone or _process.looked_at is None:
        _process.looked_at = time.monotonic()
    identity = identify()
    with _one_at_a_time() if is_alone else contextlib.nullcontext(), durable(), transaction.atomic():
        Installation.objects.get_or_create(pk=1, defaults={"identity": identity, "raised_at": now})
        row = Installation.objects.select_for_update().get(pk=1)
        if row.held_because:
            if row.identity != identity:  # A copy of a copy: what was said of that one says nothing about this one.
                Installation.objects.filter(pk=1).update(answer="")
            return
        if because := _suspicion(row, identity):
            log.warning("nothing is sent until a person says so: %s", because)
            Installation.objects.filter(pk=1).update(held_since=now, held_because=because)
        elif is_alone:
            generation = row.generation + 1
            # Whoever is killed before the new note is remembered leaves none to compare with.
            Installation.objects.filter(pk=1).update(generation=generation, raised_at=now, note_ctime_ns=None)
            transaction.on_commit(lambda: _remember(row.key, generation))


def _suspicion(row: Installation, identity: str) -> str:
    if settings.START_HELD:
        return BY_SETTING
    if row.identity != identity:
        return COPIED
    remembered = _process.generation if row.key == _process.key else 0
    noted, changed = _noted(row.key), _noted_at_ns(row.key)
    if row.generation < max(remembered, noted):
        return SET_BACK
    if not row.note_ctime_ns or not changed:
        return ""
    # Another DATA_DIR may hold a note too, and the database remembers that of the last look alone: ours then says less
    # and is older. One that was put there since is newer.
    is_overtaken = noted < row.generation and changed < row.note_ctime_ns
    return PUT_BACK if not is_overtaken and abs(changed - row.note_ctime_ns) > COARSE_NS else ""


def identify() -> str:
    """Return what a copy of this database would have otherwise."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT system_identifier FROM pg_control_system()), oid FROM pg_database"
                " WHERE datname = current_database()"
            )
            cluster, database = cursor.fetchone()
        return f"postgresql {cluster} {database}"
    connection.ensure_connection()  # It makes the file.
    # Where there is no such file, as in many containers and on macOS, the number alone must do.
    machine = MACHINE_ID.read_text().strip() if MACHINE_ID.exists() else ""
    return f"sqlite {machine} {os.stat(connection.settings_dict['NAME']).st_ino}"


def release(now: dt.datetime) -> bool:
    """Let a held database send from now on, as an installation of its own; False if it was not held."""
    held = Installation.objects.filter(pk=1).exclude(held_because="")
    return bool(
        held.update(
            # Under a new key, notes of what it was a copy of say nothing about it.
            key=uuid4(),
            identity=identify(),
            raised_at=now,
            note_ctime_ns=None,
            held_since=None,
            held_because="",
            answer="",
        )
    )


# --- the notes in DATA_DIR


def _note(key: UUID) -> Path:
    return Path(settings.DATA_DIR) / "generations" / key.hex


def _noted(key: UUID) -> int:
    try:
        return int(_note(key).read_text())
    except (OSError, ValueError):  # None, or one that a full disk cut short: both prove nothing.
        return 0


def _noted_at_ns(key: UUID) -> int:
    """Return when the note was changed, by a clock that nothing but the system sets; 0 if there is none."""
    try:
        return _note(key).stat().st_ctime_ns
    except OSError:
        return 0


def _remember(key: UUID, generation: int) -> None:
    _process.generation = max(generation, _process.generation) if key == _process.key else generation
    _process.key = key
    note = _note(key)
    written = note.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(str(generation))
        written.replace(note)
    except OSError as error:
        log.warning("a restore in place would not be noticed on this machine: %s", error)
        return
    if not is_postgresql():  # Elsewhere each machine has a note of its own, and the database none of them.
        Installation.objects.filter(pk=1, generation=generation).update(note_ctime_ns=_noted_at_ns(key))


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep the processes of this machine apart while one writes a note and the database remembers it."""
    lock = Path(settings.DATA_DIR) / "generations.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError:  # Nothing can be written here, and so no note either.
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
