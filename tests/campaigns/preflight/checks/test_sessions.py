"""The checks of sessions with servers: the stored result of the last one is told in the review with its weight."""

import datetime as dt
from typing import Any

import pytest

from campaigns.models import Campaign
from campaigns.preflight.review import review
from smtpservers.models import ServerSession, SmtpServer
from tests.campaigns.gate import AUTHOR, NOW, of, told, tried

pytestmark = pytest.mark.django_db
SENDER = "bounces@bounces.gatehouse.net"


@pytest.mark.parametrize(
    ("fields", "check_id", "severity"),
    [
        ({"fault": "connection"}, "S1", "block"),
        ({"fault": "connection", "is_temporary": True}, "S1", "warn"),
        ({"fault": "tls"}, "S1", "block"),
        ({"fault": "sign-in"}, "S2", "block"),
        ({"fault": "sign-in", "is_temporary": True}, "S2", "warn"),
        ({"senders": {SENDER: "550 5.7.1 not yours"}}, "S3", "block"),
        ({"senders": {"news@elsewhere.net": "550 5.7.1 not yours"}}, "S3", None),
        ({"extensions": "SIZE"}, "S4", "inform"),
        ({"is_encrypted": False}, "S5", "warn"),
        ({"is_encrypted": False, "is_signed_in": True}, "S5", "fatal"),
    ],
)
def test_a_fault_is_told_with_its_weight(
    relayed: Campaign, relay: SmtpServer, fields: dict[str, Any], check_id: str, severity: str | None
) -> None:
    tried(relay, **fields)

    assert told(relayed, check_id) == ([severity] if severity else [])
    others = [each.check_id for each in review(relayed, NOW).findings if each.check_id[0] == "S"]
    assert set(others) <= {check_id}


@pytest.mark.parametrize(("days", "severities"), [(13, ["warn"]), (15, []), (-1, ["warn"])])
def test_a_certificate_that_ends_soon_warns(relayed: Campaign, days: int, severities: list[str]) -> None:
    SmtpServer.objects.update(certificate_expires_at=NOW + dt.timedelta(days=days))

    assert told(relayed, "S1") == severities


def test_a_fault_only_warns_while_another_server_takes_over(relayed: Campaign, relay: SmtpServer) -> None:
    other = SmtpServer.objects.create(
        name="Other", host="smtp.other-company.net", mail_from=f"Shop <news@{AUTHOR}>", tested_at=NOW
    )
    tried(other)
    tried(relay, fault="sign-in", sentence="The password of the account was rejected.")

    [finding] = of(review(relayed, NOW), "S2")
    assert (finding.severity.value, finding.sentence) == ("warn", "Relay rejects our sign-in.")
    assert "password of the account" in finding.detail
    tried(other, fault="connection")

    assert told(relayed, "S2") == ["block"]
    assert told(relayed, "S1") == ["block"]


@pytest.mark.parametrize(
    "fields",
    [
        {"asked_at": None},
        {"asked_at": NOW - dt.timedelta(hours=1, seconds=1)},
        {"version": 99},  # The settings were edited since.
    ],
)
def test_what_is_not_known_warns_and_never_blocks(relayed: Campaign, relay: SmtpServer, fields: dict[str, Any]) -> None:
    tried(relay, **{"fault": "tls"} | fields)

    assert [each.check_id for each in review(relayed, NOW).findings if each.check_id[0] == "S"] == ["S0"]
    assert told(relayed, "S0") == ["warn"]
    SmtpServer.objects.update(last_success_at=NOW - dt.timedelta(minutes=5))
    assert told(relayed, "S0") == []  # Real mail went through.


@pytest.mark.parametrize(
    ("fault", "passed"),
    [("", {"Connection", "Sign-in", "Sender accepted"}), ("sign-in", {"Connection"}), ("connection", set())],
)
def test_no_step_that_was_never_reached_is_called_passed(
    relayed: Campaign, relay: SmtpServer, fault: str, passed: set[str]
) -> None:
    tried(relay, fault=fault)

    assert {"Connection", "Sign-in", "Sender accepted"} & set(review(relayed, NOW).passed) == passed


def test_a_server_that_was_never_tried_warns(relayed: Campaign) -> None:
    ServerSession.objects.all().delete()

    assert told(relayed, "S0") == ["warn"]


def test_the_end_of_passwords_is_told_before_it_comes(relayed: Campaign) -> None:
    SmtpServer.objects.update(preset="m365", username="news@gatehouse.net")
    [microsoft] = of(review(relayed, NOW), "S2")
    SmtpServer.objects.update(preset="workspace")
    [google] = of(review(relayed, NOW), "S2")
    SmtpServer.objects.update(preset="", host="smtp.office365.com")
    [by_host] = of(review(relayed, NOW), "S2")

    assert microsoft.sentence.startswith(
        "Relay: Microsoft 365 (client submission) switches off sign-in with a password"
    )
    assert "31 Dec 2026" in microsoft.sentence
    assert "refused the account's password since May 2025" in google.sentence
    assert "31 Dec 2026" in by_host.sentence
    assert {each.severity.value for each in (microsoft, google, by_host)} == {"warn"}
