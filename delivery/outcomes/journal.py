"""What a worker must not forget when it is killed: which dots it wrote, and what was answered.

One append-only file for each lane token, in a folder that outlives the worker. It is written as memory that the file
shares: a line is the kernel's the moment it is there, before the dot it speaks of, without a call and without fsync,
and survives SIGKILL. The sweep of the same machine reads it. Beside it a page of the same kind says what is being
composed: who kills its worker each time is found out by that.
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

# Of a new file. A full one is written anew, without what is recorded in the database already.
FIRST_BYTES = 256 * 1024
# How often the file's time is set: it says that the worker lives.
TOUCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What the journal knows of one attempt: its dot was written, and perhaps the answer."""

    stage: Stage | None = None  # None: no answer was read.
    reply: Reply | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class AtHand:
    """What a worker was making when it ended; 0: nothing."""

    attempt_id: int = 0  # Whose message was being composed.
    mailing_id: int = 0  # Whose content was being compiled.
    beside_id: int = 0  # Attempt whose message was being composed beside the others, because it takes long.


_AT_HAND = struct.Struct("<qqq")
_quoted = json.encoder.encode_basestring_ascii  # What json.dumps does with a text.


class Journal:
    """The journal of one lane token, open for appending."""

    def __init__(self, folder: Path, token: uuid.UUID) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{token}.jsonl"
        self._at_hand_path = self.path.with_suffix(".now")
        self._at_hand = _shared(self._at_hand_path, bytes(_AT_HAND.size))
        self._open: dict[int, bytes] = {}  # The last line about each attempt that is not recorded yet.
        self._touched_at = 0.0
        self._size = 0
        self._pages = _shared(self.path, bytes(FIRST_BYTES))

    def dot(self, attempt_id: int) -> None:
        """Note that the dot of this attempt is written next."""
        self._write(attempt_id, b'{"dot": %d}\n' % attempt_id)

    def kept(self, attempt_id: int) -> None:
        """Note that the dot of this attempt could not be written yet."""
        self._write(attempt_id, b'{"kept": %d}\n' % attempt_id)

    def answer(self, attempt_id: int, stage: Stage, reply: Reply | None, lost: str) -> None:
        """Note what was answered to this attempt."""
        # Written by hand: to have the whole list encoded takes several times as long.
        line = f'[{attempt_id}, "{stage.value}", {_quoted(lost)}'
        if reply is not None:
            line += f', {reply.code}, "{reply.enhanced}", {_quoted(reply.text[:1000])}'
        self._write(attempt_id, line.encode() + b"]\n")

    def composing(self, attempt_id: int, *, is_beside: bool = False) -> None:
        """Note whose message is composed now; 0: it is done."""
        struct.pack_into("<q", self._at_hand, 16 if is_beside else 0, attempt_id)

    def compiling(self, mailing_id: int) -> None:
        """Note whose content is compiled now; 0: it is done."""
        struct.pack_into("<q", self._at_hand, 8, mailing_id)

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
            os.utime(self.path)  # What is written into shared memory need not change it.

    def _compact(self, room: int) -> None:
        content = b"".join(self._open.values())
        size = max(FIRST_BYTES, 4 * (len(content) + room))
        pages = _shared(self.path.with_suffix(".new"), content.ljust(size, b"\0"))
        # At every instant there is one whole file under this name.
        os.replace(self.path.with_suffix(".new"), self.path)
        self._pages.close()
        self._pages, self._size = pages, len(content)

    def close(self) -> None:
        """Close the file and leave it in place."""
        self._pages.close()
        self._at_hand.close()

    def discard(self) -> None:
        """Close and remove it: everything it knows is recorded."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._at_hand_path.unlink(missing_ok=True)


def _shared(path: Path, content: bytes) -> mmap.mmap:
    """Return the memory of a new file that holds ``content``; all of it is on the disk, so that none is short later."""
    path.write_bytes(content)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), len(content))


def at_hand(folder: Path, token: uuid.UUID) -> AtHand:
    """Return what the holder of ``token`` was making when it ended."""
    try:
        content = (folder / f"{token}.now").read_bytes()
    except FileNotFoundError:
        return AtHand()
    return AtHand(*_AT_HAND.unpack(content)) if len(content) == _AT_HAND.size else AtHand()


def read(folder: Path, token: uuid.UUID) -> dict[int, JournalEntry] | None:
    """Return what the journal of ``token`` knows by attempt, or None when it is not on this machine.

    A last line that was cut short by a crash is left out.
    """
    try:
        lines = (folder / f"{token}.jsonl").read_bytes().rstrip(b"\0").split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    if lines and b"\0" in lines[-1]:  # Memory is not written from left to right.
        del lines[-1]
    known: dict[int, JournalEntry] = {}
    for line in lines:
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
    """Return when the journal of ``token`` was last written to, in seconds of the epoch; 0 when it is not here."""
    try:
        return (folder / f"{token}.jsonl").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def tokens(folder: Path) -> set[uuid.UUID]:
    """Return the tokens that have a journal in ``folder``, or left a part of one."""
    return {token for token, _ in _files(folder)}


def older_than(folder: Path, instant: float) -> set[uuid.UUID]:
    """Return the tokens all of whose files were last written to before ``instant``, in seconds of the epoch."""
    found: set[uuid.UUID] = set()
    written: set[uuid.UUID] = set()
    for token, path in _files(folder):
        with contextlib.suppress(FileNotFoundError):  # It went just now.
            (found if path.stat().st_mtime < instant else written).add(token)
    return found - written


def _files(folder: Path) -> Iterator[tuple[uuid.UUID, Path]]:
    for path in folder.glob("*"):
        if path.suffix in (".jsonl", ".now", ".new"):
            with contextlib.suppress(ValueError):  # None of ours.
                yield uuid.UUID(path.stem), path


def remove(folder: Path, token: uuid.UUID) -> None:
    """Remove a journal whose attempts are all settled."""
    (folder / f"{token}.jsonl").unlink(missing_ok=True)
    (folder / f"{token}.new").unlink(missing_ok=True)
    (folder / f"{token}.now").unlink(missing_ok=True)
