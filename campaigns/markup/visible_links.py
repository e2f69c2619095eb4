"""Links of an HTML mail, and whether readers can see them, judged by inline styles.

A pure rule: no storage, no sending, no clock.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mail.markup import MOST_DEPTH, VOID, Reader
from words.texts import text as _

TINY_PIXELS = 6
_LENGTH = re.compile(r"^\s*([\d.]+)\s*(px|pt|em|rem|%)?", re.IGNORECASE)
_HEX = re.compile(r"^#([0-9a-f]{3}|[0-9a-f]{6})$", re.IGNORECASE)
_RGB = re.compile(r"^rgba?\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)", re.IGNORECASE)
_NAMED = {"white": (255, 255, 255), "black": (0, 0, 0), "transparent": None, "gray": (128, 128, 128)}


@dataclass(frozen=True, slots=True)
class VisibleLink:
    """A link in HTML."""

    url: str
    words: str
    hidden: str  # Why readers cannot see the link; empty if they can.


def links_of(html: str) -> tuple[tuple[VisibleLink, ...], frozenset[str]]:
    """Return the links of an HTML source in order, and the names of all its elements."""
    walk = _Walk()
    walk.read(html)
    walk.end_link()
    return tuple(walk.links), frozenset(walk.tags)


@dataclass(slots=True)
class _Style:
    """The visible style of an element, with inherited values."""

    tag: str
    hidden: str = ""
    size: float = 16.0  # Of the font, in pixels.
    colour: tuple[int, int, int] | None = None
    background: tuple[int, int, int] = (255, 255, 255)


class _Walk(Reader):
    """A reader that collects the links and tracks the style of each open element."""

    def __init__(self) -> None:
        self.links: list[VisibleLink] = []
        self.tags: set[str] = set()
        self._stack = [_Style("")]
        self._open: tuple[str, _Style, list[str]] | None = None

    def start(self, tag: str, given: dict[str, str]) -> None:
        self.tags.add(tag)
        seen = _styled(tag, given, self._stack[-1])
        if tag == "a" and "href" in given:
            self.end_link()
            self._open = (given["href"].strip(), seen, [])
        elif tag == "area" and "href" in given:
            self.links.append(VisibleLink(given["href"].strip(), given.get("alt", ""), seen.hidden))
        if tag == "img" and self._open is not None:
            self._open[2].append(given.get("alt", "") or "picture")
        if tag not in VOID:
            self._stack.append(seen)
            if self._open is not None and tag != "a" and not seen.hidden:
                self._open = (self._open[0], seen, self._open[2])

    def end(self, tag: str) -> None:
        if tag == "a":
            self.end_link()
        for at in range(len(self._stack) - 1, max(len(self._stack) - MOST_DEPTH, 0), -1):
            if self._stack[at].tag == tag:
                del self._stack[at:]
                break

    def words(self, words: str) -> None:
        if self._open is not None:
            self._open[2].append(words)

    def end_link(self) -> None:
        if self._open is None:
            return
        url, seen, words = self._open
        self._open = None
        said = " ".join("".join(words).split())
        hidden = seen.hidden or ("" if said else _("it has no words"))
        if not hidden and seen.size < TINY_PIXELS:
            hidden = _("its letters have %(size)s pixels", size=f"{seen.size:g}")
        if not hidden and seen.colour is not None and _distance(seen.colour, seen.background) < 48:
            hidden = _("its colour is that of the background")
        self.links.append(VisibleLink(url, said, hidden))


def _styled(tag: str, given: dict[str, str], parent: _Style) -> _Style:
    style = dict(_declarations(given.get("style", "")))
    seen = _Style(tag, parent.hidden, parent.size, parent.colour, parent.background)
    if style.get("display") == "none" or "hidden" in given:
        seen.hidden = _("it isn't displayed")
    elif style.get("visibility") == "hidden":
        seen.hidden = _("it is made invisible")
    elif (opacity := style.get("opacity")) is not None and _number(opacity) < 0.2:
        seen.hidden = _("it is transparent")
    elif style.get("overflow") == "hidden" and any(
        name in style and _number(style[name]) <= 1 for name in ("max-height", "height", "max-width")
    ):
        seen.hidden = _("its box has no room")
    if (length := style.get("font-size")) and (match := _LENGTH.match(length)):
        factor = {"pt": 4 / 3, "em": parent.size, "%": parent.size / 100, "rem": 16.0}.get(
            (match[2] or "px").lower(), 1
        )
        seen.size = float(match[1]) * factor if match[1].count(".") < 2 else parent.size
    seen.colour = _colour(style.get("color", given.get("color", ""))) or seen.colour
    background = style.get("background-color") or style.get("background", "").split(" ")[0] or given.get("bgcolor", "")
    seen.background = _colour(background) or seen.background
    return seen


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        if value:
            yield name.strip().lower(), value.replace("!important", "").strip().lower()


def _number(text: str) -> float:
    match = _LENGTH.match(text)
    try:
        return float(match[1]) if match else 1e9
    except ValueError:
        return 1e9


def _colour(text: str) -> tuple[int, int, int] | None:
    text = text.strip().lower()
    if match := _HEX.match(text):
        digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if match := _RGB.match(text):
        return int(match[1]), int(match[2]), int(match[3])
    return _NAMED.get(text)


def _distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
