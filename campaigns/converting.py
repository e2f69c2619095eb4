"""From what a person writes (MJML, Markdown or HTML) to the HTML of a mail, with its styles inlined.

Merge tags pass through every step unharmed: before a library reads the source, each is replaced by a word that no
library minds, and put back afterwards. Layout and preheader are not known here.
"""

import html as html_entities
import re
from collections.abc import Iterator

import css_inline
from markdown_it import MarkdownIt
from mjml import mjml2html

MOST_SOURCE = 1_000_000  # Characters; Gmail shows 102 KB of a message, and the libraries take their time.


class ContentInvalid(ValueError):
    """A source that no mail can be made of; ``str(error)`` says where, and what to do."""


class Masked:
    """A source in which each merge tag is a word; :meth:`restore` puts the tags back."""

    def __init__(self, source: str) -> None:
        self.stem = "xq"
        while self.stem in source.lower():  # Somebody wrote the word itself.
            self.stem += "zj"
        self.tags: list[str] = []
        self.source = "".join(self._word_for(piece) if is_tag else piece for is_tag, piece in _pieces(source))
        self.word = re.compile(rf"{self.stem}([0-9]+)[ob]q")
        self.block_word = re.compile(rf"{self.stem}[0-9]+bq")  # Of a tag that says nothing itself: {% if %}.

    def _word_for(self, tag: str) -> str:
        self.tags.append(tag)
        return f"{self.stem}{len(self.tags) - 1}{'b' if tag.startswith('{%') else 'o'}q"

    def hide(self, text: str) -> str:
        """Return a word that stands for ``text``, which may hold such words itself."""
        return self._word_for(text)

    def restore(self, text: str) -> str:
        # As a comment, as an attribute of its own, or anywhere else. What was hidden holds words again.
        place = re.compile(rf"<!--\s*{self.word.pattern}\s*-->|{self.word.pattern}(?:=\"\")?")
        for _ in range(3):
            text, count = place.subn(lambda found: self.tags[int(found[1] or found[2])], text)
            if not count:
                break
        return text


def _pieces(source: str) -> Iterator[tuple[bool, str]]:
    """Yield what lies between the merge tags, and the tags; what is never closed is none."""
    position, start = 0, source.find("{")
    while start >= 0:
        closing = {"{{": "}}", "{%": "%}"}.get(source[start : start + 2])
        end = source.find(closing, start + 2) if closing else -2
        if end == -1:
            break
        if end >= 0:
            yield False, source[position:start]
            yield True, source[start : end + 2]
            position = end + 2
        start = source.find("{", max(position, start + 1))
    yield False, source[position:]


def is_document(html: str) -> bool:
    """Tell whether HTML is a whole page and not a piece of one."""
    return re.search(r"<(?:html|body)\b", html, re.IGNORECASE) is not None


# -- HTML -------------------------------------------------------------------------------------------------------


def inlined(html: str) -> str:
    """Return a document with its rules written into the elements they fit; what cannot be inlined stays in the head.

    Nothing is loaded. What has no style element comes back as it was.
    """
    if not re.search(r"<style\b", html, re.IGNORECASE):
        return html
    masked = Masked(html)
    source = _with_comments(masked)
    has_bodies = re.search(r"<tbody\b", source, re.IGNORECASE) is not None
    try:
        result = _INLINER.inline(source)
    except (css_inline.InlineError, ValueError) as error:
        raise ContentInvalid(f"The styles cannot be understood: {error}. Correct the CSS, or remove it.") from error
    if not has_bodies:  # The parser puts one around the rows, and behind the tags before them.
        comment = rf"<!--{masked.block_word.pattern}-->"
        result = re.sub(rf"((?:\s*{comment})+)(\s*<tbody>)", r"\2\1", result)
    return masked.restore(_EMPTY_STYLE.sub("", result))


def _with_comments(masked: Masked) -> str:
    """Put the words of block tags between elements into comments: the text of a table's rows would be moved away."""
    parts: list[str] = []
    position = 0
    for token in _MARKUP.finditer(masked.source):
        parts += (_commented(masked.source[position : token.start()], masked, parts), token[0])
        position = token.end()
    return "".join((*parts, _commented(masked.source[position:], masked, parts)))


