"""TLS reports (RFC 8460): how often others could encrypt their mail to a domain, and why they could not."""

import datetime as dt
import json
from collections import Counter
from typing import Any

from mail.aggregates.container import ReportInvalid
from mail.aggregates.report import (
    MOST_COUNT,
    MOST_RECORDS,
    OTHER,
    TlsReport,
    TlsResult,
    domain_in,
    needed_domain,
    needed_text,
    period,
)

_POLICIES = frozenset({"sts", "tlsa", "no-policy-found"})
_RESULTS = frozenset(  # Section 4.3.
    {
        *("starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted"),
        *("validation-failure", "tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error"),
        *("sts-policy-invalid", "sts-webpki-invalid"),
    }
)


def parse(content: bytes) -> TlsReport:
    """Return what a report says.

    :param content: JSON, unpacked.
    :raises ReportInvalid: if it is no report, exceeds a limit, or lacks what the account needs.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ReportInvalid("The JSON is broken.") from None
    dates = _object(_object(found).get("date-range"))
    begins_at, ends_at = period(_instant(dates, "start-datetime"), _instant(dates, "end-datetime"))
    results: Counter[TlsResult] = Counter()
    for policy in _objects(found.get("policies")):  # An empty list is legal.
        _count(policy, results)
    return TlsReport(
        needed_text(_text(found.get("organization-name")), "name of its reporter"),
        needed_text(_text(found.get("report-id")), "number"),
        begins_at,
        ends_at,
        dict(results),
    )


def _count(policy: dict[str, Any], results: Counter[TlsResult]) -> None:
    about = _object(policy.get("policy"))
    domain = needed_domain(_text(about.get("policy-domain")))
    kind = _known(_text(about.get("policy-type")), _POLICIES)
    summary = _object(policy.get("summary"))
    results[TlsResult(domain, kind, "", "")] += _number(summary.get("total-successful-session-count"))
    failed = _number(summary.get("total-failure-session-count"))
    for detail in _objects(policy.get("failure-details")):
        number = _number(detail.get("failed-session-count"))
        failed -= number
        host = domain_in(_text(detail.get("receiving-mx-hostname")))
        results[TlsResult(domain, kind, _known(_text(detail.get("result-type")), _RESULTS), host)] += number
    if failed > 0:  # Without a detail.
        results[TlsResult(domain, kind, OTHER, "")] += failed
    if len(results) > MOST_RECORDS:
        raise ReportInvalid(f"The report has more than {MOST_RECORDS:,} records.")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ReportInvalid("The JSON is no TLS report.")
    return value


def _objects(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ReportInvalid("The JSON is no TLS report.")
    if len(value) > MOST_RECORDS:
        raise ReportInvalid(f"The report has more than {MOST_RECORDS:,} records.")
    return [_object(each) for each in value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_COUNT:
        raise ReportInvalid("The report has an impossible number of sessions.")
    return value


def _instant(dates: dict[str, Any], name: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(_text(dates.get(name)))
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ReportInvalid("The report doesn't say which period it is about.") from None


def _known(text: str, words: frozenset[str]) -> str:
    word = text.strip().lower()
    return word if word in words else OTHER
