"""The checks of DNS: each stored fault is told in the review, with its weight, and nobody is asked."""

import datetime as dt
from typing import Any

import pytest

from campaigns.models import Campaign
from campaigns.preflight.review import review
from domains.models import DnsFinding
from mail.records.finding import Line
from smtpservers.models import SmtpServer
from tests.campaigns.gate import AUTHOR, ENVELOPE, NOW, accepted, know, know_all, of, told

pytestmark = pytest.mark.django_db


def test_a_sound_campaign_passes_all_of_them(relayed: Campaign) -> None:
    found = review(relayed, NOW)

    assert [finding for finding in found.findings if finding.check_id[0] in "DS"] == []
    assert {"SPF record", "DKIM key", "DMARC policy", "Domain alignment", "Return path", "Sign-in"} <= set(found.passed)


@pytest.mark.parametrize(
    ("domain", "line", "state", "fault", "check_id", "severity"),
    [
        (ENVELOPE, Line.SPF, "broken", "spf-missing", "D1", "block"),
        (ENVELOPE, Line.SPF, "broken", "spf-two-records", "D1", "block"),
        (ENVELOPE, Line.SPF, "broken", "spf-too-many-lookups", "D1", "block"),
        (ENVELOPE, Line.SPF, "broken", "spf-all-pass", "D1", "block"),
        (ENVELOPE, Line.SPF, "look", "spf-all-neutral", "D1", "warn"),
        (ENVELOPE, Line.SPF, "look", "spf-many-lookups", "D1", "warn"),
        (ENVELOPE, Line.SPF, "look", "spf-provider-missing", "D2", "warn"),
        (ENVELOPE, Line.SPF, "broken", "spf-relay-missing", "D2", "warn"),
        (AUTHOR, Line.DKIM, "look", "dkim-weak-key", "D3", "warn"),
        (AUTHOR, Line.DKIM, "unknown", "", "D3", "warn"),
        (AUTHOR, Line.DMARC, "broken", "dmarc-missing", "D4", "warn"),
        (AUTHOR, Line.DMARC, "look", "dmarc-no-reports", "D4", "warn"),
        (AUTHOR, Line.DMARC, "look", "dmarc-obsolete-tags", "D4", "warn"),
        (AUTHOR, Line.MX, "broken", "domain-missing", "D6", "block"),
        (AUTHOR, Line.MX, "broken", "soa-missing", "D6", "block"),
        (AUTHOR, Line.MX, "look", "mx-missing", "D6", "warn"),
        (ENVELOPE, Line.MX, "broken", "domain-missing", "D6", "block"),
        (ENVELOPE, Line.MX, "look", "mx-missing", "D7", "warn"),
        (ENVELOPE, Line.MX, "broken", "mx-null", "D7", "block"),
        (AUTHOR, Line.BLOCK_LISTS, "look", "listed", "D9", "warn"),
        (AUTHOR, Line.MTA_STS, "broken", "mta-sts-policy", "D10", "inform"),
        (AUTHOR, Line.TLS_RPT, "look", "tls-rpt-address", "D10", "inform"),
        (AUTHOR, Line.BIMI, "look", "bimi-dmarc", "D10", "inform"),
    ],
)
def test_a_fault_is_told_with_its_weight(
    relayed: Campaign, domain: str, line: Line, state: str, fault: str, check_id: str, severity: str
) -> None:
    know(domain, line, state, fault, f"The fault is {fault}.")

    assert told(relayed, check_id) == [severity]
    assert [each.check_id for each in review(relayed, NOW).findings if each.check_id[0] == "D"] == [check_id]


def test_a_missing_key_blocks_unless_the_servers_use_a_good_one_beside_it(relayed: Campaign) -> None:
    know(AUTHOR, Line.DKIM, "broken", "dkim-revoked")
    assert told(relayed, "D3") == ["warn"]

    know(AUTHOR, Line.ALIGNMENT, rows=[["Relay", ENVELOPE, "", True, None]])

    assert told(relayed, "D3") == ["block"]


def test_our_missing_key_blocks_the_servers_that_need_it_and_no_others(relayed: Campaign) -> None:
    know(AUTHOR, Line.DKIM, "broken", "dkim-waits")
    assert told(relayed, "D3") == []

    know(AUTHOR, Line.ALIGNMENT, rows=[["Relay", ENVELOPE, "", True, None]])
    assert told(relayed, "D3") == ["warn"]

    SmtpServer.objects.update(dkim="brilliance")
    assert told(relayed, "D3") == ["block"]


