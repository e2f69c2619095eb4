"""A claimed message as a light value, for the composer, the worker and the records of results.

A worker handles thousands of messages a second; a model instance of each would cost more than sending it.
Attributes have the names of :class:`delivery.models.Message` and :class:`contacts.models.Contact`.
"""

import contextlib
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from contacts.models import Contact
from delivery.models import Message
from mail.addresses import AddressInvalid, ascii_address
from mail.links import levels


@dataclass(slots=True)
class Person:
    """The contact whose values fill the merge fields."""

    email: str
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    open_tracking: str = levels.UNSET  # Their consents, as mail.links.levels reads them.
    click_tracking: str = levels.UNSET

    @classmethod
    def of(cls, contact: Contact) -> Self:
        """Return the person of a contact's row."""
        return cls(
            contact.email,
            contact.first_name,
            contact.last_name,
            contact.language,
            contact.attributes,
            contact.open_tracking,
            contact.click_tracking,
        )


@dataclass(slots=True)
class Outgoing:
    """One message on its way."""

    pk: int
    mailing_id: int
    email: str
    email_key: str
    contact: Person | None = None
    merge: Mapping[str, Any] | None = None
    message_id: str = ""
    redirected_to: str = ""
    reason: str = ""
    copy_of: "Outgoing | None" = None  # The original of a copy, with its person.
    copy_kind: str = ""
    avoid: tuple[int, ...] = ()  # Servers that refused it.
    expires_at: dt.datetime | None = None
    attempt_count: int = 0  # Earlier attempts, without the present one.
    tries: int = 0  # The earlier attempts that reached a server: the backoff grows with these.
    envelope_from: str = ""  # The envelope sender of the present attempt.
    # What mail.tokens.proofs_of_messages returned for its number, once that was asked for. Nothing shows it.
    proof: bytes = field(default=b"", repr=False)

    @property
    def written_to(self) -> str:
        """The address in the envelope."""
        return self.redirected_to or self.email

    @property
    def copy_of_id(self) -> int | None:
        """The key of the original; None unless this is a copy."""
        return self.copy_of.pk if self.copy_of else None

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the value of a row, with its contact, its original and the original's contact."""
        return cls(
            pk=message.pk,
            mailing_id=message.mailing_id,
            email=message.email,
            email_key=message.email_key,
            contact=Person.of(message.contact) if message.contact else None,
            merge=message.merge,
            message_id=message.message_id,
            redirected_to=message.redirected_to,
            reason=message.reason,
            copy_of=cls.of(message.copy_of) if message.copy_of else None,
            copy_kind=message.copy_kind,
            avoid=tuple(message.avoid),
            expires_at=message.expires_at,
            attempt_count=message.attempt_count,
        )


def without_recipient(text: str, message: Outgoing) -> str:
    """Return a server's answer without the recipient's address, for operators who may not see recipients."""
    spellings = {message.email, message.redirected_to}
    for address in tuple(spellings):
        with contextlib.suppress(AddressInvalid):  # The address of a redirected message may be any text.
            spellings.add(ascii_address(address))
    pattern = "|".join(re.escape(address) for address in spellings if address)
    return re.sub(pattern, "(the recipient)", text, flags=re.IGNORECASE) if pattern else text
