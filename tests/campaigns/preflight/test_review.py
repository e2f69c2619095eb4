"""The page before a campaign is queued: what it shows, what its buttons do, and for whom."""

import datetime as dt
import re
import time
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from campaigns.forecast.forecast import ForecastWork, forecast
from campaigns.forecast.simulation import MailingPart, ServerState
from campaigns.forecast.words import words
from campaigns.models import Approval, ApprovalRule, Campaign, CheckOverride, Layout, SeedList
from contacts.models import ContactList, Suppression
from delivery.models import Attempt, Installation, Message, Trial
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.harness.forms import opened
from tests.harness.send_test import tried
from tests.peers.peer import running_peer
from words.instants import stamp

pytestmark = pytest.mark.django_db
START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def sound(campaign: Campaign, server: SmtpServer) -> Campaign:
    campaign.html, campaign.subject = "<p>Snow!</p>", "Snow"
    campaign.save()
    return campaign


def page(client: Client, campaign: Campaign) -> str:
    response = client.get(f"/campaigns/{campaign.pk}/review/")
    assert response.status_code == 200
    return response.content.decode()


def post(client: Client, address: str, **fields: Any) -> list[str]:
    response = client.post(address, fields, follow=True)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def send(client: Client, campaign: Campaign) -> list[str]:
    """Answer the last question."""
    return post(client, f"/campaigns/{campaign.pk}/queue/", **opened(page(client, campaign), "send_form"))


def test_it_shows_people_checks_forecast_and_time(marketer: Client, sound: Campaign) -> None:
    html = page(marketer, sound)

    assert "Ready to send to 3 people" in html
    assert "Postal address" in html
    assert "3 messages, starting" in html
    assert "estimate: no recent sends to measure" in html
    assert "Sends right away." in html
    assert "Send now" in html


def test_a_held_copy_never_says_that_something_starts_within_seconds(
    marketer: Client, sound: Campaign, server: SmtpServer
) -> None:
    Installation.objects.update_or_create(
        pk=1, defaults={"identity": "x", "raised_at": START, "held_because": "copied", "held_since": START}
    )

    assert "Sending starts once an administrator allows this restored copy to send." in page(marketer, sound)
    asked = opened(page(marketer, sound), "send_form")
    queued = marketer.post(f"/campaigns/{sound.pk}/queue/", asked, follow=True).content.decode()
    Campaign.objects.update(is_overdue=True)
    late = opened(marketer.get(f"/campaigns/{sound.pk}/").content, "start_form")
    [started] = post(marketer, f"/campaigns/{sound.pk}/start/", **late)

    assert "Campaign queued. Sending starts once an administrator allows this restored copy to send." in queued
    assert "Waiting for an administrator to allow this restored copy to send" in queued
    assert "within seconds" not in queued
    assert started == "Campaign queued. Sending starts once an administrator allows this restored copy to send."


def test_what_blocks_hides_the_button_and_is_overridden_by_an_admin_alone(
    marketer: Client, people: dict[str, User], sound: Campaign
) -> None:
    sound.html = '<p>Snow! <a href="http://localhost/x">Sale</a></p>'
    sound.save()
    address = f"/campaigns/{sound.pk}/override/"
    html = page(marketer, sound)
    assert "Not ready yet: 1 item to fix" in html
    assert "Send now" not in html
    assert "Override check" not in html
    assert f'/campaign/{sound.pk}/change/#id_markup">Edit content' in html
    assert marketer.post(address, {"check": "M11", "reason": "x"}).status_code == 403

    admin = client_of(people["admin"])
    assert "Override check" in page(admin, sound)
    [said] = post(admin, address, check="M11", reason="It is for the <b>office</b>.")

    assert said == "Check overridden. Any edit turns it back on."
    assert CheckOverride.objects.get().reason == "It is for the <b>office</b>."
    assert "Overrode check M11" in LogEntry.objects.latest("pk").change_message
    html = page(marketer, sound)
    assert "Ready to send" in html
    assert "It is for the &lt;b&gt;office&lt;/b&gt;." in html
    send(marketer, sound)
    assert "It is for the &lt;b&gt;office" in marketer.get(f"/campaigns/{sound.pk}/").content.decode()
    assert "office" not in client_of(people["ops"]).get(f"/campaigns/{sound.pk}/").content.decode()


