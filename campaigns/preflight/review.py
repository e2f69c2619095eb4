"""The review of a campaign before it is queued: all preflight checks, the people, and the forecast.

Reads the database and changes nothing.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import monotonic

from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.content.written import Written
from campaigns.forecast.forecast import Forecast
from campaigns.forecast.inputs import forecast_of
from campaigns.forecast.words import quota_reset, waiting_for_quota
from campaigns.models import Campaign
from campaigns.preflight.empty_fields import counted_fields, empty_fields, fields_of, is_missing
from campaigns.preflight.finding import OF_MESSAGES, Finding, Severity, found, in_order
from campaigns.preflight.message_checks import empty_greeting, findings, form, html_bytes, postal_address
from campaigns.preflight.people import INVALID, PeopleReport, people_of
from campaigns.preflight.refusals import refusals_of
from campaigns.preflight.samples import Sample, samples
from campaigns.preflight.senders import addresses, senders
from campaigns.schedule.schedule import timing_refusals, zone_for
from contacts.segments.audience import reached
from delivery.content.copies import copy_addresses
from installation.site import site
from mail.mailbox_providers import PROVIDERS
from smtpservers.models import SmtpServer
from smtpservers.presets import PRESETS, Bulk
from smtpservers.routing.fleet import Fleet
from words.texts import translated

FATAL, BLOCK, WARN, INFORM = Severity
BULK_WITHOUT_ASKING = 500
SAMPLE_SECONDS = 8.0  # For all samples together; some hundredths of a second each are usual.
ROLES = (
    "abuse",
    "admin",
    "contact",
    "info",
    "noreply",
    "no-reply",
    "office",
    "postmaster",
    "sales",
    "support",
    "webmaster",
)
# Time zones in the United States and in Canada.
_CITIES = (
    "New_York Detroit Kentucky/Louisville Kentucky/Monticello Indiana/Indianapolis Indiana/Vincennes Indiana/Winamac"
    " Indiana/Marengo Indiana/Petersburg Indiana/Vevay Indiana/Tell_City Indiana/Knox Chicago Menominee"
    " North_Dakota/Center North_Dakota/New_Salem North_Dakota/Beulah Denver Boise Phoenix Los_Angeles Anchorage Juneau"
    " Sitka Metlakatla Yakutat Nome Adak St_Johns Halifax Glace_Bay Moncton Goose_Bay Toronto Montreal Iqaluit Winnipeg"
    " Resolute Rankin_Inlet Regina Swift_Current Edmonton Cambridge_Bay Inuvik Creston Dawson_Creek Fort_Nelson"
    " Whitehorse Dawson Vancouver"
)
NORTH_AMERICAN_ZONES = ("Pacific/Honolulu", *(f"America/{city}" for city in _CITIES.split()))


@dataclass(frozen=True, slots=True)
class Review:
    """The results of all preflight checks of a campaign."""

    findings: tuple[Finding, ...]  # The most severe first.
    people: PeopleReport
    forecast: Forecast
    servers: tuple[str, ...]  # Names of the servers that may send the campaign.
    senders: tuple[str, ...]  # The From addresses that recipients will see.
    message_bytes: int | None  # Size of the largest sample; None if there is no sample.
    html_bytes: int  # Size of the largest HTML among the samples; 0 without HTML.
    passed: tuple[str, ...]  # Titles of the checks without findings.
    written: Written  # The campaign as it was checked.


def review(campaign: Campaign, now: dt.datetime) -> Review:
    """Run all checks. A large audience takes a few seconds.

    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    return review_of(Written(campaign), Fleet(now))


