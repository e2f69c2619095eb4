"""The forms of late mail: our reader of incoming mail and Python's parser take them for what they are."""

import datetime as dt
import email
from email import policy

import pytest

from mail.incoming.reader import Form, Kind, read
from sandbox.late_mail import MOST_HEADER_BYTES, LateMail, answer

ARRIVED = dt.datetime(2026, 11, 30, 23, 59, 58, tzinfo=dt.UTC)
RETURN_PATH = "bounces+abcdefghijklmnopqrstuvwx@shop.example"
UNSUBSCRIBE = "unsub+abcdefghijklmnopqrstuvwx@shop.example"
LINKS = f"List-Unsubscribe: <https://shop.example/u/token>,\r\n <mailto:{UNSUBSCRIBE}>\r\n"
LOOP = "CFBL-Address: fbl@shop.example; report=arf\r\nCFBL-Feedback-ID: token\r\n"
BASE = "From: Shop <news@shop.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@shop.example>\r\n"


def answered(recipient: str, headers: str = BASE + LINKS + LOOP, return_path: str = RETURN_PATH) -> LateMail:
    found = answer(recipient, return_path, f"{headers}\r\nHello\r\n".encode(), ARRIVED)
    assert found is not None
    return found


def parsed(mail: LateMail) -> email.message.EmailMessage:
    message = email.message_from_bytes(mail.content, policy=policy.SMTP)
    assert all(not part.defects for part in message.walk())
    return message


FORMS = [
    ("late-bounce.1@example.org", Form.DSN, Kind.HARD, RETURN_PATH),
    ("Late-Bounce@bücher.example", Form.DSN, Kind.HARD, RETURN_PATH),
    ("complain.1@example.org", Form.FEEDBACK_REPORT, Kind.COMPLAINT, "fbl@shop.example"),
    ("out-of-office@example.org", Form.AUTO_REPLY, Kind.NOTE, RETURN_PATH),
    ("unsubscribe@example.org", Form.UNSUBSCRIBE, Kind.UNSUBSCRIBE, UNSUBSCRIBE),
]


@pytest.mark.parametrize(("recipient", "form", "kind", "to"), FORMS)
def test_each_answer_is_read_as_what_it_is(recipient: str, form: Form, kind: Kind, to: str) -> None:
    mail = answered(recipient)

    envelope = f"Return-Path: <{mail.sender}>\r\nDelivered-To: {mail.recipient}\r\n".encode()
    reading = read(envelope + mail.content)
    assert (reading.form, reading.kind, mail.recipient) == (form, kind, to)
    assert parsed(mail)["Date"].datetime == ARRIVED + dt.timedelta(seconds=3)
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    if form in (Form.DSN, Form.FEEDBACK_REPORT):
        assert [each.address for each in reading.recipients] == [recipient]
        assert reading.clues.message_ids == ("<1@shop.example>",)
        assert reading.clues.feedback_ids == ("token",)


def test_a_bounce_has_the_three_parts_of_rfc_3464_and_the_null_sender() -> None:
    mail = answered("late-bounce@example.org")

    message = parsed(mail)
    assert mail.sender == ""
    assert (message.get_content_type(), message.get_param("report-type")) == ("multipart/report", "delivery-status")
    parts = [part.get_content_type() for part in message.iter_parts()]
    assert parts == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    about_message, about_recipient = list(message.iter_parts())[1].get_payload()
    assert about_message["Reporting-MTA"] == "dns; mx.example.org"
    assert about_recipient["Final-Recipient"] == "rfc822; late-bounce@example.org"
    assert (about_recipient["Action"], about_recipient["Status"]) == ("failed", "5.1.1")


def test_an_international_address_gets_the_form_of_rfc_6533() -> None:
    message = parsed(answered("late-bounce@bücher.example"))

    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/global-delivery-status",
        "message/global-headers",
    ]


@pytest.mark.parametrize(
    ("headers", "to"),
    [
        (LOOP, "fbl@shop.example"),
        ("X-Complaints-To: <abuse@shop.example>\r\n", "abuse@shop.example"),
        ("CFBL-Address: nobody\r\n", RETURN_PATH),
        ("", RETURN_PATH),
    ],
)
def test_a_complaint_goes_to_the_address_that_the_mail_names(headers: str, to: str) -> None:
    mail = answered("complain@example.org", BASE + headers)

    assert mail.recipient == to
    assert mail.sender == "feedbackloop@feedback.example.org"
    assert "Feedback-Type: abuse" in mail.content.decode()


def test_an_out_of_office_reply_is_marked_and_quotes_the_subject() -> None:
    mail = answered("out-of-office@example.org")

    message = parsed(mail)
    assert (mail.sender, message["Auto-Submitted"]) == ("", "auto-replied")
    assert (message["Subject"], message["In-Reply-To"]) == ("Automatic reply: Grüße", "<1@shop.example>")


def test_the_subject_of_an_unsubscribe_is_the_one_that_the_link_wants() -> None:
    headers = f"{BASE}List-Unsubscribe: <mailto:{UNSUBSCRIBE}?subject=leave%20now>\r\n"

    mail = answered("unsubscribe@example.org", headers)

    assert (mail.sender, parsed(mail)["Subject"]) == ("unsubscribe@example.org", "leave now")


NONE = {
    "another recipient": ("ann@example.org", BASE, RETURN_PATH),
    "a recipient who is refused at once": ("bounce@example.org", BASE, RETURN_PATH),
    "a bounce to a bounce": ("late-bounce@example.org", BASE, ""),
    "a complaint about a bounce": ("complain@example.org", BASE + LOOP, ""),
    "an automatic reply to one": (
        "out-of-office@example.org",
        BASE + "Auto-Submitted: auto-generated\r\n",
        RETURN_PATH,
    ),
    "a link without mailto": ("unsubscribe@example.org", BASE + "List-Unsubscribe: <https://a/>\r\n", RETURN_PATH),
    "a mailto that is no address": (
        "unsubscribe@example.org",
        BASE + "List-Unsubscribe: <mailto:a@b%0d%0aDATA>\r\n",
        RETURN_PATH,
    ),
}


@pytest.mark.parametrize("case", NONE)
def test_some_mail_gets_no_answer(case: str) -> None:
    recipient, headers, return_path = NONE[case]

    assert answer(recipient, return_path, f"{headers}\r\nHello\r\n".encode(), ARRIVED) is None


@pytest.mark.parametrize("recipient", [recipient for recipient, *_ in FORMS])
@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n\r\n", b"\xff\x00: \xfe\r\n" * 40, b"Subject: " + b"x" * 200_000, b"X-A: b\r\n" * 20_000],
    ids=["empty", "blank", "bytes", "a long line", "many lines"],
)
def test_hostile_headers_are_quoted_within_limits(recipient: str, content: bytes) -> None:
    mail = answer(recipient, RETURN_PATH, content, ARRIVED)

    if mail is not None:
        assert len(mail.content) < MOST_HEADER_BYTES * 1.2 + 4_000
        assert read(mail.content).form not in (Form.UNREADABLE, Form.OTHER)
