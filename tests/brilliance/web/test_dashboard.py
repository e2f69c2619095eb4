"""The first page: each person sees the panels of their role, and what to do next."""

import datetime as dt
import re
from typing import Any

import lxml.html
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page

from brilliance.roles import ROLES
from brilliance.web.dashboard import chart
from campaigns.lifecycle import approvals
from campaigns.models import ApprovalRule, Campaign, Experiment, Variant
from contacts.models import Contact, ContactList, Subscription
from delivery.models import Mailing, ServerOutcome, StatusCount, WorkerReport, WorkerSeen
from installation.models import SiteSettings
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.campaigns.conftest import seen
from tests.harness.browser import sideways_scroll, sign_in
from tests.lint_words import ROOT


def person(role: str) -> User:
    user = User.objects.create_user(role or "nobody", is_staff=True)
    user.groups.add(*Group.objects.filter(name=role))
    return user


def dashboard(role: str) -> str:
    client = Client()
    client.force_login(person(role))
    return client.get("/admin/").content.decode()


def server(name: str, used: int = 0, **fields: object) -> SmtpServer:
    made = SmtpServer.objects.create(name=name, host="relay.example.com", mail_from="a@example.com", **fields)
    now = timezone.now()
    day = dt.timedelta(days=1)
    QuotaPeriod.objects.create(server=made, starts_at=now - day, ends_at=now + day, quota=made.max_per_month, used=used)
    return made


@pytest.mark.parametrize("role", ["admin", *list(ROLES)[1:]])
def test_every_role_sees_figures_and_the_fleet(db: None, role: str) -> None:
    server("Small", used=96, max_per_month=120)

    page = dashboard(role)

    for words in ("Sent today", "Quota used", "Queued", "Bounced or failed today", "Server quotas", "96 of 120"):
        assert words in page
    assert "relay.example.com" not in page


def test_without_a_role_there_is_nothing_to_see(db: None) -> None:
    server("Small")

    page = dashboard("")

    assert "Small" not in page
    assert "Sent today" not in page
    assert "Ask an administrator for one." in page


def test_next_steps_are_those_the_person_can_take(db: None) -> None:
    assert "Connect your first SMTP server." in dashboard("ops")
    marketer = dashboard("marketer")
    assert "Add people to write to" in marketer
    assert "Write your first campaign." in marketer
    assert "Connect your first SMTP server." not in marketer
    assert "dash-note" not in dashboard("viewer")


def ready_draft() -> Campaign:
    news = ContactList.objects.create(name="News")
    ann = Contact.objects.create(email="ann@example.com")
    Subscription.objects.create(contact=ann, list=news, status="subscribed")
    draft = Campaign.objects.create(name="Spring", subject="Spring", text="Flowers.")
    draft.lists.add(news)
    return draft


def test_after_the_test_inbox_comes_a_server_that_reaches_people(db: None) -> None:
    server("Small")
    SmtpServer.objects.update(host="127.0.0.1", port=settings.SANDBOX_PLAIN_PORT)
    client = Client()
    client.force_login(person("ops"))
    said = "Connect a server that reaches real people."

    assert said in client.get("/admin/").content.decode()
    assert said not in dashboard("viewer")
    server("Real")
    assert said not in client.get("/admin/").content.decode()


def test_a_draft_is_the_next_step_once_everything_is_there(db: None) -> None:
    server("Small")
    spring = ready_draft()
    client = Client()
    client.force_login(person("marketer"))
    assert "“Spring” is ready to review." in client.get("/admin/").content.decode()

    spring.lists.clear()
    page = client.get("/admin/").content.decode()

    assert "“Spring” isn&#x27;t finished. Choose at least one list." in page
    assert f'href="/admin/campaigns/campaign/{spring.pk}/change/"' in page
    assert "is ready to review" not in page


