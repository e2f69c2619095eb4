"""The question for a fresh sign-in: who asks it, and that nothing of a stale request is kept anywhere."""

import logging
from typing import Any

import lxml.html
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from accounts.models import AccountServer, Invitation
from adminpages.fresh_sign_in import FRESH_FOR, PROVED_AT
from adminpages.pages import ModelAdmin
from contacts.models import Contact
from encryption.secret_field import SecretField
from feedback.models import Mailbox
from oauth.models import OAuthAccount
from smtpservers.models import SmtpServer
from tests.accounts.conftest import PASSWORD, App, sign_in_fully
from tests.accounts.sign_in.test_signing_in import database_dump
from tests.brilliance.security.test_secrets import posted
from tests.brilliance.test_roles import addresses, filled, things
from tests.harness.forms import opened

__all__ = ["things"]  # A fixture.

QUESTION = "/accounts/confirm/"
CANARY, API_KEY = "canary-Pa55word-of-the-relay", "canary-Ap1-key-of-the-relay"
SERVERS = "/admin/smtpservers/smtpserver/"


def grow_old(client: Client) -> None:
    session = client.session
    session[PROVED_AT] = timezone.now().timestamp() - FRESH_FOR.total_seconds() - 1
    session.save()


@pytest.fixture
def stale(ann: User) -> Client:
    """A client of Ann, who may do everything and signed in a while ago."""
    User.objects.update(is_superuser=True)
    client = Client()
    sign_in_fully(client, ann)
    grow_old(client)
    return client


def asks(answer: Any) -> bool:
    """Whether an answer leads to the question, or is the question on the way."""
    if answer.status_code == 302:
        return str(answer["Location"]).startswith(QUESTION)
    return 'name="fresh_password"' in answer.content.decode() if not answer.streaming else False


# --- the registry: nobody can forget it

# Pages with a password that ask for the present one themselves.
NAME_THE_PASSWORD = {"admin/password_change/", "accounts/confirm/"}
# Figures without people, mail of the demo, and what everybody may see.
HARMLESS_FILES = {
    "reports/<slug:table>.csv",
    "campaigns/<int:campaign_id>/report/<slug:table>.csv",
    "reports/opens-clicks/<slug:table>.csv",
    "campaigns/<int:campaign_id>/report/opens-clicks/<slug:table>.csv",
    "campaigns/<int:campaign_id>/clicks/links.csv",
    "admin/sandbox/sandboxmail/<int:mail_id>/download/",
    "media/<str:stored_name>",
}