def test_when_it_is_sent_is_chosen_there(marketer: Client, sound: Campaign) -> None:
    tomorrow = timezone.now() + dt.timedelta(days=1)
    start = stamp(tomorrow.replace(hour=9, minute=30), timezone.now(), dt.UTC)
    fields = {
        "start": "at",
        "wall": f"{tomorrow:%Y-%m-%dT09:30}",
        "time_zone": "Asia/Tokyo",
        "days": ["0", "1", "2", "3", "4", "5", "6"],
        "opens": "08:00",
        "closes": "20:00",
    }
    [said] = post(marketer, f"/campaigns/{sound.pk}/schedule/", **fields)
    sound.refresh_from_db()

    assert said == "Schedule saved."
    assert (sound.start, sound.start_wall, sound.time_zone) == ("at", f"{tomorrow:%Y-%m-%dT09:30}", "Asia/Tokyo")
    html = page(marketer, sound)
    assert f"Sends at {start} (Tokyo)." in html
    assert "every day 08:00 to 20:00, Asia/Tokyo" in html
    [said] = send(marketer, sound)
    assert said == f"Campaign scheduled for {start} (Tokyo)."
    [said] = post(marketer, f"/campaigns/{sound.pk}/take-back/")
    assert said == "Campaign is back to draft. Nothing has been sent."


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"start": "at"}, "Choose a date and time."),
        ({"start": "at", "wall": "2020-01-01T09:00"}, "This time is in the past"),
        ({"start": "now", "opens": "09:00"}, "Fill in both times, or leave both empty."),
        ({"start": "now", "opens": "09:00", "closes": "09:00"}, "Choose two different times."),
        ({"start": "now", "time_zone": "Mars/Olympus"}, "Choose something from the list"),
        ({"start": "now", "not_after": "soon"}, "Enter a valid date/time."),
    ],
)
def test_a_time_that_makes_no_sense_is_told_beside_its_field(
    marketer: Client, sound: Campaign, fields: dict[str, str], sentence: str
) -> None:
    response = marketer.post(f"/campaigns/{sound.pk}/schedule/", fields)

    html = response.content.decode()
    assert response.status_code == 422
    assert sentence in html
    assert "Schedule not saved" in html
    assert re.search(
        r"<(?:input|select)[^>]*autofocus[^>]*aria-invalid|<(?:input|select)[^>]*aria-invalid[^>]*autofocus", html
    )
    # Nothing else on the page is one click from sending at once.
    assert "send_form" not in html
    assert "Ready to send to" not in html


def test_a_second_person_approves_on_the_page(marketer: Client, people: dict[str, User], sound: Campaign) -> None:
    ApprovalRule.objects.create(needed_above=2)
    unasked = page(marketer, sound)
    assert "Approval needed" in unasked
    assert "Waiting for approval" not in unasked
    post(marketer, f"/campaigns/{sound.pk}/approval/", note="The new prices.")
    approval = Approval.objects.get()
    assert "Waiting for approval" in page(marketer, sound)
    assert "Someone else must decide." in page(marketer, sound)
    [said] = post(marketer, f"/campaigns/approvals/{approval.pk}/", decision="approve")
    assert said.startswith("You can't approve your own request.")

    [said] = post(client_of(people["admin"]), f"/campaigns/approvals/{approval.pk}/", decision="approve", note="Good.")

    assert said == "Campaign approved."
    assert "Ready to send" in page(marketer, sound)
    assert {"Approved. Good.", "Asked for approval. The new prices."} <= set(
        LogEntry.objects.values_list("change_message", flat=True)
    )


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        ("", "The request is no longer valid: the campaign or something it uses has changed. Request approval again."),
        ("approve", "The approval by admin is no longer valid: the campaign or something it uses has changed."),
        ("reject", "admin rejected the campaign: Too loud. It has changed since. Request approval again."),
    ],
)
def test_what_a_change_of_the_layout_makes_void_is_told_as_it_was(
    marketer: Client, people: dict[str, User], sound: Campaign, decision: str, sentence: str
) -> None:
    ApprovalRule.objects.create(needed_above=2)
    sound.layout = Layout.objects.create(name="House", header="Ours")
    sound.save()
    post(marketer, f"/campaigns/{sound.pk}/approval/", note="")
    if decision:
        address = f"/campaigns/approvals/{Approval.objects.get().pk}/"
        post(client_of(people["admin"]), address, decision=decision, note="Too loud.")

    Layout.objects.update(header="Theirs")

    html = page(marketer, sound)
    assert sentence in html
    assert "Approval needed" in html
    assert "Waiting for approval" not in html


