"""Incoming mail: what it says is read, whatever its form, and never more than it says."""

from pathlib import Path

import pytest

from mail.incoming.reader import Form, Kind, fingerprint_bytes, read

CORPUS = Path(__file__).parent / "corpus"


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
        ("5.3.4", "smtp; 550 5.3.4 Too many recipients", Kind.CONTENT, 550, "5.3.4"),
        ("5.0.0", "smtp; 552 The message exceeds the maximum size", Kind.CONTENT, 552, "5.0.0"),
        ("4.4.7", "smtp; 450 4.7.1 Greylisted", Kind.SOFT, 450, "4.7.1"),
        ("4.4.1", "smtp; 421 Try later", Kind.SOFT, 421, "4.4.1"),
        ("5.7.1", "smtp; 550 5.7.1 Blocked using Spamhaus", Kind.SERVER, 550, "5.7.1"),
        ("5.7.26", "smtp; 550-5.7.26 The sender is unauthenticated", Kind.SERVER, 550, "5.7.26"),
        ("5.0.0", "smtp; 450 Mailbox busy, user unknown to the cache", Kind.SOFT, 450, "5.0.0"),
        ("4.0.0", "smtp; 550 No such user", Kind.HARD, 550, "4.0.0"),
        ("5.0.0", "smtp; 451 4.3.0 deferred -> 550 5.1.1 User unknown", Kind.HARD, 550, "5.1.1"),
        ("5.1.1", "smtp; 550 5.1.1 cached -> 452 4.2.2 Mailbox full", Kind.SOFT, 452, "4.2.2"),
        ("5.0.0", "smtp; ann -> postmaster -> 550 No such user -> see https://help.example", Kind.HARD, 550, "5.0.0"),
        ("5.7.1", "X-Proxy; no such user; 550 5.1.1 User unknown", Kind.HARD, 550, "5.1.1"),
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


@pytest.mark.parametrize(
    ("action", "status", "expected", "kind"),
    [
        ("undelivered", "5.1.1", "failed", Kind.HARD),
        ("not-delivered", "5.1.1", "failed", Kind.HARD),
        ("not delivered", "4.4.7", "failed", Kind.SOFT),
        ("Undeliverable", "5.1.1", "failed", Kind.HARD),
        ("permanent", "5.1.1", "failed", Kind.HARD),
        ("bounced", "", "failed", Kind.SOFT),
        ("waiting", "4.4.1", "delayed", Kind.NOTE),
        ("failure", "2.0.0", "delivered", Kind.NOTE),
        ("notified", "2.0.0", "delivered", Kind.NOTE),
        ("delayed", "5.1.1", "delayed", Kind.NOTE),
        ("relayed", "5.1.1", "relayed", Kind.NOTE),
    ],
)
def test_an_action_that_no_standard_knows_follows_its_word_and_its_status(action, status, expected, kind):
    group = f"Final-Recipient: rfc822; ann@customer.example\nAction: {action}\nStatus: {status}"

    (recipient,) = read(dsn(group)).recipients

    assert (recipient.action, recipient.kind) == (expected, kind)


NOTICE = """\
Return-Path: <>
From: mailer-daemon@mx.customer.example
To: bounces@shop.example
Subject: failure notice
X-Failed-Recipients: {failed}

This message was created automatically by mail delivery software.

{body}
"""


