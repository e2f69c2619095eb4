"""Drafts saved as somebody types: what is stored, what is a conflict, who else is here; and the way without script."""

import datetime as dt
import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.forms import autosave
from campaigns.forms.autosave import Change
from campaigns.forms.campaign import DraftForm
from campaigns.forms.content import values_of
from campaigns.markup.starter_templates import starters
from campaigns.models import Campaign, Layout, Writing
from campaigns.reports.timeline import steps
from campaigns.views.pages import STRETCH
from contacts.models import ContactList
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.harness.forms import opened

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


def save(campaign: Campaign, version: int, **changes: tuple[str | list[str], str | list[str]]) -> autosave.Saved:
    def listed(value: str | list[str]) -> list[str]:
        return value if isinstance(value, list) else [value]

    asked = {name: Change(listed(was), listed(now)) for name, (was, now) in changes.items()}
    return autosave.save(campaign.pk, asked, version, DraftForm)


def test_what_changed_is_stored_and_the_version_counts(campaign: Campaign) -> None:
    saved = save(campaign, 1, subject=("Hello {{ first_name }}", "Snow"), preheader=("", "Look"))

    campaign.refresh_from_db()
    assert (saved.saved, saved.version, saved.conflicts, saved.errors) == (["preheader", "subject"], 2, {}, {})
    assert (campaign.subject, campaign.preheader, campaign.version) == ("Snow", "Look", 2)
    assert campaign.lists.count() == 1  # What was not sent stays.


def test_nothing_changed_changes_nothing(campaign: Campaign) -> None:
    saved = save(campaign, 1, subject=("Hello {{ first_name }}", " Hello {{ first_name }} "))

    assert (saved.saved, saved.version, saved.fresh) == ([], 1, {})


def test_lists_boxes_and_choices_are_saved_like_words(campaign: Campaign, news: ContactList) -> None:
    other = ContactList.objects.create(name="Other")
    layout = Layout.objects.create(name="House")

    saved = save(
        campaign,
        1,
        lists=([str(news.pk)], [str(news.pk), str(other.pk)]),
        is_tagged=(["on"], []),
        markup=("html", "markdown"),
        layout=("", str(layout.pk)),
    )

    campaign.refresh_from_db()
    assert saved.errors == {}
    assert set(campaign.lists.all()) == {news, other}
    assert (campaign.is_tagged, campaign.markup, campaign.layout) == (False, "markdown", layout)


def test_what_is_half_written_is_saved_and_what_cannot_be_stored_is_named(campaign: Campaign) -> None:
    Campaign.objects.create(name="Taken", subject="s")

    saved = save(
        campaign, 1, html=(campaign.html, "{{ first_na"), mail_from=("", "nobody"), name=("Winter sale", "Taken")
    )

    campaign.refresh_from_db()
    assert saved.saved == ["html"]
    assert set(saved.errors) == {"mail_from", "name"}
    assert all(sentence.endswith(".") for sentence in saved.errors.values())
    assert (campaign.html, campaign.mail_from, campaign.name) == ("{{ first_na", "", "Winter sale")


def test_two_people_in_different_fields_are_merged_and_each_gets_the_others_words(campaign: Campaign) -> None:
    save(campaign, 1, subject=("Hello {{ first_name }}", "Ann’s"))

    saved = save(campaign, 1, preheader=("", "Bea’s"))

    campaign.refresh_from_db()
    assert (campaign.subject, campaign.preheader) == ("Ann’s", "Bea’s")
    assert (saved.conflicts, saved.version) == ({}, 3)
    assert saved.fresh["subject"] == ["Ann’s"]


def test_two_people_in_one_field_lose_nothing_and_are_asked(campaign: Campaign) -> None:
    save(campaign, 1, subject=("Hello {{ first_name }}", "Ann’s"))

    saved = save(campaign, 1, subject=("Hello {{ first_name }}", "Bea’s"), text=("", "More"))

    campaign.refresh_from_db()
    assert saved.conflicts == {"subject": ["Ann’s"]}
    assert saved.saved == ["text"]  # What is no conflict is saved all the same.
    assert (campaign.subject, campaign.text) == ("Ann’s", "More")
    chosen = save(campaign, saved.version, subject=("Ann’s", "Bea’s"))
    assert chosen.saved == ["subject"]


def test_the_same_words_from_two_people_are_no_conflict(campaign: Campaign) -> None:
    save(campaign, 1, subject=("Hello {{ first_name }}", "Same"))

    saved = save(campaign, 1, subject=("Hello {{ first_name }}", "Same"), html=(campaign.html, "<p>a\r\nb</p>"))

    assert saved.conflicts == {}
    assert save(campaign, saved.version, html=("<p>a\nb</p>", "<p>c</p>")).saved == ["html"]  # Line ends differ.