def test_a_page_with_a_secret_and_a_download_ask_first(
    things: dict[str, Any], stale: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Walk every address by GET and POST: with a stale sign-in no password is asked for and no file given out."""
    caplog.set_level("CRITICAL")
    forgot = set()
    for address in addresses(get_resolver().url_patterns):
        if "logout" in address:
            continue
        for method in ("get", "post"):
            with transaction.atomic():
                answer = getattr(stale, method)(filled(address, things))
                transaction.set_rollback(True)
            if not asks(answer) and (is_file(answer) or has_password(answer)):
                forgot.add(address)

    assert forgot == NAME_THE_PASSWORD | HARMLESS_FILES


def is_file(answer: Any) -> bool:
    return "attachment" in answer.get("Content-Disposition", "") or "text/csv" in answer.get("Content-Type", "")


def has_password(answer: Any) -> bool:
    is_page = answer.status_code == 200 and "text/html" in answer["Content-Type"] and not answer.streaming
    return is_page and b'type="password"' in answer.content


def test_every_admin_page_of_a_model_with_secrets_asks() -> None:
    with_secrets = {
        model for model in apps.get_models() if any(isinstance(field, SecretField) for field in model._meta.fields)
    }
    asking = {model for model, page in admin.site._registry.items() if getattr(page, "asks_fresh_sign_in", False)}

    assert with_secrets & set(admin.site._registry) == {SmtpServer, OAuthAccount, Mailbox}
    assert asking == {SmtpServer, OAuthAccount, Mailbox, User, Group, Invitation, AccountServer}


def test_every_action_that_gives_out_a_file_asks(things: dict[str, Any], stale: Client) -> None:
    for model, page in admin.site._registry.items():
        assert isinstance(page, ModelAdmin)
        row = model._default_manager.first()
        for action in page.actions or ():
            name = action if isinstance(action, str) else action.__name__
            address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            with transaction.atomic():
                answer = stale.post(address, {"action": name, "_selected_action": row.pk if row else 0})
                transaction.set_rollback(True)

            assert not is_file(answer), f"{model.__name__}: {name}"


# --- the question


@pytest.mark.parametrize(
    "address",
    [
        f"{SERVERS}add/",
        "/admin/auth/user/add/",
        "/admin/auth/group/add/",
        "/admin/contacts/contact/export/",
        "/admin/contacts/suppression/export/",
        "/restored/",
        "/accounts/factors/app/",
        "/accounts/factors/key/",
    ],
)
def test_it_is_asked_before_the_page_opens_and_leads_back(stale: Client, address: str) -> None:
    asked = stale.get(address)
    assert asked["Location"] == f"{QUESTION}?next={address.replace('/', '%2F')}"
    question = stale.get(asked["Location"])
    form = forms_of(question)[0]

    answer = stale.post(asked["Location"], {**form, "password": PASSWORD})

    assert answer["Location"] == address
    assert stale.get(address).status_code == 200


def forms_of(answer: HttpResponse) -> list[dict[str, str]]:
    page = lxml.html.document_fromstring(answer.content.decode())
    return [{name: value or "" for name, value in form.form_values()} for form in page.forms]


def test_ten_minutes_after_the_answer_it_is_asked_again(stale: Client) -> None:
    stale.post(QUESTION, {"password": PASSWORD})
    assert not asks(stale.get(f"{SERVERS}add/"))

    grow_old(stale)

    assert asks(stale.get(f"{SERVERS}add/"))


def test_it_takes_a_code_instead_and_no_code_twice(app: App, stale: Client) -> None:
    code = app()
    assert stale.post(QUESTION, {"code": code, "next": "/admin/"})["Location"] == "/admin/"
    grow_old(stale)

    again = stale.post(QUESTION, {"code": code})

    assert "Wrong code." in again.content.decode()
    assert asks(stale.get(f"{SERVERS}add/"))


@pytest.mark.parametrize(
    "sent", [{}, {"password": ""}, {"password": "guess"}, {"code": "000000"}, {"credential": "{}"}]
)
def test_nothing_else_is_an_answer(app: App, stale: Client, sent: dict[str, str]) -> None:
    assert stale.post(QUESTION, sent).status_code == 200
    assert asks(stale.get(f"{SERVERS}add/"))


def test_a_wrong_code_leaves_an_empty_field(app: App, stale: Client) -> None:
    page = stale.post(QUESTION, {"code": "493817"}).content.decode()

    assert "Wrong code." in page
    assert "493817" not in page


def test_a_proof_from_the_future_is_none(stale: Client) -> None:
    for seconds, is_proof in ((40, True), (90, False), (24 * 3600, False)):
        session = stale.session
        session[PROVED_AT] = timezone.now().timestamp() + seconds
        session.save()

        assert asks(stale.get(f"{SERVERS}add/")) is not is_proof


@pytest.mark.parametrize(
    ("next_url", "is_secure"),
    [
        ("https://evil.example/", False),
        ("//evil.example/", True),
        ("http://testserver/admin/", True),
        ("word", False),
        ("httpword", False),
    ],
)
def test_it_leads_to_no_other_host_and_from_https_not_to_http(stale: Client, next_url: str, is_secure: bool) -> None:
    answer = stale.post(QUESTION, {"password": PASSWORD, "next": next_url}, secure=is_secure)

    assert answer.status_code == 200
    assert "Close this tab" in answer.content.decode()


def test_wrong_answers_are_locked_out_like_wrong_passwords(stale: Client) -> None:
    answers = [stale.post(QUESTION, {"password": "guess"}).status_code for _ in range(5)]

    assert answers == [200] * 4 + [429]


def test_whoever_may_not_open_the_page_is_refused_without_the_question(ann: User) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    bob.groups.add(Group.objects.get(name="viewer"))
    server = SmtpServer.objects.create(name="Alpha", host="localhost", mail_from="a@example.com")
    client = Client()
    client.force_login(bob)

    assert client.get(f"{SERVERS}{server.pk}/change/").status_code == 403


# --- a page that was open for too long


def test_of_a_stale_form_with_secrets_everything_but_these_comes_back_and_nothing_is_kept(
    stale: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = posted("Relay", 25, password=CANARY, api_key=API_KEY, notes="typed with care")

    refused = stale.post(f"{SERVERS}add/", sent)
    wrong = stale.post(f"{SERVERS}add/", {**sent, "fresh_password": "not-her-password"})

    assert not SmtpServer.objects.exists()
    for answer in (refused, wrong):
        page = answer.content.decode()
        assert "Confirm it&#x27;s you" in page
        assert "typed with care" in page
        assert 'name="fresh_password"' in page
    assert "That&#x27;s not your password." in wrong.content.decode()
    kept = database_dump() + str(dict(stale.session)) + caplog.text
    for answer in (refused, wrong):
        kept += answer.content.decode()
    for secret in (CANARY, API_KEY, "not-her-password"):
        assert secret not in kept
    assert "typed with care" not in database_dump() + str(dict(stale.session)) + caplog.text

    again = {**opened(refused.content, "smtpserver_form"), "password": CANARY, "api_key": API_KEY}
    assert stale.post(f"{SERVERS}add/", again).status_code == 200  # The password is missing that confirms it.
    again |= {"fresh_password": PASSWORD}
    assert stale.post(f"{SERVERS}add/", again).status_code == 302

    server = SmtpServer.objects.get()
    assert (server.name, server.notes) == ("Relay", "typed with care")
    assert server.password.reveal(server.destination) == CANARY
    assert PASSWORD not in database_dump() + caplog.text


@pytest.fixture
def relay(db: None) -> SmtpServer:
    return SmtpServer.objects.create(
        name="Relay",
        host="127.0.0.1",
        port=25,
        use_tls=False,
        mail_from="news@shop.example",
        username="ann",
        password="the old one",
    )


def revealed(server: SmtpServer) -> tuple[str, str, str]:
    server.refresh_from_db()
    return server.name, server.password.reveal(server.destination), server.api_key.reveal(server.destination)


def test_a_new_secret_is_never_dropped_behind_the_question(stale: Client, relay: SmtpServer) -> None:
    address = f"{SERVERS}{relay.pk}/change/"
    page = stale.post(address, posted("New name", 25, password=CANARY, api_key=API_KEY))
    form = opened(page.content, "smtpserver_form")

    forgotten = stale.post(address, {**form, "fresh_password": PASSWORD})

    assert revealed(relay) == ("Relay", "the old one", "")
    for answer in (page, forgotten):
        content = answer.content.decode()
        assert errors_at(content) == {"password", "api_key"}
        assert content.count('class="tabs-errors"') == 2  # They are in different tabs.
        assert "open the page again to keep the stored one" in content
    assert "Please correct" not in page.content.decode()

    half = {**opened(forgotten.content, "smtpserver_form"), "password": CANARY}
    halfway = stale.post(address, half)
    assert revealed(relay) == ("Relay", "the old one", "")
    assert errors_at(halfway.content.decode()) == {"password", "api_key"}

    whole = {**opened(halfway.content, "smtpserver_form"), "password": CANARY, "api_key": API_KEY}
    assert stale.post(address, whole).status_code == 302
    assert revealed(relay) == ("New name", CANARY, API_KEY)


def errors_at(page: str) -> set[str]:
    tree = lxml.html.document_fromstring(page)
    return {str(each.get("id"))[3:-6] for each in tree.find_class("errorlist")}


def test_nor_behind_another_error(stale: Client, relay: SmtpServer) -> None:
    stale.post(QUESTION, {"password": PASSWORD})
    address = f"{SERVERS}{relay.pk}/change/"
    page = stale.post(address, posted("", 25, password=CANARY))
    form = {**opened(page.content, "smtpserver_form"), "name": "New name"}

    forgotten = stale.post(address, form)

    assert CANARY not in page.content.decode()
    assert errors_at(page.content.decode()) == {"name", "password"}
    assert errors_at(forgotten.content.decode()) == {"password"}
    assert revealed(relay) == ("Relay", "the old one", "")


def test_a_secret_that_nobody_typed_stays_as_it_is(stale: Client, relay: SmtpServer) -> None:
    address = f"{SERVERS}{relay.pk}/change/"
    page = stale.post(address, posted("New name", 25))
    form = opened(page.content, "smtpserver_form")

    assert errors_at(page.content.decode()) == set()
    assert stale.post(address, {**form, "fresh_password": PASSWORD}).status_code == 302
    assert revealed(relay) == ("New name", "the old one", "")


def test_a_refused_page_is_titled_with_the_stored_name(stale: Client, relay: SmtpServer) -> None:
    page = stale.post(f"{SERVERS}{relay.pk}/change/", posted("New name", 25))

    tree = lxml.html.document_fromstring(page.content.decode())
    assert "Relay" in tree.findtext(".//title")
    assert [each.get("name") for each in tree.xpath("//*[@value='New name']")] == ["name"]
    assert "New name" not in tree.text_content()


def test_a_new_person_s_password_is_asked_for_again(stale: Client) -> None:
    secret = "another long passphrase"
    sent = {"username": "bob", "password1": secret, "password2": secret, "usable_password": "true"}

    page = stale.post("/admin/auth/user/add/", sent).content.decode()

    assert secret not in page
    assert page.count("You typed a new one before.") == 1  # Once for the password and its repetition.
    assert "keep the stored one" not in page  # There is none.


def test_a_stale_change_of_a_role_is_asked_on_the_way(stale: Client, ann: User) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    sent = {"username": "bob", "is_active": "on", "groups": [Group.objects.get(name="admin").pk]}

    stale.post(f"/admin/auth/user/{bob.pk}/change/", sent)
    assert not bob.groups.exists()

    stale.post(f"/admin/auth/user/{bob.pk}/change/", {**sent, "fresh_password": PASSWORD})
    assert bob.groups.exists()


@pytest.mark.parametrize("way", ["the page", "the list", "a list that names two actions"])
def test_a_stale_deletion_is_asked_on_the_way_and_then_done(stale: Client, way: str) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    address = "/admin/auth/user/" if way != "the page" else f"/admin/auth/user/{bob.pk}/delete/"
    sent: dict[str, Any] = {"action": "delete_selected", "_selected_action": bob.pk, "post": "yes"}
    if "two" in way:
        sent |= {"action": ["nothing", "delete_selected"], "index": "1"}
        del sent["post"]  # Django asks first, which shows who would go.

    asked = stale.post(address, sent)

    assert asks(asked)
    assert User.objects.filter(username="bob").exists()
    form = forms_of(asked)[0]
    stale.post(address, {**form, "fresh_password": PASSWORD})
    assert User.objects.filter(username="bob").exists() is ("two" in way)


def test_a_stale_export_is_asked_on_the_way_with_what_was_chosen(stale: Client) -> None:
    Contact.objects.create(email="ann@example.com")
    chosen = Contact.objects.create(email="bob@example.com")
    sent = {"action": "export_chosen", "_selected_action": [chosen.pk], "index": "0"}

    asked = stale.post("/admin/contacts/contact/", sent)
    assert asks(asked)
    exported = stale.post("/admin/contacts/contact/", {**forms_of(asked)[0], "fresh_password": PASSWORD})

    content = b"".join(exported.streaming_content).decode()  # type: ignore[attr-defined]
    assert "bob@example.com" in content
    assert "ann@example.com" not in content


def test_whoever_goes_on_without_having_confirmed_is_told(stale: Client, ann: User) -> None:
    ann.set_unusable_password()
    ann.save()
    sign_in_fully(stale, ann)
    grow_old(stale)
    page = "http://testserver/accounts/sessions/"
    asked = stale.post("/accounts/sessions/end/", {"session": "others"}, headers={"referer": page})
    assert "Nothing is confirmed yet." not in asked.content.decode()

    again = stale.post("/accounts/sessions/end/", forms_of(asked)[0]).content.decode()

    assert "Nothing is confirmed yet." in again
    assert 'name="session" value="others"' in again


def test_going_on_after_a_restore_is_asked_on_the_way(stale: Client) -> None:
    assert asks(stale.post("/restored/", {"answer": "may have sent"}))


def test_a_new_password_of_another_person_is_asked_for_again(stale: Client) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    sent = {"password1": "another long passphrase", "password2": "another long passphrase", "usable_password": "true"}

    asked = stale.post(f"/admin/auth/user/{bob.pk}/password/", sent)

    assert asked["Location"].startswith(QUESTION)
    bob.refresh_from_db()
    assert not bob.has_usable_password()


def test_somebody_without_a_password_confirms_in_another_way(stale: Client, ann: User, app: App) -> None:
    ann.set_unusable_password()
    ann.save()
    sign_in_fully(stale, ann)
    grow_old(stale)

    sent = posted("Relay", 25, username="")

    asked = stale.post(f"{SERVERS}add/", sent).content.decode()

    assert 'name="fresh_password"' not in asked
    assert f'href="{QUESTION}"' in asked
    assert stale.post(QUESTION, {"code": app()}).status_code == 200
    assert stale.post(f"{SERVERS}add/", sent).status_code == 302
