"""Which From a server does not send with: remembered until the server is edited, so that it is not asked each time."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping

from django.db.models import F, Q

from mail.addresses import AddressInvalid, parse_mailbox
from smtpservers.models import RefusedSender, SmtpServer

# Refusals without a known reason count together when they come within this time.
WITHIN = dt.timedelta(hours=1)


def sender_of(mail_from: str) -> str:
    """Return the bare address of a From in lower case, which refusals are kept by; empty where it has none."""
    try:
        return parse_mailbox(mail_from).address.lower()
    except AddressInvalid:
        return ""


def refuse(
    server_id: int, mail_from: str, why: str, now: dt.datetime, *, lasts: dt.timedelta | None = None, times: int = 1
) -> bool:
    """Remember that a server does not send with this From, and return whether it is kept away from now on.

    :param mail_from: empty for the server's own.
    :param lasts: None until the server is edited.
    :param times: how often it must be said within an hour before it counts.
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
    """Return by server which senders it refuses, and until when; None until it is edited."""
    found: dict[int, dict[str, dt.datetime | None]] = defaultdict(dict)
    in_force = RefusedSender.objects.filter(Q(until=None) | Q(until__gt=now), version=F("server__version"))
    for server_id, sender, until in in_force.values_list("server", "sender", "until"):
        found[server_id][sender] = until
    return found


def of_server(server: SmtpServer, now: dt.datetime) -> list[RefusedSender]:
    """Return the refusals in force of one server, for its page."""
    in_force = Q(until=None) | Q(until__gt=now)
    return list(RefusedSender.objects.filter(in_force, server=server, version=server.version))


def forget(server_id: int, sender: str) -> bool:
    """Let the server be asked again; False if it refused nothing of that sender."""
    return bool(RefusedSender.objects.filter(server=server_id, sender=sender).delete()[0])
