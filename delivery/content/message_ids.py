"""The Message-ID of each message, by which a receiver recognises a second copy.

The ID depends only on the mailing and the recipient. So it stays the same through every server, and in a database
restored from a dump. Nobody can guess another recipient's ID.
"""

import re
from collections.abc import Callable

from django.conf import settings

from delivery.content.message import Outgoing
from delivery.models import Mailing
from mail.addresses import domain_of, parse_mailbox
from mail.tokens import prover, signing_key
from smtpservers.models import SmtpServer
from smtpservers.smtp.endpoint import domain_name_of

_BYTES = 16
_FORM = re.compile(rf"<(?:[^@<>]+\.)?[0-9a-f]{{{2 * _BYTES}}}@[^@<>]+>")


def id_domain(mail_from: str, server: SmtpServer) -> str:
    """Return the domain of a mailing's Message-IDs: that of its From, or else that of its first server."""
    return domain_of(parse_mailbox(mail_from).address) if mail_from else domain_name_of(server)


def fix_id_domain(mailing: Mailing, server: SmtpServer) -> None:
    """Fix the domain of a mailing's Message-IDs for good, unless another server's claim already has."""
    if mailing.id_domain:
        return
    row = Mailing.objects.filter(pk=mailing.pk)
    domain = id_domain(mailing.mail_from, server)
    if not row.filter(id_domain="").update(id_domain=domain):
        domain = row.values_list("id_domain", flat=True).get()
    mailing.id_domain = domain


def maker(mailing: Mailing) -> Callable[[Outgoing], str]:
    """Return the function that makes a mailing's Message-IDs; :func:`fix_id_domain` must have run before."""
    prove = prover("Message-ID", signing_key(settings.TOKEN_KEYS))
    # A mailing without an identity is older than that field, and is known by its number.
    identity, before, after = mailing.identity or str(mailing.pk), mailing.reference, f"@{mailing.id_domain}>"
    start = f"<{before}." if before else "<"

    def make(message: Outgoing) -> str:
        original = message.copy_of.email_key if message.copy_of else ""
        text = "\n".join((identity, message.email_key, message.copy_kind, original))
        return f"{start}{prove(text.encode())[:_BYTES].hex()}{after}"

    return make


def has_our_form(message_id: str) -> bool:
    """Return whether a Message-ID looks like one that :func:`maker` makes. That proves nothing."""
    return _FORM.fullmatch(message_id) is not None
