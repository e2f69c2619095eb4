"""The form's tabs and the list, as a person with a mouse, a keyboard or a phone meets them."""

import datetime as dt
import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from smtpservers.models import SmtpServer
from tests.harness.browser import sideways_scroll, sign_in
from tests.smtpservers.pages.conftest import LIST, change_page, history_page

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("live_server")]
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def signed_in(page: Page, boss: User) -> Page:
    sign_in(page, boss)
    return page


def open_tab(page: Page) -> str:
    return page.get_by_role("tab", selected=True).inner_text().split("\n")[0].strip()


def save(page: Page, button: str = "Save") -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).click()


def be_refused(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errorlist").first).to_be_visible()


# Tabs


def test_the_keyboard_goes_through_the_tabs(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    page.goto(change_page(make_server()))

    page.get_by_label("Provider", exact=False).first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "id_name"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "tab-smtp"

    for key, name in [
        ("ArrowRight", "Notes"),
        ("ArrowRight", "Miscellaneous"),
        ("End", "UTM"),
        ("ArrowRight", "SMTP"),
        ("ArrowLeft", "UTM"),
        ("Home", "SMTP"),
        ("ArrowRight", "Notes"),
    ]:
        page.keyboard.press(key)
        assert open_tab(page) == name
        assert page.evaluate("document.activeElement.innerText.trim()") == name

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "id_notes"


def test_a_tab_and_its_panel_name_each_other(signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{LIST}add/")

    for name in ("SMTP", "Notes", "Miscellaneous", "UTM"):
        link = page.get_by_role("tab", name=name)
        link.click()
        panel = page.locator(f"#{link.get_attribute('aria-controls')}")
        expect(panel).to_be_visible()
        assert panel.get_attribute("role") == "tabpanel"
        assert panel.get_attribute("aria-labelledby") == link.get_attribute("id")
        assert page.get_by_role("tabpanel").count() == 1


def test_errors_are_counted_on_each_tab_and_the_first_wrong_one_opens(
    signed_in: Page, make_server: Callable[..., SmtpServer]
) -> None:
    page = signed_in
    page.goto(change_page(make_server()))
    page.locator("#id_port").fill("0")
    page.locator("#id_timeout_seconds").fill("1")
    page.get_by_role("tab", name="Miscellaneous").click()
    page.get_by_label("Month start day").fill("32")
    page.get_by_role("tab", name="UTM").click()

    be_refused(page)

    expect(page.get_by_role("tab", selected=True)).to_contain_text("SMTP")
    expect(page.get_by_role("tab", name="SMTP , 2 errors")).to_be_visible()
    expect(page.get_by_role("tab", name="Miscellaneous , 1 error")).to_be_visible()
    assert page.locator(".tabs-errors").count() == 2
    expect(page.get_by_text("Enter a whole number from 1 to 65,535.")).to_be_visible()
    expect(page.locator("#id_port")).to_be_focused()
    described_by = page.locator("#id_port").get_attribute("aria-describedby").split()
    assert all(page.locator(f"#{part}").count() == 1 for part in described_by)


def test_the_open_tab_is_open_again_after_saving(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    page.goto(change_page(make_server()))
    page.get_by_role("tab", name="Notes").click()
    page.locator("#id_notes").fill("Ticket 4711")

    save(page, "Save and continue editing")

    assert open_tab(page) == "Notes"
    assert page.locator("#id_notes").input_value() == "Ticket 4711"


def test_a_form_for_a_new_server_begins_with_the_first_tab(signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{LIST}add/")
    page.get_by_role("tab", name="UTM").click()

    page.goto(f"{LIST}add/")

    assert open_tab(page) == "SMTP"


def test_a_port_for_tls_offers_to_turn_tls_on(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page, server = signed_in, make_server()
    page.goto(change_page(server))
    page.locator("#id_port").fill("465")
    page.get_by_label("Use SSL/TLS connection").uncheck()
    be_refused(page)

    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_label("Use SSL/TLS connection")).to_be_checked()
    save(page)

    server.refresh_from_db()
    assert (server.port, server.use_tls) == (465, True)


def test_an_address_entered_for_the_first_time_is_used(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page, server = signed_in, make_server(abuse_address="abuse@brilliance.example")
    page.goto(change_page(server))
    page.get_by_role("tab", name="Miscellaneous").click()

    page.locator("#id_return_path").fill("bounces@brilliance.example")
    page.locator("#id_abuse_address").fill("help@brilliance.example")

    expect(page.locator("#id_use_return_path")).to_be_checked()
    expect(page.locator("#id_use_abuse_address")).not_to_be_checked()


def test_values_and_their_switches_stand_in_one_line(signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{LIST}add/")
    page.get_by_role("tab", name="Miscellaneous").click()

    for value, switch in [("return_path", "use_return_path"), ("spam_address", "use_spam_address")]:
        field, flag = (page.locator(f"#id_{name}").bounding_box() for name in (value, switch))
        middles = [box["y"] + box["height"] / 2 for box in (field, flag)]
        assert abs(middles[0] - middles[1]) < 6


# A phone


@pytest.mark.parametrize("name", ["SMTP", "Notes", "Miscellaneous", "UTM"])
def test_the_form_fits_a_phone(signed_in: Page, make_server: Callable[..., SmtpServer], name: str) -> None:
    page = signed_in
    page.set_viewport_size(PHONE)
    page.goto(change_page(make_server(username="u", password="x", return_path="b@brilliance.example")))

    page.get_by_role("tab", name=name).click()

    assert sideways_scroll(page) == 0
    lefts = {round(box["x"]) for box in (cell.bounding_box() for cell in page.locator(".server-cell:visible").all())}
    assert len(lefts) <= 2  # The name above the tabs, and one column inside.


def test_delete_comes_after_save_on_a_phone(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    page.set_viewport_size(PHONE)
    page.goto(change_page(make_server()))

    save_box = page.get_by_role("button", name="Save", exact=True).bounding_box()
    delete_box = page.get_by_role("link", name="Delete server").bounding_box()

    assert save_box["y"] < delete_box["y"]


def test_the_list_and_the_history_fit_a_phone(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    page.set_viewport_size(PHONE)
    server = make_server("A server with quite a long name", paused_reason="535 5.7.8 " + "no " * 50)
    server.notes = "x" * 400
    server.save()

    for path in (LIST, history_page(server)):
        page.goto(path)
        assert sideways_scroll(page) == 0


def test_a_card_on_a_phone_has_no_handle_and_nothing_to_save(
    signed_in: Page, make_server: Callable[..., SmtpServer]
) -> None:
    page = signed_in
    for name in ("Alpha", "Beta"):
        make_server(name)
    page.set_viewport_size(PHONE)

    page.goto(LIST)

    expect(page.get_by_role("link", name="Beta", exact=True)).to_be_visible()
    for hidden in (page.get_by_label("Display order of Beta"), page.get_by_role("button", name="Save", exact=True)):
        expect(hidden).to_be_hidden()
    for handle in page.locator("[x-sort\\:handle]").all():
        expect(handle).to_be_hidden()


# The list


def test_a_server_is_dragged_to_another_place(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    for number, place in enumerate((100, 110, 120)):
        make_server(f"Server {number}", display_order=place)
    page.goto(LIST)
    handles = page.locator("td[x-sort\\:handle]")
    expect(handles).to_have_count(3)
    start, end = handles.nth(2).bounding_box(), handles.nth(0).bounding_box()

    page.mouse.move(start["x"] + 20, start["y"] + 20)
    page.mouse.down()
    page.mouse.move(start["x"] + 20, start["y"] - 20, steps=5)
    page.mouse.move(end["x"] + 20, end["y"] + 5, steps=15)
    # The rows change places while the mouse is still down and moving; letting go before drops it where it was.
    deadline = time.monotonic() + 10
    while "Server 2" not in page.locator("td[x-sort\\:handle]").first.locator("xpath=..").inner_text():
        assert time.monotonic() < deadline, "the row does not move"
        page.mouse.move(end["x"] + 20 + round(time.monotonic() * 10) % 2, end["y"] + 5)
    with page.expect_navigation():
        page.mouse.up()

    assert list(SmtpServer.objects.values_list("name", "display_order")) == [
        ("Server 2", 100),
        ("Server 0", 110),
        ("Server 1", 120),
    ]


def test_the_place_is_changed_with_the_keyboard(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    make_server("First", display_order=10)
    make_server("Second", display_order=20)
    page.goto(LIST)

    page.get_by_label("Display order of Second").fill("5")
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert list(SmtpServer.objects.values_list("name", flat=True)) == ["Second", "First"]


def test_a_list_in_another_order_has_no_handles(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    make_server("Beta", display_order=10)
    make_server("Alpha", display_order=20)
    page.goto(LIST)
    expect(page.get_by_text("drag_indicator").first).to_be_visible()

    page.goto(f"{LIST}?o=1")

    expect(page.get_by_text("drag_indicator").first).to_be_hidden()


def test_the_list_fits_a_desk_without_scrolling(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page = signed_in
    fields = {"host": "a-host-with-a-long-name.mail.brilliance.example", "max_per_month": 50_000}
    for minutes in (3, 23, 60 * 24 * 25):
        sent_at = timezone.now() - dt.timedelta(minutes=minutes)
        make_server(f"Relay {minutes}", paused_reason="535 5.7.8 no " * 9, last_success_at=sent_at, **fields)
    page.goto(LIST)

    table = page.locator("#result_list")
    assert table.evaluate("t => t.scrollWidth <= t.closest('[data-simplebar]').clientWidth + 1")


def test_the_test_page_is_one_click_away(signed_in: Page, make_server: Callable[..., SmtpServer]) -> None:
    page, server = signed_in, make_server()
    page.goto(LIST)

    expect(page.get_by_role("link", name="Send test through Primary")).to_have_attribute(
        "href", f"/servers/{server.pk}/test/"
    )
