"""The people of the first list: pasted text as rows for an import, and the user alone."""

import csv
import datetime as dt
import io
import re

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils.translation import gettext as _

from contacts import tasks
from contacts.consent import changes
from contacts.models import Contact, ContactImport, ContactList
from contacts.transfer import uploads
from contacts.transfer.csv_file import look
from mail.addresses import AddressInvalid, fold, parse_mailbox, read_address

COLUMNS = ("email", "first_name", "last_name")
LINES = re.compile(r"[\n\r]+")
CELLS = re.compile(r"[\t,;]")

Row = tuple[str, str, str]  # Address, first and last name.


def read(pasted: str) -> list[Row]:
    """Return a row for each entry; text that is no address stands in the address's place. Takes linear time."""
    return [row for line in LINES.split(pasted) for row in _rows(line)]


def _rows(line: str) -> list[Row]:
    if row := _row_of_cells(line):
        return [row]
    pieces = (" ".join(piece.split()).strip(" ,") for part in line.split(";") for piece in _entries(part))
    return [_row(piece) for piece in pieces if piece]


def _row_of_cells(line: str) -> Row | None:
    """Return the row of a line from a spreadsheet: an address, and before or behind it a name in one or two cells."""
    if line.count("@") != 1 or "<" in line:
        return None
    cells = [cell for cell in (" ".join(text.split()).strip("\"'") for text in CELLS.split(line)) if cell]
    [address] = [cell for cell in cells if "@" in cell]
    names = [cell for cell in cells if cell != address]
    if len(names) == 1:
        names = names[0].split(" ", 1)
    if not names or len(names) > 2 or " " in names[0] or not _is_usable(address):
        return None  # Or nobody knows which cell is the name.
    return address, names[0], "".join(names[1:])


def _entries(line: str) -> list[str]:
    """Split a line at its commas, but not at one within a name."""
    runs = re.split(r"([<>])", line)
    for number, run in enumerate(runs):
        if number and runs[number - 1] == ">" and run.lstrip().startswith(","):
            run = run.replace(",", "\n", 1)
        before, at, after = run.rpartition("@")
        runs[number] = before.replace(",", "\n") + at + after
    return "".join(runs).split("\n")


def _row(piece: str) -> Row:
    try:
        box = parse_mailbox(piece)
    except AddressInvalid:
        return piece, "", ""  # The import refuses it and says why.
    last, comma, first = box.name.partition(",")
    if not comma:
        first, _space, last = box.name.partition(" ")
    return box.address, first.strip(), last.strip()


def unusable(rows: list[Row]) -> list[str]:
    """Return the entries that hold no address, which the import leaves out."""
    return [entry for entry, _first, _last in rows if not _is_usable(entry)]


def _is_usable(entry: str) -> bool:
    try:
        read_address(entry)
    except AddressInvalid:
        return False
    return True


def import_pasted(rows: list[Row], contact_list: ContactList, consent: str, user: User) -> ContactImport:
    """Start the import of pasted people; a worker does it within seconds."""
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    content = text.getvalue().encode()
    file = ContentFile(content, name=_("Pasted addresses"))
    layout = look(io.BytesIO(content), "utf-8", ",")
    with transaction.atomic():
        draft = uploads.store(file, layout, user)
        uploads.start(draft, layout, COLUMNS, lists=[contact_list], consent=consent)
        transaction.on_commit(lambda: tasks.ring(draft.pk), robust=True)
    return draft


def subscribe_only(user: User, contact_list: ContactList, now: dt.datetime) -> None:
    """Put the user alone onto the list.

    :raises AddressInvalid: if the user has no usable address.
    """
    address = parse_mailbox(user.email).address
    with transaction.atomic():
        contact, _is_new = Contact.objects.get_or_create(
            email_key=fold(address),
            defaults={"email": address, "first_name": user.first_name, "last_name": user.last_name},
        )
        changes.subscribe(
            contact,
            contact_list,
            method="admin",
            source=f"admin: {user}",
            now=now,
            wording=changes.wording_of(contact_list),
        )
