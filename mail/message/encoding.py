"""Header lines and bodies as bytes: folding, encoded-words, quoted-printable (RFC 5322, 2045, 2047).

The standard library's classes break long List-Unsubscribe headers and take milliseconds per message, hence these
functions. Every line ends in CRLF, and values that could end a header early are refused. The choice of headers is made
elsewhere.
"""

import binascii
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mail.addresses import AddressInvalid, Mailbox, are_simple, envelope_address

CRLF = b"\r\n"
SOFT_BREAK = b"=\r\n"  # Ends a line of quoted-printable without ending the line of text.
LONGEST_WORD = 78  # Octets of an encoded value on its own line, with its soft break.
_WIDTH = 78  # Characters of a header line (RFC 5322 section 2.1.1).
_LONGEST = 998  # Octets of any line; more is an error.


def unstructured(name: str, value: str) -> bytes:
    """Return a header of free text, with encoded-words if it is not plain ASCII.

    :raises ValueError: if ``value`` contains a line break or another control character.
    """
    if len(name) + 2 + len(value) <= _WIDTH and _PRINTABLE(value) and "=?" not in value:
        return f"{name}: {value}\r\n".encode("ascii")
    _refuse_controls(name, value)
    value = value.strip(" ")
    tokens = re.findall(r" *[^ ]+", value)
    longest = max([len(name) + 2 + len(tokens[0]), *map(len, tokens)]) if tokens else 0
    # "=?" would be read as an encoded-word; a word too long for its line cannot be folded otherwise.
    if not value.isascii() or "=?" in value or longest > _WIDTH:
        tokens = encoded_words(value, first=_WIDTH - len(name) - 2)
    if tokens:
        tokens[0] = " " + tokens[0].lstrip(" ")
    return _fold(name, tokens)


def unstructured_lines(name: str, values: Iterable[str], clean: Callable[[str], str]) -> list[str]:
    """Return :func:`unstructured` for each of many values.

    :param clean: applied to each value before; it leaves plain text as it is.
    """
    room = _WIDTH - len(name) - 2
    return [
        f"{name}: {value}\r\n"
        if len(value) <= room and _PRINTABLE(value) and "=?" not in value
        else unstructured(name, clean(value)).decode("ascii")
        for value in values
    ]


def addresses(name: str, bare: Sequence[str]) -> Sequence[str]:
    """Return :func:`address` of each of many addresses."""
    return bare if are_simple(bare) else [address(name, one) for one in bare]


def verbatim(name: str, value: str) -> bytes:
    """Return a header with a literal value (an identifier, a URL): never encoded, never folded.

    :raises ValueError: for anything but printable ASCII, or if the line is too long.
    """
    if not _PRINTABLE(value):
        _refuse_controls(name, value)
        raise ValueError(f"{name}: {value!r} may hold printable ASCII characters only.")
    return _line(name, value)


def mailboxes(name: str, boxes: Sequence[Mailbox]) -> bytes:
    """Return a header of one or more addresses; display names are encoded, addresses never.

    A UTF-8 local part stays as it is, so the server must offer SMTPUTF8 (RFC 6532).
    """
    tokens: list[str] = []
    for box in boxes:
        spelled = address(name, box.address)
        words = phrase(name, box.name)
        tokens += [*words, f" <{spelled}>" if words else f" {spelled}"]
        tokens[-1] += ","
    tokens[-1] = tokens[-1].removesuffix(",")
    return _fold(name, tokens)


def address_line(name: str, bare: str) -> bytes:
    """Return a header of one bare address."""
    return _line(name, address(name, bare))


def address(name: str, bare: str) -> str:
    """Return an address in the form for the header ``name``.

    :raises ValueError: if it is invalid; the sentence names the header.
    """
    try:
        return envelope_address(bare)
    except AddressInvalid as error:
        raise ValueError(f"{name}: {error}") from error


def identified(name: str, value: str) -> bytes:
    """Return a header such as ``List-Id``: a phrase for people, encoded if necessary, and ``<an.identifier>``."""
    title, opened, identifier = value.rpartition("<")
    if not opened or not re.fullmatch(r"[!-;=?-~]{1,254}>", identifier):
        _refuse_controls(name, value)
        raise ValueError(f"{name}: {value!r} needs the form “Name <list.example.com>”.")
    return _fold(name, [*phrase(name, title.strip()), f" <{identifier}"])