def test_only_who_may_gets_there(people: dict[str, User], sound: Campaign) -> None:
    for role in ("ops", "viewer"):
        client = client_of(people[role])
        assert client.get(f"/campaigns/{sound.pk}/review/").status_code == 403
        for address in ("schedule", "override", "approval", "start", "take-back", "tests"):
            assert client.post(f"/campaigns/{sound.pk}/{address}/").status_code == 403
    assert client_of(people["admin"]).get(f"/campaigns/{sound.pk}/schedule/").status_code == 405


# --- missed


def test_a_missed_start_is_asked_about_on_its_page(marketer: Client, people: dict[str, User], sound: Campaign) -> None:
    Campaign.objects.update(status="scheduled", starts_at=START, is_overdue=True)

    page = marketer.get(f"/campaigns/{sound.pk}/").content.decode()
    assert "missed its start on 23 Nov" in page
    assert "Send to 3 people?" in page
    asked = opened(page, "start_form")
    assert "/start/" not in client_of(people["viewer"]).get(f"/campaigns/{sound.pk}/").content.decode()

    [refused] = post(marketer, f"/campaigns/{sound.pk}/start/")
    assert refused == "The campaign changed since you opened this page. Check it, then send it."
    [said] = post(marketer, f"/campaigns/{sound.pk}/start/", **asked)
    assert said == "Campaign queued."


# --- tests and seed lists


def test_several_tests_are_sent_and_each_result_is_shown(
    marketer: Client, sound: Campaign, server: SmtpServer, news: ContactList, tmp_path: Any, settings: Any
) -> None:
    seeds = SeedList.objects.create(name="Ours", addresses="a@gmail.example\nb@yahoo.example")
    settings.DATA_DIR = tmp_path
    with running_peer(tmp_path) as peer:
        SmtpServer.objects.update(host="127.0.0.1", port=peer.port)
        html = tried(
            marketer,
            f"/campaigns/{sound.pk}/tests/",
            {"recipients": "ann@example.com, A@gmail.example", "seed_lists": [seeds.pk]},
        ).content.decode()

    assert "3 of 3 tests accepted" in html
    assert "View in Test inbox" not in html
    assert "data-under-way" not in html
    assert "b@yahoo.example" in html
    assert Message.objects.filter(mailing__stream="test", status="accepted").count() == 3


def test_a_test_to_the_test_inbox_leads_there(
    marketer: Client, sound: Campaign, server: SmtpServer, tmp_path: Any, settings: Any
) -> None:
    settings.DATA_DIR, settings.SANDBOX_ENABLED = tmp_path, True
    with running_peer(tmp_path) as peer:
        SmtpServer.objects.update(host="127.0.0.1", port=peer.port)
        settings.SANDBOX_PLAIN_PORT = peer.port
        one = tried(marketer, f"/campaigns/{sound.pk}/test/", {"recipient": "a+b@example.com"}).content.decode()
        two = tried(marketer, f"/campaigns/{sound.pk}/tests/", {"recipients": "c@example.com, d@example.com"})

    inbox = "/admin/sandbox/sandboxmail/?q="
    assert f'href="{inbox}a%2Bb%40example.com"' in one
    assert two.content.decode().count(f'href="{inbox}') == 2


