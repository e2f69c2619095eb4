"""Uploaded CSV files: private storage, preview for the mapping page, and removal.

An upload is a draft until its columns are mapped; abandoned drafts are deleted.
"""

import datetime as dt
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files import File
from django.db import transaction

from contacts.models import Attribute, ContactImport, ContactList
from contacts.transfer.columns import ATTRIBUTE
from contacts.transfer.csv_file import CsvLayout, CsvRefused, CsvRow, first_rows, look

# How long a draft, or a stored file without an import, is kept: somebody may be working on it.
KEPT_FOR = dt.timedelta(days=1)
PREVIEWED_ROWS = 5
GONE = "The uploaded file is no longer there; upload it again."

Status = ContactImport.Status


def folder() -> Path:
    path = Path(settings.FILES_DIR or settings.DATA_DIR) / "imports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def stored_path(contact_import: ContactImport) -> Path:
    return folder() / contact_import.stored_name


def refusals_path(contact_import: ContactImport) -> Path:
    """Return where the refusals of the file are kept while it is imported; see contacts.transfer.refusals."""
    return stored_path(contact_import).with_suffix(".refusals")


def store(upload: "File[bytes]", layout: CsvLayout, actor: User | None) -> ContactImport:
    """Store the uploaded file under a random name, and return the draft of its import."""
    stored_name = f"{secrets.token_hex(16)}.csv"
    # Readable by no other user: these are people's addresses.
    descriptor = os.open(folder() / stored_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    with open(descriptor, "wb") as file:
        for chunk in upload.chunks():
            file.write(chunk)
    name = "".join(c for c in Path(upload.name or "").name if c.isprintable())
    return ContactImport.objects.create(
        file_name=name[:255] or "people.csv",
        stored_name=stored_name,
        size_bytes=upload.size or 0,
        status=Status.DRAFT,
        encoding=layout.encoding,
        delimiter=layout.delimiter,
        headings=list(layout.headings),
        created_by=actor,
    )


def preview(contact_import: ContactImport, encoding: str = "", delimiter: str = "") -> tuple[CsvLayout, list[CsvRow]]:
    """Return the layout of the stored file, and its first rows.

    :param encoding: overrides the import's encoding; ``delimiter`` likewise.
    :raises CsvRefused: if it cannot be read with these, or no longer exists.
    """
    try:
        with stored_path(contact_import).open("rb") as file:
            layout = look(file, encoding or contact_import.encoding, delimiter or contact_import.delimiter)
            return layout, first_rows(file, layout, PREVIEWED_ROWS)
    except FileNotFoundError:
        raise CsvRefused(GONE) from None


def remembered(headings: Sequence[str]) -> ContactImport | None:
    """Return the last import of a file with these headings: what it chose is proposed again."""
    before = ContactImport.objects.filter(headings=list(headings)).exclude(mapping=[]).exclude(status=Status.DRAFT)
    return before.order_by("-created_at", "-pk").only("mapping", "meanings", "subscribes_by").first()


def keep_choices(draft: ContactImport, headings: Sequence[str], choices: Mapping[str, Sequence[str]]) -> None:
    """Keep what was chosen and typed so far on the page of columns, until the import starts."""
    kept = {"headings": list(headings), "fields": {name: list(values) for name, values in choices.items()}}
    ContactImport.objects.filter(pk=draft.pk, status=Status.DRAFT).update(choices=kept)


def start(
    contact_import: ContactImport,
    layout: CsvLayout,
    mapping: Sequence[str],
    *,
    lists: Sequence[ContactList] = (),
    policy: str = ContactImport.Policy.FILL,
    consent: str = "",
    date_order: str = "",
    kinds: Mapping[str, str] | None = None,
    meanings: Mapping[str, Mapping[str, str]] | None = None,
    subscribes_by: int | None = None,
) -> bool:
    """Hand a draft with its settings to the worker; return whether it was still a draft.

    New attributes are defined now: who may import may also use what came in.

    :param mapping: the field of each column, validated by contacts.transfer.columns.
    :param kinds: the kinds of new attributes, by name; all others are text.
    :param meanings: see contacts.transfer.contact_row, like ``subscribes_by``.
    """
    with transaction.atomic():
        started = ContactImport.objects.filter(pk=contact_import.pk, status=Status.DRAFT).update(
            status=Status.WAITING,
            encoding=layout.encoding,
            delimiter=layout.delimiter,
            headings=list(layout.headings),
            mapping=list(mapping),
            lists=[[each.pk, each.name] for each in lists],
            policy=policy,
            consent=consent,
            date_order=date_order,
            meanings=meanings or {},
            subscribes_by=subscribes_by,
            choices={},
        )
        if started:
            _define_attributes(layout.headings, mapping, kinds or {})
    return started == 1


def _define_attributes(headings: Sequence[str], mapping: Sequence[str], kinds: Mapping[str, str]) -> None:
    names = {
        target.removeprefix(ATTRIBUTE): heading
        for heading, target in zip(headings, mapping, strict=True)
        if target.startswith(ATTRIBUTE)
    }
    known = set(Attribute.objects.filter(name__in=names).values_list("name", flat=True))
    Attribute.objects.bulk_create(
        [
            Attribute(name=name, label=heading[:100] or name, kind=kinds.get(name, Attribute.Kind.TEXT))
            for name, heading in names.items()
            if name not in known
        ],
        ignore_conflicts=True,
    )


def discard_file(contact_import: ContactImport) -> None:
    stored_path(contact_import).unlink(missing_ok=True)
    refusals_path(contact_import).unlink(missing_ok=True)


def remove_abandoned(now: dt.datetime) -> int:
    """Delete abandoned drafts, and files without an import; return their number."""
    removed, _ = ContactImport.objects.filter(status=Status.DRAFT, created_at__lt=now - KEPT_FOR).delete()
    wanted = set(
        ContactImport.objects.filter(status__in=[Status.DRAFT, Status.WAITING, Status.RUNNING]).values_list(
            "stored_name", flat=True
        )
    )
    for path in [*folder().glob("*.csv"), *folder().glob("*.refusals*")]:
        age = now - dt.datetime.fromtimestamp(path.stat().st_mtime, tz=dt.UTC)
        if f"{path.name.partition('.')[0]}.csv" not in wanted and age > KEPT_FOR:
            path.unlink(missing_ok=True)
            removed += 1
    return removed
