"""A one-pass HTML reader that follows browsers: tags, attributes, text and nesting depth; merge tags pass through.

Time grows linearly with the length, whatever the input. Nothing is repaired, and libraries only get input that is not
nested too deeply for them.
"""

import html
import html.entities
import re
from collections.abc import Iterator
from typing import NamedTuple

from words.texts import text as _

MOST_DEPTH = 256  # Nested elements; recursive libraries crash the process at some thousands.
MOST_ATTRIBUTES = 256  # Per element; libraries scan all of them for each one.
MOST_TAGS = 20_000  # Start tags of a document; a newsletter within Gmail's 102 KB has some thousand.

# Possessive quantifiers throughout (*+): even on hostile input each character is read a bounded number of times.
LIQUID = r"\{\{[^{}]*+\}\}|\{%[^%{]*+(?:%(?!\})[^%{]*+)*+%\}"
BLANKS = " \t\n\r\f"
_BLANK = r"[ \t\n\r\f]"
_IN_NAME = rf"(?>{LIQUID}|[^ \t\n\r\f/>=])"
_VALUE = (
    rf'"(?>{LIQUID}|[^"])*+(?:"|\Z)'
    rf"|'(?>{LIQUID}|[^'])*+(?:'|\Z)"
    rf"|(?>{LIQUID}|[^ \t\n\r\f>\"'])(?>{LIQUID}|[^ \t\n\r\f>])*+"
)
# Matches everything up to the ">" that ends a tag, as browsers do (WHATWG HTML, from "tag name state" on).
_ATTRIBUTE = (
    rf"(?>{LIQUID}|{_BLANK}++|/"
    rf"|(?P<attribute>={_IN_NAME}*+|{_IN_NAME}++)(?>{_BLANK}*+={_BLANK}*+(?P<value>{_VALUE})?+)?+)"
)
ATTRIBUTES = re.compile(_ATTRIBUTE)
TOKEN = re.compile(
    rf"{LIQUID}"
    r"|<!--\[if\b[^\]>]*+\]>"  # The opening of a conditional comment, whose content is read.
    r"|<!--(?:-?>|.*?(?:--!?>|\Z))"  # Any other comment, to its end.
    r"|</(?P<closed>[A-Za-z][^ \t\n\r\f/>]*+)[^>]*+(?:>|\Z)"
    r"|<[!?/][^>]*+(?:>|\Z)"  # Doctype, <![endif]-->.
    rf"|<(?P<element>[A-Za-z][^ \t\n\r\f/>{{]*+)(?P<attributes>(?:{_ATTRIBUTE})*+)(?P<end>>|\Z)",
    re.DOTALL,
)
RAW_TEXT = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_CLOSING = {name: re.compile(rf"</{name}(?=[ \t\n\r\f/>])", re.IGNORECASE) for name in RAW_TEXT}
_CHARACTER_REFERENCE = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9A-Fa-f]+);?|[A-Za-z][A-Za-z0-9]*+(?:;|(?!=)))")


class TooMuch(ValueError):
    """Markup that would keep a library busy for long, or crash the process; ``str(error)`` names the line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(_("Line %(line)s: %(what)s", line=line, what=what))


def decoded(value: str) -> str:
    """Resolve the character references of an attribute, where ``&copy=2`` is no copyright sign (HTML 13.2.5.73)."""
    return _CHARACTER_REFERENCE.sub(_resolve, value) if "&" in value else value


def _resolve(found: re.Match[str]) -> str:
    reference = found[0]
    if reference[1] == "#" or reference[1:] in html.entities.html5:
        return html.unescape(reference)
    return reference


def unquoted(value: str) -> str:
    """Return an attribute's value without its quotation marks."""
    if value[:1] not in ('"', "'"):
        return value
    return value[1:-1] if len(value) > 1 and value[-1] == value[0] else value[1:]


def tags(source: str) -> Iterator[re.Match[str]]:
    """Yield start and end tags, as matches of ``TOKEN``; the content of raw text elements, such as style, is skipped.

    An unfinished tag is left out: browsers show neither the tag nor the text after it.
    """
    position = 0
    while token := TOKEN.search(source, position):
        position = token.end()
        if token["closed"] is not None:
            yield token
        elif token["element"] is not None:
            if not token["end"]:
                break
            yield token
            closing = _CLOSING.get(token["element"].lower())
            if closing is not None:
                end = closing.search(source, position)
                position = end.start() if end else len(source)


