"""Incoming mail: what it says is read, whatever its form, and never more than it says."""

import pytest

from mail.incoming.reading import Form, Kind, fingerprint_bytes, read


def dsn(*groups: str, top: str = "", part: str = "message/delivery-status", original: str = "") -> bytes:
    """Return a delivery status notification with these recipient groups."""
    status = "\n\n".join(("Reporting-MTA: dns; mx.customer.example\nOriginal-Envelope-Id: aaaabbbb", *groups))
    return f"""\
Return-Path: <>
{top}From: Mail Delivery System <mailer-daemon@mx.customer.example>
To: bounces+tag@shop.example
Subject: Undelivered Mail
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1

It could not be delivered.
--b1
Content-Type: {part}

{status}

--b1
Content-Type: text/rfc822-headers

{original}
--b1--
""".encode()


FAILED = "Final-Recipient: rfc822; ann@customer.example\nAction: failed\nStatus: {}\nDiagnostic-Code: {}"


@pytest.mark.parametrize(
    ("status", "diagnostic", "kind", "code", "enhanced"),
    [
        ("5.1.1", "smtp; 550 5.1.1 User unknown", Kind.HARD, 550, "5.1.1"),
        ("5.0.0", "smtp; 550 No such user", Kind.HARD, 550, "5.0.0"),
        ("5.1.1", "smtp; 550 5.7.1 This looks like spam", Kind.CONTENT, 550, "5.7.1"),
        ("5.2.2", "smtp;552-5.2.2 The mailbox is full 552 5.2.2 and stays so", Kind.SOFT, 552, "5.2.2"),
        ("5.3.4", "smtp; 552 5.3.4 Message too big", Kind.CONTENT, 552, "5.3.4"),
        ("5.2.3", "smtp; 550 5.2.3 RESOLVER.RST.RecipSizeLimit", Kind.CONTENT, 550, "5.2.3"),
        ("5.0.0", "smtp; 552 The message exceeds the maximum size", Kind.CONTENT, 552, "5.0.0"),
        ("4.4.7", "smtp; 450 4.7.1 Greylisted", Kind.SOFT, 450, "4.7.1"),
        ("4.4.1", "smtp; 421 Try later", Kind.SOFT, 421, "4.4.1"),
        ("5.7.1", "smtp; 550 5.7.1 Blocked using Spamhaus", Kind.SERVER, 550, "5.7.1"),
        ("5.7.26", "smtp; 550-5.7.26 The sender is unauthenticated", Kind.SERVER, 550, "5.7.26"),
        ("5.1.1", "X-Postfix; unknown user: ann", Kind.HARD, None, "5.1.1"),
        ("5.0.0", "", Kind.SOFT, None, "5.0.0"),
        ("", "", Kind.SOFT, None, ""),
    ],
)
def test_a_failed_recipient_gets_the_kind_of_the_reply(status, diagnostic, kind, code, enhanced):
    reading = read(dsn(FAILED.format(status, diagnostic)))

    (recipient,) = reading.recipients
    assert (reading.form, reading.kind) == (Form.DSN, kind)
    assert (recipient.address, recipient.kind, recipient.code, recipient.enhanced) == (
        "ann@customer.example",
        kind,
        code,
        enhanced,
    )


def test_two_deliveries_of_one_mail_have_the_same_fingerprint():
    mail = dsn(FAILED.format("5.1.1", "smtp; 550 5.1.1 User unknown"))
    again = mail.replace(b"\n", b"\r\n").replace(
        b"Return-Path: <>\r\n", b"Received: from mx\r\n\tby store; Mon\r\nDelivered-To: us@shop.example\r\n"
    )

    assert fingerprint_bytes(mail) == fingerprint_bytes(again)
    assert fingerprint_bytes(mail) != fingerprint_bytes(mail.replace(b"5.1.1", b"5.1.2"))
    assert b"Subject: Undelivered Mail" in fingerprint_bytes(again)
