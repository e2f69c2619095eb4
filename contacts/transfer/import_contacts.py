"""Import of people from an uploaded CSV file, batch by batch, so that every interruption is harmless.

A batch of people, its refused rows and the progress are one transaction. If a worker dies, whole batches remain, and
the next worker continues at the row after them without reading the file from its start. The import's policy decides
what the file may change about known people; nobody who withdrew is subscribed again.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from contacts.consent import changes, tracking
from contacts.models import Attribute, Contact, ContactImport
from contacts.privacy.erasure import is_erased
from contacts.transfer import bulk_store, refusals
from contacts.transfer.contact_row import (
    SKIPPED,
    ContactRow,
    Fault,
    RowParser,
    RowRefusal,
    TooMuchKnown,
    merge,
    stricter,
)
from contacts.transfer.csv_file import CsvLayout, CsvRefused, CsvRow, Rows
from contacts.transfer.reasons import Reasons
from contacts.transfer.refusals import NO_REFUSALS, Refusals
from contacts.transfer.uploads import GONE, discard_file, refusals_path, stored_path
from db.costs import commit_asynchronously
from db.dialect import is_postgresql
from db.locks import prevent_deletion
from words.texts import joined
from words.texts import text as _

# On SQLite all other writers wait for a batch; on PostgreSQL a larger batch costs less per row.
BATCH_ROWS = 2_000
POSTGRES_BATCH_ROWS = 5_000
BATCH_CHARACTERS = 2_000_000  # Ends a batch early if its rows are very long.
# A worker without a heartbeat for this long counts as dead.
HEARTBEAT_TIMEOUT = dt.timedelta(seconds=60)
ROWS_OF_A_HEARTBEAT = 50_000  # While a file is read for its refusals.

BROKEN = (
    "The import stopped at an error of the program, which is in its log. The people read so far were kept;"
    " upload the file again to go on."
)
LIST_GONE = "The list “{name}” was deleted while the file was read; upload it again into another list."
UNMAPPED = "The file was uploaded before the program was updated; upload it again and say what its columns are."
ERASED = _("This person had everything about them erased, and asked to be kept out.")

LANGUAGES = frozenset(code for code, _ in settings.LANGUAGES)
Status = ContactImport.Status


class ImportTakenOver(Exception):
    """Another worker claimed the import meanwhile, or it was cancelled; this worker must not write any more."""


@dataclass
class RowBatch:
    """Some parsed rows of the file, and the position after them."""

    rows: int = 0
    people: dict[str, ContactRow] = field(default_factory=dict)  # By folded address.
    lines: dict[str, int] = field(default_factory=dict)  # The first row of each person.
    prepared: bulk_store.Prepared = bulk_store.NO_PEOPLE
    more_lines: dict[str, list[int]] = field(default_factory=dict)  # Further rows of the same people.
    agreed: set[str] = field(default_factory=set)  # Whom a row lets subscribe.
    declined: list[str] = field(default_factory=list)  # Of each row that does not, the person.
    refusals: list[RowRefusal] = field(default_factory=list)
    position: str = ""
    lines_read: int = 0
    read_bytes: int = 0

    def not_subscribed(self) -> int:
        """Return the number of its rows that come in without a subscription, by what their column says."""
        return sum(key in self.people for key in self.declined)


def import_people(import_id: int, now: dt.datetime, should_pause: Callable[[], bool] = lambda: False) -> bool:
    """Continue an import; return whether another call is needed because ``should_pause`` became true.

    One worker at a time has the import claimed; a second one returns at once. Safe to repeat at any time.
    """
    if not _claim(import_id, now):
        return False
    contact_import = ContactImport.objects.select_related("created_by").get(pk=import_id)
    try:
        is_done = _read(contact_import, now, should_pause)
    except ImportTakenOver:
        return False
    except CsvRefused as error:
        _end(contact_import, Status.FAILED, str(error)[:500])
        return False
    except OperationalError:
        raise  # The database is down or busy; the import stays as it is, and the sweep finds it later.
    except Exception:
        _end(contact_import, Status.FAILED, BROKEN)
        raise
    if is_done:
        _end(contact_import, Status.FINISHED)
    else:
        ContactImport.objects.filter(pk=import_id, run=contact_import.run).update(seen_at=None)
    return not is_done


def find_unclaimed() -> list[int]:
    """Return the imports that need a worker: their task was lost, or their worker died."""
    return list(ContactImport.objects.filter(_is_unclaimed()).order_by("created_at").values_list("pk", flat=True))


def cancel(import_id: int, now: dt.datetime) -> bool:
    """Cancel an unfinished import and delete its file; return whether there was anything to cancel.

    People added so far stay. The worker stops at its next batch, which it does not store.
    """
    to_stop = ContactImport.objects.filter(pk=import_id, status__in=[Status.DRAFT, Status.WAITING, Status.RUNNING])
    if not to_stop.update(status=Status.CANCELLED, seen_at=None, finished_at=now):
        return False
    discard_file(ContactImport.objects.get(pk=import_id))
    return True


def running_into(lists: Collection[int]) -> list[str]:
    """Return the running imports into any of the lists, as phrases for people."""
    under_way = ContactImport.objects.filter(status__in=[Status.WAITING, Status.RUNNING]).order_by("created_at")
    return [
        gettext("the import of “%(file)s”: wait for its end, or cancel it") % {"file": each.file_name}
        for each in under_way.only("file_name", "lists")
        if any(key in lists for key, _ in each.lists)
    ]


def _is_unclaimed() -> Q:
    # A heartbeat from the future is older than a clock step backwards, and counts as none.
    has_no_heartbeat = (
        Q(seen_at=None) | Q(seen_at__lt=Now() - HEARTBEAT_TIMEOUT) | Q(seen_at__gt=Now() + HEARTBEAT_TIMEOUT)
    )
    return Q(status=Status.WAITING) | (Q(status=Status.RUNNING) & has_no_heartbeat)


def _claim(import_id: int, now: dt.datetime) -> bool:
    claimed = ContactImport.objects.filter(_is_unclaimed(), pk=import_id).update(
        status=Status.RUNNING, run=F("run") + 1, seen_at=Now()
    )
    ContactImport.objects.filter(pk=import_id, started_at=None).update(started_at=now)
    return claimed == 1


def _end(contact_import: ContactImport, status: ContactImport.Status, error: str = "") -> None:
    """Close the import and delete its file: its people are stored, or will be uploaded again."""
    ended = ContactImport.objects.filter(pk=contact_import.pk, run=contact_import.run, status=Status.RUNNING).update(
        status=status, error=error, seen_at=None, finished_at=Now()
    )
    if ended:
        discard_file(contact_import)


# --- reading


def _read(contact_import: ContactImport, now: dt.datetime, should_pause: Callable[[], bool]) -> bool:
    """Import the rows that are left; return whether the end of the file was reached."""
    if not contact_import.mapping:
        raise CsvRefused(UNMAPPED)
    path = stored_path(contact_import)
    if not path.exists():
        raise CsvRefused(GONE)
    parse = parser(contact_import)
    layout = CsvLayout(contact_import.encoding, contact_import.delimiter, tuple(contact_import.headings))
    refused = _find_refusals(contact_import, layout, parse)
    with path.open("rb") as file:
        rows = Rows(file, layout, contact_import.position, contact_import.lines_read)
        for batch in _batches(rows, parse, contact_import.policy, refused):
            _store(contact_import, batch, now)
            if should_pause():
                return False
    return True


def _find_refusals(contact_import: ContactImport, layout: CsvLayout, parse: RowParser) -> Refusals:
    """Return the refusals of the whole file; it is read for them once, before the first batch."""
    if not parse.asks_consent:
        return NO_REFUSALS
    if (kept := refusals.load(refusals_path(contact_import))) is not None:
        return kept
    with stored_path(contact_import).open("rb") as file:
        rows = Rows(file, layout)
        found = refusals.find(_with_heartbeat(rows, contact_import), parse)
    found.save(refusals_path(contact_import))
    return found


def _with_heartbeat(rows: Iterable[CsvRow], contact_import: ContactImport) -> Iterator[CsvRow]:
    """Yield the rows, and say between them that a worker has the import.

    :raises ImportTakenOver: if it no longer has.
    """
    for number, row in enumerate(rows, start=1):
        yield row
        if number % ROWS_OF_A_HEARTBEAT == 0:
            claimed = ContactImport.objects.filter(pk=contact_import.pk, run=contact_import.run, status=Status.RUNNING)
            if not claimed.update(seen_at=Now()):
                raise ImportTakenOver


def parser(contact_import: ContactImport, new_kinds: Mapping[str, str] | None = None) -> RowParser:
    """Return the parser of the import's rows.

    :param new_kinds: the kinds of attributes that are not defined yet, by name.
    """
    kinds: dict[str, tuple[str, list[str]]] = {name: (kind, []) for name, kind in (new_kinds or {}).items()}
    for name, kind, choices in Attribute.objects.values_list("name", "kind", "choices"):
        kinds[name] = (kind, choices)
    order, meanings = contact_import.date_order, contact_import.meanings
    return RowParser(contact_import.mapping, kinds, LANGUAGES, order, meanings, contact_import.subscribes_by)


def _batches(rows: Rows, parse: RowParser, policy: str, refused: Refusals) -> Iterator[RowBatch]:
    """Yield the file in batches. While PostgreSQL, another process, stores one, the next is read."""
    if not is_postgresql():
        # Not ahead: others can write to SQLite while the next batch is read.
        while (batch := read_batch(rows, parse, policy, BATCH_ROWS, refused)).rows:
            yield batch
        return
    with ThreadPoolExecutor(max_workers=1) as reader:
        ahead = reader.submit(read_batch, rows, parse, policy, POSTGRES_BATCH_ROWS, refused)
        while (batch := ahead.result()).rows:
            ahead = reader.submit(read_batch, rows, parse, policy, POSTGRES_BATCH_ROWS, refused)
            yield batch


def read_batch(rows: Rows, parse: RowParser, policy: str, most: int, refused: Refusals) -> RowBatch:
    """Return the next rows, at most so many; none at the end of the file.

    :param refused: what all rows of the file refuse.
    """
    batch = RowBatch()
    people, lines = batch.people, batch.lines
    last_character = rows.characters + BATCH_CHARACTERS
    for row in rows:
        batch.rows += 1
        person, refusal = parse(row)
        if refusal is not None:
            batch.refusals.append(refusal)
        if person is not None:
            person = refused.applied_to(person)
            if parse.is_to_subscribe(row) and not refused.of_mail(person.key):
                batch.agreed.add(person.key)
            else:
                batch.declined.append(person.key)
        if person is None:
            pass
        elif (present := people.get(person.key)) is None:
            people[person.key] = person
            lines[person.key] = row.line_number
        else:
            batch.more_lines.setdefault(person.key, []).append(row.line_number)
            opens, clicks = stricter(present, person)
            merged = merge_or_note(present, person, policy, row.line_number, batch)
            people[person.key] = merged._replace(opens=opens, clicks=clicks)
        if batch.rows >= most or rows.characters >= last_character:
            break
    batch.prepared = bulk_store.prepare(people.values())
    batch.position, batch.lines_read, batch.read_bytes = rows.position, rows.line, rows.read_bytes
    return batch


def merge_or_note(known: ContactRow, told: ContactRow, policy: str, line_number: int, batch: RowBatch) -> ContactRow:
    """Return the known person updated from the file. Of attributes that are too many together none is taken."""
    try:
        return merge(known, told, policy)
    except TooMuchKnown as error:
        reason = joined([SKIPPED, _("With what is known already: %(why)s", why=error)])
        faults = (Fault("too_much", reason),)
        batch.refusals.append(RowRefusal(line_number, [], told.email, reason, left_out=1, faults=faults))
        return merge(known, told._replace(attributes={}), policy)


# --- storing


def _store(contact_import: ContactImport, batch: RowBatch, now: dt.datetime) -> None:
    refuse_erased(batch)
    with transaction.atomic():
        commit_asynchronously()
        lists = _lock_lists(contact_import)
        ids, added, updated = _save_people(batch, contact_import, now)
        if contact_import.subscribes_by is not None:
            agreed = Contact.objects.filter(email_key__in=batch.agreed & batch.people.keys())
            ids = list(agreed.order_by("pk").values_list("pk", flat=True))
        subscribed = sum(
            changes.subscribe_in_bulk(
                ids, list_id, method="import", source=_source(contact_import), now=now, wording=contact_import.consent
            )
            for list_id in lists
        )
        bulk_store.store_refused(contact_import.pk, batch.refusals)
        _record_progress(contact_import, batch, added, updated, subscribed)


def refuse_erased(batch: RowBatch) -> None:
    """Refuse the rows of people who had everything about them erased."""
    erased = is_erased(batch.people)
    lines = {line for key in erased for line in (batch.lines[key], *batch.more_lines.get(key, ()))}
    for key in erased:
        del batch.people[key]
    if erased:
        # Without the cells: nothing about erased people may be kept.
        batch.refusals = [refusal for refusal in batch.refusals if refusal.line_number not in lines]
        faults = (Fault("erased", ERASED),)
        batch.refusals += [RowRefusal(line, [], "(not kept)", ERASED, faults=faults) for line in sorted(lines)]
        batch.prepared = bulk_store.prepare(batch.people.values())


def _lock_lists(contact_import: ContactImport) -> list[int]:
    """Lock the lists against deletion until the transaction ends, and return their keys.

    :raises CsvRefused: if one of them was deleted.
    """
    wanted = dict(contact_import.lists)
    locked = prevent_deletion("contacts_contactlist", list(wanted))
    for pk, name in wanted.items():
        if pk not in locked:
            raise CsvRefused(LIST_GONE.format(name=name))
    return locked


def _save_people(batch: RowBatch, contact_import: ContactImport, now: dt.datetime) -> tuple[list[int], int, int]:
    """Add or update the people; return the sorted ids of all of them, and how many are new and how many changed.

    A person who stands in several batches is counted once: as new, or as changed.
    """
    present = bulk_store.lock_known(batch.prepared, contact_import.started_at or now, now)
    changed = []
    for key, known in present.items():
        merged = merge_or_note(known.person, batch.people[key], contact_import.policy, batch.lines[key], batch)
        if merged is not known.person:
            changed.append(known._replace(person=merged))
    added = bulk_store.add(batch.prepared, present, now)
    bulk_store.change(changed, now)
    decided = due_consents(batch.people, present, contact_import)
    steps = [step for person in decided.values() for step in person]
    tracking.take(steps, method="import", source=_source(contact_import), now=now, wording=contact_import.consent)
    touched = {known.person.key for known in changed} | (decided.keys() & present.keys())
    return (
        sorted([known.contact_id for known in present.values()] + added),
        len(added),
        sum(not present[key].is_counted for key in touched),
    )


def due_consents(
    people: Mapping[str, ContactRow], known: Collection[str], contact_import: ContactImport
) -> dict[str, list[tracking.Step]]:
    """Return what the file changes about the consents to count opens and clicks of stored people, by address.

    Nobody agrees without a word how they did, and a refusal is never undone.
    """
    told: dict[str, tracking.Wishes] = {}
    for key, person in people.items():
        says = {tracking.OPENS: person.opens, tracking.CLICKS: person.clicks}
        wishes = {
            topic: agrees for topic, agrees in says.items() if agrees is False or (agrees and contact_import.consent)
        }
        if wishes and (contact_import.policy != ContactImport.Policy.SKIP or key not in known):
            told[key] = wishes
    return tracking.due(told, overwrites=contact_import.policy == ContactImport.Policy.OVERWRITE) if told else {}


def _source(contact_import: ContactImport) -> str:
    by = f", by {contact_import.created_by.get_username()}" if contact_import.created_by else ""
    # The user matters more than the end of a long file name.
    return f"import: {contact_import.file_name[: 190 - len(by)]}{by}"


def _record_progress(contact_import: ContactImport, batch: RowBatch, added: int, updated: int, subscribed: int) -> None:
    """Store the progress as the last step of the batch's transaction: an error here undoes the whole batch."""
    refused = sum(not refusal.left_out for refusal in batch.refusals)
    reasons = Reasons(contact_import.reasons)
    reasons.add(batch.refusals)
    contact_import.reasons = reasons.stored()
    counted = ContactImport.objects.filter(pk=contact_import.pk, run=contact_import.run, status=Status.RUNNING).update(
        rows_read=F("rows_read") + batch.rows,
        rows_added=F("rows_added") + added,
        rows_known=F("rows_known") + batch.rows - added - refused,
        rows_updated=F("rows_updated") + updated,
        rows_refused=F("rows_refused") + refused,
        cells_left_out=F("cells_left_out") + sum(refusal.left_out for refusal in batch.refusals),
        subscribed=F("subscribed") + subscribed,
        not_subscribed=F("not_subscribed") + (batch.not_subscribed() if contact_import.lists else 0),
        reasons=contact_import.reasons,
        position=batch.position,
        lines_read=batch.lines_read,
        read_bytes=batch.read_bytes,
        seen_at=Now(),
    )
    if not counted:
        raise ImportTakenOver
