"""The account of reports: each is counted once, by day, and only for domains that are listed here.

Nothing proves who wrote a report, so its numbers are shown and decide nothing by themselves.
"""

import datetime as dt
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import connection, transaction

from domains.models import DmarcCount, DomainReport, PostmasterDay, SendingDomain, TlsCount
from mail.aggregates.report import DmarcReport, Source, TlsReport, TlsResult
from mail.aggregates.report import DomainReport as Report
from words.texts import text as _

MOST_SOURCES = 1_000  # Rows of one report and domain; what is beyond counts without its network and its signatures.
MOST_HOSTS = 50
EARLY = dt.timedelta(days=2)  # Clocks of reporters are not exact.
KEPT_DAYS = 400  # Thirteen months.


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a report. One about none of our domains, or about another time, has a problem."""

    counted: int = 0  # For that many of our domains.
    repeated: int = 0  # That many of our domains had it before.
    problem: str = ""


def save(report: Report, now: dt.datetime) -> Saved:
    """Count a report for each of our domains, unless it was counted there before."""
    if report.begins_at > now + EARLY:
        return Saved(problem=_("It is about a day that has not come: %(day)s.", day=f"{report.begins_at:%d %B %Y}"))
    if report.ends_at < now - dt.timedelta(days=KEPT_DAYS):
        day = f"{report.begins_at:%d %B %Y}"
        return Saved(problem=_("It is about %(day)s. Reports are kept for thirteen months.", day=day))
    if isinstance(report, DmarcReport):
        return _save_dmarc(report, now)
    return _save_tls(report, now)


def _save_dmarc(report: DmarcReport, now: dt.datetime) -> Saved:
    known = _known({report.domain, *(source.author for source in report.sources)})
    parts: dict[SendingDomain, Counter[Source]] = defaultdict(Counter)
    for source, number in report.sources.items():
        is_of_policy = source.author == report.domain or source.author.endswith(f".{report.domain}")
        domain = (known.get(source.author) if is_of_policy else None) or known.get(report.domain)
        if domain is not None:
            parts[domain][source._replace(author=source.author or report.domain)] += number
    if not parts and report.domain in known:  # No mail in the period: legal, and worth knowing.
        parts[known[report.domain]] = Counter()
    counted = 0
    for domain, sources in parts.items():
        failed = sum(number for source, number in sources.items() if not is_passed(source))
        with transaction.atomic():
            if _is_new(DomainReport.Kind.DMARC, report, domain, sources.total(), failed, now):
                _add_sources(domain, report.begins_at.date(), _folded(sources))
                counted += 1
    return Saved(counted, len(parts) - counted, "" if parts else _not_ours([report.domain]))


def _save_tls(report: TlsReport, now: dt.datetime) -> Saved:
    known = _known(report.domains)
    counted = 0
    for name, domain in known.items():
        results = Counter({result: number for result, number in report.results.items() if result.domain == name})
        failed = sum(number for result, number in results.items() if result.result)
        with transaction.atomic():
            if _is_new(DomainReport.Kind.TLS, report, domain, results.total(), failed, now):
                _add_results(domain, report.begins_at.date(), results)
                counted += 1
    problem = "" if known or not report.results else _not_ours(report.domains)
    return Saved(counted, len(known) - counted, problem)


def is_passed(source: Source | DmarcCount) -> bool:
    """Tell whether messages passed DMARC: by the signature or by SPF (RFC 9989 section 4.4)."""
    return source.is_dkim_aligned or source.is_spf_aligned


def _known(names: Iterable[str]) -> dict[str, SendingDomain]:
    """Return the listed domains among names."""
    wanted = [name for name in names if name]
    found: dict[str, SendingDomain] = {}
    for start in range(0, len(wanted), 500):
        found |= {domain.name: domain for domain in SendingDomain.objects.filter(name__in=wanted[start : start + 500])}
    return found


def _not_ours(names: Iterable[str]) -> str:
    return _("It is about %(domain)s, which is none of your domains.", domain=next(iter(names), "–"))


def _is_new(
    kind: DomainReport.Kind, report: Report, domain: SendingDomain, total: int, failed: int, now: dt.datetime
) -> bool:
    about = "\n".join((kind, report.organisation.lower(), report.report_id, domain.name))
    _row, is_new = DomainReport.objects.get_or_create(
        identity=hashlib.sha256(about.encode()).hexdigest(),
        defaults={
            "domain": domain,
            "kind": kind,
            "organisation": report.organisation,
            "policy": report.policy if isinstance(report, DmarcReport) else "",
            "begins_at": report.begins_at,
            "ends_at": report.ends_at,
            "received_at": now,
            "total": total,
            "failed": failed,
        },
    )
    return is_new


def _folded(sources: Counter[Source]) -> Counter[Source]:
    """Count the smallest sources together, by what became of them, so that there are few rows."""
    if len(sources) <= MOST_SOURCES:
        return sources
    folded: Counter[Source] = Counter()
    for rank, (source, number) in enumerate(sources.most_common()):
        if rank >= MOST_SOURCES:
            source = source._replace(
                network="", dkim_domain="", dkim_selector="", dkim_result="other", spf_domain="", spf_result="other"
            )
        folded[source] += number
    return folded


def _add_sources(domain: SendingDomain, day: dt.date, sources: Mapping[Source, int]) -> None:
    adapt = connection.ops.adapt_datefield_value
    values = [
        [domain.pk, _key(domain, day, source), adapt(day), *source, number]
        for source, number in sorted(sources.items())
    ]
    if not values:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO domains_dmarccount AS c (domain_id, key, day, author, network, dkim_domain, dkim_selector,"
            " dkim_result, spf_domain, spf_result, is_dkim_aligned, is_spf_aligned, disposition, messages)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (key) DO UPDATE SET messages = c.messages + excluded.messages",
            values,
        )


def _key(domain: SendingDomain, day: dt.date, source: Source) -> str:
    return hashlib.sha256("\n".join(map(str, (domain.pk, day, *source))).encode()).hexdigest()


def _add_results(domain: SendingDomain, day: dt.date, results: Counter[TlsResult]) -> None:
    folded: Counter[TlsResult] = Counter()
    for rank, (result, number) in enumerate(results.most_common()):
        folded[result if rank < MOST_HOSTS else result._replace(host="")] += number
    adapt = connection.ops.adapt_datefield_value
    values = [
        [domain.pk, adapt(day), result.policy, result.result, result.host, number]
        for result, number in sorted(folded.items())
        if number
    ]
    if not values:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO domains_tlscount AS c (domain_id, day, policy, result, host, sessions)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (domain_id, day, policy, result, host)"
            " DO UPDATE SET sessions = c.sessions + excluded.sessions",
            values,
        )


def forget_old(now: dt.datetime) -> int:
    """Delete what is older than thirteen months; return the number of rows."""
    oldest = (now - dt.timedelta(days=KEPT_DAYS)).date()
    gone = 0
    for model in (DmarcCount, TlsCount, PostmasterDay):
        gone += model._default_manager.filter(day__lt=oldest).delete()[0]
    return gone + DomainReport.objects.filter(ends_at__lt=now - dt.timedelta(days=KEPT_DAYS)).delete()[0]
