"""The page before a campaign is queued: what it shows, what its buttons do, and for whom."""

import datetime as dt
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
from tests.harness.send_test import tried
from tests.peers.peer import running_peer

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


def test_it_shows_people_checks_forecast_and_time(marketer: Client, sound: Campaign) -> None:
    html = page(marketer, sound)

    assert "Ready to send to 3 people" in html
    assert "Postal address" in html
    assert "The 3 messages leave from" in html
    assert "assumed: it has no rate" in html
    assert "It starts within seconds of being queued." in html
    assert "Queue the campaign" in html


def test_a_held_copy_never_says_that_something_starts_within_seconds(
    marketer: Client, sound: Campaign, server: SmtpServer
) -> None:
    Installation.objects.update_or_create(
        pk=1, defaults={"identity": "x", "raised_at": START, "held_because": "copied", "held_since": START}
    )

    assert "It starts once an administrator lets this restored copy send." in page(marketer, sound)
    queued = marketer.post(f"/campaigns/{sound.pk}/queue/", follow=True).content.decode()
    Campaign.objects.update(is_overdue=True)
    [started] = post(marketer, f"/campaigns/{sound.pk}/start/")

    assert "The campaign was queued. It starts once an administrator lets this restored copy send." in queued
    assert "nothing starts before an administrator lets this restored copy send" in queued
    assert "within seconds" not in queued
    assert started == "The campaign was started. It starts once an administrator lets this restored copy send."


def test_what_blocks_hides_the_button_and_is_overridden_by_an_admin_alone(
    marketer: Client, people: dict[str, User], sound: Campaign
) -> None:
    sound.html = '<p>Snow! <a href="http://localhost/x">Sale</a></p>'
    sound.save()
    address = f"/campaigns/{sound.pk}/override/"
    html = page(marketer, sound)
    assert "Not ready yet: 1 check blocks" in html
    assert "Queue the campaign" not in html
    assert "Override the check" not in html
    assert marketer.post(address, {"check": "M11", "reason": "x"}).status_code == 403

    admin = client_of(people["admin"])
    assert "Override the check" in page(admin, sound)
    [said] = post(admin, address, check="M11", reason="It is for the <b>office</b>.")

    assert said == "The check was overridden. It counts again after any edit."
    assert CheckOverride.objects.get().reason == "It is for the <b>office</b>."
    assert "Overrode check M11" in LogEntry.objects.latest("pk").change_message
    html = page(marketer, sound)
    assert "Ready to send" in html
    assert "It is for the &lt;b&gt;office&lt;/b&gt;." in html
    post(marketer, f"/campaigns/{sound.pk}/queue/")
    assert "It is for the &lt;b&gt;office" in marketer.get(f"/campaigns/{sound.pk}/").content.decode()
    assert "office" not in client_of(people["ops"]).get(f"/campaigns/{sound.pk}/").content.decode()


def test_when_it_is_sent_is_chosen_there(marketer: Client, sound: Campaign) -> None:
    tomorrow = timezone.now() + dt.timedelta(days=1)
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

    assert said == "When the campaign is sent was saved."
    assert (sound.start, sound.start_wall, sound.time_zone) == ("at", f"{tomorrow:%Y-%m-%dT09:30}", "Asia/Tokyo")
    html = page(marketer, sound)
    assert f"It starts on {tomorrow:%-d %B %Y}, 09:30 (Asia/Tokyo)." in html
    assert "every day 08:00 to 20:00, Asia/Tokyo" in html
    [said] = post(marketer, f"/campaigns/{sound.pk}/queue/")
    assert said == f"The campaign was queued. It starts on {tomorrow:%-d %B %Y}, 09:30 (Asia/Tokyo)."
    [said] = post(marketer, f"/campaigns/{sound.pk}/take-back/")
    assert said == "The campaign is a draft again. Nothing has been sent."


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"start": "at"}, "Choose the date and time to start at."),
        ({"start": "now", "opens": "09:00"}, "Fill in both hours, or neither."),
        ({"start": "now", "opens": "09:00", "closes": "09:00"}, "Between the two there is no time."),
        ({"start": "now", "time_zone": "Mars/Olympus"}, "Choose something from the list"),
        ({"start": "now", "not_after": "soon"}, "Enter a valid date/time."),
    ],
)
def test_a_time_that_makes_no_sense_is_told_beside_its_field(
    marketer: Client, sound: Campaign, fields: dict[str, str], sentence: str
) -> None:
    response = marketer.post(f"/campaigns/{sound.pk}/schedule/", fields)

    assert response.status_code == 422
    assert sentence in response.content.decode()


def test_a_second_person_approves_on_the_page(marketer: Client, people: dict[str, User], sound: Campaign) -> None:
    ApprovalRule.objects.create(needed_above=2)
    unasked = page(marketer, sound)
    assert "A second person must approve it" in unasked
    assert "Waiting for a second person" not in unasked
    post(marketer, f"/campaigns/{sound.pk}/approval/", note="The new prices.")
    approval = Approval.objects.get()
    assert "Waiting for a second person" in page(marketer, sound)
    assert "Somebody else must decide." in page(marketer, sound)
    [said] = post(marketer, f"/campaigns/approvals/{approval.pk}/", decision="approve")
    assert said.startswith("Who asks for approval cannot give it.")

    [said] = post(client_of(people["admin"]), f"/campaigns/approvals/{approval.pk}/", decision="approve", note="Good.")

    assert said == "The campaign was approved."
    assert "Ready to send" in page(marketer, sound)
    assert {"Approved. Good.", "Asked for approval. The new prices."} <= set(
        LogEntry.objects.values_list("change_message", flat=True)
    )


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        ("", "was changed after approval was asked for, so nobody can decide on that request. Ask again."),
        ("approve", "admin approved the campaign. It, or something that it uses, was changed since, so the approval"),
        ("reject", "admin rejected the campaign: Too loud. It was changed since. Ask again."),
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
    assert "A second person must approve it" in html
    assert "Waiting for a second person" not in html


