"""Whole messages as a parser reads them that shares no line with Python's: Rust's mailparse.

Two readers that agree with each other, and with what was put in, are worth more than one: a mistake that the
standard library forgives shows here.
"""

import datetime as dt
import email
import email.policy
import re
from collections.abc import Sequence
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses
from typing import Any

import pytest
from fast_mail_parser import PyAddress, PyMail, parse_email, parse_email_tree
from hypothesis import example, given
from hypothesis import strategies as st

from mail.addresses import Mailbox, ascii_address, needs_smtputf8
from mail.message.composition import compile_content
from mail.message.style import Recipient, Style

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
HTML = "<html><body><p>Dear {{ first_name }},</p><p>{{ note }}</p></body></html>"
TEXT = "Dear {{ first_name }},\n\n{{ note }}\n"
LONG_URL = "https://mail.example.com/u/" + "7k3f9q2m-zx4a_" * 50

SUBJECTS = (
    "Winter sale",
    "Größe, Farbe, Maß",
    "冬のセールは今日から始まります。お見逃しなく、全品半額です" * 4,
    "🎿 " * 60,
    "=?utf-8?q?not_coded?= and =?broken",
    "a" * 300,
    "tab\there, and\r\nBcc: eve@example.com",
    "  spaces   inside    and around  ",
    'quotes " and \\ and (brackets) <and> ; : , @ [more]',
    "100% {ok} — “typographic” … and ‑ a hyphen",
    "مرحبا بالعالم, שלום עולם",
    "e\u0301 combining and \u00a0 no-break",
    "?= =? _underscores_ =3D",
    "From here . to .. there",
)
NAMES = (
    "Example Shop",
    "Größe & Söhne GmbH",
    "Lee, Ann",
    'Ann "the Boss" Lee',
    "Back\\slash (with comment)",
    "株式会社サンプル・ショッピングセンター東京本店営業部第一課",
    "🎿 Ski; Shop: Co.",
    "ann@other.example",
    "O'Neil",
    "x" * 140,
)
NOTES = (
    "",
    ".",
    ".hidden\n..\n.\n",
    "From the start\n>From again",
    "=3D =_ --=_boundary--",
    "x" * 2_000,
    "ж" * 500 + " " + "漢" * 500,
    "<script>alert(1)</script> & &amp; \"'",
    "trailing space \nand tab\t\n\n\n",
    "Content-Type: text/html\n\n<b>no</b>",
    "\u2028 and \x85 and \x0b",
)
ADDRESSES = (  # Not quoted ones: mailparse does not read them.
    "ann@example.com",
    "o'neil+tag=1@sub.example.com",
    "ann@bücher.example",
    "jörg@example.com",
    "用户@例子.example",
    f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example",
)
FULL = Style(
    mail_from=Mailbox("Example Shop", "news@example.com"),
    reply_to='"Hilfe, bitte" <help@example.com>, Zweite Größe <two@bücher.example>',
    cc=("Boss <boss@example.com>", "Größe <cc@example.com>"),
    list_id="Größe & more <news.lists.example.com>",
    precedence="bulk",
    complaints_to="fbl@example.com",
    abuse_to="abuse@example.com",
    feedback_id="c1042:acme:news:brilliance1",
    has_unsubscribe=True,
    organisation="Größe GmbH",
    postal_address="Straße 1\n12345 Köln",
    language="ja",
    says_language=True,
    extra_headers=(("X-Campaign", "Grüße 🎿"),),
)
ONCE = (
    *("Date", "From", "Reply-To", "To", "Cc", "Subject", "Message-ID", "List-Id", "List-Unsubscribe"),
    *("List-Unsubscribe-Post", "Precedence", "MIME-Version", "Content-Type", "CFBL-Address", "Content-Language"),
)


def build(
    subject: str = "Hi",
    *,
    style: Style = FULL,
    html: str = HTML,
    text: str = TEXT,
    first_name: str = "Ann",
    note: str = "",
    **recipient: Any,
) -> bytes:
    values = {"first_name": first_name, "note": note}
    given = {"address": "ann@example.com", "message_id": "<7k3f9q2mzx4a@example.com>", "feedback_id": "c1042:7k3f"}
    given |= {"unsubscribe_url": LONG_URL, **recipient}
    return compile_content(subject, html, text, style).build(Recipient(values=values, **given), NOW)


