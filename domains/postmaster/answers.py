"""The questions and answers of version 2 of the Postmaster Tools API, as values. No Django, no socket, no clock.

The shapes are those of developers.google.com/workspace/gmail/postmaster/reference/rest/v2 (April 2026), of Google's
generated client (package:googleapis, gmailpostmastertools/v2, 2026) and of its errors (google.rpc.Status, AIP-193). No
live account was there to try them with. So what the reference doesn't name is skipped, and a value that is not as the
reference says counts as absent.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from words.texts import gettext_noop
from words.texts import text as _

PAGE_ROWS = 200  # The most that the API gives on one page; less is its default.
MOST_TOKEN = 2_000  # Characters of a page token.
MOST_REPLY = 200  # Characters of Google's own words.


class Metric(NamedTuple):
    """A figure to ask for; the answer repeats its name."""

    name: str
    base: str
    filter: str = ""


RATES = (
    Metric("spam", "SPAM_RATE"),
    *(Metric(kind, "AUTH_SUCCESS_RATE", f'auth_type = "{kind}"') for kind in ("spf", "dkim", "dmarc")),
    Metric("tls", "TLS_ENCRYPTION_RATE", 'traffic_direction = "inbound"'),  # Into Gmail.
)
# What Google calls a delivery error, by kind and reason.
REASONS = {
    "reject": (
        *("bad_attachment", "bad_or_missing_ptr_record", "ip_in_rbls", "low_domain_reputation", "low_ip_reputation"),
        *("spammy_content", "stamp_policy_error", "other"),
    ),
    "temp_fail": ("anomalous_traffic_pattern", "other"),
}
ERRORS = tuple(
    metric
    for kind, reasons in REASONS.items()
    for metric in (
        Metric(kind, "DELIVERY_ERROR_RATE", f'error_type = "{kind}"'),
        *(
            Metric(f"{kind}__{reason}", "DELIVERY_ERROR_RATE", f'error_type = "{kind}" AND error_reason = "{reason}"')
            for reason in reasons
        ),
    )
)


class Problem(StrEnum):
    """Why figures could not be read. The stored values."""

    NOT_LISTED = "not listed"
    UNVERIFIED = "unverified"
    DENIED = "denied"
    API_OFF = "api off"
    SCOPE = "scope"
    SIGN_IN = "sign in"
    NO_TOKEN = "no token"  # noqa: S105  # The name of a problem.
    BUSY = "busy"
    NOT_UNDERSTOOD = "not understood"


# Those of the account: no domain can be read. The others are about one domain.
OF_ACCOUNT = frozenset({Problem.API_OFF, Problem.SCOPE, Problem.SIGN_IN, Problem.NO_TOKEN, Problem.BUSY})
_SENTENCES = {
    Problem.NOT_LISTED: gettext_noop(
        "The Google user of %(account)s doesn't see this domain. Add and verify it in Postmaster Tools."
    ),
    Problem.UNVERIFIED: gettext_noop(
        "This domain isn't verified in Postmaster Tools. Publish the TXT record shown there."
    ),
    Problem.DENIED: gettext_noop(
        "The Google user of %(account)s may not read this domain. Verify it in Postmaster Tools, or have its owner add"
        " the user there."
    ),
    Problem.API_OFF: gettext_noop(
        "The API is off. Enable the Gmail Postmaster Tools API in the Google Cloud project of %(account)s."
    ),
    Problem.SCOPE: gettext_noop(
        "%(account)s has no permission for Postmaster Tools. Sign in again there and leave it ticked."
    ),
    Problem.SIGN_IN: gettext_noop("Google refuses the sign-in of %(account)s. Connect it again."),
    Problem.NO_TOKEN: gettext_noop("%(account)s can't sign in. Its page says why."),
    Problem.BUSY: gettext_noop("Google didn't answer. It is asked again."),
    Problem.NOT_UNDERSTOOD: gettext_noop("Google didn't understand the question. Brilliance may have to be updated."),
}


def sentence(problem: str, account: str) -> str:
    """Return what a stored problem means and what to do; empty for one that nobody knows."""
    template = _SENTENCES[Problem(problem)] if problem in list(Problem) else ""
    return _(template, account=account) if template else ""


class Listed(NamedTuple):
    """A domain that the Google user sees in Postmaster Tools."""

    name: str  # In lower case.
    problem: Problem | None


class Share(NamedTuple):
    """One figure of one day."""

    day: dt.date  # As Google counts days; the reference names no zone.
    name: str  # Of the metric.
    value: float  # 0 to 1.


# --- questions


def query(metrics: Sequence[Metric], first: dt.date, last: dt.date, page_token: str = "") -> bytes:
    """Return the body of ``domainStats:query`` for each day from the first to the last, included."""
    asked: dict[str, Any] = {
        "metricDefinitions": [
            {
                "name": one.name,
                "baseMetric": {"standardMetric": one.base},
                **({"filter": one.filter} if one.filter else {}),
            }
            for one in metrics
        ],
        "timeQuery": {"dateRanges": {"dateRanges": [{"start": _date(first), "end": _date(last)}]}},
        "aggregationGranularity": "DAILY",
        "pageSize": PAGE_ROWS,
    }
    if page_token:
        asked["pageToken"] = page_token
    return json.dumps(asked).encode()


def _date(day: dt.date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


# --- answers


def read(body: bytes) -> Mapping[str, Any] | None:
    """Return the object that a body holds; None if it holds none, as one that was cut off at the limit."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def next_page(answer: Mapping[str, Any]) -> str:
    """Return the token of the next page; empty if there is none."""
    token = answer.get("nextPageToken")
    return token if isinstance(token, str) and len(token) <= MOST_TOKEN else ""