def _commented(text: str, masked: Masked, before: list[str]) -> str:
    is_in_table = bool(before) and _BETWEEN_CELLS.match(before[-1]) is not None
    words = masked.word if is_in_table else masked.block_word
    return words.sub(lambda found: f"<!--{found[0]}-->", text)


# -- Markdown ---------------------------------------------------------------------------------------------------


def from_markdown(source: str) -> str:
    """Return the HTML of Markdown (CommonMark, tables and strikethrough), a piece of a page.

    A link titled "button" becomes one. A line of block tags alone, such as ``{% if vip %}``, parts paragraphs.
    """
    _check_size(source)
    masked = Masked(source)
    alone = re.compile(rf"^[ ]{{0,3}}({masked.block_word.pattern}(?:[ \t]*{masked.block_word.pattern})*)[ \t]*$", re.M)
    text = alone.sub(lambda found: masked.block_word.sub(r"<!--\g<0>-->", found[1]), masked.source)
    html = _MARKDOWN.render(text)
    html = _BUTTON.sub(lambda found: found[0].replace('title="button"', 'class="button"'), html)
    return masked.restore(str(html))


# -- MJML -------------------------------------------------------------------------------------------------------


def from_mjml(source: str) -> tuple[str, str]:
    """Return the document of an MJML source, and its preview text.

    Parts that are HTML in MJML (mj-text, mj-raw …) are taken word for word. No web fonts are added, nothing is
    included.

    :raises ContentInvalid: naming the line of a tag that is unknown or not closed.
    """
    _check_size(source)
    if not re.search(r"<mjml\b", source):
        source = f"<mjml><mj-body>{source}</mj-body></mjml>"
    _check_nesting(source)
    masked = Masked(source)
    preheader = ""

    def take_preview(found: re.Match[str]) -> str:
        nonlocal preheader
        preheader = masked.restore(html_entities.unescape(found[1])).strip()
        return ""

    text = _PREVIEW.sub(take_preview, masked.source)
    text = _WRITTEN_HTML.sub(lambda found: f"{found[1]}{masked.hide(found[3])}{found[4]}", text)
    text = _MJML_TAG.sub(_respelled, text)
    pieces = _ANY_TAG.split(text)
    # Between elements only comments are kept.
    pieces[::2] = [
        piece if _is_hidden_html(pieces, number * 2) else masked.word.sub(lambda found: f"<!--{found[0]}-->", piece)
        for number, piece in enumerate(pieces[::2])
    ]
    try:
        html = mjml2html("".join(pieces), fonts={})
    except ValueError as error:
        raise ContentInvalid(
            f"The MJML cannot be understood: {error}. Look for a tag that is not closed, or an attribute without"
            " quotation marks."
        ) from error
    # A comment inside one of Outlook's conditional comments would end it.
    html = _CONDITIONAL.sub(lambda found: found[1] + re.sub(r"<!--(\w+)-->", r"\1", found[2]) + found[3], html)
    return masked.restore(html), preheader


def _is_hidden_html(pieces: list[str], number: int) -> bool:
    return number > 0 and re.match(rf"<(?:{_HTML_ELEMENTS})\b", pieces[number - 1]) is not None


def _respelled(tag: re.Match[str]) -> str:
    """Write a tag's attributes so that the converter gives them back as they are: it escapes what Rust would."""

    def respell(attribute: re.Match[str]) -> str:
        value = attribute[2] if attribute[2] is not None else attribute[3]
        if value is None:
            value = attribute[4]
        value = re.sub(r"\s+", " ", value)
        value = re.sub(r"[^ !#-;=?-\[\]-~]", lambda found: f"&#{ord(found[0])};", value)
        return f' {attribute[1]}="{value}"'

    return f"<{tag[1]}{_MJML_ATTRIBUTE.sub(respell, tag[2])}{tag[3]}"


