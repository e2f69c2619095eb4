"""What a domain's page and ``check_domain`` say of our own keys: in the lines DKIM and alignment."""

import datetime as dt
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from domains import rounds
from domains.inspection import Inspection
from domains.keys import lifecycle
from domains.keys.dns_check import DnsCheck
from domains.models import DkimKey, SendingDomain
from mail.records.finding import Finding, Line
from mail.records.transport import PolicySeen
from smtpservers.models import SmtpServer
from tests.domains.keys.making import make_signing, published
from tests.domains.zones import DOMAIN, WITHOUT_FILES
from tests.peers.name_server import Nameserver, running_nameserver

pytestmark = pytest.mark.django_db


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with running_nameserver(WITHOUT_FILES) as running, override_settings(DNS_RESOLVERS=[running.address]):
        yield running


def make_server(**fields: Any) -> SmtpServer:
    values = {"host": "relay.acme.example", "mail_from": f"News <news@{DOMAIN}>", "dkim": "brilliance", **fields}
    return SmtpServer.objects.create(name="Ours", **values)


def publish(dns: Nameserver) -> None:
    dns.zone = {**WITHOUT_FILES, **{name: {"TXT": [value]} for name, value in published().items()}}


def look(domain: str = DOMAIN) -> Inspection:
    return rounds.look(domain, [], timezone.now(), PolicySeen())


def line(found: Inspection, name: Line) -> Finding:
    return next(finding for finding in found.findings if finding.line is name)


def test_without_a_key_mail_waits_and_the_line_says_what_to_do(dns: Nameserver) -> None:
    make_server()
    SendingDomain.objects.create(name=DOMAIN)

    found = line(look(), Line.DKIM)

    assert (found.state, found.fault, found.record) == ("broken", "dkim-waits", None)
    assert found.sentence == (
        "No key for acme.example signs, so mail through Ours waits. Make keys, and publish their records."
    )


def test_a_key_that_waits_is_the_record_to_publish(dns: Nameserver) -> None:
    make_server(requires_dkim=False)
    domain = SendingDomain.objects.create(name=DOMAIN)
    lifecycle.make_pair(domain.pk, timezone.now())

    found = line(look(), Line.DKIM)

    assert (found.state, found.fault) == ("look", "dkim-unsigned")
    assert found.record is not None
    assert found.record.value == DkimKey.objects.get(algorithm="rsa").record


def test_a_key_that_dns_has_asks_for_nothing_and_its_line_follows_at_once(dns: Nameserver) -> None:
    make_server()
    domain = SendingDomain.objects.create(name=DOMAIN)
    lifecycle.make_pair(domain.pk, timezone.now())
    rounds.check_due(timezone.now, lambda: False)
    later = timezone.now() + dt.timedelta(hours=1)
    SendingDomain.objects.update(next_check_at=later)
    publish(dns)

    lifecycle.keep(DnsCheck(), timezone.now, lambda: False)
    found = line(look(), Line.DKIM)

    assert set(DkimKey.objects.values_list("state", flat=True)) == {"seen"}
    assert SendingDomain.objects.get().next_check_at < later
    assert (found.state, found.fault, found.record) == ("broken", "dkim-waits", None)
    assert found.sentence.endswith("DNS has the record of its key, and signing starts after a second check.")


@pytest.mark.parametrize("author", [DOMAIN, "news.acme.example"])
def test_keys_that_sign_are_looked_for_and_align(dns: Nameserver, author: str) -> None:
    make_server(mail_from=f"News <news@{author}>")
    rsa, ed25519 = make_signing(DOMAIN, timezone.now())
    publish(dns)

    found = look(author)

    assert (line(found, Line.DKIM).state, line(found, Line.DKIM).fault) == ("good", "")
    assert line(found, Line.DKIM).sentence == f"Good keys under: {rsa.selector}, {ed25519.selector}."
    assert [(row.signer, row.dkim) for row in found.rows] == [(DOMAIN, True)]


def test_a_record_with_another_key_is_named_and_ours_shown(dns: Nameserver) -> None:
    make_server()
    rsa, _ed25519 = make_signing(DOMAIN, timezone.now())
    publish(dns)
    dns.zone[f"{rsa.selector}._domainkey.{DOMAIN}"] = WITHOUT_FILES["s1._domainkey.acme.example"]

    found = line(look(), Line.DKIM)

    assert (found.state, found.fault) == ("broken", "dkim-other-key")
    assert found.record is not None
    assert found.record.value == rsa.record


def test_the_command_knows_the_keys_too(dns: Nameserver) -> None:
    make_server()
    make_signing(DOMAIN, timezone.now())
    told = StringIO()

    with pytest.raises(SystemExit):
        call_command("check_domain", DOMAIN, "--json", stdout=told)

    lines = {each["line"]: each for each in json.loads(told.getvalue())}
    assert (lines["dkim"]["state"], lines["dkim"]["fault"]) == ("broken", "dkim-missing")
    assert "IN TXT" in lines["dkim"]["record"]


def test_a_provider_that_signs_is_not_asked_for_our_keys(dns: Nameserver) -> None:
    make_server(dkim="provider")

    assert line(look(), Line.DKIM).fault not in ("dkim-waits", "dkim-unsigned")
