"""The pages of a campaign: who may open and press what, what they show, and what they keep to themselves."""

import datetime as dt
import json
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from campaigns.forecast.inputs import forecast_campaign
from campaigns.forecast.words import ForecastWords, words
from campaigns.lifecycle import states
from campaigns.models import Campaign
from campaigns.reports.report import EXPLANATIONS, LATE_OUTCOMES, ORDER, without_addresses
from contacts.models import Contact, ContactList, Subscription
from delivery.models import Chunk, Mailing, MailingOutcome, Message
from delivery.outcomes.account_limits import STOPPED_FOR_COMPLAINTS
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.delivery.making import make_attempt
from tests.harness.forms import opened
from tests.harness.send_test import tried

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
PAGES = {
    "progress": {"admin", "marketer", "ops", "viewer"},
    "progress_json": {"admin", "marketer", "ops", "viewer"},
    "preview": {"admin", "marketer"},
    "preview_html": {"admin", "marketer"},
    "recipients": {"admin", "marketer"},
}
BUTTONS = {
    "queue": {"admin", "marketer"},
    "pause": {"admin", "marketer", "ops"},
    "resume": {"admin", "marketer", "ops"},
    "cancel": {"admin", "marketer"},
    "retry": {"admin", "marketer"},
    "duplicate": {"admin", "marketer"},
}


@pytest.fixture
def sent(campaign: Campaign, people: dict[str, User], server: SmtpServer) -> Campaign:
    """A campaign on its way: Ann accepted, Bea bounced with her address in the answer, Cleo still queued."""
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    states.start_due_campaigns(NOW)
    campaign.refresh_from_db()
    ann, bea, _ = Message.objects.order_by("pk")
    Message.objects.filter(pk=ann.pk).update(status="accepted", server=server, attempt_count=1)
    reply = "550 5.1.1 <bea@example.com> Bea is no user <script>alert(2)</script>"
    Message.objects.filter(pk=bea.pk).update(status="bounced", server=server, reason=reply, attempt_count=1)
    for message, outcome, code in ((ann, "accepted", 250), (bea, "bounced", 550)):
        make_attempt(
            message=message,
            number=1,
            server=server,
            server_name="Alpha",
            lane_token="00000000-0000-0000-0000-000000000000",
            choice="Alpha is first in the display order.",
            started_at=NOW,
            finished_at=NOW,
            outcome=outcome,
            stage="RCPT" if code == 550 else "DOT",
            code=code,
            reply=reply if code == 550 else "2.0.0 queued",
            envelope_from="news@example.com",
            header_from="Shop <news@example.com>",
        )
        MailingOutcome.objects.create(
            mailing=ann.mailing, server_name="Alpha", minute_at=NOW, outcome=outcome, number=1, first_at=NOW
        )
    return campaign


def text_of(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.decode()).split())


