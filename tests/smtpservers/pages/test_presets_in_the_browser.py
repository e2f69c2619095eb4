"""Choosing a provider on the form of a server, as a person with a mouse, a keyboard or a phone does."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from smtpservers.models import SmtpServer
from tests.harness.browser import sideways_scroll, sign_in
from tests.oauth.making import make_account
from tests.smtpservers.pages.conftest import LIST, change_page

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("live_server")]


@pytest.fixture
def form(page: Page, boss: User) -> Page:
    sign_in(page, boss)
    page.goto(f"{LIST}add/")
    return page


def choose(page: Page, provider: str) -> None:
    page.get_by_label("Provider", exact=True).select_option(label=provider)


def value(page: Page, name: str) -> str | bool:
    field = page.locator(f"#id_{name}")
    return field.is_checked() if field.get_attribute("type") == "checkbox" else field.input_value()


def values(page: Page, *names: str) -> tuple[str | bool, ...]:
    return tuple(value(page, name) for name in names)


def save(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Save and continue editing").click()


def test_a_provider_fills_the_form_and_the_next_one_takes_its_place(form: Page) -> None:
    choose(form, "SparkPost (Bird)")

    assert values(form, "host", "port", "username") == ("smtp.sparkpostmail.com", "587", "SMTP_Injection")
    assert values(form, "timeout_seconds", "time_zone", "use_tls") == ("60", "UTC", True)
    expect(form.get_by_role("status")).to_contain_text("Filled in: Server, Username, Timeout.")

    choose(form, "Amazon SES")

    assert values(form, "host", "username", "timeout_seconds", "use_precedence") == ("", "", "30", False)
    expect(form.get_by_role("status")).to_have_text("Filled in: Timeout, Use email precedence.")

    choose(form, "Resend")

    assert values(form, "host", "port", "username", "use_precedence") == ("smtp.resend.com", "465", "resend", True)

    choose(form, "Mailpit or MailHog (local test)")

    assert values(form, "host", "port", "username", "use_tls") == ("localhost", "1025", "", False)


def test_what_was_typed_is_replaced_only_after_asking(form: Page) -> None:
    form.locator("#id_host").fill("relay.shop.example")
    form.locator("#id_timeout_seconds").fill("90")

    choose(form, "SparkPost (Bird)")

    assert values(form, "host", "timeout_seconds", "username") == ("relay.shop.example", "90", "SMTP_Injection")
    question = form.get_by_role("alert")
    expect(question).to_contain_text("so they were kept: Server, Timeout.")

    question.get_by_role("button", name="Keep mine").press("Enter")

    expect(question).to_have_count(0)
    assert value(form, "host") == "relay.shop.example"
    assert form.evaluate("document.activeElement.id") == "id_preset"

    choose(form, "Twilio SendGrid")
    form.get_by_role("button", name="Use the values of Twilio SendGrid").press("Enter")

    assert values(form, "host", "timeout_seconds", "username") == ("smtp.sendgrid.net", "30", "apikey")
    expect(form.get_by_role("alert")).to_have_count(0)


def test_a_region_is_chosen_from_a_list(form: Page) -> None:
    choose(form, "Amazon SES")
    region = form.get_by_label("Region or stream")
    expect(region.locator("option").first).to_have_text("Choose your region")

    region.select_option(label="Europe, Frankfurt – email-smtp.eu-central-1.amazonaws.com")

    assert value(form, "host") == "email-smtp.eu-central-1.amazonaws.com"
    expect(form.get_by_label("Region or stream")).to_have_value("email-smtp.eu-central-1.amazonaws.com")


def test_warnings_stand_by_the_choice_and_go_with_the_stream_for_bulk_mail(form: Page) -> None:
    warnings = form.locator(".server-preset-warning")
    choose(form, "Microsoft 365 (client submission)")
    expect(warnings).to_contain_text(["doesn't allow bulk mail", "sign-in with a password"])

    choose(form, "Postmark")
    expect(warnings).to_contain_text(["only through its broadcast stream"])
    form.get_by_label("Region or stream").select_option("smtp-broadcasts.postmarkapp.com")
    expect(warnings).to_have_count(0)

    choose(form, "Other / custom server")
    expect(form.locator("#preset-panel")).to_be_hidden()
    assert value(form, "host") == "", "what came with the provider goes with it"


def test_warnings_follow_a_host_that_is_typed(form: Page) -> None:
    warnings = form.locator(".server-preset-warning")
    choose(form, "Postmark")
    expect(warnings).to_contain_text(["only through its broadcast stream"])

    form.locator("#id_host").fill("smtp-broadcasts.postmarkapp.com")
    expect(warnings).to_have_count(0)
    expect(form.get_by_label("Region or stream")).to_have_value("smtp-broadcasts.postmarkapp.com")

    choose(form, "Twilio SendGrid")
    assert value(form, "host") == "smtp.sendgrid.net", "the host of another provider is replaced"


def test_the_short_form_calls_what_it_asks_for_as_the_chosen_provider_does(form: Page) -> None:
    form.goto("/admin/smtpservers/smtpserver/add/?short=on&preset=postmark")
    key, username = form.locator("#id_api_key_helptext"), form.locator("#id_username_helptext")
    expect(key).to_have_text("The server API token.")
    form.locator("details:has(#id_preset) > summary").click()

    choose(form, "Gmail (personal)")
    expect(username).to_have_text("The full email address of the account.")
    expect(key).not_to_contain_text("server API token")

    choose(form, "Other / custom server")
    expect(username).to_contain_text("From your provider")


def test_what_was_typed_stays_when_the_provider_goes(form: Page) -> None:
    choose(form, "Twilio SendGrid")
    form.locator("#id_port").fill("2525")
    form.locator("#id_name").fill("Mine")

    choose(form, "Other / custom server")

    assert values(form, "host", "username", "port") == ("", "", "2525")
    assert value(form, "name") == "Mine"


def test_a_key_and_a_provider_make_a_server(form: Page) -> None:
    form.locator("#id_name").fill("Campaigns")
    choose(form, "Postmark")
    form.locator("#id_mail_from").fill("news@shop.example")
    form.get_by_role("tab", name="Miscellaneous").click()
    form.locator("#id_api_key").fill("token-1")

    save(form)

    server = SmtpServer.objects.get()
    assert (server.preset, server.username, server.api_key.reveal(server.destination)) == ("postmark", "", "token-1")
    expect(form.get_by_label("Provider", exact=True)).to_have_value("postmark")
    expect(form.get_by_text("About Postmark")).to_be_visible()
    expect(form.get_by_text("Put the token into API key")).to_be_hidden()


def test_a_server_that_has_a_provider_is_left_as_it_is(form: Page, make_server: Callable[..., SmtpServer]) -> None:
    server = make_server(preset="sendgrid", host="smtp.eu.sendgrid.net", port=2525, username="apikey", password="x")

    form.goto(change_page(server))

    assert values(form, "host", "port", "timeout_seconds") == ("smtp.eu.sendgrid.net", "2525", "30")
    form.get_by_text("About Twilio SendGrid").click()
    expect(form.get_by_text("At most 5,000 messages over one connection.")).to_be_visible()
    expect(form.get_by_text("Not verified: 1,000 recipients")).to_be_visible()
    expect(form.get_by_text("As of 23 Nov 2026, from: docs.sendgrid.com")).to_be_visible()


@pytest.mark.parametrize("provider", ["Amazon SES", "Microsoft 365 (client submission)", "SMTP2GO"])
def test_nothing_sticks_out_on_a_phone(form: Page, provider: str) -> None:
    form.set_viewport_size({"width": 390, "height": 844})
    form.locator("#id_host").fill("relay.shop.example")

    choose(form, provider)

    assert sideways_scroll(form) == 0


def test_microsoft_is_set_up_with_nothing_but_an_account_and_a_sender(page: Page, boss: User) -> None:
    make_account()
    sign_in(page, boss)
    page.goto(f"{LIST}add/?preset=m365&name=Mailbox&short=on")
    expect(page.get_by_text(re.compile("switche[sd] off sign-in with a password")).first).to_be_visible()
    test = page.get_by_role("button", name="Save and send test")

    page.get_by_label("Mail from").fill("news@shop.example")
    test.click()
    expect(page.get_by_text("Choose an OAuth account, or enter a username and its password.")).to_be_visible()
    page.get_by_label("OAuth account").select_option(label="Newsletter")
    with page.expect_navigation():
        test.click()

    server = SmtpServer.objects.get()
    assert (server.oauth_account.name, server.username, server.host) == ("Newsletter", "", "smtp.office365.com")


def test_the_page_of_a_server_counts_down_while_it_signs_in_with_a_password(page: Page, boss: User) -> None:
    fields = {"host": "smtp.office365.com", "mail_from": "news@shop.example", "preset": "m365"}
    by_password = SmtpServer.objects.create(name="Old", **fields)
    by_account = SmtpServer.objects.create(name="New", oauth_account=make_account(), **fields)
    said = page.get_by_text(re.compile("switche[sd] off sign-in with a password"))
    sign_in(page, boss)

    page.goto(change_page(by_password))
    expect(said.first).to_be_visible()
    page.get_by_text("About Microsoft 365").click()
    expect(page.get_by_text("Message Center MC786329, 27 January 2026").first).to_be_visible()

    page.goto(change_page(by_account))
    expect(page.get_by_text("About Microsoft 365")).to_be_visible()
    expect(said).to_have_count(0)
