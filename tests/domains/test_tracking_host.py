"""A domain's own host of links: proved by real DNS and our own edge over TLS, and used by no mail before."""

import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from domains import known, rounds
from domains.forms import SendingDomainForm
from domains.lookups import Lookups
from domains.models import DnsChange, DnsFinding, SendingDomain
from tests.domains.test_pages import client as signed_in
from tests.domains.zones import DOMAIN, WITHOUT_FILES
from tests.feedback.visits.conftest import own_spool  # noqa: F401  # A fixture.
from tests.feedback.visits.making import edge_before
from tests.peers.name_server import Nameserver, running_nameserver
from tests.peers.unsubscribe_page import CA, page

NOW = dt.datetime(2026, 11, 30, 23, 50, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
HOST, HOME = f"click.{DOMAIN}", "mail.brilliance.example"
GIF = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nGIF89a\x01\x00"
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
pytestmark = pytest.mark.django_db(transaction=True)  # The edge answers in threads of its own.

At = Callable[[int], None]


@pytest.fixture(scope="module")
def nameserver() -> Iterator[Nameserver]:
    with running_nameserver({}) as running:
        yield running


@pytest.fixture
def dns(nameserver: Nameserver, settings: LazySettings) -> Nameserver:
    nameserver.zone = {**WITHOUT_FILES, HOST: {"CNAME": [f"{HOME}."]}, HOME: {"A": ["127.0.0.1"]}}
    settings.DNS_RESOLVERS = [nameserver.address]
    settings.TRACKING_URL = settings.BASE_URL = f"https://{HOME}"
    settings.IS_LOOPBACK = True
    return nameserver


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> At:
    """Return a function that leads https to a port of this machine, and trusts the certificates there."""
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    def lead(port: int) -> None:
        class LookupsThere(Lookups):
            def fetch(self, url: str, most_octets: int) -> bytes:
                return super().fetch(url.replace(f"{HOST}/", f"{HOST}:{port}/"), most_octets)

        monkeypatch.setattr(rounds, "Lookups", LookupsThere)

    return lead


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def edge(at: At, own_spool: None) -> Iterator[WSGIServer]:  # noqa: F811  # The fixture.
    """Run this installation's edge with a certificate for the host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(HOST).configure_cert(context)
    application: Any = edge_before()
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        at(server.server_port)
        yield server
        server.shutdown()
        thread.join()


def make_domain(**fields: Any) -> SendingDomain:
    return SendingDomain.objects.create(name=DOMAIN, tracking_host=HOST, next_check_at=NOW, **fields)


def look(now: dt.datetime = NOW) -> DnsFinding:
    SendingDomain.objects.update(next_check_at=now)
    assert rounds.check_due(lambda: now, lambda: False) == 1
    return DnsFinding.objects.get(line="tracking")


def test_a_host_that_leads_to_this_installation_is_used_once_a_look_has_proved_it(
    dns: Nameserver, edge: WSGIServer
) -> None:
    make_domain()
    assert known.tracking_hosts() == {}

    found = look()

    assert (found.state, found.fault) == ("good", "")
    assert HOST in found.sentence
    assert HOME in found.seen
    assert known.tracking_hosts() == known.tracking_hosts([DOMAIN]) == {DOMAIN: HOST}
    assert known.tracking_hosts(["other.example"]) == {}


def test_a_host_without_an_address_gets_the_record_to_publish_and_an_early_next_look(
    dns: Nameserver, edge: WSGIServer
) -> None:
    make_domain()
    del dns.zone[HOST]

    found = look()

    assert (found.state, found.fault) == ("look", "tracking-host-missing")
    assert (found.record_name, found.record_kind, found.record_value) == (HOST, "CNAME", f"{HOME}.")
    assert HOME in found.sentence
    assert known.tracking_hosts() == {}
    assert SendingDomain.objects.get().next_check_at == NOW + HOUR


def test_a_host_that_holds_a_zone_or_a_home_without_a_name_gets_no_alias_to_publish(
    dns: Nameserver, edge: WSGIServer, settings: LazySettings
) -> None:
    domain = make_domain()
    dns.zone[HOST] = {"SOA": [f"ns.{DOMAIN}. a.{DOMAIN}. 1 7200 3600 1209600 300"]}
    of_zone = look()
    del dns.zone[HOST]
    settings.TRACKING_URL = "https://203.0.113.9"
    of_address = look(NOW + HOUR)

    assert of_zone.fault == of_address.fault == "tracking-host-missing"
    assert (of_zone.record_name, of_address.record_name) == ("", "")
    assert domain.used_tracking_host == ""


@pytest.mark.parametrize(
    ("answer", "name", "fault"),
    [
        (GIF, HOST, "tracking-host-elsewhere"),  # A foreign counter has a pixel for every address.
        (GIF.replace(b"GIF89a", b"<html>"), HOST, "tracking-host-elsewhere"),
        (MISSING, HOST, "tracking-host-unreachable"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://localhost/\r\n\r\n", HOST, "tracking-host-unreachable"),
        (b"SSH-2.0\r\n\r\n", HOST, "tracking-host-unreachable"),
        (GIF, "other.example", "tracking-host-unreachable"),  # The certificate of another name.
    ],
)
def test_whoever_else_answers_proves_nothing(dns: Nameserver, at: At, answer: bytes, name: str, fault: str) -> None:
    make_domain()

    with page(answer, name=name, after=b"\r\n\r\n") as running:
        at(int(running.url.split(":")[2].split("/")[0]))
        found = look()

    assert (found.state, found.fault) == ("look", fault)
    assert known.tracking_hosts() == {}


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254"])
def test_no_host_makes_the_check_call_our_own_network(
    dns: Nameserver, at: At, settings: LazySettings, address: str
) -> None:
    settings.IS_LOOPBACK = False
    make_domain()
    dns.zone[HOST] = {"A": [address]}

    with page(GIF, name=HOST, after=b"\r\n\r\n") as running:
        at(int(running.url.split(":")[2].split("/")[0]))
        found = look()

    assert found.fault == "tracking-host-unreachable"
    assert "private network" in found.sentence
    assert running.connections == 0


def test_a_proved_host_that_fails_is_broken_told_and_no_longer_used_until_it_passes_again(
    dns: Nameserver, edge: WSGIServer
) -> None:
    make_domain()
    look()
    record = dns.zone.pop(HOST)

    broken = look(NOW + HOUR)
    assert (broken.state, known.tracking_hosts()) == ("broken", {})
    assert DnsChange.objects.get(line="tracking").is_told is False
    still_broken = look(NOW + 2 * HOUR)
    assert still_broken.state == "broken"  # Mail with its links was sent.
    dns.zone[HOST] = record

    assert look(NOW + 3 * HOUR).state == "good"
    assert known.tracking_hosts() == {DOMAIN: HOST}


def test_trouble_of_the_resolver_takes_no_host_away_and_proves_none(dns: Nameserver, edge: WSGIServer) -> None:
    make_domain()
    record, dns.zone[HOST] = dns.zone[HOST], "SERVFAIL"
    assert look().fault == "could-not-ask"
    assert known.tracking_hosts() == {}
    dns.zone[HOST] = record
    look(NOW + HOUR)
    dns.zone[HOST] = "SERVFAIL"

    look(NOW + 2 * HOUR)

    assert known.tracking_hosts() == {DOMAIN: HOST}


def test_a_look_proves_only_the_host_that_it_looked_at(
    dns: Nameserver, edge: WSGIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_domain()
    inspect = rounds.Inspector.inspect

    def inspect_while_somebody_edits(inspector: Any) -> Any:
        found = inspect(inspector)
        SendingDomain.objects.update(tracking_host=f"new.{DOMAIN}")
        return found

    monkeypatch.setattr(rounds.Inspector, "inspect", inspect_while_somebody_edits)

    assert look().state == "good"
    assert known.tracking_hosts() == {}


def test_the_proof_of_one_host_is_none_of_another() -> None:
    domain = make_domain(proved_tracking_host=f"old.{DOMAIN}", is_tracking_host_good=True)

    assert known.tracking_hosts() == {}
    assert domain.used_tracking_host == ""


def test_a_host_that_comes_back_has_to_be_proved_again(dns: Nameserver, edge: WSGIServer) -> None:
    domain, ops = make_domain(), signed_in("ops")
    look()
    assert known.tracking_hosts() == {DOMAIN: HOST}

    keep(ops, domain, HOST)
    assert known.tracking_hosts() == {DOMAIN: HOST}  # Nothing was changed.
    keep(ops, domain, "")
    assert known.tracking_hosts() == {}
    keep(ops, domain, HOST)
    assert known.tracking_hosts() == {}

    look()
    assert known.tracking_hosts() == {DOMAIN: HOST}


def keep(client: Client, domain: SendingDomain, host: str) -> None:
    answer = client.post(reverse("admin:domains_sendingdomain_change", args=[domain.pk]), {"tracking_host": host})
    assert answer.status_code == 302


def test_the_page_says_where_links_lead_meanwhile(dns: Nameserver, edge: WSGIServer) -> None:
    domain, ops = make_domain(), signed_in("ops")
    address = reverse("admin:domains_sendingdomain_change", args=[domain.pk])
    waiting = f"Links in new mail lead to {HOME} until {HOST} passes the check."

    before = unescape(ops.get(address).content.decode())
    look()
    after = unescape(ops.get(address).content.decode())

    assert waiting in before
    assert f"{HOST}. IN CNAME {HOME}." in before  # What to publish is known before anybody asks.
    assert waiting not in after
    assert "IN CNAME" not in after
    assert f"Links in mail from this domain lead to {HOST}." in after


def test_the_page_of_an_example_says_that_its_host_is_not_used(settings: LazySettings) -> None:
    settings.TRACKING_URL = f"https://{HOME}"
    domain = make_domain()

    shown = unescape(
        signed_in("ops").get(reverse("admin:domains_sendingdomain_change", args=[domain.pk])).content.decode()
    )

    assert f"{HOST} can't be checked, so links in new mail lead to {HOME}." in shown
    assert f"{HOST}. IN CNAME {HOME}." in shown
    assert "Not checked yet" not in shown


def test_a_site_without_a_public_name_says_that_there_is_nothing_to_point_to(settings: LazySettings) -> None:
    settings.TRACKING_URL = "http://127.0.0.1:8000"
    domain = make_domain()

    shown = unescape(
        signed_in("ops").get(reverse("admin:domains_sendingdomain_change", args=[domain.pk])).content.decode()
    )

    assert "There's no CNAME record to publish yet, because 127.0.0.1:8000 isn't a public name." in shown
    assert "IN CNAME" not in shown


def test_a_host_that_waits_for_its_check_can_be_asked_about(dns: Nameserver) -> None:
    domain, ops = make_domain(), signed_in("ops")
    SendingDomain.objects.update(next_check_at=None)
    address = reverse("admin:domains_sendingdomain_change", args=[domain.pk])

    assert "Ask again about Links" in ops.get(address).content.decode()
    SendingDomain.objects.update(next_check_at=timezone.now())
    assert "Ask again about Links" not in ops.get(address).content.decode()  # It is being asked.


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", ""),
        (" Click.Acme.example. ", HOST),
        (DOMAIN, DOMAIN),
        ("bücher.acme.example", "xn--bcher-kva.acme.example"),
        ("https://click.acme.example", None),
        ("click.acme.example/c/", None),
        ("click.acme.example:8443", None),
        ("click.acme.example?x", None),
        ("a@click.acme.example", None),
        ("*.acme.example", None),
        ("click_.acme.example", None),
        ("click acme.example", None),
        ("click.acme.example\nevil.example", None),
        ("click.acme.ex\u202eample", None),
        ("<script>.acme.example", None),
        ("127.0.0.1", None),
        ("[::1]", None),
        ("localhost", None),
        ("click.other.example", None),
        ("acme.example.evil.example", None),
        ("evilacme.example", None),
        ("example", None),
        ("a." * 150 + DOMAIN, None),
    ],
)
def test_the_host_is_a_name_of_the_same_organisation(typed: str, stored: str | None) -> None:
    domain = SendingDomain.objects.create(name=DOMAIN)

    form = SendingDomainForm({"name": DOMAIN, "selectors": "", "tracking_host": typed}, instance=domain)

    if stored is None:
        assert list(form.errors) == ["tracking_host"]
    else:
        assert form.errors == {}
        assert form.cleaned_data["tracking_host"] == stored


def test_a_domain_below_takes_a_host_of_the_whole_organisation() -> None:
    domain = SendingDomain.objects.create(name=f"news.{DOMAIN}")

    form = SendingDomainForm({"name": domain.name, "tracking_host": HOST}, instance=domain)

    assert form.is_valid()
