"""Counts of why rows were refused and cells left out, for a whole file, with equal reasons together.

The counts are bounded, whatever a file holds. The words for them are with the pages. No database is involved.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from contacts.transfer.contact_row import Fault, RowRefusal, fold_value
from contacts.transfer.csv_file import printable

# A file may have another reason in each row. What comes after these counts together as OTHER.
MOST_REASONS = 1_000
LONGEST_VALUE = 60  # Characters kept of a cell.
ROW, OTHER = "row", "other"


class Reason(NamedTuple):
    """A reason, and the number of rows or cells that it explains."""

    key: str  # See contacts.transfer.contact_row; ROW: the row could not be split into cells.
    target: str
    value: str
    refused: int  # Rows.
    left_out: int  # Cells that it left out of people who came in.

    @property
    def total(self) -> int:
        return self.refused + self.left_out


class Reasons:
    """The counts of one file.

    :param stored: what :meth:`stored` returned for the rows before.
    """

    def __init__(self, stored: Iterable[list[object]] = ()) -> None:
        self._spelled: dict[tuple[str, str, str], str] = {}  # The first spelling of each value.
        self._refused: Counter[tuple[str, str, str]] = Counter()
        self._left_out: Counter[tuple[str, str, str]] = Counter()
        for each in stored:
            reason = Reason(*each)  # type: ignore[arg-type]  # As it was stored.
            key = self._key(reason.key, reason.target, reason.value)
            self._refused[key] += reason.refused
            self._left_out[key] += reason.left_out

    def add(self, refusals: Iterable[RowRefusal]) -> None:
        for refusal in refusals:
            counts = self._left_out if refusal.left_out else self._refused
            for fault in refusal.faults or (Fault(ROW, ""),):
                counts[self._key(fault.key, fault.target, fault.value)] += 1

    def _key(self, key: str, target: str, value: str) -> tuple[str, str, str]:
        value = printable(value[:LONGEST_VALUE])
        found = (key, target, fold_value(value))
        if found not in self._spelled and len(self._spelled) >= MOST_REASONS:
            found, value = (OTHER, "", ""), ""
        self._spelled.setdefault(found, value)
        return found

    def most_common(self) -> list[Reason]:
        """Return all reasons, those that explain most first; OTHER comes last."""
        found = [
            Reason(key, target, value, self._refused[key, target, folded], self._left_out[key, target, folded])
            for (key, target, folded), value in self._spelled.items()
        ]
        return sorted(found, key=lambda reason: (reason.key == OTHER, -reason.total))

    def stored(self) -> list[list[object]]:
        """Return the counts as JSON values."""
        return [list(reason) for reason in self.most_common()]
