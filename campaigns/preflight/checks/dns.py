"""The checks of DNS (D1 to D11), from what the errand of the domains stored. Nobody is asked.

What is not known, or was asked too long ago, warns and never blocks. Where a provider puts its own return path in place
of ours, the checks of our return path only inform.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.utils.translation import gettext as _

from campaigns.preflight.checks.routes import MailRoute
from campaigns.preflight.finding import BLOCK, INFORM, WARN, Finding, Severity, found
from domains.known import KnownLine, label, lines_of
from mail.addresses import readable_domain
from mail.records.alignment import Match
from mail.records.finding import Line, State

FRESH = dt.timedelta(hours=25)  # Domains are looked at daily.
OF_AUTHOR = (Line.DKIM, Line.DMARC, Line.ALIGNMENT, Line.MX)
OF_ENVELOPE = (Line.SPF, Line.MX)
OF_PROVIDERS = ("spf-provider-missing", "spf-relay-missing")  # What SPF says of one provider or relay.
OF_OUR_KEYS = ("dkim-waits", "dkim-unsigned")  # What DKIM says of the servers whose mail we sign.
NO_DOMAIN = ("domain-missing", "soa-missing")
OPTIONAL = {Line.MTA_STS: "MTA-STS", Line.TLS_RPT: "TLS-RPT", Line.BIMI: "BIMI"}
MOST_SERVERS = 3
ALWAYS = ("D1", "D3", "D4", "D5", "D6", "D7")  # Passed if all is known and nothing is found.
_ONLY_REPORTS = re.compile(r"(?:^|[;\s])p\s*=\s*none\b", re.IGNORECASE)

Lines = Mapping[str, Mapping[Line, KnownLine]]  # By domain.


def of_domains(routes: Sequence[MailRoute], strict: Sequence[str], now: dt.datetime) -> Iterator[Finding]:
    """Yield the findings about the domains that a campaign's mail carries. One query.

    :param strict: the mailbox providers whose rules for bulk senders apply.
    """
    if not routes:
        return
    authors = list(dict.fromkeys(route.sender.author for route in routes))
    envelopes = _envelopes(routes)
    stored = lines_of({*authors, *envelopes})
    lines = {name: {line: each for line, each in its.items() if _is_fresh(each, now)} for name, its in stored.items()}
    yield from _unknown(authors, envelopes, lines, stored)
    for domain, is_ours in envelopes.items():
        yield from _of_envelope(domain, lines[domain], is_ours=is_ours)
    for domain in authors:
        its = [route for route in routes if route.sender.author == domain]
        yield from _of_author(domain, lines[domain], its, is_bulk=bool(strict))
    yield from _of_relays(routes, lines)
    yield from _misuse(routes)


def names_of(routes: Iterable[MailRoute]) -> set[str]:
    """Return the domains that the checks read."""
    return {name for route in routes for name in (route.sender.author, route.sender.envelope)}


def _envelopes(routes: Iterable[MailRoute]) -> dict[str, bool]:
    """Return the domains of return paths, and whether bounces of any server really go there."""
    domains: dict[str, bool] = {}
    for route in routes:
        sender = route.sender
        domains[sender.envelope] = domains.get(sender.envelope, False) or not sender.replaces_envelope
    return domains


def _is_fresh(line: KnownLine, now: dt.datetime) -> bool:
    return now - FRESH <= line.asked_at <= now + dt.timedelta(minutes=5)  # Another machine's clock may be ahead.


# --- what is not known


def _unknown(authors: Iterable[str], envelopes: Mapping[str, bool], lines: Lines, stored: Lines) -> Iterator[Finding]:
    for domain in dict.fromkeys([*authors, *envelopes]):
        wanted = [*(OF_AUTHOR if domain in authors else ()), *(OF_ENVELOPE if envelopes.get(domain) else ())]
        missing = [line for line in dict.fromkeys(wanted) if line not in lines[domain]]
        if not missing:
            continue
        name = readable_domain(domain)
        if any(line in stored[domain] for line in missing):
            sentence = _("DNS of %(domain)s was last asked more than 25 hours ago: %(lines)s.")
        else:
            sentence = _("DNS of %(domain)s hasn't been asked yet: %(lines)s.")
        yield found(
            "D0",
            WARN,
            sentence % {"domain": name, "lines": ", ".join(label(line) for line in missing)},
            _("Choose Ask again, and open this page a minute later."),
            domain,
        )


# --- the domain of the return path


def _of_envelope(domain: str, lines: Mapping[Line, KnownLine], *, is_ours: bool) -> Iterator[Finding]:
    publish = _("Publish the record that the domain's page shows.")
    if (spf := lines.get(Line.SPF)) is not None and spf.state in (State.BROKEN, State.LOOK):
        if spf.fault in OF_PROVIDERS:
            yield found("D2", WARN if is_ours else INFORM, spf.sentence, publish, domain)
        else:
            yield found("D1", _weight(spf, is_ours=is_ours), spf.sentence, publish, domain)
    mx = lines.get(Line.MX)
    if mx is not None and mx.fault.startswith("mx-") and mx.fault not in ("mx-is-alias", "mx-null-beside"):
        sentence, weight = f"{_('Bounces are lost.')} {mx.sentence}", BLOCK
        if mx.fault == "mx-missing":
            # The domain's own address takes them then (RFC 5321 section 5.1).
            said = _("%(domain)s has no MX record, so bounces go to its own address.")
            sentence, weight = said % {"domain": readable_domain(domain)}, WARN
        remedy = _("Add an MX record, or choose another return path.")
        yield found("D7", weight if is_ours else INFORM, sentence, remedy, domain)
    elif mx is not None and mx.fault in NO_DOMAIN and is_ours:
        yield found("D6", BLOCK, mx.sentence, _("Register the domain, or choose another return path."), domain)


def _weight(line: KnownLine, *, is_ours: bool = True) -> Severity:
    if not is_ours:
        return INFORM
    return BLOCK if line.state is State.BROKEN else WARN


# --- the domain of From


def _of_author(
    domain: str, lines: Mapping[Line, KnownLine], routes: Sequence[MailRoute], *, is_bulk: bool
) -> Iterator[Finding]:
    rows = _rows(lines.get(Line.ALIGNMENT), routes)
    if (dkim := lines.get(Line.DKIM)) is not None:
        yield from _signature(domain, dkim, rows, signs_here=any(route.sender.signs_here for route in routes))
    if (dmarc := lines.get(Line.DMARC)) is not None:
        yield from _policy(domain, dmarc, is_bulk=is_bulk)
    if Line.ALIGNMENT in lines:
        yield from _alignment(domain, rows)
    if (mx := lines.get(Line.MX)) is not None and mx.state in (State.BROKEN, State.LOOK):
        remedy = _("Repair the domain's records, or choose another From.")
        yield found("D6", _weight(mx), mx.sentence, remedy, domain)
    if (lists := lines.get(Line.BLOCK_LISTS)) is not None and lists.state in (State.BROKEN, State.LOOK):
        yield found("D9", WARN, lists.sentence, _("Ask the list to remove it, once the cause is gone."), domain)
    optional = [
        f"{label}: {lines[line].sentence}"
        for line, label in OPTIONAL.items()
        if line in lines and lines[line].state in (State.BROKEN, State.LOOK)
    ]
    if optional:
        yield found("D10", INFORM, " ".join(optional), _("Mail arrives without them."), domain)


def _rows(line: KnownLine | None, routes: Iterable[MailRoute]) -> list[Match]:
    """Return the rows of the servers in use. A server that is not in the matrix has what follows from its names."""
    stored = {row.server: row for row in line.rows} if line is not None else {}
    rows = []
    for route in routes:
        sender = route.sender
        row = stored.get(sender.server)
        envelope = "" if sender.replaces_envelope else sender.envelope
        if row is None or row.envelope != envelope:
            is_same = True if envelope == sender.author else None
            row = Match(sender.server, envelope, "", is_same, row.dkim if row is not None else None)
        rows.append(row)
    return rows


def _signature(domain: str, dkim: KnownLine, rows: Sequence[Match], *, signs_here: bool) -> Iterator[Finding]:
    remedy = _("Publish the key that your provider or the domain's page shows.")
    if dkim.fault in OF_OUR_KEYS and not signs_here:  # About servers that this mail does not use.
        if not all(row.dkim for row in rows):
            sentence = _("It isn't known whether a key of %(domain)s signs mail through these servers.")
            remedy = _("Enter the selectors on the domain's page.")
            yield found("D3", WARN, sentence % {"domain": readable_domain(domain)}, remedy, domain)
    elif dkim.state in (State.BROKEN, State.LOOK):
        # A broken key beside a good one that the servers use may be an old one.
        has_good = dkim.state is State.BROKEN and bool(rows) and all(row.dkim for row in rows)
        yield found("D3", WARN if has_good else _weight(dkim), dkim.sentence, remedy, domain)
    elif dkim.state is State.UNKNOWN:
        remedy = _("Enter the selectors on the domain's page.")
        yield found("D3", WARN, f"{readable_domain(domain)}: {dkim.sentence}", remedy, domain)


def _policy(domain: str, dmarc: KnownLine, *, is_bulk: bool) -> Iterator[Finding]:
    remedy = _("Publish the record that the domain's page shows.")
    if dmarc.state is State.BROKEN:
        yield found("D4", BLOCK if is_bulk else WARN, dmarc.sentence, remedy, domain)
    elif dmarc.state is State.LOOK:
        yield found("D4", WARN, dmarc.sentence, remedy, domain)
    elif _ONLY_REPORTS.search(dmarc.seen):
        sentence = _("The DMARC policy of %(domain)s is none. That is enough to send, and stops no forgery.")
        remedy = _("Raise it to quarantine once your reports show no unknown source.")
        yield found("D4", INFORM, sentence % {"domain": readable_domain(domain)}, remedy, domain)


def _alignment(domain: str, rows: Sequence[Match]) -> Iterator[Finding]:
    name = readable_domain(domain)
    neither = [row.server for row in rows if row.spf is False and row.dkim is False]
    unproved = [
        row.server for row in rows if row.spf is not True and row.dkim is not True and row.server not in neither
    ]
    by_dkim = [row.server for row in rows if row.spf is False and row.dkim is True]
    by_spf = [row.server for row in rows if row.spf is True and row.dkim is False]
    if neither:
        sentence = _("Mail through %(servers)s fails DMARC: its return path and its signature aren't of %(domain)s.")
        remedy = _("Use a return path of this domain, or have the provider sign with it.")
        yield found("D5", BLOCK, sentence % {"servers": _listed(neither), "domain": name}, remedy, domain)
    if unproved:
        sentence = _("It isn't known whether mail through %(servers)s agrees with %(domain)s.")
        remedy = _(
            "Enter the DKIM selectors on the domain's page. DNS doesn't say whether a relay of your own signs, so use a"
            " return path of this domain there, or let Brilliance sign."
        )
        yield found("D5", WARN, sentence % {"servers": _listed(unproved), "domain": name}, remedy, domain)
    if by_dkim:
        sentence = _("Mail through %(servers)s agrees with %(domain)s by its signature alone.")
        remedy = _("Use a return path of this domain.")
        yield found("D5", WARN, sentence % {"servers": _listed(by_dkim), "domain": name}, remedy, domain)
    if by_spf:
        sentence = _(
            "Mail through %(servers)s agrees with %(domain)s by its return path alone, so forwarded mail fails."
        )
        remedy = _("Have the provider sign with this domain.")
        yield found("D5", WARN, sentence % {"servers": _listed(by_spf), "domain": name}, remedy, domain)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_SERVERS])
    more = len(names) - MOST_SERVERS
    return _("%(names)s and %(n)s more") % {"names": shown, "n": f"{more:,}"} if more > 0 else shown


# --- the servers' own names and addresses


def _of_relays(routes: Iterable[MailRoute], lines: Lines) -> Iterator[Finding]:
    for domain in dict.fromkeys(route.sender.author for route in routes if route.sender.is_own_relay):
        ptr = lines[domain].get(Line.PTR)
        if ptr is not None and ptr.state in (State.BROKEN, State.LOOK):
            remedy = _("Ask whoever runs the address for a PTR record.")
            yield found("D8", _weight(ptr), ptr.sentence, remedy, domain)


def _misuse(routes: Iterable[MailRoute]) -> Iterator[Finding]:
    silent = [route for route in routes if not (route.server.use_abuse_address and route.server.abuse_address)]
    if silent:
        names = list(dict.fromkeys(route.server.name for route in silent))
        domains = list(dict.fromkeys(readable_domain(route.sender.author) for route in silent))
        sentence = _(
            "%(servers)s names no address for reports of misuse. Reports go to abuse@ and postmaster@%(domain)s."
        )
        yield found(
            "D11",
            INFORM,
            sentence % {"servers": _listed(names), "domain": domains[0]},
            _("Enter Email abuse, and read both mailboxes."),
        )
