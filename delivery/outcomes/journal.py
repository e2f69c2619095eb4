"""The journal of a worker: which dots it wrote, and what was answered, kept even if the worker is killed.

Each lane token has one append-only file, in a folder that outlives the worker. The file is written through a shared
memory map: a line is in the kernel's hands at once, before the dot that it announces, without a system call or fsync,
and survives SIGKILL. The recovery on the same machine reads it. A second small file of the same kind names the message
being composed, so that a message which kills its worker each time is found.
"""

import contextlib
import json
import mmap
import os
import struct
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mail.replies.reply import Reply
from mail.replies.rules import Stage

# The size of a new file. A full file is compacted: attempts recorded in the database are dropped.
FIRST_BYTES = 256 * 1024
# How often the file's modification time is set, as a sign that the worker lives.
TOUCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """The journal's last entry about an attempt: its dot was written, or its answer was read."""

    stage: Stage | None = None  # None: no answer was read.
    reply: Reply | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class InProgress:
    """The work in progress of a worker when it ended; 0: none."""

    attempt_id: int = 0  # The attempt whose message was being composed.
    mailing_id: int = 0  # The mailing whose content was being compiled.
    background_id: int = 0  # The attempt whose slow message was being composed in the background.


_IN_PROGRESS = struct.Struct("<qqq")
_quoted = json.encoder.encode_basestring_ascii  # As json.dumps encodes a string.