def test_who_may_approve_is_asked_to_decide_and_who_asked_is_not_told_to_queue(db: None) -> None:
    server("Small")
    ApprovalRule.objects.create(needed_above=0)
    spring = ready_draft()
    mia = person("marketer")
    assert approvals.ask_for(spring.pk, "", mia, timezone.now()) == ""

    approver = dashboard("admin")
    requester = Client()
    requester.force_login(mia)

    assert "“Spring” is waiting for your approval." in approver
    assert f'href="/campaigns/{spring.pk}/review/"' in approver
    assert "is ready to review" not in approver
    assert "is ready to review" not in requester.get("/admin/").content.decode()
    Campaign.objects.update(subject="Summer")
    assert "“Spring” is ready to review." in requester.get("/admin/").content.decode()


def test_paused_servers_and_waiting_mailings_are_named_with_their_reasons(db: None) -> None:
    server("Tired", paused_reason="It refused the password.")
    Mailing.objects.create(
        stream="campaign", name="Summer", subject="Summer", waiting_reason="Every server has sent its quota."
    )

    page = " ".join(dashboard("ops").split())

    assert ">Tired</a></strong> · Paused. It stays paused until someone resumes it." in page
    assert "It refused the password." in page
    assert "<strong>Summer</strong> · Waiting: Every server has sent its quota." in page


@pytest.mark.parametrize("role", ["viewer", "marketer"])
def test_why_a_server_is_paused_is_no_matter_of_those_who_see_only_its_name(db: None, role: str) -> None:
    server("Tired", paused_reason="No answer from relay.example.com port 587 for ann@example.com")

    page = " ".join(dashboard(role).split())

    assert "<strong>Tired</strong> · Paused. It stays paused until someone resumes it." in page
    assert "relay.example.com" not in page
    assert "ann@example.com" not in page


def test_a_pause_that_is_over_is_not_shown_any_more(db: None) -> None:
    server("Rested", paused_reason="Slow down.", paused_until=timezone.now() - dt.timedelta(seconds=1))

    page = dashboard("ops")

    assert "Paused" not in page


def test_a_thousand_servers_cost_no_more_queries_than_three(db: None, django_assert_max_num_queries: object) -> None:
    for number in range(30):
        server(f"Server {number}")
    client = Client()
    client.force_login(person("admin"))

    with django_assert_max_num_queries(30):  # type: ignore[operator]
        page = client.get("/admin/").content.decode()

    assert "20 more servers" in page


def attention_of(page: str) -> list[tuple[str, str]]:
    """Return the rows of what needs attention: the text, and the name of the button."""
    [*found] = lxml.html.fromstring(page).xpath('//section[@aria-labelledby="dash-attention"]//li')
    buttons = [row.xpath('.//*[contains(@class, "dash-button")]/text()') for row in found]
    assert all(len(each) <= 1 for each in buttons)
    return [
        (" ".join(row.xpath("./div")[0].text_content().split()), " ".join(each))
        for row, each in zip(found, buttons, strict=True)
    ]


def flow_of(page: str) -> str:
    return " ".join(lxml.html.fromstring(page).xpath('string(//p[contains(@class, "dash-flow")])').split())


def test_five_rows_at_most_need_attention_each_with_its_one_button(db: None) -> None:
    seen()
    for number in range(7):
        server(f"Tired {number}", paused_reason="421 Slow down.")
    server("New", tested_at=None)

    page = dashboard("ops")
    rows = attention_of(page)

    assert rows[0] == ("Tired 0 · Paused. It stays paused until someone resumes it. 421 Slow down.", "Resume")
    assert len(rows) == 5
    assert "3 more appear here once these are done." in page


def test_a_refused_password_is_entered_again_before_the_server_is_resumed(db: None) -> None:
    seen()
    refused = server("Relay", paused_reason="the server refused the sign-in: 535 5.7.8 no", username="a", password="b")
    page = f"/admin/smtpservers/smtpserver/{refused.pk}/change/"

    [row] = lxml.html.fromstring(dashboard("ops")).xpath('//section[@aria-labelledby="dash-attention"]//li')

    first, second = row.xpath('.//*[contains(@class, "dash-button")]')
    assert (first.text, first.get("href")) == ("Enter the password again", f"{page}#id_password")
    assert (second.text, second.getparent().get("action")) == ("Resume", page.replace("change", "resume"))
    assert "The server refused the sign-in: 535 5.7.8 no" in row.text_content()


