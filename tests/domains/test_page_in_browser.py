"""A domain's page in a real browser: by keyboard, on a phone, and followed until the worker has asked."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, User
from django.test import override_settings
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from domains import rounds, tasks
from domains.models import SendingDomain
from smtpservers.models import SmtpServer
from tests.domains.zones import DOMAIN, WITHOUT_FILES
from tests.harness.browser import serious, sideways_scroll, sign_in
from tests.peers.name_server import Nameserver, running_nameserver

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RECORD = "v=DMARC1; p=none; rua=mailto:dmarc+abcdefghij@acme.example"


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nameserver]:
    monkeypatch.setattr(tasks.check_domains, "apply_async", lambda **options: None)  # The test is the worker.
    with (
        running_nameserver({**WITHOUT_FILES, "_dmarc.acme.example": {}}) as running,
        override_settings(DNS_RESOLVERS=[running.address]),
    ):
        yield running


def check() -> None:
    rounds.check_due(timezone.now, lambda: False)


def test_a_record_is_copied_and_the_answer_appears_by_itself(
    live_server: LiveServer, page: Page, dns: Nameserver
) -> None:
    ops = User.objects.create_user("ops-person", is_staff=True)
    ops.groups.add(Group.objects.get(name="ops"))
    SmtpServer.objects.create(name="Alpha", host="relay.acme.example", mail_from=f"News <news@{DOMAIN}>")
    SendingDomain.objects.create(name=DOMAIN, next_check_at=timezone.now(), report_tag="abcdefghij")
    check()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page, ops)

    page.goto(f"/admin/domains/sendingdomain/{SendingDomain.objects.get().pk}/change/")
    page.get_by_role("button", name="Copy value of DMARC").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copy value of DMARC")).to_have_text("Copied")

    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == RECORD
    assert serious(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert sideways_scroll(page) == 0
    dns.zone = dict(WITHOUT_FILES)
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_text("Asking DNS…")).to_be_visible()
    check()
    expect(page.get_by_role("heading", name="DMARC")).to_contain_text("Good")
    expect(page.get_by_role("button", name="Ask again")).to_be_visible()
