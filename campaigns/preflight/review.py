"""The review of a campaign before it is queued: all preflight checks, the people, and the forecast.

Reads the database and changes nothing.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from django.db.models import Count, Exists, OuterRef, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.content.written import Written
from campaigns.forecast.forecast import Forecast
from campaigns.forecast.inputs import forecast_of
from campaigns.models import Campaign
from campaigns.preflight.checks import dns, receivers, recipients, sessions, visits, volume
from campaigns.preflight.checks import servers as server_checks
from campaigns.preflight.checks.message import (
    empty_greeting,
    findings_without_links,
    form,
    html_bytes,
    postal_address,
    visible_links,
)
from campaigns.preflight.checks.routes import MailRoute, carried, routes_of
from campaigns.preflight.empty_fields import counted_fields, empty_fields, fields_of, is_missing
from campaigns.preflight.finding import BLOCK, CHECKS, FATAL, OF_MESSAGES, WARN, Finding, found, in_order
from campaigns.preflight.people import PeopleReport, people_of
from campaigns.preflight.refusals import mixed_servers, refusals_of
from campaigns.preflight.samples import Sample, samples
from campaigns.preflight.senders import addresses, senders
from campaigns.schedule.schedule import timing_refusals, zone_for
from contacts.segments.audience import reached
from delivery.content.tracking_hosts import counted_addresses, own_hosts
from delivery.models import Message
from installation.site import site
from mail.links import levels, link_targets
from mail.mailbox_providers import PROVIDERS
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet
from words.texts import translated

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
    routes: tuple[MailRoute, ...]  # The ways to real mailboxes, whose DNS and servers were looked up.


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
    contents = carried(written, fleet)
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
    found_here += _of_counting(written, numbers)
    found_here += server_checks.room(expected, fleet, zone_for(written.campaign))
    found_here += _of_servers_and_people(written, servers, report, numbers)
    routes = routes_of(contents)
    found_here += _of_routes(routes, numbers, now)
    ordered = in_order(found_here)
    failed = {finding.check_id for finding in ordered}
    checked = [*(OF_MESSAGES if any(some for _, some in taken) else ()), "M14", "C1", "C2", "C7"]
    if routes and "D0" not in failed:
        checked += dns.ALWAYS
    if routes and "S0" not in failed:
        checked += sessions.reached(failed)
    return Review(
        tuple(ordered),
        report,
        expected,
        tuple(server.name for server in servers),
        tuple(senders(addresses(written, fleet))),
        max((len(sample.named.content) for _, some in taken for sample in some), default=None),
        max((html_bytes(sample.named.html) for _, some in taken for sample in some), default=0),
        tuple(CHECKS[check_id].title for check_id in checked if check_id not in failed),
        written,
        tuple(routes),
    )


def findings_at_start(written: Written, fleet: Fleet, sample_seconds: float = SAMPLE_SECONDS) -> list[Finding]:
    """Return the findings about a queued campaign that is about to start, the most severe first.

    Its content is the frozen one. Servers, people, DNS and sessions are those of now. What only an edit changes was
    checked when it was queued, and a campaign whose servers are all gone or full waits for them.

    :raises NotCounted: as :func:`review` does.
    """
    now, contents = fleet.now, carried(written, fleet)
    eligible = {server.pk for _, _, some in contents for server in some}
    servers = [server for server in fleet.servers if server.pk in eligible]
    report = people_of(written.headcounts, now)
    numbers = _kinds_of_people(written, [], now)
    until = monotonic() + sample_seconds
    taken = [(letter, samples(written, content, some, now, until)[0]) for letter, content, some in contents]
    no_fields: dict[str, dict[str, str]] = {letter: {} for letter, _content, _some in contents}
    found_here = [
        *_of_messages(written, taken, no_fields, {}, numbers, report.reached),
        *_of_servers_and_people(written, servers, report, numbers),
        *_of_routes(routes_of(contents), numbers, now),
    ]
    return in_order(found_here)


def _refusals(written: Written, fleet: Fleet) -> Iterator[Finding]:
    timing = timing_refusals(written.campaign, fleet.now, written.headcounts)
    mixed = mixed_servers(written, fleet)
    for sentence in (*refusals_of(written, fleet), *timing):
        yield found("B2", FATAL, sentence) if sentence == mixed else found("B1", FATAL, sentence)


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
    every = list(taken)
    yield from visible_links((sample.named, sample.context) for sample in every)
    for sample in every:
        yield from findings_without_links(sample.named, sample.context)
        for edge in (sample.nameless, sample.unusual):
            yield from form(edge)
        for finding in () if is_told else empty_greeting(sample.unusual, sample.nameless):
            yield finding if has_nameless else replace(finding, severity=WARN)


# --- findings about servers, people and time


def _of_servers_and_people(
    written: Written, servers: list[SmtpServer], report: PeopleReport, numbers: dict[str, int]
) -> Iterator[Finding]:
    yield from server_checks.unsubscribe_pages(servers)
    yield from server_checks.copies_made(written.campaign, servers, report.reached)
    yield from server_checks.bulk_allowed(servers, report.reached)
    yield from recipients.consent(report)
    yield from recipients.addresses(numbers, report.reached)
    yield from recipients.unreachable(servers, report)


def _of_counting(written: Written, numbers: Mapping[str, int]) -> Iterator[Finding]:
    """Yield what is not counted of opens and clicks, and of whom."""
    level = written.tracking
    yield from visits.counted_people(level, numbers)
    if letters := written.in_text_only:
        for finding in visits.text_only(level, in_text=written.campaign.track_text):
            is_all = written.is_text_only
            yield finding if is_all else replace(finding, sentence=f"{_named(letters)}: {finding.sentence}")
    if level == levels.OFF:
        return  # No link is counted, whatever it looks like.
    hosts, skip = own_hosts(), counted_addresses()
    for _letter, content in written.contents:
        try:
            built = written.built(content)
        except ValueError:  # Another check says why.
            continue
        places = link_targets.in_html(built.html, hosts, skip)
        if written.campaign.track_text:  # A text part that is made of the HTML has no other links.
            places += link_targets.in_text(built.text, hosts, skip)
        yield from visits.uncounted_links(level, [place.link for place in places])


def _of_routes(routes: Sequence[MailRoute], numbers: Mapping[str, int], now: dt.datetime) -> Iterator[Finding]:
    """Yield what is known of the way to real mailboxes: volume and reputation, DNS, and the servers' sessions."""
    people = {one.name: numbers.get(one.name, 0) for one in volume.BULK}
    expected = volume.volume_of(people, [route.sender.author for route in routes], now)
    yield from volume.large_providers(expected)
    yield from volume.reputation(expected)
    yield from dns.of_domains(routes, [one.name for one in expected.strict], now)
    yield from sessions.of_sessions(routes, now)
    yield from receivers.of_receivers(routes, now)


