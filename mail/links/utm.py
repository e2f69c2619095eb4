"""Adds UTM parameters to links and leaves everything else as written, except a query that is not ASCII.

Works on rendered content and on templates: merge tags are opaque, and a link that begins with one is left for the time
when it is rendered. The HTML is not parsed and rewritten: a library would repair broken markup, drop comments and
change the quoting that mail programs depend on.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal
from urllib.parse import quote, unquote_plus

from mail import markup
from mail.markup import BLANKS, LIQUID, decoded, unquoted

Policy = Literal["fill", "replace"]

# The only list of these names. A server and a campaign have a field for each.
PER_CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign")
PER_LINK = ("utm_term", "utm_content")  # A link may have its own; a server's value is used if its switch is on.
NAMES = (*PER_CAMPAIGN, *PER_LINK)  # In the order in which they are added.
MOST_URL = 10_000  # Characters; a longer URL works nowhere, and its parameters would take seconds to read.
OWN_VALUES = {f"data-{name.replace('_', '-')}": name for name in PER_LINK}  # Attributes of a link.

# Signature parameters: another parameter would invalidate the URL. A URL is signed if it has all of one group.
_SIGNATURES = tuple(
    frozenset(names.split())
    for names in (
        "x-amz-signature",
        "x-goog-signature",
        "x-oss-signature",
        "key-pair-id",
        "sv sig",
        "awsaccesskeyid signature",
        "googleaccessid signature",
        "ossaccesskeyid signature",
    )
)

# Possessive quantifiers throughout (*+): even on hostile input each character is read a bounded number of times.
MERGE_TAG = re.compile(rf"{LIQUID}|\*\|[^|*]*+\|\*|%%[\w .:-]++%%|\$\{{[^{{}}]*+\}}")
_LIQUID_TAG = re.compile(f"({LIQUID})")
_BLOCK_WORD = re.compile(r"\{%-?\s*(end)?(if|unless|case|for|tablerow|capture|comment|raw|ifchanged)\b")
_MASK = re.compile("\ufdd0([0-9]+)\ufdd0")  # A noncharacter, which no exchanged text should contain.
_MASKED = re.compile(f"\ufdd0|{MERGE_TAG.pattern}")  # Existing ones are masked too, and so no mask of ours.
_BEYOND_ASCII = re.compile("[^\x00-\x7f\ufdd0]+")  # Masks stay.
WEB_URL = re.compile(r"https?://[^/\\?#]", re.IGNORECASE)
CONTROL_AND_SPACE = "".join(map(chr, range(0x21)))  # Browsers trim these from both ends.


def switch_of(name: str) -> str:
    """Return the name of the switch that adds a server's value of a per-link parameter to every link."""
    return f"always_{name}"


def label_of(name: str) -> str:
    """Return the label of a parameter in forms: ``UTM source``."""
    return f"UTM {name.removeprefix('utm_').replace('_', ' ')}"


def last_code(utm: Mapping[str, str]) -> str:
    """Return the parameter that ends a tagged query; empty without values."""
    values = _Tagger(utm, "fill", ()).values
    return "{}={}".format(*list(values.items())[-1]) if values else ""


def tag_url(url: str, utm: Mapping[str, str], *, policy: Policy = "fill", skip: Sequence[str] = ()) -> str:
    """Return ``url`` with the parameters added at the end of its query.

    Returned unchanged: anything but absolute http and https URLs, presigned URLs, URLs with a prefix in ``skip``, and
    URLs whose query may begin in a ``{% if %}``.

    :param utm: values by names of :data:`NAMES`; blank ones are left out, other names ignored.
    :param policy: ``fill`` keeps the author's parameters and adds missing or empty ones; ``replace`` removes all of
        them and sets them anew. Names are case-sensitive.
    :param skip: prefixes of our own links (unsubscribe, view in browser), which belong to no campaign.
    """
    return _tagger(tuple(utm.items()), policy, tuple(skip)).url(url)


