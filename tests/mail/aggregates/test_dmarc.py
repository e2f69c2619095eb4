"""DMARC reports: what is read, compared with parsedmarc, and what is refused."""

import datetime as dt
import gzip
import warnings
import zlib
from collections import Counter
from typing import Any

import pytest

from mail.aggregates import dmarc
from mail.aggregates.container import MOST_BYTES, MOST_PACKED_BYTES, ReportInvalid, unpack
from mail.aggregates.intake import brings_report, read_file, read_mail
from mail.aggregates.report import MOST_RECORDS, DmarcReport
from tests.mail.aggregates.samples import SAMPLES, Record, Sample, dkim, mail, spf, zipped

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from parsedmarc import parse_aggregate_report_xml

REPORT = Sample().xml().encode()


def read(sample: Sample) -> DmarcReport:
    return dmarc.parse(sample.xml().encode())


@pytest.mark.parametrize("name", SAMPLES)
def test_parsedmarc_reads_the_same(name: str) -> None:
    sample = SAMPLES[name]

    ours = read(sample)
    theirs: Any = parse_aggregate_report_xml(sample.xml(), offline=True)

    metadata, policy = theirs["report_metadata"], theirs["policy_published"]
    assert ours.organisation == metadata["org_name"]
    assert ours.domain == policy["domain"].lower()
    assert ours.policy == policy["p"]
    assert f"{ours.begins_at:%Y-%m-%d %H:%M:%S}" == metadata["begin_date"]
    assert f"{ours.ends_at:%Y-%m-%d %H:%M:%S}" == metadata["end_date"]
    assert ours.messages == sum(record["count"] for record in theirs["records"])
    expected: Counter[Any] = Counter()
    for record in theirs["records"]:
        evaluated = record["policy_evaluated"]
        about = (
            record["identifiers"]["header_from"],
            evaluated["dkim"] == "pass",
            evaluated["spf"] == "pass",
            evaluated["disposition"],
        )
        expected[about] += record["count"]
    found: Counter[Any] = Counter()
    for source, number in ours.sources.items():
        found[source.author, source.is_dkim_aligned, source.is_spf_aligned, source.disposition] += number
    assert found == expected


def test_there_are_sixty_samples_half_of_them_new() -> None:
    assert len(SAMPLES) == 60
    assert sum("dmarc-2.0" in sample.xml() for sample in SAMPLES.values()) == 30


def test_networks_take_the_place_of_addresses() -> None:
    report = read(
        Sample(
            (
                Record(ip="192.0.2.7"),
                Record(ip="192.0.2.200"),
                Record(ip="2001:db8:1:2::7"),
                Record(ip="::ffff:192.0.2.9"),
            )
        )
    )

    assert {source.network: number for source, number in report.sources.items()} == {
        "192.0.2.0/24": 9,
        "2001:db8:1::/48": 3,
    }


def test_the_signature_that_passed_for_the_domain_of_from_is_kept() -> None:
    results = (
        dkim("esp.example", "pass", "k1") + dkim("acme.example", "fail", "old") + dkim("Acme.example", "Pass", "S1")
    )

    (source,) = read(
        Sample((Record(results=results + spf("helo.example", "pass", "helo") + spf("b.example", "hardfail")),))
    ).sources

    assert (source.dkim_domain, source.dkim_selector, source.dkim_result) == ("acme.example", "s1", "pass")
    assert (source.spf_domain, source.spf_result) == ("b.example", "other")


def test_times_are_utc_wherever_the_reader_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")

    assert read(Sample()).begins_at == dt.datetime(2026, 11, 30, tzinfo=dt.UTC)


def test_prefixes_and_utf_16_are_read() -> None:
    prefixed = REPORT.replace(b"<feedback", b'<d:feedback xmlns:d="urn:x"').replace(b"</feedback", b"</d:feedback")
    wide = Sample(declaration='<?xml version="1.0" encoding="utf-16"?>').xml().encode("utf-16")

    assert dmarc.parse(prefixed).messages == 3
    assert read_file(wide).organisation == "Receiver Inc."
    assert read_file(b"\xef\xbb\xbf" + REPORT).organisation == "Receiver Inc."


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, zipped, bytes])
def test_every_container_is_opened(pack: Any) -> None:
    assert read_file(pack(REPORT)) == dmarc.parse(REPORT)