def test_campaigns_that_missed_their_start_or_came_back_need_attention_before_servers(db: None) -> None:
    seen()
    server("Tired", paused_reason="421 Slow down.")
    missed = {"subject": "x", "status": "scheduled", "is_overdue": True}
    first, *_ = [
        Campaign.objects.create(name=f"Spring {day}", starts_at=dt.datetime(2025, 3, day, 9, tzinfo=dt.UTC), **missed)
        for day in (1, 2)
    ]
    Campaign.objects.create(name="Summer", subject="x", returned_reason="A list was deleted.")

    page = dashboard("marketer")

    assert attention_of(page)[:2] == [
        ("Spring 1 and 1 more · Missed the start on 1 Mar 2025, 09:00 (UTC). Nothing has been sent.", "Open campaign"),
        ("Summer · Not sent, and a draft again. A list was deleted.", "Open campaign"),
    ]
    assert attention_of(page)[2][0].startswith("Tired")
    assert f"/campaigns/{first.pk}/" in page


def test_mailings_that_wait_for_the_same_are_one_row_and_notices_are_none(db: None) -> None:
    until = timezone.now() + dt.timedelta(days=1)
    for name in ("Spring", "Summer", "Autumn"):
        mailing = Mailing.objects.create(
            stream="campaign", name=name, subject=name, waiting_reason="No server has quota left.", waiting_until=until
        )
        Campaign.objects.create(name=name, subject=name, status="sending", mailing=mailing)
    Mailing.objects.create(stream="notice", name="Relay is paused", subject="x", waiting_reason="No server is active.")

    rows = [row for row in attention_of(dashboard("viewer")) if "Waiting" in row[0]]

    assert len(rows) == 1
    text, button = rows[0]
    assert text.startswith("Spring and 2 more · Waiting: No server has quota left. Continues on ")
    assert button == "Open campaign"


def test_the_first_line_says_whether_mail_is_flowing(db: None) -> None:
    seen()
    client = Client()
    client.force_login(person("viewer"))

    def said() -> str:
        return flow_of(client.get("/admin/").content.decode())

    assert said() == ""
    server("Relay", paused_reason="No.")
    assert said() == "Nothing can be sent: no server is available. Nothing accepted yet."
    SmtpServer.objects.update(paused_reason="", last_success_at=timezone.now() - dt.timedelta(minutes=3))
    assert said() == "Ready to send · Last accepted: 3 min ago"
    SmtpServer.objects.update(host="127.0.0.1", port=settings.SANDBOX_PLAIN_PORT)
    assert said() == "Ready to send, to the Test inbox only · Last accepted: 3 min ago"
    mailing = Mailing.objects.create(stream="campaign", name="A", subject="A")
    assert said() == "Sending · 0.0/s · Last accepted: 3 min ago"
    Mailing.objects.filter(pk=mailing.pk).update(waiting_reason="Every quota is used up.")
    assert said() == "Queued mail is waiting. Last accepted: 3 min ago."
    WorkerReport.objects.all().delete()
    WorkerSeen.objects.all().delete()
    assert said() == "Nothing is being sent. Last accepted: 3 min ago."


def test_the_quota_that_runs_out_first_is_the_first(db: None) -> None:
    server("Roomy", used=10, max_per_month=1_000)
    server("Endless", used=400)
    server("Tight", used=600, max_per_month=1_000)
    server("Spent", used=120, max_per_month=120)
    server("Off", used=999, max_per_month=1_000, is_active=False)

    page = dashboard("viewer")
    section = lxml.html.fromstring(page).xpath('//section[@aria-labelledby="dash-fleet"]')[0]
    lines = [" ".join(line.text_content().split()) for line in section.xpath('.//div[@class="dash-line"]')]

    assert [line.split()[0] for line in lines] == ["Spent", "Tight", "Roomy", "Endless", "Off"]
    assert lines[0].startswith("Spent Used up. Resets ")
    assert "Runs out about " in lines[1]
    assert "Runs out" not in lines[2]