def tag_html(source: str, utm: Mapping[str, str], *, policy: Policy = "fill", skip: Sequence[str] = ()) -> str:
    """Return HTML with tagged links, as far as a person can follow them: ``a``, ``area``, and Outlook's VML buttons.

    ``data-utm="off"`` on a link leaves it unchanged, the attributes in :data:`OWN_VALUES` give it values of its own;
    all these attributes are removed. Everything but the changed ``href`` values stays as it was. Conditional comments
    are read, other comments are not. Without values, nothing changes.
    """
    tagger = _Tagger(utm, policy, skip)
    if not tagger.values:
        return source
    parts: list[str] = []
    copied = 0
    for start, end, attributes in _links(source):
        parts += (source[copied:start], _tag_link(attributes, tagger))
        copied = end
    return "".join((*parts, source[copied:]))


def tag_text(source: str, utm: Mapping[str, str], *, policy: Policy = "fill", skip: Sequence[str] = ()) -> str:
    """Return plain text with its http and https URLs tagged; punctuation after a URL stays outside."""
    tagger = _Tagger(utm, policy, skip)
    if not tagger.values:
        return source
    return TEXT_TOKEN.sub(lambda found: _tag_in_text(found, tagger), source)


class _Tagger:
    """The parameters for every link of one content."""

    def __init__(self, utm: Mapping[str, str], policy: Policy, skip: Collection[str]) -> None:
        if policy not in ("fill", "replace"):
            raise ValueError(f"the UTM policy is {policy!r}; it is 'fill' or 'replace'")
        self.policy = policy
        self.skip = tuple(lower_host(prefix) for prefix in skip if prefix.strip())
        self.values = {name: _encode_value(utm[name]) for name in NAMES if utm.get(name, "").strip()}

    def with_values(self, own: Mapping[str, str]) -> "_Tagger":
        """Return a tagger for one link with values of its own."""
        if not own:
            return self
        tagger = _Tagger({}, self.policy, self.skip)
        values = self.values | {name: _encode_template(value) for name, value in own.items()}
        tagger.values = {name: values[name] for name in NAMES if name in values}
        return tagger

    def url(self, url: str) -> str:
        masked, tags = _mask(url)
        tagged = self.masked_url(masked, tags)
        return url if tagged is None else _unmask(tagged, tags)

    def masked_url(self, masked: str, tags: list[str]) -> str | None:
        """Return the tagged URL, or None if it has to stay unchanged."""
        url = masked.strip(CONTROL_AND_SPACE)
        if not self.values or len(url) > MOST_URL or not WEB_URL.match(url):
            return None
        if lower_host(url).startswith(self.skip or ("\0",)):
            return None
        if _query_is_conditional(url, tags):
            return None
        before_fragment, mark, fragment = url.partition("#")
        base, _, query = before_fragment.partition("?")
        if is_presigned(query):
            return None
        return f"{base}?{self._query(query)}{mark}{fragment}"

    def _query(self, query: str) -> str:
        """Return the query with our parameters at its end, and the rest as written.

        Only non-ASCII text is percent-encoded: browsers read a query in the charset of the page that shows the mail,
        but host, path and fragment are the same everywhere (WHATWG URL 4.4).
        """
        pieces = query.split("&")
        names = [unquote_plus(piece.partition("=")[0]) for piece in pieces]
        if self.policy == "replace":
            added, removed = self.values, set(NAMES)
        else:
            filled = {
                name for name, piece in zip(names, pieces, strict=True) if unquote_plus(piece.partition("=")[2]).strip()
            }
            added = {name: value for name, value in self.values.items() if name not in filled}
            removed = set(added)  # Empty ones only: a reader that uses the first of two must not find them.
        # Each piece keeps the separator after it, so that tagging twice equals tagging once.
        ends = ["&"] * (len(pieces) - 1) + [""]
        kept = "".join(p + end for p, name, end in zip(pieces, names, ends, strict=True) if name not in removed)
        if not added:
            return query
        joint = "&" if kept and not kept.endswith("&") else ""
        kept = _BEYOND_ASCII.sub(lambda found: encode(found[0]), kept)
        return kept + joint + "&".join(f"{name}={value}" for name, value in added.items())


