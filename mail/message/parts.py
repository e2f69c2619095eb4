"""Files in a message: pictures in its HTML, and attachments (RFC 2045, 2183, 2231, 2392).

They are the same for all recipients, so each is encoded once.
"""

import binascii
import re
from dataclasses import dataclass
from email.header import Header
from urllib.parse import quote

from mail.message.encoding import CRLF

_LINE_OCTETS = 57  # 76 characters of base64.
_LONGEST_NAME = 200  # Octets; percent-encoded it must fit in one line.


@dataclass(frozen=True, slots=True)
class Part:
    """One encoded file."""

    content_id: str  # Without brackets; empty for an attachment.
    encoded: bytes  # With its headers; no line starts with a dot.


def part(name: str, content_type: str, content: bytes, content_id: str = "") -> Part:
    """Return a file as a MIME part.

    :param content_type: such as ``image/png``; text is UTF-8, and never HTML.
    :param content_id: its address in the HTML is ``cid:`` plus this; empty: an attachment.
    :raises ValueError: if a value would break a header.
    """
    if not _CONTENT_TYPE(content_type):
        raise ValueError(f"Content-Type: {content_type!r} is none for a file.")
    if content_id and not _CONTENT_ID(content_id):
        raise ValueError(f"Content-ID: {content_id!r} needs the form “unique@example.com”.")
    charset = "; charset=utf-8" if content_type.startswith("text/") else ""
    name = _clean(name)
    lines = [
        f"Content-Type: {content_type}{charset}{_old_name(name)}",
        "Content-Transfer-Encoding: base64",
    ]
    if content_id:
        lines.append(f"Content-ID: <{content_id}>")
    lines.append(f"Content-Disposition: {'inline' if content_id else 'attachment'};\r\n {_filename(name)}")
    return Part(content_id, "\r\n".join([*lines, "", ""]).encode("ascii") + _base64(content))


def wrap(boundary: bytes, kind: str, first: bytes, parts: list[Part]) -> tuple[bytes, bytes]:
    """Return the bytes before and after the first part of a multipart that continues with ``parts``.

    :param first: the headers of the first part, with the empty line after them.
    """
    opened = f"Content-Type: multipart/{kind};\r\n boundary=".encode() + b'"' + boundary + b'"\r\n\r\n'
    before = opened + b"--" + boundary + CRLF + first
    others = b"".join(b"\r\n--" + boundary + CRLF + file.encoded for file in parts)
    return before, others + b"\r\n--" + boundary + b"--\r\n"


def _base64(content: bytes) -> bytes:
    starts = range(0, len(content), _LINE_OCTETS)
    return b"\r\n".join(binascii.b2a_base64(content[start : start + _LINE_OCTETS], newline=False) for start in starts)


def _clean(name: str) -> str:
    """Return a name without characters that break a header or a path, shortened if necessary."""
    name = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069/\\]", "_", name) or "file"
    stem, dot, ending = name.rpartition(".")
    while len(name.encode("utf-8", "replace")) > _LONGEST_NAME and stem:
        stem = stem[:-1]
        name = stem + dot + ending
    return name


def _filename(name: str) -> str:
    """Return the parameter, percent-encoded if it is not plain ASCII (RFC 2231 section 4)."""
    if _PLAIN_NAME(name):
        return f'filename="{name}"'
    return f"filename*=utf-8''{quote(name, safe='', errors='replace')}"


def _old_name(name: str) -> str:
    """Return the name parameter for programs that do not know RFC 2231, encoded as in RFC 2047."""
    if _PLAIN_NAME(name):
        return ""
    words = Header(name.encode("utf-8", "replace").decode("utf-8"), "utf-8", maxlinelen=70).encode(linesep="\r\n")
    return f';\r\n name="{words}"'


_PLAIN_NAME = re.compile(r"[ !#-\[\]-~]+").fullmatch
_CONTENT_TYPE = re.compile(r"(?!text/html|multipart/|message/)[a-z]{1,20}/[a-z0-9][a-z0-9.+-]{0,90}").fullmatch
_CONTENT_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}@[A-Za-z0-9.-]{1,200}").fullmatch