def test_campaigns_that_run_or_start_next_are_shown_with_their_numbers(db: None) -> None:
    running = Mailing.objects.create(stream="campaign", name="Spring", subject="x")
    StatusCount.objects.create(mailing=running, status="accepted", number=1_200, is_copy=False, is_sum=True)
    StatusCount.objects.create(mailing=running, status="queued", number=300, is_copy=False, is_sum=True)
    Campaign.objects.create(name="Later", subject="x", status="scheduled", starts_at=timezone.now())
    Campaign.objects.create(name="Spring", subject="x", status="sending", mailing=running)
    Campaign.objects.create(name="Done", subject="x", status="finished")

    section = lxml.html.fromstring(dashboard("viewer")).xpath('//section[@aria-labelledby="dash-running"]')[0]
    lines = [" ".join(line.text_content().split()) for line in section.xpath('.//div[@class="dash-line"]')]

    assert lines[0] == "Spring Sending 1,200 of 1,500 accepted"
    assert lines[1].startswith("Later Scheduled Starts on ")
    assert len(lines) == 2


def test_an_ab_test_that_a_person_decides_is_told_with_all_its_recipients(db: None) -> None:
    sample = Mailing.objects.create(stream="campaign", name="Spring A", subject="x")
    StatusCount.objects.create(mailing=sample, status="accepted", number=55, is_copy=False, is_sum=True)
    campaign = Campaign.objects.create(name="Spring", subject="x", status="sending")
    begun_at = timezone.now() - dt.timedelta(hours=1)
    test = Experiment.objects.create(
        campaign=campaign, begun_at=begun_at, expected=277, sample_percent=20, wait_hours=4
    )
    Variant.objects.create(experiment=test, position=0, mailing=sample)

    client = Client()
    client.force_login(person("viewer"))

    def shown(address: str = "/admin/") -> str:
        return " ".join(lxml.html.fromstring(client.get(address).content).text_content().split())

    waits = shown()
    assert "Spring Testing Choose a winner 55 of 277 accepted" in waits
    assert "Choose the winner of the A/B test." not in waits

    Experiment.objects.update(wait_hours=0)
    assert "Choose the winner of the A/B test. Its waiting time is over." in shown()

    Experiment.objects.update(winner_by="clicks")
    automatic = shown()
    assert "Spring Testing 55 of 277 accepted" in automatic
    assert "Choose the winner" not in automatic
    page = shown(f"/campaigns/{campaign.pk}/")
    assert re.search(r"20% Recipients ?277", page)

    def chips(address: str) -> set[str]:
        found = lxml.html.fromstring(client.get(address).content).xpath('//*[@data-status="sending"]')
        return {each.text_content() for each in found if each.get("class") == "status-chip"}

    pages = ("/admin/campaigns/campaign/", f"/campaigns/{campaign.pk}/")
    assert [chips(address) for address in pages] == [{"Testing"}] * 2
    assert "Bounced or failed" in page


