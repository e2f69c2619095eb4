"""Probes: mails to a server's own return path, which show whether bounces and mailto unsubscribes come in.

Each probe is two mails, one to the tagged return path and one to the address for mailto unsubscribe. Both carry a key
that nobody can guess. The way in that takes them notes their arrival here, and keeps nothing of them.
"""

import datetime as dt
import re
import uuid

from django.conf import settings
from django.db import transaction

from delivery.content.tokens import NOBODY
from delivery.models import Mailing, Message
from delivery.outbox import mailings
from feedback.intake.addresses import Purpose
from feedback.models import Mailbox, Probe
from mail import verp
from mail.addresses import ascii_address, domain_of, fold
from smtpservers.models import SmtpServer

SUBJECT = "Brilliance probe"
TEXT = (
    "This mail was sent to check that bounces arrive. Brilliance reads it where it comes in, and nobody has to do"
    " anything about it."
)
_KEY = re.compile(rf"\b{SUBJECT} ([0-9a-f]{{32}})\b")


def send(server: SmtpServer, now: dt.datetime) -> Probe:
    """Queue a probe of a server's return path, through the server itself.

    :raises ValueError: if the server has no return path.
    """
    if not (server.use_return_path and server.return_path):
        raise ValueError("a probe needs a return path")
    plain = ascii_address(server.return_path)
    bounce = verp.tagged(plain, NOBODY, 0, settings.TOKEN_KEYS) if server.use_verp else plain
    unsubscribe = verp.unsubscribe_addresses(domain_of(plain), settings.TOKEN_KEYS)(NOBODY)
    with transaction.atomic():
        Probe.objects.filter(server=server, bounce_at=None, unsubscribe_at=None).delete()
        key = uuid.uuid4().hex
        mailing = mailings.open_mailing(
            stream=Mailing.Stream.NOTICE,
            name=SUBJECT,
            subject=f"{SUBJECT} {key}",
            html="",
            text=TEXT,
            is_tagged=False,
            server=server,
        )
        for email in (bounce, unsubscribe):
            mailings.address(mailing, email=email, email_key=fold(email), now=now)
        return Probe.objects.create(
            server=server, return_path=server.return_path, key=key, sent_at=now, mailing=mailing
        )


def mails_of(probe: Probe) -> tuple[Message | None, Message | None]:
    """Return the mail to the return path and the one to the address for mailto unsubscribe, while they are known."""
    mails = Message.objects.filter(mailing=probe.mailing_id).order_by("pk") if probe.mailing_id else ()
    bounce, unsubscribe = [*mails, None, None][:2]
    return bounce, unsubscribe


def key_in(subject: str) -> str:
    """Return the key in the subject of a probe; empty if it is none."""
    found = _KEY.search(subject)
    return found[1] if found else ""


def arrived(key: str, purpose: Purpose | None, now: dt.datetime, mailbox: Mailbox | None = None) -> bool:
    """Note that a probe's mail arrived; False if there is no such probe.

    :param mailbox: the mailbox that it arrived in; None: our own listener.
    """
    column = "unsubscribe_at" if purpose is Purpose.UNSUBSCRIBE else "bounce_at"
    probe = Probe.objects.filter(key=key).select_related("server").first()
    if probe is None:
        return False
    Probe.objects.filter(pk=probe.pk, **{column: None}).update(**{column: now}, mailbox=mailbox)
    if column == "unsubscribe_at":
        # A return path that was changed meanwhile needs a probe of its own.
        same = SmtpServer.objects.filter(pk=probe.server_id, return_path=probe.return_path)
        same.update(mailto_domain=domain_of(probe.return_path))
    return True


def withdraw(mailbox: Mailbox) -> None:
    """Take the mailto half from the servers whose probe came in by this mailbox alone. Called before it is deleted."""
    proved = Probe.objects.exclude(unsubscribe_at=None)
    for server_id in proved.filter(mailbox=mailbox).values_list("server", flat=True).distinct():
        if not proved.filter(server=server_id).exclude(mailbox=mailbox).exists():
            SmtpServer.objects.filter(pk=server_id).update(mailto_domain="")