def test_a_server_that_cannot_be_reached_is_asked_once(marketer: Client, sound: Campaign, settings: Any) -> None:
    SmtpServer.objects.update(port=1)

    addresses = {"recipients": "ann@example.com\nbea@example.com"}
    html = tried(marketer, f"/campaigns/{sound.pk}/tests/", addresses).content.decode()

    assert "0 of 2 tests accepted" in html
    assert "not sent" in html
    assert Attempt.objects.count() == 1


def test_no_page_waits_for_a_server_that_dawdles(
    marketer: Client, sound: Campaign, server: SmtpServer, tmp_path: Any, settings: Any
) -> None:
    settings.DATA_DIR = tmp_path
    with running_peer(tmp_path, lambda event, _: (b"250-", 0.2) * 50 if event == "ehlo" else None) as peer:
        SmtpServer.objects.update(host="127.0.0.1", port=peer.port)
        began = time.monotonic()
        several = marketer.post(f"/campaigns/{sound.pk}/tests/", {"recipients": "a@example.com\nb@example.com"})
        one = marketer.post(f"/campaigns/{sound.pk}/test/", {"recipient": "c@example.com"})
        pages = [marketer.get(each.headers["Location"]).content.decode() for each in (several, one)]
        parts = [marketer.get(each.headers["Location"] + "?part").content.decode() for each in (several, one)]

        assert time.monotonic() - began < 5
        assert peer.journal.events() == []
    assert not Message.objects.filter(mailing__stream="test").exists()
    for told, of in (("0 of 2 tests accepted so far", 0), ("The test is about to start.", 1)):
        assert told in pages[of]
        assert told in parts[of]
        assert "<html" not in parts[of]
        assert "data-under-way" in parts[of]


def test_tests_are_shown_with_their_campaign_alone(marketer: Client, sound: Campaign, server: SmtpServer) -> None:
    address = marketer.post(f"/campaigns/{sound.pk}/test/", {"recipient": "c@example.com"}).headers["Location"]
    other = Campaign.objects.create(name="Other", subject="Other", text="Other.")

    assert marketer.get(address).status_code == 200
    assert marketer.get(address.replace(f"/{sound.pk}/", f"/{other.pk}/")).status_code == 404
    assert marketer.get(f"/campaigns/{sound.pk}/tests/{'0' * 32}/").status_code == 404


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter an address or choose a seed list."),
        ("ann@example.com\nann@\nbea@example.com", ">ann@ has nothing after the @."),
        ("\n".join(f"p{number}@example.com" for number in range(21)), "Enter at most 20."),
    ],
)
def test_wrong_addresses_of_tests_are_named_and_everything_typed_stays(
    marketer: Client, sound: Campaign, typed: str, sentence: str
) -> None:
    seeds = SeedList.objects.create(name="Ours", addresses="a@gmail.example")
    chosen = {"seed_lists": [seeds.pk]} if typed else {}

    response = marketer.post(f"/campaigns/{sound.pk}/tests/", {"recipients": typed, **chosen})

    html = response.content.decode()
    assert response.status_code == 422
    assert sentence in html
    assert f">\n{typed}</textarea>" in html
    assert ("checked" in html.partition("Seed lists")[2].partition("</fieldset>")[0]) is bool(chosen)
    assert 'class="review-when" open' in html.partition("review-tests")[2]
    assert "Tests not sent" in html
    assert "send_form" not in html
    assert not Trial.objects.exists()


def test_seed_lists_and_the_approval_rule_have_pages(marketer: Client, people: dict[str, User]) -> None:
    marketer.post(
        "/admin/campaigns/seedlist/add/", {"name": "Ours", "addresses": "a@x.example, b@x.example\na@x.example"}
    )
    assert SeedList.objects.get().addresses == "a@x.example\nb@x.example"

    admin = client_of(people["admin"])
    change = admin.get("/admin/campaigns/approvalrule/")["Location"]
    admin.post(change, {"needed_above": "500"})
    assert ApprovalRule.objects.get().needed_above == 500
    marketer.post(change, {"needed_above": ""})
    assert ApprovalRule.objects.get().needed_above == 500