def test_control_characters_leave_the_names() -> None:
    report = read(Sample(organisation="Evil&#10;Inc. \u202e&lt;script&gt;" + "x" * 900))

    assert report.organisation.startswith("Evil Inc. <script>xxx")
    assert len(report.organisation) == 255


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no DMARC or TLS report"),
        (b"<html></html>", "no DMARC or TLS report"),
        (b'<!DOCTYPE feedback [<!ENTITY a "aaaa">]><feedback>&a;</feedback>', "document type"),
        (b"<feedback><a>", "broken in line"),
        (b"<feedback>" + b"<a>" * 30, "nested too deep"),
        (REPORT.replace(b"<count>3<", b"<count>-3<"), "is no number of messages"),
        (REPORT.replace(b"<count>3<", b"<count>9999999999999999<"), "is no number of messages"),
        (REPORT.replace(b"<count>3</count>", b""), "is no number of messages"),
        (REPORT.replace(b"192.0.2.7", b"localhost"), "is no IP address"),
        (REPORT.replace(b"1796083199", b"1795990000"), "period is impossible"),
        (REPORT.replace(b"1796083199", b"9" * 300), "doesn't say when it ends"),
        (REPORT.replace(b"1795996800", b"nan"), "doesn't say when it begins"),
        (REPORT.replace(b"<domain>acme.example</domain><adkim>", b"<domain>-</domain><adkim>"), "names no domain"),
        (REPORT.replace(b"17959968001796083199", b" "), "no number"),
        (REPORT.replace(b"UTF-8", b"klingon"), "charset"),
        (b"<feedback><record>" + b"<auth_results><dkim/></auth_results>" * 101, "more than 100 signatures"),
    ],
)
def test_broken_reports_say_why(content: bytes, why: str) -> None:
    with pytest.raises(ReportInvalid, match=why):
        read_file(content)


# Made by their tests: each process imports this module, and few run them.
BOMBS = {
    "gzip of blanks": (lambda: gzip.compress(b"<feedback>" + b" " * (MOST_BYTES + 1)), "times its size"),
    "zlib of blanks": (lambda: zlib.compress(b"<feedback>" + b" " * (MOST_BYTES + 1)), "times its size"),
    "zip of blanks": (lambda: zipped(b"<feedback>" + b" " * (MOST_BYTES + 1)), "MiB when it is unpacked"),
    "a zip whose directory lies": (
        lambda: zipped(b"<feedback>" + b" " * 3_000_000).replace(
            (3_000_010).to_bytes(4, "little"), (9).to_bytes(4, "little")
        ),
        "broken",
    ),
    "two files": (lambda: zipped(REPORT, REPORT), "has 2 files"),
    "no files": (lambda: b"PK\x03\x04" + b"\0" * 60, "broken"),
    "gzip in gzip": (lambda: gzip.compress(gzip.compress(REPORT)), "no DMARC or TLS report"),
    "a gzip cut off": (lambda: gzip.compress(REPORT)[:-9], "ends too early"),
    "a gzip of noise": (lambda: b"\x1f\x8b\x08" + bytes(range(256)), "broken"),
    "too large": (lambda: b"<feedback>" + b" " * MOST_PACKED_BYTES, "more than 10 MiB"),
    "a billion laughs": (
        lambda: b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><feedback>&b;</feedback>',
        "document type",
    ),
    "too many records": (
        lambda: gzip.compress(b"<feedback>" + b"<record/>" * (MOST_RECORDS + 1)),
        "is no IP address|records|times its size",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name: str) -> None:
    make, why = BOMBS[name]
    content = make()

    with pytest.raises(ReportInvalid, match=why):
        read_file(content)


def test_a_report_may_have_a_hundred_thousand_records_and_no_more() -> None:
    some = "".join(Record(ip=f"10.{n >> 8 & 255}.{n & 255}.1", results="").xml() for n in range(1000))
    whole = Sample(()).xml().replace("</feedback>", "")

    most = dmarc.parse((whole + some * 100 + "</feedback>").encode())
    assert most.messages == 3 * MOST_RECORDS
    with pytest.raises(ReportInvalid, match="100,000 records"):
        dmarc.parse((whole + some * 100 + Record().xml() + "</feedback>").encode())


def test_a_large_report_is_unpacked_within_its_limits() -> None:
    noise = "".join(
        Record(ip=f"10.{n >> 8}.{n & 255}.1", more=f"<x>{zlib.crc32(str(n).encode())}</x>").xml() for n in range(9_000)
    )
    content = Sample(()).xml().replace("</feedback>", noise + "</feedback>").encode()

    assert unpack(gzip.compress(content)) == content


@pytest.mark.parametrize("kind", ["application/gzip", "application/zip", "application/octet-stream", "text/xml"])
def test_a_mail_brings_its_report(kind: str) -> None:
    packed = {"application/zip": zipped, "text/xml": bytes}.get(kind, gzip.compress)(REPORT)
    content = mail(packed, kind)

    assert brings_report(content)
    assert read_mail(content) == dmarc.parse(REPORT)


def test_other_attachments_are_no_reports() -> None:
    subject = b"Subject: Report Domain: acme.example Submitter"
    photos, backup = (
        mail(zipped(b"hello"), "application/zip", "photos.zip"),
        mail(b"\x1f\x8bbroken", "application/gzip", "backup.gz"),
    )

    assert read_mail(photos) is None
    assert read_mail(backup.replace(subject, b"Subject: Our backup")) is None
    with pytest.raises(ReportInvalid, match="broken"):
        read_mail(backup)  # Its subject says that it is one.
    with pytest.raises(ReportInvalid, match="broken"):
        read_mail(mail(b"\x1f\x8bbroken"))
