"""Composition of messages: content, style and recipient in; bytes for DATA, with headers and parts, out.

:func:`compile_content` does once what all recipients of a mailing share: it tags links, derives the text part, adds the
    footer, folds headers and encodes constant text. Only the places that differ are filled per recipient. Nothing here
    sends, stores, or reads the clock.
"""

import contextlib
import datetime as dt
import hashlib
import html as html_entities
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import Any

from mail import merge_fields, plaintext
from mail.budget import Budget
from mail.links import link_targets, merge_tags, utm
from mail.links.link_targets import Link
from mail.merge_fields import Filters, MergeError, Template
from mail.message import encoding, footers
from mail.message.encoding import CRLF
from mail.message.headers import Headers
from mail.message.parts import Part, wrap
from mail.message.style import LINK_HOLE, PIXEL_HOLE, Recipient, Recipients, Style
from words.texts import text as _


@dataclass(frozen=True, slots=True)
class Rendered:
    """The readable message of one recipient; ``html`` is empty for a text-only message."""

    subject: str
    html: str
    text: str


class Compiled:
    """One content in one style, ready to be filled for any number of recipients."""

    def __init__(
        self,
        subject: Template,
        html: "_ContentPart | None",
        text: "_ContentPart | _LateText",
        style: Style,
        files: Sequence[Part] = (),
    ) -> None:
        self._subject = subject
        self._html = html
        self._text = text
        self._style = style
        self._words = footers.words_for(style.language)
        self._headers = Headers(style, subject)
        parts = [part for part in (html, text) if part is not None]
        templates = [subject, *(part.template for part in parts)]
        self.names = frozenset().union(*(template.names for template in templates)) - {"unsubscribe_url"}
        # "=_" never occurs in quoted-printable, so no content can contain the boundary (RFC 2045 section 6.7).
        sources = "\0".join(template.source for template in templates)
        mark = hashlib.sha256(sources.encode("utf-8", "replace")).hexdigest()[:24].encode()
        self._before_text, self._before_html, self._end = _structure(mark, html is not None, files)
        self._skeleton = self._make_skeleton()
        self._is_counted = style.counting is not None

    @property
    def is_7bit(self) -> bool:
        """Whether no shared address needs more than 7 bits."""
        return self._headers.is_7bit

    @property
    def builds_together(self) -> bool:
        """Whether :meth:`build_together` can make messages of this content at all."""
        return self._skeleton is not None and self._headers.encodes_together

    def render(self, recipient: Recipient) -> Rendered:
        """Return the readable message of one recipient.

        :raises MergeError: if a merge tag cannot be filled with the recipient's values.
        """
        values = {**recipient.values, "unsubscribe_url": recipient.unsubscribe_url}
        html = _with_tokens(self._html.render(values, recipient.budget), recipient) if self._html else ""
        text = _with_tokens(self._text.render(values, recipient.budget), recipient)
        if recipient.intended:
            notice = f"{self._words.intended}: {merge_fields.one_line(recipient.intended)}"
            text = f"{notice}\n\n{text}"
            html = html and footers.after_body_start(html, f"<p>{html_entities.escape(notice)}</p>\n")
        subject = merge_fields.one_line(
            self._style.subject_prefix + self._subject.render(values, "header", recipient.budget)
        )
        return Rendered(subject, html, text)

    def build(self, recipient: Recipient, date: dt.datetime) -> bytes:
        """Return one recipient's message as sent after DATA: CRLF line ends only, and no line starts with a dot.

        Only addresses may contain more than 7 bits.

        :param date: for the Date header; aware.
        :raises MergeError: if a merge tag cannot be filled with the recipient's values.
        :raises ValueError: if a value would break a header; the sentence names the header.
        """
        values = {**recipient.values, "unsubscribe_url": recipient.unsubscribe_url}
        headers = self._headers.encode(recipient, values, date)
        if recipient.intended:
            rendered = self.render(recipient)
            text = [encoding.quoted_printable(rendered.text)]
            html = [encoding.quoted_printable(rendered.html)]
        elif self._skeleton is not None and (
            pieces := self._skeleton.fill(values, _encoded_tokens(recipient) if self._is_counted else [])
        ):
            pieces[0] = headers
            return b"".join(pieces)
        else:
            text = self._text.encode(values, recipient)
            html = self._html.encode(values, recipient) if self._html else []
        pieces = [headers, self._before_text, *text]
        if self._html is not None:
            pieces += (self._before_html, *html)
        pieces.append(self._end)
        return b"".join(pieces)

    def build_together(self, recipients: Recipients, date: dt.datetime) -> list[bytes] | None:
        """Return the messages of many recipients as :meth:`build` does, at a fraction of its cost.

        :return: None if one of them needs :meth:`build`.
        :raises ValueError: as :meth:`build`, if one of them cannot be made.
        """
        tokens = [
            [b"%b=\r\n" % token.encode("ascii") for token in column]
            for column in (recipients.pixel_tokens, recipients.link_tokens)
            if self._is_counted
        ]
        if self._skeleton is None or (columns := self._skeleton.fill_together(recipients.values, tokens)) is None:
            return None
        if (headers := self._headers.encode_together(recipients, date)) is None:
            return None
        return list(map(b"".join, zip(headers, *columns, strict=False)))

    def _make_skeleton(self) -> "_Skeleton | None":
        """Return both parts as one skeleton, if every place is a plain field and there are at least two."""
        parts = [part for part in (self._text, self._html) if isinstance(part, _ContentPart)]
        fields = [part.template.fields for part in parts]
        places = sum(len(part or ()) for part in fields)
        has_all = self._text in parts and None not in fields
        has_all = has_all and not any(field.is_in_link for part in fields for field in part or ())
        if not has_all or places < 2 or places * encoding.LONGEST_WORD > merge_fields.MOST_OUTPUT:
            return None
        return _Skeleton(parts, [self._before_text, self._before_html][: len(parts)], self._end)


