"""A worker that is killed in the middle of an import, as a real process with the real database."""

import datetime as dt
import os
import signal

import pytest
from django.db.models.functions import Now

from contacts.models import ConsentEvent, Contact, ContactImport, ContactList, Subscription
from contacts.transfer import import_contacts
from tests.contacts.files import started
from tests.harness.children import Child

ROWS = 40_000


@pytest.mark.django_db(transaction=True)
def test_after_a_kill_the_import_ends_with_everybody_once() -> None:
    people = ContactList.objects.create(name="People")
    rows = "".join(f"p{number}@example.org,P{number}\n" for number in range(ROWS))
    contact_import = started(f"email,first_name\n{rows}nobody,X\n", [people])

    worker = Child(lambda: import_contacts.import_people(contact_import.pk, dt.datetime.now(tz=dt.UTC)))
    while ContactImport.objects.get().rows_read == 0:
        assert worker.is_running, "the worker ended before anything was read"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    contact_import.refresh_from_db()
    assert 0 < contact_import.rows_read < ROWS
    assert contact_import.status == "running"
    assert Contact.objects.count() == contact_import.rows_added == contact_import.rows_read
    assert ConsentEvent.objects.count() == contact_import.subscribed == contact_import.rows_read
    assert import_contacts.find_unclaimed() == []  # Nobody knows yet that the worker is dead.
    ContactImport.objects.update(seen_at=Now() - import_contacts.HEARTBEAT_TIMEOUT - dt.timedelta(seconds=1))
    assert import_contacts.find_unclaimed() == [contact_import.pk]
    import_contacts.import_people(contact_import.pk, dt.datetime.now(tz=dt.UTC))

    contact_import.refresh_from_db()
    assert contact_import.status == "finished"
    assert (contact_import.rows_added, contact_import.rows_known, contact_import.rows_refused) == (ROWS, 0, 1)
    assert contact_import.refused_rows.count() == 1
    assert contact_import.subscribed == ROWS
    assert contact_import.refused_rows.get().line_number == ROWS + 2
    assert Contact.objects.count() == Subscription.objects.count() == ConsentEvent.objects.count() == ROWS
