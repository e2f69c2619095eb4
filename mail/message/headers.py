"""The headers of a message: their order, and valid values for each (RFC 5322, 2369, 2919, 8058, 9477).

``mail.message.encoding`` folds and encodes them.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import format_datetime
from itertools import repeat
from typing import Any

from mail import merge_fields
from mail.addresses import AddressInvalid, Mailbox, ascii_address, fold, parse_mailbox, parse_mailboxes
from mail.budget import Budget
from mail.merge_fields import Template
from mail.message import encoding
from mail.message.encoding import verbatim
from mail.message.style import REFERENCE, Recipient, Recipients, Style


class Headers:
    """The headers of all messages in one style, in the order of a complete campaign message."""

    def __init__(self, style: Style, subject: Template) -> None:
        """Precompute what all messages of the style share.

        :raises ValueError: if the style would break a header; the sentence names it.
        """
        self._style = style
        self._subject = subject
        sender = encoding.mailboxes("From", [style.mail_from])
        if style.reply_to:
            sender += encoding.mailboxes("Reply-To", _boxes("Reply-To", style.reply_to))
        self._from = sender.decode()
        self._copies = [_box("Cc", copy) for copy in style.cc]
        self._copy_keys = frozenset(fold(copy.address) for copy in self._copies)
        self._cc = encoding.mailboxes("Cc", self._copies).decode() if self._copies else ""
        self._constant_subject = self._subject_line({}, Budget()) if len(subject.constants) == 1 else None
        self._list_id = encoding.identified("List-Id", style.list_id).decode() if style.list_id else ""
        self._machine_address = _bare_address("CFBL-Address", style.complaints_to) if style.complaints_to else ""
        self._before_feedback = self._constants_before_feedback().decode()
        self._after_feedback = self._constants_after_feedback().decode()
        provider = b"".join(encoding.unstructured(name, value) for name, value in style.provider_headers)
        self._before_reference, self._has_reference, self._after_reference = provider.decode().partition(REFERENCE)
        # Only addresses can need 8 bits; everything else is encoded (RFC 6532).
        self.is_7bit = (self._from + self._cc).isascii()
        self._date = (dt.datetime.max.replace(tzinfo=dt.UTC), "")  # The last second, and its header.
        for name, _ in style.extra_headers:
            _check_name(name, [other for other, _ in style.extra_headers])

    def encode(self, recipient: Recipient, values: Mapping[str, Any], date: dt.datetime) -> bytes:
        """Return the headers of one message, except those that describe its parts.

        :raises ValueError: if a value would break a header; the sentence names it.
        """
        if not _MESSAGE_ID(recipient.message_id):
            raise ValueError(f"Message-ID: {recipient.message_id!r} needs the form “<unique@example.com>”.")
        subject = self._constant_subject or self._subject_line(values, recipient.budget)
        unsubscribe = self._unsubscribe(recipient) if self._style.has_unsubscribe else ""
        feedback = self._feedback(recipient.feedback_id) if self._machine_address and recipient.feedback_id else ""
        lines = (
            f"{self._date_line(date)}{self._from}To: {encoding.address('To', recipient.address)}\r\n"
            f"{self._cc and self._cc_for(recipient)}{subject}Message-ID: {recipient.message_id}\r\n{self._list_id}"
            f"{unsubscribe}{self._before_feedback}{feedback}{self._after_feedback}"
            f"{self._has_reference and self._reference(recipient.reference)}"
        ).encode()
        if recipient.intended:
            lines += encoding.unstructured("X-Original-To", merge_fields.one_line(recipient.intended))
        return lines

    @property
    def encodes_together(self) -> bool:
        """Whether :meth:`encode_together` can encode messages of this style and subject at all."""
        fields = self._subject.fields
        is_plain = fields is not None and not any(field.is_in_link for field in fields)
        return self._constant_subject is not None or (is_plain and not self._style.subject_prefix)

    def encode_together(self, recipients: Recipients, date: dt.datetime) -> list[bytes] | None:
        """Return the headers of many messages as :meth:`encode` does; None if one of them needs that.

        :raises ValueError: as :meth:`encode`.
        """
        subjects = self._subject_lines(recipients)
        tos = encoding.addresses("To", recipients.addresses)
        if subjects is None or not all(map(_MESSAGE_ID, recipients.message_ids)):
            return None
        if self._copies and not self._copy_keys.isdisjoint(map(fold, recipients.addresses)):
            return None
        # Constants and columns in turn; a constant is repeated for each message.
        columns: list[str | Iterable[str]] = [
            *(f"{self._date_line(date)}{self._from}To: ", tos, f"\r\n{self._cc}", subjects),
            *("Message-ID: ", recipients.message_ids, f"\r\n{self._list_id}"),
        ]
        if self._style.has_unsubscribe:
            columns += self._unsubscribe_columns(recipients)
        columns.append(self._before_feedback)
        if self._machine_address and recipients.feedback_ids:
            if not all(map(_FEEDBACK_ID, recipients.feedback_ids)):
                return None
            columns += ("CFBL-Feedback-ID: ", recipients.feedback_ids, "\r\n")
        columns.append(self._after_feedback)
        if self._has_reference:
            if not (recipients.references and all(map(_REFERENCE, recipients.references))):
                return None
            columns += (self._before_reference, recipients.references, self._after_reference)
        rows = zip(*(repeat(column) if isinstance(column, str) else column for column in columns), strict=False)
        return list(map(str.encode, map("".join, rows)))

    def _subject_lines(self, recipients: Recipients) -> Iterable[str] | None:
        """Return the Subject headers of many messages; None if one of them needs an encoding of its own."""
        if self._constant_subject is not None:
            return repeat(self._constant_subject)
        fields = self._subject.fields or ()
        filled = [field.fill_together(recipients.values[field.name]) for field in fields]
        columns: list[Iterable[str]] = [repeat(constant) for constant in self._subject.constants]
        for place, texts in enumerate(filled):
            if texts is None or max(map(len, texts)) > _LONGEST_WORDS:
                return None
            columns.insert(2 * place + 1, texts)
        subjects = map("".join, zip(*columns, strict=False))
        return encoding.unstructured_lines("Subject", subjects, clean=merge_fields.one_line)

    def _unsubscribe_columns(self, recipients: Recipients) -> Iterator[str | Sequence[str]]:
        urls = recipients.values["unsubscribe_url"]
        are_web = {url[:4].lower() == "http" for url in urls}
        if not all(map(_URI, urls)) or max(map(len, urls)) > _LONGEST_URI or len(are_web) > 1:
            raise ValueError("List-Unsubscribe: an address that no mail program can use, or not like the others.")
        yield from ("List-Unsubscribe: <", urls)
        if recipients.unsubscribe_addresses:
            yield from (">,\r\n <mailto:", recipients.unsubscribe_addresses, "?subject=unsubscribe")
        yield ">\r\n"
        if self._style.is_one_click and are_web == {True}:
            yield "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"

    def _date_line(self, date: dt.datetime) -> str:
        second, line = self._date
        if date.tzinfo is not second.tzinfo or not _ZERO <= date - second < _SECOND:
            if date.tzinfo is None:
                raise ValueError(f"Date: {date} has no time zone.")
            line = f"Date: {format_datetime(date)}\r\n"
            self._date = (date.replace(microsecond=0), line)
        return line

    def _subject_line(self, values: Mapping[str, Any], budget: Budget) -> str:
        subject = self._subject.render(values, "header", budget)
        if self._style.subject_prefix:
            subject = merge_fields.one_line(self._style.subject_prefix + subject)
        return encoding.unstructured("Subject", subject).decode("ascii")

    def _cc_for(self, recipient: Recipient) -> str:
        """Return the Cc header without the recipient, who would be listed twice."""
        key = fold(recipient.address)
        if key not in self._copy_keys:
            return self._cc
        others = [copy for copy in self._copies if fold(copy.address) != key]
        return encoding.mailboxes("Cc", others).decode() if others else ""

    def _unsubscribe(self, recipient: Recipient) -> str:
        url = recipient.unsubscribe_url
        if not _URI(url):
            raise ValueError(f"List-Unsubscribe: {url!r} is no address that a mail program can use; it must be ASCII.")
        if len(url) > _LONGEST_URI:
            raise ValueError(f"List-Unsubscribe: {len(url)} characters do not fit in a line; shorten it.")
        # The preferred one stands first (RFC 2369 section 2).
        by_mail = (
            recipient.unsubscribe_address and f",\r\n <mailto:{recipient.unsubscribe_address}?subject=unsubscribe>"
        )
        header = f"List-Unsubscribe: <{url}>{by_mail}\r\n"
        if self._style.is_one_click and url[:4].lower() == "http":
            header += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        return header

    def _feedback(self, feedback_id: str) -> str:
        if not _FEEDBACK_ID(feedback_id):
            raise ValueError(f"CFBL-Feedback-ID: {feedback_id!r} may hold letters, digits and : only.")
        return f"CFBL-Feedback-ID: {feedback_id}\r\n"

    def _reference(self, reference: str) -> str:
        if not _REFERENCE(reference):
            raise ValueError("The provider's header needs a tag of 24 letters and digits.")
        return f"{self._before_reference}{reference}{self._after_reference}"

    def _constants_before_feedback(self) -> bytes:
        style, headers = self._style, b""
        if style.precedence:
            headers += verbatim("Precedence", style.precedence)
            headers += verbatim("X-Auto-Response-Suppress", "OOF, AutoReply")
        if style.feedback_id:
            headers += verbatim("Feedback-ID", style.feedback_id)
        if style.complaints_to:
            headers += verbatim("CFBL-Address", f"{self._machine_address}; report=arf")
        return headers

    def _constants_after_feedback(self) -> bytes:
        style, headers = self._style, b""
        if style.complaints_to:
            headers += encoding.address_line("X-Complaints-To", self._machine_address)
        if style.abuse_to:
            desk = _bare_address("X-Report-Abuse", style.abuse_to)
            headers += verbatim("X-Report-Abuse", f"Please report abuse to {desk}")
            headers += verbatim("X-Abuse-Reports-To", desk)
        if style.auto_submitted:
            headers += verbatim("Auto-Submitted", "auto-generated")
        if style.says_language:
            headers += verbatim("Content-Language", style.language)
        return headers + b"".join(encoding.unstructured(name, value) for name, value in style.extra_headers)


def _check_name(name: str, names: list[str]) -> None:
    if not re.fullmatch(r"[!-9;-~]{1,60}", name):
        raise ValueError(f"{name!r} cannot be the name of a header; use letters, digits and hyphens.")
    if name.lower() in _OWN_HEADERS or name.lower().startswith(("content-", "resent-")):
        raise ValueError(f"{name}: this header is made from other fields; remove it from the additional ones.")
    if [other.lower() for other in names].count(name.lower()) > 1:
        raise ValueError(f"{name}: the header is given twice; remove one.")


def _box(name: str, text: str) -> Mailbox:
    try:
        return parse_mailbox(text)
    except AddressInvalid as error:
        raise ValueError(f"{name}: {error}") from error


def _boxes(name: str, text: str) -> list[Mailbox]:
    try:
        return parse_mailboxes(text)
    except AddressInvalid as error:
        raise ValueError(f"{name}: {error}") from error


def _bare_address(name: str, text: str) -> str:
    return ascii_address(_box(name, text).address)


_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,180}@[!-;=?A-~]{1,180}>").fullmatch
_FEEDBACK_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~:.-]{1,200}").fullmatch
_REFERENCE = re.compile(r"[a-z2-7]{24}").fullmatch
_URI = re.compile(r"(?:[Hh][Tt][Tt][Pp][Ss]?://|[Mm][Aa][Ii][Ll][Tt][Oo]:)[!-;=?-~]+").fullmatch
_LONGEST_URI = 976  # The rest of the 998 octets of a line is for the name, the brackets and the line end.
_LONGEST_WORDS = 1000  # Characters of one value in many subjects that are made at once.
_ZERO, _SECOND = dt.timedelta(0), dt.timedelta(seconds=1)
_OWN_HEADERS = frozenset(
    {
        *("date", "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id", "return-path", "received"),
        *("list-id", "list-unsubscribe", "list-unsubscribe-post", "precedence", "x-auto-response-suppress"),
        *("feedback-id", "cfbl-address", "cfbl-feedback-id", "x-complaints-to", "x-report-abuse"),
        *("x-abuse-reports-to", "auto-submitted", "x-original-to", "mime-version", "dkim-signature"),
        *("authentication-results", "delivered-to", "arc-seal", "arc-message-signature"),
    }
)
