"""Raw reports that name a person, to be deleted with everything else about them."""

import re

from contacts.privacy.redaction import Pattern
from encryption.keys import SecretUnreadable
from feedback.intake.store import content_of
from feedback.models import RawReport
from feedback.reports.reader import Reader, Unreadable

AT_ONCE = 20  # Rows in memory; each may have some megabytes.
# Marks of texts that hide an address from a plain search: transfer encodings, encoded words, escapes of JSON and forms.
_ENCODED = re.compile(rb"base64|quoted-printable|=\?|\\u|%40", re.IGNORECASE)


def naming(pattern: Pattern) -> list[int]:
    """Return the raw reports whose decoded text contains one of the addresses.

    A text that cannot be decoded within the limits is searched as it stands. One that waits is left to the worker,
    which keeps nothing of an erased person: a request may hold other people's events.
    """
    found = []
    with Reader() as reader:
        read = RawReport.objects.exclude(state=RawReport.State.WAITING)
        for raw in read.order_by("pk").iterator(chunk_size=AT_ONCE):
            try:
                content = content_of(raw)
            except SecretUnreadable:  # Nobody can read it.
                continue
            text = content.decode("utf-8", "replace")
            if pattern.finds(text) or (_ENCODED.search(content) and _finds_decoded(pattern, raw, content, reader)):
                found.append(raw.pk)
    return found


def _finds_decoded(pattern: Pattern, raw: RawReport, content: bytes, reader: Reader) -> bool:
    text = reader.text_of(raw.provider, content)
    return not isinstance(text, Unreadable) and pattern.finds(text)