@pytest.mark.parametrize(
    ("failed", "body", "kinds"),
    [
        (
            "ann@x.example, bob@x.example",
            "ann@x.example\n  550 5.1.1 User unknown\n\nbob@x.example\n  retry timeout exceeded",
            {"ann@x.example": Kind.HARD, "bob@x.example": Kind.SOFT},
        ),
        (
            "ann@x.example, bob@x.example",
            "ann@x.example\n  retry timeout exceeded\n\nBob@X.example\n  550 5.1.1 User unknown",
            {"ann@x.example": Kind.SOFT, "bob@x.example": Kind.HARD},
        ),
        (
            "ann@x.example, bob@x.example, cyd@x.example",
            "ann@x.example\n  550 5.1.1 User unknown\nbob@x.example\n  452 4.2.2 Mailbox full\ncyd@x.example\n",
            {"ann@x.example": Kind.HARD, "bob@x.example": Kind.SOFT, "cyd@x.example": Kind.SOFT},
        ),
        (
            "ann@x.example, bob@x.example",
            "All of these: 550 5.1.1 User unknown\n\nann@x.example\nbob@x.example",
            {"ann@x.example": Kind.HARD, "bob@x.example": Kind.HARD},
        ),
        ("ann@x.example", "zed@y.example\n  550 5.1.1 User unknown", {"ann@x.example": Kind.HARD}),
        (
            "ann@x.example",
            "yan@y.example\n  550 5.1.1 User unknown\nzed@y.example\n  452 4.2.2 Mailbox full",
            {"ann@x.example": Kind.SOFT},
        ),
    ],
)
def test_a_reply_in_words_is_that_of_the_recipient_beside_it(failed, body, kinds):
    reading = read(NOTICE.format(failed=failed, body=body).encode())

    assert {recipient.address: recipient.kind for recipient in reading.recipients} == kinds


def test_two_deliveries_of_one_mail_have_the_same_fingerprint():
    mail = dsn(FAILED.format("5.1.1", "smtp; 550 5.1.1 User unknown"))
    again = mail.replace(b"\n", b"\r\n").replace(
        b"Return-Path: <>\r\n", b"Received: from mx\r\n\tby store; Mon\r\nDelivered-To: us@shop.example\r\n"
    )

    assert fingerprint_bytes(mail) == fingerprint_bytes(again)
    assert fingerprint_bytes(mail) != fingerprint_bytes(mail.replace(b"5.1.1", b"5.1.2"))
    assert b"Subject: Undelivered Mail" in fingerprint_bytes(again)


ORIGINAL = """\
Message-ID: <first@shop.example>
Subject: Winter sale
Message-ID: <last@shop.example>
List-Unsubscribe: <https://mail.shop.example/u/token1>,
 <mailto:unsub+tag@shop.example>
CFBL-Feedback-ID: token2"""


def test_the_clues_stand_where_servers_leave_them_and_never_in_from():
    mail = dsn(
        FAILED.format("5.1.1", ""),
        top="Delivered-To: a@shop.example\nX-Original-To: b@shop.example\n",
        original=ORIGINAL,
    )

    clues = read(mail).clues

    assert clues.delivered_to == ("a@shop.example", "b@shop.example", "bounces+tag@shop.example")
    assert clues.envelope_ids == ("aaaabbbb",)
    assert clues.message_ids == ("<last@shop.example>", "<first@shop.example>")
    assert clues.feedback_ids == ("token2",)
    assert clues.unsubscribe_urls == ("mailto:unsub+tag@shop.example", "https://mail.shop.example/u/token1")


def test_the_clues_of_a_bounce_in_words_stand_in_the_quoted_original():
    mail = (CORPUS / "qmail-remote.eml").read_bytes()

    assert read(mail).clues.message_ids == ("<7k3f9q2mzx4a.1763889302@shop.example>",)
    assert read(mail).clues.feedback_ids == ("tokentoken2",)


def test_each_recipient_of_a_report_has_its_own_kind_and_the_worst_is_that_of_the_mail():
    groups = [
        f"Original-Recipient: rfc822;{name}@x.example\nFinal-Recipient: RFC822; <{name}@y.example>\n"
        f"Action: {action}\nStatus: {status}"
        for name, action, status in [
            ("a", "delivered", "2.1.5"),
            ("b", "Failed", "4.2.2"),
            ("c", "failed (bad)", "5.1.1"),
        ]
    ]

    reading = read(dsn(*groups))

    assert reading.kind is Kind.HARD
    assert [(one.address, one.original, one.action, one.kind) for one in reading.recipients] == [
        ("a@y.example", "a@x.example", "delivered", Kind.NOTE),
        ("b@y.example", "b@x.example", "failed", Kind.SOFT),
        ("c@y.example", "c@x.example", "failed", Kind.HARD),
    ]
    assert reading.reason == "Mail to c@y.example: failed (5.1.1). Rule: user-unknown."


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "delivered"])
def test_a_report_of_no_failure_is_a_note_whatever_its_codes(action):
    group = f"Final-Recipient: rfc822; a@x.example\nAction: {action}\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 x"

    assert read(dsn(group)).kind is Kind.NOTE


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("RFC822;ann@x.example", "ann@x.example"),
        ("utf-8; änne@x.example", "änne@x.example"),
        (r"utf-8; \x{E4}nne@x.example", "änne@x.example"),
        ("rfc822; <prvs=0123456789=ann@x.example>", "ann@x.example"),
        ("rfc822; prvs=ann/0123456789@x.example", "ann@x.example"),
        ("ann@x.example", "ann@x.example"),
        ("x400; /S=ann/C=DE/", "/S=ann/C=DE/"),
    ],
)
def test_addresses_are_read_in_each_spelling(written, address):
    assert read(dsn(f"Final-Recipient: {written}\nAction: failed")).recipients[0].address == address


