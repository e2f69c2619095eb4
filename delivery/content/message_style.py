"""The style of a mailing's messages through one server: the headers, footer and UTM codes that they all have."""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.text import slugify

from delivery.models import Mailing
from mail.addresses import Mailbox
from mail.links.utm import NAMES, PER_LINK, switch_of
from mail.message.style import Counting, Style
from smtpservers.models import SmtpServer
from smtpservers.provider_headers import provider_headers
from smtpservers.smtp.endpoint import domain_name_of

BULK_STREAMS = (Mailing.Stream.CAMPAIGN, Mailing.Stream.TEST)


def style_of(
    mailing: Mailing,
    server: SmtpServer,
    mail_from: Mailbox,
    of_list: tuple[int | None, str],
    language: str,
    cc: tuple[str, ...] = (),
    *,
    is_redirected: bool = False,
    counting: Counting | None = None,
) -> Style:
    """Return the style of the messages: the server's fields as far as the mailing's stream allows them.

    :param of_list: the mailing's first list, if it has one, and the list's name.
    :param cc: the visible copies.
    """
    is_bulk = mailing.stream in BULK_STREAMS
    is_notice = mailing.stream == Mailing.Stream.NOTICE
    is_commercial = is_bulk or (mailing.stream == Mailing.Stream.SINGLE and mailing.is_commercial)
    has_unsubscribe = is_commercial and server.use_unsubscribe_link and not is_redirected
    return Style(
        mail_from=mail_from,
        reply_to=mailing.reply_to,
        cc=cc,
        subject_prefix="[TEST] " if mailing.stream == Mailing.Stream.TEST else "",
        list_id=_list_id(server, *of_list) if is_bulk else "",
        precedence=server.precedence if is_bulk and server.use_precedence else "",
        auto_submitted=is_notice or is_redirected,
        complaints_to="" if is_notice or not server.use_spam_address else server.spam_address,
        abuse_to="" if is_notice or not server.use_abuse_address else server.abuse_address,
        feedback_id=_feedback_id(mailing) if is_bulk else "",
        has_unsubscribe=has_unsubscribe,
        is_one_click=has_unsubscribe and _is_one_click_possible(server),
        language=language,
        is_server_test=mailing.stream == Mailing.Stream.TEST and not mailing.reference,
        says_language=is_notice,
        organisation=mailing.organisation,
        postal_address=mailing.postal_address if is_commercial else "",
        utm=_utm(mailing, server) if is_commercial and mailing.is_tagged else {},
        utm_policy="replace" if server.replaces_utm else "fill",
        utm_in_text=server.tags_text_links,
        utm_skip=(
            *(f"{settings.BASE_URL}/{page}/" for page in ("u", "p", "t", "v")),
            *own_pages(server.unsubscribe_url),
        ),
        counting=counting,
        provider_headers=provider_headers(server.preset, server.provider_configuration),
    )


def _list_id(server: SmtpServer, list_id: int | None, name: str) -> str:
    if list_id is None:
        return ""
    words = name if name.isascii() and all(letter.isalnum() or letter in " -" for letter in name) else ""
    return f"{words} <list-{list_id}.{domain_name_of(server)}>".strip()


def _feedback_id(mailing: Mailing) -> str:
    who = slugify(mailing.organisation) or "us"
    return f"{mailing.reference or 'mailing'}:{who}:{mailing.stream}:{settings.FEEDBACK_SENDER_ID}"


def _utm(mailing: Mailing, server: SmtpServer) -> dict[str, str]:
    given = mailing.utm
    is_used = {name: name not in PER_LINK or getattr(server, switch_of(name)) for name in NAMES}
    values = {name: given.get(name) or (getattr(server, name) if is_used[name] else "") for name in NAMES}
    return {name: _fill_tags(value, mailing, server) for name, value in values.items() if value}


def _fill_tags(value: str, mailing: Mailing, server: SmtpServer) -> str:
    """Fill the impersonal merge tags of a UTM value; the forms refuse personal ones."""
    tags = {
        "campaign.slug": mailing.slug,
        "campaign.id": mailing.reference,
        "server.domain": domain_name_of(server),
        "date": f"{mailing.created_at:%Y-%m-%d}" if mailing.created_at else "",
    }
    return re.sub(r"\{\{\s*([\w.]+)\s*\}\}", lambda tag: tags.get(tag[1], tag[0]), value)


def own_pages(template: str) -> list[str]:
    """Return the fixed start of a template's addresses, unless it covers the whole host."""
    start = template.partition("{")[0]
    return [start] if start and urlsplit(start)[2:4] not in (("", ""), ("/", "")) else []


def _is_one_click_possible(server: SmtpServer) -> bool:
    """Whether a message may offer one-click unsubscribe, which needs https (RFC 8058).

    Plain http is enough only if site and server both run on this machine. An external unsubscribe page must have
    passed the one-click probe.
    """
    if server.linked_unsubscribe_url:
        return server.takes_one_click
    return settings.IS_HTTPS or (settings.IS_LOOPBACK and server.host in ("localhost", "127.0.0.1", "::1"))