def test_what_failed_today_leads_to_the_messages_for_those_who_may_see_them(db: None) -> None:
    at = timezone.now().replace(second=0, microsecond=0)
    ServerOutcome.objects.create(
        server_name="A", quarter_at=at.replace(minute=at.minute // 15 * 15), outcome="bounced", number=3
    )

    assert 'href="/messages/?status=not-accepted&amp;changed=today"' in dashboard("marketer")
    assert "/messages/?status" not in dashboard("ops")


ADDRESSES = ["Home", "Campaigns", "Audience", "Messages", "Reports", "Servers", "Test inbox", "Settings"]
NO_ADDRESSES = ["Home", "Campaigns", "Reports", "Servers"]


@pytest.mark.parametrize(
    ("role", "places"),
    [
        ("admin", ADDRESSES),
        ("marketer", ADDRESSES),
        ("ops", NO_ADDRESSES),
        ("viewer", NO_ADDRESSES),
    ],
)
def test_the_sidebar_has_the_places_with_pages_and_all_their_tabs_open(db: None, role: str, places: list[str]) -> None:
    client = Client()
    client.force_login(person(role))
    page = client.get("/admin/").content.decode()
    sidebar = page.partition('id="nav-sidebar-apps"')[2].partition("</nav>")[0]
    links = re.findall(r'<a href="([^"]+)"', sidebar)

    assert re.findall(r"<span>([^<]+)</span>", sidebar) == places
    for link in links:
        page = client.get(link, follow=True).content.decode()
        tabs = re.findall(r'<a href="([^"]+)"', page.partition('class="place-tabs"')[2].partition("</nav>")[0])
        for address in (link, *tabs):
            assert client.get(address, follow=True).status_code == 200, address


def test_the_test_inbox_is_there_only_while_the_sandbox_is_on(db: None, settings: Any) -> None:
    settings.SANDBOX_ENABLED = False

    assert "<span>Test inbox</span>" not in dashboard("admin")


@pytest.mark.parametrize(
    ("address", "name", "tab"),
    [
        ("/admin/campaigns/campaign/", "Campaigns", "All"),
        ("/admin/campaigns/campaign/?status__exact=draft", "Drafts", "Drafts"),
        ("/admin/campaigns/campaign/?status__exact=paused", "Campaigns", "All"),
        ("/admin/campaigns/mediafile/", "Media", "Media"),
        ("/admin/auth/group/", "Roles", "Roles"),
        ("/admin/installation/sitesettings/", "Organisation", "Organisation"),
        ("/admin/contacts/contact/retention/", "Retention", "Retention"),
        ("/messages/", "Messages", "All messages"),
        ("/reports/", "Reports", "Sending"),
        ("/admin/sandbox/sandboxmail/", "Test inbox", ""),
        ("/admin/auth/group/add/", "Add role", ""),
    ],
)
def test_a_thing_has_one_name(db: None, address: str, name: str, tab: str) -> None:
    client = Client()
    client.force_login(person("admin"))
    page = client.get(address, follow=True).content.decode()

    assert [title.strip() for title in re.findall(r"<title>(.*?)</title>", page)] == [f"{name} | Brilliance"]
    assert re.findall(r'aria-current="page">([^<]+)</a>', page.partition('class="place-tabs"')[2]) == (
        [tab] if tab else []
    )


def test_every_page_says_the_way_to_it(db: None) -> None:
    campaign = Campaign.objects.create(name="Winter", subject="Snow", text="Snow.")
    ann = Contact.objects.create(email="ann@example.com", email_key="ann@example.com")
    client = Client()
    client.force_login(person("admin"))
    ways = {
        "/admin/": "Home",
        "/admin/campaigns/campaign/?status__exact=draft": "Campaigns › Drafts",
        f"/campaigns/{campaign.pk}/preview/": "Campaigns › Winter › Preview",
        f"/admin/contacts/contact/{ann.pk}/delete/": "Audience › Contacts › ann@example.com › Delete",
        f"/admin/contacts/contact/{ann.pk}/history/": "Audience › Contacts › ann@example.com › History",
        "/admin/contacts/contact/import/": "Audience › Imports › Import contacts",
        "/admin/contacts/contact/add/": "Audience › Contacts › Add contact",
        "/admin/publicpages/appearance/": "Settings › Public pages",
        "/reports/": "Reports",
    }

    for address, way in ways.items():
        page = client.get(address, follow=True).content.decode()
        crumbs = page.partition('aria-label="Breadcrumb">')[2].partition("</nav>")[0]
        assert " › ".join(re.findall(r">([^<>\n]+)</(?:a|h1)>", crumbs)) == way, address


def test_the_sidebar_marks_the_campaigns_on_all_their_pages(db: None) -> None:
    campaign = Campaign.objects.create(name="Winter", subject="Snow", text="Snow.")
    client = Client()
    client.force_login(person("marketer"))

    for address in ("/admin/campaigns/campaign/", f"/campaigns/{campaign.pk}/", f"/campaigns/{campaign.pk}/preview/"):
        sidebar = client.get(address).content.decode().partition('id="nav-sidebar-apps"')[2]
        marked = re.findall(r'<a href="([^"]+)" class="[^"]* active"', sidebar)
        assert marked == ["/admin/campaigns/campaign/"], address


def test_the_chart_of_the_days_takes_its_colours_from_the_page_light_or_dark(db: None) -> None:
    drawn = chart(dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC))["drawn"]
    styles = (ROOT / "static/campaigns/campaigns.css").read_text()

    assert (drawn["labels"][0], drawn["labels"][-1], len(drawn["labels"])) == ("1 Nov", "30 Nov", 30)
    assert [f"--campaign-{each['colour']}:" in styles for each in drawn["datasets"]] == [True, True]
    assert 'canvas data-chart="dash-days-drawn"' in (ROOT / "templates/admin/index.html").read_text()