@pytest.mark.parametrize(
    ("name", "kind", "form"),
    [
        ("unsubscribe-capitals-forwarded", Kind.UNSUBSCRIBE, Form.UNSUBSCRIBE),
        ("unsubscribe-holiday-reply", Kind.NOTE, Form.AUTO_REPLY),
        ("arf-jmrp-almost-empty", Kind.COMPLAINT, Form.FEEDBACK_REPORT),
        ("jmrp-old-shape", Kind.COMPLAINT, Form.FEEDBACK_REPORT),
        ("arf-not-spam", Kind.NOTE, Form.FEEDBACK_REPORT),
        ("receipt-deleted-unread", Kind.NOTE, Form.RECEIPT),
        ("dsn-international-addresses", Kind.HARD, Form.DSN),
        ("auto-japanese", Kind.NOTE, Form.AUTO_REPLY),
        ("challenge-boxbe", Kind.NOTE, Form.CHALLENGE),
        ("exim-text-remote", Kind.HARD, Form.BOUNCE_TEXT),  # Although it is marked as an automatic reply.
        ("auto-holiday-quotes-a-bounce", Kind.NOTE, Form.AUTO_REPLY),
        ("auto-forged-failed-recipients", Kind.NOTE, Form.AUTO_REPLY),
        ("exim-text-mail-from", Kind.SERVER, Form.BOUNCE_TEXT),
        ("text-original-holds-codes", Kind.SOFT, Form.BOUNCE_TEXT),
        ("qmail-no-code", Kind.SOFT, Form.BOUNCE_TEXT),
        ("personal-forwards-dsn-parts-inline", Kind.UNKNOWN, Form.OTHER),
    ],
)
def test_the_first_form_that_fits_decides(name, kind, form):
    reading = read((CORPUS / f"{name}.eml").read_bytes())

    assert (reading.kind, reading.form) == (kind, form)


def test_a_complaint_names_its_recipient_also_in_the_shape_of_microsoft():
    arf, jmrp = (read((CORPUS / f"{name}.eml").read_bytes()) for name in ("arf-abuse", "arf-jmrp-almost-empty"))

    assert [one.address for one in arf.recipients] == ["ann@provider.example"]
    assert arf.feedback_type == "abuse"
    assert [one.address for one in jmrp.recipients] == ["ann@hotmail.example"]
    assert jmrp.clues.message_ids == ("<7k3f9q2mzx4a.1763889302@shop.example>",)


def test_a_complaint_to_the_address_that_unsubscribes_unsubscribes():
    mail = (
        (CORPUS / "arf-abuse.eml").read_bytes().replace(b"fbl@shop.example", b"unsub+" + b"a" * 24 + b"@shop.example")
    )

    assert read(mail).kind is Kind.UNSUBSCRIBE


@pytest.mark.parametrize("charset", ["x-unknown", "utf-8", "punycode", "zip", "utf-16", "", "\xff"])
def test_wrong_charsets_leave_the_codes_readable(charset):
    mail = (
        b"Return-Path: <>\nFrom: mailer-daemon@x.example\nSubject: Undeliverable\n"
        b"Content-Type: text/plain; charset="
        + charset.encode("latin-1")
        + b"\n\n\xe4 <a@x.example>: 550 5.1.1 nobody\n"
    )

    expected = Kind.SOFT if charset == "utf-16" else Kind.HARD  # UTF-16 makes other letters of everything.
    assert read(mail).kind is expected