def compile_content(subject: str, html: str, text: str, style: Style, files: Sequence[Part] = ()) -> Compiled:
    """Prepare a content for all its recipients.

    Without ``text`` the text part is derived from ``html``; without ``html`` the message is text only.

    :param files: attachments, and pictures that the HTML shows; the same for everybody.
    :raises MergeError: if a merge tag cannot be parsed; the sentence names part and line.
    :raises ValueError: if the style would break a header; the sentence names the header.
    """
    html, text = _line_ends(html), _line_ends(text)
    templates = [_parse(part, source) for part, source in (("subject", subject), ("HTML", html), ("text", text))]
    filters = merge_tags.filters(style.utm, style.utm_policy, style.utm_skip)
    if style.counting is not None and _HOLE.search(html + text):
        style = replace(style, counting=None)
    html, for_text, text = _tagged(html, text, style)
    html_part = None
    if html.strip():
        pixel = ""
        if style.counting is not None:
            html = link_targets.replaced(html, link_targets.in_html(html), style.counting.address)
            pixel = style.counting.pixel
        html = link_targets.without_marks(html)
        write = partial(footers.html_footer, language=footers.known_language(style.language))
        with_footer = footers.before_body_end(html, _footer(html, style, write) + pixel)
        html_part = _ContentPart(_parse("HTML", with_footer.rstrip() + "\n", filters), "html")
    if html.strip() and not text.strip():
        text_part = _derived(for_text, style, filters)
    else:
        text_part = _text_part(text, style, filters)
    return Compiled(templates[0], html_part, text_part, style, files)


def links_of(
    html: str, text: str, style: Style, own_hosts: Collection[str], *, in_text: bool, skip: Sequence[str] = ()
) -> list[Link]:
    """Return the links of a content in one style, with the addresses that its recipients would get, codes included.

    :param own_hosts: hosts of this site, whose pages are never counted.
    :param in_text: whether those of the text part are wanted too.
    :param skip: prefixes of other addresses that are never counted, beside those that get no codes.
    :raises MergeError: if the text part cannot be derived from the HTML.
    """
    html, text = _line_ends(html), _line_ends(text)
    if _HOLE.search(html + text):
        return []
    html, for_text, text = _tagged(html, text, style)
    skipped = (*style.utm_skip, *skip)
    places = link_targets.in_html(html, own_hosts, skipped)
    if in_text:
        but: Collection[str] = ()
        if html.strip() and not text.strip():
            text, but = _derive(for_text), _marked(for_text)
        places += link_targets.in_text(text, own_hosts, skipped, last_code=_last_code(style), but=but)
    return [place.link for place in places]