@pytest.mark.browser
def test_it_fits_a_telephone_and_draws_its_chart(live_server: object, page: Page) -> None:
    server("Small", used=96, max_per_month=120)
    sign_in(page, person("admin"))

    page.goto("/admin/")
    assert page.title().strip() == "Home | Brilliance"
    assert page.get_by_role("progressbar", name="Small: 80 percent used").is_visible()
    page.set_viewport_size({"width": 390, "height": 844})

    assert sideways_scroll(page) == 0


def set_up_of(page: str) -> tuple[str, list[str], list[str]]:
    """Return the head of the set-up, the titles of the done steps, and the labels of the buttons."""
    for found in lxml.html.fromstring(page).xpath('//section[@aria-labelledby="dash-set-up"]'):
        done = found.xpath('.//li[@class="dash-done"]//strong/text()')
        return found.xpath(".//h2")[0].text_content(), done, found.xpath(".//a/text()")
    return "", [], []


def test_an_empty_installation_shows_the_way_to_the_first_campaign(db: None) -> None:
    client = Client()
    client.force_login(person("admin"))

    def shown() -> tuple[str, list[str], list[str]]:
        return set_up_of(client.get("/admin/").content.decode())

    head, done, buttons = shown()
    assert (head, done) == ("Set up 0 of 5", [])
    assert buttons == ["Enter organisation", "Connect server", "Add people", "Write campaign"]

    SiteSettings.objects.create(pk=1, organisation="Nordlicht")
    untested = server("New", tested_at=None)
    people = ContactList.objects.create(name="Readers")
    head, done, buttons = shown()
    assert (head, done) == ("Set up 1 of 5", ["Your organisation"])
    assert buttons == ["Enter organisation", "Send test", "Add people", "Write campaign"]

    SmtpServer.objects.filter(pk=untested.pk).update(tested_at=timezone.now())
    Subscription.objects.create(
        list=people, contact=Contact.objects.create(email="ann@example.org"), status="subscribed"
    )
    draft = Campaign.objects.create(name="News", subject="News")
    assert shown()[1][-1] == "People"
    Campaign.objects.update(text="Flowers.")
    draft.lists.add(people)
    head, done, buttons = shown()
    assert (head, done) == ("Set up 4 of 5", ["Your organisation", "A server", "People", "A campaign"])
    assert buttons[-1] == "Review and send"
    assert f'href="/campaigns/{draft.pk}/review/"' in client.get("/admin/").content.decode()

    Campaign.objects.update(status="scheduled")
    assert shown()[0] == ""


@pytest.mark.parametrize("role", ["marketer", "ops", "viewer"])
def test_who_cannot_take_all_steps_sees_their_own(db: None, role: str) -> None:
    assert set_up_of(dashboard(role))[0] == ""
