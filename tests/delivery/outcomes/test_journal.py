"""The journal of a worker: what the next one on the machine reads of it, whatever moment the worker was ended at."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from delivery.outcomes import journal
from delivery.outcomes.journal import Journal, JournalEntry
from mail.replies.reply import Reply
from mail.replies.rules import Stage

OK = Reply.parse('250 2.0.0 Ok: queued as é\U0001f600 "4F"')
NOBODY = Reply.parse("550 5.1.1 No such user\nhere")


def test_it_knows_dots_and_answers(tmp_path: Path) -> None:
    token = uuid.uuid4()
    notes = Journal(tmp_path, token)
    notes.dot(1)
    notes.dot(2)
    notes.kept(2)
    notes.dot(3)
    notes.answer(3, Stage.DOT, OK, "")
    notes.answer(4, Stage.RCPT, NOBODY, "")
    notes.answer(5, Stage.DOT, None, 'lost "here"')

    assert journal.read(tmp_path, token) == {
        1: JournalEntry(),
        3: JournalEntry(Stage.DOT, OK),
        4: JournalEntry(Stage.RCPT, NOBODY),
        5: JournalEntry(Stage.DOT, None, 'lost "here"'),
    }
    notes.discard()
    assert list(tmp_path.iterdir()) == []
    assert journal.read(tmp_path, token) is None


def test_a_full_one_is_written_anew_without_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FIRST_BYTES", 1000)
    token = uuid.uuid4()
    notes = Journal(tmp_path, token)
    for number in range(1, 2001):
        notes.dot(number)
        notes.answer(number, Stage.DOT, OK, "")
        if number % 10 == 0:
            notes.recorded(range(1, number - 4))
            known = journal.read(tmp_path, token)
            assert known is not None
            assert {number - 3, number} <= known.keys()
    assert notes.path.stat().st_size < 10_000

    for number in range(3000, 3200):  # Nothing of this is recorded: it grows.
        notes.dot(number)
    known = journal.read(tmp_path, token)
    assert known is not None
    assert known.keys() >= {*range(1996, 2001), *range(3000, 3200)}


@pytest.mark.parametrize("torn", [b'{"dot": 9', b'\0\0ot": 9}\n', b'{"dot"\0\0\0\n', b'[9, "message", "'])
def test_a_line_that_was_cut_is_left_out(tmp_path: Path, torn: bytes) -> None:
    token = uuid.uuid4()
    notes = Journal(tmp_path, token)
    notes.dot(8)
    notes.close()
    whole = notes.path.read_bytes().rstrip(b"\0")
    notes.path.write_bytes((whole + torn).ljust(500, b"\0"))

    assert journal.read(tmp_path, token) == {8: JournalEntry()}


def test_what_was_noted_survives_being_killed(tmp_path: Path) -> None:
    token = uuid.uuid4()
    code = f"""
import os, signal, uuid
from pathlib import Path
from delivery.outcomes.journal import Journal
notes = Journal(Path({str(tmp_path)!r}), uuid.UUID({str(token)!r}))
for number in range(1, 10_001):
    notes.dot(number)
    if number == 9_999:
        notes.composing(77)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)

    assert done.returncode == -signal.SIGKILL
    known = journal.read(tmp_path, token)
    assert known is not None
    assert known.keys() >= {9_999, 10_000}
    assert len(known) == 10_000
    assert journal.in_progress(tmp_path, token).attempt_id == 77


def test_its_time_tells_that_the_worker_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "TOUCH_SECONDS", 0.0)
    token = uuid.uuid4()
    notes = Journal(tmp_path, token)
    os.utime(notes.path, (1.0, 1.0))
    notes.dot(1)

    assert journal.last_written(tmp_path, token) > 1_000_000_000
