"""What Postmaster Tools says, in the database: one row for each domain and day, corrected by later answers."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping

from domains.models import PostmasterDay, PostmasterDomain, SendingDomain
from domains.postmaster.answers import Problem, Share
from oauth.models import OAuthAccount

# The columns by the names of the metrics. All others are reasons of errors.
COLUMNS = {
    "spam": "spam_rate",
    "spf": "spf_rate",
    "dkim": "dkim_rate",
    "dmarc": "dmarc_rate",
    "tls": "tls_rate",
    "reject": "rejected_rate",
    "temp_fail": "deferred_rate",
}


def save(
    domain: SendingDomain,
    account: OAuthAccount,
    shares: Iterable[Share],
    requirements: Mapping[str, bool],
    now: dt.datetime,
) -> None:
    """Store an answer. A figure that it doesn't hold stays as it was, and one that changed is replaced."""
    by_day: dict[dt.date, dict[str, float]] = defaultdict(dict)
    for share in shares:
        by_day[share.day][share.name] = share.value
    known = {row.day: row for row in PostmasterDay.objects.filter(domain=domain, day__in=by_day)}
    rows = []
    for day, values in sorted(by_day.items()):
        row = known.get(day) or PostmasterDay(domain=domain, day=day)
        for name, value in values.items():
            if column := COLUMNS.get(name):
                setattr(row, column, value)
            else:
                row.reasons[name] = value
        rows.append(PostmasterDay(domain=domain, day=day, reasons=row.reasons, **_rates(row)))
    PostmasterDay.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["domain", "day"], update_fields=[*COLUMNS.values(), "reasons"]
    )
    _note(domain, account, now, problem="", replied="", requirements=dict(requirements), read_at=now)


def _rates(row: PostmasterDay) -> dict[str, float | None]:
    return {column: getattr(row, column) for column in COLUMNS.values()}


def save_problem(
    domain: SendingDomain, account: OAuthAccount, problem: Problem, replied: str, now: dt.datetime
) -> None:
    """Store why a domain could not be read. Its figures stay."""
    _note(domain, account, now, problem=problem.value, replied=replied)


def _note(domain: SendingDomain, account: OAuthAccount, now: dt.datetime, **values: object) -> None:
    PostmasterDomain.objects.update_or_create(domain=domain, defaults={"account": account, "asked_at": now, **values})
