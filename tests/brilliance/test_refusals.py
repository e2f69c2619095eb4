"""What is refused: with 400 and not a fault of ours, and with one line in the log that says who asked for what."""

import logging
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from brilliance.logs import OneLineFormatter
from campaigns.models import ArchiveSettings, Campaign
from contacts.models import Contact, ContactList
from delivery.models import Message
from delivery.outbox import mailings
from publicpages.models import SignUp
from smtpservers.models import SmtpServer
from tests.harness.forms import opened
from tests.publicpages.test_subscribing import embedded


def signed_in(role: str, name: str = "") -> Client:
    person = User.objects.create_user(name or role, is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def admin(db: None) -> Client:
    return signed_in("admin")


# --- what no row has


@pytest.mark.parametrize(
    "address",
    [
        "/reports/?server=%00",
        "/admin/contacts/contact/?q=%00",
        "/admin/contacts/contact/?list=1%00",
        "/admin/contacts/contact/?attribute.x=%00",
        "/admin/contacts/contact/?%00=1",
        "/admin/contacts/contact/%00/change/",
        "/admin/search/?s=%00",
        "/messages/?address=a%00b",
        "/media/%00",
        "/u/%00",
        "/archive/?page=%00",
    ],
)
def test_a_nul_in_an_address_is_answered_with_400(address: str, admin: Client) -> None:
    answer = admin.get(address)

    assert answer.status_code == 400
    assert "understand this request" in answer.content.decode()


@pytest.mark.parametrize("page", ["/admin/contacts/contact/add/", "/accounts/login/", "/campaigns/begin/"])
def test_a_nul_in_the_name_of_a_field_is_answered_with_400(page: str, admin: Client) -> None:
    assert admin.post(page, {"a\0b": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("/admin/contacts/contact/add/", "The name contains a line break or invisible character."),
        ("/admin/contacts/contactlist/add/", "invisible control character. Delete it and save again."),
    ],
)
def test_a_nul_in_a_field_is_an_error_beside_it(page: str, sentence: str, admin: Client) -> None:
    answer = admin.post(page, {"name": "a\0b", "first_name": "a\0b", "email": "ann@example.com"})

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not Contact.objects.exists()
    assert not ContactList.objects.exists()


def test_a_sign_up_survives_what_comes_along_with_it(db: None) -> None:
    shop = ContactList.objects.create(name="Shop", is_public=True)

    answer = Client().post("/subscribe", embedded(shop, first_name="A\0nn"))

    assert answer.status_code == 200
    assert SignUp.objects.exists()


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/admin/contacts/contactimport/²/change/", 404),
        ("/admin/contacts/contactimport/٣/change/", 404),
        ("/admin/search/?s=a&page=x", 404),
        ("/admin/search/?s=a&page=999", 404),
        ("/admin/search/?s=a&page=-1", 404),
        ("/admin/search/?s=a&page=", 404),
        ("/admin/search/?s=a&page=1", 200),
        ("/admin/search/?s=a", 200),
    ],
)
def test_a_number_that_is_none_is_no_fault_of_ours(address: str, status: int, admin: Client) -> None:
    assert admin.get(address).status_code == status


INFINITE = [f'{{"window": "w", "version": {number}}}' for number in ("Infinity", "-Infinity", "NaN", "1e999")]


@pytest.mark.parametrize(
    "sent", ["[" * 100_000, '{"a":' * 50_000, '{"window": "\\ud800", "version": 1}', "null", "7", *INFINITE]
)
def test_a_draft_takes_no_json_that_is_none(sent: str, admin: Client) -> None:
    draft = Campaign.objects.create(name="News", subject="News")

    answer = admin.post(f"/campaigns/{draft.pk}/draft.json", sent, content_type="application/json")

    assert answer.status_code == 400
    assert "Couldn't read the changes" in answer.json()["error"]


def test_a_draft_takes_no_form(admin: Client) -> None:
    draft = Campaign.objects.create(name="News", subject="News")

    assert admin.post(f"/campaigns/{draft.pk}/draft.json", {"window": "1"}).status_code == 400


@pytest.mark.parametrize("sent", ['"\\ud800"', '{"match": "all", "conditions": ["\\ud800"]}', "[" * 9_999])
def test_the_preview_of_a_segment_takes_no_json_that_is_none(sent: str, admin: Client) -> None:
    answer = admin.post("/admin/contacts/segment/preview.json", {"conditions": sent})

    assert answer.status_code == 200
    assert answer.json()["count"] is None


def test_a_form_of_another_site_takes_no_json_that_is_none(db: None) -> None:
    for sent in ("[" * 5_000, '"\\udfff"', '{"email": "\\u0000"}'):
        assert Client().post("/subscribe.json", sent, content_type="application/json").status_code == 400


# --- nothing is kept