def _unmailed(now: dt.datetime) -> Q:
    """Return the condition for people who were there a year ago and got no mail since."""
    a_year_ago = now - recipients.LONG_AGO
    lately = Message.objects.filter(
        email_key=OuterRef("email_key"), status__in=recipients.MAILED, changed_at__gte=a_year_ago
    )
    return Q(created_at__lt=a_year_ago) & ~Q(Exists(lately))


def _kinds_of_people(written: Written, fields: list[str], now: dt.datetime) -> dict[str, int]:
    """Return the people who are reached by kind, such as nameless, American, or at a provider.

    :param fields: merge fields; those without a value are counted, too.
    """
    is_role = Q()
    for role in ROLES:
        is_role |= Q(email_key__startswith=f"{role}@")
    kinds = {
        "roles": is_role,
        "nameless": Q(first_name=""),
        "unmailed": _unmailed(now),
        "unasked": Q(open_tracking=levels.UNSET) | Q(click_tracking=levels.UNSET),
        "uncounted": Q(open_tracking=levels.NONE) | Q(click_tracking=levels.NONE),
        "americans": Q(time_zone__in=NORTH_AMERICAN_ZONES),
        **{one.name: Q(domain__in=one.domains) for one in PROVIDERS if one.bulk_per_day},
        **{f"without_{position}": is_missing(name) for position, name in enumerate(fields)},
    }
    everybody = reached(written.audience, now).order_by()
    counts = {kind: Count("pk", filter=condition) for kind, condition in kinds.items()}
    return written.headcounts.once("kinds of people", now, lambda: everybody.aggregate(**counts), also=fields)
