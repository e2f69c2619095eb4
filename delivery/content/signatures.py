"""Signatures of ours: the DKIM signer for a mailing and a server, from the keys of the domain of From.

A server whose provider signs has none. Whoever keeps a signer drops it when the server's version changes: the keys
change it too.
"""

from collections.abc import Callable

from django.db.models import F

from delivery.models import Mailing
from domains.keys import signers
from mail.addresses import domain_of, parse_mailbox
from mail.message.dkim import Signer
from smtpservers.models import SmtpServer
from smtpservers.routing.candidates import must_sign
from words.texts import text as _

MOST_REMEMBERED = 500


class SignatureMissing(Exception):
    """A message must be signed and cannot be at present; the text is a sentence that says why."""


class Signatures:
    """The signers of one process, each read once for a server's version."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, str], Signer | None] = {}

    def signer_for(self, mailing: Mailing, server: SmtpServer) -> Signer | None:
        """Return the signer for a mailing sent through a server; None if it goes out without a signature of ours.

        :raises SignatureMissing: if there is no key that signs, and the server requires one.
        """
        if server.dkim != SmtpServer.Signer.BRILLIANCE:
            return None
        author = domain_of(parse_mailbox(mailing.mail_from or server.mail_from).address)
        key = (server.pk, server.version, author)
        if key not in self._known:
            found = signers.signing_for(author)
            if found.signer is None and must_sign(server):
                raise SignatureMissing(_("%(server)s %(why)s.", server=server.name, why=found.why_not))
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = found.signer
        return self._known[key]


def why_unsigned() -> Callable[[str], str]:
    """Return what :data:`smtpservers.routing.candidates.SIGNATURES` asks for."""
    return signers.obstacles()


def keys_changed() -> None:
    """Have all workers read the keys again: a lane looks at its server's version every second."""
    signing = SmtpServer.objects.filter(dkim=SmtpServer.Signer.BRILLIANCE)
    list(signing.select_for_update().order_by("pk").values_list("pk"))  # In one order, so that nobody deadlocks.
    signing.update(version=F("version") + 1)
