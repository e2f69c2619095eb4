"""Uploaded files: private, remembered, and cleared away when nobody needs them any more."""

import datetime as dt
import os
from pathlib import Path

import pytest
from django.conf import settings

from contacts.models import ContactImport, ContactList
from contacts.transfer import uploads
from contacts.transfer.import_contacts import import_people
from contacts.transfer.uploads import remove_abandoned
from tests.contacts.files import people, started, stored

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)


def test_the_stored_file_is_private_and_gone_after_the_import(news: ContactList) -> None:
    contact_import = started(people(1), [news], name="../../etc/passwd\x00.csv")
    path = uploads.stored_path(contact_import)

    assert contact_import.file_name == "passwd.csv"
    assert path.parent == Path(settings.DATA_DIR) / "imports"
    assert path.stat().st_mode & 0o777 == 0o600
    import_people(contact_import.pk, dt.datetime.now(dt.UTC))
    assert not path.exists()


def test_files_that_belong_to_no_import_are_removed_after_a_day(news: ContactList) -> None:
    wanted = started(people(1), [news])
    orphan = uploads.folder() / "orphan.csv"
    orphan.write_text("x")
    fresh = uploads.folder() / "fresh.csv"
    fresh.write_text("x")
    leftovers = [uploads.folder() / name for name in ("orphan.refusals", "orphan.refusals.4711")]
    needed = uploads.refusals_path(wanted)
    for path in (*leftovers, needed):
        path.write_bytes(b"")
    now = dt.datetime.now(tz=dt.UTC)
    two_days_ago = (now - dt.timedelta(days=2)).timestamp()
    for path in (orphan, uploads.stored_path(wanted), *leftovers, needed):
        os.utime(path, (two_days_ago, two_days_ago))

    assert remove_abandoned(now) == 3

    assert sorted(path.name for path in uploads.folder().iterdir()) == sorted(
        ["fresh.csv", wanted.stored_name, needed.name]
    )


def test_a_draft_nobody_came_back_to_goes_with_its_file_and_no_sooner() -> None:
    draft = stored(people(1))
    now = dt.datetime.now(tz=dt.UTC)

    assert remove_abandoned(now + dt.timedelta(hours=23)) == 0
    os.utime(uploads.stored_path(draft), (now.timestamp(), now.timestamp()))
    assert remove_abandoned(now + dt.timedelta(hours=25)) == 2

    assert not ContactImport.objects.exists()
    assert not list(uploads.folder().iterdir())
