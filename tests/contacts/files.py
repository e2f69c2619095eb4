"""Files of people on their way in, for tests: uploaded, and started with what the form would propose."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile

from contacts.models import Attribute, ContactImport, ContactList
from contacts.transfer import uploads
from contacts.transfer.columns import propose
from contacts.transfer.csv_file import look


def people(count: int) -> str:
    return "email,first_name\n" + "".join(f"p{number}@example.org,P{number}\n" for number in range(count))


def stored(content: str | bytes, *, actor: User | None = None, name: str = "people.csv") -> ContactImport:
    """Return the draft of an uploaded file."""
    upload = SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)
    return uploads.store(upload, look(upload.file), actor)


def started(
    content: str | bytes,
    lists: Sequence[ContactList] = (),
    *,
    actor: User | None = None,
    name: str = "people.csv",
    **decided: Any,
) -> ContactImport:
    """Return an import that waits for a worker, its columns mapped as proposed."""
    draft = stored(content, actor=actor, name=name)
    layout, _ = uploads.preview(draft)
    mapping = propose(layout.headings, dict(Attribute.objects.values_list("name", "label")))
    assert uploads.start(draft, layout, mapping, lists=lists, **decided)
    draft.refresh_from_db()
    return draft


def figures(contact_import: ContactImport) -> tuple[int, int, int, int]:
    """Return how many rows were read, and how many of them were new, known, refused."""
    contact_import.refresh_from_db()
    return (
        contact_import.rows_read,
        contact_import.rows_added,
        contact_import.rows_known,
        contact_import.rows_refused,
    )
