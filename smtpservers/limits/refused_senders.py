"""From addresses that a server refuses: remembered until the server is edited, so that they are not tried each time."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.db.models import F, Q

from mail.addresses import AddressInvalid, parse_mailbox
from smtpservers.models import RefusedSender, SmtpServer

# Refusals without a known reason count together within this time.
WITHIN = dt.timedelta(hours=1)


def sender_of(mail_from: str) -> str:
    """Return the bare address of a From in lower case, the key of a refusal; empty if it has none."""
    try:
        return parse_mailbox(mail_from).address.lower()
    except AddressInvalid:
        return ""


def refuse(
    server_id: int, mail_from: str, why: str, now: dt.datetime, *, lasts: dt.timedelta | None = None, times: int = 1
) -> bool:
    """Record that a server refused this From; return whether the server is now avoided for it.

    :param mail_from: empty for the server's own.
    :param lasts: how long it is avoided; None: until the server is edited.
    :param times: the number of refusals within an hour from which on it is avoided.
    """
    server = SmtpServer.objects.filter(pk=server_id).only("mail_from", "version").first()
    if server is None:
        return False
    sender = sender_of(mail_from or server.mail_from)
    known, _ = RefusedSender.objects.get_or_create(
        server=server, sender=sender, defaults={"version": server.version, "refused_at": now, "times": 0}
    )
    is_same = known.version == server.version
    if is_same and known.times and known.until is None:
        return True
    goes_on = is_same and known.refused_at > now - WITHIN
    known.times = known.times + 1 if goes_on else 1
    known.version, known.refused_at, known.reason = server.version, now, why[:500]
    is_kept_away = known.times >= times
    known.until = now if not is_kept_away else None if lasts is None else now + lasts
    known.save()
    return is_kept_away


def refused(now: dt.datetime) -> Mapping[int, Mapping[str, dt.datetime | None]]:
    """Return the senders that each server refuses, and until when; None: until the server is edited."""
    found: dict[int, dict[str, dt.datetime | None]] = defaultdict(dict)
    in_force = RefusedSender.objects.filter(Q(until=None) | Q(until__gt=now), version=F("server__version"))
    for server_id, sender, until in in_force.values_list("server", "sender", "until"):
        found[server_id][sender] = until
    return found


def of_server(server: SmtpServer, now: dt.datetime) -> list[RefusedSender]:
    """Return the refusals in force of one server, for its page."""
    return of_servers([server], now).get(server.pk, [])


def of_servers(servers: Iterable[SmtpServer], now: dt.datetime) -> dict[int, list[RefusedSender]]:
    """Return the same of several servers, by server; one without refusals is no key."""
    in_force = Q(until=None) | Q(until__gt=now)
    found: dict[int, list[RefusedSender]] = {}
    for refused in RefusedSender.objects.filter(in_force, server__in=servers, version=F("server__version")):
        found.setdefault(refused.server_id, []).append(refused)
    return found


def forget(server_id: int, sender: str) -> bool:
    """Delete a refusal, so that the server is tried again; False if there was none."""
    return bool(RefusedSender.objects.filter(server=server_id, sender=sender).delete()[0])