def phrase(name: str, text: str) -> list[str]:
    """Return a display name as tokens, each with a leading space: plain, quoted, or encoded-words."""
    _refuse_controls(name, text)
    text = text.strip()
    if not text:
        return []
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", text) and "=?" not in text:
        words = text.split(" ")
        if max(map(len, words)) < 60:
            return [f" {word}" for word in words]
    if text.isascii() and len(text) < 60 and "=?" not in text:
        return [' "' + re.sub(r'(["\\])', r"\\\1", text) + '"']
    return [" " + word.lstrip(" ") for word in encoded_words(text, first=_WIDTH - len(name) - 2)]


def encoded_words(text: str, first: int = _WIDTH) -> list[str]:
    """Return ``text`` as encoded-words (RFC 2047) of at most 75 characters, each with a leading space.

    :param first: the maximum length of the first.
    """
    encoded = text.encode("utf-8", "replace")
    # "q" is shorter for Western languages, and people can guess its text.
    special = sum(1 for byte in encoded if chr(byte) not in _Q_SAFE)
    is_q = special * 2 < len(encoded) - special
    make, room = (_q_word, 63) if is_q else (_b_word, 45)
    limit = max(room * (min(first, 75) - 12) // 63, 8)
    words, current, length = [], "", 0
    for character in text:
        more = len(_q(character)) if is_q else len(_utf8(character))
        if length + more > limit:
            words.append(make(current))
            current, length, limit = "", 0, room
        current += character
        length += more
    return [" " + word for word in [*words, make(current)]]


def quoted_printable(text: str) -> bytes:
    """Return ``text`` as quoted-printable with CRLF, safe for any transport.

    No line starts with a dot, so that dot-stuffing is never needed, or with "From ", which old mailboxes mangle; no
    line is longer than 76 octets; "=_" never occurs, so that a boundary may contain it. ``text`` has LF line ends.
    """
    # With LF only: b2a_qp copies the kind of the first line break, and uses LF if there is none.
    encoded = binascii.b2a_qp(_UNWANTED.sub("", text).encode("utf-8", "replace"), istext=True)
    return _UNSAFE_LINE.sub(_fix_line, encoded).replace(b"\n", CRLF)


def quoted_printable_value(text: str) -> bytes:
    """Return a value for a place between two constants, on lines of its own; an empty value takes no line."""
    if not text:
        return b""
    if _PLAIN_VALUE(text):
        return text.encode("ascii") + SOFT_BREAK
    return end_softly(quoted_printable(text))


def quoted_printable_words(
    values: Sequence[Any], *, takes_empty: bool = False
) -> tuple[list[bytes], list[bytes]] | None:
    """Return :func:`quoted_printable_value` of ordinary values, for text and, escaped, for HTML.

    All are encoded at once, which takes a fraction of the time. None if a value is blank, has several lines or a
    control character, does not fit in a line, or is not plain ``str``: then the caller encodes them one by one.

    :param takes_empty: whether an empty value is ordinary too.
    """
    if set(map(type, values)) != _PLAIN_STR or not all(map(str.isprintable, values)):
        return None
    has_empty = takes_empty and not all(values)
    if not all(map(str.strip, filter(None, values) if has_empty else values)):
        return None
    joined = "\n".join(("", *values, ""))
    if "\n." in joined or "\nFrom " in joined:
        return None
    texts = _lines_as_words(joined, len(values), has_empty)
    escaped = _escape(joined)
    htmls = texts if escaped is joined else _lines_as_words(escaped, len(values), has_empty)
    return (texts, htmls) if texts and htmls else None


def quoted_printable_columns(columns: Iterable[Sequence[str]]) -> tuple[list[bytes], list[bytes]]:
    """Return :func:`quoted_printable_value` of all values in columns, for text and, escaped, for HTML."""
    columns = list(columns)
    if (words := quoted_printable_words(list(itertools.chain.from_iterable(columns)), takes_empty=True)) is not None:
        return words
    texts: list[bytes] = []
    htmls: list[bytes] = []
    for column in columns:
        if (words := quoted_printable_words(column, takes_empty=True)) is not None:
            texts += words[0]
            htmls += words[1]
        else:
            values = [value.replace("\r\n", "\n").replace("\r", "\n") for value in column]
            texts += map(quoted_printable_value, values)
            htmls += map(quoted_printable_value, map(_escape, values))
    return texts, htmls


def _escape(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace('"', "&#34;").replace("'", "&#39;")


def _lines_as_words(joined: str, count: int, has_empty: bool) -> list[bytes]:
    if joined.isascii() and "=" not in joined and " \n" not in joined:
        encoded = joined.encode()
    else:
        encoded = binascii.b2a_qp(joined.encode("utf-8", "replace"), istext=True)
    words = encoded.replace(b"\n", _END_OF_WORD).split(b"\0")[1:-1]
    if has_empty:
        words = [b"" if word == SOFT_BREAK else word for word in words]
    return words if len(words) == count and len(max(words, key=len)) <= LONGEST_WORD else []


def quoted_printable_constants(constants: Sequence[str]) -> tuple[bytes, ...]:
    """Return constants encoded so that values of any length fit between them."""
    encoded = [quoted_printable(constant) for constant in constants]
    # After an empty constant, or one that ends a line, the value starts a line anyway.
    softly = [row if not row or row.endswith(CRLF) else end_softly(row) for row in encoded[:-1]]
    return (*softly, encoded[-1])


def end_softly(encoded: bytes) -> bytes:
    """Return quoted-printable with a soft line break at its end, within the 76 octets of a line."""
    start = encoded.rfind(b"\n") + 1
    if len(encoded) - start <= 75:
        return encoded + SOFT_BREAK
    cut = len(encoded) - (3 if encoded[-3:-2] == b"=" else 1)
    last = encoded[cut:] if encoded[cut:] != b"." else b"=2E"
    return encoded[:cut] + SOFT_BREAK + last + SOFT_BREAK


def _fold(name: str, tokens: Iterable[str]) -> bytes:
    """Return ``name: tokens``, folded before a token if the line would become too long."""
    lines = [f"{name}:"]
    is_first = True
    for token in tokens:
        if len(lines[-1]) + len(token) > _WIDTH and not is_first:
            lines.append(token)
        else:
            lines[-1] += token
        is_first = False
    for line in lines:
        if len(line.encode()) > _LONGEST:
            raise ValueError(f"{name}: a part of {len(line)} characters does not fit in a line; shorten it.")
    return "\r\n".join([*lines, ""]).encode()


def _line(name: str, value: str) -> bytes:
    line = f"{name}: {value}\r\n".encode()
    if len(line) > _LONGEST:
        raise ValueError(f"{name}: {len(value)} characters do not fit in a line; shorten it.")
    return line


def _refuse_controls(name: str, value: str) -> None:
    if _CONTROLS(value):
        raise ValueError(f"{name}: {value!r} holds a line break or another control character; remove it.")


def _fix_line(match: re.Match[bytes]) -> bytes:
    """Encode the first character of a line, or all of it if that makes it too long; split a line that is too long."""
    line = match.group()
    if not line.startswith((b".", b"From ")):
        return line[:-3] + b"=\n" + line[-3:]  # b2a_qp checks the width before it encodes a trailing space.
    if len(line) <= 74:
        return b"=%02X" % line[0] + line[1:]
    is_continued = line.endswith(b"=")
    octets = binascii.a2b_qp(line.removesuffix(b"="))
    rows = [b"".join(b"=%02X" % octet for octet in octets[start : start + 24]) for start in range(0, len(octets), 24)]
    return b"=\n".join(rows) + (b"=" if is_continued else b"")


def _q(character: str) -> str:
    if character in _Q_SAFE:
        return "_" if character == " " else character
    return "".join(f"={octet:02X}" for octet in _utf8(character))


def _q_word(text: str) -> str:
    return f"=?utf-8?q?{''.join(map(_q, text))}?="


def _b_word(text: str) -> str:
    return f"=?utf-8?b?{binascii.b2a_base64(_utf8(text), newline=False).decode()}?="


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


# The literal characters of an encoded-word in a display name (RFC 2047 section 5, rule 3), and the space.
_Q_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/ ")
_CONTROLS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]").search
_PRINTABLE = re.compile(r"[!-~]+( [!-~]+)*").fullmatch
# Text that quoted-printable does not change.
_PLAIN_VALUE = re.compile(
    r"(?!From )[A-Za-z0-9,;:/?&#_+()'\"!@%-][A-Za-z0-9 .,;:/?&#_+()'\"!@%-]{0,74}(?<! )"
).fullmatch
_PLAIN_STR = {str}  # No subclass of str with a meaning of its own.
_END_OF_WORD = SOFT_BREAK + b"\0"
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UNSAFE_LINE = re.compile(rb"^(?:\.|From )[^\n]*|^[^\n]{77,}", re.MULTILINE)
