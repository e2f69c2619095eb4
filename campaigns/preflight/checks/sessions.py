"""The checks of sessions with servers (S1 to S5), from the last one that the errand had. Nobody is asked.

A fault blocks if all servers of the campaign have one. Otherwise it warns, because the sound ones take over.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile

from django.utils.translation import gettext as _

from campaigns.preflight.checks.routes import MailRoute
from campaigns.preflight.finding import BLOCK, FATAL, INFORM, WARN, Finding, Severity, found
from delivery.content.return_paths import ReturnPath
from delivery.models import Mailing
from mail.addresses import parse_mailbox
from smtpservers.models import ServerSession, SmtpServer
from smtpservers.presets import PRESETS, Preset
from words.instants import day
from words.texts import translated

FRESH = dt.timedelta(hours=1)
CERTIFICATE_DAYS = 14
STEPS = ("S1", "S2", "S3")  # Each is tried only after the one before.
FEATURES = ("SIZE", "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING")
Fault = ServerSession.Fault


def of_sessions(routes: Sequence[MailRoute], now: dt.datetime) -> Iterator[Finding]:
    """Yield the findings about the servers of a campaign. One query."""
    servers = {route.server.pk: route.server for route in routes}
    if not servers:
        return
    rows = {row.server_id: row for row in ServerSession.objects.filter(server__in=servers)}
    known = {pk: row for pk, row in rows.items() if is_known(servers[pk], row, now)}
    refused = {route.server.pk: said for route in routes if (said := _refusal(route, known.get(route.server.pk)))}
    failing = {pk for pk, row in known.items() if row.fault and not row.is_temporary} | set(refused)
    worst = BLOCK if failing == set(servers) else WARN
    yield from _unknown([server for pk, server in servers.items() if pk not in known], now)
    for pk, server in servers.items():
        yield from _passwords(server, now)
        if pk in known:
            yield from _of_session(server, known[pk], worst, now)
        if pk in refused:
            sentence = _("%(server)s rejects the envelope sender of this campaign.") % {"server": server.name}
            remedy = _("Ask an administrator to allow the address at the provider, or choose another From.")
            yield found("S3", worst, sentence, remedy)
    yield from _features([(servers[pk], row) for pk, row in known.items() if not row.fault])


def reached(failed: Collection[str]) -> tuple[str, ...]:
    """Return the checks that every session came to: those before the first one with a finding."""
    return tuple(takewhile(lambda step: step not in failed, STEPS))


def is_known(server: SmtpServer, row: ServerSession, now: dt.datetime) -> bool:
    """Whether a session is young enough, and was about the present settings."""
    asked_at = row.asked_at
    is_fresh = asked_at is not None and now - FRESH <= asked_at <= now + dt.timedelta(minutes=5)
    return is_fresh and row.version == server.version


def _unknown(servers: Sequence[SmtpServer], now: dt.datetime) -> Iterator[Finding]:
    # A server that just took mail needs no try.
    silent = [each.name for each in servers if each.last_success_at is None or each.last_success_at < now - FRESH]
    if silent:
        sentence = _("Within the last hour nobody has tried: %(servers)s.") % {"servers": ", ".join(silent[:5])}
        yield found("S0", WARN, sentence, _("Choose Ask again, and open this page a minute later."))


def _refusal(route: MailRoute, row: ServerSession | None) -> str:
    if row is None or row.fault:
        return ""
    address = parse_mailbox(route.mail_from or route.server.mail_from).address
    return str(row.senders.get(ReturnPath(route.server, address, Mailing.Stream.CAMPAIGN).address, ""))


def _of_session(server: SmtpServer, row: ServerSession, worst: Severity, now: dt.datetime) -> Iterator[Finding]:
    name = {"server": server.name}
    remedy = _("Ask an administrator to send a test through it.")
    severity = WARN if row.is_temporary else worst
    if row.fault == Fault.SIGN_IN:
        yield found("S2", severity, _("%(server)s rejects our sign-in.") % name, remedy, detail=translated(row.told))
    elif row.fault == Fault.TLS:
        sentence = _("The encrypted connection to %(server)s fails.") % name
        yield found("S1", severity, sentence, remedy, detail=translated(row.told))
    elif row.fault:
        yield found("S1", severity, _("%(server)s can't be reached.") % name, remedy, detail=translated(row.told))
    elif not row.is_encrypted:
        remedy = _("Ask an administrator to turn on SSL/TLS.")
        if row.is_signed_in:
            sentence = _("%(server)s gets the password without encryption.") % name
            yield found("S5", FATAL, sentence, remedy)
        else:
            sentence = _("Mail to %(server)s isn't encrypted on its way.") % name
            yield found("S5", WARN, sentence, remedy)
    ends_at = server.certificate_expires_at
    if row.is_encrypted and ends_at is not None and ends_at < now + dt.timedelta(days=CERTIFICATE_DAYS):
        sentence = _("The certificate of %(server)s ends on %(day)s.") % {
            **name,
            "day": day(ends_at.date(), now.date()),
        }
        yield found("S1", WARN, sentence, _("Ask the provider to renew it."))


def _passwords(server: SmtpServer, now: dt.datetime) -> Iterator[Finding]:
    """S2: providers that stop taking passwords. It needs no session."""
    preset = _preset_of(server)
    if preset is None or server.oauth_account_id is not None or not (server.username or server.password):
        return
    if warning := preset.password_warning(now.date()):
        yield found("S2", WARN, f"{server.name}: {translated(warning)}")
    elif preset.takes_app_passwords:
        yield found("S2", WARN, f"{server.name}: {translated(preset.warning)}")


def _preset_of(server: SmtpServer) -> Preset | None:
    if server.preset:
        return PRESETS.get(server.preset)
    return next((each for each in PRESETS.values() if each.host and each.host == server.host.lower()), None)


def _features(sessions: Sequence[tuple[SmtpServer, ServerSession]]) -> Iterator[Finding]:
    parts = []
    for server, row in sessions:
        offered = row.extensions.split()
        missing = [name for name in FEATURES if name not in offered]
        if missing:
            parts.append(f"{server.name}: {', '.join(missing)}")
    if parts:
        sentence = _("Not offered by %(servers)s.") % {"servers": "; ".join(parts[:5])}
        yield found("S4", INFORM, sentence, _("Brilliance does without."))