def _tagged(html: str, text: str, style: Style) -> tuple[str, str, str]:
    """Return the HTML, the HTML from which a text part is derived, and the text, with the UTM codes of their links."""
    html = footers.in_language(merge_tags.encode_html(html), style.language)
    text = merge_tags.encode_text(text)
    link_names = merge_tags.names_of_links(html)
    for_text = html
    if style.utm:
        html = utm.tag_html(merge_tags.mark_html(html), style.utm, policy=style.utm_policy, skip=style.utm_skip)
    if style.utm and style.utm_in_text:
        for_text = html
        text = merge_tags.mark_text(text, link_names)
        text = utm.tag_text(text, style.utm, policy=style.utm_policy, skip=style.utm_skip)
    return html, for_text, text


def _structure(mark: bytes, has_html: bool, files: Sequence[Part]) -> tuple[bytes, bytes, bytes]:
    """Return the constant bytes before the text, between text and HTML, and at the end.

    The structure is mixed (alternative (text, related (HTML, pictures)), attachments), without the levels that are not
    needed.
    """
    attached = [file for file in files if not file.content_id]
    shown = [file for file in files if file.content_id]
    before_text, before_html, end = _TEXT_PART, b"", b""
    if has_html:
        html_header = _HTML_PART
        if shown:
            html_header, end = wrap(b"=_r" + mark, "related", html_header, shown)
        before_text, closing = wrap(b"=_" + mark, "alternative", before_text, [])
        before_html = b"\r\n--=_" + mark + CRLF + html_header
        end += closing
    if attached:
        before_text, closing = wrap(b"=_m" + mark, "mixed", before_text, attached)
        end += closing
    return _MIME_VERSION + before_text, before_html, end


# -- parts ------------------------------------------------------------------------------------------------------


class _ContentPart:
    """One part of a message: its template, and its encoded constant text."""

    __slots__ = ("escape", "pieces", "places", "template")

    def __init__(self, template: Template, escape: merge_fields.Escape) -> None:
        self.template = template
        self.escape = escape
        texts: list[str] = []
        # The place of each merge tag by its number, and the places of tokens by their number from the end.
        self.places: list[int] = []
        for number, constant in enumerate(template.constants):
            first, *others = _HOLE.split(constant)
            self.places += [number - 1] * (number > 0) + [_HOLES.index(hole) - len(_HOLES) for hole in others[::2]]
            texts += [first, *others[1::2]]
        constants = encoding.quoted_printable_constants(texts)
        self.pieces = [b""] * (2 * len(constants) - 1)
        self.pieces[::2] = constants

    def render(self, values: Mapping[str, Any], budget: Budget) -> str:
        return self.template.render(values, self.escape, budget)

    def encode(self, values: Mapping[str, Any], recipient: Recipient) -> list[bytes]:
        """Return the encoded part in pieces."""
        pieces = self.pieces.copy()
        filled = self._fill(values, recipient) + _encoded_tokens(recipient)
        pieces[1::2] = [filled[place] for place in self.places]
        return pieces

    def _fill(self, values: Mapping[str, Any], recipient: Recipient) -> list[bytes]:
        if (fields := self.template.fields) is None:
            words = self.template.fill(values, self.escape, recipient.budget)
            return [encoding.quoted_printable_value(_with_tokens(word, recipient)) for word in words]
        is_html = self.escape == "html"
        once = {field: encoding.quoted_printable_value(field.fill(values, is_html)) for field in set(fields)}
        filled = [once[field] for field in fields]
        if sum(map(len, filled)) > merge_fields.MOST_OUTPUT:
            raise MergeError(merge_fields.TOO_LARGE)
        return filled