def listed(answer: Mapping[str, Any]) -> Iterator[Listed]:
    """Yield the domains of one page of ``domains``."""
    for row in _rows(answer, "domains"):
        name = row.get("name")
        if not isinstance(name, str) or not name.startswith("domains/"):
            continue
        problem = None
        if row.get("permission") == "NONE":
            problem = Problem.DENIED
        elif row.get("verificationState") == "UNVERIFIED":
            problem = Problem.UNVERIFIED
        yield Listed(name.removeprefix("domains/").lower()[:253], problem)


def shares(answer: Mapping[str, Any], metrics: Sequence[Metric], first: dt.date, last: dt.date) -> Iterator[Share]:
    """Yield the figures of one page of ``domainStats:query`` that were asked for."""
    names = {metric.name for metric in metrics}
    for row in _rows(answer, "domainStats"):
        name, day, value = row.get("metric"), _day(row.get("date")), _share(row.get("value"))
        if isinstance(name, str) and name in names and day is not None and value is not None and first <= day <= last:
            yield Share(day, name, value)


def compliance(answer: Mapping[str, Any]) -> dict[str, bool]:
    """Return the requirements of ``complianceStatus`` that Google judged, and whether they are met.

    The verdict on the subdomain wins over that on its registrable domain.
    """
    found: dict[str, bool] = {}
    for part in ("complianceData", "subdomainComplianceData"):
        of_part = answer.get(part)
        for row in _rows(of_part, "rowData") if isinstance(of_part, dict) else ():
            requirement, status = row.get("requirement"), row.get("status")
            state = status.get("status") if isinstance(status, dict) else None
            if isinstance(requirement, str) and requirement in REQUIREMENTS and state in ("COMPLIANT", "NEEDS_WORK"):
                found[requirement] = state == "COMPLIANT"
    return found


# The requirements that complianceStatus names, in words.
REQUIREMENTS = {
    "SPF": _("SPF"),
    "DKIM": _("DKIM"),
    "SPF_AND_DKIM": _("SPF and DKIM"),
    "DMARC_POLICY": _("DMARC policy"),
    "DMARC_ALIGNMENT": _("From agrees with SPF or DKIM"),
    "MESSAGE_FORMATTING": _("Form of messages"),
    "DNS_RECORDS": _("Forward and reverse DNS"),
    "ENCRYPTION": _("Encryption"),
    "USER_REPORTED_SPAM_RATE": _("Spam rate"),
    "ONE_CLICK_UNSUBSCRIBE": _("One-click unsubscribe"),
    "HONOR_UNSUBSCRIBE": _("Unsubscribes are honoured"),
}


def _rows(answer: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    rows = answer.get(name)
    for row in rows[:PAGE_ROWS] if isinstance(rows, list) else ():
        if isinstance(row, dict):
            yield row


def _day(value: object) -> dt.date | None:
    if not isinstance(value, dict):
        return None
    parts = [value.get(name) for name in ("year", "month", "day")]
    try:
        return dt.date(*parts) if all(type(part) is int for part in parts) else None  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None


def _share(value: object) -> float | None:
    """Return a StatisticValue as a share from 0 to 1; None if it is none."""
    if not isinstance(value, dict):
        return None
    for name in ("doubleValue", "floatValue", "intValue"):
        number = value.get(name)
        if name == "intValue" and number in ("0", "1"):  # Integers of 64 bits are written as strings.
            number = int(number)
        if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= 1:  # No NaN is.
            return float(number)
    return None


# --- errors

_QUOTA = frozenset({"RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})
_API_OFF = frozenset({"SERVICE_DISABLED", "accessNotConfigured"})
_SCOPE = frozenset({"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"})


def problem_of(status: int, body: bytes) -> tuple[Problem, str]:
    """Return what an answer other than 200 means, and Google's own words on one line."""
    answer = read(body) or {}
    error = answer.get("error")
    error = error if isinstance(error, dict) else {}
    named = [row.get("reason") for name in ("details", "errors") for row in _rows(error, name)]
    reasons = {reason for reason in named if isinstance(reason, str)}
    replied = _one_line(error.get("message"))
    if status == 429 or status >= 500 or (status == 403 and reasons & _QUOTA):
        return Problem.BUSY, replied
    if status == 401:
        return Problem.SIGN_IN, replied
    if status == 403 and reasons & _API_OFF:
        return Problem.API_OFF, replied
    if status == 403 and reasons & _SCOPE:
        return Problem.SCOPE, replied
    if status in (403, 404):
        return Problem.DENIED, replied
    return Problem.NOT_UNDERSTOOD, replied


def _one_line(words: object) -> str:
    """Return words on one line, without anything as long as a token."""
    said = " ".join(words[:5_000].split()) if isinstance(words, str) else ""
    said = re.sub(r"\S{60,}", "…", said)
    return "".join(character for character in said if character.isprintable())[:MOST_REPLY]
