"""Links whose address is a merge tag: a filter inserted into the tag adds the UTM parameters when it is rendered.

``mail.links.utm`` tags links with a literal address in advance.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from markupsafe import Markup, escape

from mail import markup
from mail.links import utm
from mail.markup import LIQUID, decoded
from mail.merge_fields import IN_LINK, Filters

FILTER = "with_utm"
# Links to our pages, different for each recipient: never tagged, so that they stay plain fields.
OWN_LINKS = ("unsubscribe_url", "preferences_url", "tracking_url", "web_version_url")


def filters(codes: Mapping[str, str], policy: Literal["fill", "replace"], skip: tuple[str, ...]) -> Filters:
    """Return the filter that tags an address, by its name in a template."""
    if not codes:
        return {}

    def with_utm(value: Any, *given: str) -> str:
        """Tag an address; ``given`` are the link's own values, in the order of ``utm.PER_LINK``."""
        own = {name: said for name, said in zip(utm.PER_LINK, given, strict=False) if said}
        if isinstance(value, Markup):  # A capture of HTML is escaped already.
            return escape(utm.tag_url(decoded(str(value)), {**codes, **own}, policy=policy, skip=skip))
        return utm.tag_url("" if value is None else str(value), {**codes, **own}, policy=policy, skip=skip)

    return {FILTER: with_utm}


def encode_html(source: str) -> str:
    """Return HTML whose links percent-encode the values of merge tags in their addresses, after the host.

    Non-ASCII text in these addresses is encoded too; readers would otherwise encode it in the charset of the page that
    shows the mail.
    """
    parts: list[str] = []
    position = 0
    for tag in markup.tags(source):
        if tag["element"] is None or tag["element"].lower() not in _LINK_ELEMENTS or "{{" not in tag["attributes"]:
            continue
        parts += (source[position : tag.start("attributes")], markup.ATTRIBUTES.sub(_encode_href, tag["attributes"]))
        position = tag.end("attributes")
    return "".join((*parts, source[position:]))


def encode_text(text: str) -> str:
    """Return a text whose addresses percent-encode the values of merge tags, after the host."""
    return _TEXT_URL.sub(lambda found: _encode_outputs(found[0]), text) if "{{" in text else text


def as_written(address: str) -> str:
    """Return an address without the filter that encodes the values of its merge tags, as its author wrote it."""
    return _ENCODED.sub("}}", address)


def _encode_href(attribute: re.Match[str]) -> str:
    value = attribute["value"] or ""
    if (attribute["attribute"] or "").lower() != "href" or "{{" not in value:
        return attribute[0]
    return attribute[0].removesuffix(value) + _encode_outputs(_encode_constants(value))


def _encode_constants(address: str) -> str:
    start = _TO_PATH.match(address)
    return start[0] + _BEYOND_ASCII.sub(_encode_constant, address[start.end() :]) if start else address


def _encode_constant(found: re.Match[str]) -> str:
    written = found["written"] and decoded(found["written"])
    return found[0] if not written or written.isascii() else utm.encode(written)


def _encode_outputs(address: str) -> str:
    start = _TO_PATH.match(address)
    if start is None:  # It begins with a merge tag, or its host contains one: the tag is the address itself.
        return address
    return start[0] + _OUTPUT.sub(_encode_output, address[start.end() :])


def _encode_output(output: re.Match[str]) -> str:
    is_encoded = "url_encode" in output[0] or IN_LINK in output[0]
    return output[0] if is_encoded else f"{{{{ {output['expression']} | {IN_LINK} }}}}"


def mark_html(source: str) -> str:
    """Return HTML with the filter in each link whose address begins with a merge tag."""
    return _ANCHOR.sub(_mark_anchor, source)


def mark_text(text: str, link_names: Iterable[str] = ()) -> str:
    """Return ``text`` with the filter in each tag that stands alone and contains an address, judging by its name.

    :param link_names: names known to contain addresses, besides those that end in "url", "link" or "href".
    """
    known = set(link_names)

    def mark(match: re.Match[str]) -> str:
        name = match.group("name")
        is_link = name in known or name.lower().endswith(("url", "link", "href"))
        return _with_filter(match.group()) if is_link and name not in OWN_LINKS else match.group()

    return _STANDING_ALONE.sub(mark, text)


