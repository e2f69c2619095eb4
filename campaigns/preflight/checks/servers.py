"""The checks of the servers that may send a campaign: unsubscribe pages, copies, room, and bulk mail (M5, M14, C1, C2).

Nothing here asks a server or changes anything.
"""

import datetime as dt
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.forecast.forecast import Forecast
from campaigns.forecast.words import quota_reset, waiting_for_quota
from campaigns.models import Campaign
from campaigns.preflight.finding import BLOCK, WARN, Finding, found
from delivery.content.copies import copy_addresses
from smtpservers.models import SmtpServer
from smtpservers.presets import PRESETS, Bulk
from smtpservers.routing.fleet import Fleet
from words.reasons import SENTENCES
from words.texts import translated

BULK_WITHOUT_ASKING = 500


def unsubscribe_pages(servers: Iterable[SmtpServer]) -> Iterator[Finding]:
    for server in servers:
        if not server.use_unsubscribe_link or server.relays_unsubscribes or not server.has_unsubscribe_page:
            continue
        if server.unsubscribe_problem:
            yield found(
                "M5",
                BLOCK,
                _("One-click unsubscribe doesn't work on the page of %(server)s: %(problem)s")
                % {"server": server.name, "problem": translated(SENTENCES.known(server.unsubscribe_problem))},
                _("Ask an administrator to fix the page or use the built-in one."),
            )
        elif server.unsubscribe_probed_at is None:
            yield found(
                "M5",
                WARN,
                _("The unsubscribe page of %(server)s hasn't been tested yet.") % {"server": server.name},
                _("It's tested automatically within minutes."),
            )


def copies_made(campaign: Campaign, servers: Iterable[SmtpServer], number: int) -> Iterator[Finding]:
    if not campaign.sends_copies:
        return
    for server in servers:
        copies = copy_addresses(server)
        if copies and number > 1:
            sentence = ngettext(
                "Each message through %(server)s makes %(n)s copy, which counts towards the quota.",
                "Each message through %(server)s makes %(n)s copies, which count towards the quota.",
                len(copies),
            ) % {"server": server.name, "n": len(copies)}
            if any(kind == "cc" for kind, _address in copies):
                sentence += " " + _("Every recipient sees the CC addresses.")
            yield found(
                "M14",
                WARN,
                sentence,
                _("Turn off Send copies if you don't want that."),
            )


def room(expected: Forecast, fleet: Fleet, zone: dt.tzinfo) -> Iterator[Finding]:
    if not expected.total:
        return
    # A campaign without any server waits for the first one.
    severity = BLOCK if fleet.servers else WARN
    for label, number in expected.blocked:
        sentence = _("No server may send %(n)s of the messages.") % {"n": f"{number:,}"}
        if label:
            sentence = _("No server may send %(n)s of the messages (%(which)s).") % {"n": f"{number:,}", "which": label}
        yield found("C1", severity, sentence, _("Ask an administrator to add a server or change the routing rules."))
    left = expected.left - sum(number for _, number in expected.blocked)
    if left > 0 and expected.expires_at is not None:
        sentence = _("%(left)s of %(total)s messages won't be sent before the end of the schedule.")
        numbers = {"left": f"{left:,}", "total": f"{expected.total:,}"}
        yield found("C1", WARN, sentence % numbers, _("Start earlier, end later or use more servers."))
    elif left > 0:
        sentence = _("With the current settings, %(left)s of %(total)s messages can't be sent.")
        sentence %= {"left": f"{left:,}", "total": f"{expected.total:,}"}
        why = " ".join(f"{name} {obstacle}." for name, obstacle in expected.idle[:3] if obstacle)
        yield found(
            "C1",
            BLOCK,
            f"{sentence} {why}".strip(),
            _("Ask an administrator to activate servers or raise their quotas."),
        )
    elif expected.next_period:
        until = quota_reset(expected, zone)
        yield found(
            "C1", WARN, waiting_for_quota(expected.next_period, until), _("Use more servers, or send to fewer people.")
        )


def bulk_allowed(servers: Iterable[SmtpServer], number: int) -> Iterator[Finding]:
    for server in servers:
        preset = PRESETS.get(server.preset)
        if preset is None or preset.bulk is Bulk.YES or (preset.bulk is Bulk.STREAM and server.host != preset.host):
            continue
        is_forbidden = preset.bulk is Bulk.NO
        yield found(
            "C2",
            BLOCK if is_forbidden and number > BULK_WITHOUT_ASKING else WARN,
            preset.warnings(server.host)[0],
            _("Choose other servers than %(server)s.") % {"server": server.name},
        )
