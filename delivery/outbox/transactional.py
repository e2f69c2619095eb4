"""Transactional messages: one message to one person, such as a receipt or a password, sent like all other mail.

The recipient is checked when the message is claimed, and not here: the server's Mail to unknown decides what happens
to a message without a usable address.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from contacts.models import Contact
from delivery.models import Mailing, Message
from delivery.outbox import mailings
from installation.site import site
from mail.addresses import AddressInvalid, Mailbox, fold, parse_mailbox
from mail.links import levels
from mail.links.levels import Level
from mail.message.composition import compile_content
from mail.message.style import Style
from smtpservers.models import SmtpServer
from smtpservers.routing.candidates import is_sender_served

EMAIL_CHARACTERS = 320


class SingleRefused(ValueError):
    """The message cannot be queued. The text says why, and what to do."""


def send_single(
    *,
    to: str,
    subject: str,
    html: str = "",
    text: str = "",
    mail_from: str = "",
    reply_to: str = "",
    values: Mapping[str, Any] | None = None,
    server: SmtpServer | None = None,
    is_commercial: bool = False,
    tracking: Level = levels.OFF,
    actor: Any = None,
    now: dt.datetime,
) -> Message:
    """Queue one message to one recipient and return it; a worker sends it within seconds.

    :param to: the recipient. A missing or unusable address is no error: Mail to unknown gets the message.
    :param values: merge values; fields that they lack are filled by the contact with this address.
    :param server: the only server to send through; None: the display order decides.
    :param is_commercial: adds the unsubscribe link and UTM codes, which a receipt must not have.
    :param tracking: how its opens and clicks are counted, as far as the installation and the recipient allow.
    :raises SingleRefused: if the content or the sender cannot be used.
    """
    _check(subject, html, text, mail_from, reply_to)
    _check_sender(mail_from, server)
    email = _address(to)
    key = fold(email)[:EMAIL_CHARACTERS]
    with transaction.atomic():
        mailing = mailings.open_mailing(
            stream=Mailing.Stream.SINGLE,
            name=subject[:200],
            subject=subject,
            html=html,
            text=text,
            mail_from=mail_from,
            reply_to=reply_to,
            is_tagged=is_commercial,
            is_commercial=is_commercial,
            tracking=levels.lowest([tracking, site().tracking]),
            created_by=actor,
            server=server,
        )
        contact = Contact.objects.filter(email_key=key).first()
        return mailings.address(
            mailing, email=email, email_key=key, now=now, contact=contact, merge=dict(values or {}) or None
        )


def _check(subject: str, html: str, text: str, mail_from: str, reply_to: str) -> None:
    if not subject.strip():
        raise SingleRefused("The message has no subject; give it one.")
    if len(subject) > 500:
        raise SingleRefused(f"The subject has {len(subject)} characters; shorten it to 500 at most.")
    if not html.strip() and not text.strip():
        raise SingleRefused("The message is empty; give it HTML or text.")
    try:
        sender = parse_mailbox(mail_from) if mail_from else Mailbox("", "anybody@example.com")
        compile_content(subject, html, text, Style(mail_from=sender, reply_to=reply_to))
    except ValueError as error:
        raise SingleRefused(str(error)) from error


def _check_sender(mail_from: str, server: SmtpServer | None) -> None:
    named = [server.pk] if server else []
    if mail_from and not is_sender_served(mail_from, named):
        who = f"{server.name} does not send" if server else "No server sends"
        raise SingleRefused(
            f"{who} with the From {mail_from}. Leave it out, so that the server uses its own, or ask an administrator"
            " for a server that sends for its domain."
        )


def _address(to: str) -> str:
    """Return the bare address. Text that is not an address is returned on one line, so that it can be shown."""
    try:
        return parse_mailbox(to).address
    except AddressInvalid:
        return " ".join(to.replace("\0", " ").split())[:EMAIL_CHARACTERS]