@pytest.mark.parametrize(("status", "word"), [("scheduled", "Scheduled"), ("sending", "Sending")])
def test_what_was_queued_meanwhile_is_left_alone_and_told(campaign: Campaign, status: str, word: str) -> None:
    Campaign.objects.update(status=status)

    saved = save(campaign, 1, subject=("Hello {{ first_name }}", "Late"))

    campaign.refresh_from_db()
    assert campaign.subject == "Hello {{ first_name }}"
    assert f"Its status: {word}." in saved.obstacle


def test_a_deleted_campaign_is_told(campaign: Campaign) -> None:
    pk = campaign.pk
    campaign.delete()

    assert "was deleted" in autosave.save(pk, {}, 1, DraftForm).obstacle


def test_fields_nobody_knows_are_passed_over(campaign: Campaign) -> None:
    asked = {name: Change(["1"], ["9"]) for name in ("status", "version", "mailing", "starts_at", "__class__")}

    saved = autosave.save(campaign.pk, asked, 1, DraftForm)

    campaign.refresh_from_db()
    assert (saved.saved, campaign.status, campaign.version) == ([], "draft", 1)


def test_who_has_a_draft_open_is_known_for_a_while_and_until_they_leave(
    campaign: Campaign, people: dict[str, User]
) -> None:
    ann, bea = people["marketer"], people["admin"]

    assert autosave.record_heartbeat(campaign.pk, ann, "w1", NOW) == []
    assert autosave.record_heartbeat(campaign.pk, bea, "w2", NOW) == ["marketer"]
    assert autosave.record_heartbeat(campaign.pk, ann, "w3", NOW) == ["admin", "you, in another window"]
    assert autosave.record_heartbeat(campaign.pk, ann, "w1", NOW, is_leaving=True) == [
        "admin",
        "you, in another window",
    ]
    assert autosave.record_heartbeat(campaign.pk, bea, "w2", NOW + dt.timedelta(minutes=2)) == []
    autosave.record_heartbeat(campaign.pk, bea, "w2", NOW + dt.timedelta(days=2))
    assert Writing.objects.count() == 1


# --- by the browser ---------------------------------------------------------------------------


def ask(client: Client, campaign: Campaign, **asked: object) -> tuple[int, dict]:
    body = json.dumps({"window": "w", "version": 1, **asked})
    response = client.post(reverse("campaigns:draft", args=[campaign.pk]), body, content_type="application/json")
    return response.status_code, response.json() if response.status_code in (200, 400) else {}


def test_the_page_gets_everything_it_should_know(campaign: Campaign, people: dict[str, User]) -> None:
    ask(client_of(people["admin"]), campaign, window="other")

    status, answer = ask(
        client_of(people["marketer"]), campaign, changes={"subject": {"was": [campaign.subject], "now": ["Snow"]}}
    )

    assert status == 200
    assert (answer["saved"], answer["version"], answer["others"]) == (["subject"], 2, ["admin"])
    assert len(answer["saved_at"]) == 5


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"window": 1, "version": "x"}', '{"window": "w", "version": 1, "changes": {"a": {"was": 1}}}'],
)
def test_nonsense_is_refused(campaign: Campaign, marketer: Client, body: str) -> None:
    url = reverse("campaigns:draft", args=[campaign.pk])

    assert marketer.post(url, body, content_type="application/json").status_code == 400


def test_writing_is_for_those_who_may_change_campaigns(campaign: Campaign, people: dict[str, User]) -> None:
    for role, user in people.items():
        may = role in ("admin", "marketer")
        client = client_of(user)
        assert ask(client, campaign)[0] == (200 if may else 403), role
        assert client.post(reverse("campaigns:begin"), {"starter": "letter"}).status_code == (302 if may else 403)
        assert client.get(reverse("campaigns:pictures")).status_code == (200 if may else 403)
        assert client.get("/admin/campaigns/mediafile/").status_code == (200 if may else 403)
        assert client.get("/admin/campaigns/layout/").status_code == (200 if may else 403)
        assert client.get(reverse("campaigns:draft", args=[campaign.pk])).status_code in (405, 403)


def test_a_sign_of_life_does_not_keep_somebody_signed_in(campaign: Campaign, marketer: Client, settings) -> None:
    marketer.get("/admin/")
    session = marketer.session
    session["seen_at"] -= settings.SESSION_IDLE_SECONDS - 60
    session.save()
    url = reverse("campaigns:draft", args=[campaign.pk])

    marketer.post(url, '{"window": "w", "version": 1}', "application/json", headers={"X-Sign-Of-Life": "1"})
    quiet = marketer.session["seen_at"]
    marketer.post(url, '{"window": "w", "version": 1}', "application/json")

    assert quiet == session["seen_at"]
    assert marketer.session["seen_at"] > quiet