# --- in words


def test_a_forecast_is_told_in_sentences() -> None:
    fleet = [ServerState(1, "Alpha", 10.0, "limit", quota=600), ServerState(2, "Beta", 5.0, copies=1)]

    told = words(forecast(fleet, ForecastWork((MailingPart(700, (1, 2)),)), START), dt.UTC)

    assert told.headline == ("700 messages, starting 23 Nov, 12:00 and finishing around 23 Nov, 12:01 (2 min).")
    assert told.rows[0].notes == ("Quota runs out 23 Nov, 12:01, resets 1 Dec, 00:00.",)
    assert told.rows[1].notes == ("With copies, it uses 200 of its quota.",)
    assert told.rows[0].speed == "10/s (limit)"


@pytest.mark.parametrize(
    ("part", "headline"),
    [
        (MailingPart(10, ()), "With the current settings, none of the 10 messages can be sent."),
        (MailingPart(1, ()), "With the current settings, the message can't be sent."),
        (MailingPart(1, (1,)), "The message is sent at 23 Nov, 12:00."),
        (MailingPart(495, (1,), not_after=START), "None of the 495 messages can be sent by 23 Nov, 12:00."),
        (
            MailingPart(495, (1,), not_after=START + dt.timedelta(milliseconds=100)),
            "Only 1 of 495 messages can be sent by 23 Nov, 12:00.",
        ),
        (
            MailingPart(1000, (1,), not_after=START + dt.timedelta(seconds=10)),
            "Only 100 of 1,000 messages can be sent by 23 Nov, 12:00.",
        ),
        (MailingPart(0, (1,)), "No recipients yet, so there's nothing to forecast."),
    ],
)
def test_what_does_not_finish_is_said_plainly(part: MailingPart, headline: str) -> None:
    told = words(forecast([ServerState(1, "Alpha", 10.0)], ForecastWork((part,)), START), dt.UTC)

    assert told.headline == headline


@pytest.mark.parametrize(
    ("number", "notes"),
    [
        (1, ["1 message waits for a quota that resets 1 Dec, 00:00.", "1 message of other campaigns goes first"]),
        (2, ["2 messages wait for a quota that resets 1 Dec, 00:00.", "2 messages of other campaigns go first"]),
    ],
)
def test_one_and_many_are_told_apart(number: int, notes: list[str]) -> None:
    fleet = [ServerState(1, "Alpha", 10.0, quota=10 + number)]
    work = ForecastWork((MailingPart(number, (1,), is_ours=False), MailingPart(10 + number, (1,))))

    told = words(forecast(fleet, work, START), dt.UTC)

    assert told.notes == (notes[0], f"{notes[1]} on shared servers.")


def test_the_last_question_names_who_gets_it_only_with_the_next_quota(
    marketer: Client, sound: Campaign, server: SmtpServer
) -> None:
    def late() -> list[str]:
        page = marketer.get(f"/campaigns/{sound.pk}/review/").content.decode()
        return re.findall(r"<strong>(\d+ \w+ gets? it from .*)</strong>", page)

    assert late() == []
    SmtpServer.objects.filter(pk=server.pk).update(max_per_month=1)
    (sentence,) = late()
    assert re.fullmatch(r"\d (person gets|people get) it from 1 \w+( \d+)?, 00:00, when a quota resets\.", sentence)


def test_who_is_left_out_is_told_in_whole_phrases(marketer: Client, sound: Campaign) -> None:
    Suppression.objects.create(email="ann@example.com", email_key="ann@example.com")

    html = page(marketer, sound)
    form = marketer.get(f"/admin/campaigns/campaign/{sound.pk}/change/").content.decode()

    assert "1 person is excluded: 1 on the suppression list." in html
    assert "<dd>1 on the suppression list</dd>" in html
    assert "News – 3 subscribers" in form
    assert "Suppressed and paused people are subscribers too, but get none." in form