def test_a_missing_policy_blocks_bulk_senders(relayed: Campaign) -> None:
    know(AUTHOR, Line.DMARC, "broken", "dmarc-missing")
    assert told(relayed, "D4") == ["warn"]

    accepted("google.com", 5_001)

    assert told(relayed, "D4") == ["block"]


def test_a_policy_of_none_is_a_note(relayed: Campaign) -> None:
    know(AUTHOR, Line.DMARC, seen="v=DMARC1; p=none; rua=mailto:d@gatehouse.net")

    assert told(relayed, "D4") == ["inform"]


@pytest.mark.parametrize(
    ("row", "severities"),
    [
        ([True, True], []),
        ([False, False], ["block"]),
        ([False, True], ["warn"]),
        ([True, False], ["warn"]),
        ([False, None], ["warn"]),
        ([True, None], []),
    ],
)
def test_alignment_blocks_if_neither_agrees(relayed: Campaign, row: list[Any], severities: list[str]) -> None:
    know(AUTHOR, Line.ALIGNMENT, rows=[["Relay", ENVELOPE, AUTHOR, *row]])

    assert told(relayed, "D5") == severities


def test_where_the_provider_replaces_the_return_path_its_checks_inform(relayed: Campaign) -> None:
    SmtpServer.objects.update(preset="postmark")
    know(ENVELOPE, Line.SPF, "broken", "spf-missing")
    know(ENVELOPE, Line.MX, "broken", "mx-null")

    assert told(relayed, "D1") == ["inform"]
    assert told(relayed, "D7") == ["inform"]
    know(ENVELOPE, Line.SPF, "look", "spf-provider-missing")
    assert told(relayed, "D2") == ["inform"]


def test_reverse_dns_counts_for_own_relays_alone(relayed: Campaign) -> None:
    know(AUTHOR, Line.PTR, "broken", "ptr-missing")
    assert told(relayed, "D8") == []

    SmtpServer.objects.update(is_own_relay=True)

    assert told(relayed, "D8") == ["block"]


def test_a_server_without_an_address_for_misuse_gets_a_note(relayed: Campaign) -> None:
    SmtpServer.objects.update(use_abuse_address=False)

    [finding] = of(review(relayed, NOW), "D11")
    assert finding.severity.value == "inform"
    assert f"postmaster@{AUTHOR}" in finding.sentence


def test_what_is_too_old_warns_and_never_blocks(relayed: Campaign) -> None:
    for line in Line:
        know(AUTHOR, line, "broken", "x", asked_at=NOW - dt.timedelta(hours=25, minutes=1))
        know(ENVELOPE, line, "broken", "x", asked_at=NOW - dt.timedelta(hours=25, minutes=1))

    found = [each for each in review(relayed, NOW).findings if each.check_id[0] == "D"]

    assert [(each.check_id, each.severity.value) for each in found] == [("D0", "warn"), ("D0", "warn")]
    assert "was last asked more than 25 hours ago: DKIM, DMARC, Alignment, MX." in found[0].sentence
    assert "SPF record" not in review(relayed, NOW).passed
    know_all(NOW - dt.timedelta(hours=25))
    assert told(relayed, "D0") == []


def test_what_was_never_asked_or_never_answered_warns(relayed: Campaign) -> None:
    DnsFinding.objects.all().delete()
    assert told(relayed, "D0") == ["warn", "warn"]

    know_all()
    know(AUTHOR, Line.DMARC, "unknown", "could-not-ask")

    [finding] = of(review(relayed, NOW), "D0")
    assert finding.sentence == "DNS of gatehouse.net hasn't been asked yet: DMARC."


def test_a_campaign_with_a_from_of_its_own_is_judged_by_that_domain(relayed: Campaign) -> None:
    SmtpServer.objects.update(use_return_path=False)
    relayed.mail_from = "News <news@shop.gatehouse.net>"
    relayed.save()

    [finding] = of(review(relayed, NOW), "D0")

    assert finding.domain == "shop.gatehouse.net"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_servers_on_this_machine_have_no_such_rows(relayed: Campaign, host: str) -> None:
    SmtpServer.objects.update(host=host)
    DnsFinding.objects.all().delete()

    assert [each.check_id for each in review(relayed, NOW).findings if each.check_id[0] in "DST"] == []
