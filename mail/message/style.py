"""The input of composition: the style, set by server and mailing, and the recipient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from mail.addresses import Mailbox
from mail.budget import Budget
from mail.links import tracking
from mail.links.link_targets import Link

# Stands for the tag of a message in the headers of a style; as long as one, and no letters of one.
REFERENCE = "0" * 24

# Stand for the tokens in a content: noncharacters, which no exchanged text should contain. Unlike a merge tag they cost
# nothing to fill, also between conditions and loops.
PIXEL_HOLE, LINK_HOLE = "\ufdd1", "\ufdd2"

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Counting:
    """What makes opens and clicks of a content countable. The tokens differ by recipient."""

    url: str  # Where pixel and links lead, without a slash at the end.
    has_pixel: bool = False
    codes: Mapping[tuple[str, int, str], str] = field(default_factory=dict)  # By part, position and address of a link.
    in_text: bool = False  # Whether the links of the text part are counted too.

    def address(self, link: Link) -> str | None:
        """Return the address to write in a link's place; None leaves it as written."""
        code = self.codes.get((link.part, link.position, link.url))
        return None if code is None or link.why_not else f"{self.url}{tracking.CLICKS}{LINK_HOLE}{code}"

    @property
    def pixel(self) -> str:
        """The image that is loaded when the mail is opened."""
        address = f"{self.url}{tracking.OPENS}{PIXEL_HOLE}{tracking.PIXEL_SUFFIX}"
        return f'<img src="{address}" alt="" width="1" height="1" border="0">\n' if self.has_pixel else ""


@dataclass(frozen=True, slots=True)
class Style:
    """What server and mailing decide about every message. An empty field leaves its header out."""

    mail_from: Mailbox
    reply_to: str = ""  # One or more mailboxes, separated by commas.
    cc: tuple[str, ...] = ()  # Visible; each copy is a message of its own.
    subject_prefix: str = ""  # "[TEST] "
    list_id: str = ""  # "Example news <list-7.example.com>", stable for a list (RFC 2919).
    precedence: str = ""  # "bulk"; also adds X-Auto-Response-Suppress.
    auto_submitted: bool = False  # For notices (RFC 3834 section 5), not for what people write.
    complaints_to: str = ""  # For complaints by programs (RFC 9477).
    abuse_to: str = ""  # For reports by people.
    feedback_id: str = ""  # Google's Feedback-ID; the same for all recipients.
    has_unsubscribe: bool = False  # Visible link and headers.
    is_one_click: bool = True  # Whether a POST to the address unsubscribes (RFC 8058).
    language: str = "en"  # Of the footer's words, as BCP 47 tag.
    is_server_test: bool = False  # The footer then says so, instead of naming a list.
    says_language: bool = False  # Whether Content-Language is sent.
    organisation: str = ""
    postal_address: str = ""  # Shown in the footer unless the content holds it.
    utm: Mapping[str, str] = field(default_factory=lambda: _NOTHING)  # By names of mail.links.utm; empty: links stay.
    utm_policy: Literal["fill", "replace"] = "fill"
    utm_in_text: bool = True  # Whether links in the text part get them too, where they are long and fully visible.
    utm_skip: tuple[str, ...] = ()  # Prefixes of our own URLs, never tagged.
    counting: Counting | None = None  # None: links as written, and no pixel.
    extra_headers: tuple[tuple[str, str], ...] = ()
    # What the provider reads. The first of them holds ``REFERENCE`` once.
    provider_headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)  # Not frozen: that would take four times as long to create.
class Recipient:
    """What differs from message to message."""

    address: str
    message_id: str  # "<unique@example.com>", the same in every attempt.
    values: Mapping[str, Any]  # Merge values by name.
    unsubscribe_url: str = ""  # Also the merge value of that name.
    unsubscribe_address: str = ""  # Mail to it unsubscribes (RFC 2369 section 3.2); empty: only the URL does.
    feedback_id: str = ""  # For CFBL-Feedback-ID: opaque, and hard to forge.
    reference: str = ""  # The tag in the provider's own header.
    pixel_token: str = ""  # For the places that ``Counting`` leaves open.
    link_token: str = ""
    intended: str = ""  # The original recipient of a redirected message; shown above the content.
    budget: Budget = field(default_factory=Budget)  # The limit for filling the message.


@dataclass(slots=True)
class Recipients:
    """What differs from message to message, of many messages: a column for each field of :class:`Recipient`."""

    addresses: Sequence[str]
    message_ids: Sequence[str]
    values: Mapping[str, Sequence[Any]]  # With ``unsubscribe_url``; None where a name is unknown.
    unsubscribe_addresses: Sequence[str] = ()  # Empty: none of them has one.
    feedback_ids: Sequence[str] = ()
    references: Sequence[str] = ()
    pixel_tokens: Sequence[str] = ()  # Empty: nothing is counted.
    link_tokens: Sequence[str] = ()
