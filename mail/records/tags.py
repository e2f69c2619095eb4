"""Lists of tags, as DKIM, DMARC, TLS-RPT, MTA-STS and BIMI records are written (RFC 6376 section 3.2).

Also the slips that people make when they paste such a record into a form.
"""

import re
from dataclasses import dataclass

MOST_OCTETS = 8_192  # A longer record is not read: the longest sensible one, a key of 4096 bits, has 800.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}").fullmatch
QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"


class TagsInvalid(ValueError):
    """A text that is no list of tags; its words say which part."""


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a record in their order; names in lower case."""

    pairs: tuple[tuple[str, str], ...]

    def get(self, name: str, otherwise: str = "") -> str:
        return dict(self.pairs).get(name, otherwise)

    def __contains__(self, name: str) -> bool:
        return any(name == each for each, _value in self.pairs)

    @property
    def first(self) -> tuple[str, str]:
        return self.pairs[0] if self.pairs else ("", "")


def read(text: str) -> Tags:
    """Return the tags of a record.

    :raises TagsInvalid: with the part that is no tag, or a name that appears twice.
    """
    if len(text) > MOST_OCTETS:
        raise TagsInvalid(f"it has {len(text):,} characters")
    pairs: list[tuple[str, str]] = []
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals or not _NAME(name.strip()):
            raise TagsInvalid(f"“{part.strip()[:60]}” is not a tag")
        if any(name.strip().lower() == each for each, _value in pairs):
            raise TagsInvalid(f"the tag {name.strip()} appears twice")
        pairs.append((name.strip().lower(), value.strip()))
    return Tags(tuple(pairs))


def is_quoted(text: str) -> bool:
    """Tell whether quotes were pasted into a record: they belong to zone files, and not to a provider's form."""
    return text.strip()[:1] in QUOTES and bool(text.strip())


def is_escaped(text: str) -> bool:
    r"""Tell whether ``\;`` of a zone file was pasted into a form, which publishes the backslash."""
    return "\\;" in text


def cleaned(text: str) -> str:
    """Return a pasted record without quotes around it and without backslashes."""
    return text.strip().strip(QUOTES + " ").replace("\\;", ";").replace('" "', "")