def names_of_links(source: str) -> frozenset[str]:
    """Return the names that are the whole address of a link in the HTML."""
    found = set()
    for anchor in _ANCHOR.finditer(source):
        address = _ADDRESS.search(anchor.group())
        only = address and _ONLY_OUTPUT.fullmatch(address.group("address"))
        if only and (name := re.match(r"[\w.-]+", only.group("expression"))):
            found.add(name.group())
    return frozenset(found.difference(OWN_LINKS))


def _mark_anchor(match: re.Match[str]) -> str:
    anchor = match.group()
    address = _ADDRESS.search(anchor)
    if address is None or _OWN_LINK.search(address.group("address")) or _OPTED_OUT.search(anchor):
        return anchor
    own = {
        utm.OWN_VALUES[match["attribute"].lower()]: _UNQUOTABLE.sub("", decoded(match["value"]))
        for match in _OWN_CODES.finditer(anchor)
    }
    arguments = ": " + ", ".join(f"'{own.get(name, '')}'" for name in utm.PER_LINK) if own else ""
    written = address.group("address")
    if _ONLY_OUTPUT.fullmatch(written):
        marked = _with_filter(written, arguments)
    else:
        marked = f"{{% capture linked %}}{written}{{% endcapture %}}{{{{ linked | {FILTER}{arguments} }}}}"
    return anchor[: address.start("address")] + marked + anchor[address.end("address") :]


def _with_filter(output: str, arguments: str = "") -> str:
    return _ONLY_OUTPUT.sub(lambda match: f"{{{{ {match['expression']} | {FILTER}{arguments} }}}}", output)


# Possessive, and closed by the end of the text at the latest: broken markup is read only once.
_ANCHOR = re.compile(
    rf"""<(?:a|area|v:roundrect|v:rect)\s
    (?:{LIQUID}|"(?:{LIQUID}|[^"])*+(?:"|\Z)|'(?:{LIQUID}|[^'])*+(?:'|\Z)|[^>"'])*+
    (?:>|\Z)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_LINK_ELEMENTS = frozenset({"a", "area", "v:roundrect", "v:rect"})
_TO_PATH = re.compile(r"""["']?\s*https?://[^/?#{\s"'<>]+[/?#]""", re.IGNORECASE)
_OUTPUT = re.compile(r"\{\{-?\s*+(?P<expression>[^{}]*?)\s*-?\}\}")
_ENCODED = re.compile(rf"(?<=\s)\|\s{IN_LINK}\s\}}\}}")
_BEYOND_ASCII = re.compile(rf"{LIQUID}|(?P<written>&#?[0-9A-Za-z]++;|[^\x00-\x7f]++)")
_TEXT_URL = re.compile(rf"https?://(?>{LIQUID}|[^\s<>\"])++", re.IGNORECASE)
_ADDRESS = re.compile(
    rf"""\shref\s*=\s*(?P<quote>["'])\s*
    (?P<address>(?:{LIQUID})(?:{LIQUID}|(?!(?P=quote)).)*+)
    (?P=quote)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_OWN_LINK = re.compile("|".join(OWN_LINKS))
_OPTED_OUT = re.compile(r"""\sdata-utm\s*+=\s*+["']?\s*+off\b""", re.IGNORECASE)
_OWN_CODES = re.compile(
    rf"""\s(?P<attribute>{"|".join(utm.OWN_VALUES)})\s*=\s*(?P<quote>["'])(?P<value>[^"'{{}}<>]*)(?P=quote)""",
    re.IGNORECASE,
)
_UNQUOTABLE = re.compile("[\n'{}%]")
_ONLY_OUTPUT = re.compile(r"\{\{-?\s*+(?P<expression>(?:[^\s}-]|-(?!\}\})|\}(?!\})|\s++(?!-?\}\}))*+)\s*-?\}\}\s*")
_STANDING_ALONE = re.compile(
    r"(?<![^\s<(\[])\{\{-?\s*(?P<name>\w+)\b(?:(?!\}\}|\{\{).)*\}\}(?=[\s>)\].,;!?]|$)", re.DOTALL
)