# --- who may --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_for_its_roles_alone(sent: Campaign, people: dict[str, User], name: str) -> None:
    url = reverse(f"campaigns:{name}", args=[sent.pk])

    opened = {role for role, user in people.items() if client_of(user).get(url).status_code == 200}

    assert opened == PAGES[name]
    stranger = Client().get(url)
    assert stranger.status_code == 302
    assert stranger["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_works_for_its_roles_by_post_alone(sent: Campaign, people: dict[str, User], name: str) -> None:
    url = reverse(f"campaigns:{name}", args=[sent.pk])

    assert client_of(people["admin"]).get(url).status_code == 405
    pressed = {role for role, user in people.items() if client_of(user).post(url).status_code == 302}

    assert pressed == BUTTONS[name]
    assert Client().post(url)["Location"].startswith("/accounts/login/")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    assert strict.post(url).status_code == 403


def test_recipients_and_resending_are_for_those_who_may_see_people(sent: Campaign, people: dict[str, User]) -> None:
    message = Message.objects.first()
    assert message is not None
    page, button = (reverse(f"campaigns:{name}", args=[message.pk]) for name in ("recipient", "resend"))

    for role, user in people.items():
        may = role in ("admin", "marketer")
        assert client_of(user).get(page).status_code == (200 if may else 403)
        assert client_of(user).post(button).status_code == (302 if may else 403)


def test_ops_and_viewer_see_the_list_and_no_content(campaign: Campaign, people: dict[str, User]) -> None:
    for role in ("ops", "viewer"):
        client = client_of(people[role])
        assert client.get("/admin/campaigns/campaign/").status_code == 200
        assert client.get(f"/admin/campaigns/campaign/{campaign.pk}/change/").status_code == 403
        assert client.get("/admin/campaigns/campaign/add/").status_code == 403


@pytest.mark.parametrize("role", ["ops", "viewer", "marketer"])
def test_every_link_of_the_list_opens(campaign: Campaign, people: dict[str, User], role: str) -> None:
    client = client_of(people[role])
    page = client.get("/admin/campaigns/campaign/").content.decode()

    links = re.findall(r'class="campaign-title" href="([^"]+)"', page)

    assert [client.get(link).status_code for link in links] == [200]


def test_the_start_is_told_once_and_on_the_clock_it_was_chosen_by(campaign: Campaign, people: dict[str, User]) -> None:
    starts_at = dt.datetime(2099, 12, 24, 15, tzinfo=dt.UTC)
    Campaign.objects.filter(pk=campaign.pk).update(
        status="scheduled", start="at", starts_at=starts_at, time_zone="America/New_York"
    )

    page = client_of(people["viewer"]).get(f"/campaigns/{campaign.pk}/").content.decode()

    assert "24 Dec 2099, 10:00 (New York)" in page
    assert "24 Dec 2099, 15:00" not in page


# --- the form -------------------------------------------------------------------------------

FORM = {"name": "Spring", "subject": "Hi", "text": "Flowers.", "is_tagged": "on"}


def test_a_draft_is_written_saved_and_sent_after_a_last_question(
    marketer: Client, news: ContactList, server: SmtpServer, django_capture_on_commit_callbacks
) -> None:
    added = marketer.post("/admin/campaigns/campaign/add/", {**FORM, "lists": [news.pk]}, follow=True)
    draft = Campaign.objects.get(name="Spring")
    page = marketer.get(f"/admin/campaigns/campaign/{draft.pk}/change/")

    asked = marketer.post(
        f"/admin/campaigns/campaign/{draft.pk}/change/",
        {**FORM, "subject": "Changed", "lists": [news.pk], "_review": ""},
        follow=True,
    ).content.decode()
    question = opened(asked, "send_form")
    with django_capture_on_commit_callbacks() as on_commit:
        queued = marketer.post(f"/campaigns/{draft.pk}/queue/", question, follow=True)
    again = marketer.post(f"/campaigns/{draft.pk}/queue/", question, follow=True).content.decode()

    assert "saved. Check the preview" in added.content.decode()
    assert "Ready to send to 3 people" in page.content.decode()
    for told in ("Send to 3 people?", "News", "Shop &lt;news@example.com&gt; (Alpha)", "can't be taken back"):
        assert told in asked
    draft.refresh_from_db()
    assert (draft.status, draft.subject) == ("scheduled", "Changed")  # What was typed was saved first.
    assert "Campaign queued." in queued.content.decode()
    assert len(on_commit) == 1  # The worker is told once the database has it.
    assert "Nothing is sent twice." in again
    assert LogEntry.objects.filter(object_id=draft.pk, change_message="Queued.").count() == 1


def test_what_changed_after_the_question_is_not_sent(marketer: Client, campaign: Campaign, server: SmtpServer) -> None:
    Campaign.objects.update(html="<p>Snow</p>", subject="Snow")
    asked = marketer.get(f"/campaigns/{campaign.pk}/review/").content.decode()
    question = opened(asked, "send_form")
    Campaign.objects.update(subject="Rain")

    page = marketer.post(f"/campaigns/{campaign.pk}/queue/", question, follow=True).content.decode()

    assert "The campaign changed since you opened this page." in page
    assert Campaign.objects.get().status == "draft"


@pytest.mark.parametrize(
    ("more", "server_says", "told"),
    [
        (-1, {}, "Campaign queued."),
        (5, {}, "Campaign queued."),
        (6, {}, "Now 9 people would get it, not 3. Check again, then send."),
        (
            0,
            {"mail_from": "Boss <boss@example.com>"},
            "from another address now: Boss &lt;boss@example.com&gt; (Alpha)",
        ),
        (0, {"name": "Beta"}, "Campaign queued."),
    ],
)
def test_a_question_that_no_longer_holds_is_asked_again(
    marketer: Client,
    campaign: Campaign,
    news: ContactList,
    server: SmtpServer,
    more: int,
    server_says: dict[str, str],
    told: str,
) -> None:
    Campaign.objects.update(html="<p>Snow</p>", subject="Snow")
    question = opened(marketer.get(f"/campaigns/{campaign.pk}/review/").content, "send_form")
    for number in range(more):
        contact = Contact.objects.create(email=f"new{number}@example.com")
        Subscription.objects.create(contact=contact, list=news)
    if more < 0:
        Subscription.objects.filter(contact__email="ann@example.com").delete()
    SmtpServer.objects.filter(pk=server.pk).update(**server_says)

    page = marketer.post(f"/campaigns/{campaign.pk}/queue/", question, follow=True).content.decode()

    is_sent = told == "Campaign queued."
    assert told in page
    assert Campaign.objects.get().status == ("scheduled" if is_sent else "draft")
    if not is_sent:
        marketer.post(f"/campaigns/{campaign.pk}/queue/", opened(page, "send_form"))
        assert Campaign.objects.get().status == "scheduled"


@pytest.mark.parametrize("forgotten", ["seen", "shown"])
def test_nothing_is_sent_without_a_question(
    marketer: Client, campaign: Campaign, server: SmtpServer, forgotten: str
) -> None:
    Campaign.objects.update(html="<p>Snow</p>", subject="Snow")
    question = opened(marketer.get(f"/campaigns/{campaign.pk}/review/").content, "send_form")
    del question[forgotten]

    page = marketer.post(f"/campaigns/{campaign.pk}/queue/", question, follow=True).content.decode()

    assert "The campaign changed since you opened this page." in page
    assert Campaign.objects.get().status == "draft"


def test_a_draft_that_cannot_be_queued_says_why_and_stays(marketer: Client, news: ContactList) -> None:
    marketer.post("/admin/campaigns/campaign/add/", FORM)
    draft = Campaign.objects.get()
    url = f"/admin/campaigns/campaign/{draft.pk}/change/"

    page = marketer.post(url, {**FORM, "_review": ""}, follow=True)

    assert Campaign.objects.get().status == "draft"
    assert "Choose at least one list." in page.content.decode()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("subject", "{{ first_name", ""),
        ("text", "{% if %}", ""),
        ("mail_from", "nobody", ""),
        ("reply_to", "a@example.com, b@@example.com", ""),
        ("utm_source", "a\x07b", "Use one line without control characters."),
    ],
)
def test_a_wrong_field_is_marked_and_nothing_is_saved(
    marketer: Client, news: ContactList, field: str, value: str, sentence: str
) -> None:
    page = marketer.post("/admin/campaigns/campaign/add/", {**FORM, field: value})

    assert page.status_code == 200
    assert page.context["adminform"].form.errors[field][0].endswith(".")
    assert sentence in page.context["adminform"].form.errors[field][0]
    assert not Campaign.objects.exists()


