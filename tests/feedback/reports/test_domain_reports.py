"""DMARC and TLS reports by mail: read in the process for hostile bytes, counted once, whoever is killed."""

import datetime as dt
import gzip

import pytest

from domains.models import DmarcCount, DomainReport, SendingDomain, TlsCount
from feedback.intake.addresses import Purpose, our_addresses
from feedback.models import RawReport, Report
from feedback.reports.reader import Reader, Unreadable, read_upload
from mail.aggregates.container import ReportInvalid
from tests.feedback.reports.making import NOW, mail, process
from tests.mail.aggregates import samples
from tests.mail.aggregates.samples import Record, Sample

pytestmark = pytest.mark.django_db
REPORT = Sample(begin=str(samples.BEGIN - 86_400), end=str(samples.END - 86_400)).xml().encode()


@pytest.fixture
def domain() -> SendingDomain:
    return SendingDomain.objects.create(name="acme.example")


def test_mail_to_the_tag_is_for_us_at_any_domain_and_in_any_case(domain: SendingDomain) -> None:
    ours = our_addresses()

    assert ours.purpose(f"dmarc+{domain.report_tag}@anything.example") is Purpose.DOMAIN_REPORT
    assert ours.purpose(f"DMARC+{domain.report_tag.upper()}@acme.example") is Purpose.DOMAIN_REPORT
    assert ours.purpose("dmarc+aaaaaaaaaa@acme.example") is None
    assert ours.purpose("dmarc+@acme.example") is None
    assert ours.purpose("dmarc@acme.example") is None


def test_a_report_by_mail_is_counted_once_and_is_no_reply(domain: SendingDomain) -> None:
    mail(samples.mail(gzip.compress(REPORT)))
    process()
    mail(samples.mail(gzip.compress(REPORT), name="again!acme.example!1!2.xml.gz"))
    process()

    assert DmarcCount.objects.get().messages == 3
    assert DomainReport.objects.count() == 1
    assert not Report.objects.exists()
    assert set(RawReport.objects.values_list("state", "is_recognised", "problem")) == {("done", True, "")}


def test_a_tls_report_by_mail_is_counted(domain: SendingDomain) -> None:
    dates = {"start-datetime": "2026-11-29T00:00:00Z", "end-datetime": "2026-11-29T23:59:59Z"}

    mail(samples.tls_mail(samples.tls_report(**{"date-range": dates})))
    process()

    assert TlsCount.objects.filter(day=dt.date(2026, 11, 29)).count() == 4


def test_a_report_about_another_domain_says_so() -> None:
    mail(samples.mail(gzip.compress(REPORT)))
    process()

    assert RawReport.objects.get().problem == "It is about acme.example, which is none of your domains."


def test_a_bomb_is_unreadable_and_ends_nothing_else(domain: SendingDomain) -> None:
    mail(samples.mail(gzip.compress(b"<feedback>" + b" " * 60_000_000)))
    mail(samples.mail(gzip.compress(REPORT)))
    process()

    states = RawReport.objects.order_by("pk").values_list("state", "problem")
    assert list(states) == [
        ("unreadable", "The report is more than 200 times its size when it is unpacked."),
        ("done", ""),
    ]


def test_a_large_report_by_mail_is_read_whole(domain: SendingDomain) -> None:
    records = tuple(Record(ip=f"10.{n >> 8}.{n & 255}.1", count="1") for n in range(20_000))
    content = Sample(records, begin=str(samples.BEGIN - 86_400), end=str(samples.END - 86_400)).xml().encode()
    message = samples.mail(content, "text/xml", "receiver!acme.example!1!2.xml")

    with Reader() as reader:
        found = reader.read_mail(message)

    assert len(message) > 9 << 20
    assert not isinstance(found, Unreadable)
    assert found.messages == 20_000  # type: ignore[union-attr]


def test_an_upload_is_read_in_the_process_for_hostile_bytes() -> None:
    assert read_upload(gzip.compress(REPORT)).organisation == "Receiver Inc."
    with pytest.raises(ReportInvalid, match="is no DMARC or TLS report"):
        read_upload(b"hello")


def test_a_report_of_a_day_to_come_counts_nothing(domain: SendingDomain) -> None:
    later = Sample(begin=str(samples.BEGIN + 86_400 * 30), end=str(samples.END + 86_400 * 30)).xml().encode()

    mail(samples.mail(gzip.compress(later)))
    process()

    assert NOW.year == 2026
    assert not DmarcCount.objects.exists()
    assert RawReport.objects.get().problem.startswith("It is about a day that has not come")
