"""The keys on a domain's page: made, shown, revoked, for the right people, and never with their private halves."""

import logging
from collections.abc import Iterator
from html import unescape
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import RequestFactory, override_settings
from django.utils import timezone
from django.views.debug import ExceptionReporter

from adminpages.fresh_sign_in import PROVED_AT
from adminpages.instants import stamp
from domains import tasks
from domains.keys import lifecycle
from domains.keys.dns_check import DnsCheck
from domains.models import DkimKey, SendingDomain
from smtpservers.models import SmtpServer
from tests.accounts.sign_in.test_signing_in import database_dump
from tests.domains.keys.making import make_signing
from tests.domains.test_pages import client, page
from tests.peers.name_server import Nameserver, running_nameserver

pytestmark = pytest.mark.django_db
State = DkimKey.State


@pytest.fixture(autouse=True)
def no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.keep_keys, "apply_async", lambda **options: None)  # The test is the worker.


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with running_nameserver({}) as running, override_settings(DNS_RESOLVERS=[running.address]):
        yield running


@pytest.fixture
def domain() -> SendingDomain:
    return SendingDomain.objects.create(name="shop.example")


def actions(domain: SendingDomain) -> tuple[str, str]:
    base = f"/admin/domains/sendingdomain/{domain.pk}/keys/"
    return base, f"{base}revoke/"


def test_keys_are_made_published_and_seen(domain: SendingDomain, dns: Nameserver) -> None:
    ops = client("ops")
    make, _revoke = actions(domain)
    assert "No keys yet. Make a pair" in ops.get(page(domain)).content.decode()

    answer = unescape(ops.post(make, follow=True).content.decode())

    rsa, ed25519 = DkimKey.objects.order_by("-algorithm")
    assert "Keys made. Publish their records." in answer
    assert f'<code id="host-{rsa.pk}">{rsa.selector}._domainkey</code>' in answer
    assert f'<code id="name-{ed25519.pk}">{ed25519.selector}._domainkey.shop.example</code>' in answer
    assert f'<code id="value-{rsa.pk}">{rsa.record}</code>' in answer
    first, rest = rsa.record[:255], rsa.record[255:]
    assert f'{rsa.selector}._domainkey.shop.example. IN TXT "{first}" "{rest}"' in answer
    assert "Make keys" not in answer
    assert LogEntry.objects.get().change_message == "Made DKIM keys."

    dns.zone = {f"{key.selector}._domainkey.shop.example": {"TXT": [key.record]} for key in (rsa, ed25519)}
    lifecycle.keep(DnsCheck(), timezone.now, lambda: False)

    answer = unescape(ops.get(page(domain)).content.decode())
    assert answer.count("Seen in DNS") == 2
    assert '<details class="domain-pair" open>' in answer
    rsa.refresh_from_db()
    assert f"That check is due {stamp(rsa.next_check_at)}." in answer
    assert "Only a resolver could be asked, so the second check waits until its memory is over." in answer


def test_revoking_asks_first_and_says_what_to_publish(domain: SendingDomain) -> None:
    lifecycle.make_pair(domain.pk, timezone.now())
    ops = client("ops")
    _make, revoke = actions(domain)

    assert "Revoke the DKIM keys of shop.example?" in ops.get(revoke).content.decode()
    assert not DkimKey.objects.filter(state=State.REVOKED).exists()
    answer = unescape(ops.post(revoke, follow=True).content.decode())

    assert DkimKey.objects.filter(state=State.REVOKED, private="").count() == 2
    assert DkimKey.objects.filter(state=State.MADE).count() == 2
    assert "Record to replace" in answer
    assert ">v=DKIM1; k=ed25519; p=</code>" in answer


@pytest.mark.parametrize("role", ["marketer", "viewer"])
def test_others_make_and_revoke_nothing(role: str, domain: SendingDomain) -> None:
    lifecycle.make_pair(domain.pk, timezone.now())

    signed_in = client(role)

    for address in actions(domain):
        assert signed_in.post(address).status_code == 403

    assert DkimKey.objects.filter(state=State.MADE).count() == 2
    assert "Revoke now…" not in signed_in.get(page(domain)).content.decode()


def test_a_sign_in_of_long_ago_is_asked_for_again(domain: SendingDomain) -> None:
    ops = client("ops")
    session = ops.session
    session[PROVED_AT] = 0
    session.save()

    for address in actions(domain):
        assert b"fresh_" in ops.post(address).content

    assert not DkimKey.objects.exists()


def test_workers_drop_the_keys_of_a_deleted_domain(domain: SendingDomain) -> None:
    server = SmtpServer.objects.create(name="Ours", host="h.example", mail_from="a@shop.example", dkim="brilliance")
    make_signing("shop.example", timezone.now())
    before = SmtpServer.objects.get().version

    client("ops").post(page(domain, "delete"), {"post": "yes"})

    server.refresh_from_db()
    assert not DkimKey.objects.exists()
    assert server.version == before + 1


def test_a_copy_that_waits_makes_none_and_says_why(
    domain: SendingDomain, dns: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(lifecycle.HOLDS, "test", lambda now: "This database is a copy.")
    ops = client("ops")

    answer = ops.post(actions(domain)[0], follow=True).content.decode()

    assert "This database is a copy." in answer
    assert not DkimKey.objects.exists()


def test_private_halves_are_nowhere_but_encrypted(
    domain: SendingDomain, dns: Nameserver, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    ops = client("ops")
    make, revoke = actions(domain)
    pages = [ops.post(make, follow=True).content.decode()]
    keys = list(DkimKey.objects.all())
    canaries = [line for key in keys for line in key.private.reveal(key.destination).splitlines()[1:-1]]
    tasks.keep_keys()
    dumped = StringIO()
    call_command("dumpdata", "domains", stdout=dumped)
    with pytest.raises(SystemExit):
        call_command("check_domain", "shop.example")
    stored = database_dump()
    pages += [ops.get(address).content.decode() for address in (page(domain), page(domain, "history"), revoke)]

    everything = "\n".join([*pages, dumped.getvalue(), caplog.text, stored, repr(keys), *capsys.readouterr()])

    assert len(canaries) > 20
    assert not any(canary in everything for canary in canaries)
    assert keys[0].record in everything


def test_a_failure_shows_no_private_half(domain: SendingDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail about an error that administrators may get lists local variables."""
    seen: list[str] = []

    def fail(plain: bytes) -> bytes:
        raise RuntimeError("nothing can be encrypted")

    monkeypatch.setattr("encryption.secret_field.seal_bytes", fail)
    with override_settings(DEBUG=False):
        try:
            lifecycle.make_pair(domain.pk, timezone.now())
        except RuntimeError as error:
            reporter = ExceptionReporter(RequestFactory().get("/"), RuntimeError, error, error.__traceback__)
            seen.append(reporter.get_traceback_html())

    assert "nothing can be encrypted" in seen[0]
    assert "BEGIN " + "PRIVATE" not in seen[0]
