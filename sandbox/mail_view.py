"""The parts of an untrusted mail for display: headers, text, HTML, attachments and links.

Every step is bounded (bytes, parts, depth), and nothing raises, whatever the mail contains. The stdlib's parser is not
used for the body: it recurses into nested parts, and a few megabytes of them take minutes.
"""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from urllib.parse import unquote, urlsplit

MOST_HEADER_BYTES = 64 * 1024
MOST_HEADERS = 300
MOST_HEADER_TEXT = 4_000  # Characters of one header.
MOST_DEPTH = 10
MOST_PARTS = 100
MOST_TEXT = 200_000  # Characters shown on the page.
MOST_HTML = 2_000_000
MOST_LINKS = 200
MOST_PICTURES = 10_000_000  # Characters of the ``data:`` URLs that the HTML shows.
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")

# By Python's names. Others are quadratic (punycode), not text (bz2), or unused in mail.
CHARSETS = {
    "ascii", "utf-8", "utf-16", "utf-16-be", "utf-16-le", "iso8859-1", "iso8859-2", "iso8859-3", "iso8859-4",
    "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9", "iso8859-10", "iso8859-13", "iso8859-14",
    "iso8859-15", "iso8859-16", "cp437", "cp850", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256",
    "cp1257", "cp1258", "koi8-r", "koi8-u", "mac-roman", "big5", "gb2312", "gbk", "gb18030", "shift_jis", "cp932",
    "euc_jp", "euc_kr", "iso2022_jp", "iso2022_kr", "tis-620",
}  # fmt: skip

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_CID = re.compile(r"cid:([^\s\"'<>()]{1,200})", re.IGNORECASE)
_LINK = re.compile(r"""\shref\s*=\s*(?:"([^"]{1,4000})"|'([^']{1,4000})')""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MailPart:
    content_type: str
    name: str  # The declared file name; empty: none.
    size: int  # Bytes after decoding.
    depth: int


@dataclass(slots=True)
class Reading:
    """The readable content of a mail; ``remarks`` are sentences about unreadable parts."""

    headers: list[tuple[str, str]]
    text: str | None = None
    html: str | None = None
    parts: list[MailPart] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # http and https only.
    remarks: list[str] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)  # ``data:`` URLs by Content-ID.

    def html_with_pictures(self) -> str:
        """Return the HTML with the pictures of the mail in place of their ``cid:`` URLs (RFC 2392).

        A mail that asks for a picture very often gets it until all of them together are :data:`MOST_PICTURES` long.
        """
        left = MOST_PICTURES

        def picture(found: re.Match[str]) -> str:
            nonlocal left
            url = self.pictures.get(unquote(found[1]), found[0])
            left -= len(url)
            return url if left >= 0 else found[0]

        return _CID.sub(picture, self.html or "")


def clean(text: str, most: int) -> str:
    """Return ``text`` fit for a database column and a page: no control characters, no lone surrogates, cut."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text[:most])


def summary(content: bytes) -> tuple[str, str]:
    """Return the decoded subject, and the Message-ID."""
    headers = _headers(_split(content)[0])
    return _first(headers, "subject")[:500], _first(headers, "message-id")[:255]


def read(content: bytes) -> Reading:
    """Return the readable content of ``content``, the bytes after DATA."""
    block, _ = _split(content)
    reading = Reading(_headers(block))
    if len(block) > MOST_HEADER_BYTES or len(reading.headers) >= MOST_HEADERS:
        reading.remarks.append("The headers are unusually long; the first of them are shown.")
    for count, (headers, body, depth) in enumerate(_leaves(content, 0)):
        if count >= MOST_PARTS:
            reading.remarks.append(f"The mail has more than {MOST_PARTS} parts; the others are not shown.")
            break
        _add_part(reading, headers, body, depth)
    if reading.html:
        reading.links = _links(reading.html)
    return reading


def _add_part(reading: Reading, headers: list[tuple[str, str]], body: bytes, depth: int) -> None:
    """Add one leaf part of the mail to ``reading``."""
    kind = _content_type(headers)
    content_type = kind.get_content_type()
    payload = _undo_transfer_encoding(body, _first(headers, "content-transfer-encoding").strip().lower())
    name = _file_name(kind, headers)
    reading.parts.append(MailPart(clean(content_type, 100), name, len(payload), depth))
    if content_type.startswith("multipart/"):
        reading.remarks.append("A part could not be taken apart, because it is nested too deeply or has no boundary.")
    content_id = _first(headers, "content-id").strip().removeprefix("<").removesuffix(">")
    if content_id and content_type in PICTURES:
        if sum(map(len, reading.pictures.values())) + len(payload) * 4 / 3 <= MOST_PICTURES:
            picture = base64.b64encode(payload).decode("ascii")
            reading.pictures.setdefault(content_id, f"data:{content_type};base64,{picture}")
        return
    if name or "attachment" in _first(headers, "content-disposition").lower():
        return
    charset = kind.get_param("charset")
    if content_type == "text/html" and reading.html is None:
        reading.html = _decode(payload[: 4 * MOST_HTML], charset)[:MOST_HTML]
    elif content_type == "text/plain" and reading.text is None:
        text = _decode(payload[: 4 * MOST_TEXT], charset)
        if len(text) > MOST_TEXT:
            reading.remarks.append(f"The text is long; its first {MOST_TEXT:,} characters are shown.")
        reading.text = clean(text.replace("\r\n", "\n"), MOST_TEXT)


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Return the header block and the body."""
    if content.startswith((b"\r\n", b"\n")):
        return b"", content.lstrip(b"\r\n")
    end = _END_OF_HEADERS.search(content)
    return (content[: end.start()], content[end.end() :]) if end else (content, b"")


def _headers(block: bytes) -> list[tuple[str, str]]:
    """Return names and values, unfolded and decoded, in order; lines that are no header are left out."""
    text = _FOLD.sub("", _decode(block[:MOST_HEADER_BYTES], "utf-8"))
    headers = []
    for line in re.split(r"\r?\n", text):
        name, colon, value = line.partition(":")
        if colon and name and not name[0].isspace():
            headers.append((clean(name.strip(), 100), _header_text(value.strip())))
        if len(headers) >= MOST_HEADERS:
            break
    return headers


def _header_text(value: str) -> str:
    """Return a header with its encoded-words (RFC 2047) decoded, or unchanged if they are broken."""
    value = value[:MOST_HEADER_TEXT]
    if "=?" in value:
        try:
            chunks = decode_header(value)
        except (MessageError, ValueError):
            chunks = [(value, None)]
        value = "".join(
            chunk if isinstance(chunk, str) else _decode(chunk, charset or "latin-1") for chunk, charset in chunks
        )
    return clean(re.sub(r"[\r\n\t]+", " ", value), MOST_HEADER_TEXT)


def _first(headers: list[tuple[str, str]], name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")


def _content_type(headers: list[tuple[str, str]]) -> Message:
    """Return the stdlib's parser of Content-Type parameters, limited to what it can handle."""
    message = Message()
    try:
        message["Content-Type"] = _first(headers, "content-type")[:1000] or "text/plain"
        message.get_param("charset")
        message.get_filename()
    except (ValueError, LookupError, TypeError):  # Broken RFC 2231 parameters.
        message = Message()
        message["Content-Type"] = "application/octet-stream"
    return message


def _file_name(kind: Message, headers: list[tuple[str, str]]) -> str:
    kind["Content-Disposition"] = _first(headers, "content-disposition")[:1000]
    try:
        return clean(_header_text(kind.get_filename() or ""), 200)
    except (ValueError, LookupError, TypeError):
        return "unreadable name"


def _leaves(content: bytes, depth: int) -> Iterator[tuple[list[tuple[str, str]], bytes, int]]:
    """Yield headers, body and depth of every leaf part."""
    block, body = _split(content)
    headers = _headers(block)
    kind = _content_type(headers)
    boundary = kind.get_param("boundary")
    is_container = kind.get_content_maintype() == "multipart" and isinstance(boundary, str) and boundary
    if not is_container or depth >= MOST_DEPTH:
        yield headers, body, depth
        return
    delimiter = re.compile(
        rb"(?:^|\r?\n)--" + re.escape(str(boundary).encode("utf-8", "replace")) + rb"(--)?[ \t]*(?=\r?\n|$)"
    )
    start = None
    for count, mark in enumerate(delimiter.finditer(body)):
        if start is not None:
            yield from _leaves(body[start : mark.start()].removeprefix(b"\r").removeprefix(b"\n"), depth + 1)
        start = mark.end()
        if mark[1] or count > MOST_PARTS:
            return
    if start is None:  # The boundary never occurs.
        yield headers, body, depth
    else:  # The closing one is missing.
        yield from _leaves(body[start:].removeprefix(b"\r").removeprefix(b"\n"), depth + 1)


def _undo_transfer_encoding(body: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding == "base64":
        try:
            return binascii.a2b_base64(body + b"==")
        except binascii.Error:
            return body
    return body


def _decode(content: bytes, charset: object) -> str:
    """Return ``content`` as text in its declared charset, or in UTF-8 if that fails."""
    try:
        name = codecs.lookup(charset).name if isinstance(charset, str) else "utf-8"
    except (LookupError, ValueError):
        name = "utf-8"
    claimed = name if name in CHARSETS else "utf-8"
    for attempt in (claimed, "utf-8"):
        try:
            return content.decode(attempt)
        except UnicodeDecodeError:
            continue
    return content.decode(claimed, "replace")


def _links(source: str) -> list[str]:
    """Return the http and https targets of links in ``source``, without duplicates, in order."""
    found: dict[str, None] = {}
    for match in _LINK.finditer(source):
        url = clean(html.unescape(match[1] or match[2]).strip(), 4000)
        try:
            is_web = urlsplit(url).scheme in ("http", "https")
        except ValueError:
            continue
        if is_web:
            found[url] = None
        if len(found) >= MOST_LINKS:
            break
    return list(found)
