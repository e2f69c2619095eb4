"""The Message-ID of each message, by which a receiver recognises a second copy.

The ID depends only on the mailing and the recipient. So it stays the same through every server, and in a database
restored from a dump. Nobody can guess another recipient's ID.
"""

import re
from collections.abc import Iterable

from django.conf import settings

from delivery.content.message import Outgoing
from delivery.models import Mailing
from mail.addresses import domain_of, parse_mailbox
from mail.tokens import prove_all, signing_key
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


def make_all(mailing: Mailing, messages: Iterable[Outgoing]) -> list[str]:
    """Return the Message-IDs of a mailing's messages; :func:`fix_id_domain` must have run before."""
    # A mailing without an identity is older than that field, and is known by its number.
    identity, before, after = mailing.identity or str(mailing.pk), mailing.reference, f"@{mailing.id_domain}>"
    start = f"<{before}." if before else "<"
    texts = [
        f"{identity}\n{one.email_key}\n{one.copy_kind}\n{one.copy_of.email_key if one.copy_of else ''}".encode()
        for one in messages
    ]
    proofs = prove_all("Message-ID", signing_key(settings.TOKEN_KEYS), texts)
    return [f"{start}{proof[:_BYTES].hex()}{after}" for proof in proofs]


def has_our_form(message_id: str) -> bool:
    """Return whether a Message-ID looks like one that :func:`make_all` makes. That proves nothing."""
    return _FORM.fullmatch(message_id) is not None
