"""What is shown of a mail, also of one that was made to hurt."""

import codecs
import time
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.mail_view import CHARSETS, MOST_PARTS, MOST_PICTURES, MOST_TEXT, MailPart, read, summary


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    head = b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n'
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return head + body + b"--" + boundary + b"--\r\n"


def test_headers_are_unfolded_decoded_and_kept_in_their_order():
    content = b"B: 1\r\nA: =?iso-8859-1?q?J=F6rg?= and\r\n =?utf-8?b?w7w=?=\r\nb: 2\r\n\r\nbody"

    assert read(content).headers == [("B", "1"), ("A", "Jörg and ü"), ("b", "2")]


def test_an_ordinary_mail_gives_text_html_links_and_attachments():
    message = EmailMessage()
    message["Subject"] = "Grüße"
    message["Message-ID"] = "<1@example.org>"
    message.set_content("Hallo\n")
    message.add_alternative('<a href="https://example.org/?utm_source=a&amp;b=1">x</a>', subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Rechnung ü.pdf")

    reading = read(message.as_bytes())

    assert summary(message.as_bytes()) == ("Grüße", "<1@example.org>")
    assert reading.text == "Hallo\n"
    assert reading.html.startswith("<a href=")
    assert reading.links == ["https://example.org/?utm_source=a&b=1"]
    assert reading.parts == [
        MailPart("text/plain", "", 6, 2),
        MailPart("text/html", "", len(reading.html), 2),
        MailPart("application/pdf", "Rechnung ü.pdf", 4, 1),
    ]
    assert reading.remarks == []


def test_only_web_addresses_are_links():
    content = (
        b"Content-Type: text/html\r\n\r\n<a href='javascript:alert(1)'><a href=\"data:text/html,x\">"
        b"<a href='https://a.example/'><a href='https://a.example/'><a href='http://[bad'>"
    )

    assert read(content).links == ["https://a.example/"]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("quoted-printable", b"gr=C3=BC=\r\nn"),
        ("base64", b"Z3LDvG4"),
        ("BASE64", b"Z3LD\r\nvG4="),
        ("8bit", b"gr\xc3\xbcn"),
    ],
)
def test_transfer_encodings_are_undone(encoding: str, body: bytes):
    content = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding.encode()

    assert read(content + b"\r\n\r\n" + body).text == "grün"


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("iso-8859-1", b"\xfc", "ü"),
        ("Windows-1252", b"\x80", "€"),
        ("utf-16", b"\xff\xfea\x00", "a"),
        ("us-ascii", "ü".encode(), "ü"),  # A false claim.
        ("us-ascii", b"\xfc", "\N{REPLACEMENT CHARACTER}"),
        ("no-such-charset", "ü".encode(), "ü"),
        ("bz2", b"BZh9", "BZh9"),  # A codec, not a charset.
        ("punycode", b"abc-", "abc-"),  # Takes quadratic time.
        ("unicode_escape", rb"\x41", r"\x41"),
        ("x\0y", b"a", "a"),
    ],
)
def test_a_charset_is_believed_where_it_is_one(charset: str, body: bytes, text: str):
    assert read(f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + body).text == text


def test_every_known_charset_is_spelt_as_python_spells_it():
    assert {codecs.lookup(name).name for name in CHARSETS} == CHARSETS


def with_picture(html: bytes, content_type: bytes = b"image/png", size: int = 3) -> bytes:
    return (
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n" + html
        + b"\r\n--b\r\nContent-Type: " + content_type + b'; name="logo.png"\r\nContent-ID: <logo@example.org>\r\n'
        b"Content-Disposition: inline\r\n\r\n" + b"x" * size + b"\r\n--b--\r\n"
    )  # fmt: skip


def test_a_picture_within_the_mail_is_shown_where_the_html_asks_for_it():
    html = b'<img src="cid:logo@example.org"><td background=\'cid:logo%40example.org\'><img src="cid:other">'

    shown = read(with_picture(html)).html_with_pictures()

    assert shown == (
        '<img src="data:image/png;base64,eHh4"><td background=\'data:image/png;base64,eHh4\'><img src="cid:other">'
    )


