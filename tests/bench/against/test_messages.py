"""What names the single message may differ between two commits, and nothing else."""

import smtplib
from dataclasses import replace

import pytest

from bench.against.messages import difference
from bench.sinks.mailbox import Letter, mailbox

TO = "RCPT TO:<ANN@EXAMPLE.COM>"
CONTENT = b"""\
Date: Sun, 29 Nov 2026 08:43:39 +0000
Message-ID: <1.1.3c88be248b14@shop.example.com>
Subject: Winter
List-Unsubscribe: <https://mail.example.com/u/AAAAAAAAAAHoi7DZsOW2OMgjipduBvrQ>
MIME-Version: 1.0
Content-Type: multipart/alternative;
 boundary="=_e7d2d49c370ce3a356177c70"

--=_e7d2d49c370ce3a356177c70
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Dear=20=
Ann, leave at https://mail.example.com/u/AAAAAAAAAAHoi7DZsOW2OMgjipduBvrQ=

--=_e7d2d49c370ce3a356177c70--
""".replace(b"\n", b"\r\n")
LETTER = Letter(("MAIL FROM:<bounces+aaaaaaabidt6wu76@shop.example.com>", "RCPT TO:<ann@example.com>"), CONTENT)
OTHER = Letter(
    ("MAIL FROM:<bounces+aaaaaacbltqhwzvhhofaba57@shop.example.com>", "RCPT TO:<ann@example.com>"),
    CONTENT.replace(b"08:43:39", b"09:01:02")
    .replace(b"<1.1.3c88be248b14@", b"<c1.25dee282d1bd3734bbf0f6d501b861fb@")
    .replace(b"AAAAAAAAAAHoi7DZsOW2OMgjipduBvrQ", b"AAAAAAAAAAGoxA2yyqSSd_lXE9Thl3Wv1")
    .replace(b"=_e7d2d49c370ce3a356177c70", b"=_11111111111111111111"),
)


def test_date_message_id_tokens_return_path_and_boundary_may_differ() -> None:
    assert difference({TO: LETTER}, {TO: OTHER}) == ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"Subject: Winter", b"Subject: Summer", ["-Subject: Summer", "+Subject: Winter"]),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nPrecedence: bulk\r\n", ["-Precedence: bulk"]),
        (b"Dear=20=", b"Hello=20=", ["-Hello Ann, leave at https", "+Dear Ann, leave at https"]),
        (b"quoted-printable", b"7bit", ["-Content-Transfer-Encoding: 7bit"]),
    ],
)
def test_a_difference_is_told_line_by_line(old: bytes, new: bytes, told: list[str]) -> None:
    other = replace(OTHER, content=OTHER.content.replace(old, new))

    found = difference({TO: LETTER}, {TO: other})

    assert found.startswith(TO)
    assert [line for line in told if line not in found] == []


def test_another_envelope_and_another_recipient_are_differences() -> None:
    from_elsewhere = replace(OTHER, envelope=("MAIL FROM:<other+aaa@shop.example.com>", OTHER.envelope[1]))

    assert "+MAIL FROM:<bounces+...@shop.example.com>" in difference({TO: LETTER}, {TO: from_elsewhere})
    assert difference({TO: LETTER}, {}) == f"Only one of them writes to {TO}."


def test_the_mailbox_keeps_each_message_of_a_connection_as_it_came() -> None:
    with mailbox() as box, smtplib.SMTP("127.0.0.1", box.port) as client:
        client.sendmail("a@example.com", ["b@example.com"], "Subject: x\r\n\r\n.hi\r\n")
        client.sendmail("a@example.com", ["c@example.com"], "Subject: y\r\n\r\nbye\r\n")

    assert [letter.envelope for letter in box.letters] == [
        ("mail FROM:<a@example.com>", "rcpt TO:<b@example.com>"),
        ("mail FROM:<a@example.com>", "rcpt TO:<c@example.com>"),
    ]
    assert [letter.content for letter in box.letters] == [b"Subject: x\r\n\r\n..hi\r\n", b"Subject: y\r\n\r\nbye\r\n"]
