"""The figures of a domain's reports: which sources are ours, and whether a stricter policy is safe."""

import datetime as dt

import pytest

from domains.models import DnsFinding, SendingDomain
from domains.reports import figures, store
from domains.senders import Sender
from mail.aggregates import dmarc
from tests.mail.aggregates.samples import BEGIN, END, Record, Sample, dkim, spf

pytestmark = pytest.mark.django_db
TODAY = dt.date(2026, 12, 10)
PROVIDER = Sender("Alpha", "acme.example", "acme.example", "Mailer", include="spf.mailer.example", selectors=("mlr1",))
OURS = Record(count="200", results=dkim("acme.example", "pass", "mlr1") + spf("bounce.mailer.example", "pass"))
FORGED = Record(
    ip="203.0.113.5", count="9", dkim="fail", spf="fail", disposition="reject", results=spf("evil.example", "pass")
)
OUR_FAILURE = Record(
    ip="198.51.100.1",
    count="50",
    dkim="fail",
    spf="fail",
    results=dkim("mailer.example", "pass", "x") + spf("bounce.mailer.example", "pass"),
)


def reports(*records: Record, days: int = 8, policy: str = "<p>none</p>") -> SendingDomain:
    domain, _ = SendingDomain.objects.get_or_create(name="acme.example")
    for day in range(days):
        begin, end = str(BEGIN + day * 86_400), str(END + day * 86_400)
        sample = Sample(records, number=f"n{day}", begin=begin, end=end, policy=policy)
        assert store.save(dmarc.parse(sample.xml().encode()), dt.datetime(2026, 12, 9, tzinfo=dt.UTC)).counted
    return domain


def of(domain: SendingDomain, days: int = 30) -> figures.DmarcFigures:
    return figures.dmarc_of(domain, [PROVIDER], ["br2612abcr"], TODAY, days)


def test_sources_are_ours_by_selector_or_by_the_providers_domain_and_others_unknown() -> None:
    found = of(reports(OURS, OUR_FAILURE, FORGED))

    (ours,) = found.ours
    assert (ours.name, ours.passed, ours.failed) == ("Mailer", 1600, 400)
    (unknown,) = found.unknown
    assert (unknown.name, unknown.failed, unknown.stopped, unknown.envelope) == (
        "203.0.113.0/24",
        72,
        72,
        "evil.example",
    )
    assert found.days[0] == (dt.date(2026, 11, 30), 200, 59)


def test_what_passed_is_ours_even_without_a_known_provider() -> None:
    own = Record(results=dkim("acme.example", "pass", "BR2612abcr"))
    relay = Record(ip="192.0.3.1", dkim="fail", results=spf("acme.example", "pass"))
    other = Record(ip="192.0.4.1", results=dkim("acme.example", "pass", "zz"))

    found = of(reports(own, relay, other))

    assert {line.name for line in found.ours} == {
        "Signed by Brilliance",
        "Allowed by SPF of acme.example",
        "Signed by acme.example (zz)",
    }
    assert not found.unknown


def test_our_own_mail_that_fails_is_ours_by_its_selector_or_its_network() -> None:
    broken = Record(ip="198.51.100.9", dkim="fail", spf="fail", results=dkim("acme.example", "fail", "br2612abcr"))
    relay = Record(ip="192.0.9.1", dkim="fail", results=spf("acme.example", "pass"))
    strayed = Record(ip="192.0.9.77", dkim="fail", spf="fail", results=spf("acme.example", "fail"))
    forged = Record(ip="203.0.113.5", dkim="fail", spf="fail", results=dkim("acme.example", "fail", "guessed"))

    found = of(reports(broken, relay, strayed, forged))

    assert {line.name: line.failed for line in found.ours} == {
        "Signed by Brilliance": 24,
        "Allowed by SPF of acme.example": 0,
        "Your network 192.0.9.0/24": 24,
    }
    assert [line.name for line in found.unknown] == ["203.0.113.0/24"]
    assert found.advice.state == "unknown"


@pytest.mark.parametrize(
    ("records", "days", "policy", "state", "said"),
    [
        ((OURS,), 6, "none", "unknown", "There are too few reports to tell."),
        ((Record(count="2"),), 8, "none", "unknown", "There are too few reports to tell."),
        ((OURS, FORGED), 8, "none", "good", "You can set p=quarantine: 100.0% of your mail passed."),
        ((OURS, FORGED), 8, "quarantine", "good", "You can set p=reject: 100.0% of your mail passed."),
        ((OURS, FORGED), 8, "reject", "good", "100.0% of your mail passed, and forged mail is rejected."),
        (
            (OURS, OUR_FAILURE),
            8,
            "none",
            "look",
            "Keep the policy as it is: 80.0% of your mail passed. First mend Mailer.",
        ),
    ],
)
def test_the_advice(records: tuple[Record, ...], days: int, policy: str, state: str, said: str) -> None:
    advice = of(reports(*records, days=days, policy=f"<p>{policy}</p>")).advice

    assert advice.state == state
    assert advice.sentence.startswith(said)


def test_the_policy_in_dns_counts_more_than_that_of_older_reports() -> None:
    domain = reports(OURS, policy="<p>reject</p>")
    now = dt.datetime(2026, 12, 9, tzinfo=dt.UTC)
    seen = '"v=DMARC1; sp=reject; p=none; rua=mailto:d@acme.example"'
    DnsFinding.objects.create(domain=domain, line="dmarc", state="good", seen=seen, changed_at=now, asked_at=now)

    assert of(domain).advice.sentence == "You can set p=quarantine: 100.0% of your mail passed."


def test_a_small_source_that_fails_is_named_though_the_policy_is_safe() -> None:
    big = Record(count="9999", results=dkim("acme.example", "pass", "zz"))
    small = Record(ip="198.51.100.1", count="1", dkim="fail", spf="fail", results=spf("bounce.mailer.example", "pass"))

    advice = of(reports(big, small)).advice

    assert advice.sentence == "You can set p=quarantine: 99.9% of your mail passed. These sources fail: Mailer."


def test_days_outside_the_period_do_not_count() -> None:
    domain = reports(OURS)

    assert of(domain, days=7).total == 200 * 4
    assert of(domain, days=30).total == 200 * 8
