"""The mapping of CSV columns to fields: proposed from the headings, and validated once chosen.

A column maps to one of ``FIELDS``, to ``attributes.<name>``, or to nothing (empty). No database is involved.
"""

from collections.abc import Collection, Mapping, Sequence

from contacts.attributes.rules import COLUMN_OF, CONSENT_COLUMNS, LONGEST_NAME, NameInvalid, check_name, propose_name
from mail.addresses import AddressInvalid, read_address
from words.texts import text as _

FIELDS = {
    "email": "Email",
    "first_name": _("First name"),
    "last_name": _("Last name"),
    "language": "Language",
    "time_zone": _("Time zone"),
    "open_tracking": _("Count opens"),
    "click_tracking": _("Count clicks"),
}
COUNTED = ("open_tracking", "click_tracking")  # Columns that say whether a person agreed to be counted.
ATTRIBUTE = "attributes."
MOST_ARE_ADDRESSES = 0.5
# The columns that the file of refused rows adds in front; ignored when the corrected file is uploaded.
REPORT_HEADINGS = ("Line in the file", "Why it was refused")
_NO_ATTRIBUTE = frozenset([*CONSENT_COLUMNS, *map(propose_name, REPORT_HEADINGS)])


class MappingInvalid(ValueError):
    """The mapping cannot be used; the message says why and what to do."""


def propose(headings: Sequence[str], labels: Mapping[str, str], rows: Sequence[Sequence[str]] = ()) -> list[str]:
    """Return the most likely mapping of each column; no field is used twice.

    The address column is recognised by its cells if rows are given, since its heading differs by language. A column
    with an unknown heading becomes an attribute of that name. Subscriptions are never read from a column.

    :param labels: the labels of the defined attributes, by name.
    :param rows: the cells of the first rows.
    """
    by_label = {propose_name(label): name for name, label in labels.items()}
    likely = [_likely(heading, position, labels, by_label) for position, heading in enumerate(headings)]
    if (position := _addresses_at(likely, rows)) is not None:
        for other, target in enumerate(likely):
            if target == "email":
                likely[other] = ATTRIBUTE + new_name(headings[other], other)
        likely[position] = "email"
    taken: set[str] = set()
    mapping = []
    for target in likely:
        mapping.append("" if target in taken else target)
        taken.add(target)
    return mapping


def _addresses_at(likely: Sequence[str], rows: Sequence[Sequence[str]]) -> int | None:
    """Return the position of the address column, found by its cells, if its heading does not give it."""

    def share(position: int) -> float:
        cells = [row[position] for row in rows if position < len(row) and row[position].strip()]
        return sum(is_address(cell) for cell in cells) / len(cells) if cells else 0.0

    shares = [share(position) for position in range(len(likely))]
    best = max(shares, default=0.0)
    named = likely.index("email") if "email" in likely else None
    if best < MOST_ARE_ADDRESSES or (named is not None and (shares[named] > 0 or not rows)):
        return None
    return shares.index(best)


def is_address(cell: str) -> bool:
    try:
        return bool(read_address(cell))
    except AddressInvalid:
        return False


def _likely(heading: str, position: int, labels: Mapping[str, str], by_label: Mapping[str, str]) -> str:
    name = propose_name(heading)
    if name in COLUMN_OF:
        return COLUMN_OF[name]
    if not heading.strip() or name in _NO_ATTRIBUTE:
        return ""
    if name in labels:
        return ATTRIBUTE + name
    if name in by_label:
        return ATTRIBUTE + by_label[name]
    return ATTRIBUTE + new_name(heading, position)


def new_name(heading: str, position: int) -> str:
    """Return a name for a new attribute: made from the heading, or from the position if the heading gives none."""
    name = propose_name(heading)[:LONGEST_NAME].strip("_")
    for candidate in (name, f"my_{name}"[:LONGEST_NAME]) if name else ():
        try:
            return check_name(candidate)
        except NameInvalid:
            continue
    return f"column_{position + 1}"


def check_mapping(mapping: Sequence[str], columns: int, known: Collection[str] = ()) -> None:
    """Raise :class:`MappingInvalid` unless all columns map to different fields, and one of them is the address.

    :param known: names of attributes in use already; the rules for new names do not apply to them.
    """
    if len(mapping) != columns:
        raise MappingInvalid(
            _(
                "The file has %(columns)s columns, and %(n)s were chosen. Upload it again.",
                columns=columns,
                n=len(mapping),
            )
        )
    chosen = [target for target in mapping if target]
    for target in chosen:
        if target not in FIELDS:
            if not target.startswith(ATTRIBUTE):
                raise MappingInvalid(_("A column was given a meaning that does not exist. Choose it again."))
            try:
                check_name(target.removeprefix(ATTRIBUTE), known)
            except NameInvalid as error:
                raise MappingInvalid(str(error)) from None
    for target in chosen:
        if chosen.count(target) > 1:
            raise MappingInvalid(
                _("Two columns become “%(target)s”. Choose something else for one of them.", target=describe(target))
            )
    if "email" not in chosen:
        raise MappingInvalid(_("No column becomes the email address. Choose the one that holds it."))


def describe(target: str) -> str:
    """Return the name of the field for people."""
    return FIELDS.get(target) or target.removeprefix(ATTRIBUTE) or "nothing"
