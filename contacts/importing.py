"""Taking people in from an uploaded CSV file, a batch at a time, so that every interruption is harmless.

A batch of people, its refused rows and the progress are one transaction: a worker that dies leaves whole batches
behind, and the next one goes on at the row after them. People who are there already keep what is known about
them, and nobody who withdrew is brought back.
"""

import datetime as dt
import itertools
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files import File
from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from contacts import consent
from contacts.csvfiles import FileRefused, PeopleFile, Person, Refusal, open_text
from contacts.models import Contact, ContactImport, ContactList, RefusedRow
from mail.addresses import fold, normalise

BATCH_ROWS = 2_000
# A worker that gave no sign of life for this long is taken for dead.
SILENCE = dt.timedelta(seconds=60)
# How long a stored file that belongs to no import may lie there: an upload may be under way.
ORPHAN_AGE = dt.timedelta(days=1)

BROKEN = (
    "The import stopped at an error of the program, which is in its log. The people read so far were kept;"
    " upload the file again to go on."
)
LIST_GONE = "The list was deleted while the file was read; upload it again into another list."

LANGUAGES = frozenset(code for code, _ in settings.LANGUAGES)


class ImportTakenOver(Exception):
    """Another worker has taken the import up meanwhile; this one must not write any more."""


def folder() -> Path:
    path = Path(settings.DATA_DIR) / "imports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def store(upload: "File[bytes]", contact_list: ContactList, actor: User | None) -> ContactImport:
    """Keep the uploaded file under a random name and return the import, not yet saved, that waits for a worker."""
    stored_name = f"{secrets.token_hex(16)}.csv"
    # Readable by nobody else: these are people's addresses.
    descriptor = os.open(folder() / stored_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    with open(descriptor, "wb") as file:
        for chunk in upload.chunks():
            file.write(chunk)
    name = "".join(c for c in Path(upload.name or "").name if c.isprintable())
    return ContactImport(
        file_name=name[:255] or "people.csv",
        stored_name=stored_name,
        size_bytes=upload.size or 0,
        list=contact_list,
        created_by=actor,
    )


def import_people(import_id: int, now: dt.datetime, should_pause: Callable[[], bool] = lambda: False) -> bool:
    """Go on with an import; return whether another call is needed because ``should_pause`` became true.

    Only one worker at a time has an import in hand; whoever comes second returns at once. Repeating it at any
    time is harmless.
    """
    if not _take_up(import_id, now):
        return False
    contact_import = ContactImport.objects.select_related("list").get(pk=import_id)
    try:
        is_done = _read(contact_import, now, should_pause)
    except ImportTakenOver:
        return False
    except FileRefused as error:
        _end(contact_import, ContactImport.Status.FAILED, str(error)[:500])
        return False
    except OperationalError:
        raise  # The database is away or busy; the import stays as it is and is found neglected later.
    except Exception:
        _end(contact_import, ContactImport.Status.FAILED, BROKEN)
        raise
    if is_done:
        _end(contact_import, ContactImport.Status.FINISHED)
    else:
        ContactImport.objects.filter(pk=import_id, run=contact_import.run).update(seen_at=None)
    return not is_done


def find_neglected() -> list[int]:
    """Return the imports that wait for a worker: their hint was lost, or the worker who had them died."""
    return list(ContactImport.objects.filter(_is_free()).order_by("created_at").values_list("pk", flat=True))


def remove_orphans(now: dt.datetime) -> int:
    """Delete stored files that belong to no import still to be read; return how many."""
    wanted = set(
        ContactImport.objects.filter(
            status__in=[ContactImport.Status.WAITING, ContactImport.Status.RUNNING]
        ).values_list("stored_name", flat=True)
    )
    removed = 0
    for path in folder().glob("*.csv"):
        age = now - dt.datetime.fromtimestamp(path.stat().st_mtime, tz=dt.UTC)
        if path.name not in wanted and age > ORPHAN_AGE:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _is_free() -> Q:
    return Q(status=ContactImport.Status.WAITING) | (
        Q(status=ContactImport.Status.RUNNING) & (Q(seen_at=None) | Q(seen_at__lt=Now() - SILENCE))
    )


def _take_up(import_id: int, now: dt.datetime) -> bool:
    taken = ContactImport.objects.filter(_is_free(), pk=import_id).update(
        status=ContactImport.Status.RUNNING, run=F("run") + 1, seen_at=Now()
    )
    ContactImport.objects.filter(pk=import_id, started_at=None).update(started_at=now)
    return taken == 1


def _end(contact_import: ContactImport, status: ContactImport.Status, error: str = "") -> None:
    """Close the import and delete its file: the people in it are stored, or will be uploaded again."""
    ContactImport.objects.filter(pk=contact_import.pk, run=contact_import.run).update(
        status=status, error=error, seen_at=None, finished_at=Now()
    )
    (folder() / contact_import.stored_name).unlink(missing_ok=True)


def _read(contact_import: ContactImport, now: dt.datetime, should_pause: Callable[[], bool]) -> bool:
    """Take in the rows that were not read yet; return whether the end of the file was reached."""
    list_id = contact_import.list_id
    if list_id is None:
        raise FileRefused(LIST_GONE)
    path = folder() / contact_import.stored_name
    if not path.exists():
        raise FileRefused("The uploaded file is no longer there; upload it again.")
    with path.open("rb") as binary, open_text(binary) as text:
        rows = itertools.islice(PeopleFile(text), contact_import.rows_read, None)
        while batch := list(itertools.islice(rows, BATCH_ROWS)):
            _take_in(contact_import, list_id, batch, read_bytes=binary.tell(), now=now)
            if should_pause():
                return False
    return True


def _take_in(
    contact_import: ContactImport, list_id: int, batch: list[Person | Refusal], read_bytes: int, now: dt.datetime
) -> None:
    people = [(fold(row.email), row) for row in batch if isinstance(row, Person)]
    refusals = [row for row in batch if isinstance(row, Refusal)]
    with transaction.atomic():
        ids, added = _save_people(people, now)
        source = f"import: {contact_import.file_name}"
        consent.subscribe_in_bulk(sorted(ids), list_id, method="import", source=source, now=now)
        RefusedRow.objects.bulk_create(
            RefusedRow(
                contact_import=contact_import,
                line_number=refusal.line_number,
                content=refusal.content,
                reason=refusal.reason,
            )
            for refusal in refusals
        )
        _record_progress(contact_import, list_id, len(batch), added, len(people) - added, len(refusals), read_bytes)


def _record_progress(
    contact_import: ContactImport, list_id: int, read: int, added: int, known: int, refused: int, read_bytes: int
) -> None:
    """Count the batch, as the last act of its transaction: what raises here undoes the whole batch."""
    import_row = ContactImport.objects.filter(pk=contact_import.pk, run=contact_import.run)
    counted = import_row.filter(list_id=list_id).update(
        rows_read=F("rows_read") + read,
        rows_added=F("rows_added") + added,
        rows_known=F("rows_known") + known,
        rows_refused=F("rows_refused") + refused,
        read_bytes=read_bytes,
        seen_at=Now(),
    )
    if not counted:
        if import_row.exists():
            raise FileRefused(LIST_GONE)
        raise ImportTakenOver


def _save_people(people: Iterable[tuple[str, Person]], now: dt.datetime) -> tuple[set[int], int]:
    """Add or complete the people; return the ids of all of them, and how many are new.

    Rows are locked and inserted in the order of their keys, so that two imports cannot wait for each other.
    """
    people = list(people)
    keys = {key for key, _ in people}
    known = {
        contact.email_key: contact
        for contact in Contact.objects.select_for_update().filter(email_key__in=keys).order_by("email_key")
    }
    new: dict[str, Contact] = {}
    changed: dict[str, Contact] = {}
    for key, person in people:
        contact = known.get(key) or new.get(key)
        if contact is None:
            new[key] = _make_contact(key, person, now)
        elif _complete(contact, person) and key in known:
            changed[key] = contact
    # The conflict can only be somebody else's insert of the same moment: that row is kept, and its id returned.
    Contact.objects.bulk_create(
        [new[key] for key in sorted(new)],
        update_conflicts=True,
        unique_fields=["email_key"],
        update_fields=["updated_at"],
    )
    # An upsert of rows known to exist: bulk_update builds a CASE for each value and takes ten times as long.
    Contact.objects.bulk_create(
        [changed[key] for key in sorted(changed)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["first_name", "last_name", "language", "attributes", "updated_at"],
    )
    return {contact.pk for contact in (*known.values(), *new.values())}, len(new)


def _make_contact(key: str, person: Person, now: dt.datetime) -> Contact:
    contact = Contact(email=normalise(person.email), email_key=key, created_at=now)
    _complete(contact, person)
    return contact


def _complete(contact: Contact, person: Person) -> bool:
    """Fill what is empty, let the file's attributes replace those of their name; return whether that changed it."""
    changed = False
    for name, value in (
        ("first_name", person.first_name),
        ("last_name", person.last_name),
        ("language", _language_code(person.language)),
    ):
        if value and not getattr(contact, name):
            setattr(contact, name, value)
            changed = True
    merged = contact.attributes | person.attributes
    if merged != contact.attributes:
        contact.attributes = merged
        changed = True
    return changed


def _language_code(text: str) -> str:
    """Return the code of a language we have words for, or nothing: ``de-AT`` is ``de``, ``xx`` is left out."""
    code = text.lower().replace("_", "-").partition("-")[0]
    return code if code in LANGUAGES else ""
