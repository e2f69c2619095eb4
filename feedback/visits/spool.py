"""The spool: opens and clicks in files of this machine, so that no answer waits for the database.

Each process appends to a file of its own, and locks it as long as it does. So a file without a lock belongs to nobody
any more, even if its process was killed. A line is written with one call before the request is answered: a killed
process loses nothing that was answered, and a crash of the machine at most the last second.
"""

import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from mail.links.tracking import CODE_LETTERS, GROUP, MESSAGE, Token
from mail.visits.request import RequestFacts, facts_of_list

log = logging.getLogger(__name__)

FILE_SECONDS = 10.0  # After this time a file is closed, and may be gathered.
LAST_SECOND = 2**36  # The year 4147, which every database can store.
TOLD_SECONDS = 60.0  # A full disk is logged once in this time.
WRITTEN, FINISHED = ".open", ".done"  # The ends of the names of files.


class Line(NamedTuple):
    """One answered request."""

    at: int  # Seconds since the epoch, by this machine's clock.
    token: Token
    code: str  # Of the link's target; empty for a pixel.
    facts: RequestFacts
    network: str  # A keyed hash; empty if it is unknown.


def spool_folder() -> Path:
    """Return the folder of this machine's spool."""
    return Path(settings.DATA_DIR) / "spool"


def written_line(line: Line) -> bytes:
    """Return a line as it stands in the file."""
    at, token, code, facts, network = line
    values = [at, token.kind, token.number, code, facts, network]
    return json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"


def read_line(text: bytes) -> Line | None:
    """Return the line that was written; None if it is torn, as at the moment when the disk was full."""
    try:
        at, kind, number, code, facts, network = json.loads(text)
        if kind not in (MESSAGE, GROUP) or not (0 <= int(at) < LAST_SECOND and 0 <= int(number) < 2**63):
            return None
        return Line(
            int(at), Token(kind, int(number)), str(code)[:CODE_LETTERS], facts_of_list(facts), str(network)[:32]
        )
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


class Spool:
    """The files that this process writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told_at = float("-inf")
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Begin anew, as in the child of a fork, which must not write to the files of its parent."""
        self._lock = threading.Lock()
        self._process, self._number = secrets.token_hex(8), 0
        self._file: int | None = None
        self._path = self._folder
        self._began_at = 0.0
        self._is_synced = self._is_folder_synced = True
        self._is_torn = False
        self._dropped, self._why_dropped = 0, ""
        self.has_gap = False  # A line could not be written. Whoever notes that sets it back.

    def append(self, line: bytes) -> bool:
        """Write a line; False if it could not be written, which :meth:`tend` reports."""
        with self._lock:
            try:
                file = self._begin() if self._file is None else self._file
                whole = b"\n" + line if self._is_torn else line
                self._is_torn = os.write(file, whole) < len(whole)
            except OSError as error:
                self._dropped, self._why_dropped = self._dropped + 1, error.strerror or ""
                self.has_gap = True
                return False
            if self._is_torn:
                self._dropped += 1
                self.has_gap = True
            self._is_synced = False
            return not self._is_torn

    def _begin(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._number += 1
        # Under a name that nobody gathers, until it is locked.
        new = self._folder / f"new-{self._process}-{self._number:06}"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._path = new.replace(self._folder / f"events-{self._process}-{self._number:06}{WRITTEN}")
        except OSError:
            os.close(file)
            raise
        self._file, self._began_at = file, time.monotonic()
        self._is_torn = self._is_folder_synced = False
        return file

    def tend(self) -> None:
        """Have the disk keep what was written, and finish a file that is old enough. Called every second."""
        with self._lock:
            file, path, is_synced, is_folder_synced = self._file, self._path, self._is_synced, self._is_folder_synced
            self._is_synced = self._is_folder_synced = True
            is_finished = file is not None and time.monotonic() - self._began_at >= FILE_SECONDS
            if is_finished:
                self._file = None
        if file is not None:
            self._keep(file, path, is_synced=is_synced, is_folder_synced=is_folder_synced, is_finished=is_finished)
        self._report()

    def _keep(self, file: int, path: Path, *, is_synced: bool, is_folder_synced: bool, is_finished: bool) -> None:
        try:
            if not is_synced:
                os.fsync(file)
            if is_finished:
                path.replace(path.with_suffix(FINISHED))
            if not is_folder_synced or is_finished:
                _sync_folder(self._folder)
        except OSError as error:
            log.warning("opens and clicks may be lost if this machine crashes: %s", error.strerror)
        finally:
            if is_finished:
                os.close(file)  # Its lock goes with it.

    def _report(self) -> None:
        if self._dropped and time.monotonic() - self._told_at >= TOLD_SECONDS:
            with self._lock:
                dropped, self._dropped = self._dropped, 0
            self._told_at = time.monotonic()
            log.error("%d opens or clicks were answered and could not be kept: %s", dropped, self._why_dropped)


# --- reading


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Tell whether this process alone gathers in the folder, until the end of the block."""
    try:
        file = os.open(folder / "gather.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # No visit yet, or a disk that is read-only.
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_alone = True
    except BlockingIOError:
        is_alone = False
    try:
        yield is_alone
    finally:
        os.close(file)


def finished(folder: Path) -> list[Path]:
    """Return the files that nobody writes any more, the oldest first; finish those of dead processes."""
    for path in folder.glob(f"events-*{WRITTEN}"):
        with suppress(OSError):
            _finish_if_left(path)
    return sorted(folder.glob(f"events-*{FINISHED}"), key=_age)


def waiting_bytes(folder: Path) -> int:
    """Return the size of all files that are not gathered yet."""
    return sum(_size(path) for path in folder.glob("events-*"))


def waiting_since(folder: Path) -> float | None:
    """Return when the oldest file was written that is not gathered, seconds since the epoch; None if there is none."""
    return min((age for path in folder.glob("events-*") if (age := _age(path))), default=None)


def _finish_if_left(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Its process holds it until it has renamed the file.
        if path.exists():
            os.fsync(file)
            path.replace(path.with_suffix(FINISHED))
    except BlockingIOError:
        pass
    finally:
        os.close(file)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
