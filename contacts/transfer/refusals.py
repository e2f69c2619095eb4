"""The refusals of a file of people, known before its first row is imported: one is enough, in whatever row it stands.

A row is imported with its batch, and a refusal may stand batches later. So the file is read once for its refusals
alone. They are kept as digests, 8 bytes each: a file with millions of them fits into memory. No database is involved.
"""

import hashlib
import os
import secrets
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from contacts.transfer.contact_row import COUNT_CLICKS, COUNT_OPENS, MAIL, ContactRow, RowParser
from contacts.transfer.csv_file import CsvRow


class Refusals:
    """Who refuses what in a file, by folded address.

    :param digests: one of each refusal, sorted.
    """

    def __init__(self, digests: "array[int]") -> None:
        self._digests = digests

    def of_mail(self, key: str) -> bool:
        """Return whether a row says that the person does not want to be subscribed."""
        return self._has(MAIL, key)

    def applied_to(self, person: ContactRow) -> ContactRow:
        """Return the person with the refusals of other rows to have opens and clicks counted."""
        if not self._digests:
            return person
        opens = False if self._has(COUNT_OPENS, person.key) else person.opens
        clicks = False if self._has(COUNT_CLICKS, person.key) else person.clicks
        return person._replace(opens=opens, clicks=clicks)

    def save(self, path: Path) -> None:
        """Keep them in a file of that name, which is whole or does not exist."""
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        try:
            # Readable by no other user, like the file of people.
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o600)
            with open(descriptor, "wb") as file:
                file.write(self._digests.tobytes())
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _has(self, topic: str, key: str) -> bool:
        if not self._digests:
            return False
        wanted = _digest(topic, key)
        at = bisect_left(self._digests, wanted)
        return at < len(self._digests) and self._digests[at] == wanted


def find(rows: Iterable[CsvRow], parse: RowParser) -> Refusals:
    """Return the refusals in these rows."""
    digests = array("Q", (_digest(topic, key) for row in rows for topic, key in parse.refusals(row)))
    return Refusals(array("Q", sorted(digests)))


def load(path: Path) -> Refusals | None:
    """Return what :meth:`Refusals.save` kept; None if nothing was."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return Refusals(array("Q", content))


def _digest(topic: str, key: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{topic} {key}".encode(), digest_size=8).digest())


NO_REFUSALS = Refusals(array("Q"))
