"""Domains by themselves: found in servers and campaigns, looked at when due, and never worse for a silent resolver."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from campaigns.models import Campaign
from domains import rounds, senders, store
from domains.models import DnsChange, DnsFinding, SendingDomain
from mail.records.finding import COULD_NOT_ASK
from mail.records.transport import PolicySeen
from smtpservers.models import SmtpServer
from tests.domains.zones import DOMAIN, WITHOUT_FILES
from tests.peers.name_server import Nameserver, running_nameserver

NOW = dt.datetime(2026, 11, 30, 23, 50, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def nameserver() -> Iterator[Nameserver]:
    with running_nameserver(WITHOUT_FILES) as running:
        yield running


@pytest.fixture
def dns(nameserver: Nameserver) -> Iterator[Nameserver]:
    nameserver.zone, nameserver.asked = dict(WITHOUT_FILES), []
    with override_settings(DNS_RESOLVERS=[nameserver.address]):
        yield nameserver


def make_server(name: str = "Alpha", **fields: Any) -> SmtpServer:
    values = {"host": "relay.acme.example", "mail_from": f"News <news@{DOMAIN}>", **fields}
    return SmtpServer.objects.create(name=name, **values)


def check(now: dt.datetime) -> int:
    return rounds.check_due(lambda: now, lambda: False)


def state_of(line: str) -> tuple[str, str]:
    found = DnsFinding.objects.get(domain__name=DOMAIN, line=line)
    return found.state, found.fault


def test_domains_are_found_in_servers_return_paths_and_unfinished_campaigns_once() -> None:
    make_server(use_return_path=True, return_path="bounces@b.acme.example")
    make_server("Off", mail_from="a@off.example", is_active=False)
    Campaign.objects.create(name="One", subject="S", html="", mail_from="Shop <a@bücher.example>")
    Campaign.objects.create(name="Two", subject="S", html="", mail_from="{{ x }}")
    Campaign.objects.create(name="Old", subject="S", html="", mail_from="a@old.example", status="finished")

    assert rounds.discover(NOW) == 3
    assert rounds.discover(NOW) == 0
    assert list(SendingDomain.objects.values_list("name", flat=True)) == [
        DOMAIN,
        "b.acme.example",
        "xn--bcher-kva.example",
    ]


def test_what_servers_say_is_told_for_each_domain() -> None:
    make_server("Bulk", preset="sendgrid")
    make_server(
        "Ours", is_own_relay=True, domain_name="out.acme.example", use_return_path=True, return_path="b@r.example"
    )
    make_server("Theirs", mail_from="x@other.example")
    Campaign.objects.create(name="One", subject="S", html="", mail_from="a@campaign.example")

    bulk, ours = senders.senders_of(DOMAIN)

    assert (bulk.include, bulk.replaces_envelope, bulk.selectors) == ("sendgrid.net", True, ("s1", "s2"))
    assert (ours.envelope, ours.is_own_relay, ours.helo) == ("r.example", True, "out.acme.example")
    assert [sender.server for sender in senders.senders_of("r.example")] == ["Ours"]
    assert [sender.envelope for sender in senders.senders_of("campaign.example")] == [
        "campaign.example",
        "r.example",
        "campaign.example",
    ]
    assert senders.senders_of("nobody.example") == []


def test_a_good_domain_is_looked_at_daily_and_a_broken_one_hourly(dns: Nameserver) -> None:
    make_server(is_own_relay=True)
    rounds.discover(NOW)
    SendingDomain.objects.update(selectors="s1")

    assert check(NOW) == 1
    assert check(NOW) == 0
    good = SendingDomain.objects.get()
    assert good.next_check_at == NOW + DAY
    assert not rounds.is_due(good, NOW + DAY - dt.timedelta(minutes=1))
    dns.zone["_dmarc.acme.example"] = {}
    check(NOW + DAY)

    assert SendingDomain.objects.get().next_check_at == NOW + DAY + HOUR
    assert state_of("dmarc") == ("broken", "dmarc-missing")


def test_trouble_of_the_resolver_keeps_the_last_state_and_is_tried_again_within_the_hour(dns: Nameserver) -> None:
    make_server(is_own_relay=True)
    rounds.discover(NOW)
    check(NOW)
    before = DnsFinding.objects.get(line="dmarc")
    dns.zone["_dmarc.acme.example"] = "SERVFAIL"

    check(NOW + DAY)

    after = DnsFinding.objects.get(line="dmarc")
    assert (after.state, after.seen, after.asked_at, after.changed_at) == ("good", before.seen, NOW, NOW)
    assert after.unanswered_at == NOW + DAY
    assert "Could not ask" in after.unanswered
    assert SendingDomain.objects.get().next_check_at == NOW + DAY + HOUR
    assert not DnsChange.objects.exists()


def test_a_first_look_without_an_answer_is_unknown_and_the_first_answer_no_change(dns: Nameserver) -> None:
    make_server()
    rounds.discover(NOW)
    dns.zone["_dmarc.acme.example"] = "REFUSED"
    check(NOW)
    assert state_of("dmarc") == ("unknown", COULD_NOT_ASK)
    dns.zone["_dmarc.acme.example"] = WITHOUT_FILES["_dmarc.acme.example"]

    check(NOW + HOUR)

    assert state_of("dmarc") == ("good", "")
    assert not DnsChange.objects.filter(line="dmarc").exists()


def test_drift_is_kept_with_what_dns_had_before_and_only_what_breaks_or_heals_is_to_be_told(dns: Nameserver) -> None:
    make_server(is_own_relay=True)
    rounds.discover(NOW)
    check(NOW)
    dns.zone["_dmarc.acme.example"] = {"TXT": ["v=DMARC1; p=quarantine; rua=mailto:dmarc@acme.example"]}
    check(NOW + DAY)
    dns.zone["_dmarc.acme.example"] = {}
    check(NOW + 2 * DAY)

    broke, drifted = DnsChange.objects.filter(line="dmarc")

    assert (drifted.before, drifted.after, drifted.is_told) == ("good", "good", True)
    assert "p=reject" in drifted.seen_before
    assert "p=quarantine" in drifted.seen_after
    assert (broke.before, broke.after, broke.is_told, broke.changed_at) == ("good", "broken", False, NOW + 2 * DAY)


def test_the_order_in_which_a_name_server_lists_records_is_no_change(dns: Nameserver) -> None:
    dns.zone[DOMAIN] = {"MX": [f"10 mx{n}.acme.example." for n in range(9)], "A": ["192.0.2.1"]}
    make_server()
    rounds.discover(NOW)
    for day in range(4):  # The server shuffles them.
        check(NOW + day * DAY)

    assert not DnsChange.objects.exists()


def test_a_domain_taken_by_a_worker_that_died_is_due_again_after_the_lease(dns: Nameserver) -> None:
    SendingDomain.objects.create(name=DOMAIN, next_check_at=NOW)

    taken = rounds._claim(NOW)
    assert taken is not None
    taken.refresh_from_db()
    assert rounds.is_due(taken, NOW)  # The page goes on to follow it.
    assert rounds._claim(NOW) is None
    assert rounds._claim(NOW + rounds.LEASE) is not None


def test_the_longest_domain_and_one_deleted_meanwhile_are_no_trouble(dns: Nameserver) -> None:
    longest = ".".join(["a" * 61] * 4)[:245] + ".example"
    SendingDomain.objects.create(name=longest, next_check_at=NOW)
    gone = SendingDomain.objects.create(name=DOMAIN)
    found = rounds.look(DOMAIN, [], NOW, PolicySeen())
    SendingDomain.objects.filter(pk=gone.pk).delete()

    store.save(gone, found, NOW)

    assert check(NOW) == 1
    assert DnsFinding.objects.get(domain__name=longest, line="dmarc").record_name == f"_dmarc.{longest}"


def test_a_record_with_an_address_that_no_request_can_hold_is_a_finding(dns: Nameserver) -> None:
    dns.zone["default._bimi.acme.example"] = {"TXT": ["v=BIMI1; l=https://acme.example/lögo.svg; a="]}
    SendingDomain.objects.create(name=DOMAIN, next_check_at=NOW)

    assert check(NOW) == 1

    assert state_of("bimi") == ("look", "bimi-unreachable")
    assert "has to be percent-encoded" in DnsFinding.objects.get(line="bimi").sentence


def test_one_domain_s_unexpected_error_is_logged_and_the_next_is_asked(
    dns: Nameserver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def senders_of(domain: str) -> Iterator[senders.Sender]:
        if domain == DOMAIN:
            raise UnicodeError("a record that nobody thought of")
        yield from ()

    SendingDomain.objects.create(name=DOMAIN, next_check_at=NOW - HOUR)
    SendingDomain.objects.create(name="b.acme.example", next_check_at=NOW)
    monkeypatch.setitem(senders.SENDERS, "test", senders_of)

    assert check(NOW) == 2

    assert list(DnsFinding.objects.values_list("domain__name", flat=True).distinct()) == ["b.acme.example"]
    assert f"the look at the domain {DOMAIN} failed" in caplog.text
    failed = SendingDomain.objects.get(name=DOMAIN)
    assert (failed.next_check_at, failed.taken_at) == (NOW + HOUR, None)


def test_what_is_saved_during_a_look_is_looked_at_next(dns: Nameserver) -> None:
    domain = SendingDomain.objects.create(name=DOMAIN, next_check_at=NOW)
    taken = rounds._claim(NOW)
    assert taken is not None
    found = rounds.look(DOMAIN, [], NOW, PolicySeen())
    saved_at = NOW + dt.timedelta(seconds=30)
    SendingDomain.objects.filter(pk=domain.pk).update(selectors="s9", next_check_at=saved_at)

    store.save(taken, found, NOW + dt.timedelta(minutes=1))

    domain.refresh_from_db()
    assert (domain.checked_at, domain.next_check_at) == (NOW + dt.timedelta(minutes=1), saved_at)
    assert check(NOW + dt.timedelta(minutes=2)) == 1


def test_names_reserved_for_examples_are_never_asked_for() -> None:
    SendingDomain.objects.create(name="shop.example", next_check_at=NOW)

    assert check(NOW) == 0
    assert SendingDomain.objects.get().next_check_at is None