def test_what_is_queued_cannot_be_edited_or_deleted(sent: Campaign, marketer: Client) -> None:
    url = f"/admin/campaigns/campaign/{sent.pk}/"

    page = marketer.get(f"{url}change/")
    edit = marketer.post(f"{url}change/", {**FORM, "lists": []})
    delete = marketer.post(f"{url}delete/", {"post": "yes"})

    assert "This campaign can't be changed any more" in page.content.decode()
    assert (edit.status_code, delete.status_code) == (403, 403)
    sent.refresh_from_db()
    assert (sent.name, sent.status) == ("Winter sale", "sending")


@pytest.mark.parametrize("status", ["draft", "finished", "cancelled"])
def test_what_is_at_rest_can_be_deleted_and_its_messages_stay(sent: Campaign, marketer: Client, status: str) -> None:
    Campaign.objects.update(status=status)

    response = marketer.post(f"/admin/campaigns/campaign/{sent.pk}/delete/", {"post": "yes"})

    assert response.status_code == 302
    assert not Campaign.objects.exists()
    assert Message.objects.count() == 3


def test_an_edit_that_was_open_while_the_campaign_was_queued_does_not_undo_it(
    campaign: Campaign, marketer: Client, people: dict[str, User], monkeypatch
) -> None:
    from campaigns.admin.campaigns import CampaignAdmin

    real = CampaignAdmin.save_model

    def queued_meanwhile(self, request, obj, form, change):
        assert states.queue_campaign(obj.pk, people["marketer"], NOW) == []
        real(self, request, obj, form, change)

    monkeypatch.setattr(CampaignAdmin, "save_model", queued_meanwhile)
    response = marketer.post(f"/admin/campaigns/campaign/{campaign.pk}/change/", FORM)

    assert response.status_code == 403
    campaign.refresh_from_db()
    assert campaign.name == "Winter sale"