def test_only_pictures_without_script_are_shown():
    assert "cid:" in read(with_picture(b'<img src="cid:logo@example.org">', b"image/svg+xml")).html_with_pictures()


def test_a_picture_that_is_asked_for_without_end_fills_no_memory():
    shown = read(with_picture(b'<img src="cid:logo@example.org">' * 10_000, size=1_000_000)).html_with_pictures()

    assert "data:image/png" in shown
    assert len(shown) < MOST_PICTURES + 1_000_000


def test_a_mail_without_a_blank_line_is_all_headers():
    assert read(b"Subject: x").headers == [("Subject", "x")]
    assert read(b"").headers == []


def test_a_mail_without_headers_is_all_text():
    assert read(b"\r\nhello").text == "hello"


def test_a_missing_closing_boundary_loses_nothing():
    content = multipart(b"Content-Type: text/plain\r\n\r\nhello").replace(b"--b--", b"")

    assert read(content).text.strip() == "hello"


def test_a_boundary_that_never_comes_is_said():
    reading = read(b"Content-Type: multipart/mixed; boundary=zzz\r\n\r\nhello")

    assert reading.remarks == ["A part could not be taken apart, because it is nested too deeply or has no boundary."]


def test_deep_nesting_ends_at_a_depth_and_is_said():
    content = b"\r\nbottom"
    for level in range(2000):
        boundary = b"level%d" % level
        content = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n--" + boundary + b"\r\n" + content
    started = time.thread_time()

    reading = read(content)

    assert reading.remarks == ["A part could not be taken apart, because it is nested too deeply or has no boundary."]
    assert time.thread_time() - started < 5


def test_too_many_parts_are_cut_and_said():
    reading = read(multipart(*[b"\r\nx"] * 5000))

    assert len(reading.parts) == MOST_PARTS
    assert reading.remarks == ["The mail has more than 100 parts; the others are not shown."]


def test_a_long_text_is_cut_and_said():
    reading = read(b"Subject: x\r\n\r\n" + b"word " * 1_000_000)

    assert len(reading.text) == MOST_TEXT
    assert reading.remarks == ["The text is long; its first 200,000 characters are shown."]


BOMBS = {
    "one header of many megabytes": b"Subject: " + b"x" * 8_000_000,
    "very many headers": b"A: b\r\n" * 1_000_000,
    "quotes in a parameter": b"Content-Type: text/plain; a=" + b'";' * 4_000_000,
    "encoded-words": b"Subject: " + b"=?utf-8?q?=41?= " * 500_000,
    "delimiters": multipart(boundary=b"b") + b"\r\n--b" * 2_000_000,
    "short lines": multipart(b"\r\n" + b"\r\n" * 4_000_000),
    "unclosed hrefs": b"Content-Type: text/html\r\n\r\n" + b"<a href='" * 1_000_000,
    "folded header": b"A: b\r\n" + b" \r\n" * 2_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_in_bounded_time(name: str):
    started = time.thread_time()

    read(BOMBS[name])
    summary(BOMBS[name])

    assert time.thread_time() - started < 10  # Without bounds these take minutes.


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [
                b"Content-Type: ", b"multipart/mixed; boundary=b", b"text/html; charset=", b"text/plain", b"\r\n",
                b"\r\n\r\n", b"--b", b"--b--", b"=?utf-8?b?", b"=?x?q?=ff?=", b"?=", b'"', b";", b"name*0*=utf-8''%ff",
                b"filename*=a''%00", b"Content-Disposition: attachment;", b"Content-Transfer-Encoding: base64",
                b"charset*=", b"utf-16", b"idna", b"<a href='", b"http://[",
            ]
        ),
    ),
    max_size=40,
)  # fmt: skip


@given(PIECES)
def test_nothing_makes_reading_raise(pieces: list[bytes]):
    content = b"".join(pieces)

    reading = read(content)
    subject, message_id = summary(content)

    shown = [subject, message_id, reading.text or "", *(value for _, value in reading.headers)]
    assert not any("\x00" in text for text in shown)
    "".join([*shown, reading.html or ""]).encode()  # No half characters either.


def test_the_rules_import_no_django():
    source = Path(read.__code__.co_filename).read_text()

    assert "django" not in source
