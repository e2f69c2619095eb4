"""Authentication results: what the server that received a mail found of SPF, DKIM and DMARC (RFC 8601).

Anybody can write such a header. The receiving server puts its own on top, under a name that it removes from mail of
others (section 5), so only the topmost one under that name counts.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_CHARACTERS = 4_000
_MOST_CHECKS = 20
_METHODS = ("spf", "dkim", "dmarc", "arc", "iprev")
_RESULT = re.compile(r"\s*([a-z-]+)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)", re.IGNORECASE)
_PROPERTY = re.compile(r'\b([a-z]+\.[a-z-]+)\s*=\s*("[^"]*"|\S+)', re.IGNORECASE)
# The property that names a method's subject, the best first.
_ABOUT = {
    "spf": ("smtp.mailfrom", "smtp.helo"),
    "dkim": ("header.d", "header.i"),
    "dmarc": ("header.from",),
    "iprev": ("policy.iprev",),
}
WITHOUT_NAME = "-"  # Microsoft leaves its name out.


class Check(NamedTuple):
    """The result of one method."""

    method: str  # "spf", "dkim" …
    result: str  # "pass", "fail", "softfail", "none" … in lower case.
    about: str  # The domain that it is about, and of DKIM the selector; empty if it is not said.


def checks_of(headers: Sequence[str], name: str) -> list[Check] | None:
    """Return the results in the topmost header of a server; None if it wrote none.

    :param headers: the values of all Authentication-Results headers, from the top.
    :param name: the server's authserv-id, or ``WITHOUT_NAME``.
    """
    for header in headers:
        first, *others = _parts(header)
        if _RESULT.match(first):
            given, others = WITHOUT_NAME, [first, *others]
        else:
            given = (first.split() or [""])[0]
        if given.lower() == name.lower():
            return [check for part in others if (check := _check(part)) is not None][:_MOST_CHECKS]
    return None


def _check(part: str) -> Check | None:
    found = _RESULT.match(part)
    if found is None or found[1].lower() not in _METHODS:
        return None
    method = found[1].lower()
    properties = {name.lower(): value.strip('"') for name, value in _PROPERTY.findall(part, found.end())}
    about = next((properties[name] for name in _ABOUT.get(method, ()) if name in properties), "").lstrip("@")
    if method == "dkim" and about and "header.s" in properties:
        about = f"{about} ({properties['header.s']})"
    return Check(method, found[2].lower()[:20], "".join(letter for letter in about if letter.isprintable())[:255])


def _parts(header: str) -> list[str]:
    """Return what stands between semicolons, without comments (RFC 5322 section 3.2.2)."""
    parts: list[str] = []
    letters: list[str] = []
    depth, is_quoted = 0, False
    for letter in header[:_CHARACTERS]:
        if letter == '"' and not depth:
            is_quoted = not is_quoted
        if not is_quoted and letter in "()":
            depth = max(0, depth + (1 if letter == "(" else -1))
            letters.append(" ")
        elif depth:
            continue
        elif letter == ";" and not is_quoted:
            parts.append("".join(letters))
            letters.clear()
        else:
            letters.append(letter)
    return [*parts, "".join(letters)]
