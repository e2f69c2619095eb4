"""Previews: a message as a recipient reads it, for a browser. Nothing here is sent, and personal links are inert."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

from django.conf import settings

from contacts.models import Contact
from delivery.content import attachments, tokens
from delivery.content.composer import Composer
from delivery.content.message import Person
from delivery.models import Mailing, Message
from mail.message.composition import Rendered
from smtpservers.models import SmtpServer


def preview(
    *,
    subject: str,
    html: str,
    text: str,
    contact: Contact | None,
    server: SmtpServer,
    mail_from: str = "",
    utm: Mapping[str, str] | None = None,
    is_tagged: bool = True,
    slug: str = "",
    reference: str = "",
    organisation: str,
    postal_address: str,
    site_language: str,
    now: dt.datetime,
    deadline: float | None = None,
) -> Rendered:
    """Return a campaign's content as the contact would read it through the server, with an inert unsubscribe link.

    :param now: stands in for the moment when the campaign is frozen, whose date links may carry.
    :param deadline: the deadline on the monotonic clock; None: ``COMPOSE_SECONDS`` from now.
    :raises ValueError: with the mistake in the content, as :func:`mail.message.composition.compile_content` names it.
    """
    mailing = Mailing(
        stream=Mailing.Stream.CAMPAIGN,
        name="preview",
        subject=subject,
        html=html,
        text=text,
        mail_from=mail_from,
        utm=dict(utm or {}),
        is_tagged=is_tagged,
        slug=slug,
        reference=reference,
        organisation=organisation,
        postal_address=postal_address,
        site_language=site_language,
        created_at=now,
    )
    return Composer(mailing, server, list_id=None, list_name="").render(
        Person.of(contact) if contact else None, f"{settings.BASE_URL}/u/preview", deadline=deadline
    )


def web_version(message: Message) -> Rendered:
    """Return a stored message as its recipient reads it, made of the frozen mailing and the recipient's present values.

    Personal links are inert: a viewer of the page must not be able to unsubscribe the recipient.

    :raises ValueError: if the content cannot be filled for this recipient.
    """
    original, mailing = message.copy_of or message, message.mailing
    # A deleted server has a substitute. Of its settings a browser would show only the replacements of missing names.
    server = message.server or mailing.server or SmtpServer(mail_from="anybody@example.com", host="localhost")
    contact = Person.of(original.contact) if original.contact else None
    composer = Composer(mailing, server, list_id=None, list_name="")
    rendered = composer.render(
        contact, tokens.unsubscribe_url(tokens.NOBODY), email=original.email, merge=original.merge
    )
    return replace(rendered, html=attachments.shown_by_address(rendered.html, mailing.files))