def test_the_list_takes_as_many_queries_for_ten_as_for_one(
    sent: Campaign, marketer: Client, django_assert_num_queries
) -> None:
    def queries() -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as captured:
            assert marketer.get("/admin/campaigns/campaign/").status_code == 200
        return len(captured)

    queries()
    few = queries()
    for number in range(10):
        Campaign.objects.create(name=f"C{number}", subject="x", text="x")

    assert queries() == few
    page = text_of(marketer.get("/admin/campaigns/campaign/").content)
    assert "Winter sale Sending 3 1" in page


# --- progress -------------------------------------------------------------------------------


def test_the_progress_counts_everybody_and_names_servers_and_reasons(sent: Campaign, marketer: Client) -> None:
    Mailing.objects.update(
        waiting_reason="Alpha is full until 01 January 2099 12:30 UTC.",
        waiting_until=dt.datetime(2099, 1, 2, 12, tzinfo=dt.UTC),
    )

    answer = marketer.get(reverse("campaigns:progress_json", args=[sent.pk]))

    progress = json.loads(answer.content)
    assert answer["Cache-Control"] == "no-store"
    assert progress["is_live"] is True
    assert progress["summary"] == "2 of 3 done."
    figures = text_of((progress["now"] + progress["figures"]).encode())
    assert "67%" in figures
    for status in ("Accepted", "Bounced", "Queued"):
        assert status in figures
    assert "Alpha 2 attempted 1" in figures
    assert "Waiting. Alpha is full until 1 Jan 2099, 12:30. Continues automatically at 2 Jan 2099, 12:00." in figures
    assert "550 5.1.1" in figures
    assert "bea@example.com" in figures
    assert "<script>" not in progress["now"] + progress["figures"]
    assert "Pause" in progress["actions"]


def test_a_server_that_accepted_what_bounced_later_says_so(sent: Campaign, marketer: Client) -> None:
    def by_server() -> str:
        figures = json.loads(marketer.get(reverse("campaigns:progress_json", args=[sent.pk])).content)["figures"]
        return text_of(figures.encode()).partition("By server")[2].partition("By mailbox")[0]

    before = by_server()
    Message.objects.filter(status="accepted").update(status="bounced")
    cache.clear()

    assert "still count here" not in before
    assert "Messages that bounced or failed later still count here." in by_server()


def foreseen_with_deferred(campaign: Campaign, *due_in_minutes: int) -> ForecastWords:
    """Have the last messages of a campaign wait so long for their next try, and return its forecast."""
    Chunk.objects.all().delete()
    for message, minutes in zip(Message.objects.order_by("-pk"), due_in_minutes, strict=False):
        due_at = NOW + dt.timedelta(minutes=minutes, seconds=31)
        Message.objects.filter(pk=message.pk).update(status="deferred", due_at=due_at, attempt_count=1)
    return words(forecast_campaign(campaign, NOW), dt.UTC)


@pytest.mark.parametrize(
    ("due_in_minutes", "headline"),
    [
        ((25,), "The last message was deferred. Next attempt at 30 Nov, 12:25."),
        (
            (25, 40),
            "The last 2 messages were deferred. Next attempts from 30 Nov, 12:25 to 30 Nov, 12:40.",
        ),
    ],
)
def test_what_was_deferred_is_foreseen_when_it_is_tried_again(
    sent: Campaign, due_in_minutes: tuple[int, ...], headline: str
) -> None:
    assert foreseen_with_deferred(sent, *due_in_minutes).headline == headline