class _Skeleton:
    """A whole message whose places are plain fields, for ordinary values."""

    __slots__ = ("_fields", "_pick", "_pick_fields", "_pieces", "_take")

    def __init__(self, parts: Sequence[_ContentPart], before: Sequence[bytes], end: bytes) -> None:
        """Join the parts.

        :param parts: with at least two fields in total.
        :param before: the bytes before each part.
        """
        names = list(dict.fromkeys(field.name for part in parts for field in part.template.fields or ()))
        self._take = (lambda values: [values[names[0]]]) if len(names) == 1 else itemgetter(*names)
        # Indexes into the text values followed by the HTML values; those of tokens count from the end.
        picks: list[int] = []
        for part in parts:
            known = [
                names.index(field.name) + len(names) * (part.escape == "html") for field in part.template.fields or ()
            ]
            picks += [known[place] if place >= 0 else place for place in part.places]
        self._pick = itemgetter(*picks)
        # The same for texts of fields, which differ in their defaults too.
        places = [(field, part.escape == "html") for part in parts for field in part.template.fields or ()]
        self._fields = {field: (field, True) in places for field, _ in places}  # With whether it occurs in HTML.
        order, picks = list(self._fields), []
        for part in parts:
            known = [order.index(field) + len(order) * (part.escape == "html") for field in part.template.fields or ()]
            picks += [known[place] if place >= 0 else place for place in part.places]
        self._pick_fields = itemgetter(*picks)
        self._pieces, constant = [b""], b""  # The first place is for the headers.
        for start, part in zip(before, parts, strict=True):
            self._pieces += [constant + start + part.pieces[0], *part.pieces[1:]]
            constant = self._pieces.pop()
        self._pieces.append(constant + end)

    def fill(self, values: Mapping[str, Any], tokens: list[bytes]) -> list[bytes] | None:
        """Return the message in pieces, the first for its headers; None if a value needs individual encoding.

        :param tokens: as encoded for their places; none if the content has no place for them.
        """
        try:
            words = encoding.quoted_printable_words(self._take(values))
        except KeyError:
            return None
        if words is None:
            return None
        texts, htmls = words
        pieces = self._pieces.copy()
        pieces[2::2] = self._pick(texts + htmls + tokens)
        return pieces

    def fill_together(
        self, values: Mapping[str, Sequence[Any]], tokens: Sequence[Sequence[bytes]]
    ) -> list[Iterable[bytes]] | None:
        """Return the pieces of :meth:`fill` after the headers, each as a column of what it is in each of many messages.

        A constant piece is repeated without end.

        :param tokens: a column for each of ``_HOLES``; none if the content has no place for them.
        :return: None if a value of one of the messages is special.
        """
        columns: list[Sequence[str]] = []
        for field, is_in_html in self._fields.items():
            column = field.fill_together(values[field.name], is_in_html=is_in_html)
            if column is None or max(map(len, column)) > _LONG_VALUE:
                return None
            columns.append(column)
        plain, html = encoding.quoted_printable_columns(columns)
        count = len(columns[0])
        filled = [words[start : start + count] for words in (plain, html) for start in range(0, len(words), count)]
        pieces: list[Iterable[bytes]] = [repeat(piece) for piece in self._pieces]
        pieces[2::2] = self._pick_fields([*filled, *tokens])
        return pieces[1:]


class _LateText:
    """A text part derived from each recipient's own HTML, because its structure depends on the recipient."""

    __slots__ = ("_footer", "template")

    def __init__(self, template: Template, footer: Template) -> None:
        self.template = template  # The HTML without its footer.
        self._footer = footer

    def render(self, values: Mapping[str, Any], budget: Budget) -> str:
        html = self.template.render(values, "html", budget)
        merge_fields.pay(budget, len(html) + _TAG_WORK * html.count("<"))
        return _derive(html) + self._footer.render(values, "text", budget)

    def encode(self, values: Mapping[str, Any], recipient: Recipient) -> list[bytes]:
        return [encoding.quoted_printable(self.render(values, recipient.budget))]


def _parse(part: str, source: str, filters: Filters | None = None) -> Template:
    try:
        return merge_fields.parse(source, filters or {})
    except MergeError as error:
        raise MergeError(_("In the %(part)s: %(error)s", part=part, error=error)) from error


def _encoded_tokens(recipient: Recipient) -> list[bytes]:
    """Return the tokens as :func:`mail.message.encoding.quoted_printable_value` of them, in the order of ``_HOLES``."""
    pixel, link = recipient.pixel_token, recipient.link_token
    encoded = b"%b=\r\n" % link.encode("ascii")
    return [encoded if pixel == link else b"%b=\r\n" % pixel.encode("ascii"), encoded]


