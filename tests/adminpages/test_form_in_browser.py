"""A form in a real browser: nothing that was typed is lost, and no secret leaves its field."""

import time
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Dialog, Page, expect

from accounts.models import UserSession
from accounts.sessions.store import SessionStore
from adminpages.fresh_sign_in import PROVED_AT
from contacts.models import Contact, ContactList
from smtpservers.models import SmtpServer
from tests.harness.browser import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SERVERS = "/admin/smtpservers/smtpserver/"
LISTS = "/admin/contacts/contactlist/"
CANARY = "canary-0f3a"
PASSWORD = "correct horse battery"


@pytest.fixture
def boss(live_server: object, page: Page) -> User:
    user = User.objects.create_superuser("boss", password=PASSWORD)
    sign_in(page, user)
    prove(user)
    return user


def prove(user: User, at: float | None = None) -> None:
    """Have the user's session count as proved since then, now by default."""
    for row in UserSession.objects.filter(user_id=user.pk):
        session = SessionStore(row.session_key)
        session[PROVED_AT] = time.time() if at is None else at
        session.save()


def stored(page: Page) -> str:
    return str(page.evaluate("JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})"))


def says(page: Page, what: str) -> None:
    """Expect this sentence above the form, and no other; none if it is empty."""
    shown = page.locator("#form-state [data-say]:visible")
    expect(shown).to_have_count(1 if what else 0)
    if what:
        expect(shown).to_have_attribute("data-say", what)


def test_a_refusal_keeps_the_page_and_the_typed_secret(boss: User, page: Page) -> None:
    page.goto(f"{SERVERS}add/")
    page.evaluate("window.isSamePage = true")
    page.fill("[name=name]", "Relay")
    page.fill("[name=host]", "relay.example.com")
    page.fill("[name=mail_from]", "news@example.com")
    page.fill("[name=username]", "me")
    page.fill("[name=password]", CANARY)
    page.fill("[name=port]", "70000")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator("#id_port_error")).to_be_visible()
    expect(page.locator("[name=port]")).to_be_focused()
    expect(page.locator("[name=password]")).to_have_value(CANARY)
    assert page.evaluate("window.isSamePage")
    assert CANARY not in stored(page)
    assert "Relay" in stored(page)

    page.fill("[name=port]", "587")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{SERVERS}")
    expect(page.locator("#main-content")).to_contain_text("Relay")
    server = SmtpServer.objects.get()
    assert server.password.reveal(server.destination) == CANARY
    assert "Relay" not in stored(page)