def test_no_browser_keeps_a_page_of_somebody_who_is_signed_in(admin: Client) -> None:
    campaign = Campaign.objects.create(name="News", subject="News")
    contact = Contact.objects.create(email="ann@example.com")
    server = SmtpServer.objects.create(name="One", host="relay.example.com")
    mailing = mailings.open_mailing(stream="single", name="x", subject="x", html="", text="x")
    mailings.address(mailing, email="ann@example.com", email_key="ann@example.com", contact=contact, now=timezone.now())
    message = Message.objects.get()

    for page in (
        f"/campaigns/{campaign.pk}/recipients/",
        f"/campaigns/{campaign.pk}/people/",
        f"/campaigns/{campaign.pk}/preview/",
        f"/campaigns/{campaign.pk}/review/",
        f"/campaigns/recipients/{message.pk}/",
        "/reports/",
        "/messages/",
        f"/servers/{server.pk}/test/",
        f"/admin/contacts/contact/{contact.pk}/change/",
        f"/admin/contacts/contact/{contact.pk}/personal-data/",
        "/admin/",
    ):
        answer = admin.get(page, follow=True)

        assert answer.status_code == 200, page
        assert "no-store" in answer["Cache-Control"], page


def test_what_is_public_may_be_kept(admin: Client) -> None:
    ArchiveSettings.objects.create(pk=1, is_on=True)

    assert "public" in admin.get("/archive/")["Cache-Control"]


# --- the log


def written(records: list[logging.LogRecord]) -> list[str]:
    formatter = OneLineFormatter(settings.LOGGING["formatters"]["line"]["format"])
    return [formatter.format(record) for record in records]


@pytest.mark.parametrize(
    ("address", "permission"),
    [
        ("/admin/contacts/contact/", "contacts.view_contact"),
        ("/admin/contacts/contact/add/", "contacts.add_contact"),
        ("/admin/auth/user/", "auth.view_user"),
        ("/admin/contacts/contact/{contact}/change/", "contacts.view_contact"),
        ("/admin/contacts/contact/{contact}/delete/", "contacts.delete_contact"),
        ("/campaigns/{campaign}/recipients/", "delivery.view_message"),
        ("/messages/", "delivery.view_message"),
        ("/admin/contacts/contact/retention/", "admin:contacts_contact_retention"),
    ],
)
def test_a_refused_request_is_one_line_with_user_path_and_permission(
    address: str, permission: str, db: None, caplog: pytest.LogCaptureFixture
) -> None:
    campaign = Campaign.objects.create(name="News", subject="News")
    contact = Contact.objects.create(email="ann@example.com")
    path = address.format(campaign=campaign.pk, contact=contact.pk)

    assert signed_in("viewer", "vera").get(path).status_code == 403

    (line,) = written(caplog.records)
    assert f"Refused (403): 'vera' asked for GET {path} ({permission})" in line
    assert len(line) < 300
    assert "Traceback" not in line


def test_a_disallowed_filter_and_a_forged_form_are_one_line_each(db: None, caplog: pytest.LogCaptureFixture) -> None:
    client = signed_in("viewer", "vera")
    client.get("/admin/campaigns/campaign/?html__regex=(")
    forger = Client(enforce_csrf_checks=True)
    forger.cookies = client.cookies
    forger.post("/admin/logout/")

    lookup, csrf = written(caplog.records)

    assert "Refused (400): 'vera' asked for GET /admin/campaigns/campaign/ (Filtering by html__regex" in lookup
    assert "Refused (403): 'vera' asked for POST /admin/logout/ (CSRF" in csrf


def test_nobody_forges_a_line_by_the_path(db: None, caplog: pytest.LogCaptureFixture) -> None:
    signed_in("viewer", "vera").get("/admin/contacts/contact/1%0a2026-11-29 ERROR gone/delete/")

    assert all("\n" not in line for line in written(caplog.records))


# --- what the log keeps


def test_whoever_did_something_is_switched_off_and_never_deleted(admin: Client) -> None:
    busy, idle = User.objects.create_user("busy", is_staff=True), User.objects.create_user("idle", is_staff=True)
    LogEntry.objects.log_actions(busy.pk, [idle], CHANGE, "Exported 520 contacts.", single_object=True)

    alone = admin.post(reverse("admin:auth_user_delete", args=[busy.pk]), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [busy.pk, idle.pk], "post": "yes"}
    together = admin.post(reverse("admin:auth_user_changelist"), chosen)

    for page in (alone, together):
        assert "of busy in the history" in page.content.decode()
    assert LogEntry.objects.filter(user=busy, change_message="Exported 520 contacts.").exists()
    assert User.objects.filter(username__in=["busy", "idle"]).count() == 2
    admin.post(reverse("admin:auth_user_delete", args=[idle.pk]), {"post": "yes"})
    assert not User.objects.filter(username="idle").exists()
    page = reverse("admin:auth_user_change", args=[busy.pk])
    form = opened(admin.get(page).content, "user_form")
    admin.post(page, {name: value for name, value in form.items() if name != "is_active"})
    busy.refresh_from_db()
    assert not busy.is_active


@pytest.mark.parametrize("query", ["q=ann@customer.example", "reply=550+no+ann@customer.example&status=bounced"])
def test_the_log_of_an_export_names_no_value_of_the_filter(query: str, admin: Client) -> None:
    campaign = Campaign.objects.create(name="News", subject="News")

    answer: Any = admin.post(f"/campaigns/{campaign.pk}/recipients/export/?{query}")

    list(answer.streaming_content)
    said = LogEntry.objects.get(object_id=str(campaign.pk)).get_change_message()
    assert "ann@" not in said
    assert "filtered by" in said
    assert ("address" in said) or ("reply" in said and "status" in said)
