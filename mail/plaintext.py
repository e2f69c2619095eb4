"""The plain-text part of a message, derived from its HTML; merge tags and link targets are kept.

It only approximates how a mail program shows HTML; authors who care write the text part themselves.
"""

import re

from inscriptis import ParserError, get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_document_state import HtmlDocumentState
from inscriptis.model.tag import CustomHtmlTagHandlerMapping

from mail import markup

MOST_MARKUP = 30_000  # Tags; the library's time grows with their square within one paragraph.


class TextError(ValueError):
    """HTML that cannot be converted to text; ``str(error)`` says what to do."""


def from_html(html: str) -> str:
    """Return the readable text of ``html``, with ``<target>`` after each link.

    :raises TextError: for HTML that is too large or nested too deeply.
    """
    if html.count("<") > MOST_MARKUP:
        raise TextError("The HTML is too large to make a text of it; write the text part yourself.")
    try:
        markup.check_bounds(html)
    except markup.TooMuch as error:
        raise TextError(str(error)) from error
    tags: list[str] = []

    def protect(tag: str) -> str:
        tags.append(markup.decoded(tag))
        return f"{_TAG_START}{len(tags) - 1}{_TAG_END}"

    # Private use characters replace what the parser must not touch.
    pieces = markup.pieces(_MARKERS.sub("", html))
    protected = "".join(protect(piece) if is_tag else piece for is_tag, piece in pieces)
    # The parser treats "&region=" differently, and decodes references in its result a second time.
    protected = markup.with_plain_references(protected).replace("&amp;", _AMPERSAND)
    protected = _STYLE.sub(lambda style: _SPACING.sub("", style.group()), protected)  # It would become indentation.
    protected = _without_layout_tables(_with_flat_links(protected))
    try:
        text = get_text(protected, _CONFIG)
    except (RecursionError, ParserError) as error:
        raise TextError("The HTML is nested too deeply to make a text of it; write the text part yourself.") from error
    text = _LINK.sub(_show_link, text)
    text = re.sub(f"{_TAG_START}([0-9]+){_TAG_END}", lambda match: tags[int(match[1])], _STRAY_LINK.sub("", text))
    text = text.replace(_AMPERSAND, "&")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    # A line with nothing but conditions and loops would leave an empty line when rendered.
    text = _LINE_OF_TAGS.sub(r"\g<tags>", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _with_flat_links(html: str) -> str:
    """Flatten the content of each link: blocks and tables inside would separate its text from its address."""
    parts: list[str] = []
    position = 0
    is_in_link = has_words = False
    for tag in markup.tags(html):
        name = (tag["closed"] or tag["element"]).lower()
        has_words = has_words or (not html[position : tag.start()].isspace() and position < tag.start())
        if name == "a":
            is_in_link, has_words = tag["closed"] is None, False
        elif is_in_link and name in _BLOCKS:
            is_line = has_words and tag["closed"] is None and name not in ("td", "th")
            parts += (html[position : tag.start()], "<br>" if is_line else " ")
            position, has_words = tag.end(), has_words and not is_line
            continue
        parts.append(html[position : tag.end()])
        position = tag.end()
    return "".join((*parts, html[position:]))


def _without_layout_tables(html: str) -> str:
    """Turn the cells of layout tables into blocks; side by side their text would be scattered."""
    are_layout: list[bool] = []

    def unfold(tag: re.Match[str]) -> str:
        is_table, is_end = tag["name"].lower() == "table", bool(tag["slash"])
        if is_table and not is_end:
            are_layout.append(_FOR_LAYOUT.search(tag["attributes"]) is not None)
        is_layout = bool(are_layout) and are_layout[-1]
        if is_table and is_end and are_layout:
            are_layout.pop()
        return f"<{tag['slash']}div{tag['attributes']}>" if is_layout else tag.group()

    return _TABLE_TAG.sub(unfold, html)


def _show_link(match: re.Match[str]) -> str:
    label, target = re.sub(r"[ \t]*\n\s*", "\n", match.group("label").strip()), match.group("target").strip()
    if not target or target.startswith("#") or target.lower().startswith("javascript:"):
        return match.group("label")
    bare = re.sub(r"^(https?://|mailto:)", "", target, flags=re.IGNORECASE).rstrip("/")
    # A label that is the address itself appears once; UTM codes at its end make no difference.
    said = re.sub(r"^(https?://|mailto:)", "", label, flags=re.IGNORECASE).rstrip("/")
    if said and re.match(r"[^\s/]+\.[^\s/]+", said) and re.split(r"/?[?#]", bare)[0] == re.split(r"/?[?#]", said)[0]:
        return label if target.lower().startswith("mailto:") else target
    return f"{label} <{target}>" if label else f"<{target}>"


def _open_link(state: HtmlDocumentState, attributes: dict[str, str]) -> None:
    state.link_target = attributes.get("href", "")
    state.tags[-1].write(_LINK_START)


def _close_link(state: HtmlDocumentState) -> None:
    state.tags[-1].write(f"{_LINK_TARGET}{state.link_target}{_LINK_END}")


_TAG_START, _TAG_END, _LINK_START, _LINK_TARGET, _LINK_END = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
_AMPERSAND = "\ue005"
_MARKERS = re.compile(f"[{_TAG_START}-{_AMPERSAND}]")
_STRAY_LINK = re.compile(f"{_LINK_START}|{_LINK_TARGET}[^{_LINK_END}]*{_LINK_END}")
_LINK = re.compile(
    f"{_LINK_START}(?P<label>[^{_LINK_START}-{_LINK_END}]*){_LINK_TARGET}(?P<target>[^{_LINK_END}]*){_LINK_END}"
)
_LINE_OF_TAGS = re.compile(r"^[ \t]*(?P<tags>(?:\{%[^\n%]*%\})+)(?:\n|\Z)", re.MULTILINE)
_STYLE = re.compile(r"""\sstyle\s*=\s*(?:"[^"]*+"|'[^']*+')""", re.IGNORECASE)
_SPACING = re.compile(r"(?<![\w-])(?:padding|margin)[\w-]*+\s*+:[^;\"']*+;?", re.IGNORECASE)
_TABLE_TAG = re.compile(
    r"<(?P<slash>/?)(?P<name>table|thead|tbody|tfoot|tr|td|th)\b(?P<attributes>[^<>]*)>", re.IGNORECASE
)
_BLOCKS = frozenset(
    {
        *("table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "div", "p", "center", "section", "article"),
        *(
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "ul",
            "ol",
            "li",
            "blockquote",
            "figure",
            "figcaption",
            "header",
            "footer",
        ),
    }
)
_FOR_LAYOUT = re.compile(r"""\brole\s*=\s*["']?(?:presentation|none)\b""", re.IGNORECASE)
_CONFIG = ParserConfig(
    css=CSS_PROFILES["strict"],  # The other profile indents every div.
    display_images=True,
    custom_html_tag_handler_mapping=CustomHtmlTagHandlerMapping(
        start_tag_mapping={"a": _open_link}, end_tag_mapping={"a": _close_link}
    ),
)