def review_of(written: Written, fleet: Fleet, sample_seconds: float = SAMPLE_SECONDS) -> Review:
    """Run all checks of a campaign and a fleet that the caller has read. All checks see this one reading.

    :param sample_seconds: after this no further sample is begun.
    :raises NotCounted: as :func:`review` does.
    """
    now = fleet.now
    contents = [
        (letter, content, fleet.carriers(content.mail_from, content.server_ids)) for letter, content in written.contents
    ]
    eligible = {server.pk for _, _, some in contents for server in some}
    servers = [server for server in fleet.servers if server.pk in eligible]
    report = people_of(written.headcounts, now)
    expected = forecast_of(written, fleet)
    found_here = list(_refusals(written, fleet))
    taken: list[tuple[str, list[Sample]]] = []
    fields: dict[str, dict[str, str]] = {}  # Of each content, by its letter.
    not_made = 0
    if not any(finding.severity == FATAL for finding in found_here):
        try:
            until = monotonic() + sample_seconds  # For all together, because a person waits.
            for letter, content, some in contents:
                made, left_out = samples(written, content, some, now, until)
                taken.append((letter, made))
                fields[letter] = fields_of(written.built(content), some)
                not_made += left_out
        except ValueError as error:
            found_here.append(
                found(
                    "B1",
                    FATAL,
                    _("Couldn't create a message from this content. %(problem)s") % {"problem": translated(error)},
                )
            )
    if not_made:
        unseen = ngettext(
            "%(n)s version of the message wasn't checked, because filling it in takes too long.",
            "%(n)s versions of the message weren't checked, because filling them in takes too long.",
            not_made,
        ) % {"n": not_made}
        found_here.append(found("M10", BLOCK, unseen, _("Use fewer loops and conditions, or choose fewer servers.")))
    names = sorted({name for its in fields.values() for name in counted_fields(its)})
    numbers = _kinds_of_people(written, names, now) if taken or report.reached else {}
    missing = {name: numbers[f"without_{position}"] for position, name in enumerate(names)}
    found_here += _of_messages(written, taken, fields, missing, numbers, report.reached)
    found_here += _of_setting(written, fleet, servers, report, expected, numbers)
    ordered = in_order(found_here)
    failed = {finding.check_id for finding in ordered}
    checked = OF_MESSAGES if any(some for _, some in taken) else []
    return Review(
        tuple(ordered),
        report,
        expected,
        tuple(server.name for server in servers),
        tuple(senders(addresses(written, fleet))),
        max((len(sample.named.content) for _, some in taken for sample in some), default=None),
        max((html_bytes(sample.named.html) for _, some in taken for sample in some), default=0),
        tuple(_title(check_id) for check_id in [*checked, "M14", "C1", "C2", "C6"] if check_id not in failed),
        written,
    )


def _title(check_id: str) -> str:
    return found(check_id, INFORM, "").title


def _refusals(written: Written, fleet: Fleet) -> Iterator[Finding]:
    timing = timing_refusals(written.campaign, fleet.now, written.headcounts)
    for sentence in (*refusals_of(written, fleet), *timing):
        yield found("B1", FATAL, sentence)


# --- findings about messages


def _of_messages(
    written: Written,
    taken: list[tuple[str, list[Sample]]],
    fields: dict[str, dict[str, str]],
    missing: dict[str, int],
    numbers: dict[str, int],
    people: int,
) -> Iterator[Finding]:
    """Yield the findings about each content's messages, with the letters of the variants unless all have it."""
    if not taken:
        return
    layout = written.campaign.layout
    addresses = [site().postal_address, layout.postal_address if layout else ""]
    letters: dict[Finding, list[str]] = {}
    for letter, some in taken:
        findings_here = [*empty_fields(fields[letter], missing, people)]
        is_told = any(finding.is_blocking for finding in findings_here)
        findings_here += _of_samples(some, has_nameless=numbers["nameless"] > 0, is_told=is_told)
        if some:
            findings_here += postal_address(some[0].named, [each for each in addresses if each], numbers["americans"])
        for finding in dict.fromkeys(findings_here):
            letters.setdefault(finding, []).append(letter)
    every = [letter for letter, _ in taken]
    for finding, its in letters.items():
        yield finding if its == every else replace(finding, sentence=f"{_named(its)}: {finding.sentence}")


def _named(letters: list[str]) -> str:
    *first, last = letters
    if not first:
        return _("Variant %(letter)s") % {"letter": last}
    return _("Variants %(letters)s and %(last)s") % {"letters": ", ".join(first), "last": last}


def _of_samples(taken: Iterable[Sample], *, has_nameless: bool, is_told: bool) -> Iterator[Finding]:
    """Yield the findings about samples of one content.

    :param is_told: another finding counts the people whose greeting has a gap.
    """
    for sample in taken:
        yield from findings(sample.named, sample.context)
        for edge in (sample.nameless, sample.unusual):
            yield from form(edge)
        for finding in () if is_told else empty_greeting(sample.unusual, sample.nameless):
            yield finding if has_nameless else replace(finding, severity=WARN)


# --- findings about servers, people and time


def _of_setting(
    written: Written,
    fleet: Fleet,
    servers: list[SmtpServer],
    report: PeopleReport,
    expected: Forecast,
    numbers: dict[str, int],
) -> Iterator[Finding]:
    yield from _unsubscribe_pages(servers)
    yield from _copies(written.campaign, servers, report.reached)
    yield from _room(expected, fleet, zone_for(written.campaign))
    yield from _bulk(servers, report.reached)
    yield from _consent(report)
    yield from _addresses(numbers, report.reached)
    yield from _unreachable(servers, report)