def test_beside_what_leaves_now_is_told_how_many_were_deferred_and_until_when(sent: Campaign) -> None:
    Message.objects.filter(status="accepted").update(status="queued")

    told = foreseen_with_deferred(sent, 25)

    assert told.headline.startswith("2 messages, starting 30 Nov, 12:00 and finishing around")
    assert told.notes == ("1 deferred message is tried again at 30 Nov, 12:25.",)


def test_a_server_of_which_too_little_is_known_is_not_said_to_have_sent_nothing(sent: Campaign) -> None:
    told = foreseen_with_deferred(sent, 25)

    assert told.rows[0].speed == "10/s (estimate: no recent sends to measure)"


@pytest.mark.parametrize("role", ["ops", "viewer"])
def test_who_may_not_see_recipients_sees_no_address_and_no_answer(
    sent: Campaign, people: dict[str, User], role: str
) -> None:
    client = client_of(people[role])

    page = client.get(reverse("campaigns:progress", args=[sent.pk])).content.decode()
    json_page = client.get(reverse("campaigns:progress_json", args=[sent.pk])).content.decode()

    for text in (page, json_page):
        assert "550 5.1.1" in text
        assert not re.search(r"\bbea\b", text, re.IGNORECASE)  # Not in the middle of a random token.
        assert "/recipients/" not in text


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("550 5.1.1 <ann@example.com> no such user", "550 5.1.1"),
        ("421-4.7.0 Ann, try later", "421-4.7.0"),
        ("554 Ann is away", "554"),
        ("ann.o'hara@example.com is no address", "… is no address"),
        ('The address "ann b"@example.com has no server.', "The address … has no server."),
        ("Unsubscribed.", "Unsubscribed."),
        ("5501 things", "5501 things"),
    ],
)
def test_reasons_without_addresses(reason: str, shown: str) -> None:
    assert without_addresses(reason) == shown


@pytest.mark.parametrize(
    ("status", "is_live"),
    [
        ("draft", False),
        ("scheduled", True),
        ("sending", True),
        ("paused", True),
        ("finished", False),
        ("cancelled", False),
    ],
)
def test_the_page_refreshes_itself_while_something_may_change(
    sent: Campaign, marketer: Client, status: str, is_live: bool
) -> None:
    Campaign.objects.update(status=status)

    page = marketer.get(reverse("campaigns:progress", args=[sent.pk])).content.decode()

    assert f'data-live="{"yes" if is_live else "no"}"' in page


def test_every_status_has_an_explanation_and_those_who_left_are_counted() -> None:
    assert set(EXPLANATIONS) == set(ORDER) == set(Message.Status)
    assert "Unsubscribed" in LATE_OUTCOMES


def test_a_campaign_without_mailing_has_a_page(campaign: Campaign, marketer: Client) -> None:
    page = text_of(marketer.get(reverse("campaigns:progress", args=[campaign.pk])).content)

    assert "Nothing sent yet." in page
    assert "No recipients yet." in text_of(marketer.get(reverse("campaigns:recipients", args=[campaign.pk])).content)


def test_a_campaign_that_is_not_there_is_404(marketer: Client) -> None:
    assert marketer.get(reverse("campaigns:progress", args=[999])).status_code == 404
    assert marketer.post(reverse("campaigns:pause", args=[999])).status_code == 404


# --- recipients -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"ann", "bea", "cleo"}),
        ("?status=bounced", {"bea"}),
        ("?status=nonsense", {"ann", "bea", "cleo"}),
        ("?q=CLEO", {"cleo"}),
        ("?q=nobody", set()),
        ("?server=0", set()),
        ("?server=99999999999999999999", set()),  # Fits into no column.
        ("?server=x&page=99", {"ann", "bea", "cleo"}),
    ],
)
def test_recipients_are_filtered(sent: Campaign, marketer: Client, query: str, found: set[str]) -> None:
    page = marketer.get(reverse("campaigns:recipients", args=[sent.pk]) + query).content.decode()

    assert {name for name in ("ann", "bea", "cleo") if f"{name}@example.com</a>" in page} == found


