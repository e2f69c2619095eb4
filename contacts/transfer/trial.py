"""A trial run of an import: what it would add, change, leave out and refuse. Writes nothing."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from contacts.models import ContactImport
from contacts.transfer import bulk_store, refusals
from contacts.transfer.contact_row import RowParser
from contacts.transfer.csv_file import CsvLayout, CsvRefused, Rows
from contacts.transfer.import_contacts import BATCH_ROWS, due_consents, merge_or_note, parser, read_batch, refuse_erased
from contacts.transfer.reasons import Reasons
from contacts.transfer.refusals import NO_REFUSALS, Refusals
from contacts.transfer.uploads import GONE, stored_path

# Somebody waits for the page: of a larger file only the beginning is tried.
MOST_ROWS = 50_000
MOST_CHARACTERS = 20_000_000


@dataclass
class Trial:
    """What an import would do; each row is new, known or refused."""

    rows: int = 0
    added: int = 0
    known: int = 0
    updated: int = 0  # People among the known whom the file would change.
    refused: int = 0
    cells_left_out: int = 0
    not_subscribed: int = 0  # Rows that come in, and whose column does not say that they agreed.
    reasons: Reasons = field(default_factory=Reasons)
    is_whole: bool = True  # False: the file goes on.


def try_out(draft: ContactImport, layout: CsvLayout, new_kinds: Mapping[str, str]) -> Trial:
    """Return what the import would do with the settings that ``draft`` has in memory.

    :param new_kinds: the kinds of attributes that the import would define, by name.
    :raises CsvRefused: if the file cannot be read with that layout, or no longer exists.
    """
    trial = Trial()
    parse = parser(draft, new_kinds)
    met: set[str] = set()
    updated: set[str] = set()
    try:
        file = stored_path(draft).open("rb")
    except FileNotFoundError:
        raise CsvRefused(GONE) from None
    with file:
        refused = _refusals_of_beginning(file, layout, parse) if parse.asks_consent else NO_REFUSALS
        rows = Rows(file, layout)
        while (batch := read_batch(rows, parse, draft.policy, BATCH_ROWS, refused)).rows:
            refuse_erased(batch)
            stored = bulk_store.find_known(batch.people)
            for key, known in stored.items():
                if merge_or_note(known, batch.people[key], draft.policy, batch.lines[key], batch) is not known:
                    updated.add(key)
            told = {key: batch.people[key] for key in stored}
            updated |= due_consents(told, stored, draft).keys()
            new = batch.people.keys() - stored.keys() - met
            met |= new
            trial.rows += batch.rows
            trial.added += len(new)
            trial.refused += sum(not refusal.left_out for refusal in batch.refusals)
            trial.cells_left_out += sum(refusal.left_out for refusal in batch.refusals)
            trial.not_subscribed += batch.not_subscribed()
            trial.reasons.add(batch.refusals)
            if trial.rows >= MOST_ROWS or rows.characters >= MOST_CHARACTERS:
                trial.is_whole = not read_batch(rows, parse, draft.policy, 1, refused).rows
                break
    trial.known = trial.rows - trial.added - trial.refused
    trial.updated = len(updated)
    return trial


def _refusals_of_beginning(file: BinaryIO, layout: CsvLayout, parse: RowParser) -> Refusals:
    """Return the refusals of the rows that are tried; rewinds the file."""
    rows = Rows(file, layout)
    tried = itertools.takewhile(lambda _row: rows.characters < MOST_CHARACTERS, itertools.islice(rows, MOST_ROWS))
    try:
        return refusals.find(tried, parse)
    finally:
        rows.close()
        file.seek(0)
