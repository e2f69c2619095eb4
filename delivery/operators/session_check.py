"""Sessions in which nothing is sent: a worker connects to a server, signs in, and asks about envelope senders.

After MAIL comes RSET: no recipient is named, no quota is used, and nothing is on record but the finding. A server is
tried at most hourly, unless it was edited or a person asks again. A server that is paused, full, slowed down or busy is
left alone.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import F, Q

from delivery.content.return_paths import ReturnPath
from delivery.content.sending_domains import sender_through
from delivery.models import Mailing
from delivery.outbox import leases
from encryption.keys import SecretUnreadable
from mail.addresses import AddressInvalid, needs_smtputf8, parse_mailbox
from mail.replies.rules import Stage
from net.addresses import Resolve
from registry import Registry
from smtpservers.limits.rate_limiter import factor_at
from smtpservers.models import ServerSession, SmtpServer
from smtpservers.smtp.connection import Connection, ConnectionFailed, connect
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.diagnostics import explain, offers_sign_in
from smtpservers.smtp.endpoint import Endpoint, endpoint_of
from smtpservers.smtp.wire import WireLost
from words.texts import kept, text_of
from words.texts import text as _

EVERY = dt.timedelta(hours=1)
SECONDS = 30.0  # For a whole session.
LEASE = dt.timedelta(minutes=3)  # Longer than a session may take; a worker that dies costs that much.
MOST_SENDERS = 5  # Of one session.
Fault = ServerSession.Fault

# The servers that are about to be used, by their ids.
UPCOMING: Registry[Callable[[dt.datetime], Iterable[int]]] = Registry()
# The From addresses that others than the servers themselves choose for their mail, by the servers' ids.
OTHER_SENDERS: Registry[Callable[[dt.datetime], Mapping[int, Sequence[str]]]] = Registry()


@dataclass(slots=True)
class Findings:
    """What one session showed, by the field of ``ServerSession``."""

    fault: Fault = Fault.NONE
    is_temporary: bool = False
    sentence: str = ""
    is_encrypted: bool = False
    is_signed_in: bool = False
    mechanism: str = ""
    extensions: str = ""
    senders: dict[str, str] = field(default_factory=dict)


# --- who is to be tried


def ask(server_ids: Collection[int], now: dt.datetime, *, is_again: bool = False) -> bool:
    """Have these servers tried; return whether one of them is waiting now.

    :param is_again: a person asks, so the last session may be younger than an hour.
    """
    if not server_ids:
        return False
    known = set(ServerSession.objects.filter(server__in=server_ids).values_list("server_id", flat=True))
    missing = [ServerSession(server_id=pk, wanted_at=now) for pk in server_ids if pk not in known]
    if missing:
        ServerSession.objects.bulk_create(missing, ignore_conflicts=True)
    rows = ServerSession.objects.filter(server__in=known, wanted_at=None)
    if not is_again:
        is_old = Q(asked_at=None) | Q(asked_at__lte=now - EVERY) | Q(asked_at__gt=now + EVERY)
        rows = rows.filter(is_old | ~Q(version=F("server__version")))
    return bool(rows.update(wanted_at=now)) or bool(missing)


def is_any_wanted(server_ids: Collection[int]) -> bool:
    """Whether one of these servers waits for a session."""
    return ServerSession.objects.filter(server__in=server_ids, wanted_at__isnull=False).exists()


def check_due(
    read_clock: Callable[[], dt.datetime], should_stop: Callable[[], bool], resolve: Resolve | None = None
) -> int:
    """Try the servers that are due, one after the other; return their number.

    :param resolve: resolves a host to addresses; None: the system's resolver.
    """
    now = read_clock()
    ask({pk for upcoming in UPCOMING.values() for pk in upcoming(now)}, now)
    # One at a time: a few silent servers must not keep all workers from other errands.
    if ServerSession.objects.exclude(_is_free(now)).exists():
        return 0
    count = 0
    waiting = _waiting(now)
    others = [other(now) for other in OTHER_SENDERS.values()] if waiting else []
    for session in waiting:
        if should_stop():
            break
        now = read_clock()
        mine = ServerSession.objects.filter(_is_free(now), pk=session.pk, wanted_at=session.wanted_at)
        if why_not_now(session.server, now) or not mine.update(taken_at=now):
            continue
        own = [mail_from for by_server in others for mail_from in by_server.get(session.server_id, ())]
        found = try_server(session.server, now, own, resolve)
        _store(session, found, read_clock())
        count += 1
    return count


def why_not_now(server: SmtpServer, now: dt.datetime) -> str:
    """Return why a server is left alone at present, in English; empty if it may be tried."""
    if not server.is_active:
        return "it is switched off"
    if sender_through(server, "") is None:
        return "it is on this machine"
    if server.paused_reason and (server.paused_until is None or server.paused_until > now):
        return "it is paused"
    if server.full_until is not None and server.full_until > now:
        return "its provider's limit is reached"
    if factor_at(server.slow_factor, server.slowed_at, now) < 1:
        return "its provider slows it down"
    return "it sends at present" if server.pk in leases.busy_servers() else ""


def _waiting(now: dt.datetime) -> list[ServerSession]:
    # A server that must be left alone stays wanted, and is looked at in the next round.
    wanted = ServerSession.objects.filter(_is_free(now), wanted_at__isnull=False)
    return list(wanted.select_related("server").order_by("wanted_at", "pk"))


def _is_free(now: dt.datetime) -> Q:
    # A lease further ahead than ``LEASE`` comes from a wrong clock.
    return Q(taken_at=None) | Q(taken_at__lte=now - LEASE) | Q(taken_at__gt=now + LEASE)


def _store(session: ServerSession, found: Findings, now: dt.datetime) -> None:
    values = {name: getattr(found, name) for name in Findings.__slots__}
    values |= {"sentence": found.sentence[:500], "words": kept(found.sentence) if found.sentence else None}
    ServerSession.objects.filter(pk=session.pk).update(
        **values, asked_at=now, version=session.server.version, wanted_at=None, taken_at=None
    )


# --- one session


def try_server(
    server: SmtpServer, now: dt.datetime, others: Sequence[str] = (), resolve: Resolve | None = None
) -> Findings:
    """Open a session, ask about each envelope sender, and leave. Nothing is sent.

    :param others: further From addresses of its mail.
    """
    try:
        endpoint = endpoint_of(server, final_timeout=0, clock=lambda: now)
    except (ValueError, SecretUnreadable) as error:
        return Findings(Fault.CONNECTION, sentence=text_of(error))
    found = Findings()
    learned = asyncio.run(_session(endpoint, found, _senders(server, others), resolve))
    if learned:
        SmtpServer.objects.filter(pk=server.pk, version=server.version).update(**learned)
    return found


def _senders(server: SmtpServer, others: Sequence[str]) -> dict[str, str]:
    """Return the envelope senders to ask about, by the address that people know them under."""
    found: dict[str, str] = {}
    for mail_from in (server.mail_from, *others):
        try:
            address = parse_mailbox(mail_from).address
            path = ReturnPath(server, address, Mailing.Stream.CAMPAIGN)
        except AddressInvalid:  # A draft may hold anything.
            continue
        if len(found) < MOST_SENDERS:
            found.setdefault(path.address, path.of_nobody)
    return found


async def _session(
    endpoint: Endpoint, found: Findings, senders: dict[str, str], resolve: Resolve | None
) -> dict[str, object]:
    steps: list[Step] = []
    try:
        async with asyncio.timeout(SECONDS):
            connection = await connect(endpoint, steps.append, resolve=resolve)
            try:
                _note(connection, steps, endpoint, found)
                found.senders = await _ask_about(connection, senders)
            finally:
                await connection.quit()
            return connection.learned
    except TimeoutError:
        found.fault, found.is_temporary = Fault.CONNECTION, True
        found.sentence = _(
            "%(host)s took longer than %(seconds)s seconds.", host=endpoint.shown_host, seconds=f"{SECONDS:g}"
        )
    except WireLost as error:
        found.fault, found.is_temporary = Fault.CONNECTION, True
        found.sentence = _("The connection was lost: %(why)s.", why=error)
    except ConnectionFailed as error:
        _note_failure(error, steps, endpoint, found)
    return {}


def _note(connection: Connection, steps: Sequence[Step], endpoint: Endpoint, found: Findings) -> None:
    found.is_encrypted = connection.wire.is_encrypted
    found.is_signed_in = bool(endpoint.username)
    found.mechanism = next((step.details["mechanism"] for step in reversed(steps) if step.name == "AUTH"), "")[:16]
    found.extensions = " ".join(sorted(connection.extensions.keywords))[:500]


def _note_failure(error: ConnectionFailed, steps: Sequence[Step], endpoint: Endpoint, found: Findings) -> None:
    found.fault = _FAULTS.get(error.stage, Fault.CONNECTION)
    found.is_temporary = error.reply is not None and error.reply.code < 500
    failed = next((step for step in reversed(steps) if not step.is_ok), None)
    advice = explain(failed, endpoint, offers_sign_in=offers_sign_in(steps)) if failed is not None else ""
    found.sentence = advice or _("%(why)s.", why=error)


_FAULTS = {Stage.TLS: Fault.TLS, Stage.AUTH: Fault.SIGN_IN}


async def _ask_about(connection: Connection, senders: dict[str, str]) -> dict[str, str]:
    """Return the server's refusal of each envelope sender; empty where it takes the sender, or puts us off."""
    answers: dict[str, str] = {}
    timeout = connection.endpoint.timeout
    for known_as, address in senders.items():
        extension = " SMTPUTF8" if needs_smtputf8(address) else ""
        reply = await connection.wire.command(f"MAIL FROM:<{address}>{extension}", timeout)
        answers[known_as] = str(reply)[:300] if reply.code >= 500 else ""
        reset = await connection.wire.command("RSET", timeout)
        if not reset.is_positive:
            break
    return answers
