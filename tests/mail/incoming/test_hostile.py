"""Hostile mail: however it is made, reading it ends in time, and never in an error."""

import time

import pytest

from mail.incoming.reader import Form, Kind, fingerprint_bytes, read
from tests.mail.incoming import hostile

SECONDS = 2  # The promise. The worst of these takes a fifth of it; with the square of the length it would be many.


def seconds_to_read(mail: bytes) -> float:
    began = time.thread_time()
    read(mail)
    fingerprint_bytes(mail)
    return time.thread_time() - began


@pytest.mark.parametrize("name", hostile.MAILS)
def test_a_mail_made_to_take_long_is_read_in_time(name):
    assert seconds_to_read(hostile.MAILS[name]) < SECONDS


@pytest.mark.parametrize("place", hostile.PLACES)
def test_what_begins_a_pattern_and_never_ends_it_costs_no_more_than_letters(place):
    for unit in hostile.UNITS:
        assert seconds_to_read(hostile.filled(unit, hostile.PLACES[place], 40_000)) < SECONDS, unit


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("more than a mebibyte", "The mail has more than 1048576 bytes."),
        ("a header of a mebibyte", "The header has more than 65536 bytes."),
        ("parts nested without end", "The mail names more than 60 boundaries."),
        ("parts nested as deep as boundaries allow", "nested more than 15 levels deep."),
        ("a million boundaries", "The mail has more than 100 parts."),
        ("a hundred thousand recipients", "The report names more than 200 recipients."),
    ],
)
def test_a_mail_beyond_a_limit_is_unreadable_and_the_reason_names_the_limit(name, reason):
    reading = read(hostile.MAILS[name])

    assert (reading.kind, reading.form) == (Kind.UNKNOWN, Form.UNREADABLE)
    assert reading.reason.endswith(reason)


def test_mail_up_to_the_limits_is_read():
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(15))
    parts = b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nx\n" * 99 + b"--b--\n"
    groups = b"".join(
        b"\nFinal-Recipient: rfc822; a%d@b.example\nAction: failed\nStatus: 5.1.1\n" % n for n in range(200)
    )

    assert read(deep + b"\n\nx").form is Form.OTHER
    assert read(parts).form is Form.OTHER
    assert read(b"Subject: " + b"a" * 65_000 + b"\n\nx").form is Form.OTHER
    assert read(b"x: y\n\n" + b"a" * ((1 << 20) - 6)).form is Form.OTHER
    assert len(read(hostile.STATUS + b"Reporting-MTA: dns; x\n" + groups).recipients) == 200


def test_a_diagnostic_is_cut():
    (recipient,) = read(hostile.PLACES["diagnostic"] + b"550 5.1.1 " + b"x" * 5_000).recipients

    assert len(recipient.diagnostic) == 600
    assert recipient.kind is Kind.HARD