class Journal:
    """The journal of one lane token, open for appending."""

    def __init__(self, folder: Path, token: uuid.UUID) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{token}.jsonl"
        self._progress_path = self.path.with_suffix(".now")
        self._in_progress = _shared(self._progress_path, bytes(_IN_PROGRESS.size))
        self._open: dict[int, bytes] = {}  # The last line about each unrecorded attempt.
        self._touched_at = 0.0
        self._size = 0
        self._pages = _shared(self.path, bytes(FIRST_BYTES))

    def dot(self, attempt_id: int) -> None:
        """Record that the dot of this attempt is written next."""
        self._write(attempt_id, b'{"dot": %d}\n' % attempt_id)

    def kept(self, attempt_id: int) -> None:
        """Record that the dot of this attempt could not be written yet, which takes :meth:`dot` back."""
        self._write(attempt_id, b'{"kept": %d}\n' % attempt_id)

    def answer(self, attempt_id: int, stage: Stage, reply: Reply | None, lost: str) -> None:
        """Record the answer to this attempt."""
        # Formatted by hand: json.dumps of the whole list takes several times as long.
        line = f'[{attempt_id}, "{stage.value}", {_quoted(lost)}'
        if reply is not None:
            line += f', {reply.code}, "{reply.enhanced}", {_quoted(reply.text[:1000])}'
        self._write(attempt_id, line.encode() + b"]\n")

    def agreed(self, attempt_id: int, text: str) -> None:
        """Record that this attempt was accepted with 250.

        :param text: the reply after the code, one line of ASCII; it stays unparsed, which costs a third.
        """
        self._write(attempt_id, b"=%d %b\n" % (attempt_id, text.encode("ascii")))

    def composing(self, attempt_id: int, *, in_background: bool = False) -> None:
        """Record the attempt whose message is being composed; 0: none."""
        struct.pack_into("<q", self._in_progress, 16 if in_background else 0, attempt_id)

    def compiling(self, mailing_id: int) -> None:
        """Record the mailing whose content is being compiled; 0: none."""
        struct.pack_into("<q", self._in_progress, 8, mailing_id)

    def recorded(self, attempt_ids: Iterable[int]) -> None:
        """Forget attempts whose results are in the database."""
        for attempt_id in attempt_ids:
            self._open.pop(attempt_id, None)

    def _write(self, attempt_id: int, line: bytes) -> None:
        end = self._size + len(line)
        if end > len(self._pages):
            self._compact(len(line))
            end = self._size + len(line)
        self._pages[self._size : end] = line
        self._size = end
        self._open[attempt_id] = line
        if (now := time.monotonic()) > self._touched_at + TOUCH_SECONDS:
            self._touched_at = now
            os.utime(self.path)  # A write to shared memory need not change the modification time.

    def _compact(self, room: int) -> None:
        content = b"".join(self._open.values())
        size = max(FIRST_BYTES, 4 * (len(content) + room))
        pages = _shared(self.path.with_suffix(".new"), content.ljust(size, b"\0"))
        # Atomic: at every instant there is one whole file under this name.
        os.replace(self.path.with_suffix(".new"), self.path)
        self._pages.close()
        self._pages, self._size = pages, len(content)

    def close(self) -> None:
        """Close the files and leave them in place."""
        self._pages.close()
        self._in_progress.close()

    def discard(self) -> None:
        """Close and remove the journal, once everything in it is recorded in the database."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._progress_path.unlink(missing_ok=True)


def _shared(path: Path, content: bytes) -> mmap.mmap:
    """Return a memory map of a new file with ``content``, written in full, so that disk space cannot run out later."""
    path.write_bytes(content)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), len(content))


def in_progress(folder: Path, token: uuid.UUID) -> InProgress:
    """Return the work in progress of the holder of ``token`` when it ended."""
    try:
        content = (folder / f"{token}.now").read_bytes()
    except FileNotFoundError:
        return InProgress()
    return InProgress(*_IN_PROGRESS.unpack(content)) if len(content) == _IN_PROGRESS.size else InProgress()


def read(folder: Path, token: uuid.UUID) -> dict[int, JournalEntry] | None:
    """Return the entries of the journal of ``token`` by attempt; None if it is not on this machine.

    A last line that a crash cut short is ignored.
    """
    try:
        lines = (folder / f"{token}.jsonl").read_bytes().rstrip(b"\0").split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    if lines and b"\0" in lines[-1]:  # Memory is not always written from left to right.
        del lines[-1]
    known: dict[int, JournalEntry] = {}
    for line in lines:
        if line.startswith(b"="):
            attempt, _, text = line[1:].decode("ascii").partition(" ")
            known[int(attempt)] = JournalEntry(Stage.DOT, Reply.of(250, text))
            continue
        note = json.loads(line)
        if isinstance(note, list):
            attempt_id, stage, lost, *said = note
            known[attempt_id] = JournalEntry(Stage(stage), Reply(*said) if said else None, lost)
        elif "dot" in note:
            known[note["dot"]] = JournalEntry()
        else:
            known.pop(note["kept"], None)
    return known


def last_written(folder: Path, token: uuid.UUID) -> float:
    """Return when the journal of ``token`` was last written to, in seconds since the epoch; 0 if it is not here."""
    try:
        return (folder / f"{token}.jsonl").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def tokens(folder: Path) -> set[uuid.UUID]:
    """Return the tokens with a journal in ``folder``, or with a part of one."""
    return {token for token, _ in _files(folder)}


def older_than(folder: Path, instant: float) -> set[uuid.UUID]:
    """Return the tokens whose files were all last written to before ``instant``, in seconds since the epoch."""
    found: set[uuid.UUID] = set()
    written: set[uuid.UUID] = set()
    for token, path in _files(folder):
        with contextlib.suppress(FileNotFoundError):  # Removed in the meantime.
            (found if path.stat().st_mtime < instant else written).add(token)
    return found - written


def _files(folder: Path) -> Iterator[tuple[uuid.UUID, Path]]:
    for path in folder.glob("*"):
        if path.suffix in (".jsonl", ".now", ".new"):
            with contextlib.suppress(ValueError):  # Not a journal.
                yield uuid.UUID(path.stem), path


def remove(folder: Path, token: uuid.UUID) -> None:
    """Remove a journal whose attempts are all settled."""
    (folder / f"{token}.jsonl").unlink(missing_ok=True)
    (folder / f"{token}.new").unlink(missing_ok=True)
    (folder / f"{token}.now").unlink(missing_ok=True)
