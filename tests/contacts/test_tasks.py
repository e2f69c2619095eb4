"""The worker's errands: a slice of an import at a time, and the sweep that loses none."""

from pathlib import Path

import pytest
from django.conf import settings

from contacts import tasks
from contacts.models import Contact, ContactList
from contacts.transfer import import_contacts
from contacts.transfer.import_contacts import BATCH_ROWS
from tests.contacts.files import people, started


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    imports: list[int] = []
    monkeypatch.setattr(tasks, "ring", imports.append)
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    monkeypatch.setattr(import_contacts, "POSTGRES_BATCH_ROWS", BATCH_ROWS)
    return imports


def test_a_long_import_gives_the_slot_back_and_rings_for_the_rest(
    news: ContactList, rung: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    contact_import = started(people(BATCH_ROWS + 1), [news])
    monkeypatch.setattr(tasks, "SLICE_SECONDS", -1.0)

    tasks.import_people(contact_import.pk)
    assert (rung, Contact.objects.count()) == ([contact_import.pk], BATCH_ROWS)

    tasks.import_people(contact_import.pk)
    tasks.import_people(contact_import.pk)
    tasks.import_people(contact_import.pk)
    contact_import.refresh_from_db()
    assert contact_import.status == "finished"
    assert Contact.objects.count() == contact_import.rows_added == BATCH_ROWS + 1


def test_the_sweep_rings_for_an_import_whose_hint_was_lost(news: ContactList, rung: list[int]) -> None:
    contact_import = started(people(1), [news])

    tasks.sweep_imports()

    assert rung == [contact_import.pk]
    tasks.import_people(contact_import.pk)
    tasks.sweep_imports()
    assert rung == [contact_import.pk]
