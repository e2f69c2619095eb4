"""The identity of this database: whether it is the original, or a restored or copied one that must wait for a person.

A copy does not know of mail that the original sent after the copy was made, and would send it again. A copy is detected
by what copying changes: on PostgreSQL the cluster and the database's number, on SQLite the machine and the file. A dump
restored in place is detected by the generation. Every process raises this number in the database, and then writes a
note of it into ``DATA_DIR``; a database with a lower generation than the note was set back. SQLite's file lies beside
the note, and a backup of the folder holds both. So on SQLite the database also remembers the last change of the note
(its ctime, which copying cannot set back): a note that is newer shows a restored folder. A machine without a note
proves nothing, since it may be new. :mod:`delivery.operators.restored_copy` handles the messages that were under way.

The original may also have given numbers that the copy would give again, and links in its mail prove these numbers: by
such a link one person would unsubscribe another. So a held database leaves out many more numbers than were given.
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
from django.db import connection, models, transaction

from db.costs import durable
from db.dialect import is_postgresql
from db.numbers import leap
from delivery.models import Installation, Mailing, Message, TrackedMailing
from mail import verp
from registry import Registry
from words.texts import text as _

log = logging.getLogger(__name__)
CHECK_SECONDS = 20.0  # Between two checks. A restore in place may hide mail sent within this time after the dump.
COARSE_NS = 2_000_000_000  # Some file systems round times to seconds, and nobody restores a backup this fast.
MACHINE_ID = Path("/etc/machine-id")
COPIED = _("This database was restored from a dump or copied. Mail was sent from another one before.")
SET_BACK = _("This database was set back. This machine remembers more than it knows.")
PUT_BACK = _(
    "The folder of this database was restored from a backup, or the owner or mode of all its files was changed."
)
BY_SETTING = _("START_HELD is set, so nothing is sent until someone says so.")

REASONS = {str(reason): reason for reason in (COPIED, SET_BACK, PUT_BACK, BY_SETTING)}  # As they are stored.

# More than the original gives, be it in one great campaign or for years: seventeen million a day.
GIVEN_AT_ONCE = 100_000_000
GIVEN_A_SECOND = 200

# The tables whose numbers stand in links of sent mail, as mail.tokens.NUMBERS_OF names them; higher rooms add theirs.
IN_LINKS: Registry[type[models.Model]] = Registry()
IN_LINKS.register("messages", Message)
IN_LINKS.register("mailings", Mailing)
IN_LINKS.register("tracked mailings", TrackedMailing)


@dataclass(slots=True)
class _Process:
    """This process's memory of the last check."""

    checked_at: float | None = None  # On the monotonic clock.
    key: UUID | None = None
    generation: int = 0


_process = _Process()


def why_held(now: dt.datetime) -> str:
    """Return why nothing may be sent before a person's answer; empty if mail may be sent.

    Every claim, plan and task asks this first.
    """
    if _process.checked_at is None or time.monotonic() - _process.checked_at >= CHECK_SECONDS:
        check(now)
    row = _row()
    if row is None or (row[0] == _process.key and row[1] < _process.generation):
        check(now)
        row = _row()
    return REASONS.get(row[2], row[2]) if row else ""


def _row() -> tuple[UUID, int, str] | None:
    # Raw SQL, since every claim asks this: Django would take several times as long as the database.
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, generation, held_because FROM delivery_installation WHERE id = 1")
        row = cursor.fetchone()
    if row is None:
        return None
    key, generation, held_because = row
    return key if isinstance(key, UUID) else UUID(key), generation, held_because  # SQLite has no UUID type.


def check(now: dt.datetime) -> None:
    """Check whether this database is a copy: hold it if it is, or else raise its generation."""
    is_alone = not connection.in_atomic_block  # A generation that the caller may roll back must not be in a note.
    if is_alone or _process.checked_at is None:
        _process.checked_at = time.monotonic()
    identity = identify()
    with _machine_lock() if is_alone else contextlib.nullcontext(), durable(), transaction.atomic():
        Installation.objects.get_or_create(pk=1, defaults={"identity": identity, "raised_at": now})
        row = Installation.objects.select_for_update().get(pk=1)
        if row.held_because:
            if row.identity != identity:  # A copy of a copy: the answer about that one does not hold for this one.
                Installation.objects.filter(pk=1).update(answer="")
            return
        if because := _suspicion(row, identity):
            log.warning("nothing is sent until a person says so: %s", because)
            Installation.objects.filter(pk=1).update(held_since=now, held_because=because)
            _leap_numbers(now - row.raised_at)
        elif is_alone:
            generation = row.generation + 1
            # A process killed before it stores the new ctime leaves none to compare with.
            Installation.objects.filter(pk=1).update(generation=generation, raised_at=now, note_ctime_ns=None)
            transaction.on_commit(lambda: _remember(row.key, generation))


def _leap_numbers(away: dt.timedelta) -> None:
    """Leave out the numbers that the original may have given in this time."""
    seconds = max(away // dt.timedelta(seconds=1), 0)
    for model in IN_LINKS.values():
        leap(model, GIVEN_AT_ONCE + GIVEN_A_SECOND * seconds, verp.MOST_MESSAGES)


def _suspicion(row: Installation, identity: str) -> str:
    if settings.START_HELD:
        return BY_SETTING
    if row.identity != identity:
        return COPIED
    remembered = _process.generation if row.key == _process.key else 0
    noted, changed = _noted_generation(row.key), _note_ctime_ns(row.key)
    if row.generation < max(remembered, noted):
        return SET_BACK
    if not row.note_ctime_ns or not changed:
        return ""
    # Another DATA_DIR may hold a note too, and the database remembers only the note of the last check. Then our note
    # has a lower generation and is older. A note from a restored folder is newer.
    is_overtaken = noted < row.generation and changed < row.note_ctime_ns
    return PUT_BACK if not is_overtaken and abs(changed - row.note_ctime_ns) > COARSE_NS else ""


def identify() -> str:
    """Return a text that differs in a copy of this database."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT system_identifier FROM pg_control_system()), oid FROM pg_database"
                " WHERE datname = current_database()"
            )
            cluster, database = cursor.fetchone()
        return f"postgresql {cluster} {database}"
    connection.ensure_connection()  # It creates the file.
    # Without a machine id, as in many containers and on macOS, the inode number alone must do.
    machine = MACHINE_ID.read_text().strip() if MACHINE_ID.exists() else ""
    return f"sqlite {machine} {os.stat(connection.settings_dict['NAME']).st_ino}"


def release(now: dt.datetime) -> bool:
    """Let a held database send from now on, as an installation of its own. False if it was not held."""
    held = Installation.objects.filter(pk=1).exclude(held_because="")
    return bool(
        held.update(
            # A new key, so that notes about the original do not count.
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


def _noted_generation(key: UUID) -> int:
    try:
        return int(_note(key).read_text())
    except (OSError, ValueError):  # No note, or one that a full disk cut short: both prove nothing.
        return 0


def _note_ctime_ns(key: UUID) -> int:
    """Return the ctime of the note, which only the system sets; 0 if there is no note."""
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
    if not is_postgresql():  # With PostgreSQL each machine has its own note, and the database remembers none.
        Installation.objects.filter(pk=1, generation=generation).update(note_ctime_ns=_note_ctime_ns(key))


@contextlib.contextmanager
def _machine_lock() -> Iterator[None]:
    """Lock out this machine's other processes while one writes the note and its ctime is stored."""
    lock = Path(settings.DATA_DIR) / "generations.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError:  # The folder is not writable, so there is no note either.
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
