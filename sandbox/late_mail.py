"""The mail with which recipients answer later, in the forms of real mail systems.

A bounce looks like Postfix's, a complaint like a mail provider's, an automatic reply like Exchange's, and a request to
unsubscribe like a mail program's. Nothing here sends, or looks at the clock.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote

from mail.addresses import fold
from mail.incoming.mime import Part, parse_headers, split, with_plain_line_ends
from sandbox.specials import LATE_SECONDS, Special, special

MOST_HEADER_BYTES = 32 * 1024  # Of the original's header. A longer one is cut after a line.
_SUBJECT_CHARACTERS = 800  # A line has at most 998 (RFC 5322 section 2.1.1).
_MAILTO = re.compile(r"<\s*mailto:([^<>?\s]+)\??([^<>\s]*)>", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<![^<>\s;,])[^<>\s;,]+@[^<>\s;,]+")


@dataclass(frozen=True, slots=True)
class LateMail:
    """A mail that is still to be delivered."""

    sender: str  # Of the envelope; empty: the null sender.
    recipient: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Original:
    """The mail that is answered."""

    return_path: str
    recipient: str
    header: str  # With "\n" as line end.
    headers: Part
    arrived_at: dt.datetime

    @property
    def answered_at(self) -> dt.datetime:
        return self.arrived_at + dt.timedelta(seconds=LATE_SECONDS)

    @property
    def domain(self) -> str:
        return fold(self.recipient).rpartition("@")[2]

    @property
    def host(self) -> str:
        """The host that answers."""
        return f"mx.{self.domain}"

    @property
    def key(self) -> str:
        """An ID such as mail servers give to mail in their queue."""
        about = f"{self.recipient} {self.return_path} {self.headers.first('message-id')} {self.arrived_at}"
        return hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:10].upper()


def answer(recipient: str, return_path: str, content: bytes, arrived_at: dt.datetime) -> LateMail | None:
    """Return the mail with which ``recipient`` answers; None if this one does not.

    :param return_path: the sender of the envelope. The null sender never gets an answer (RFC 5321 section 4.5.5).
    """
    kind = special(recipient)
    if kind not in _ANSWERS or not return_path:
        return None
    header = split(with_plain_line_ends(content[: 2 * MOST_HEADER_BYTES]))[0]
    if len(header) > MOST_HEADER_BYTES:
        header = header[:MOST_HEADER_BYTES].rpartition(b"\n")[0]
    text = header.decode("utf-8", "replace").rstrip("\n")
    return _ANSWERS[kind](_Original(return_path, recipient, text, Part(parse_headers(header), b""), arrived_at))


def _bounce(mail: _Original) -> LateMail:
    """Return a delivery status notification (RFC 3464; RFC 6533 if anything is international)."""
    is_ascii = (mail.return_path + mail.recipient + mail.header).isascii()
    kind, prefix = ("rfc822", "") if is_ascii else ("utf-8", "global-")
    reply = f"550 5.1.1 <{mail.recipient}>: Recipient address rejected: User unknown in local recipient table"
    text = f"""\
This is the mail system at host {mail.host}.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

For further assistance, please send mail to postmaster.

If you do so, please include this problem report. You can
delete your own text from the attached returned message.

                   The mail system

<{mail.recipient}>: host store.{mail.domain}[192.0.2.17] said:
    {reply} (in reply to RCPT TO command)
"""
    status = f"""\
Reporting-MTA: dns; {mail.host}
X-Postfix-Queue-ID: {mail.key}
X-Postfix-Sender: {kind}; {mail.return_path}
Arrival-Date: {format_datetime(mail.arrived_at)}

Final-Recipient: {kind}; {mail.recipient}
Original-Recipient: {kind};{mail.recipient}
Action: failed
Status: 5.1.1
Remote-MTA: dns; store.{mail.domain}
Diagnostic-Code: smtp; {reply}
"""
    original = f"Return-Path: <{mail.return_path}>\n{mail.header}\n"
    headers = _headers(
        mail,
        f"MAILER-DAEMON@{mail.host} (Mail Delivery System)",
        mail.return_path,
        "Undelivered Mail Returned to Sender",
        {"Auto-Submitted": "auto-replied"},
    )
    charset = "us-ascii" if is_ascii else "utf-8"
    parts = (
        (f"Content-Description: Notification\nContent-Type: text/plain; charset={charset}", text),
        (f"Content-Description: Delivery report\nContent-Type: message/{prefix}delivery-status", status),
        (
            "Content-Description: Undelivered Message Headers\n"
            f"Content-Type: {'text/rfc822-headers' if is_ascii else 'message/global-headers'}",
            original,
        ),
    )
    return LateMail("", mail.return_path, _report(mail, "delivery-status", headers, parts))


def _complaint(mail: _Original) -> LateMail:
    """Return a complaint (RFC 5965) to the address that the mail names for it (RFC 9477), or to its return path."""
    named = _ADDRESS.search(mail.headers.first("cfbl-address") or mail.headers.first("x-complaints-to"))
    recipient = named[0] if named else mail.return_path
    sender = f"feedbackloop@feedback.{mail.domain}"
    from_domain = mail.headers.first("from").rpartition("@")[2].rstrip("> ")
    arrived = format_datetime(mail.arrived_at)
    text = f"""\