def test_only_who_may_gets_there(people: dict[str, User], sound: Campaign) -> None:
    for role in ("ops", "viewer"):
        client = client_of(people[role])
        assert client.get(f"/campaigns/{sound.pk}/review/").status_code == 403
        for address in ("schedule", "override", "approval", "start", "take-back", "tests"):
            assert client.post(f"/campaigns/{sound.pk}/{address}/").status_code == 403
    assert client_of(people["admin"]).get(f"/campaigns/{sound.pk}/schedule/").status_code == 405


# --- missed


def test_a_missed_start_is_asked_about_on_its_page_and_the_dashboard(
    marketer: Client, people: dict[str, User], sound: Campaign
) -> None:
    Campaign.objects.update(status="scheduled", starts_at=START, is_overdue=True)

    for address in (f"/campaigns/{sound.pk}/", "/admin/"):
        html = marketer.get(address).content.decode()
        assert "should have started on 23 November 2026" in html
        assert "Start it now" in html
    assert "Start it now" not in client_of(people["viewer"]).get("/admin/").content.decode()

    [said] = post(marketer, f"/campaigns/{sound.pk}/start/")
    assert said == "The campaign was started. It starts within seconds."


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
    assert "data-under-way" not in html
    assert "b@yahoo.example" in html
    assert Message.objects.filter(mailing__stream="test", status="accepted").count() == 3


def test_a_server_that_cannot_be_reached_is_asked_once(marketer: Client, sound: Campaign, settings: Any) -> None:
    SmtpServer.objects.update(port=1)

    addresses = {"recipients": "ann@example.com\nbea@example.com"}
    html = tried(marketer, f"/campaigns/{sound.pk}/tests/", addresses).content.decode()

    assert "0 of 2 tests accepted" in html
    assert "Not tried" in html
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
        ("", "Write at least one address, or choose a seed list."),
        ("ann@example.com\nann@\nbea@example.com", ">ann@ has nothing after the @;"),
        ("\n".join(f"p{number}@example.com" for number in range(21)), "send at most 20 tests at once."),
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
    assert "Ready to send to" in html
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

    assert told.headline == (
        "The 700 messages leave from 23 November 2026, 12:00 on, and the last one on 23 November 2026, 12:01: 2 min."
    )
    assert told.rows[0].notes == (
        "Its quota is used up on 23 November 2026, 12:01; the next period begins on 1 December 2026, 00:00.",
    )
    assert told.rows[1].notes == ("With copies, 200 units of its quota.",)
    assert told.rows[0].speed == "10 a second, its limit"


@pytest.mark.parametrize(
    ("part", "headline"),
    [
        (MailingPart(10, ()), "As things stand, none of the 10 messages is sent at all."),
        (MailingPart(1, ()), "As things stand, the message is not sent at all."),
        (MailingPart(1, (1,)), "The message leaves on 23 November 2026, 12:00."),
        (MailingPart(495, (1,), not_after=START), "By 23 November 2026, 12:00, none of the 495 messages is sent."),
        (
            MailingPart(495, (1,), not_after=START + dt.timedelta(milliseconds=100)),
            "Only 1 of 495 messages is sent by 23 November 2026, 12:00.",
        ),
        (
            MailingPart(1000, (1,), not_after=START + dt.timedelta(seconds=10)),
            "Only 100 of 1,000 messages are sent by 23 November 2026, 12:00.",
        ),
        (MailingPart(0, (1,)), "Nobody gets it, so there is nothing to foresee."),
    ],
)
def test_what_does_not_finish_is_said_plainly(part: MailingPart, headline: str) -> None:
    told = words(forecast([ServerState(1, "Alpha", 10.0)], ForecastWork((part,)), START), dt.UTC)

    assert told.headline == headline


@pytest.mark.parametrize(
    ("number", "notes"),
    [
        (1, ["1 message waits for the next quota period of its server.", "Other campaigns go first with 1 message"]),
        (2, ["2 messages wait for the next quota period of their server.", "Other campaigns go first with 2 messages"]),
    ],
)
def test_one_and_many_are_told_apart(number: int, notes: list[str]) -> None:
    fleet = [ServerState(1, "Alpha", 10.0, quota=10 + number)]

    told = words(
        forecast(
            fleet, ForecastWork((MailingPart(number, (1,), is_ours=False), MailingPart(10 + number, (1,)))), START
        ),
        dt.UTC,
    )

    assert told.notes == (notes[0], f"{notes[1]} where they use the same servers.")


def test_who_is_left_out_is_told_in_whole_phrases(marketer: Client, sound: Campaign) -> None:
    Suppression.objects.create(email="ann@example.com", email_key="ann@example.com")

    html = page(marketer, sound)
    form = marketer.get(f"/admin/campaigns/campaign/{sound.pk}/change/").content.decode()

    assert "1 person of the audience gets nothing: 1 on the suppression list." in html
    assert "<dd>1 on the suppression list</dd>" in html
    assert "News – 3 subscribed" in form
    assert "Who is suppressed, or asked for a break, is among the subscribers and gets none" in form
