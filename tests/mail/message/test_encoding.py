"""Header lines and bodies: what a parser that is not ours reads back from the bytes."""

import email
import email.policy
import re
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from mail.addresses import Mailbox
from mail.merge_fields import Unknown
from mail.message import encoding

readable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200)
bodies = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\n .=\tF"), max_size=400)


def check_lines(header: bytes) -> None:
    """Each line ends CRLF, is ASCII, holds something, and is no longer than a line should be."""
    assert header.endswith(b"\r\n")
    assert b"\n" not in header.replace(b"\r\n", b"")
    assert b"\r" not in header.replace(b"\r\n", b"")
    for line in header[:-2].split(b"\r\n"):
        assert line.isascii()
        assert line.strip()
        assert len(line) <= 78
    for word in re.findall(rb"=\?[^ ]*\?=", header):
        assert len(word) <= 75


def value_of(header: bytes) -> str:
    """Return what the standard library's older parser reads, with its folding undone."""
    value = email.message_from_bytes(header + b"\r\n")["Subject"]
    return str(make_header(decode_header(value.replace("\r\n", ""))))


@given(readable)
@example("Winter sale")
@example("Grüße aus Köln 🎄 " * 10)
@example("日本語の件名" * 20)
@example("=?utf-8?q?not_encoded?=")
@example("a  b" + " c" * 60)
@example("x" * 300)
@example("")
def test_a_subject_reads_back(subject: str) -> None:
    header = encoding.unstructured("Subject", subject)

    expected = subject.strip(" ")
    if header != b"Subject:\r\n":
        check_lines(header)
    assert value_of(header) == expected
    assert email.message_from_bytes(header + b"\r\n", policy=email.policy.default)["Subject"] == expected


def test_a_plain_subject_is_not_encoded() -> None:
    assert encoding.unstructured("Subject", "Winter sale, 20 % off!") == b"Subject: Winter sale, 20 % off!\r\n"
    assert encoding.unstructured("Subject", "word " * 20) == (
        b"Subject:" + b" word" * 14 + b"\r\n" + b" word" * 6 + b"\r\n"
    )


def test_western_text_is_legible_and_other_text_short() -> None:
    assert encoding.unstructured("Subject", "Grüße an alle") == b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle?=\r\n"
    assert encoding.unstructured("Subject", "日本語") == b"Subject: =?utf-8?b?5pel5pys6Kqe?=\r\n"


names = readable.map(lambda name: " ".join(name.split()))


@given(names, names)
@example('Ann "The Boss" Lee', "Müller & Söhne, Ltd.")
@example("a@b, c", "back\\slash")
@example("x" * 200, "é" * 200)
def test_display_names_read_back(first: str, second: str) -> None:
    try:
        boxes = [Mailbox(first, "a@example.com"), Mailbox(second, "b@xn--bcher-kva.example")]
    except ValueError:  # Mailbox refuses invisible characters of its own accord.
        return
    header = encoding.mailboxes("From", boxes)

    check_lines(header)
    expected = [(first, "a@example.com"), (second, "b@xn--bcher-kva.example")]
    parsed = getaddresses([email.message_from_bytes(header + b"\r\n")["From"].replace("\r\n", "")])
    assert [(str(make_header(decode_header(name))), address) for name, address in parsed] == expected
    if max(len(name.encode()) for name in (first, second)) < 15:
        # The newer parser puts a space between two encoded-words of a display name.
        modern = email.message_from_bytes(header + b"\r\n", policy=email.policy.default)["From"]
        assert [(box.display_name, box.addr_spec) for box in modern.addresses] == expected


def test_a_domain_is_written_as_a_label_and_a_utf8_local_part_as_it_is() -> None:
    assert encoding.mailboxes("From", [Mailbox("", "a@bücher.example")]) == b"From: a@xn--bcher-kva.example\r\n"
    assert encoding.address_line("To", "jörg@bücher.example") == "To: jörg@xn--bcher-kva.example\r\n".encode()


@pytest.mark.parametrize("bad", ["a\r\nBcc: b@example.com", "a\nb", "a\rb", "a\x00b", "a\x85b", "a\u2028b"])
def test_what_would_end_a_header_is_refused_by_name(bad: str) -> None:
    with pytest.raises(ValueError, match=r"^X-Test: .* control character; remove it\.$"):
        encoding.unstructured("X-Test", bad)
    with pytest.raises(ValueError, match=r"^X-Test: "):
        encoding.verbatim("X-Test", bad)
    with pytest.raises(ValueError, match=r"^X-Test: "):
        encoding.identified("X-Test", f"{bad} <list.example.com>")
    with pytest.raises(ValueError, match=r"^X-Test: "):
        encoding.identified("X-Test", f"News <{bad}>")
    with pytest.raises(ValueError, match=r"^X-Test: "):
        encoding.phrase("X-Test", bad)
    with pytest.raises(ValueError, match=r"^To: "):
        encoding.address_line("To", f"{bad}@example.com")


@pytest.mark.parametrize("address", ["", "a b@example.com", "a@example.com, b@example.com", "<a@example.com>", "a@b@c"])
def test_to_holds_one_bare_address(address: str) -> None:
    with pytest.raises(ValueError, match=r"^To: "):
        encoding.address_line("To", address)


