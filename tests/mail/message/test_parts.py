"""Pictures and attachments in a message: where they stand, that they arrive whole, and that both ways agree."""

import datetime as dt
import email
import email.policy
from email.header import decode_header, make_header

import pytest
from fast_mail_parser import parse_email

from mail.addresses import Mailbox
from mail.message.composition import compile_content
from mail.message.parts import Part, part
from mail.message.style import Recipient, Style

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
STYLE = Style(mail_from=Mailbox("Shop", "news@example.com"))
HTML = '<html><body><p>Dear {{ name }}</p><img src="cid:logo@example.com" alt="Logo"></body></html>'
CONTENT = bytes(range(256)) * 40
LOGO = part("logo.png", "image/png", CONTENT, "logo@example.com")
PRICES = part("prices.pdf", "application/pdf", CONTENT[::-1])


def tree(message: email.message.EmailMessage) -> object:
    kind = message.get_content_type()
    return (kind, [tree(inner) for inner in message.iter_parts()]) if message.is_multipart() else kind


def read(wire: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(wire, policy=email.policy.default)


ALTERNATIVE = ("multipart/alternative", ["text/plain", "text/html"])
RELATED = ("multipart/alternative", ["text/plain", ("multipart/related", ["text/html", "image/png"])])


@pytest.mark.parametrize(
    ("html", "files", "expected"),
    [
        (HTML, [], ALTERNATIVE),
        (HTML, [LOGO], RELATED),
        (HTML, [PRICES], ("multipart/mixed", [ALTERNATIVE, "application/pdf"])),
        (HTML, [PRICES, LOGO, PRICES], ("multipart/mixed", [RELATED, "application/pdf", "application/pdf"])),
        ("", [], "text/plain"),
        ("", [PRICES], ("multipart/mixed", ["text/plain", "application/pdf"])),
        ("", [LOGO], "text/plain"),  # Nothing shows it.
    ],
)
def test_each_file_stands_where_mail_programs_look_for_it(html: str, files: list[Part], expected: object) -> None:
    compiled = compile_content("Hi", html, "Dear {{ name }}", STYLE, files)
    odd = {"name": "Ann " + "=_" * 40 + "\n.\n--=_"}

    for values in ({"name": "Ann"}, odd):
        message = read(compiled.build(Recipient("ann@example.com", "<1@example.com>", values), NOW))

        assert tree(message) == expected
        assert not message.defects
        assert not any(inner.defects for inner in message.walk())


def test_files_arrive_byte_for_byte_by_two_readers() -> None:
    compiled = compile_content("Hi", HTML, "", STYLE, [LOGO, PRICES])

    wire = compiled.build(Recipient("ann@example.com", "<1@example.com>", {"name": "Ann"}), NOW)

    logo, prices = [inner for inner in read(wire).walk() if inner.get_content_maintype() in ("image", "application")]
    assert (logo.get_content(), logo["Content-ID"], logo.get_content_disposition()) == (
        CONTENT,
        "<logo@example.com>",
        "inline",
    )
    assert (prices.get_content(), prices.get_filename(), prices.get_content_disposition()) == (
        CONTENT[::-1],
        "prices.pdf",
        "attachment",
    )
    other = parse_email(wire)
    assert {file.filename: bytes(file.content) for file in other.attachments}["prices.pdf"] == CONTENT[::-1]
    lines = wire.split(b"\r\n")
    assert not any(line.startswith(b".") for line in lines)
    assert max(map(len, lines)) <= 78
    assert b"\n" not in wire.replace(b"\r\n", b"")


def test_the_prepared_and_the_general_way_put_files_in_the_same_places() -> None:
    prepared = compile_content("Hi", HTML, "", STYLE, [LOGO, PRICES])
    general = compile_content(
        "Hi", HTML.replace("{{ name }}", "{% if name %}{{ name }}{% endif %}"), "", STYLE, [LOGO, PRICES]
    )
    plain = Recipient("ann@example.com", "<1@example.com>", {"name": "Ann"})
    redirected = Recipient("ann@example.com", "<1@example.com>", {"name": "Ann"}, intended="bea@example.com")

    messages = [read(compiled.build(plain, NOW)) for compiled in (prepared, general)]
    third = read(prepared.build(redirected, NOW))

    assert tree(messages[0]) == tree(messages[1]) == tree(third)
    contents = [[inner.get_content() for inner in message.walk() if not inner.is_multipart()] for message in messages]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    "name",
    [
        'a"b\\c.pdf',
        "Preise für Größe.pdf",
        "冬のセール.pdf",
        "x" * 500 + ".pdf",
        "a\r\nBcc: eve@example.com.pdf",
        "",
        "🎿.pdf",
    ],
)
def test_a_name_cannot_break_a_header_and_keeps_its_ending(name: str) -> None:
    compiled = compile_content("Hi", "", "x", STYLE, [part(name, "application/pdf", b"x")])

    message = read(compiled.build(Recipient("ann@example.com", "<1@example.com>", {}), NOW))
    file = next(message.iter_attachments())

    shown = file.get_filename() or ""
    assert message["Bcc"] is None
    assert set(file.keys()) == {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"}
    assert shown.endswith(".pdf") or not name
    assert "\n" not in shown
    if name in ("Preise für Größe.pdf", "冬のセール.pdf", "🎿.pdf"):
        assert shown == name
        # Programs that do not know RFC 2231 look for a name that is encoded like a subject.
        old = str(file["Content-Type"].params["name"])
        assert str(make_header(decode_header(old))) == name


def test_a_name_in_plain_letters_is_written_once() -> None:
    assert part("prices.pdf", "application/pdf", b"x").encoded.count(b"prices.pdf") == 1


def test_a_long_name_beyond_ascii_breaks_no_line() -> None:
    encoded = part("冬のセール価格表" * 9 + ".pdf", "application/pdf", b"x").encoded

    assert max(map(len, encoded.split(b"\r\n"))) <= 998
    assert b'name="=?utf-8?b?' in encoded


@pytest.mark.parametrize(
    ("content_type", "content_id"), [("text/html", ""), ("image/png\r\nX: y", ""), ("image/png", "a>b@c"), ("", "")]
)
def test_a_file_that_would_break_a_header_is_refused(content_type: str, content_id: str) -> None:
    with pytest.raises(ValueError, match="Content-"):
        part("a.png", content_type, b"x", content_id)
