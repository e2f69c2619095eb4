"""TLS reports: what is read, compared with parsedmarc, and what is refused."""

import datetime as dt
import gzip
import json
import warnings
from typing import Any

import pytest

from mail.aggregates import tls
from mail.aggregates.container import ReportInvalid
from mail.aggregates.intake import read_file, read_mail
from mail.aggregates.report import TlsResult
from tests.mail.aggregates.samples import tls_mail, tls_policy, tls_report

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from parsedmarc import parse_smtp_tls_report_json


def test_sessions_are_counted_by_result_and_host() -> None:
    report = tls.parse(json.dumps(tls_report()).encode())

    assert report.begins_at == dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
    assert report.results == {
        TlsResult("acme.example", "sts", "", ""): 5_326,
        TlsResult("acme.example", "sts", "certificate-expired", "mx1.acme.example"): 100,
        TlsResult("acme.example", "sts", "starttls-not-supported", "mx2.acme.example"): 200,
        TlsResult("acme.example", "sts", "other", ""): 3,
    }


def test_parsedmarc_reads_the_same() -> None:
    content = json.dumps(tls_report(policies=[tls_policy(), tls_policy("news.acme.example", 7, 300)]))

    ours, theirs = tls.parse(content.encode()), parse_smtp_tls_report_json(content)

    assert (ours.organisation, ours.report_id) == (theirs["organization_name"], theirs["report_id"])
    for policy in theirs["policies"]:
        of_policy = {
            result: number for result, number in ours.results.items() if result.domain == policy["policy_domain"]
        }
        assert (
            sum(number for result, number in of_policy.items() if not result.result)
            == policy["successful_session_count"]
        )
        assert sum(number for result, number in of_policy.items() if result.result) == policy["failed_session_count"]


def test_no_policies_are_legal() -> None:
    assert tls.parse(json.dumps(tls_report(policies=[])).encode()).results == {}


def test_offsets_become_utc_and_a_missing_one_is_utc() -> None:
    dates = {"start-datetime": "2026-11-30T09:00:00+09:00", "end-datetime": "2026-11-30T23:59:59"}

    report = tls.parse(json.dumps(tls_report(**{"date-range": dates})).encode())

    assert report.begins_at == dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
    assert report.ends_at == dt.datetime(2026, 11, 30, 23, 59, 59, tzinfo=dt.UTC)


def test_it_comes_by_mail_or_as_a_file() -> None:
    expected = tls.parse(json.dumps(tls_report()).encode())

    assert read_mail(tls_mail(tls_report())) == expected
    assert read_file(gzip.compress(json.dumps(tls_report()).encode())) == expected


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"date-range": None}, "no TLS report"),
        ({"date-range": {"start-datetime": "soon"}}, "which period"),
        ({"policies": {}}, "no TLS report"),
        ({"policies": [1]}, "no TLS report"),
        ({"policies": [tls_policy(successes=-1)]}, "impossible number"),
        ({"policies": [tls_policy(successes=True)]}, "impossible number"),
        ({"policies": [tls_policy(failures=1 << 60)]}, "impossible number"),
        ({"policies": [tls_policy("")]}, "names no domain"),
        ({"report-id": 5}, "no number"),
    ],
)
def test_broken_reports_say_why(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ReportInvalid, match=why):
        tls.parse(json.dumps(tls_report(**changes)).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5_000, b"\xff"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(ReportInvalid):
        tls.parse(content)
