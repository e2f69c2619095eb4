"""Mail that goes on to people, as a notice: through our own servers, and never to an address that the listener takes.

Mail to postmaster, abuse and report addresses goes to Mail to, once a worker found no report in it. A bounce that came
to a return path and matches no message goes to Mail to unknown.
"""

import datetime as dt

from delivery.models import Notice
from delivery.operators.notice_words import words_for
from delivery.operators.notices import tell, watchers
from encryption.keys import SecretUnreadable
from feedback.intake import store
from feedback.intake.addresses import our_addresses, report_addresses
from feedback.models import Forward, RawReport
from installation.site import site
from mail.addresses import AddressInvalid, domain_of, fold, parse_mailbox
from mail.incoming.mime import Part, Unreadable, parse
from smtpservers.models import SmtpServer

AT_ONCE = 20
MOST_AN_HOUR = 50  # Strangers write it all. The rest is seen under Replies alone.
MOST_CHARACTERS = 20_000


def forward(now: dt.datetime) -> int:
    """Forward mail that a worker found no report in, and bounces without a message, and return how much."""
    count = 0
    read = Forward.objects.exclude(raw__state=RawReport.State.WAITING).select_related("raw").order_by("pk")
    for mail in read[:AT_ONCE]:
        if (mail.is_unmatched or not mail.raw.is_recognised) and _has_room(now):
            count += _tell(mail, now)
        mail.delete()
    return count


def _has_room(now: dt.datetime) -> bool:
    lately = Notice.objects.filter(kind=Notice.Kind.FORWARD, created_at__gt=now - dt.timedelta(hours=1))
    return lately.count() < MOST_AN_HOUR


def _tell(mail: Forward, now: dt.datetime) -> int:
    words = words_for(site().language)
    sender, subject, text = _words_in(mail.raw)
    facts = {"address": mail.address, "sender": sender or "–", "subject": subject or "–"}
    lines = [words.forwarded.format(**facts), text]
    key = f"forward {mail.raw_id}"
    to = unknown_recipients(mail.address) if mail.is_unmatched else recipients(mail.address)
    return tell(Notice.Kind.FORWARD, key, words.forwarded_subject.format(**facts), lines, to, now)


def recipients(address: str) -> list[str]:
    """Return the Mail to of the servers that an address belongs to, else those who get notices about no server."""
    ours = our_addresses()
    found = {
        fold(parse_mailbox(server.mail_to).address)
        for server in SmtpServer.objects.exclude(mail_to="")
        if _belongs(address, server)
    }
    outside = [each for each in sorted(found) if ours.purpose(each) is None]
    return outside or [each for each in watchers() if ours.purpose(parse_mailbox(each).address) is None]


def unknown_recipients(address: str) -> list[str]:
    """Return Mail to unknown of the servers whose return path this is, with or without a tag."""
    plain, ours = _without_tag(address), our_addresses()
    found = {
        parse_mailbox(server.mail_to_unknown).address
        for server in SmtpServer.objects.filter(use_return_path=True).exclude(mail_to_unknown="")
        if server.return_path and _without_tag(server.return_path) == plain
    }
    return [each for each in sorted(found) if ours.purpose(each) is None]


def _without_tag(address: str) -> str:
    local, at, domain = fold(address).rpartition("@")
    return local.partition("+")[0] + at + domain


def _belongs(address: str, server: SmtpServer) -> bool:
    own = [*report_addresses(server), *([server.return_path] if server.use_return_path and server.return_path else [])]
    try:
        return fold(address) in map(fold, own) or domain_of(address) in map(domain_of, own)
    except AddressInvalid:
        return False


def _words_in(raw: RawReport) -> tuple[str, str, str]:
    """Return sender, subject and the beginning of the text; empty as far as they cannot be read."""
    try:
        mail = parse(store.content_of(raw))
    except (Unreadable, SecretUnreadable):
        return "", "", ""
    texts = [part for part in mail.walk() if part.type == "text/plain"]
    first: Part | None = next(iter(texts or [part for part in mail.walk() if part.type == "text/html"]), None)
    text = first.text().strip()[:MOST_CHARACTERS] if first else ""
    return " ".join(mail.decoded("from").split()), " ".join(mail.decoded("subject").split())[:200], text
