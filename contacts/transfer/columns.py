"""What becomes of the columns of a file: proposed from their headings, checked when somebody chose.

A column becomes ``email``, ``first_name``, ``last_name``, ``language``, ``time_zone``, ``attributes.<name>``, or
nothing (empty). Knows no database.
"""

from collections.abc import Collection, Mapping, Sequence

from contacts.attributes.rules import COLUMN_OF, CONSENT_COLUMNS, LONGEST_NAME, NameInvalid, check_name, propose_name
from mail.addresses import AddressInvalid, read_address

FIELDS = {
    "email": "E-mail",
    "first_name": "First name",
    "last_name": "Last name",
    "language": "Language",
    "time_zone": "Time zone",
}
ATTRIBUTE = "attributes."
MOST_ARE_ADDRESSES = 0.5
# What the list of refused rows has in front of their own cells: corrected and uploaded again, it says nothing.
REPORT_HEADINGS = ("Line in the file", "Why it was refused")
_NO_ATTRIBUTE = frozenset([*CONSENT_COLUMNS, *map(propose_name, REPORT_HEADINGS)])


class MappingInvalid(ValueError):
    """The columns cannot be taken so; the words of the error say why and what to do."""


def propose(headings: Sequence[str], labels: Mapping[str, str], rows: Sequence[Sequence[str]] = ()) -> list[str]:
    """Return what each column most likely is; no two columns become the same.

    The column of addresses is told by its cells where they are known, since it has many names in many languages. A
    heading that means nothing known becomes an attribute of its name. Consent is never read from a column.

    :param labels: of the defined attributes, by name.
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
    """Return which column holds addresses, where its heading does not say so: most of its cells are some."""

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
    """Return the name of a new attribute for a column; one that its heading cannot give is made from its position."""
    name = propose_name(heading)[:LONGEST_NAME].strip("_")
    for candidate in (name, f"my_{name}"[:LONGEST_NAME]) if name else ():
        try:
            return check_name(candidate)
        except NameInvalid:
            continue
    return f"column_{position + 1}"


def check_mapping(mapping: Sequence[str], columns: int, known: Collection[str] = ()) -> None:
    """Raise :class:`MappingInvalid` unless each column has a meaning of its own, and one of them is the address.

    :param known: names of attributes that are in use already; a new one may not be called everything.
    """
    if len(mapping) != columns:
        raise MappingInvalid(f"The file has {columns} columns, and {len(mapping)} were chosen; upload it again.")
    chosen = [target for target in mapping if target]
    for target in chosen:
        if target not in FIELDS:
            if not target.startswith(ATTRIBUTE):
                raise MappingInvalid("A column was given a meaning that does not exist; choose it again.")
            try:
                check_name(target.removeprefix(ATTRIBUTE), known)
            except NameInvalid as error:
                raise MappingInvalid(str(error)) from None
    for target in chosen:
        if chosen.count(target) > 1:
            raise MappingInvalid(f"Two columns become “{describe(target)}”; choose something else for one of them.")
    if "email" not in chosen:
        raise MappingInvalid("No column becomes the e-mail address; choose the one that holds it.")


def describe(target: str) -> str:
    """Return what a column becomes, in words for people."""
    return FIELDS.get(target) or target.removeprefix(ATTRIBUTE) or "nothing"
