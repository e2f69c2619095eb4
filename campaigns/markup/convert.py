"""Conversion of MJML, Markdown or HTML into the HTML of a mail, with inlined styles.

Merge tags pass through every step unchanged: each one is replaced by a plain word before a library reads the source,
and restored afterwards. Layout and preheader are the subject of :mod:`campaigns.markup.frame`.
"""

import html as html_entities
import re

from markdown_it import MarkdownIt
from mjml import mjml2html

from campaigns.markup import inliner
from mail import markup
from words.texts import text as _

MOST_MARKDOWN = 200_000  # Characters. A longer list of short items takes seconds.
MOST_BRACKETS = 2_000  # Opened in one paragraph of Markdown. The library searches for the end of each one.
MOST_CELLS = 20_000  # In all tables of a Markdown source.
MOST_SOURCE = 1_000_000  # Characters. Gmail shows 102 KB of a message, and the libraries are slow.


class ContentInvalid(ValueError):
    """The source cannot become a mail; ``str(error)`` says where the mistake is and what to do."""


class Masked:
    """A source whose merge tags are replaced by words; :meth:`restore` puts the tags back."""

    def __init__(self, source: str) -> None:
        # The stem is longer than any similar word in the source, so that no written word is taken for a mask.
        written = [len(found[1]) // 2 for found in re.finditer("xq((?:zj)*+)", source.lower())]
        self.stem = "xq" + "zj" * (max(written, default=-1) + 1)
        self.tags: list[str] = []
        self.source = "".join(self._word_for(piece) if is_tag else piece for is_tag, piece in markup.pieces(source))
        self.word = re.compile(rf"{self.stem}([0-9]+)[ob]q")
        self.block_word = re.compile(rf"{self.stem}[0-9]+bq")  # Stands for a tag without output, such as {% if %}.

    def _word_for(self, tag: str) -> str:
        self.tags.append(tag)
        return f"{self.stem}{len(self.tags) - 1}{'b' if tag.startswith('{%') else 'o'}q"

    def hide(self, text: str) -> str:
        """Return a word that stands for ``text``. The text may contain masking words itself."""
        return self._word_for(text)

    def restore(self, text: str) -> str:
        """Return ``text`` with its masking words replaced by what they stand for."""
        # A word may have become a comment, an attribute or plain text. A hidden text contains words itself, so that
        # one pass is not enough.
        place = re.compile(rf"<!--\s*{self.word.pattern}\s*-->|{self.word.pattern}(?:=\"\")?")
        for _pass in range(3):
            text, count = place.subn(lambda found: self.tags[int(found[1] or found[2])], text)
            if not count:
                break
        return text


def is_document(html: str) -> bool:
    """Whether the HTML is a whole page and not a fragment."""
    return re.search(r"<(?:html|body)\b", html, re.IGNORECASE) is not None


def converted(source: str, markup: str, to: str) -> str:
    """Return a source in another format. Markdown takes HTML unchanged.

    :param markup: its format: html, markdown or mjml.
    :param to: the other one. Nothing makes Markdown of MJML.
    :raises ContentInvalid: if the source cannot be read, or cannot be made into that format.
    """
    if (markup, to) == ("mjml", "html"):
        return from_mjml(source)[0]
    html = from_markdown(source) if markup == "markdown" else source
    if (markup, to) in (("markdown", "html"), ("html", "markdown")):
        return html.strip()
    if to == "mjml" and markup != "mjml":
        body = _BODY.search(html)
        return _MJML_AROUND.format((body[1] if body else html).strip())
    raise ContentInvalid(f"A text in {markup} can't be converted to {to}.")


# -- HTML -------------------------------------------------------------------------------------------------------


def inlined(html: str) -> str:
    """Return a document with its CSS rules as style attributes. Rules that cannot be inlined stay in the head.

    No style sheet is loaded, and only style attributes and style elements change: the library reads a copy in which
    each element has a number, and the style it gave to a number is copied into the author's element.

    :raises ContentInvalid: if the styles cannot be understood, or elements are nested too deeply.
    """
    _check_bounds(html)
    if not re.search(r"<style\b", html, re.IGNORECASE):
        return html
    masked = Masked(html)
    source = masked.source
    starts = [tag for tag in markup.tags(source) if tag["element"]]
    marked: list[str] = []
    position = 0
    for number, tag in enumerate(starts):
        marked += (source[position : tag.start("attributes")], f' {_MARK}="{number}"')
        position = tag.start("attributes")
    try:
        result = inliner.inline("".join((*marked, source[position:])))
    except inliner.Overwhelmed as error:
        raise ContentInvalid(str(error)) from error
    except ValueError as error:
        raise ContentInvalid(
            _("The styles can't be read: %(error)s. Correct the CSS, or remove it.", error=error)
        ) from error
    return masked.restore(_with_styles(source, starts, _Inlined(result)))


class _Inlined:
    """The library's result for each element, by the element's number in the source."""

    def __init__(self, html: str) -> None:
        self.styles: dict[int, str] = {}  # Values of style attributes.
        self.sheets: dict[int, str] = {}  # Rules that are left in style elements.
        for tag in markup.tags(html):
            given = markup.attributes_of(tag["attributes"] or "")
            if not (number := given.get(_MARK, "")).isdecimal():
                continue
            self.styles.setdefault(int(number), given.get("style", ""))
            if tag["element"].lower() == "style":
                self.sheets[int(number)] = html[tag.end() : _end_of_sheet(html, tag.end())[0]]


def _with_styles(source: str, starts: list[re.Match[str]], made: _Inlined) -> str:
    """Return the source, byte for byte, except for the inlined styles."""
    parts: list[str] = []
    position = 0
    for number, tag in enumerate(starts):
        if tag["element"].lower() == "style":
            end, closed_at = _end_of_sheet(source, tag.end())
            left = made.sheets.get(number, "")
            is_kept = left.strip() or not source[tag.end() : end].strip()
            parts.append(source[position : tag.end() if is_kept else tag.start()])
            if is_kept:
                parts.append(left if left.strip() else source[tag.end() : end])
            position = end if is_kept else closed_at
            continue
        style = made.styles.get(number, "")
        given = markup.attributes_of(tag["attributes"])
        if not style or style == given.get("style", "").strip():
            continue
        written = html_entities.escape(style, quote=False).replace('"', "&quot;")
        found = next((a for a in markup.ATTRIBUTES.finditer(tag["attributes"]) if _is_style(a)), None)
        start = tag.start("attributes")
        if found is not None:
            parts += (source[position : start + found.start()], f'style="{written}"')
            position = start + found.end()
        else:
            parts += (source[position:start], f' style="{written}"')
            position = start
    return "".join((*parts, source[position:]))


def _is_style(attribute: re.Match[str]) -> bool:
    return (attribute["attribute"] or "").lower() == "style"


def _end_of_sheet(html: str, start: int) -> tuple[int, int]:
    """Return the end of a style element's content, and the end of the element."""
    end = _STYLE_END.search(html, start)
    return end.span() if end else (len(html), len(html))


# -- Markdown ---------------------------------------------------------------------------------------------------


def from_markdown(source: str) -> str:
    """Return Markdown (CommonMark, tables and strikethrough) as an HTML fragment.

    A link with the title "button" becomes a button. A line that holds only block tags, such as ``{% if vip %}``,
    separates paragraphs.

    :raises ContentInvalid: if the source is too long or nested too deeply.
    """
    _check_size(source, MOST_MARKDOWN)
    _check_bounds(source)
    masked = Masked(source.replace("\r\n", "\n").replace("\r", "\n"))
    _check_markdown(masked)
    alone = re.compile(rf"^[ ]{{0,3}}({masked.block_word.pattern}(?:[ \t]*{masked.block_word.pattern})*)[ \t]*$", re.M)
    text = alone.sub(lambda found: masked.block_word.sub(r"<!--\g<0>-->", found[1]), masked.source)
    html = _MARKDOWN.render(text)
    html = _BUTTON.sub(lambda found: found[0].replace('title="button"', 'class="button"'), html)
    return masked.restore(str(html))


def _check_markdown(masked: Masked) -> None:
    """Refuse a source that the library would need very long to read, before the library reads it.

    Limited are the depth of quotations, lists and brackets, the brackets of a paragraph, and the cells of all tables.
    Each row is filled up to the columns of its table, so that even a short source may have many cells.
    """
    brackets = opened = columns = cells = 0
    lines = masked.source.split("\n")
    for number, line in enumerate(lines):
        start = _MARKDOWN_START.match(line)
        assert start is not None
        marks = start[0]
        depth = marks.count(">") + len(_MARKDOWN_ITEM.findall(marks)) + (len(marks) - len(marks.lstrip(" "))) // 2
        problem = ""
        if not line.strip(" \t>"):
            brackets = opened = columns = 0
        for bracket in _BRACKET.findall(line):
            brackets = max(brackets + _BRACKETS.get(bracket, 0), 0)
            opened += bracket == "["
            depth = max(depth, brackets)
        if "|" in line and "-" in line and not line.strip("-:|> \t"):  # The line below a table's header.
            columns = line.count("|") + 1
        cells += columns
        if depth > markup.MOST_DEPTH:
            problem = _(
                "%(most_depth)s quotations, lists or brackets are inside each other", most_depth=markup.MOST_DEPTH
            )
        elif opened > MOST_BRACKETS:
            problem = _("%(most_brackets)s brackets are in one paragraph", most_brackets=f"{MOST_BRACKETS:,}")
        elif cells > MOST_CELLS:
            problem = _("%(most_cells)s cells are in the tables up to here", most_cells=f"{MOST_CELLS:,}")
        if problem:
            at = masked.restore("\n".join(lines[:number])).count("\n") + 1 + (number > 0)
            raise ContentInvalid(
                _("Line %(at)s: more than %(problem)s. Take some of them out.", at=at, problem=problem)
            )


# -- MJML -------------------------------------------------------------------------------------------------------


def from_mjml(source: str) -> tuple[str, str]:
    """Return the HTML document of an MJML source, and its preview text.

    HTML inside MJML (mj-text, mj-raw …) is copied unchanged. No web fonts are added and no files are included.

    :raises ContentInvalid: if a tag is unknown or not closed, with its line, or if the source is too long.
    """
    _check_size(source)
    source = source.replace("\r\n", "\n").replace("\r", "\n")  # Browsers send the former.
    if not re.search(r"<mjml\b", source):
        source = f"<mjml><mj-body>{source}</mj-body></mjml>"
    _check_bounds(source)
    _check_nesting(source)
    masked = Masked(source)
    preheader = ""

    def take_preview(found: re.Match[str]) -> str:
        nonlocal preheader
        preheader = masked.restore(html_entities.unescape(found[1])).strip()
        return ""

    text = _PREVIEW.sub(take_preview, masked.source)
    text = _WRITTEN_HTML.sub(lambda found: f"{found[1]}{masked.hide(found[3])}{found[4]}", text)
    text = _DEFAULTS.sub(lambda found: _COMMENT.sub("", found[0]), text)  # The converter refuses comments there.
    text = _MJML_TAG.sub(_respelled, text)
    pieces = _ANY_TAG.split(text)
    # The converter keeps only comments between elements.
    pieces[::2] = [
        piece if _is_hidden_html(pieces, number * 2) else masked.word.sub(lambda found: f"<!--{found[0]}-->", piece)
        for number, piece in enumerate(pieces[::2])
    ]
    made = _with_plain_head("".join(pieces))
    try:
        html = mjml2html(made, fonts={})
    except ValueError as error:
        raise ContentInvalid(_mistake(str(error), made, source)) from error
    # A comment inside a conditional comment of Outlook would end it.
    html = _CONDITIONAL.sub(lambda found: found[1] + re.sub(r"<!--(\w+)-->", r"\1", found[2]) + found[3], html)
    return masked.restore(html), preheader


def _with_plain_head(text: str) -> str:
    """Return the MJML without the blanks between elements of its head, which the converter takes for text."""
    head, end, rest = text.partition("</mj-head")
    return f"{_BLANKS.sub('', head)}{end}{rest}" if end else text


def _mistake(error: str, made: str, source: str) -> str:
    """Return where the converter stopped, in words. It knows the byte of ``made`` at best, and has words of its own."""
    bare = _without_tags_and_comments(source)
    if outside := re.search(r"\A\s*+(?!<mjml\b)(?=\S)|</mjml\s*>\s*+(?=\S)", bare):
        return _(
            "Line %(line)s is outside <mjml> and </mjml>. Move it inside, or remove it.",
            line=bare.count("\n", 0, outside.end()) + 1,
        )
    advice = _("Check for a tag that isn't closed, a tag in the wrong place, or an attribute without quotation marks.")
    if (place := _place(error, made, bare)) is None:
        return _("The MJML can't be read. %(advice)s", advice=advice)
    return _("Line %(line)s can't be read as MJML. %(advice)s", line=bare.count("\n", 0, place) + 1, advice=advice)


def _place(error: str, made: str, bare: str) -> int | None:
    """Return where in ``bare`` the mistake is: a tag that is broken or isn't closed, or where the converter was."""
    rest = _PREVIEW.sub(_blanked, bare)
    rest = _WRITTEN_HTML.sub(lambda found: found[1] + _BLANKED.sub(" ", found[3]) + found[4], rest)
    if (place := _broken_tag(rest)) is not None:
        return place
    if at := re.search(r"position (\d+):", error):
        # ``made`` has other lines than the source, and the same tags.
        before = made.encode()[: int(at[1]) + 1].decode(errors="ignore")
        begun = len(re.findall(r"</?mj|<\Z", before))
        tags = [tag.start() for tag in re.finditer("</?mj", _PREVIEW.sub(_blanked, bare))]
        return tags[min(max(begun - 1, 0), len(tags) - 1)]
    return None


def _broken_tag(bare: str) -> int | None:
    """Return the place of the first sign that begins no whole tag, or of the first element that is not closed."""
    opened: list[tuple[str, int]] = []
    place = bare.find("<")
    while place >= 0:
        tag = _WHOLE_TAG.match(bare, place)
        if tag is None or (tag["close"] and tag["empty"]):
            return place
        if not tag["close"]:
            if not tag["empty"]:
                opened.append((tag["name"], place))
        elif opened and opened[-1][0] == tag["name"]:
            opened.pop()
        else:
            return opened[-1][1] if tag["name"] in {name for name, _place in opened} else place
        place = bare.find("<", tag.end())
    return opened[-1][1] if opened else None


def _blanked(found: re.Match[str]) -> str:
    return _BLANKED.sub(" ", found[0])


def _without_tags_and_comments(source: str) -> str:
    """Return the source with blanks for merge tags and comments, so that line numbers stay right."""
    bare = "".join(_BLANKED.sub(" ", piece) if is_tag else piece for is_tag, piece in markup.pieces(source))
    return _COMMENT.sub(_blanked, bare)


def _is_hidden_html(pieces: list[str], number: int) -> bool:
    return number > 0 and re.match(rf"<(?:{_HTML_ELEMENTS})\b", pieces[number - 1]) is not None


def _respelled(tag: re.Match[str]) -> str:
    """Respell a tag's attributes so that the converter returns them unchanged.

    The converter escapes strings as Rust does; each character that it would escape becomes a character reference here.
    """

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
    bare = _without_tags_and_comments(source)
    line, counted = 1, 0
    for tag in _MJ.finditer(bare):
        name = tag["name"]
        line, counted = line + bare.count("\n", counted, tag.start()), tag.start()
        if name not in _ELEMENTS:
            raise ContentInvalid(
                _("Line %(line)s: MJML has no <%(name)s>. Correct its name, or remove it.", line=line, name=name)
            )
        if name == "mj-include":
            raise ContentInvalid(_("Line %(line)s: <mj-include> isn't supported. Paste the content.", line=line))
        if tag["close"]:
            if not opened or opened[-1][0] != name:
                where = (
                    _("; <%(open)s> of line %(since)s is still open", open=opened[-1][0], since=opened[-1][1])
                    if opened
                    else ""
                )
                raise ContentInvalid(
                    _(
                        "Line %(line)s: </%(name)s> closes nothing%(where)s. Close what is open first.",
                        line=line,
                        name=name,
                        where=where,
                    )
                )
            opened.pop()
        elif not tag[0].endswith("/>"):
            opened.append((name, line))
    if opened:
        name, line = opened[-1]
        raise ContentInvalid(
            _("Line %(line)s: <%(name)s> is never closed. Write </%(name)s> where it ends.", line=line, name=name)
        )


def _check_bounds(source: str) -> None:
    try:
        markup.check_bounds(source)
    except markup.TooMuch as error:
        raise ContentInvalid(*error.args) from error


def _check_size(source: str, most: int = MOST_SOURCE) -> None:
    if len(source) > most:
        raise ContentInvalid(
            _(
                "The content has %(n)s characters, and at most %(most)s are taken.",
                n=f"{len(source):,}",
                most=f"{most:,}",
            )
        )


_BODY = re.compile(r"<body\b[^>]*+>(.*?)(?:</body\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_MJML_AROUND = """<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>
{}
        </mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>"""
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_ATTRIBUTES = r"""(?:"[^"]*+"|'[^']*+'|[^<>"'])*+"""
_STYLE_END = re.compile(r"</style\b[^>]*+>?", re.IGNORECASE)
_MARK = "data-xq"
_MARKDOWN_START = re.compile(r"(?:[ \t]|>|[-*+](?=[ \t>]|$)|[0-9]{1,9}[.)](?=[ \t>]|$))*+")
_MARKDOWN_ITEM = re.compile(r"[-*+]|[0-9]+[.)]")
_BRACKET = re.compile(r"\\.|[\[\]]")
_BRACKETS = {"[": 1, "]": -1}
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
_MJ = re.compile(rf"<(?P<close>/?)(?P<name>mjml|mj-[\w-]++){_ATTRIBUTES}>")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BLANKED = re.compile(r"[^\n]")
_PREVIEW = re.compile(r"<mj-preview\b[^<>]*+>((?:(?!<mj-preview\b).)*?)</mj-preview\s*>", re.DOTALL)
_DEFAULTS = re.compile(r"<mj-attributes\b(?:(?!</?mj-attributes\b).)*+</mj-attributes", re.DOTALL)
_BLANKS = re.compile(r"(?<=>)[ \t]+(?=[\n<]|\Z)")
_WRITTEN_HTML = re.compile(rf"(<({_HTML_ELEMENTS})\b{_ATTRIBUTES}(?<!/)>)((?:(?!<\2\b).)*?)(</\2\s*>)", re.DOTALL)
_ANY_TAG = re.compile(rf"(<!--.*?(?:-->|\Z)|<[A-Za-z/!?]{_ATTRIBUTES}>)", re.DOTALL)
_WHOLE_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][\w:-]*+)"
    r"(?:\s++[\w:-]++\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'<>/=]++))*+\s*+(?P<empty>/?)>"
)
_MJML_TAG = re.compile(r"<(mjml|mj-[\w-]+)\b((?:\"[^\"]*+\"|'[^']*+'|[^<>\"'/]|/(?!>))*+)(/?>)")
_MJML_ATTRIBUTE = re.compile(r"""\s([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>/=]+))""")
_CONDITIONAL = re.compile(r"(<!--\[if[^\]]*\]>(?!<!))((?:(?!<!\[endif\]|<!--\[if).)*+)(<!\[endif\]-->)", re.DOTALL)