# A link that is a merge tag is tagged per recipient, always with the same values.
@functools.lru_cache(maxsize=128)
def _tagger(utm: tuple[tuple[str, str], ...], policy: Policy, skip: tuple[str, ...]) -> _Tagger:
    return _Tagger(dict(utm), policy, skip)


def encode(text: str) -> str:
    """Percent-encode everything that cannot be in a URL."""
    return quote(text, safe="", errors="replace")


def _encode_value(value: str) -> str:
    return encode(unicodedata.normalize("NFC", value.strip()))


def _encode_template(value: str) -> str:
    """Encode a value within a template, except Liquid tags that are still to be rendered."""
    parts = _LIQUID_TAG.split(value.strip())
    return "".join(part if number % 2 else encode(part) for number, part in enumerate(parts))


def lower_host(url: str) -> str:
    """Return ``url`` with scheme and host in lower case, for comparisons."""
    scheme, separator, rest = url.strip().partition("://")
    host = re.match(r"[^/?#\\]*", rest)
    assert host is not None
    return scheme.lower() + separator + host[0].lower() + rest[host.end() :]


def is_presigned(query: str) -> bool:
    """Whether the query of a URL is signed, so that another parameter would invalidate it."""
    names = {unquote_plus(piece.partition("=")[0]).lower() for piece in query.split("&")}
    return any(group <= names for group in _SIGNATURES)


def _query_is_conditional(url: str, tags: list[str]) -> bool:
    """Tell whether the place for parameters depends on a Liquid block, as in ``/p{% if x %}?a=1{% endif %}``."""
    depth, has_query, end = 0, False, 0
    for found in [*_MASK.finditer(url), None]:
        between = url[end : found.start() if found else None]
        if depth and ("#" in between or ("?" in between and not has_query)):
            return True
        if "#" in between:
            return False
        has_query = has_query or "?" in between
        if found is None:
            break
        end = found.end()
        if block := _BLOCK_WORD.match(tags[int(found[1])]):
            depth += -1 if block[1] else 1
    return False


def _mask(text: str) -> tuple[str, list[str]]:
    """Replace merge tags by numbered masks, so that nothing inside them counts as syntax."""
    tags: list[str] = []

    def mark(found: re.Match[str]) -> str:
        tags.append(found[0])
        return f"\ufdd0{len(tags) - 1}\ufdd0"

    return _MASKED.sub(mark, text), tags


def _unmask(text: str, tags: list[str], change: Callable[[str], str] = str) -> str:
    """Restore the merge tags; ``change`` is applied to the text between them."""
    parts = _MASK.split(text)
    return "".join(tags[int(part)] if number % 2 else change(part) for number, part in enumerate(parts))


# HTML

LINK_ELEMENTS = frozenset({"a", "area", "v:roundrect", "v:rect"})