def test_an_error_in_another_tab_opens_it(boss: User, page: Page) -> None:
    page.goto(f"{SERVERS}add/")
    page.fill("[name=name]", "Relay")
    page.fill("[name=host]", "relay.example.com")
    page.fill("[name=mail_from]", "news@example.com")
    page.get_by_role("tab", name="Miscellaneous").click()
    page.fill("[name=max_per_hour]", "-1")
    page.get_by_role("tab", name="SMTP").click()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator("#id_max_per_hour_error")).to_be_visible()
    expect(page.get_by_role("tab", name="Miscellaneous")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tab", name="Miscellaneous")).to_contain_text("1 error")


def test_what_an_ended_session_interrupts_is_saved_after_signing_in_in_another_tab(boss: User, page: Page) -> None:
    page.goto(f"{LISTS}add/")
    page.fill("[name=name]", "Readers")
    UserSession.objects.all().delete()
    page.get_by_role("button", name="Save", exact=True).click()
    says(page, "signed-out")
    assert not ContactList.objects.exists()

    sign_in(page, boss)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{LISTS}")
    assert ContactList.objects.get().name == "Readers"


def test_what_was_typed_is_not_saved_as_somebody_else(boss: User, page: Page, page_problems: list[str]) -> None:
    page.goto(f"{LISTS}add/")
    page.fill("[name=name]", "Readers")
    UserSession.objects.all().delete()
    page.context.clear_cookies(name=settings.CSRF_COOKIE_NAME)  # As a new sign-in gives another one.
    sign_in(page, User.objects.create_superuser("other"))
    page.get_by_role("button", name="Save", exact=True).click()

    says(page, "refused")
    assert not ContactList.objects.exists()
    page_problems.clear()  # The answer 403.


def test_a_reload_offers_what_was_typed(boss: User, page: Page) -> None:
    page.goto(f"{LISTS}add/")
    page.fill("[name=name]", "Readers")
    page.check("[name=is_public]")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    says(page, "unsaved")
    expect(page.locator("[name=name]")).to_have_value("")

    page.get_by_role("button", name="Restore changes").click()
    expect(page.locator("[name=name]")).to_have_value("Readers")
    expect(page.locator("[name=is_public]")).to_be_checked()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{LISTS}")

    page.goto(f"{LISTS}add/")
    says(page, "")


def test_a_reload_offers_rows_and_conditions_that_were_added(boss: User, page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/admin/contacts/contact/add/")
    rows = page.locator("[data-attributes-row]")
    start = rows.count()
    for number in range(start + 2):
        if number >= start:
            page.get_by_role("button", name="Add attribute").click()
        rows.nth(number).locator("input").first.fill(f"name_{number}")
        rows.nth(number).locator("input").last.fill(f"value {number}")
    page.reload()
    expect(rows).to_have_count(start)
    page.get_by_role("button", name="Restore changes").click()
    expect(rows).to_have_count(start + 2)
    typed = [field.input_value() for field in rows.locator("input").all()]
    assert typed == [text for number in range(start + 2) for text in (f"name_{number}", f"value {number}")]

    page.goto("/admin/contacts/segment/add/")
    page.get_by_role("button", name="Add condition").click()
    page.get_by_role("button", name="Add condition").click()
    conditions = page.locator("[data-condition]")
    before = conditions.count()
    conditions.last.locator("[data-parameter]").fill("berlin")
    page.reload()
    page.get_by_role("button", name="Restore changes").click()
    expect(conditions).to_have_count(before)
    expect(conditions.last.locator("[data-parameter]")).to_have_value("berlin")


def test_a_copy_is_neither_for_the_next_person_nor_kept_after_signing_out(boss: User, page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/admin/contacts/contact/add/")
    page.fill("[name=email]", "ann@example.com")
    page.goto(LISTS)
    assert "ann@example.com" in stored(page)

    sign_in(page, User.objects.create_superuser("other"))
    page.goto("/admin/contacts/contact/add/")
    expect(page.locator("[name=email]")).to_have_value("")
    assert "ann@example.com" not in stored(page)

    page.fill("[name=email]", "bob@example.com")
    page.goto(LISTS)
    assert "bob@example.com" in stored(page)
    page.locator("#logout-form").evaluate("form => form.requestSubmit()")
    page.wait_for_url("**/admin/logout/")
    assert "bob@example.com" not in stored(page)


def test_signing_out_on_the_page_of_a_form_leaves_no_copy_in_any_tab(boss: User, page: Page) -> None:
    tabs = [page, page.context.new_page()]
    for number, tab in enumerate(tabs):
        tab.on("dialog", lambda dialog: dialog.accept())
        tab.goto("/admin/contacts/contact/add/" if number else f"{LISTS}add/")
        tab.fill("[name=email], [name=name]", f"canary{number}@example.com")
        tab.wait_for_function("number => JSON.stringify({...localStorage}).includes(`canary${number}`)", arg=number)

    page.locator("#logout-form").evaluate("form => form.requestSubmit()")
    page.wait_for_url("**/admin/logout/")
    tabs[1].goto("/admin/login/")

    assert "canary" not in stored(page)


def test_every_page_of_the_next_user_drops_the_copies_of_others(boss: User, page: Page) -> None:
    other = User.objects.create_superuser("other")
    copies = {f"unsaved:{user.pk}:{LISTS}add/": f"typed by {user}" for user in (boss, other)}
    page.goto("/admin/")
    page.evaluate("copies => Object.assign(localStorage, copies)", copies)
    UserSession.objects.all().delete()
    page.goto("/admin/login/")
    assert "typed by boss" in stored(page)  # The session ended by itself.

    sign_in(page, other)
    page.goto("/admin/campaigns/campaign/")

    assert "typed by boss" not in stored(page)
    assert "typed by other" in stored(page)


def test_a_copy_of_another_shape_is_dropped(boss: User, page: Page) -> None:
    page.goto(LISTS)
    key = f"unsaved:{boss.pk}:{LISTS}add/"
    for copy in (
        '{"at": 1e20, "changes": {"name": [["Readers"]]}}',
        '{"at": NOW, "changes": {"name": 5}}',
        '{"at": NOW, "changes": {"name": [[]]}}',
        '{"at": NOW, "changes": {"name": [{"0": "Readers"}]}}',
        '{"at": NOW, "changes": null}',
        "5",
        "{",
    ):
        written = copy.replace("NOW", f"{time.time() * 1000}")
        page.evaluate("([key, copy]) => localStorage.setItem(key, copy)", [key, written])
        page.goto(f"{LISTS}add/")

        says(page, "")
        assert key not in stored(page), copy


def test_without_a_connection_the_page_says_so_and_saves_later(
    boss: User, page: Page, page_problems: list[str]
) -> None:
    page.goto(f"{LISTS}add/")
    page.fill("[name=name]", "Readers")
    page.context.set_offline(True)
    page.get_by_role("button", name="Save", exact=True).click()
    says(page, "unreachable")
    page_problems.clear()

    page.context.set_offline(False)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{LISTS}")


def test_the_question_for_the_password_comes_without_losing_a_secret(boss: User, page: Page) -> None:
    server = SmtpServer.objects.create(
        name="Relay", host="relay.example.com", mail_from="news@example.com", username="me"
    )
    page.goto(f"{SERVERS}{server.pk}/change/")
    page.fill("[name=password]", CANARY)
    prove(boss, 0)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#fresh_password")).to_be_focused()
    expect(page.locator("[name=password]")).to_have_value(CANARY)

    page.fill("#fresh_password", PASSWORD)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{SERVERS}")
    server.refresh_from_db()
    assert server.password.reveal(server.destination) == CANARY
    assert PASSWORD not in stored(page)


def test_a_page_says_when_the_session_is_about_to_end_and_can_stay(boss: User, page: Page) -> None:
    page.goto(f"{LISTS}add/")
    page.fill("[name=name]", "Readers")
    key = UserSession.objects.get(user_id=boss.pk).session_key
    kept = SessionStore(key)
    kept["seen_at"] -= settings.SESSION_IDLE_SECONDS - 100
    kept.save()
    page.evaluate("document.getElementById('form-state').dataset.idle = '100'")
    says(page, "ending")

    page.get_by_role("button", name="Stay logged in").click()
    says(page, "")
    assert time.time() - SessionStore(key)["seen_at"] < 60


def test_two_people_at_one_row_both_keep_what_they_typed(boss: User, page: Page) -> None:
    readers = ContactList.objects.create(name="Readers")
    page.goto(f"{LISTS}{readers.pk}/change/")
    page.fill("[name=name]", "Mine")
    other = page.context.new_page()
    other.goto(f"{LISTS}{readers.pk}/change/")
    other.fill("[name=name]", "Theirs")
    other.get_by_role("button", name="Save", exact=True).click()
    other.wait_for_url(f"**{LISTS}")

    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-answer=errors]")).to_contain_text("changed")
    expect(page.locator("[name=name]")).to_have_value("Mine")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{LISTS}")
    readers.refresh_from_db()
    assert readers.name == "Mine"


def test_an_error_of_an_ordinary_page_is_beside_its_field(boss: User, page: Page) -> None:
    page.goto("/admin/contacts/contact/add/")
    page.fill("[name=email]", "not an address")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".field-email ul.errorlist, #id_email_error")).to_be_visible()
    assert not Contact.objects.exists()