def check_that_they_agree(wire: bytes) -> PyMail:
    """Compare what both parsers make of a message: its headers, its addresses and its parts.

    Before that, what must be true of the bytes of every message: CRLF alone, lines of at most 998 octets, and none
    that needs dot-stuffing. Neither parser may have to mend anything.
    """
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert all(len(line) <= 998 and not line.startswith(b".") for line in wire.split(b"\r\n"))
    assert all(len(word) <= 75 for word in re.findall(rb"=\?utf-8\?[bq]\?[^?\s]*\?=", wire.partition(b"\r\n\r\n")[0]))
    first = email.message_from_string(wire.decode(), policy=email.policy.default)
    second = parse_email(wire, strict=True)
    assert isinstance(first, EmailMessage)
    assert [defect for part in first.walk() for defect in part.defects] == []

    written = {name: re.sub(r"\r\n(?=[ \t])", "", value) for name, value in first.raw_items()}
    assert second.headers == {name: [decoded(value)] for name, value in written.items()}
    for name, found in (("From", [second.from_]), ("To", second.to), ("Cc", second.cc), ("Reply-To", second.reply_to)):
        boxes = getaddresses([written[name]]) if name in written else []
        assert addresses(found) == [(decoded(box_name), address) for box_name, address in boxes], name
    for kind, parts in (("plain", second.text_plain), ("html", second.text_html)):
        body = first.get_body((kind,))
        assert [unix(part) for part in parts] == ([unix(body.get_content())] if body else []), kind
    tree = parse_email_tree(wire)
    kinds = [tree.content_type, *(child.content_type for child in tree.children)]
    assert kinds == [part.get_content_type() for part in first.walk()]
    assert second.attachments == []
    assert second.date_parsed == NOW
    return second


def decoded(value: str) -> str:
    """Decode as ``email.header`` does: the newer classes put spaces between the encoded-words of a display name."""
    return str(make_header(decode_header(value)))


def addresses(found: Sequence[PyAddress | None]) -> list[tuple[str, str]]:
    return [(one.display_name or "", one.address) for one in found if one]


def unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def one_line(text: str) -> str:
    return " ".join(text.split())


def is_seven_bit(wire: bytes) -> bool:
    return wire.isascii() and b"Content-Transfer-Encoding: 8bit" not in wire


@pytest.mark.parametrize("subject", SUBJECTS)
def test_both_read_the_subject_that_was_written(subject: str) -> None:
    mail = check_that_they_agree(build(subject))

    assert one_line(mail.subject) == one_line(subject)
    assert mail.bcc == []


@pytest.mark.parametrize("name", NAMES)
def test_both_read_the_names_that_were_written(name: str) -> None:
    style = Style(mail_from=Mailbox(name, "news@example.com"), reply_to=str(Mailbox(name, "help@example.com")))

    mail = check_that_they_agree(build("{{ first_name }}", style=style, first_name=name))

    assert mail.from_ is not None
    assert addresses([mail.from_, *mail.reply_to]) == [(name, "news@example.com"), (name, "help@example.com")]
    assert mail.subject == name
    assert mail.text_plain[0].startswith(f"Dear {name},")


@pytest.mark.parametrize("note", NOTES)
def test_both_read_the_values_that_were_merged(note: str) -> None:
    wire = build("{{ note }}", note=note)

    mail = check_that_they_agree(wire)

    visible = note.replace("\x0b", "")
    assert f"Dear Ann,\n\n{visible}".rstrip() in unix(mail.text_plain[0])
    assert "<script>" not in mail.text_html[0]
    assert len(mail.text_plain) == len(mail.text_html) == 1
    assert is_seven_bit(wire)


@pytest.mark.parametrize("address", ADDRESSES)
def test_both_read_the_address_and_only_a_local_part_needs_more_than_7_bits(address: str) -> None:
    wire = build(address=address)

    (reader,) = check_that_they_agree(wire).to

    assert reader.address == ascii_address(address)
    assert is_seven_bit(wire) is not needs_smtputf8(address)


def test_both_read_every_header_of_a_full_message_once_and_its_long_address_whole() -> None:
    wire = build()

    mail = check_that_they_agree(wire)

    assert set(ONCE) <= set(mail.headers)
    assert [name for name, values in mail.headers.items() if len(values) != 1] == []
    assert mail.headers["List-Unsubscribe"] == [f"<{LONG_URL}>"]
    assert mail.headers["List-Unsubscribe-Post"] == ["List-Unsubscribe=One-Click"]
    assert mail.headers["List-Id"] == ["Größe & more <news.lists.example.com>"]
    assert addresses(mail.cc) == [("Boss", "boss@example.com"), ("Größe", "cc@example.com")]
    assert addresses(mail.reply_to)[0] == ("Hilfe, bitte", "help@example.com")
    assert f"List-Unsubscribe: <{LONG_URL}>\r\n".encode() in wire
    assert is_seven_bit(wire)


def test_both_read_a_message_of_text_alone() -> None:
    mail = check_that_they_agree(build(html="", style=Style(mail_from=Mailbox("", "news@example.com"))))

    assert mail.text_html == []
    assert list(mail.headers)[-1] == "Content-Transfer-Encoding"


readable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp"]), max_size=120)


@given(subject=readable, name=readable, note=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
@example(subject="=?", name='"', note="=\n.\n")
def test_both_agree_on_whatever_people_type(subject: str, name: str, note: str) -> None:
    style = Style(mail_from=Mailbox(one_line(name), "news@example.com"))
    plain = subject.replace("{", "(")

    mail = check_that_they_agree(build(plain + "{{ note }}", style=style, note=note, first_name=name))

    assert "".join(mail.subject.split()).startswith("".join(plain.split()))
    assert mail.from_ is not None
    assert mail.from_.address == "news@example.com"
    assert (mail.from_.display_name or "") == one_line(name)
