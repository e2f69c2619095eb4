"""Which server takes a mailing's next messages, and why; or why none does, and until when.

Display order rules: the first server that may and can send wins, the rest are fail-over.
"""

import datetime as dt
from collections.abc import Container, Sequence
from dataclasses import dataclass

from django.db.models import FilteredRelation, Q

from mail.addresses import AddressInvalid, domain_of, parse_mailbox
from smtpservers.models import SmtpServer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server as far as the choice needs it."""

    server_id: int
    name: str
    is_active: bool
    paused_reason: str
    paused_until: dt.datetime | None
    room: int | None  # Units left in the current period; None: no limit, or no period yet.
    full_until: dt.datetime | None
    domain: str  # From addresses of this domain, and below or above it, may be sent.

    def obstacle(self, now: dt.datetime) -> str:
        """Return why the server sends nothing at present, as the end of "Alpha …"; empty when it can.

        Marketers read it, so it names no host and no reply: those stand on the server's own page.
        """
        if not self.is_active:
            return "is switched off"
        if self.paused_reason and (self.paused_until is None or self.paused_until > now):
            if self.paused_until is None:
                return "is paused until an administrator looks at it"
            return f"rests after failures until {self.paused_until:%d %B %Y %H:%M} UTC"
        if self.room == 0:
            return f"has used its quota until {self.full_until:%d %B %Y %H:%M} UTC"
        return ""

    def free_at(self, now: dt.datetime) -> dt.datetime | None:
        """Return when the obstacle ends by itself; None when a person must act."""
        if not self.is_active:
            return None
        if self.paused_reason and (self.paused_until is None or self.paused_until > now):
            return self.paused_until
        return self.full_until if self.room == 0 else now

    def may_send_from(self, mail_from: str) -> bool:
        """Whether the server may send with this From: its own, or one of its domain."""
        return not mail_from or _is_near(mail_from, self.domain)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen server and why; or no server, why not, and when it changes by itself."""

    server: Candidate | None
    reason: str
    until: dt.datetime | None = None


def fleet(now: dt.datetime) -> list[Candidate]:
    """Return every server in display order, with the room of its current period, from one query."""
    rows = (
        SmtpServer.objects.annotate(
            current=FilteredRelation("periods", condition=Q(periods__starts_at__lte=now, periods__ends_at__gt=now))
        )
        .order_by("display_order", "pk")
        .values_list(
            "pk",
            "name",
            "is_active",
            "paused_reason",
            "paused_until",
            "domain_name",
            "mail_from",
            "current__quota",
            "current__used",
            "current__reserved",
            "current__ends_at",
        )
    )
    candidates: dict[int, Candidate] = {}
    for pk, name, is_active, reason, until, domain, mail_from, quota, used, reserved, ends_at in rows:
        room = None if quota is None else max(0, quota - used - reserved)
        own = _own_domain(domain, mail_from)
        candidates.setdefault(pk, Candidate(pk, name, is_active, reason, until, room, ends_at, own))
    return list(candidates.values())


def is_sender_served(mail_from: str) -> bool:
    """Whether any server, also one that is switched off, may send with this From; true where there is none yet."""
    servers = SmtpServer.objects.values_list("domain_name", "mail_from")
    return not servers or any(_is_near(mail_from, _own_domain(*names)) for names in servers)


def _own_domain(domain_name: str, mail_from: str) -> str:
    try:
        return domain_name or domain_of(parse_mailbox(mail_from).address)
    except AddressInvalid:  # No form stores it; one damaged row must not stop the others.
        return ""


def _is_near(mail_from: str, own: str) -> bool:
    """Whether the domain of this From is ``own``, or one of the two lies in the other."""
    try:
        domain = domain_of(parse_mailbox(mail_from).address)
    except AddressInvalid:
        return False
    return domain == own or domain.endswith("." + own) or own.endswith("." + domain)


def choose(
    candidates: Sequence[Candidate],
    now: dt.datetime,
    *,
    mail_from: str = "",
    avoid: Container[int] = (),
    only: int | None = None,
    even_inactive: bool = False,
) -> Choice:
    """Return the first candidate that may and can send.

    :param mail_from: a From that overrides the server's own; empty: none does.
    :param avoid: servers that refused this very message.
    :param only: the one server that is wanted.
    :param even_inactive: whether a server that is switched off or paused will do: somebody tests it.
    """
    passed_over: list[str] = []
    free_at: list[dt.datetime] = []
    for candidate in candidates:
        if only is not None and candidate.server_id != only:
            continue
        if candidate.server_id in avoid:
            obstacle = "did not take this message"
        elif not candidate.may_send_from(mail_from):
            obstacle = f"does not send for {mail_from}"
        else:
            obstacle = "" if even_inactive and candidate.room != 0 else candidate.obstacle(now)
            if obstacle and (when := candidate.free_at(now)) is not None:
                free_at.append(when)
        if not obstacle:
            return Choice(candidate, _why(candidate, passed_over))
        passed_over.append(f"{candidate.name} {obstacle}")
    if not candidates:
        return Choice(None, "There is no SMTP server yet. Add one to start sending.")
    rest = f", and {len(passed_over) - 3} more cannot send either" if len(passed_over) > 3 else ""
    return Choice(
        None, f"No server can send this just now: {'; '.join(passed_over[:3])}{rest}.", min(free_at, default=None)
    )


def _why(chosen: Candidate, passed_over: list[str]) -> str:
    if not passed_over:
        return f"{chosen.name} is first in the display order."
    rest = f" and {len(passed_over) - 2} more were passed over" if len(passed_over) > 2 else ""
    return f"{chosen.name}, because {'; '.join(passed_over[:2])}{rest}."[:300]
