"""Candidates: the servers of the fleet in the form that selection needs, and what keeps each from sending."""

import datetime as dt
import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from django.db.models import F, FilteredRelation, Q, QuerySet

from mail.addresses import domain_of
from mail.suffixes import organisational_domain
from registry import Registry
from smtpservers.limits import circuit_breaker, rate_limiter
from smtpservers.limits.refused_senders import refused, sender_of
from smtpservers.limits.reservations import LimitStanding, standings_of
from smtpservers.models import SmtpServer
from words.texts import text as _
from words.texts import translated

HELD_SECONDS = 10.0  # How many seconds of mail a throttled server gets if others could send it.
_CANDIDATE_FIELDS = (
    *("host", "port"),
    *("pk", "name", "is_active", "tested_at", "paused_reason", "paused_until", "domain_name", "mail_from", "weight"),
    *("max_per_month", "max_per_hour", "max_per_day", "full_until", "dkim", "requires_dkim"),
    *("failures", "outage_at", "slow_factor", "slowed_at", "learned_rate"),
    *("rate_limit", "rate_unit", "max_connections"),
    *("period_id", "period_quota", "period_taken", "period_ends_at", "by_minute", "by_quarter"),
)


# Why mail from a domain cannot be signed by us at present, as the end of "Alpha …"; empty if it can.
WhyUnsigned = Callable[[str], str]
# A higher room reads the keys once, and returns the function that knows them.
SIGNATURES: Registry[Callable[[], WhyUnsigned]] = Registry()


class Switches(Protocol):
    """What a person, or an incident that a person must look at, sets on a server."""

    @property
    def is_active(self) -> bool: ...
    @property
    def tested_at(self) -> dt.datetime | None: ...
    @property
    def paused_reason(self) -> str: ...
    @property
    def paused_until(self) -> dt.datetime | None: ...


USED_UP = _("has used its quota")
SWITCHED_OFF = _("is inactive")  # An obstacle, as the end of "Alpha …".


def lasting_obstacle(server: Switches) -> str:
    """Return why the server sends nothing until a person acts, as the end of "Alpha …"; empty if it may send."""
    if not server.is_active:
        return SWITCHED_OFF
    if server.paused_reason and server.paused_until is None:
        return _("is paused until someone resumes it")
    if server.tested_at is None:
        return _("is untested")
    return ""