def _links(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start and end of each link's attributes, and the attributes."""
    for tag in markup.tags(source):
        if tag["element"] is not None and tag["element"].lower() in LINK_ELEMENTS:
            yield *tag.span("attributes"), tag["attributes"]


def _tag_link(attributes: str, tagger: _Tagger) -> str:
    """Return the attributes of a link with its ``href`` tagged and our own attributes removed."""
    found = list(markup.ATTRIBUTES.finditer(attributes))
    own: dict[str, str] = {}
    marks: list[int] = []
    is_off = False
    for number, attribute in enumerate(found):
        name, value = (attribute["attribute"] or "").lower(), unquoted(attribute["value"] or "")
        if name in OWN_VALUES:
            marks.append(number)
            if value.strip():
                own[OWN_VALUES[name]] = decoded(value)
        elif name == "data-utm" and value.strip().lower() == "off":
            marks.append(number)
            is_off = True
    targets = [number for number, attribute in enumerate(found) if is_target(attribute)]
    if any(_is_waiting(found[number]["value"]) for number in targets):
        return attributes  # With our attributes: the pass after rendering needs them.
    parts = [attribute[0] for attribute in found]
    tagger = tagger.with_values(own)
    for number in targets if not is_off else ():
        value = found[number]["value"]
        parts[number] = parts[number].removesuffix(value) + _tag_value(value, tagger)
    return without_attributes(parts, marks)


def without_attributes(parts: list[str], marks: Iterable[int]) -> str:
    """Return the attributes of a tag, given in parts, without the marked ones."""
    for number in marks:
        parts[number] = ""
        # The blank before is removed too, unless it alone separates the neighbours.
        is_apart = number + 1 == len(parts) or parts[number + 1][:1] in ("", "/", *BLANKS)
        if is_apart and number and not parts[number - 1].strip(BLANKS):
            parts[number - 1] = ""
    return "".join(parts)


def is_target(attribute: re.Match[str]) -> bool:
    """Whether an attribute, as ``markup.ATTRIBUTES`` finds it, is the address of a link."""
    return (attribute["attribute"] or "").lower() == "href" and bool(attribute["value"])


def _is_waiting(value: str) -> bool:
    """Tell whether only the rendered text shows where the URL in an attribute's value has its query."""
    masked, tags = _mask(unquoted(value))
    url = masked.strip(CONTROL_AND_SPACE)
    return url.startswith("\ufdd0") or _query_is_conditional(url, tags)


def _tag_value(value: str, tagger: _Tagger) -> str:
    """Return an attribute's value, quotes included, with its URL tagged."""
    masked, tags = _mask(unquoted(value))
    url = decoded(masked)
    # No URL contains "<": a quotation mark is missing somewhere. Braces written as references would become a merge tag.
    if "<" in url or "{{" in url or "{%" in url:
        return value
    tagged = tagger.masked_url(url, tags)
    if tagged is None or tagged == url:
        return value
    return f'"{_unmask(tagged, tags, _encode)}"'


def _encode(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")


# Text

TEXT_TOKEN = re.compile(rf"{LIQUID}|(?<![A-Za-z0-9])https?://(?>{LIQUID}|[^\s<>\"\x00-\x20\x7f])++", re.IGNORECASE)
_TRAILING = frozenset(".,;:!?'*_…’”»。、，！？")  # At the end of a URL these belong to the sentence.
_BRACKETS = {")": "(", "]": "[", "}": "{", "）": "（", "」": "「"}


def _tag_in_text(found: re.Match[str], tagger: _Tagger) -> str:
    text, around = found[0], found.string[max(found.start() - 1, 0) : found.end() + 1]
    if text[0] == "{":
        return text
    masked, tags = _mask(text)
    is_delimited = around[0] == "<" and around[-1] == ">"
    ours = "{}={}".format(*list(tagger.values.items())[-1])  # The last part of a tagged URL; may end in "_" or ".".
    end = len(masked) if is_delimited else url_end(masked, ours)
    tagged = tagger.masked_url(masked[:end], tags)
    return text if tagged is None else _unmask(tagged + masked[end:], tags)


def url_end(text: str, ours: str) -> int:
    """Return the end of the URL that ``text`` begins with, without the punctuation of the surrounding sentence.

    :param ours: the last part of a tagged URL, which ends it whatever it ends with; empty: URLs are not tagged.
    """
    excess = {closing: text.count(closing) - text.count(opening) for closing, opening in _BRACKETS.items()}
    end = len(text)
    while not (ours and text.endswith(ours, 0, end)):
        last = text[end - 1]
        if last not in _TRAILING:
            if excess.get(last, 0) <= 0:
                break
            excess[last] -= 1
        end -= 1
    is_blank = text.endswith(tuple(f"{name}=" for name in NAMES), 0, end)
    return len(text) if is_blank else end  # A value may consist of punctuation.