def test_recipients_come_in_pages(sent: Campaign, marketer: Client, monkeypatch) -> None:
    monkeypatch.setattr("campaigns.views.reports.recipients.RECIPIENTS_PER_PAGE", 2)
    url = reverse("campaigns:recipients", args=[sent.pk])

    first = marketer.get(f"{url}?q=example").content.decode()
    second = marketer.get(f"{url}?q=example&page=2").content.decode()

    assert "Page 1 of 2" in first
    assert "?q=example&amp;page=2" in first
    assert "cleo@example.com" in second
    assert "ann@example.com" not in second


def test_a_recipients_page_tells_each_attempt(sent: Campaign, marketer: Client) -> None:
    message = Message.objects.get(email="bea@example.com")

    response = marketer.get(reverse("campaigns:recipient", args=[message.pk]))

    page = text_of(response.content)
    for word in ("1. Alpha", "Alpha is first in the display order.", "RCPT", "550", "news@example.com", "Bounced"):
        assert word in page
    assert "<script>alert(2)" not in response.content.decode()
    assert "Resend message" not in page


@pytest.mark.parametrize(
    ("failed", "asked", "words"),
    [
        (1, "Send again to 1 person?", "1 message queued again."),
        (2, "Send again to 2 people?", "2 messages queued again."),
    ],
)
def test_retrying_the_failed_asks_and_tells_how_many_they_are(
    sent: Campaign, marketer: Client, failed: int, asked: str, words: str
) -> None:
    keys = list(Message.objects.values_list("pk", flat=True)[:failed])
    Message.objects.update(status="accepted")
    Message.objects.filter(pk__in=keys).update(status="failed")

    page = marketer.get(reverse("campaigns:progress", args=[sent.pk])).content.decode()
    retry = reverse("campaigns:retry", args=[sent.pk])
    unasked = marketer.post(retry, follow=True)
    answer = marketer.post(retry, opened(page, "retry_form"), follow=True)

    assert asked in page
    assert "The campaign changed since you opened this page." in unasked.content.decode()
    assert words in answer.content.decode()


def test_an_unconfirmed_message_warns_before_it_is_sent_again(sent: Campaign, marketer: Client) -> None:
    Message.objects.filter(email="ann@example.com").update(status="unconfirmed")
    message = Message.objects.get(email="ann@example.com")
    url = reverse("campaigns:recipient", args=[message.pk])

    page = marketer.get(url).content.decode()
    marketer.post(reverse("campaigns:resend", args=[message.pk]))

    assert "so the recipient may get it twice" in page
    assert Message.objects.get(pk=message.pk).status == "queued"


# --- preview --------------------------------------------------------------------------------


def test_the_preview_shows_a_contacts_values_and_runs_nothing(
    campaign: Campaign, marketer: Client, server: SmtpServer
) -> None:
    bea = Contact.objects.get(email="bea@example.com")

    page = marketer.get(reverse("campaigns:preview", args=[campaign.pk]), {"contact": bea.pk}).content.decode()
    frame = marketer.get(reverse("campaigns:preview_html", args=[campaign.pk]), {"contact": bea.pk})

    assert "Hello Bea" in page
    assert "<iframe sandbox " in page
    assert "alert(1)" not in page
    assert "Snow, Bea!" in frame.content.decode()
    assert f"utm_source=news&amp;utm_campaign=winter-sale-{dt.datetime.now(dt.UTC):%Y-%m-%d}" in frame.content.decode()
    policy = frame["Content-Security-Policy"]
    assert policy.startswith(
        "sandbox; default-src 'none'; img-src 'self' data: http://localhost:8000/media/; style-src 'unsafe-inline'"
    )
    assert "script-src" not in policy


def test_the_preview_names_a_mistake_in_words(campaign: Campaign, marketer: Client, server: SmtpServer) -> None:
    Campaign.objects.update(html="{{ first_name")

    page = marketer.get(reverse("campaigns:preview", args=[campaign.pk]))
    frame = marketer.get(reverse("campaigns:preview_html", args=[campaign.pk]))

    assert page.status_code == 200
    assert "Couldn't show the preview." in page.content.decode()
    assert frame.content == b""


def test_without_a_server_the_preview_says_what_is_missing(campaign: Campaign, marketer: Client) -> None:
    page = marketer.get(reverse("campaigns:preview", args=[campaign.pk]))

    assert "No SMTP servers yet" in page.content.decode()