def refusing(address: str) -> str:
    """Return the obstacle of a server that rejects mail from this address, as the end of "Alpha …"."""
    return _("rejects mail from %(address)s", address=address)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server in the form that selection needs."""

    server_id: int
    name: str
    is_active: bool
    tested_at: dt.datetime | None
    paused_reason: str
    paused_until: dt.datetime | None
    room: int | None  # Units that may still be sent under quota and caps; None: no limit.
    full_until: dt.datetime | None
    domain: str  # Its Domain name; see :func:`_serves`.
    weight: int = 1
    quota: int | None = None  # Of the current period; None: no limit.
    taken: int = 0  # Used and reserved units of the quota.
    full_by: str = USED_UP  # Why there is no room, as the words after the name.
    at_once: int | None = None  # See :func:`at_once`.
    sender: str = ""  # The address of its own From.
    host: str = ""
    port: int = 0
    # Senders that it refuses, and until when.
    refused: Mapping[str, dt.datetime | None] = field(default_factory=dict, hash=False)
    why_unsigned: WhyUnsigned | None = field(default=None, hash=False, compare=False)  # None: it may send unsigned.

    def obstacle(self, now: dt.datetime) -> str:
        """Return why the server cannot send at present, as the end of "Alpha …"; empty if it can.

        Marketers read it, so it contains no host and no reply; the server's own page has those.
        """
        if obstacle := lasting_obstacle(self):
            return obstacle
        if self.paused_reason and self.paused_until is not None and self.paused_until > now:
            return _("is paused until %(until)s", until=self.paused_until)
        if self.room == 0:
            return (
                _("%(why)s until %(until)s", why=self.full_by, until=self.full_until)
                if self.full_until
                else self.full_by
            )
        return ""

    def free_at(self, now: dt.datetime) -> dt.datetime | None:
        """Return when the obstacle ends by itself; None if a person must act."""
        if not self.is_active or self.tested_at is None:
            return None
        if self.paused_reason and (self.paused_until is None or self.paused_until > now):
            return self.paused_until
        return self.full_until if self.room == 0 else now

    def leaving(self, units: int) -> "Candidate":
        """Return the candidate with its room reduced so that ``units`` of its quota are left to other mail."""
        if not self.room or self.quota is None or not units:
            return self
        room = min(self.room, max(0, self.quota - self.taken - units))
        return replace(self, room=room, full_by=_("has used its quota (%(n)s kept for other mail)", n=units))

    def unsigned(self, mail_from: str) -> str:
        """Return why mail with this From must wait for a DKIM key, as the end of "Alpha …"; empty if it need not."""
        if self.why_unsigned is None:
            return ""
        address = _address_of(mail_from) if mail_from else self.sender
        return self.why_unsigned(domain_of(address)) if address else ""

    def may_send_from(self, mail_from: str) -> bool:
        """Whether the server may send with this From: its own address, or one in its domain."""
        return not mail_from or _serves(mail_from, self.domain, self.sender)


def servers_at(now: dt.datetime) -> QuerySet[SmtpServer]:
    """Return every server in display order, with its present quota period and its recent use, in one query.

    The additional columns are ``period_id``, ``period_quota``, ``period_taken``, ``period_ends_at``, ``by_minute`` and
    ``by_quarter``.
    """
    period = FilteredRelation("periods", condition=Q(periods__starts_at__lte=now, periods__ends_at__gt=now))
    return (
        SmtpServer.objects.annotate(period=period)
        .annotate(
            period_id=F("period__pk"),
            period_quota=F("period__quota"),
            period_taken=F("period__used") + F("period__reserved"),
            period_ends_at=F("period__ends_at"),
            by_minute=F("recent_use__by_minute"),
            by_quarter=F("recent_use__by_quarter"),
        )
        .order_by("display_order", "pk")
    )


def fleet(now: dt.datetime, servers: Iterable[SmtpServer] | None = None) -> list[Candidate]:
    """Return every server in display order, with the room in its current period and all limits.

    :param servers: the rows of :func:`servers_at`, if the caller has them.
    """
    # Model instances would take twice the time, and a worker asks every second.
    rows = list(servers_at(now).values_list(*_CANDIDATE_FIELDS, named=True) if servers is None else servers)
    kept_away, limits = refused(now), standings_of(rows, now, is_rough=True)
    why_unsigned = _signatures(rows)
    candidates: dict[int, Candidate] = {}
    for server in rows:
        if server.pk not in candidates:
            candidate = _candidate(server, now, kept_away.get(server.pk, {}), why_unsigned)
            standing = limits.get(server.pk)
            candidates[server.pk] = candidate if standing is None else _held_to(candidate, standing)
    return list(candidates.values())


def must_sign(server: Any) -> bool:
    """Whether mail through the server waits until we can sign it."""
    return server.dkim == SmtpServer.Signer.BRILLIANCE and bool(server.requires_dkim)


def missing_signature(server: SmtpServer) -> str:
    """Return what becomes of mail with the server's own From while we should sign it and can't; empty if we can."""
    address = _address_of(server.mail_from)
    if server.dkim != SmtpServer.Signer.BRILLIANCE or not address:
        return ""
    why = _read_keys()(domain_of(address))
    if not why:
        return ""
    facts = {"server": server.name, "why": why}
    if server.requires_dkim:
        return _("Mail waits, because %(server)s %(why)s. Make keys under Servers › Domains.", **facts)
    return _("Mail goes out unsigned, because %(server)s %(why)s. Make keys under Servers › Domains.", **facts)


def _read_keys() -> WhyUnsigned:
    return next((read() for read in SIGNATURES.values()), lambda domain: _("can't sign"))


def _signatures(servers: Iterable[Any]) -> WhyUnsigned | None:
    """Return the function that knows the present keys, if a server needs one."""
    return _read_keys() if any(must_sign(server) for server in servers) else None


def _candidate(
    server: Any, now: dt.datetime, refuses: Mapping[str, dt.datetime | None], why_unsigned: WhyUnsigned | None
) -> Candidate:
    quota, taken = server.period_quota, server.period_taken or 0
    if server.period_id is None:  # Created at the first claim.
        quota = server.max_per_month or None
    return Candidate(
        server.pk,
        server.name,
        server.is_active,
        server.tested_at,
        server.paused_reason,
        server.paused_until,
        None if quota is None else max(0, quota - taken),
        server.period_ends_at,
        server.domain_name,
        server.weight,
        quota,
        taken,
        at_once=at_once(server, now),
        sender=_address_of(server.mail_from),
        host=server.host,
        port=server.port,
        refused=refuses,
        why_unsigned=why_unsigned if must_sign(server) else None,
    )


def at_once(server: SmtpServer, now: dt.datetime) -> int | None:
    """Return how many messages a server may get at a time if others could send them; None: its whole share.

    It is a number while the server is on probation, or throttled and not recovered.
    """
    if circuit_breaker.is_on_probation(server):
        return 1
    if rate_limiter.factor_at(server.slow_factor, server.slowed_at, now) == 1:
        return None
    allowance = rate_limiter.effective(server, now)
    # Without a measured rate, the number of its connections is all that is known.
    return math.ceil(HELD_SECONDS * (allowance.per_second or allowance.connections))


def _held_to(candidate: Candidate, standing: LimitStanding) -> Candidate:
    """Return the candidate with its room limited by the hourly and daily caps, and by the provider's own limit."""
    room, until = standing.room, standing.full_until
    if room is None or (candidate.room == 0 and (until is None or (candidate.full_until or until) >= until)):
        return candidate  # The quota has room again last.
    if until is not None:
        return replace(candidate, room=0, full_until=until, full_by=standing.full_by)
    return replace(candidate, room=room if candidate.room is None else min(room, candidate.room))


