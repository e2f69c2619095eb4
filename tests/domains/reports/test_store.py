"""The account of DMARC and TLS reports: once each, by day, for listed domains only."""

import datetime as dt
import json

import pytest

from domains.models import DmarcCount, DomainReport, SendingDomain, TlsCount
from domains.reports import store
from mail.aggregates import dmarc, tls
from mail.aggregates.report import DmarcReport
from tests.mail.aggregates.samples import Record, Sample, dkim, spf, tls_policy, tls_report

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 12, 1, 6, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 11, 30)


def report(*records: Record, number: str = "1", **changes: str) -> DmarcReport:
    return dmarc.parse(Sample(records or (Record(),), number=number, **changes).xml().encode())  # type: ignore[arg-type]


@pytest.fixture
def domain() -> SendingDomain:
    return SendingDomain.objects.create(name="acme.example")


def test_a_report_counts_once_and_another_adds_to_its_rows(domain: SendingDomain) -> None:
    said = [store.save(report(number=number), NOW) for number in ("1", "1", "2")]

    assert said == [store.Saved(counted=1), store.Saved(repeated=1), store.Saved(counted=1)]
    row = DmarcCount.objects.get()
    assert (row.domain, row.day, row.network, row.dkim_selector) == (domain, DAY, "192.0.2.0/24", "s1")
    assert row.messages == 6
    assert [(each.total, each.failed, each.policy) for each in DomainReport.objects.all()] == [(3, 0, "none")] * 2


def test_two_reporters_with_the_same_number_both_count(domain: SendingDomain) -> None:
    store.save(report(organisation="One"), NOW)
    store.save(report(organisation="Two"), NOW)

    assert DmarcCount.objects.get().messages == 6


def test_a_listed_subdomain_gets_its_own_rows(domain: SendingDomain) -> None:
    news = SendingDomain.objects.create(name="news.acme.example")

    store.save(
        report(Record(count="1"), Record(author="news.acme.example", count="2"), Record(author="x.acme.example")), NOW
    )

    assert list(DmarcCount.objects.filter(domain=news).values_list("messages", flat=True)) == [2]
    assert set(DmarcCount.objects.filter(domain=domain).values_list("author", "messages")) == {
        ("acme.example", 1),
        ("x.acme.example", 3),
    }


def test_a_report_about_another_policy_counts_nothing_whoever_it_names(domain: SendingDomain) -> None:
    assert (
        store.save(report(domain="other.example"), NOW).problem
        == "It is about other.example, which is none of your domains."
    )
    assert store.save(report(domain="cme.example"), NOW).problem
    assert not DmarcCount.objects.exists()


def test_the_policy_of_a_parent_counts_for_a_listed_domain_below(domain: SendingDomain) -> None:
    SendingDomain.objects.update(name="news.acme.example")

    assert store.save(report(Record(author="news.acme.example")), NOW) == store.Saved(counted=1)
    assert DmarcCount.objects.get().messages == 3


def test_what_fails_is_counted(domain: SendingDomain) -> None:
    store.save(report(Record(count="5"), Record(count="7", dkim="fail", spf="fail", disposition="reject")), NOW)

    assert DomainReport.objects.get().failed == 7


def test_others_domains_count_nothing_and_say_so() -> None:
    assert store.save(report(), NOW).problem == "It is about acme.example, which is none of your domains."
    assert not DomainReport.objects.exists()


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (dt.datetime(2026, 11, 20, tzinfo=dt.UTC), "It is about a day that has not come: 30 November 2026."),
        (dt.datetime(2028, 2, 1, tzinfo=dt.UTC), "It is about 30 November 2026. Reports are kept for thirteen months."),
    ],
)
def test_times_that_cannot_be_are_refused(domain: SendingDomain, now: dt.datetime, said: str) -> None:
    assert store.save(report(), now) == store.Saved(problem=said)
    assert not DmarcCount.objects.exists()


def test_the_smallest_of_many_sources_count_together(domain: SendingDomain) -> None:
    records = tuple(
        Record(
            ip=f"10.{n >> 8}.{n & 255}.1", count="2" if n < 1000 else "1", dkim="pass" if n % 2 else "fail", spf="fail"
        )
        for n in range(1200)
    )

    store.save(report(*records), NOW)

    assert DmarcCount.objects.count() == 1002
    folded = DmarcCount.objects.filter(network="")
    assert sorted(folded.values_list("is_dkim_aligned", "messages")) == [(False, 100), (True, 100)]
    assert DomainReport.objects.get().total == 2200


def test_a_report_without_records_is_a_report(domain: SendingDomain) -> None:
    assert store.save(dmarc.parse(Sample(()).xml().encode()), NOW) == store.Saved(counted=1)

    assert DomainReport.objects.get().total == 0


def test_sessions_count_once_by_result_and_host(domain: SendingDomain) -> None:
    content = json.dumps(tls_report(policies=[tls_policy(), tls_policy("other.example")])).encode()

    assert [store.save(tls.parse(content), NOW).counted for _ in range(2)] == [1, 0]

    assert set(TlsCount.objects.values_list("day", "result", "host", "sessions")) == {
        (DAY, "", "", 5_326),
        (DAY, "certificate-expired", "mx1.acme.example", 100),
        (DAY, "starttls-not-supported", "mx2.acme.example", 200),
        (DAY, "other", "", 3),
    }
    assert DomainReport.objects.get().failed == 303


def test_after_thirteen_months_reports_are_forgotten(domain: SendingDomain) -> None:
    store.save(report(Record(results=dkim("acme.example", "pass") + spf("acme.example", "pass"))), NOW)
    store.save(tls.parse(json.dumps(tls_report()).encode()), NOW)

    assert store.forget_old(NOW + dt.timedelta(days=390)) == 0
    store.forget_old(NOW + dt.timedelta(days=402))

    assert not DmarcCount.objects.exists()
    assert not TlsCount.objects.exists()
    assert not DomainReport.objects.exists()