def test_a_line_beyond_998_octets_is_refused() -> None:
    assert encoding.verbatim("List-Unsubscribe", "<https://a.example/" + "x" * 950 + ">")
    with pytest.raises(ValueError, match=r"^List-Unsubscribe: 1020 characters do not fit in a line; shorten it\.$"):
        encoding.verbatim("List-Unsubscribe", "<https://a.example/" + "x" * 1000 + ">")


def test_an_identifier_is_never_encoded_and_its_phrase_is() -> None:
    assert encoding.identified("List-Id", "Example news <list-7.example.com>") == (
        b"List-Id: Example news <list-7.example.com>\r\n"
    )
    assert encoding.identified("List-Id", "Grüße an alle <list-7.example.com>") == (
        b"List-Id: =?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle?= <list-7.example.com>\r\n"
    )
    assert encoding.identified("List-Id", "<list-7.example.com>") == b"List-Id: <list-7.example.com>\r\n"


def decode(encoded: bytes) -> str:
    """Return what the standard library makes of a quoted-printable body."""
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    payload = email.message_from_bytes(head + encoded).get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode().replace("\r\n", "\n")


def check_body(encoded: bytes) -> None:
    assert encoded.isascii()
    assert b"\n" not in encoded.replace(b"\r\n", b"")
    assert b"\r" not in encoded.replace(b"\r\n", b"")
    assert b"=_" not in encoded
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))


def readable_part(text: str) -> str:
    """Return ``text`` without the control characters that no mail should hold."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text)


@given(bodies.map(lambda body: body.replace("\r", "")))
@example("." * 200)
@example(".\n..\n" + "." + "a" * 74 + "b\nFrom " + "x" * 71 + "\nFrom me")
@example("é" * 25 + "." * 25 + "é" * 13 + "." * 80)
@example("From " * 40)
@example("." + "a" * 74 + "\n." + "a" * 73 + "\nFrom " + "a" * 70)
@example("trailing \n\t\n x")
@example("00" + "é" * 12 + " \n" + "x" * 74 + " \n" + "x" * 75 + " ")
@example("x" * 75 + "\n" + "x" * 76 + "\n" + "x" * 77)
@example("00\x80\x80\x80\x80\x80\x80\U00010000\U00010000\U00010000 \nx")
def test_a_body_reads_back(body: str) -> None:
    encoded = encoding.quoted_printable(body)

    check_body(encoded)
    assert decode(encoded) == readable_part(body)


@given(st.lists(bodies.map(lambda body: body.replace("\r", "")), min_size=1, max_size=5), st.data())
def test_values_of_any_length_fit_between_constants(constants: list[str], data: st.DataObject) -> None:
    constants[-1] += "\n"
    values = [data.draw(bodies).replace("\r", "") for _ in constants[1:]]

    encoded = encoding.quoted_printable_constants(constants)
    together = encoded[0] + b"".join(
        encoding.quoted_printable_value(value) + constant for value, constant in zip(values, encoded[1:], strict=True)
    )

    check_body(together)
    plain = constants[0] + "".join(value + constant for value, constant in zip(values, constants[1:], strict=True))
    assert decode(together) == readable_part(plain)


@given(st.lists(st.text("Aa09 .,:/?#_()!@%-'\"&<>=\0\nFromé\t", max_size=80) | st.text("az ", max_size=80), max_size=5))
@example([".", "a"])
@example(["a", "From me"])
@example(["x" * 75, "é" * 25])
def test_values_encoded_together_are_as_if_encoded_one_by_one(values: list[str]) -> None:
    words = encoding.quoted_printable_words(values)

    if words is not None:
        texts, htmls = words
        assert texts == [encoding.end_softly(encoding.quoted_printable(value)) for value in values]
        assert htmls == [encoding.end_softly(encoding.quoted_printable(str(escape(value)))) for value in values]
        assert all(len(word) <= encoding.LONGEST_WORD for word in texts + htmls)


def test_ordinary_values_are_encoded_together() -> None:
    assert encoding.quoted_printable_words(["Müller & Söhne", "O'Neil"]) == (
        [b"M=C3=BCller & S=C3=B6hne=\r\n", b"O'Neil=\r\n"],
        [b"M=C3=BCller &amp; S=C3=B6hne=\r\n", b"O&#39;Neil=\r\n"],
    )


@pytest.mark.parametrize(
    "odd", ["", " ", "two\nlines", "a\0b", "\N{ZERO WIDTH SPACE}", "x" * 76, "&" * 16, ".", 7, None]
)
def test_what_needs_care_is_not_encoded_together(odd: object) -> None:
    assert encoding.quoted_printable_words(["Ann", odd]) is None
    assert encoding.quoted_printable_words([Unknown("Friend"), "Ann"]) is None


@pytest.mark.parametrize("length", range(60, 90))
@pytest.mark.parametrize("last", ["x", ".", "é", " "])
def test_a_soft_break_keeps_the_line_within_76_octets(length: int, last: str) -> None:
    encoded = encoding.end_softly(encoding.quoted_printable("x" * length + last)) + b"after\r\n"

    check_body(encoded)
    assert decode(encoded) == "x" * length + last + "after\n"