This is an email abuse report for an email message received from IP
127.0.0.1 on {arrived}.
For more information about this format please see
https://www.rfc-editor.org/rfc/rfc5965.
"""
    report = f"""\
Feedback-Type: abuse
User-Agent: Brilliance-Sandbox/1.0
Version: 1
Original-Mail-From: <{mail.return_path}>
Original-Rcpt-To: <{mail.recipient}>
Arrival-Date: {arrived}
Reporting-MTA: dns; {mail.host}
Source-IP: 127.0.0.1
Reported-Domain: {from_domain}
"""
    headers = _headers(mail, f"<{sender}>", recipient, f"FW: {_subject(mail)}", {})
    parts = (
        ("Content-Type: text/plain; charset=utf-8", text),
        ("Content-Type: message/feedback-report", report),
        ("Content-Type: text/rfc822-headers\nContent-Disposition: inline", f"{mail.header}\n"),
    )
    return LateMail(sender, recipient, _report(mail, "feedback-report", headers, parts))


def _out_of_office(mail: _Original) -> LateMail | None:
    """Return an automatic reply, which no automatic reply ever gets (RFC 3834 section 2)."""
    if mail.headers.first("auto-submitted").lower() not in ("", "no"):
        return None
    message_id = mail.headers.first("message-id")
    marks = {
        "In-Reply-To": message_id,
        "References": message_id,
        "X-MS-Exchange-Inbox-Rules-Loop": mail.recipient,
        "X-Auto-Response-Suppress": "All",
        "Auto-Submitted": "auto-replied",
        "Content-Type": "text/plain; charset=utf-8",
    }
    text = "Thank you for your message. I'm out of the office this week and will reply when I'm back.\n"
    headers = _headers(mail, f"<{mail.recipient}>", mail.return_path, f"Automatic reply: {_subject(mail)}", marks)
    return LateMail("", mail.return_path, _encode(f"{headers}\n{text}"))


def _unsubscribe(mail: _Original) -> LateMail | None:
    """Return the wish to unsubscribe (RFC 2369 section 3.2); None if the mail names no address for it."""
    named = _MAILTO.search(mail.headers.first("list-unsubscribe"))
    recipient = unquote(named[1]) if named else ""
    if named is None or not _ADDRESS.fullmatch(recipient):
        return None
    subject = parse_qs(named[2]).get("subject", ["unsubscribe"])[0]
    marks = {"Content-Type": "text/plain; charset=utf-8"}
    headers = _headers(mail, f"<{mail.recipient}>", recipient, " ".join(subject.split()), marks)
    text = "This message was generated by the mail program, because its user chose to unsubscribe.\n"
    return LateMail(mail.recipient, recipient, _encode(f"{headers}\n{text}"))


_ANSWERS: dict[Special | None, Callable[[_Original], LateMail | None]] = {
    Special.LATE_BOUNCE: _bounce,
    Special.COMPLAIN: _complaint,
    Special.OUT_OF_OFFICE: _out_of_office,
    Special.UNSUBSCRIBE: _unsubscribe,
}


def _headers(mail: _Original, sender: str, recipient: str, subject: str, more: Mapping[str, str]) -> str:
    date = format_datetime(mail.answered_at)
    fields = {
        "Received": f"by {mail.host} (Postfix) id {mail.key}; {date}",
        "Date": date,
        "From": sender,
        "To": f"<{recipient}>",
        "Subject": subject,
        "Message-ID": f"<{mail.answered_at:%Y%m%d%H%M%S}.{mail.key}@{mail.host}>",
        "MIME-Version": "1.0",
        "Content-Transfer-Encoding": "8bit",
        **more,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def _subject(mail: _Original) -> str:
    return mail.headers.first("subject")[:_SUBJECT_CHARACTERS]


def _report(mail: _Original, kind: str, headers: str, parts: tuple[tuple[str, str], ...]) -> bytes:
    """Return a ``multipart/report`` (RFC 6522)."""
    boundary = f"{mail.key}.{int(mail.answered_at.timestamp())}/{mail.host}"
    headers += f'Content-Type: multipart/report; report-type={kind};\n\tboundary="{boundary}"\n'
    encoding = "Content-Transfer-Encoding: 8bit"
    bodies = "".join(f"--{boundary}\n{about}\n{encoding}\n\n{body}\n" for about, body in parts)
    return _encode(f"{headers}\nThis is a MIME-encapsulated message.\n\n{bodies}--{boundary}--\n")


def _encode(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8", "replace")