def is_sender_served(mail_from: str, named: Collection[int] = ()) -> bool:
    """Whether any server, active or not, may send with this From; true if there is no server yet.

    :param named: only these servers count; empty: all.
    """
    found = SmtpServer.objects.filter(pk__in=named) if named else SmtpServer.objects.all()
    servers = found.values_list("domain_name", "mail_from")
    return not servers or any(_serves(mail_from, domain, _address_of(own)) for domain, own in servers)


def named_servers(server_ids: Collection[int]) -> str:
    """Return the names of chosen servers, as "Alpha and Beta"; empty if none was chosen."""
    known = dict(SmtpServer.objects.filter(pk__in=server_ids).order_by("display_order", "pk").values_list("pk", "name"))
    names = [
        *known.values(),
        *([translated(_("a server that has been deleted"))] if set(server_ids) - set(known) else []),
    ]
    if len(names) < 2:
        return "".join(names)
    return translated(_("%(some)s and %(last)s", some=", ".join(names[:-1]), last=names[-1]))


def server_choices(named: Iterable[int]) -> list[tuple[int, str]]:
    """Return the choices of a server field, including deleted servers in ``named``: only a person removes those."""
    rows = SmtpServer.objects.order_by("display_order", "pk").values_list("pk", "name", "is_active")
    known = {
        pk: name if is_active else translated(_("%(server)s (inactive)", server=name)) for pk, name, is_active in rows
    }
    return [*known.items(), *((pk, translated(_("A server that has been deleted"))) for pk in named if pk not in known)]


@functools.lru_cache(maxsize=4096)
def _address_of(mail_from: str) -> str:
    # A damaged row, which no form stores, has no address and must not stop the others.
    return sender_of(mail_from)


@functools.lru_cache(maxsize=4096)
def _serves(mail_from: str, domain_name: str, own: str) -> bool:
    """Whether a server may send with this From: its own address, or one of its organisation's domains.

    :param own: the address of its Mail from; empty if it has none.
    """
    sender = _address_of(mail_from)
    if not sender:
        return False
    names = filter(None, (domain_name.lower(), own.rpartition("@")[2]))
    return sender == own or organisational_domain(domain_of(sender)) in map(organisational_domain, names)