def test_a_contact_is_found_by_a_part_of_the_address(campaign: Campaign, marketer: Client, server: SmtpServer) -> None:
    cleo = Contact.objects.get(email="cleo@example.com")

    page = marketer.get(reverse("campaigns:preview", args=[campaign.pk]), {"q": "CLE"}).content.decode()

    assert f'href="?contact={cleo.pk}"' in page
    assert "ann@example.com</a>" not in page


# --- test -----------------------------------------------------------------------------------


def test_a_test_to_a_wrong_address_says_so(campaign: Campaign, marketer: Client, server: SmtpServer) -> None:
    page = marketer.post(reverse("campaigns:send_test", args=[campaign.pk]), {"recipient": "nobody@"})

    assert page.status_code == 422
    assert 'value="nobody@"' in page.content.decode()  # What was typed stays.
    assert not Mailing.objects.exists()


def test_a_test_without_a_server_says_so(campaign: Campaign, marketer: Client) -> None:
    page = marketer.post(
        reverse("campaigns:send_test", args=[campaign.pk]), {"recipient": "a@example.com"}, follow=True
    )

    assert "No SMTP servers yet" in page.content.decode()


def test_a_test_that_reaches_nobody_is_explained_and_shows_a_marketer_no_host(
    campaign: Campaign, people: dict[str, User], server: SmtpServer, unused_tcp_port_of_this_machine: int
) -> None:
    SmtpServer.objects.update(port=unused_tcp_port_of_this_machine)
    url = reverse("campaigns:send_test", args=[campaign.pk])

    marketers = tried(client_of(people["marketer"]), url, {"recipient": "a@example.com"}).content.decode()
    admins = tried(client_of(people["admin"]), url, {"recipient": "a@example.com"}).content.decode()

    assert "wasn't accepted" in marketers
    assert str(unused_tcp_port_of_this_machine) not in marketers
    assert "Tell the person who manages the SMTP servers." in marketers
    assert str(unused_tcp_port_of_this_machine) in admins
    assert set(Mailing.objects.values_list("stream", flat=True)) == {"test"}


@pytest.fixture
def unused_tcp_port_of_this_machine() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_campaign_that_complaints_stopped_is_resumed_with_a_reason(
    client: Client, people: dict[str, User], sent: Campaign
) -> None:
    client.force_login(people["ops"])
    states.pause(sent.pk)
    Mailing.objects.filter(pk=sent.mailing_id).update(waiting_reason=f"{STOPPED_FOR_COMPLAINTS} 3 people …")
    page = client.get(f"/campaigns/{sent.pk}/").content.decode()

    client.post(f"/campaigns/{sent.pk}/resume/", {"reason": "  "})
    without = Campaign.objects.get(pk=sent.pk).status
    client.post(f"/campaigns/{sent.pk}/resume/", {"reason": "The segment is  mended."})

    assert 'name="reason"' in page
    assert (without, Campaign.objects.get(pk=sent.pk).status) == ("paused", "sending")
    assert LogEntry.objects.filter(change_message__contains="Resumed: The segment is mended.").exists()


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        (["failed", "failed", "bounced"], "Failed"),
        (["accepted", "failed", "failed"], "Sent"),
        (["unconfirmed", "failed", "failed"], "Sent"),
    ],
)
def test_a_campaign_with_nothing_accepted_is_never_called_sent(
    sent: Campaign, marketer: Client, statuses: list[str], word: str
) -> None:
    for message, status in zip(Message.objects.order_by("pk"), statuses, strict=True):
        Message.objects.filter(pk=message.pk).update(status=status)
    Campaign.objects.update(status="finished")

    progress = marketer.get(f"/campaigns/{sent.pk}/").content.decode()
    listed = marketer.get("/admin/campaigns/campaign/").content.decode()

    assert re.search(rf'class="status-chip" data-status="\w+">{word}<', progress)
    assert re.search(rf'class="status-chip" data-status="\w+">{word}<', listed)
    assert ("Nothing was accepted: 1 bounced, 2 failed." in progress) == (word == "Failed")
    assert ("Fix the reasons on this page first" in progress) == (word == "Failed")