class Reader:
    """Base class with a method for each kind of token, called in document order."""

    def read(self, source: str) -> None:
        """Read a whole document or a fragment."""
        position = 0
        is_raw = False
        for tag in tags(source):
            if tag.start() > position and not is_raw:
                self.words(html.unescape(_NOT_SHOWN.sub("", source[position : tag.start()])))
            position = tag.end()
            if tag["closed"] is not None:
                is_raw = False
                self.end(tag["closed"].lower())
                continue
            name = tag["element"].lower()
            is_raw = name in RAW_TEXT
            self.start(name, attributes_of(tag["attributes"]))
        if not is_raw:
            self.words(html.unescape(_NOT_SHOWN.sub("", source[position:])))

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Handle a start tag; names are in lower case, an attribute without a value is empty."""

    def end(self, tag: str) -> None:
        """Handle an end tag."""

    def words(self, words: str) -> None:
        """Handle the text between two tags."""


def attributes_of(written: str) -> dict[str, str]:
    """Return the attributes of a tag; of duplicates the first counts."""
    found: dict[str, str] = {}
    for attribute in ATTRIBUTES.finditer(written):
        if attribute["attribute"]:
            found.setdefault(attribute["attribute"].lower(), decoded(unquoted(attribute["value"] or "")))
    return found


def pieces(source: str) -> Iterator[tuple[bool, str]]:
    """Yield the merge tags and the text between them, each with whether it is a tag; an unclosed tag is text."""
    position, start = 0, source.find("{")
    endless: set[str] = set()  # Openings without a later closing.
    while start >= 0:
        opening = source[start : start + 2]
        closing = _TAG_ENDS.get(opening)
        end = -1 if closing is None or opening in endless else source.find(closing, start + 2)
        if end >= 0:
            yield False, source[position:start]
            yield True, source[start : end + 2]
            position = end + 2
        elif closing is not None:
            endless.add(opening)
        start = source.find("{", max(position, start + 1))
    yield False, source[position:]


def with_plain_references(source: str) -> str:
    """Return HTML whose attributes contain only unambiguous references, as in ``&amp;region=2``."""
    if "&" not in source:
        return source
    parts: list[str] = []
    position = 0
    for tag in tags(source):
        if tag["attributes"] and "&" in tag["attributes"]:
            parts += (source[position : tag.start("attributes")], ATTRIBUTES.sub(_plain, tag["attributes"]))
            position = tag.end("attributes")
    return "".join((*parts, source[position:]))


def _plain(attribute: re.Match[str]) -> str:
    value = attribute["value"]
    if not value or "&" not in value:
        return attribute[0]
    return f'{attribute[0].removesuffix(value)}"{html.escape(decoded(unquoted(value)))}"'


def without_tags(source: str) -> str:
    """Return the text outside of tags, comments, scripts and styles, unchanged."""
    return _TAG_OR_HIDDEN.sub("", source)


# -- limits -----------------------------------------------------------------------------------------------------


class _Open(NamedTuple):
    name: str
    written: str  # The attributes of a formatting element, of which only identical ones count as the same.


def check_bounds(source: str) -> None:
    """Refuse HTML or MJML of which a parser would build too deep or too large a tree.

    End tags close exactly what they close in a browser, so that none hides the depth.

    :raises TooMuch: naming the line.
    """
    opened: list[_Open] = []
    started = 0
    for tag in tags(source):
        if tag["closed"] is not None:
            _close(opened, tag["closed"].lower())
            continue
        started += 1
        if started > MOST_TAGS:
            what = _("more than %(n)s tags stand before this one; shorten the content.", n=f"{MOST_TAGS:,}")
            raise TooMuch(_line(source, tag), what)
        written = tag["attributes"]
        if len(written) > MOST_ATTRIBUTES and _number_of(written) > MOST_ATTRIBUTES:
            what = _("a tag has more than %(n)s attributes; take some of them out.", n=MOST_ATTRIBUTES)
            raise TooMuch(_line(source, tag), what)
        name = tag["element"].lower()
        # "/>" closes nothing in HTML, but it does in MJML and SVG.
        is_closed = tag["attributes"].endswith("/") and (
            name.startswith("mj") or _innermost(opened, _FOREIGN, _NONE) is not None
        )
        if name in _NEVER_NESTED or is_closed:
            continue
        _close_implied(opened, name)
        opened.append(_Open(name, tag["attributes"] if name in _FORMATTING else ""))
        if len(opened) > MOST_DEPTH:
            raise TooMuch(
                _line(source, tag),
                _(
                    "more than %(n)s elements are open inside each other here; close some of them, or take them out.",
                    n=MOST_DEPTH,
                ),
            )


def _line(source: str, tag: re.Match[str]) -> int:
    return source.count("\n", 0, tag.start()) + 1


def _number_of(written: str) -> int:
    return sum(1 for attribute in ATTRIBUTES.finditer(written) if attribute["attribute"])


def _close(opened: list[_Open], name: str) -> None:
    """Close the innermost element of that name and everything inside it, unless a barrier is in between."""
    if name in _FORMATTING:
        if (at := _innermost(opened, {name}, _MARKERS)) is not None:
            del opened[at]  # Elements opened inside it stay open.
        return
    if name.startswith("mj"):
        barriers: frozenset[str] = frozenset()
    elif name in _OF_TABLES:
        barriers = frozenset({"table", "template"})
    elif name in _SPECIAL:
        barriers = _SCOPE
    else:
        barriers = _SPECIAL
    if (at := _innermost(opened, {name}, barriers)) is not None:
        _cut(opened, at)


def _close_implied(opened: list[_Open], name: str) -> None:
    """Close the elements that a start tag ends implicitly, such as the previous list item."""
    if name in _CLOSE_PARAGRAPH and (at := _innermost(opened, {"p"}, _SCOPE | {"button"})) is not None:
        _cut(opened, at)
    if name in _SIBLINGS:
        barriers = _SPECIAL - {"address", "div", "p"} if name in ("li", "dd", "dt") else frozenset({"table"})
        if (at := _innermost(opened, _SIBLINGS[name], barriers)) is not None:
            _cut(opened, at)
    elif name == "a":
        _close(opened, name)


def _innermost(opened: list[_Open], names: set[str] | frozenset[str], barriers: frozenset[str]) -> int | None:
    for at in range(len(opened) - 1, -1, -1):
        if opened[at].name in names:
            return at
        if opened[at].name in barriers:
            return None
    return None


def _cut(opened: list[_Open], at: int) -> None:
    """Close an element and its descendants; formatting elements continue after it, three of a kind at most."""
    kept: list[_Open] = []
    if opened[at].name not in _MARKERS:
        for inner in opened[at + 1 :]:
            if inner.name in _FORMATTING and kept.count(inner) + opened[:at].count(inner) < 3:
                kept.append(inner)
            elif inner.name in _MARKERS:
                kept.clear()
    opened[at:] = kept


_FORMATTING = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)
_MARKERS = frozenset({"td", "th", "caption", "object", "applet", "marquee", "template"})
_SCOPE = _MARKERS | {"table", "html"}
_OF_TABLES = frozenset({"table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption", "colgroup"})
_FOREIGN, _NONE = frozenset({"svg", "math"}), frozenset[str]()
_NEVER_NESTED = VOID | {"html", "head", "body"}
_CLOSE_PARAGRAPH = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "details", "dialog", "dir", "div", "dl", "fieldset"),
        *("figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr"),
        *("main", "menu", "nav", "ol", "p", "pre", "section", "summary", "table", "ul"),
    }
)
_SPECIAL = _CLOSE_PARAGRAPH | _SCOPE | _OF_TABLES | {"li", "dd", "dt", "button", "select", "frameset"}
_CELLS, _ROWS = frozenset({"td", "th"}), frozenset({"tr", "td", "th"})
_BODIES = _ROWS | {"tbody", "thead", "tfoot", "caption", "colgroup"}
_SIBLINGS: dict[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "dd": frozenset({"dd", "dt"}),
    "dt": frozenset({"dd", "dt"}),
    "td": _CELLS,
    "th": _CELLS,
    "tr": frozenset({"tr"}),
    "tbody": frozenset({"tbody", "thead", "tfoot"}),
    "thead": frozenset({"tbody", "thead", "tfoot"}),
    "tfoot": frozenset({"tbody", "thead", "tfoot"}),
    "option": frozenset({"option"}),
}
_TAG_ENDS = {"{{": "}}", "{%": "%}"}
_NOT_SHOWN = re.compile(r"<!--(?:-?>|.*?(?:--!?>|\Z))|<[!?/][^>]*+(?:>|\Z)", re.DOTALL)
_TAG_OR_HIDDEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b[^>]*+(?:\Z|>.*?(?:</\1\b[^>]*+(?:>|\Z)|\Z))"
    r"""|<[A-Za-z/!?](?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^>"'])*+(?:>|\Z)""",
    re.DOTALL | re.IGNORECASE,
)