def _check_nesting(source: str) -> None:
    opened: list[tuple[str, int]] = []
    # What is no MJML keeps its length, so that the lines stay true.
    bare = "".join(_BLANKED.sub(" ", piece) if is_tag else piece for is_tag, piece in _pieces(source))
    bare = _COMMENT.sub(lambda found: _BLANKED.sub(" ", found[0]), bare)
    for tag in _MJ.finditer(bare):
        name, line = tag["name"], bare.count("\n", 0, tag.start()) + 1
        if name not in _ELEMENTS:
            raise ContentInvalid(f"Line {line}: MJML has no <{name}>. Correct its name, or remove it.")
        if name == "mj-include":
            raise ContentInvalid(f"Line {line}: <mj-include> reads files, which is not done here. Paste the content.")
        if tag["close"]:
            if not opened or opened[-1][0] != name:
                where = f"; <{opened[-1][0]}> of line {opened[-1][1]} is still open" if opened else ""
                raise ContentInvalid(f"Line {line}: </{name}> closes nothing{where}. Close what is open first.")
            opened.pop()
        elif not tag[0].endswith("/>"):
            opened.append((name, line))
    if opened:
        name, line = opened[-1]
        raise ContentInvalid(f"Line {line}: <{name}> is never closed. Write </{name}> where it ends.")


def _check_size(source: str) -> None:
    if len(source) > MOST_SOURCE:
        raise ContentInvalid(f"The content has {len(source):,} characters, and at most {MOST_SOURCE:,} are taken.")


_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_INLINER = css_inline.CSSInliner(
    keep_style_tags=True, remove_inlined_selectors=True, load_remote_stylesheets=False, keep_link_tags=True
)
_ATTRIBUTES = r"""(?:"[^"]*+"|'[^']*+'|[^<>"'])*+"""
# Comments, elements whose content is no markup, and tags.
_MARKUP = re.compile(
    rf"<!--.*?(?:-->|\Z)|<(style|title|script|textarea)\b{_ATTRIBUTES}>.*?(?:</\1\s*>|\Z)|<[A-Za-z/!?]{_ATTRIBUTES}>",
    re.DOTALL | re.IGNORECASE,
)
_BETWEEN_CELLS = re.compile(r"</(?:tr|td|th|thead|tbody|tfoot|caption)\b|<(?:table|thead|tbody|tfoot|tr)\b", re.I)
_EMPTY_STYLE = re.compile(r"<style\b[^<>]*>\s*</style>", re.IGNORECASE)
_BUTTON = re.compile(r'<a href="[^"]*" title="button">')

_HTML_ELEMENTS = (
    "mj-text|mj-button|mj-table|mj-raw|mj-title|mj-style|mj-social-element|mj-navbar-link|mj-accordion-title"
    "|mj-accordion-text"
)
_ELEMENTS = frozenset(
    {
        *_HTML_ELEMENTS.split("|"),
        *("mjml", "mj-head", "mj-body", "mj-include", "mj-attributes", "mj-all", "mj-class", "mj-breakpoint"),
        *("mj-font", "mj-html-attributes", "mj-selector", "mj-html-attribute", "mj-preview", "mj-accordion"),
        *("mj-accordion-element", "mj-carousel", "mj-carousel-image", "mj-column", "mj-divider", "mj-group"),
        *("mj-hero", "mj-image", "mj-navbar", "mj-section", "mj-social", "mj-spacer", "mj-wrapper"),
    }
)
_MJ = re.compile(rf"<(?P<close>/?)(?P<name>mjml|mj-[\w-]+){_ATTRIBUTES}>")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BLANKED = re.compile(r"[^\n]")
_PREVIEW = re.compile(r"<mj-preview\b[^<>]*>(.*?)</mj-preview\s*>", re.DOTALL)
_WRITTEN_HTML = re.compile(rf"(<({_HTML_ELEMENTS})\b{_ATTRIBUTES}(?<!/)>)(.*?)(</\2\s*>)", re.DOTALL)
_ANY_TAG = re.compile(rf"(<!--.*?(?:-->|\Z)|<[A-Za-z/!?]{_ATTRIBUTES}>)", re.DOTALL)
_MJML_TAG = re.compile(r"<(mjml|mj-[\w-]+)\b((?:\"[^\"]*+\"|'[^']*+'|[^<>\"'/]|/(?!>))*+)(/?>)")
_MJML_ATTRIBUTE = re.compile(r"""\s([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>/=]+))""")
_CONDITIONAL = re.compile(r"(<!--\[if[^\]]*\]>(?!<!))((?:(?!<!\[endif\]).)*)(<!\[endif\]-->)", re.DOTALL)