def _unsubscribe_pages(servers: Iterable[SmtpServer]) -> Iterator[Finding]:
    for server in servers:
        if not server.use_unsubscribe_link or server.relays_unsubscribes or not server.has_unsubscribe_page:
            continue
        if server.unsubscribe_problem:
            yield found(
                "M5",
                BLOCK,
                _("One-click unsubscribe doesn't work on the page of %(server)s: %(problem)s")
                % {"server": server.name, "problem": server.unsubscribe_problem},
                _("Ask an administrator to fix the page or use the built-in one."),
            )
        elif server.unsubscribe_probed_at is None:
            yield found(
                "M5",
                WARN,
                _("The unsubscribe page of %(server)s hasn't been tested yet.") % {"server": server.name},
                _("It's tested automatically within minutes."),
            )


def _copies(campaign: Campaign, servers: Iterable[SmtpServer], number: int) -> Iterator[Finding]:
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


def _room(expected: Forecast, fleet: Fleet, zone: dt.tzinfo) -> Iterator[Finding]:
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


def _bulk(servers: Iterable[SmtpServer], number: int) -> Iterator[Finding]:
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


def _consent(report: PeopleReport) -> Iterator[Finding]:
    left_out = sum(each.number for each in report.left_out)
    if left_out:
        why = ", ".join(f"{each.number:,} {each.title}" for each in report.left_out[:4])
        sentence = ngettext("%(n)s person is excluded: %(why)s.", "%(n)s people are excluded: %(why)s.", left_out)
        yield found("C3", INFORM, sentence % {"n": f"{left_out:,}", "why": why})


def _addresses(numbers: dict[str, int], number: int) -> Iterator[Finding]:
    if not number:
        return
    if roles := numbers["roles"]:
        sentence = ngettext(
            "%(n)s address is a shared mailbox, not a person's (info@, sales@, …).",
            "%(n)s addresses are shared mailboxes, not a person's (info@, sales@, …).",
            roles,
        )
        yield found(
            "C4",
            WARN if roles * 20 > number else INFORM,
            sentence % {"n": f"{roles:,}"},
            _("Check that they agreed. Shared mailboxes complain more often."),
        )
    for name, most in ((one.name, one.bulk_per_day) for one in PROVIDERS):
        if most and numbers[name] > most:
            yield found(
                "C5",
                WARN,
                _("%(n)s recipients use %(provider)s, which applies bulk sender rules from %(most)s messages a day.")
                % {"n": f"{numbers[name]:,}", "provider": name, "most": f"{most:,}"},
                _("Check that SPF, DKIM and DMARC pass, and grow slowly."),
            )


def _unreachable(servers: Iterable[SmtpServer], report: PeopleReport) -> Iterator[Finding]:
    """Yield the people whose messages fail before a server is asked. No name server is asked for it."""
    is_checked = any(not server.handles_email_validation for server in servers)
    failing = [each for each in report.doubtful if is_checked or each.reason == INVALID]
    # Somebody may have two of the reasons.
    number = min(sum(each.number for each in failing), report.reached)
    if not number:
        return
    sentence = ngettext(
        "%(n)s of %(all)s recipient won't be reached: %(why)s.",
        "%(n)s of %(all)s recipients won't be reached: %(why)s.",
        report.reached,
    ) % {
        "n": f"{number:,}",
        "all": f"{report.reached:,}",
        "why": ", ".join(f"{each.title} ({each.number:,})" for each in failing) if failing[1:] else failing[0].title,
    }
    yield found(
        "C6",
        BLOCK if number == report.reached else WARN,
        sentence,
        _("Correct these addresses, or remove these people from the lists."),
    )


def _kinds_of_people(written: Written, fields: list[str], now: dt.datetime) -> dict[str, int]:
    """Return the people who are reached by kind: nameless, American, at an office address, at a provider.

    :param fields: merge fields; those without a value are counted, too.
    """
    is_role = Q()
    for role in ROLES:
        is_role |= Q(email_key__startswith=f"{role}@")
    kinds = {
        "roles": is_role,
        "nameless": Q(first_name=""),
        "americans": Q(time_zone__in=NORTH_AMERICAN_ZONES),
        **{one.name: Q(domain__in=one.domains) for one in PROVIDERS if one.bulk_per_day},
        **{f"without_{position}": is_missing(name) for position, name in enumerate(fields)},
    }
    everybody = reached(written.audience, now).order_by()
    counts = {kind: Count("pk", filter=condition) for kind, condition in kinds.items()}
    return written.headcounts.once("kinds of people", now, lambda: everybody.aggregate(**counts), also=fields)
