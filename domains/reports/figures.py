"""The figures of a domain's reports: the share that passed by day, who sent it, and whether a stricter policy is safe.

A source is ours if its mail passed, because only our servers have our keys and stand in our SPF record; if it carries a
signature under one of our selectors, or comes from a network that our SPF record allowed, though it failed; or if its
results name a provider of our servers. All others are unknown.
"""

import datetime as dt
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Sum

from domains.models import DmarcCount, DnsFinding, DomainReport, SendingDomain, TlsCount
from domains.reports.store import is_passed
from domains.senders import Sender
from mail.suffixes import organisational_domain
from words.texts import text as _

PERIODS = (7, 30, 90)  # Days.
FEWEST_DAYS = 7
FEWEST_MESSAGES = 100
SAFE_SHARE = 0.99
SOURCES_SHOWN = 50
_IN_RECORD = re.compile(r"(?:^|[;\s\"])p[ \t]*=[ \t]*(none|quarantine|reject)\b", re.IGNORECASE)


@dataclass(slots=True)
class SourceLine:
    """Messages that came from one sender, or from one network that nobody knows."""

    name: str
    passed: int = 0
    failed: int = 0
    stopped: int = 0  # Put into spam folders, or rejected.
    networks: Counter[str] = field(default_factory=Counter)
    signers: Counter[str] = field(default_factory=Counter)  # d= of the signatures that were there.
    envelopes: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.passed + self.failed

    @property
    def share(self) -> float:
        return self.passed / self.total if self.total else 0.0

    @property
    def signer(self) -> str:
        return _first(self.signers)

    @property
    def envelope(self) -> str:
        return _first(self.envelopes)

    @property
    def network(self) -> str:
        return _first(self.networks)


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether a stricter policy is safe."""

    state: str  # "good", "look" or "unknown".
    sentence: str


@dataclass(frozen=True, slots=True)
class DmarcFigures:
    """What DMARC reports say of a number of days."""

    days: Sequence[tuple[dt.date, int, int]]  # Passed and failed.
    ours: Sequence[SourceLine]
    unknown: Sequence[SourceLine]
    advice: Advice

    @property
    def passed(self) -> int:
        return sum(line.passed for line in (*self.ours, *self.unknown))

    @property
    def total(self) -> int:
        return sum(line.total for line in (*self.ours, *self.unknown))


@dataclass(frozen=True, slots=True)
class TlsFigures:
    """What TLS reports say of a number of days."""

    encrypted: int
    failures: Sequence[tuple[str, str, int]]  # Result, MX host and sessions.

    @property
    def total(self) -> int:
        return self.encrypted + sum(number for _result, _host, number in self.failures)


def dmarc_of(
    domain: SendingDomain, senders: Sequence[Sender], selectors: Iterable[str], today: dt.date, days: int
) -> DmarcFigures:
    """Return the figures of the last ``days`` UTC days, today included.

    :param selectors: of the domain's own keys.
    """
    rows = DmarcCount.objects.filter(domain=domain, day__gt=today - dt.timedelta(days=days), day__lte=today)
    by_day: dict[dt.date, list[int]] = defaultdict(lambda: [0, 0])
    lines: dict[tuple[bool, str], SourceLine] = {}
    allowed = rows.filter(is_spf_aligned=True).exclude(network="").values_list("network", flat=True)
    providers = _Providers(domain.name, senders, selectors, set(allowed))
    for row in rows.order_by("day").iterator():
        by_day[row.day][0 if is_passed(row) else 1] += row.messages
        name = providers.name_of(row)
        key = (bool(name), name or row.network or _("Many small sources"))
        _add(lines.setdefault(key, SourceLine(key[1])), row)
    ours = sorted((line for (is_ours, _n), line in lines.items() if is_ours), key=lambda line: -line.total)
    unknown = sorted((line for (is_ours, _n), line in lines.items() if not is_ours), key=lambda line: -line.total)
    shown = [(day, passed, failed) for day, (passed, failed) in sorted(by_day.items())]
    return DmarcFigures(shown, ours, unknown, _advice(domain, ours, len(by_day)))


def _add(line: SourceLine, row: DmarcCount) -> None:
    if is_passed(row):
        line.passed += row.messages
    else:
        line.failed += row.messages
    if row.disposition in ("quarantine", "reject"):
        line.stopped += row.messages
    for counter, value in (
        (line.networks, row.network),
        (line.signers, row.dkim_domain),
        (line.envelopes, row.spf_domain),
    ):
        if value:
            counter[value] += row.messages


class _Providers:
    """Whose mail a row is."""

    def __init__(self, domain: str, senders: Sequence[Sender], selectors: Iterable[str], allowed: set[str]) -> None:
        self._domain, self._allowed = domain, allowed
        self._own = {selector.lower() for selector in selectors}
        self._by_selector = {one.lower(): _name(sender) for sender in senders for one in sender.selectors}
        self._by_domain = {organisational_domain(sender.include): _name(sender) for sender in senders if sender.include}

    def name_of(self, row: DmarcCount) -> str:
        """Return a name for a source of ours; empty for an unknown one."""
        if self._has_our_domain(row) and row.dkim_selector in self._own:
            return _("Signed by Brilliance")
        if self._has_our_domain(row) and row.dkim_selector in self._by_selector:
            return self._by_selector[row.dkim_selector]
        for domain in filter(None, (row.spf_domain, row.dkim_domain)):
            if name := self._by_domain.get(organisational_domain(domain)):
                return name
        if not is_passed(row):
            return _("Your network %(network)s", network=row.network) if row.network in self._allowed else ""
        if row.is_dkim_aligned and row.dkim_domain:
            return _("Signed by %(domain)s (%(selector)s)", domain=row.dkim_domain, selector=row.dkim_selector or "–")
        return _("Allowed by SPF of %(domain)s", domain=row.spf_domain or row.author)

    def _has_our_domain(self, row: DmarcCount) -> bool:
        """Tell whether a row has a signature of the domain, good or not."""
        name = row.dkim_domain
        return row.is_dkim_aligned or name == self._domain or name.endswith(f".{self._domain}")


def _name(sender: Sender) -> str:
    return sender.provider or sender.server


def _advice(domain: SendingDomain, ours: Sequence[SourceLine], days: int) -> Advice:
    total = sum(line.total for line in ours)
    if days < FEWEST_DAYS or total < FEWEST_MESSAGES:
        said = _(
            "There are too few reports to tell. Wait for %(days)s days with reports and %(number)s messages of yours.",
            days=FEWEST_DAYS,
            number=FEWEST_MESSAGES,
        )
        return Advice("unknown", said)
    share = sum(line.passed for line in ours) / total
    failing = [line.name for line in ours if line.failed and line.share < SAFE_SHARE]
    percent = f"{int(share * 1000) / 10:.1f}%"  # Rounded down: only all of them are 100.0%.
    policy = _policy(domain)
    if share < SAFE_SHARE:
        said = _(
            "Keep the policy as it is: %(percent)s of your mail passed. First mend %(sources)s.",
            percent=percent,
            sources=_named(failing),
        )
        return Advice("look", said)
    if policy == "reject":
        return Advice("good", _("%(percent)s of your mail passed, and forged mail is rejected.", percent=percent))
    stricter = "reject" if policy == "quarantine" else "quarantine"
    if failing:
        said = _(
            "You can set p=%(policy)s: %(percent)s of your mail passed. These sources fail: %(sources)s.",
            policy=stricter,
            percent=percent,
            sources=_named(failing),
        )
    else:
        said = _("You can set p=%(policy)s: %(percent)s of your mail passed.", policy=stricter, percent=percent)
    return Advice("good", said)


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _policy(domain: SendingDomain) -> str:
    """Return the policy in DNS, as the domain's page knows it; else the one that the newest report saw."""
    line = DnsFinding.objects.filter(domain=domain, line=DnsFinding.LineName.DMARC).first()
    if line is not None and (found := _IN_RECORD.search(line.seen)):
        return found[1].lower()
    newest = DomainReport.objects.filter(domain=domain, kind=DomainReport.Kind.DMARC).exclude(policy="").first()
    return newest.policy if newest else ""


def tls_of(domain: SendingDomain, today: dt.date, days: int) -> TlsFigures:
    """Return the figures of the last ``days`` UTC days, today included."""
    rows = TlsCount.objects.filter(domain=domain, day__gt=today - dt.timedelta(days=days), day__lte=today)
    sums = rows.values_list("result", "host").annotate(number=Sum("sessions")).order_by("-number")
    found = list(sums)
    encrypted = sum(number for result, _host, number in found if not result)
    return TlsFigures(encrypted, [row for row in found if row[0]][:SOURCES_SHOWN])


def _first(counter: Counter[str]) -> str:
    """Return the most frequent value, with the number of others."""
    if not counter:
        return ""
    value, _number = counter.most_common(1)[0]
    return f"{value} +{len(counter) - 1}" if len(counter) > 1 else value
