"""Gmail's figures in a real browser: the wide table stays within a phone's page."""

import datetime as dt

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from domains.models import PostmasterDay, PostmasterDomain, SendingDomain
from oauth.models import OAuthAccount
from tests.harness.browser import serious, sideways_scroll, sign_in
from tests.oauth.making import make_account

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_days_open_by_keyboard_and_scroll_within_their_frame(live_server: LiveServer, page: Page) -> None:
    ops = User.objects.create_user("ops-person", is_staff=True)
    ops.groups.add(Group.objects.get(name="ops"))
    domain = SendingDomain.objects.create(name="acme.example")
    now = timezone.now()
    account = make_account("postmaster user", state=OAuthAccount.State.OK)
    PostmasterDomain.objects.create(domain=domain, account=account, read_at=now, requirements={"SPF": True})
    PostmasterDay.objects.create(
        domain=domain,
        day=now.date() - dt.timedelta(days=2),
        **{"spam_rate": 0.004, "spf_rate": 1, "dkim_rate": 1, "dmarc_rate": 1, "tls_rate": 1, "rejected_rate": 0.01},
        reasons={"reject__bad_or_missing_ptr_record": 0.01},
    )
    sign_in(page, ops)

    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(f"/admin/domains/sendingdomain/{domain.pk}/reports/")
        page.locator("summary", has_text="Show days as table").focus()
        page.keyboard.press("Enter")

        expect(page.get_by_role("region", name="Gmail by day").get_by_text("0.40%")).to_be_visible()
        assert sideways_scroll(page) == 0
        assert serious(page) == []
