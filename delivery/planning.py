"""The plan: which server sends which mailing now, and what a mailing waits for."""

import datetime as dt
from dataclasses import dataclass, replace
from functools import partial

from django.db.models import QuerySet

from delivery.judging import BACK_OFF
from delivery.models import Chunk, Mailing, Message
from smtpservers import selection

LEFT_BY_NOTICES = 1  # Units of a quota that are for other mail.
# Who comes first: nobody waits for a password behind a newsletter.
STREAM_ORDER = (Mailing.Stream.TEST, Mailing.Stream.SINGLE, Mailing.Stream.NOTICE, Mailing.Stream.CAMPAIGN)


@dataclass(frozen=True, slots=True)
class Share:
    """What one server is to send of one mailing, and why it was chosen."""

    mailing_id: int
    reason: str  # Shown with every attempt.
    stream: str = Mailing.Stream.CAMPAIGN
    at_most: int | None = None  # Messages it may claim before the next plan; None: as many as it can send.


@dataclass(frozen=True, slots=True)
class Work:
    """What one server is to send, the most urgent first."""

    server_id: int
    shares: tuple[Share, ...]


def plan(now: dt.datetime) -> list[Work]:
    """Return which server sends which mailing now, and write down why a mailing waits."""
    fleet = selection.fleet(now)
    # A notice that a server is nearly full must not be what fills it.
    fleet_of_notices = [replace(server, room=server.room and server.room - LEFT_BY_NOTICES) for server in fleet]
    work: dict[int, list[Share]] = {}
    for mailing in open_mailings():
        if not has_due_work(mailing.pk, now):
            _note_waiting(mailing, "", None)
            continue
        candidates = fleet_of_notices if mailing.stream == Mailing.Stream.NOTICE else fleet
        choose = partial(
            selection.choose,
            candidates,
            now,
            mail_from=mailing.mail_from,
            only=mailing.server_id,
            even_inactive=mailing.stream == Mailing.Stream.TEST,
        )
        choice = choose()
        if choice.server is None:
            _note_waiting(mailing, choice.reason, choice.until)
            continue
        _note_waiting(mailing, "", None)
        work.setdefault(choice.server.server_id, []).append(Share(mailing.pk, choice.reason, mailing.stream))
        # A message that its mailing's server refused goes to the next one.
        refused = _servers_refused(mailing.pk, now)
        if choice.server.server_id in refused:
            other = choose(avoid=refused)
            if other.server is not None:
                work.setdefault(other.server.server_id, []).append(Share(mailing.pk, other.reason, mailing.stream))
            elif other.until is None:
                _end_refused(mailing.pk, refused, now)
    return [Work(server_id, tuple(shares)) for server_id, shares in work.items()]


def open_mailings() -> list[Mailing]:
    """Return the mailings that may be sent, the most urgent stream first."""
    found = Mailing.objects.filter(finished_at=None, state="open", is_snapshotted=True).only(
        "pk", "stream", "mail_from", "server_id", "waiting_reason", "waiting_until"
    )
    return sorted(found, key=lambda mailing: (STREAM_ORDER.index(Mailing.Stream(mailing.stream)), mailing.pk))


def has_due_work(mailing_id: int, now: dt.datetime) -> bool:
    """Whether a message of the mailing could be sent now."""
    return Chunk.objects.filter(mailing=mailing_id).exists() or due(mailing_id, now).exists()


def due(mailing_id: int, now: dt.datetime) -> QuerySet[Message]:
    """Return the messages of a mailing that are not in a chunk and whose time has come."""
    return Message.objects.filter(mailing=mailing_id, status__in=["queued", "deferred"], due_at__lte=now)


def _servers_refused(mailing_id: int, now: dt.datetime) -> set[int]:
    rows = due(mailing_id, now).exclude(avoid=[]).values_list("avoid", flat=True)[:50]
    return {server_id for avoid in rows for server_id in avoid}


def _end_refused(mailing_id: int, refused: set[int], now: dt.datetime) -> None:
    """No server is left for what was refused: a final refusal fails, a temporary one starts over later."""
    messages = due(mailing_id, now).filter(avoid=sorted(refused))
    messages.filter(reason__startswith="5").update(status="failed", changed_at=now, due_at=None)
    messages.update(avoid=[], status="deferred", changed_at=now, due_at=now + BACK_OFF[0])


def _note_waiting(mailing: Mailing, reason: str, until: dt.datetime | None) -> None:
    if (mailing.waiting_reason, mailing.waiting_until) != (reason[:500], until):
        Mailing.objects.filter(pk=mailing.pk).update(waiting_reason=reason[:500], waiting_until=until)
