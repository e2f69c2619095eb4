"""The links of a content as its targets: which are counted, why the others are not, and our link in their place.

Works on templates whose links have their UTM codes: a target is exactly the address that the mail would have. The HTML
is not parsed and rewritten, only the addresses are replaced.
"""

import html as html_entities
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import quote

from mail import markup
from mail.links import tracking, utm
from mail.links.merge_tags import OWN_LINKS
from mail.markup import BLANKS, decoded, unquoted

MARK = "data-track"  # On a link, with the value "off": not counted. The attribute is removed from what is sent.
MOST_COUNTED = 1_000  # Links of one part; further ones are not counted.
MOST_LABEL = 100  # Characters.

WhyNot = Literal["", "field", "off", "signed", "own", "other", "broken", "many"]
FIELD: WhyNot = "field"  # A merge field is in the address, so it differs by recipient.
OFF: WhyNot = "off"  # Marked with data-track="off".
SIGNED: WhyNot = "signed"  # A presigned URL.
OWN: WhyNot = "own"  # Of this site: unsubscribing, preferences, the web version, and every other page.
OTHER: WhyNot = "other"  # No web page: mailto, tel, an anchor, a relative address.
BROKEN: WhyNot = "broken"  # No redirect can lead there: it has a line break, no real host or port, or is too long.
MANY: WhyNot = "many"  # Beyond MOST_COUNTED.


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the content that leads somewhere."""

    part: Literal["html", "text"]
    position: int  # 1 for the first link of the part, counted or not.
    url: str  # Where it leads, without character references; with a merge field: as it is written.
    label: str = ""  # What the link says, or the alternative text of its image; empty in the text part.
    why_not: WhyNot = ""  # Why it is not counted; empty: it is.


class Place(NamedTuple):
    """A link, and where its address stands in the source."""

    link: Link
    start: int
    end: int


def in_html(source: str, own_hosts: Collection[str] = (), skip: Iterable[str] = ()) -> list[Place]:
    """Return the links of HTML in their order: ``a``, ``area``, and Outlook's VML buttons.

    :param own_hosts: hosts of this site, in lower case, with their port if the address has one.
    :param skip: prefixes of other addresses that are never counted, such as a custom page to unsubscribe.
    """
    judge = _Judge(own_hosts, skip)
    places: list[Place] = []
    for tag, inside in _link_tags(source):
        found = list(markup.ATTRIBUTES.finditer(tag["attributes"]))
        target = next((attribute for attribute in found if utm.is_target(attribute)), None)
        if target is None:
            continue
        is_off = any(_is_mark(attribute) for attribute in found)
        value = target["value"]
        written = unquoted(value)
        core = written.strip(utm.CONTROL_AND_SPACE)
        start = tag.start("attributes") + target.start("value") + value.index(written) + written.index(core)
        url, why_not = judge(core, decoded(core), is_off)
        link = Link("html", len(places) + 1, url, _label(inside), why_not)
        places.append(Place(link, start, start + len(core)))
    return places


def in_text(
    source: str,
    own_hosts: Collection[str] = (),
    skip: Iterable[str] = (),
    *,
    last_code: str = "",
    but: Collection[str] = (),
) -> list[Place]:
    """Return the web addresses of plain text in their order.

    :param last_code: the last UTM parameter of tagged addresses, which ends them.
    :param but: addresses that are not counted, because their links in the HTML are marked so.
    """
    judge = _Judge(own_hosts, skip)
    places: list[Place] = []
    for found in utm.TEXT_TOKEN.finditer(source):
        if found[0][0] == "{":
            continue
        around = source[max(found.start() - 1, 0) : found.end() + 1]
        is_delimited = around[0] == "<" and around[-1] == ">"
        written = found[0] if is_delimited else found[0][: utm.url_end(found[0], last_code)]
        url, why_not = judge(written, written, written in but)
        link = Link("text", len(places) + 1, url, "", why_not)
        places.append(Place(link, found.start(), found.start() + len(written)))
    return places


def leads_unseen(link: Link) -> bool:
    """Return whether readers can follow a link to a page of somebody else without being counted."""
    return link.why_not in (FIELD, SIGNED, BROKEN, MANY) or (link.why_not == OFF and bool(utm.WEB_URL.match(link.url)))


def replaced(source: str, places: Iterable[Place], address: Callable[[Link], str | None]) -> str:
    """Return the source with other addresses in these places; None leaves one as it is written."""
    parts: list[str] = []
    copied = 0
    for link, start, end in places:
        if (other := address(link)) is not None:
            parts += (source[copied:start], other)
            copied = end
    return "".join((*parts, source[copied:]))


def without_marks(source: str) -> str:
    """Return HTML without the attribute ``data-track="off"`` of links."""
    if MARK not in source.lower():
        return source
    parts: list[str] = []
    copied = 0
    for tag in markup.tags(source):
        if tag["element"] is None or tag["element"].lower() not in utm.LINK_ELEMENTS:
            continue
        found = list(markup.ATTRIBUTES.finditer(tag["attributes"]))
        if marks := [number for number, attribute in enumerate(found) if _is_mark(attribute)]:
            start, end = tag.span("attributes")
            parts += (source[copied:start], utm.without_attributes([each[0] for each in found], marks))
            copied = end
    return "".join((*parts, source[copied:]))


def shown(url: str) -> str:
    """Return an address for a page: characters that turn text around are percent-encoded, as browsers send them."""
    return _TURNS.sub(lambda found: quote(found[0]), url)


def without_turns(text: str) -> str:
    """Return a text without the invisible characters that turn around what stands beside them (UAX #9)."""
    return _TURNS.sub("", text)


class _Judge:
    """Tells where an address leads, and why it is not counted."""

    def __init__(self, own_hosts: Collection[str], skip: Iterable[str]) -> None:
        self._own_hosts = own_hosts
        self._skip = tuple(utm.lower_host(prefix) for prefix in skip if prefix.strip())
        self._counted = 0

    def __call__(self, written: str, url: str, is_off: bool) -> tuple[str, WhyNot]:
        """Return the address and the reason; an empty reason counts as one of ``MOST_COUNTED``.

        :param written: as it stands in the source.
        :param url: without character references.
        """
        why_not = OFF if is_off else self._why_not(written, url)
        if why_not == "":
            self._counted += 1
            if self._counted > MOST_COUNTED:
                why_not = MANY
        return (written if why_not == FIELD else url), why_not

    def _why_not(self, written: str, url: str) -> WhyNot:
        if utm.MERGE_TAG.search(written) or "{{" in url or "{%" in url:
            return OWN if _OWN_FIELD.search(written) else FIELD
        if not utm.WEB_URL.match(url):
            return OTHER
        # "<" shows that a quotation mark is missing somewhere.
        if "<" in url or tracking.location(url) is None:
            return BROKEN
        host = _HOST.match(url)
        if (host is not None and host[1].lower() in self._own_hosts) or (
            self._skip and utm.lower_host(url).startswith(self._skip)
        ):
            return OWN
        return SIGNED if utm.is_presigned(url.partition("#")[0].partition("?")[2]) else ""


def _link_tags(source: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield the start tag of each link, and what stands between it and its end, or the next link."""
    opened: re.Match[str] | None = None
    for tag in markup.tags(source):
        name = (tag["element"] or tag["closed"]).lower()
        if name not in utm.LINK_ELEMENTS:
            continue
        if opened is not None:
            yield opened, source[opened.end() : tag.start()]
        opened = tag if tag["element"] is not None else None
    if opened is not None:
        yield opened, ""


def _label(inside: str) -> str:
    """Return what a link says: its text, or the alternative text of its first image that has one."""
    said = " ".join(html_entities.unescape(markup.without_tags(inside)).split())
    if not said and "<" in inside:
        images = (tag["attributes"] for tag in markup.tags(inside) if (tag["element"] or "").lower() == "img")
        alternatives = (" ".join(markup.attributes_of(written).get("alt", "").split()) for written in images)
        said = next(filter(None, alternatives), "")
    return without_turns(said)[:MOST_LABEL]


def _is_mark(attribute: re.Match[str]) -> bool:
    is_named = (attribute["attribute"] or "").lower() == MARK
    return is_named and unquoted(attribute["value"] or "").strip(BLANKS).lower() == "off"


_OWN_FIELD = re.compile("|".join(OWN_LINKS))
_HOST = re.compile(r"https?://(?:[^/\\?#]*@)?([^/\\?#]*)", re.IGNORECASE)  # With its port; "\" is a slash to browsers.
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