# --- without script -----------------------------------------------------------------------------


def form_of(campaign: Campaign, **changes: object) -> dict[str, object]:
    fields = {name: value for name, value in values_of(DraftForm(instance=campaign)).items() if value != []}
    return {**fields, "version": campaign.version, **changes}


def test_the_button_shows_both_versions_and_saves_what_was_chosen(campaign: Campaign, marketer: Client) -> None:
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    mine = form_of(campaign, subject="Mine", text="My text")
    save(campaign, 1, subject=("Hello {{ first_name }}", "Theirs <b>"), preheader=("", "Their preheader"))

    page = marketer.post(url, mine)

    content = page.content.decode()
    campaign.refresh_from_db()
    assert page.status_code == 409
    assert (campaign.subject, campaign.text) == ("Theirs <b>", "")  # Nothing was saved yet.
    assert "Theirs &lt;b&gt;" in content
    assert 'name="keep-subject"' in content
    assert 'name="keep-preheader"' in content
    assert 'name="keep-name"' not in content
    assert '<input type="hidden" name="version" value="2">' in content

    chosen = {**mine, "version": 2, "keep-subject": "mine", "keep-preheader": "theirs", "keep-text": "mine"}
    assert marketer.post(url, chosen).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.subject, campaign.preheader, campaign.text) == ("Mine", "Their preheader", "My text")
    assert campaign.version == 3
    assert campaign.lists.count() == 1


def test_the_button_asks_nothing_where_nobody_else_wrote(campaign: Campaign, marketer: Client) -> None:
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"

    answer = marketer.post(url, form_of(campaign, subject="Mine"))

    campaign.refresh_from_db()
    assert (answer.status_code, campaign.subject, campaign.version) == (302, "Mine", 2)


def test_a_campaign_begins_with_a_template_in_the_default_layout(marketer: Client, server: SmtpServer) -> None:
    layout = Layout.objects.create(name="House", is_default=True)
    page = marketer.get("/admin/campaigns/campaign/add/").content.decode()

    for starter in starters():
        assert f'value="{starter.key}"' in page
        for _ in range(2):  # Twice on one day is no conflict of names.
            answer = marketer.post(reverse("campaigns:begin"), {"starter": starter.key})
        draft = Campaign.objects.latest("pk")
        assert answer["Location"] == f"/admin/campaigns/campaign/{draft.pk}/change/"
        assert (draft.layout, draft.subject, draft.status) == (layout, starter.subject, "draft")
    assert Campaign.objects.count() == 2 * len(starters())
    assert marketer.post(reverse("campaigns:begin"), {"starter": "nope"}).status_code == 302
    assert Campaign.objects.count() == 2 * len(starters())


def history_of(campaign: Campaign) -> list[str]:
    return [step.what for step in steps(campaign)]


def test_the_history_names_what_was_typed_once_for_each_stretch_of_writing(
    campaign: Campaign, people: dict[str, User]
) -> None:
    client = client_of(people["marketer"])
    page = reverse("campaigns:draft", args=[campaign.pk])

    def type_into(name: str, was: str, now: str) -> None:
        asked = {"window": "w", "version": 1, "changes": {name: {"was": [was], "now": [now]}}}
        client.post(page, json.dumps(asked), content_type="application/json")

    type_into("preheader", "", "Look")
    assert history_of(campaign) == ["Changed Preheader."]
    type_into("subject", campaign.subject, "Snow")
    type_into("preheader", "Look", "Look here")
    assert history_of(campaign) == ["Changed Preheader, Subject."]

    LogEntry.objects.update(action_time=timezone.now() - 2 * STRETCH)
    type_into("preheader", "Look here", "Look")
    assert history_of(campaign) == ["Changed Preheader, Subject.", "Changed Preheader."]


def test_leaving_a_new_draft_without_typing_changes_nothing_in_the_history(people: dict[str, User]) -> None:
    client = client_of(people["marketer"])
    for starter in (each for each in starters() if each.subject):
        client.post(reverse("campaigns:begin"), {"starter": starter.key})
        draft = Campaign.objects.latest("pk")
        before = history_of(draft)
        change = reverse("admin:campaigns_campaign_change", args=[draft.pk])
        form = opened(client.get(change).content, "campaign_form")
        as_a_browser_sends_it = {
            name: value.replace("\n", "\r\n") if isinstance(value, str) else value for name, value in form.items()
        }

        answer = client.post(change, as_a_browser_sends_it | {"_review": "1"})

        assert answer.status_code == 302, answer.context["adminform"].form.errors
        assert answer.headers["Location"] == reverse("campaigns:review", args=[draft.pk])
        assert history_of(draft) == before
        assert Campaign.objects.get(pk=draft.pk).version == draft.version
