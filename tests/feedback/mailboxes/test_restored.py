"""Mailboxes of a restored copy: nothing is read while it waits, and afterwards what the original read meanwhile."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from delivery import identity
from delivery.models import Installation
from delivery.operators import restored_copy
from feedback import tasks
from feedback.models import Mailbox
from tests.feedback.mailboxes.conftest import NOW

DAY = dt.timedelta(days=1)


@pytest.mark.parametrize("answer", [Installation.Answer.MAY_HAVE_SENT, Installation.Answer.STOOD_STILL])
@pytest.mark.django_db(transaction=True)
def test_a_copy_reads_no_mailbox_and_later_the_done_folder_again(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path, answer: str
) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(identity, "_process", identity._Process())
    identity.why_held(NOW)
    Installation.objects.update(identity="another database", raised_at=NOW)
    monkeypatch.setattr(identity, "_process", identity._Process())
    mailbox = Mailbox.objects.create(
        name="Bounces", host="10.1.2.3", username="ann", last_uid=7, polled_at=NOW - dt.timedelta(hours=1)
    )
    never_read = Mailbox.objects.create(name="Never read", host="10.1.2.3", username="bob")

    tasks.poll_mailboxes()
    mailbox.refresh_from_db()
    assert (mailbox.due_at, mailbox.last_error) == (None, "")  # It was not even tried.
    restored_copy.answer(answer)
    assert restored_copy.carry_on(NOW)

    mailbox.refresh_from_db()
    never_read.refresh_from_db()
    assert mailbox.reread_since == NOW - dt.timedelta(hours=1) - DAY
    assert never_read.reread_since is None
    tasks.poll_mailboxes()
    mailbox.refresh_from_db()
    assert "private network" in mailbox.last_error
