"""What a worker must not forget when it is killed: which dots it wrote, and what was answered.

One append-only file for each lane token, in a folder that outlives the worker. A line is handed to the kernel
before the dot it speaks of; that survives SIGKILL without fsync. The sweep of the same machine reads it. Beside it
a page of memory on disk says what is being composed: who kills its worker each time is found out by that.
"""

import contextlib
import json
import mmap
import os
import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mail.replies import Reply, Stage

# A longer file is written anew, without what is recorded in the database already.
COMPACT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal knows of one attempt: its dot was written, and perhaps the answer."""

    stage: Stage | None = None  # None: no answer was read.
    reply: Reply | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class AtHand:
    """What a worker was making when it ended; 0: nothing."""

    attempt_id: int = 0  # Whose message was being composed.
    mailing_id: int = 0  # Whose content was being compiled.


_AT_HAND = struct.Struct("<qq")


class Journal:
    """The journal of one lane token, open for appending."""

    def __init__(self, folder: Path, token: uuid.UUID) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{token}.jsonl"
        # Unbuffered: a line that is written is with the kernel.
        self._file = self.path.open("ab", buffering=0)
        self._at_hand_path = self.path.with_suffix(".now")
        self._at_hand_path.write_bytes(bytes(_AT_HAND.size))
        with self._at_hand_path.open("r+b") as file:
            # Shared with the file: what is written into it is with the kernel, without a call.
            self._at_hand = mmap.mmap(file.fileno(), _AT_HAND.size)
        self._size = 0
        self._open: dict[int, bytes] = {}  # The last line about each attempt that is not recorded yet.

    def dot(self, attempt_id: int) -> None:
        """Note that the dot of this attempt is written next."""
        self._write(attempt_id, b'{"dot": %d}\n' % attempt_id)

    def kept(self, attempt_id: int) -> None:
        """Note that the dot of this attempt could not be written yet."""
        self._write(attempt_id, b'{"kept": %d}\n' % attempt_id)

    def answer(self, attempt_id: int, stage: Stage, reply: Reply | None, lost: str) -> None:
        """Note what was answered to this attempt."""
        # Written by hand: to have the whole list encoded takes several times as long.
        line = f'[{attempt_id}, "{stage.value}", {json.dumps(lost)}'
        if reply is not None:
            line += f', {reply.code}, "{reply.enhanced}", {json.dumps(reply.text[:1000])}'
        self._write(attempt_id, line.encode() + b"]\n")

    def composing(self, attempt_id: int) -> None:
        """Note whose message is composed now; 0: it is done."""
        struct.pack_into("<q", self._at_hand, 0, attempt_id)

    def compiling(self, mailing_id: int) -> None:
        """Note whose content is compiled now; 0: it is done."""
        struct.pack_into("<q", self._at_hand, 8, mailing_id)

    def recorded(self, attempt_ids: Iterable[int]) -> None:
        """Forget attempts whose results are in the database."""
        for attempt_id in attempt_ids:
            self._open.pop(attempt_id, None)
        if self._size > COMPACT_BYTES:
            self._compact()

    def _write(self, attempt_id: int, line: bytes) -> None:
        self._file.write(line)
        self._size += len(line)
        self._open[attempt_id] = line

    def _compact(self) -> None:
        shorter = self.path.with_suffix(".new")
        content = b"".join(self._open.values())
        shorter.write_bytes(content)
        self._file.close()
        # At every instant there is one whole file under this name.
        os.replace(shorter, self.path)
        self._file = self.path.open("ab", buffering=0)
        self._size = len(content)

    def close(self) -> None:
        """Close the file and leave it in place."""
        self._file.close()
        self._at_hand.close()

    def discard(self) -> None:
        """Close and remove it: everything it knows is recorded."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._at_hand_path.unlink(missing_ok=True)


def at_hand(folder: Path, token: uuid.UUID) -> AtHand:
    """Return what the holder of ``token`` was making when it ended."""
    try:
        content = (folder / f"{token}.now").read_bytes()
    except FileNotFoundError:
        return AtHand()
    return AtHand(*_AT_HAND.unpack(content)) if len(content) == _AT_HAND.size else AtHand()


def read(folder: Path, token: uuid.UUID) -> dict[int, Entry] | None:
    """Return what the journal of ``token`` knows by attempt, or None when it is not on this machine.

    A last line that was cut short by a crash is left out.
    """
    try:
        lines = (folder / f"{token}.jsonl").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    known: dict[int, Entry] = {}
    for line in lines:
        note = json.loads(line)
        if isinstance(note, list):
            attempt_id, stage, lost, *said = note
            known[attempt_id] = Entry(Stage(stage), Reply(*said) if said else None, lost)
        elif "dot" in note:
            known[note["dot"]] = Entry()
        else:
            known.pop(note["kept"], None)
    return known


def last_written(folder: Path, token: uuid.UUID) -> float:
    """Return when the journal of ``token`` was last written to, in seconds of the epoch; 0 when it is not here."""
    try:
        return (folder / f"{token}.jsonl").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def older_than(folder: Path, instant: float) -> set[uuid.UUID]:
    """Return the tokens whose journals were last written to before ``instant``, in seconds of the epoch."""
    found = set()
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(FileNotFoundError, ValueError):  # It went just now, or is none of ours.
            if path.stat().st_mtime < instant:
                found.add(uuid.UUID(path.stem))
    return found


def remove(folder: Path, token: uuid.UUID) -> None:
    """Remove a journal whose attempts are all settled."""
    (folder / f"{token}.jsonl").unlink(missing_ok=True)
    (folder / f"{token}.new").unlink(missing_ok=True)
    (folder / f"{token}.now").unlink(missing_ok=True)
