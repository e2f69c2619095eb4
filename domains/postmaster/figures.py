"""The figures of Postmaster Tools for a domain's page, beside our own count of complaints from Gmail's users."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domains.models import DnsFinding, PostmasterAccess, PostmasterDay, PostmasterDomain, SendingDomain
from domains.postmaster import answers
from domains.senders import GmailCount, gmail_counts
from oauth.client.providers import POSTMASTER_FLOWS
from oauth.models import OAuthAccount
from words.numbers import rate_of
from words.texts import text as _

# Gmail's own limits: stay below 0.1 %, and never reach 0.3 % (support.google.com/a/answer/81126).
LOOK, BROKEN = 0.001, 0.003
JUDGED_DAYS = 7  # Gmail mitigates nothing before seven days in a row are below 0.3 %.
REASONS_SHOWN = 10
# Why Gmail refuses mail, or puts it off.
REASONS = {
    "reject__bad_attachment": _("Forbidden attachment"),
    "reject__bad_or_missing_ptr_record": _("Missing or wrong PTR record"),
    "reject__ip_in_rbls": _("Sending address is on a block list"),
    "reject__low_domain_reputation": _("Gmail distrusts the domain"),
    "reject__low_ip_reputation": _("Gmail distrusts the sending address"),
    "reject__spammy_content": _("Content looks like spam"),
    "reject__stamp_policy_error": _("Against a policy"),
    "reject__other": _("Rejected for another reason"),
    "temp_fail__anomalous_traffic_pattern": _("Unusual volume"),
    "temp_fail__other": _("Deferred for another reason"),
}


@dataclass(frozen=True, slots=True)
class DayLine:
    """One day: Google's shares, and our own counts."""

    day: dt.date
    known: PostmasterDay | None
    own: GmailCount | None

    @property
    def spam(self) -> str:
        return rate_of(self.known.spam_rate if self.known else None)

    @property
    def others(self) -> list[str]:
        """The shares that passed SPF, DKIM and DMARC, were encrypted, rejected and deferred."""
        names = ("spf_rate", "dkim_rate", "dmarc_rate", "tls_rate", "rejected_rate", "deferred_rate")
        return [rate_of(getattr(self.known, name, None)) for name in names]


@dataclass(frozen=True, slots=True)
class GmailFigures:
    """What the page shows of Postmaster Tools."""

    is_connected: bool  # Whether there is an account at all.
    state: str  # "good", "look", "broken" or "unknown".
    sentence: str
    problem: str  # Why nothing newer is known; empty: it is.
    replied: str  # Google's own words about it.
    read_at: dt.datetime | None
    days: Sequence[DayLine]
    reasons: Sequence[tuple[str, str, dt.date]]  # Of errors: each with its highest share and that day.
    requirements: Sequence[tuple[str, bool]]
    accepted: int  # Ours, at Gmail, in the period.
    complaints: int

    @property
    def colour(self) -> str:
        return {"good": "green", "look": "orange", "broken": "red"}.get(self.state, "grey")

    @property
    def word(self) -> str:
        return str(DnsFinding.StateName(self.state).label)

    @property
    def own_share(self) -> str:
        return rate_of(self.complaints / self.accepted) if self.accepted else "–"


def of_domain(domain: SendingDomain, today: dt.date, days: int) -> GmailFigures:
    """Return the figures of the last ``days`` UTC days, today included."""
    start = today - dt.timedelta(days=days - 1)
    rows = {row.day: row for row in PostmasterDay.objects.filter(domain=domain, day__gte=start, day__lte=today)}
    own = {count.day: count for count in gmail_counts(domain.name, start)}
    known = PostmasterDomain.objects.filter(domain=domain).select_related("account").first()
    accounts = list(OAuthAccount.objects.filter(flow__in=POSTMASTER_FLOWS).order_by("name"))
    problem, replied = _problem(known, accounts)
    state, sentence = _judged(domain, today)
    lines = [DayLine(day, rows.get(day), own.get(day)) for day in sorted({*rows, *own}, reverse=True)]
    return GmailFigures(
        is_connected=bool(accounts),
        state=state,
        sentence=sentence,
        problem=problem,
        replied=replied,
        read_at=known.read_at if known else None,
        days=lines,
        reasons=_reasons(rows.values()),
        requirements=[
            (label, known.requirements[name])
            for name, label in answers.REQUIREMENTS.items()
            if known and name in known.requirements
        ],
        accepted=sum(count.accepted for count in own.values()),
        complaints=sum(count.complaints for count in own.values()),
    )


def _judged(domain: SendingDomain, today: dt.date) -> tuple[str, str]:
    """Return the state and its sentence, by the highest spam rate of the last days that are known."""
    last = PostmasterDay.objects.filter(domain=domain, day__lte=today, spam_rate__isnull=False)
    newest = list(last.order_by("-day").values_list("spam_rate", "day")[:JUDGED_DAYS])
    if not newest:
        return "unknown", _(
            "Google shows no spam rate yet. It does for domains that write to enough Gmail users a day."
        )
    rate, day = max((rate, day) for rate, day in newest if rate is not None)
    percent = rate_of(rate)
    if rate >= BROKEN - 1e-9:
        said = _(
            "Gmail users marked %(percent)s of your mail as spam on %(day)s. From 0.3%% on, Gmail rejects or hides it"
            " until seven days in a row are lower. Send less, and only to people who asked for it.",
            percent=percent,
            day=f"{day:%d %B %Y}",
        )
        return "broken", said
    if rate >= LOOK - 1e-9:
        said = _(
            "Gmail users marked %(percent)s of your mail as spam on %(day)s. Stay below 0.1%%: leave out people who"
            " don't open your mail.",
            percent=percent,
            day=f"{day:%d %B %Y}",
        )
        return "look", said
    return "good", _(
        "Gmail users marked at most %(percent)s of your mail as spam on the last days that are known.", percent=percent
    )


def _problem(known: PostmasterDomain | None, accounts: Sequence[OAuthAccount]) -> tuple[str, str]:
    """Return why nothing newer is known, with Google's own words; both empty if nothing is wrong."""
    if not accounts:
        return "", ""
    asked = known.account if known is not None and known.account is not None else accounts[0]
    if asked.state not in (OAuthAccount.State.OK, OAuthAccount.State.TROUBLE):
        return answers.sentence(answers.Problem.NO_TOKEN, asked.name), ""
    access = PostmasterAccess.objects.filter(account=asked).first()
    if access is not None and access.problem:
        return answers.sentence(access.problem, asked.name), access.replied
    if known is not None:
        return answers.sentence(known.problem, asked.name), known.replied
    if access is None or access.asked_at is None:
        return _("Google is asked within a few minutes."), ""
    return answers.sentence(answers.Problem.NOT_LISTED, ", ".join(account.name for account in accounts)), ""


def _reasons(rows: Iterable[PostmasterDay]) -> list[tuple[str, str, dt.date]]:
    """Return the reasons of errors, the most frequent first, each with its highest share."""
    highest: dict[str, tuple[float, dt.date]] = {}
    for row in rows:
        for name, share in row.reasons.items():
            if name in REASONS and share:
                highest[name] = max(highest.get(name, (0.0, row.day)), (share, row.day))
    order = sorted(highest, key=lambda name: highest[name], reverse=True)
    return [(REASONS[name], rate_of(highest[name][0]), highest[name][1]) for name in order[:REASONS_SHOWN]]
