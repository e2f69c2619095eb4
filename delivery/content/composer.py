"""The composer: makes the bytes and the envelope of a message from a mailing, a server and a recipient.

The server is chosen first, because its settings shape the message. Content is compiled once for each server and footer
language. Each message then only fills in the recipient's values.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from django.conf import settings

from contacts.attributes.rules import merge_values
from delivery.content import attachments, secret_links, targets, tokens
from delivery.content.authors import author_of
from delivery.content.copies import COPIED_STREAMS, copy_mailboxes
from delivery.content.message import Outgoing, Person
from delivery.content.message_style import style_of
from delivery.content.return_paths import ReturnPath, mailto_domain
from delivery.content.targets import Targets
from delivery.content.tracking_hosts import address_of, counted_addresses, own_hosts
from delivery.models import Mailing
from installation.site import site
from mail import verp
from mail.addresses import (
    are_simple,
    check_address,
    envelope_address,
    fold,
    needs_smtputf8,
)
from mail.budget import Budget
from mail.links import levels
from mail.links.levels import UNSET, Level
from mail.links.link_targets import Link
from mail.merge_fields import Flag, name_columns, name_values
from mail.message.composition import Compiled, Rendered, compile_content, links_of
from mail.message.dkim import Signer
from mail.message.footers import known_language
from mail.message.style import Counting, Recipient, Recipients
from mail.tokens import proofs_of_messages
from smtpservers.forms.validators import fill_unsubscribe_url
from smtpservers.models import SmtpServer
from smtpservers.provider_headers import provider_headers

# Merge fields with a personal link, which is made only if the content uses the field.
LINKS: Mapping[str, Callable[[], Callable[[int], str]]] = {
    "preferences_url": tokens.preferences_urls,
    "tracking_url": tokens.tracking_urls,
    "web_version_url": tokens.web_version_urls,
}

NAME_FIELDS = ("first_name", "last_name", "full_name")
_NOBODY = Person("")
_PLAIN = {str}

COMPOSE_SECONDS = 2.0  # The most that one message may take.

# Returns the DKIM signer for a mailing sent through a server; None leaves the signature to the server.
SignerFor = Callable[[Mailing, SmtpServer], Signer | None]


@dataclass(slots=True)  # Not frozen: a frozen instance takes four times as long to make.
class Composed:
    """A message ready to be handed to a server."""

    content: bytes
    envelope_from: str
    rcpt_to: str
    header_from: str
    is_smtputf8: bool


class Composer:
    """Composes the messages of one mailing for one server, with the server's settings at construction."""

    def __init__(
        self,
        mailing: Mailing,
        server: SmtpServer,
        *,
        list_id: int | None,
        list_name: str,
    ) -> None:
        self._mailing = mailing
        self._server = server
        self._list = (list_id, list_name)
        self._mail_from = author_of(mailing, server)
        self._header_from = str(self._mail_from)
        self._return_path = ReturnPath(server, self._mail_from.address, mailing.stream)
        check_address(self._return_path.address)  # Checked again: a line break here would start an SMTP command.
        has_copies = mailing.sends_copies and mailing.stream in COPIED_STREAMS
        copies = copy_mailboxes(server) if has_copies else []
        self._cc = {fold(box.address): str(box) for kind, box in copies if kind == "cc"}
        self._make_tokens = tokens.unsubscribe_urls_and_feedback_ids()
        self._make_personal = tokens.unsubscribe_urls_feedback_ids_and_tracking()
        self._targets: Targets | None = None  # None: nothing is counted.
        self._counted: dict[tuple[str, str, str], tuple[Level, Level]] = {}
        self._token_columns = tokens.columns_of_tokens(with_tracking=False)
        self._personal_columns = tokens.columns_of_tokens(with_tracking=True)
        self._make_links = {name: urls() for name, urls in LINKS.items()}
        self._secret_links = secret_links.makers(mailing, server)
        self._style = partial(style_of, mailing, server, self._mail_from, self._list)
        self._has_reference = bool(provider_headers(server.preset, server.provider_configuration))
        domain = mailto_domain(server)
        self._unsubscribe_address = verp.unsubscribe_addresses(domain, settings.TOKEN_KEYS) if domain else None
        self._unsubscribe_addresses = verp.column_of_unsubscribe_addresses(domain) if domain else None
        self._site_language = mailing.site_language
        self._files = attachments.parts(mailing.files)
        self._compiled: dict[tuple[str, tuple[str, ...], bool, bool, bool], Compiled] = {}

    def links(self, counted: Sequence[str] = ()) -> list[Link]:
        """Return the links of the mailing through this server, each with its final address, or why it isn't counted.

        :param counted: how addresses begin that are counted already.
        :raises ValueError: if the content cannot be made into a message.
        """
        mailing = self._mailing
        style = self._style(known_language(mailing.language, self._site_language))
        return links_of(mailing.html, mailing.text, style, own_hosts(), in_text=mailing.track_text, skip=counted)

    def count(self, stored: Targets) -> None:
        """Count opens and clicks from now on, as far as mailing, installation and recipients allow."""
        self._targets = stored

    def compose(self, message: Outgoing, date: dt.datetime, *, tracking: Level = levels.OFF) -> Composed:
        """Return the message as bytes with its envelope.

        :param tracking: the most that the installation allows to count now.
        :raises TooMuchWork: if the content takes too much work, or more than ``COMPOSE_SECONDS``.
        :raises ValueError: if the content cannot be made into a message for this recipient.
        """
        original = message.copy_of or message
        redirected_to = message.redirected_to
        address = redirected_to or original.email
        opens, clicks = self._counted_of(message, tracking)
        compiled = self._compile(
            original.contact,
            address,
            is_redirected=bool(redirected_to),
            has_pixel=opens != levels.OFF,
            has_links=clicks != levels.OFF,
        )
        values = self._values(original.contact, original.merge, original.email)
        if not compiled.names.isdisjoint(LINKS):
            linked_id = tokens.NOBODY if redirected_to else message.pk
            values |= {name: make(linked_id) for name, make in self._make_links.items() if name in compiled.names}
        if self._secret_links and not redirected_to and message.copy_of is None:
            values |= {name: make(date) for name, make in self._secret_links.items()}
        anonymous = personal = self._targets.token if self._targets else ""
        if levels.PERSONAL in (opens, clicks):
            unsubscribe_url, feedback_id, personal = self._make_personal(message.pk)
        else:
            unsubscribe_url, feedback_id = self._make_tokens(message.pk)
        if redirected_to:
            unsubscribe_url, _ = self._make_tokens(tokens.NOBODY)
        make_address = self._unsubscribe_address
        envelope_from = message.envelope_from or self._return_path.of(message)
        deadline = monotonic() + COMPOSE_SECONDS
        recipient = Recipient(
            address=address,
            message_id=message.message_id,
            values=values,
            unsubscribe_url=self._unsubscribe_url(unsubscribe_url, message, original.email),
            unsubscribe_address=make_address(tokens.NOBODY if redirected_to else message.pk) if make_address else "",
            feedback_id=feedback_id,
            reference=self._return_path.tag(message, envelope_from) if self._has_reference else "",
            pixel_token=personal if opens == levels.PERSONAL else anonymous,
            link_token=personal if clicks == levels.PERSONAL else anonymous,
            intended=(message.email or "(missing)") if redirected_to else "",
            budget=Budget(lambda: monotonic() > deadline),
        )
        content = compiled.build(recipient, date)
        rcpt_to = envelope_address(redirected_to or message.email)
        is_7bit = compiled.is_7bit and (rcpt_to + envelope_from).isascii() and not needs_smtputf8(address)
        return Composed(content, envelope_from, rcpt_to, self._header_from, not is_7bit)

    def builds_together(self, message: Outgoing, *, tracking: Level = levels.OFF) -> bool:
        """Whether :meth:`compose_together` can make messages that are like this one."""
        try:
            return not self._secret_links and self._compile_counted(message, tracking).builds_together
        except ValueError:  # Which :meth:`compose` raises for each of them.
            return False

    def compose_together(
        self, messages: Sequence[Outgoing], date: dt.datetime, *, tracking: Level = levels.OFF
    ) -> list[Composed | None]:
        """Compose many messages as :meth:`compose` does, column by column, at a fraction of its cost.

        :return: None in place of a message that only :meth:`compose` can make, or refuse.
        """
        composed: list[Composed | None] = [None] * len(messages)
        alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
        is_counted = self._targets is not None and tracking != levels.OFF
        for place, message in enumerate(messages):
            is_special = message.copy_of is not None or message.redirected_to or message.merge
            if message.contact is not None and not is_special:
                counted = self._counted_of(message, tracking) if is_counted else ()
                alike[message.contact.language, *counted].append(place)
        for places in alike.values():
            made = self._compose_alike([messages[place] for place in places], date, tracking)
            for place, one in zip(places, made, strict=True):
                composed[place] = one
        return composed

    def _compose_alike(
        self, messages: Sequence[Outgoing], date: dt.datetime, tracking: Level
    ) -> Sequence[Composed | None]:
        """Compose messages in one language, counted alike; if one of them has to be made alone, find it by halves."""
        if not self.builds_together(messages[0], tracking=tracking):
            return [None] * len(messages)
        try:
            made = self._compose_columns(messages, date, tracking)
        except ValueError:
            made = None
        if made is not None or len(messages) == 1:
            return made or [None]
        half = len(messages) // 2
        return [
            *self._compose_alike(messages[:half], date, tracking),
            *self._compose_alike(messages[half:], date, tracking),
        ]

    def _compose_columns(
        self, messages: Sequence[Outgoing], date: dt.datetime, tracking: Level
    ) -> list[Composed] | None:
        compiled = self._compile_counted(messages[0], tracking)
        addresses = [message.email for message in messages]
        if self._cc and not self._cc.keys().isdisjoint(map(fold, addresses)):
            return None  # Its Cc is another one.
        envelope_senders = [message.envelope_from or self._return_path.of(message) for message in messages]
        numbers, proofs = [message.pk for message in messages], [message.proof for message in messages]
        if not all(proofs):  # Some weren't claimed, as in a preview.
            proofs = proofs_of_messages(numbers, settings.TOKEN_KEYS)
        counted = self._counted_of(messages[0], tracking)
        is_personal = levels.PERSONAL in counted
        urls, feedback_ids, personal = (self._personal_columns if is_personal else self._token_columns)(numbers, proofs)
        anonymous = [self._targets.token if self._targets else ""] * len(messages)
        pixel_tokens, link_tokens = (personal if level == levels.PERSONAL else anonymous for level in counted)
        if self._server.linked_unsubscribe_url:
            pairs = zip(urls, messages, strict=True)
            urls = [self._unsubscribe_url(url, message, message.email) for url, message in pairs]
        references: Sequence[str] = ()
        make_addresses = self._unsubscribe_addresses
        if self._has_reference:
            references = [self._return_path.tag(*pair) for pair in zip(messages, envelope_senders, strict=True)]
        recipients = Recipients(
            addresses=addresses,
            message_ids=[message.message_id for message in messages],
            values=self._value_columns(compiled.names, messages) | {"unsubscribe_url": urls},
            unsubscribe_addresses=make_addresses(numbers, proofs) if make_addresses else (),
            feedback_ids=feedback_ids,
            references=references,
            pixel_tokens=pixel_tokens,
            link_tokens=link_tokens,
        )
        contents = compiled.build_together(recipients, date)
        if contents is None:
            return None
        rcpt_tos = addresses if are_simple(addresses) else list(map(envelope_address, addresses))
        is_7bit = compiled.is_7bit
        return [
            Composed(content, sender, rcpt_to, self._header_from, not (is_7bit and (sender + rcpt_to).isascii()))
            for content, sender, rcpt_to in zip(contents, envelope_senders, rcpt_tos, strict=True)
        ]

    def _compile_counted(self, message: Outgoing, tracking: Level) -> Compiled:
        opens, clicks = self._counted_of(message, tracking)
        has_pixel, has_links = opens != levels.OFF, clicks != levels.OFF
        return self._compile(message.contact, message.email, has_pixel=has_pixel, has_links=has_links)

    def _value_columns(self, fields: Iterable[str], messages: Sequence[Outgoing]) -> dict[str, Sequence[Any]]:
        """Return the value of each merge field for each message, as :meth:`_values` and :meth:`compose` set it."""
        people = [message.contact or _NOBODY for message in messages]
        columns: dict[str, Sequence[Any]] = {}
        for name in fields:
            if name == "email":
                columns[name] = [message.email for message in messages]
            elif (make := self._make_links.get(name)) is not None:
                columns[name] = [make(message.pk) for message in messages]
            elif name not in NAME_FIELDS:
                column = [person.attributes.get(name) for person in people]
                if set(map(type, column)) != _PLAIN:
                    column = [None if value is None else merge_values({name: value})[name] for value in column]
                columns[name] = column
            elif name not in columns:
                unknown = self._server.unknown_first_name, self._server.unknown_last_name
                names = [person.first_name for person in people], [person.last_name for person in people]
                columns |= name_columns(*names, *unknown)
        return columns

    def render(
        self,
        contact: Person | None,
        unsubscribe_url: str,
        *,
        email: str = "ann@example.com",
        merge: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> Rendered:
        """Return the message as a recipient reads it, for a browser.

        :param unsubscribe_url: stands in for every personal link.
        :param email: the recipient's address, used without a contact.
        :param deadline: the deadline on the monotonic clock; None: ``COMPOSE_SECONDS`` from now.
        """
        until = deadline or monotonic() + COMPOSE_SECONDS
        email = contact.email if contact else email
        values = {**self._values(contact, merge, email), **dict.fromkeys(LINKS, unsubscribe_url)}
        budget = Budget(lambda: monotonic() > until)
        recipient = Recipient(email, "<preview@localhost>", values, unsubscribe_url, budget=budget)
        return self._compile(contact, email).render(recipient)

    def _counted_of(self, message: Outgoing, tracking: Level) -> tuple[Level, Level]:
        """Return how the opens and clicks of a message are counted: never those of copies and redirected mail."""
        if self._targets is None or tracking == levels.OFF or message.redirected_to or message.copy_of is not None:
            return levels.OFF, levels.OFF
        person = message.contact
        key = (tracking, person.open_tracking, person.click_tracking) if person else (tracking, UNSET, UNSET)
        counted = self._counted.get(key)
        if counted is None:
            level = levels.lowest([self._mailing.tracking, tracking])
            counted = self._counted[key] = (levels.effective(level, key[1]), levels.effective(level, key[2]))
        return counted

    def _values(self, contact: Person | None, merge: Mapping[str, Any] | None, email: str) -> dict[str, Any]:
        server, first, last = self._server, "", ""
        values: dict[str, Any] = {}
        if contact is not None:
            first, last = contact.first_name, contact.last_name
            values.update(merge_values(contact.attributes))
        if merge:
            values |= merge
            if self._mailing.stream == Mailing.Stream.TEST:  # Its merge values are a contact's attributes.
                values |= {name: Flag(value) for name, value in merge.items() if isinstance(value, bool)}
            first, last = str(merge.get("first_name") or first), str(merge.get("last_name") or last)
        values["email"] = email
        values |= name_values(first, last, server.unknown_first_name, server.unknown_last_name)
        return values

    def _unsubscribe_url(self, built_in: str, message: Outgoing, email: str) -> str:
        template = self._server.linked_unsubscribe_url
        if not template or message.copy_of_id:  # A foreign page cannot know that a copy's link must do nothing.
            return built_in
        return custom_unsubscribe_url(template, built_in, email, self._mailing, self._list[0])

    def _compile(
        self,
        contact: Person | None,
        address: str,
        *,
        is_redirected: bool = False,
        has_pixel: bool = False,
        has_links: bool = False,
    ) -> Compiled:
        mailing = self._mailing
        own = contact.language if contact else ""
        language = known_language(mailing.language, own, self._server.language, self._site_language)
        cc: tuple[str, ...] = ()
        if self._cc and not is_redirected:
            own_key = fold(address)
            cc = tuple(box for key, box in self._cc.items() if key != own_key)
        key = (language, cc, is_redirected, has_pixel, has_links)
        compiled = self._compiled.get(key)
        if compiled is None:
            counting = self._counting(has_pixel=has_pixel, has_links=has_links)
            style = self._style(language, cc, is_redirected=is_redirected, counting=counting)
            compiled = self._compiled[key] = compile_content(
                mailing.subject, mailing.html, mailing.text, style, self._files
            )
        return compiled

    def _counting(self, *, has_pixel: bool, has_links: bool) -> Counting | None:
        if self._targets is None or not (has_pixel or has_links):
            return None
        codes = self._targets.codes if has_links else {}
        address = address_of(self._mailing, self._mail_from.address)
        return Counting(address, has_pixel, codes, self._mailing.track_text)


def composer_for(mailing: Mailing, server: SmtpServer) -> Composer:
    """Return the composer of a stored mailing; List-Id names its first list.

    If opens and clicks may be counted, the targets of its links are stored.

    :raises ValueError: if the content or the From of the mailing cannot be used.
    """
    first = mailing.lists.order_by("pk").only("pk", "name", "title").first()
    list_id, title = (first.pk, first.public_title) if first else (None, "")
    composer = Composer(mailing, server, list_id=list_id, list_name=title)
    if targets.is_counted(mailing) and site().tracking != levels.OFF:
        composer.count(targets.store(mailing.pk, server.name, composer.links(counted_addresses())))
    return composer


def custom_unsubscribe_url(template: str, built_in: str, email: str, mailing: Mailing, list_id: int | None) -> str:
    """Return the address of a custom unsubscribe page for one message.

    :param built_in: the link to the built-in page, whose token is filled in.
    :param list_id: the first list of the mailing, if it has one.
    """
    return fill_unsubscribe_url(
        template,
        token=built_in.rpartition("/")[2],
        email=email,
        campaign=mailing.slug or mailing.reference,
        list_id=str(list_id or ""),
    )
