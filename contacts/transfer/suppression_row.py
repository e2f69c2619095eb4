"""The parsing of one row of a suppression list: address or domain, reason, source and end, or the error.

This module knows files and text, nothing about storage.
"""

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from contacts.attributes.rules import COLUMN_OF, propose_name
from contacts.transfer.csv_file import REFUSED_CHARACTERS, CsvLayout, CsvRefused, CsvRow, printable, restore
from mail.addresses import AddressInvalid, ascii_domain, normalise, read_address

LONGEST_SHOWN = 200  # Characters shown of a refused row.
LONGEST_SOURCE = 500

_COLUMNS = {
    **{heading: "email" for heading, column in COLUMN_OF.items() if column == "email"},
    **dict.fromkeys(("domain", "domains", "host", "domaine", "dominio"), "domain"),
    **dict.fromkeys(("reason", "cause", "grund", "raison", "motivo"), "reason"),
    **dict.fromkeys(("source", "origin", "note", "notes", "comment"), "source"),
    **dict.fromkeys(("expires", "expires_at", "expires_on", "expiry", "until"), "expires"),
}
# Including the names that other systems use.
_REASONS = {
    **dict.fromkeys(("hard_bounce", "hard_bounced", "bounce", "bounced", "hard", "invalid"), "hard_bounce"),
    **dict.fromkeys(("complaint", "spam", "spam_complaint", "abuse", "spam_report"), "complaint"),
    **dict.fromkeys(
        ("unsubscribed", "unsubscribe", "unsubscribed_from_everything", "opt_out", "optout", "global_unsubscribe"),
        "unsubscribed",
    ),
    **dict.fromkeys(("manual", "added_by_hand", "blocked", "blocklist"), "manual"),
}


class SuppressionRow(NamedTuple):
    """A valid row."""

    what: str  # An address, or a domain as ``@example.com``.
    reason: str  # One of ``Suppression.Reason``; empty if the file gives none.
    source: str
    until: dt.datetime | None  # The first instant at which mail is sent again.


class RefusedSuppressionRow(NamedTuple):
    """A row that was refused."""

    line_number: int
    content: str
    reason: str


def read_domain(text: str) -> str:
    """Return ``example.com`` or ``@example.com`` as ``@example.com``, in lower case and in the script it was typed in.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    domain = normalise(text).removeprefix("@").removesuffix(".").lower()
    if "." not in ascii_domain(domain):
        raise AddressInvalid(f"“{printable(domain[:60])}” has no dot; write the whole domain, as in @example.com.")
    return f"@{domain}"


def read_what(text: str) -> str:
    """Return the typed address, or the domain: ``@example.com``, ``*@example.com`` and ``example.com`` are domains.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    typed = normalise(text)
    if typed.startswith("*@"):  # It means everybody at the domain, never a mailbox named *.
        typed = typed[1:]
    if typed.startswith("@") or ("@" not in typed and "." in typed):
        return read_domain(typed)
    return read_address(typed)


class SuppressionRowParser:
    """Parses the rows of a suppression list.

    :param zone: the zone of the days in the column "expires".
    :raises CsvRefused: if no column holds addresses or domains.
    """

    def __init__(self, layout: CsvLayout, now: dt.datetime, zone: dt.tzinfo) -> None:
        self._now, self._zone = now, zone
        # A single column of addresses needs no heading.
        is_bare = not layout.has_headings and len(layout.headings) == 1
        columns = ["email"] if is_bare else [_COLUMNS.get(propose_name(each), "") for each in layout.headings]
        for name in filter(None, columns):
            if columns.count(name) > 1:
                raise CsvRefused(f"Two columns mean “{name}”; remove or rename one of them.")
        if "email" not in columns and "domain" not in columns:
            shown = ", ".join(each[:40] for each in layout.headings[:8])
            raise CsvRefused(
                "The first row must name the columns, and one of them must be “email” or “domain”;"
                f" it reads: {printable(shown)}."
            )
        self._columns = columns

    def __call__(self, row: CsvRow) -> SuppressionRow | RefusedSuppressionRow:
        problem = row.problem
        if not problem:
            try:
                return self._read(row.cells)
            except ValueError as error:
                problem = str(error)
        content = ", ".join(cell.strip() for cell in row.cells).strip(", ")
        return RefusedSuppressionRow(row.line_number, printable(content[:LONGEST_SHOWN]), problem)

    def _read(self, cells: Sequence[str]) -> SuppressionRow:
        values = {
            name: restore(cell.strip())
            for name, cell in zip(self._columns, cells, strict=False)
            if name and cell.strip()
        }
        # A domain next to an address only repeats part of it.
        if email := values.get("email"):
            what = read_domain(email.removeprefix("*")) if email.startswith(("@", "*@")) else read_address(email)
        elif domain := values.get("domain"):
            what = read_domain(domain)
        else:
            raise ValueError("The row has neither an address nor a domain.")
        reason = values.get("reason", "")
        if reason and propose_name(reason) not in _REASONS:
            raise ValueError(
                f"The reason “{printable(reason[:60])}” is not known;"
                " write hard bounce, complaint, unsubscribed or manual."
            )
        source = " ".join(REFUSED_CHARACTERS.sub("", values.get("source", "")).split())
        return SuppressionRow(
            what, _REASONS.get(propose_name(reason), ""), source[:LONGEST_SOURCE], self._until(values)
        )

    def _until(self, values: dict[str, str]) -> dt.datetime | None:
        text = values.get("expires", "")
        if not text:
            return None
        try:
            until = dt.datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"“{printable(text[:40])}” is no date that can be read; write it as 2027-03-31, or leave it empty."
            ) from None
        if until.tzinfo is None:
            until = until.replace(tzinfo=self._zone)
        if until <= self._now:
            raise ValueError(f"It ended on {until:%Y-%m-%d}, so it would stop nothing.")
        return until.astimezone(dt.UTC)