def _with_tokens(text: str, recipient: Recipient) -> str:
    """Return rendered text with the tokens in their places."""
    if PIXEL_HOLE in text or LINK_HOLE in text:
        return text.replace(PIXEL_HOLE, recipient.pixel_token).replace(LINK_HOLE, recipient.link_token)
    return text


def _marked(html: str) -> frozenset[str]:
    """Return the addresses of links that are marked not to be counted."""
    links = (place.link for place in link_targets.in_html(html))
    return frozenset(link.url for link in links if link.why_not == link_targets.OFF)


def _last_code(style: Style) -> str:
    return utm.last_code(style.utm) if style.utm_in_text else ""


def _text_part(text: str, style: Style, filters: Filters, but: Collection[str] = ()) -> _ContentPart:
    """Return the text part.

    :param but: addresses of links that are not counted.
    """
    footer = _footer(text, style, footers.text_footer)
    if style.counting is not None and style.counting.in_text:
        places = link_targets.in_text(text, last_code=_last_code(style), but=but)
        text = link_targets.replaced(text, places, style.counting.address)
    return _ContentPart(_parse("text", text.rstrip() + footer + "\n", filters), "text")


def _derived(html: str, style: Style, filters: Filters) -> "_ContentPart | _LateText":
    """Return the text part derived from the HTML's template, or from each recipient's HTML if that would lose merge
    tags.
    """
    derived = _derive(html)
    if not _DIFFERS_IN_TABLE.search(html):
        with contextlib.suppress(MergeError):  # The removed markup contained half of a pair of tags.
            return _text_part(derived, style, filters, _marked(html) if style.counting is not None else ())
    footer = _footer(html, style, footers.text_footer)
    return _LateText(_parse("HTML", html, filters), _parse("text", footer + "\n"))


def _derive(html: str) -> str:
    try:
        return plaintext.from_html(html)
    except plaintext.TextError as error:
        raise MergeError(str(error)) from error


# -- footers ----------------------------------------------------------------------------------------------------


def _footer(content: str, style: Style, write: Callable[[footers.FooterWords | None, list[str]], str]) -> str:
    """Return the footer that ``content`` lacks: exactly one unsubscribe link, and the sender's address."""
    read = html_entities.unescape(_COMMENT.sub("", content))
    words = None
    if style.has_unsubscribe and not _UNSUBSCRIBE_TAG.search(read):
        words = footers.words_for(style.language)
        words = replace(words, reason=words.tested) if style.is_server_test else words
    is_stated = _squeeze(style.postal_address) in _squeeze(_MARKUP.sub(" ", read))
    address = style.postal_address.strip().splitlines()
    begins_with_name = bool(address) and _squeeze(address[0]) == _squeeze(style.organisation)
    lines = [] if is_stated else [*([] if begins_with_name else [style.organisation]), *address]
    if words is not None and is_stated:
        lines = [style.organisation]
    lines = [merge_fields.inert(line.strip()) for line in lines if line.strip()]
    return write(words, lines) if words is not None or lines else ""


def _squeeze(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def _line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


_HOLES = [PIXEL_HOLE, LINK_HOLE]
_HOLE = re.compile(f"([{PIXEL_HOLE}{LINK_HOLE}])")
_LONG_VALUE = 10_000  # Characters; a message with a longer value is built alone, and its size is looked at.
_TAG_WORK = 50  # Cost of converting one HTML tag to text.
_MIME_VERSION = b"MIME-Version: 1.0\r\n"
_TEXT_PART = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_HTML_PART = _TEXT_PART.replace(b"plain", b"html")
# Nobody sees a link in a comment.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|\{%-?\s{0,9}comment\b.*?(?:endcomment|\Z)", re.DOTALL)
_MARKUP = re.compile(r"<[^<>]*>")
_UNSUBSCRIBE_TAG = re.compile(r"\{[{%][^{}]*\bunsubscribe_url\b")
# A tag between table rows repeats or hides structure, which only the rendered HTML shows.
_DIFFERS_IN_TABLE = re.compile(
    r"(?:<(?:table|thead|tbody|tfoot|tr)\b[^<>]*>|</(?:tr|td|th|thead|tbody|tfoot|caption)>)\s*\{%", re.IGNORECASE
)
