"""The Message-ID of each message, by which a receiver knows a second copy of it.

It follows from the mailing and the recipient alone, so that it is the same whichever server takes the message, and in
a database that was restored from a dump. Nobody can guess another recipient's.
"""

from collections.abc import Callable

from django.conf import settings

from delivery.content.message import Outgoing
from delivery.models import Mailing
from mail.addresses import domain_of, parse_mailbox
from mail.tokens import prover, signing_key
from smtpservers.models import SmtpServer
from smtpservers.smtp.endpoint import domain_name_of

_BYTES = 16


def right_side(mail_from: str, server: SmtpServer) -> str:
    """Return the domain of a mailing's Message-IDs: of its From, or else of the server that it begins at."""
    return domain_of(parse_mailbox(mail_from).address) if mail_from else domain_name_of(server)


def fix_right_side(mailing: Mailing, server: SmtpServer) -> None:
    """Settle the domain of a mailing's Message-IDs for good, unless another server was first."""
    if mailing.id_domain:
        return
    row = Mailing.objects.filter(pk=mailing.pk)
    domain = right_side(mailing.mail_from, server)
    if not row.filter(id_domain="").update(id_domain=domain):
        domain = row.values_list("id_domain", flat=True).get()
    mailing.id_domain = domain


def maker(mailing: Mailing) -> Callable[[Outgoing], str]:
    """Return what makes the Message-IDs of a mailing whose domain is settled."""
    prove = prover("Message-ID", signing_key(settings.TOKEN_KEYS))
    # One that was made before mailings had an identity is known by its number.
    identity, before, after = mailing.identity or str(mailing.pk), mailing.reference, f"@{mailing.id_domain}>"
    start = f"<{before}." if before else "<"

    def make(message: Outgoing) -> str:
        original = message.copy_of.email_key if message.copy_of else ""
        text = "\n".join((identity, message.email_key, message.copy_kind, original))
        return f"{start}{prove(text.encode())[:_BYTES].hex()}{after}"

    return make
