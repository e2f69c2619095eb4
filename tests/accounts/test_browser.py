"""Second factors as people use them: in Chromium, with its virtual keys, on a phone's width and by keyboard alone."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import localdate
from playwright.sync_api import CDPSession, Page, expect

from accounts import factors
from contacts.models import Contact
from tests.accounts.conftest import PASSWORD, SAFARI, code_of, signed_in
from tests.accounts.sign_in.test_signing_in import is_signed_in
from tests.accounts.test_fresh_sign_in import grow_old
from tests.harness.browser import serious, sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def on_localhost(live_server: Any) -> str:
    """Keys belong to names, never to addresses of machines."""
    return str(live_server.url).replace("127.0.0.1", "localhost")


@pytest.fixture
def add_key(page: Page) -> Callable[[], tuple[CDPSession, str]]:
    """Plug a key into the browser that also is a passkey; return how to talk to it."""

    def add() -> tuple[CDPSession, str]:
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        return session, session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    return add


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def log_out(page: Page, url: str) -> None:
    page.goto(f"{url}/accounts/factors/")
    page.get_by_role("button", name="Log out").click()


def test_an_app_on_a_phone_by_keyboard_alone(page: Page, on_localhost: str, ann: User, settings: Any) -> None:
    settings.MFA_ROLES = "all"
    page.set_viewport_size(PHONE)

    page.goto(f"{on_localhost}/admin/")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Set up a second factor to continue.")).to_be_visible()
    assert sideways_scroll(page) == 0
    tab_to(page, "Set up an app")
    expect(page.get_by_alt_text("QR code for your authenticator app")).to_be_visible()
    assert page.evaluate("document.querySelector('.account-qr').naturalWidth") > 0
    assert sideways_scroll(page) == 0
    secret = page.locator(".account-secret").inner_text().replace(" ", "")
    expect(page.get_by_label("Code from the app")).to_be_focused()
    page.keyboard.type(code_of(secret))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your authenticator app is set up.")).to_be_visible()
    codes = page.get_by_role("list", name="Recovery codes").get_by_role("listitem").all_inner_texts()
    assert len(codes) == factors.RECOVERY_CODE_COUNT
    assert sideways_scroll(page) == 0
    tab_to(page, "I saved them")
    expect(page.get_by_role("heading", name="Server quotas")).to_be_visible()  # The page asked for at first.

    log_out(page, on_localhost)
    log_in(page, on_localhost)
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(code_of(secret, 1))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Server quotas")).to_be_visible()

    log_out(page, on_localhost)  # The phone is lost.
    log_in(page, on_localhost)
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Server quotas")).to_be_visible()


def tab_to(page: Page, name: str) -> None:
    """Reach the link or button by the Tab key, and press Enter."""
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab does not reach {name}")


def test_a_passkey_signs_in_alone_and_as_second_factor_and_answers_the_question(
    page: Page, on_localhost: str, ann: User, add_key: Any
) -> None:
    session, key = add_key()
    log_in(page, on_localhost)
    page.goto(f"{on_localhost}/accounts/factors/key/")
    page.get_by_label("Name of the key").fill("My laptop")
    page.get_by_label("Log in without password").check()
    page.get_by_role("button", name="Add key").click()
    expect(page.get_by_text("“My laptop” is set up.")).to_be_visible()
    assert len(session.send("WebAuthn.getCredentials", {"authenticatorId": key})["credentials"]) == 1

    log_out(page, on_localhost)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Server quotas")).to_be_visible()

    log_out(page, on_localhost)
    log_in(page, on_localhost)
    page.get_by_role("button", name="Use your key").click()
    expect(page.get_by_role("heading", name="Server quotas")).to_be_visible()

    page.goto(f"{on_localhost}/accounts/confirm/?next=/accounts/factors/")
    page.get_by_role("button", name="Use your key").click()
    expect(page.get_by_text("My laptop")).to_be_visible()
    page.get_by_role("link", name="Remove My laptop").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Removed.")).to_be_visible()
    assert not factors.of(ann).exists()  # Nor recovery codes, which stand in for it.


def test_a_key_that_is_lost_or_unknown_is_said_on_the_page(
    page: Page, on_localhost: str, ann: User, add_key: Any
) -> None:
    session, key = add_key()
    log_in(page, on_localhost)
    page.goto(f"{on_localhost}/accounts/factors/key/")
    page.get_by_role("button", name="Add key").click()
    expect(page.get_by_role("list", name="Recovery codes")).to_be_visible()
    log_out(page, on_localhost)
    session.send("WebAuthn.clearCredentials", {"authenticatorId": key})

    log_in(page, on_localhost)
    page.get_by_role("button", name="Use your key").click()

    expect(page.get_by_text("No key answered.")).to_be_visible()

    page.get_by_label("Code").fill("wrong-code-1234")
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_text("Each recovery code works once")).to_be_visible()
    expect(page.get_by_text("your app")).to_have_count(0)  # There is none.


def test_a_key_that_is_set_up_already_is_said_on_the_page(
    page: Page, on_localhost: str, ann: User, add_key: Any
) -> None:
    add_key()
    log_in(page, on_localhost)
    for _ in range(2):
        page.goto(f"{on_localhost}/accounts/factors/key/")
        page.get_by_role("button", name="Add key").click()
        expect(page.get_by_role("list", name="Recovery codes").or_(page.locator("#key-problem"))).to_be_visible()

    expect(page.get_by_role("alert")).to_have_text("This key is set up already. Use another one.")
    assert factors.of(ann).filter(type=factors.WEBAUTHN).count() == 1


def wait_for_clipboard(page: Page, text: str) -> None:
    """Chromium may say that it wrote before what it wrote can be read."""
    page.wait_for_function("async text => await navigator.clipboard.readText() === text", arg=text)


def test_the_app_s_key_and_the_codes_are_copied_and_downloaded_on_a_phone(
    page: Page, on_localhost: str, ann: User
) -> None:
    page.set_viewport_size(PHONE)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=on_localhost)
    log_in(page, on_localhost)
    page.goto(f"{on_localhost}/accounts/factors/app/")
    secret = page.locator(".account-secret").inner_text().replace(" ", "")

    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    wait_for_clipboard(page, secret)
    assert sideways_scroll(page) == 0

    page.get_by_label("Code from the app").fill(code_of(secret))
    page.get_by_role("button", name="Set up app").click()
    codes = page.get_by_role("list", name="Recovery codes").get_by_role("listitem").all_inner_texts()
    page.get_by_role("button", name="Copy codes").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    wait_for_clipboard(page, "\n".join(codes))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download codes").click()
    assert [url for url in asked if not url.startswith("blob:")] == []
    assert download.value.suggested_filename == "recovery-codes.txt"
    lines = download.value.path().read_text().splitlines()
    assert lines[1:4] == [
        f"Site: Brilliance ({urlsplit(on_localhost).netloc})",
        "User: ann",
        f"Made on: {localdate():%-d %b %Y}",
    ]
    assert lines[-10:] == codes
    assert sideways_scroll(page) == 0
    assert serious(page) == []


def test_the_app_s_key_opens_an_app_on_the_same_phone(
    page: Page, on_localhost: str, ann: User, page_problems: list[str]
) -> None:
    page.set_viewport_size(PHONE)
    log_in(page, on_localhost)
    page.goto(f"{on_localhost}/accounts/factors/app/")
    secret = page.locator(".account-secret").inner_text().replace(" ", "")
    opens = page.get_by_role("link", name="Open in an app on this phone")
    address = opens.get_attribute("href") or ""
    assert address.startswith("otpauth://totp/")
    assert parse_qs(urlsplit(address).query)["secret"] == [secret]

    opens.click()  # No app answers here, but the policy of the page lets the address through.

    # Nothing after it: some browsers now ask which program opens the address, and the page gets no more clicks.
    expect(opens).to_be_visible()
    assert page_problems == [f"request to another host: {address}"]
    page_problems.clear()


def test_a_browser_that_forbids_copying_says_so_and_marks_the_text(page: Page, on_localhost: str, ann: User) -> None:
    log_in(page, on_localhost)
    page.goto(f"{on_localhost}/accounts/factors/app/")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException()) }")

    page.get_by_role("button", name="Copy key").click()

    expect(page.get_by_role("button", name="copy the marked text yourself")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == page.locator(".account-secret").inner_text()


def test_a_file_that_was_asked_for_too_late_downloads_and_the_page_leads_back(
    page: Page, on_localhost: str, ann: User
) -> None:
    Contact.objects.create(email="bob@example.com")
    log_in(page, on_localhost)
    page.goto(f"{on_localhost}/admin/contacts/contact/")
    page.locator("[name=_selected_action]").check()
    page.locator("select[name=action]").select_option("export_chosen")
    (cookie,) = [each for each in page.context.cookies() if each["name"] == settings.SESSION_COOKIE_NAME]
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie["value"]
    grow_old(client)
    page.get_by_role("button", name="Run").click()

    page.get_by_label("Your password").fill(PASSWORD)
    page.wait_for_load_state()  # The script that says so has run then.
    with page.expect_download() as download:
        page.get_by_role("button", name="Continue").click()

    assert "bob@example.com" in download.value.path().read_text()
    expect(page.get_by_text("If you asked for a file")).to_be_visible()
    expect(page.get_by_label("Your password")).to_be_hidden()
    page.get_by_role("link", name="Back to where you were").click()
    expect(page.locator("[name=_selected_action]")).to_be_visible()


def test_axe_finds_nothing_serious_in_light_and_dark(page: Page, on_localhost: str, ann: User) -> None:
    page.set_viewport_size(PHONE)
    factors.add_totp(ann, "A" * 32, step=0)
    found: list[str] = []

    def look(path: str) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{on_localhost}{path}")
            found.extend([f"{path}: scrolls sideways"] if sideways_scroll(page) else [])
            found.extend(f"{path} {scheme}: {problem}" for problem in serious(page))

    look("/accounts/login/")
    log_in(page, on_localhost)
    expect(page.get_by_label("Code")).to_be_focused()
    look("/accounts/login/second-factor/")
    sign_in(page, ann)
    for path in ("factors/", "factors/key/", "sessions/"):
        look(f"/accounts/{path}")

    assert found == [], "\n".join(found)


def test_sessions_on_a_phone_by_keyboard_alone(page: Page, on_localhost: str, ann: User) -> None:
    others = [signed_in(agent=SAFARI), signed_in()]
    page.set_viewport_size(PHONE)
    log_in(page, on_localhost)

    page.goto(f"{on_localhost}/accounts/sessions/")
    expect(page.get_by_role("button", name="End Safari on iPhone")).to_be_visible()
    expect(page.get_by_text("(this one)")).to_have_count(1)
    assert sideways_scroll(page) == 0
    tab_to(page, "End")
    expect(page.get_by_text("Session ended.")).to_be_visible()
    tab_to(page, "End all others")
    expect(page.get_by_text("You're logged out everywhere else.")).to_be_visible()

    expect(page.get_by_role("button", name="End", exact=False)).to_have_count(0)
    assert not any(is_signed_in(each) for each in others)