def test_a_form_that_comes_back_shows_its_first_error(
    boss: User, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    page.goto("/admin/contacts/contactimport/add/")
    rows = "".join(f"p{n}@example.org,a,b,c,d,e,f,g\n" for n in range(5))
    content = f"email,one,two,three,four,five,six,seven\n{rows}".encode()
    page.set_input_files("[type=file]", {"name": "people.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Upload and continue").click()
    page.fill("[name=new_list]", "Readers")
    page.get_by_role("button", name="Run trial").click()

    expect(page.locator("[name=consent]")).to_be_focused()
    expect(page.get_by_text("Describe how these people gave consent.")).to_be_in_viewport()


@pytest.mark.parametrize(
    ("address", "field", "value"),
    [
        ("/admin/installation/sitesettings/", "gateway_networks", "10.0.0.0/8\nno network"),
        ("/admin/contacts/contact/add/", "email", "not an address"),
    ],
)
def test_an_error_is_not_behind_the_bar_with_save(boss: User, page: Page, address: str, field: str, value: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(address)
    # Right above the bar, so that what is below the field would be behind it.
    height = page.evaluate(
        """name => {
            const field = document.querySelector(`[name=${name}]`).getBoundingClientRect();
            return field.bottom + document.getElementById("submit-row").offsetHeight + 4;
        }""",
        field,
    )
    page.set_viewport_size({"width": 1440, "height": int(height)})
    page.fill(f"[name={field}]", value)
    page.get_by_role("button", name="Save", exact=True).click()

    error = page.locator(f"#id_{field}_error")
    expect(error).to_be_visible()
    page.wait_for_function(
        """id => {
            const bar = document.getElementById("submit-row").getBoundingClientRect();
            return document.getElementById(id).getBoundingClientRect().bottom <= bar.top;
        }""",
        arg=f"id_{field}_error",
    )
    expect(page.locator(f"[name={field}]")).to_be_in_viewport()


def test_the_first_people_are_kept_by_a_reload_and_a_refusal(
    boss: User, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contacts.tasks.ring", lambda _import: None)
    page.goto("/set-up/people/")
    page.set_input_files(
        "[type=file]", {"name": "people.csv", "mimeType": "text/csv", "buffer": b"email\nbo@example.org"}
    )
    page.get_by_role("button", name="Add people").click()

    expect(page.locator("[name=consent]")).to_be_focused()
    expect(page.get_by_text("Say how these people agreed.")).to_be_visible()
    assert page.locator("[type=file]").evaluate("field => field.files.length") == 1

    page.fill("[name=pasted]", "ann@example.org")
    page.fill("[name=consent]", "Asked at the fair.")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    says(page, "unsaved")
    page.get_by_role("button", name="Restore changes").click()
    expect(page.locator("[name=pasted]")).to_have_value("ann@example.org")
    expect(page.locator("[name=consent]")).to_have_value("Asked at the fair.")
    page.get_by_role("button", name="Add people").click()
    page.wait_for_url("**/admin/campaigns/campaign/add/")


# --- leaving a half-filled form


def left(page: Page) -> list[str]:
    """Leave the page, and return the questions that the browser asked on the way."""
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", agree)
    page.goto("/admin/")
    page.remove_listener("dialog", agree)
    return asked


@pytest.mark.parametrize(
    ("address", "field"),
    [
        (f"{SERVERS}add/", "name"),
        (f"{LISTS}add/", "name"),
        ("/admin/contacts/segment/add/", "name"),
        ("/admin/contacts/contact/add/", "email"),
        ("/admin/feedback/mailbox/add/", "name"),
        ("/admin/campaigns/layout/add/", "name"),
    ],
)
def test_a_half_filled_form_is_not_left_without_a_question(boss: User, page: Page, address: str, field: str) -> None:
    page.goto(address)
    page.fill(f"form [name={field}]", "Half")
    assert left(page) == ["beforeunload"]

    page.goto(address)
    page.fill(f"form [name={field}]", "Half")
    page.fill(f"form [name={field}]", "")
    assert left(page) == []


def test_an_import_with_a_chosen_file_is_not_left_without_a_question(boss: User, page: Page) -> None:
    page.goto("/admin/contacts/contactimport/add/")
    page.locator("[type=file]").focus()
    page.set_input_files("[type=file]", {"name": "people.csv", "mimeType": "text/csv", "buffer": b"email\na@b.example"})

    assert left(page) == ["beforeunload"]


def test_a_saved_form_and_one_that_nobody_changed_are_left_without_a_question(boss: User, page: Page) -> None:
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))

    page.goto(f"{LISTS}add/")
    page.fill("[name=name]", "Readers")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{LISTS}")
    page.goto("/admin/contacts/segment/add/")
    page.locator("[name=name]").focus()
    page.goto(LISTS)
    page.locator("#result_list [type=checkbox]").last.check()
    page.goto("/admin/")

    assert asked == []
