"""Answers of the API: what counts, and what a hostile or unknown one comes to."""

import datetime as dt
import json
from typing import Any

import pytest

from domains.postmaster import answers
from domains.postmaster.answers import RATES, Listed, Problem, Share

DAY = dt.date(2026, 11, 28)
DATE = {"year": 2026, "month": 11, "day": 28}


def share_of(value: Any, date: Any = DATE, metric: Any = "spam") -> list[Share]:
    row = {"metric": metric, "date": date, "value": value}
    return list(answers.shares({"domainStats": [row]}, RATES, DAY, DAY))


@pytest.mark.parametrize(
    ("value", "share"),
    [
        ({"doubleValue": 0.003}, 0.003),
        ({"floatValue": 1}, 1.0),
        ({"doubleValue": 0}, 0.0),
        ({"intValue": "0"}, 0.0),
        ({"intValue": "1"}, 1.0),
    ],
)
def test_a_share_is_read_in_each_form_of_the_reference(value: Any, share: float) -> None:
    assert share_of(value) == [Share(DAY, "spam", share)]


@pytest.mark.parametrize(
    "value",
    [
        *({"doubleValue": wrong} for wrong in (-0.1, 1.5, float("nan"), float("inf"), "0.1", True, None, [], {})),
        *({"intValue": wrong} for wrong in ("2", "1e400", 10**400, "٣")),
        *(None, [], "0.1", {}, {"stringList": {"values": ["a"]}}, {"newValue": 0.1}),
    ],
)
def test_what_is_no_share_is_absent(value: Any) -> None:
    assert share_of(value) == []


@pytest.mark.parametrize(
    "date",
    [
        *(None, [], "2026-11-28", {}, {"year": 2026, "month": 11}, {"year": 2026, "month": 13, "day": 1}),
        *({"year": 10**30, "month": 1, "day": 1}, {"year": "2026", "month": 11, "day": 28}),
        *({"year": True, "month": 1, "day": 1}, {"year": 2026, "month": 11, "day": 27}),
    ],
)
def test_what_is_no_day_that_was_asked_for_is_absent(date: Any) -> None:
    assert share_of({"doubleValue": 0.1}, date) == []


@pytest.mark.parametrize("metric", [None, 7, "", "SPAM_RATE", ["spam"]])
def test_a_metric_that_was_not_asked_for_is_absent(metric: Any) -> None:
    assert share_of({"doubleValue": 0.1}, metric=metric) == []


def test_a_page_with_more_rows_than_there_are_is_cut() -> None:
    row = {"metric": "spam", "date": DATE, "value": {"doubleValue": 0.1}}

    assert len(list(answers.shares({"domainStats": [row] * 5_000}, RATES, DAY, DAY))) == answers.PAGE_ROWS


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"a": ' * 50_000, b"\xff", b"9" * 5_000])
def test_a_body_that_is_no_object_is_none(body: bytes) -> None:
    assert answers.read(body) is None


def test_domains_are_listed_with_what_is_wrong() -> None:
    rows = [
        {"name": "domains/A.example", "permission": "OWNER", "verificationState": "VERIFIED"},
        {"name": "domains/b.example", "permission": "NONE", "verificationState": "VERIFIED"},
        {"name": "domains/c.example", "permission": "READER", "verificationState": "UNVERIFIED"},
        {"name": "domains/d.example", "new": 1},
        {"name": "e.example"},
        {"name": 7},
        "domains/f.example",
    ]

    assert list(answers.listed({"domains": rows})) == [
        Listed("a.example", None),
        Listed("b.example", Problem.DENIED),
        Listed("c.example", Problem.UNVERIFIED),
        Listed("d.example", None),
    ]


def test_the_subdomains_own_verdict_wins_and_unknown_requirements_are_skipped() -> None:
    def rows(**states: Any) -> dict[str, Any]:
        return {"rowData": [{"requirement": name, "status": {"status": state}} for name, state in states.items()]}

    answer = {
        "complianceData": rows(SPF="COMPLIANT", DKIM="COMPLIANT", NEW="NEEDS_WORK", ENCRYPTION="STATE_UNSPECIFIED"),
        "subdomainComplianceData": rows(DKIM="NEEDS_WORK"),
    }

    assert answers.compliance(answer) == {"SPF": True, "DKIM": False}
    assert answers.compliance({"complianceData": {"rowData": [{"requirement": "SPF", "status": "COMPLIANT"}]}}) == {}


@pytest.mark.parametrize(
    ("status", "reason", "problem"),
    [
        (401, "", Problem.SIGN_IN),
        (403, "", Problem.DENIED),
        (404, "", Problem.DENIED),
        (403, "SERVICE_DISABLED", Problem.API_OFF),
        (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", Problem.SCOPE),
        (403, "RATE_LIMIT_EXCEEDED", Problem.BUSY),
        (429, "", Problem.BUSY),
        (500, "", Problem.BUSY),
        (503, "SERVICE_DISABLED", Problem.BUSY),
        (302, "", Problem.NOT_UNDERSTOOD),
        (400, "", Problem.NOT_UNDERSTOOD),
    ],
)
def test_an_error_is_told_by_its_status_and_reason(status: int, reason: str, problem: Problem) -> None:
    body = json.dumps({"error": {"message": "No\n\x1b[31m way", "details": [{"reason": reason}, {"reason": [1]}, 7]}})

    assert answers.problem_of(status, body.encode()) == (problem, "No [31m way")


@pytest.mark.parametrize("body", [b"<html>", b'{"error": 7}', b'{"error": {"message": [], "details": {}}}'])
def test_an_error_in_another_form_has_no_words(body: bytes) -> None:
    assert answers.problem_of(403, body) == (Problem.DENIED, "")


def test_googles_words_are_short_and_hold_no_token() -> None:
    token = "canary-" + "x" * 500
    body = json.dumps({"error": {"message": f"Bearer {token} is bad. {'word ' * 400}"}}).encode()

    _problem, replied = answers.problem_of(403, body)

    assert replied.startswith("Bearer … is bad.")
    assert len(replied) == answers.MOST_REPLY


@pytest.mark.parametrize("problem", list(Problem))
def test_each_problem_says_what_to_do(problem: Problem) -> None:
    said = answers.sentence(problem.value, "Figures")

    assert said.endswith(".")
    assert "%" not in said
    assert answers.sentence("of a later release", "Figures") == ""
