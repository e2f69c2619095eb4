"""The pages of domains: what they show, who may ask again, and that nobody is asked while they load."""

import datetime as dt
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from domains import rounds, tasks
from domains.forms import SendingDomainForm
from domains.models import SendingDomain
from smtpservers.models import SmtpServer
from tests.domains.zones import DOMAIN, WITHOUT_FILES
from tests.peers.name_server import Nameserver, running_nameserver

pytestmark = pytest.mark.django_db
LIST, ADD = "admin:domains_sendingdomain_changelist", "admin:domains_sendingdomain_add"


@pytest.fixture(scope="module")
def nameserver() -> Iterator[Nameserver]:
    with running_nameserver(WITHOUT_FILES) as running:
        yield running


@pytest.fixture
def dns(nameserver: Nameserver) -> Iterator[Nameserver]:
    nameserver.zone = {**WITHOUT_FILES, "_dmarc.acme.example": {}}
    nameserver.asked = []
    with override_settings(DNS_RESOLVERS=[nameserver.address]):
        yield nameserver


def client(role: str) -> Client:
    user = User.objects.create_user(f"{role}-person", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def checked() -> SendingDomain:
    SmtpServer.objects.create(name="Alpha", host="relay.acme.example", mail_from=f"News <news@{DOMAIN}>")
    rounds.discover(timezone.now())
    rounds.check_due(timezone.now, lambda: False)
    return SendingDomain.objects.get()


def page(domain: SendingDomain, part: str = "change") -> str:
    return reverse(f"admin:domains_sendingdomain_{part}", args=[domain.pk])


def test_the_page_shows_each_line_with_the_record_to_publish_and_asks_nobody(dns: Nameserver) -> None:
    domain = checked()
    dns.asked.clear()

    shown = unescape(client("ops").get(page(domain)).content.decode())
    listed = unescape(client("marketer").get(reverse(LIST)).content.decode())

    assert "acme.example has no DMARC policy." in shown
    assert '<code id="name-dmarc">_dmarc.acme.example</code>' in shown
    assert f'<code id="value-dmarc">v=DMARC1; p=none; rua=mailto:dmarc+{domain.report_tag}@acme.example</code>' in shown
    assert f'_dmarc.acme.example. IN TXT "v=DMARC1; p=none; rua=mailto:dmarc+{domain.report_tag}@acme.example"' in shown
    assert shown.count('class="domain-line ') == 12
    assert '<th scope="row">Alpha</th>' in shown
    assert ">Broken</span>" in listed
    assert "DMARC" in listed
    assert dns.asked == []


def test_an_example_has_one_sentence_no_lines_and_no_keys() -> None:
    domain, ops = SendingDomain.objects.create(name="shop.example"), client("ops")

    shown = unescape(ops.get(page(domain)).content.decode())
    refused = unescape(ops.post(f"/admin/domains/sendingdomain/{domain.pk}/keys/", follow=True).content.decode())

    assert "This domain is reserved for examples, so DNS isn't asked and keys can't start to sign." in shown
    assert not {"Not checked yet.", "Make keys", "Asking DNS", 'class="domain-line'} & {
        part for part in ("Not checked yet.", "Make keys", "Asking DNS", 'class="domain-line') if part in shown
    }
    assert "its keys could never start to sign" in refused
    assert not domain.dkim_keys.exists()


def test_what_strangers_wrote_is_shown_as_text(dns: Nameserver) -> None:
    dns.zone[DOMAIN] = {"TXT": ["v=spf1 <script>alert(1)</script> -all"], "MX": ["10 mx.acme.example."]}

    shown = client("ops").get(page(checked())).content.decode()

    assert "<script>alert(1)" not in shown
    assert "&lt;script&gt;alert(1)" in shown


def test_ask_again_has_the_worker_ask_and_the_page_follow(
    dns: Nameserver, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    for task in (tasks.check_domains, tasks.keep_keys):
        monkeypatch.setattr(task, "apply_async", lambda name=task.name, **options: woken.append(name))
    domain, ops = checked(), client("ops")
    dns.zone = dict(WITHOUT_FILES)
    dns.asked.clear()

    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):  # A second click wakes nobody.
            ops.post(page(domain, "ask"))
    following = ops.get(page(domain) + "?part").content.decode()

    assert (woken, dns.asked) == ([tasks.check_domains.name, tasks.keep_keys.name], [])
    assert "data-under-way" in following
    assert "Ask again" not in following
    rounds.check_due(timezone.now, lambda: False)
    done = ops.get(page(domain) + "?part").content.decode()
    assert "data-under-way" not in done
    assert "Ask again" in done
    assert "has no DMARC policy" not in done.partition("domain-changes")[0]
    assert "Broken → Good" in done


def test_marketers_read_the_page_and_may_not_ask(dns: Nameserver) -> None:
    domain, marketer = checked(), client("marketer")

    assert "Ask again" not in marketer.get(page(domain)).content.decode()
    assert marketer.post(page(domain, "ask")).status_code == 403
    assert marketer.get(page(domain, "ask")).status_code == 405


@pytest.mark.parametrize(
    ("typed", "stored", "error"),
    [
        ({"name": "Bücher.example", "selectors": "s1, s2._domainkey.x s1"}, ("xn--bcher-kva.example", "s1 s2"), ""),
        ({"name": "co.uk"}, None, "Anyone can register names below co.uk."),
        ({"name": "shop"}, None, "shop has no dot."),
        ({"name": "a.example", "selectors": "a/b"}, None, "“a/b” isn't a selector."),
        ({"name": "a.example", "selectors": " ".join(f"s{n}" for n in range(11))}, None, "Enter at most 10 selectors."),
    ],
)
def test_a_domain_is_added_by_name(typed: dict[str, str], stored: tuple[str, str] | None, error: str) -> None:
    answer = client("ops").post(reverse(ADD), {"selectors": "", **typed})

    found = SendingDomain.objects.values_list("name", "selectors").first()
    assert found == stored
    if stored:
        assert SendingDomain.objects.get().next_check_at is not None
    else:
        assert error in unescape(answer.content.decode())


def test_an_edit_leaves_what_the_worker_wrote_meanwhile(dns: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    domain, ops = checked(), client("ops")
    clean = SendingDomainForm.clean
    now = timezone.now()

    def clean_while_a_look_ends(form: SendingDomainForm) -> Any:
        SendingDomain.objects.update(checked_at=now, sts={"id": "new"})
        return clean(form)

    monkeypatch.setattr(SendingDomainForm, "clean", clean_while_a_look_ends)
    ops.post(page(domain), {"selectors": "s9"})

    found = SendingDomain.objects.get()
    assert (found.selectors, found.checked_at, found.sts) == ("s9", now, {"id": "new"})
    assert found.next_check_at is not None
    assert found.next_check_at >= now


def test_a_domain_that_is_listed_is_not_added_twice() -> None:
    SendingDomain.objects.create(name="xn--bcher-kva.example")

    answer = client("ops").post(reverse(ADD), {"name": "bücher.example", "selectors": ""})

    assert "This domain is already listed." in answer.content.decode()


@pytest.mark.parametrize("part", ["", "?part"])
def test_the_page_reads_its_domain_and_findings_once(dns: Nameserver, part: str) -> None:
    domain, ops = checked(), client("ops")
    ops.get(page(domain))  # Content types and the like are cached from here on.

    with CaptureQueriesContext(connection) as found:
        ops.get(page(domain) + part)

    tables = [query["sql"].partition(' FROM "')[2].partition('"')[0] for query in found.captured_queries]
    ours = sorted(table for table in tables if table.startswith("domains_"))
    assert ours == ["domains_dkimkey", "domains_dnschange", "domains_dnsfinding", "domains_sendingdomain"]


def test_a_list_of_many_domains_costs_no_query_for_each(dns: Nameserver, django_assert_max_num_queries: Any) -> None:
    now = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
    for number in range(30):
        domain = SendingDomain.objects.create(name=f"d{number}.example")
        domain.findings.create(line="spf", state="broken", fault="spf-missing", changed_at=now, asked_at=now)
    reader = client("admin")

    with django_assert_max_num_queries(20):
        reader.get(reverse(LIST))
