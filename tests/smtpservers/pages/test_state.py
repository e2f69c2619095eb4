"""The state at the top of a server's page, and servers that are untested until they have accepted a test."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from delivery import clock
from delivery.models import Mailing, Message, Trial
from delivery.operators import trials
from delivery.outbox import mailings, plan
from smtpservers.limits import circuit_breaker
from smtpservers.models import SmtpServer
from smtpservers.routing.candidates import fleet, lasting_obstacle
from smtpservers.routing.fleet import Fleet
from tests.delivery.making import run_drain
from tests.harness.browser import sideways_scroll, sign_in
from tests.peers.peer import running_peer
from tests.smtpservers.pages.conftest import LIST, change_page, filled, history_page

MakeServer = Callable[..., SmtpServer]
HOSTILE = "550 <script>alert(1)</script> \u202egnp.exe"


@pytest.fixture
def signed_in(client: Client, boss: User) -> Client:
    client.force_login(boss)
    return client


def run_trials() -> None:
    while trials.make_next(clock.now):
        pass


def loopback(port: int, **changes: Any) -> dict[str, Any]:
    return filled(host="127.0.0.1", port=str(port), use_tls=None, handles_email_validation="on", **changes)


def test_a_server_from_the_form_is_untested_whatever_its_switch_says(signed_in: Client) -> None:
    signed_in.post(f"{LIST}add/", filled())

    server = SmtpServer.objects.get()
    assert (server.is_active, server.tested_at) == (True, None)
    assert lasting_obstacle(server) == "is untested"
    assert [each.obstacle(timezone.now()) for each in fleet(timezone.now())] == ["is untested"]
    assert Fleet(timezone.now()).carriers("", []) == []
    page = signed_in.get(change_page(server)).content.decode()
    assert "<strong>Untested</strong>" in page
    assert "Untested" in signed_in.get(LIST, {"state": "untested"}).content.decode()
    assert "Primary" not in signed_in.get(LIST, {"state": "active"}).context["cl"].queryset.values_list(
        "name", flat=True
    )


def test_save_and_send_test_does_both_and_the_first_accepted_test_ends_it(
    signed_in: Client, transactional_db: None, tmp_path: Path
) -> None:
    with running_peer(tmp_path) as peer:
        answer = signed_in.post(
            f"{LIST}add/",
            loopback(peer.port, mail_to="Ops <ops@example.org>") | {"_save_and_test": "Save and send test"},
        )
        server, trial = SmtpServer.objects.get(), Trial.objects.get()
        assert answer.headers["Location"] == f"/servers/{server.pk}/test/{trial.pk}/"
        assert trial.recipient == "ops@example.org"
        run_trials()

    server.refresh_from_db()
    first = server.tested_at
    assert first is not None
    assert lasting_obstacle(server) == ""
    signed_in.post(change_page(server), filled(host="smtp.other.example"))
    server.refresh_from_db()
    assert (server.host, server.tested_at) == ("smtp.other.example", first)
    assert "_save_and_test" not in signed_in.get(change_page(server)).content.decode()


def test_a_test_that_is_refused_leaves_it_untested(
    signed_in: Client, transactional_db: None, make_server: MakeServer, tmp_path: Path
) -> None:
    with running_peer(tmp_path, lambda event, _: HOSTILE if event == "rcpt" else None) as peer:
        server = make_server(host="127.0.0.1", port=peer.port, use_tls=False, tested_at=None)
        trials.ask(server, "ann@example.org", None, with_copies=False, now=timezone.now())
        run_trials()

    server.refresh_from_db()
    page = signed_in.get(change_page(server)).content.decode()
    assert server.tested_at is None
    for shown in (page, signed_in.get(LIST).content.decode(), signed_in.get("/admin/").content.decode()):
        assert "Last test failed" in shown
        assert "The server didn&#x27;t accept the recipient" in shown
        assert f'href="/servers/{server.pk}/test/"' in shown
    assert "Last replies" in page
    assert "<script>alert(1)" not in page
    assert "\u202e" not in page


def test_without_a_mail_to_it_asks_for_a_recipient(signed_in: Client) -> None:
    answer = signed_in.post(f"{LIST}add/", filled() | {"_save_and_test": "x"})

    server = SmtpServer.objects.get()
    assert answer.headers["Location"] == f"/servers/{server.pk}/test/"
    assert Trial.objects.count() == 0


def test_who_may_send_no_test_gets_no_test(client: Client, person: Callable[..., User]) -> None:
    client.force_login(person("add_smtpserver", "change_smtpserver", "view_smtpserver"))

    assert "_save_and_test" not in client.get(f"{LIST}add/").content.decode()
    client.post(f"{LIST}add/", filled(mail_to="ops@example.org") | {"_save_and_test": "x"})

    assert SmtpServer.objects.count() == 1
    assert Trial.objects.count() == 0


def test_no_mail_but_tests_goes_through_it(transactional_db: None, make_server: MakeServer, tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(
            host="127.0.0.1", port=peer.port, use_tls=False, handles_email_validation=True, tested_at=None
        )
        mailing = mailings.open_mailing(stream=Mailing.Stream.SINGLE, name="R", subject="R", html="", text="R")
        mailings.address(mailing, email="ann@example.org", email_key="ann@example.org", now=timezone.now())
        run_drain()
        assert peer.journal.events("mail") == []
        assert Message.objects.get().status == "queued"
        mailing.refresh_from_db()
        assert "Primary is untested" in mailing.waiting_reason

        trials.ask(server, "ann@example.org", None, with_copies=False, now=timezone.now())
        run_trials()
        run_drain()

    assert Message.objects.get(mailing=mailing).status == "accepted"


def test_the_banner_tells_why_since_when_and_resumes(signed_in: Client, make_server: MakeServer) -> None:
    since = timezone.now() - dt.timedelta(hours=3)
    server = make_server()
    SmtpServer.objects.filter(pk=server.pk).update(paused_reason=HOSTILE, outage_at=since)

    page = signed_in.get(change_page(server)).content.decode()
    assert "<strong>Paused</strong> since" in page
    assert since.isoformat()[:16] in page
    assert "<script>alert(1)" not in page
    answer = signed_in.post(f"{LIST}{server.pk}/resume/")

    server.refresh_from_db()
    assert (answer.status_code, answer.headers["Location"], server.paused_reason) == (302, change_page(server), "")
    assert LogEntry.objects.filter(change_message__contains="Resumed.").count() == 1
    history = signed_in.get(history_page(server)).content.decode()
    assert [(h.history_change_reason, str(h.history_user)) for h in server.history.all()[:1]] == [("Resumed.", "boss")]
    assert "Resumed." in history
    assert "<strong>Active</strong>" in signed_in.get(change_page(server)).content.decode()


def test_what_waited_for_a_resumed_server_waits_no_longer(signed_in: Client, make_server: MakeServer) -> None:
    server = make_server("Alpha", handles_email_validation=True, paused_reason="421 Slow down.")
    mailing = mailings.open_mailing(stream=Mailing.Stream.SINGLE, name="R", subject="R", html="", text="R")
    mailings.address(mailing, email="ann@example.org", email_key="ann@example.org", now=timezone.now())
    assert plan.plan(timezone.now()) == []
    mailing.refresh_from_db()
    assert "Alpha is paused" in mailing.waiting_reason

    signed_in.post(f"{LIST}{server.pk}/resume/")

    mailing.refresh_from_db()
    assert mailing.waiting_reason == ""


def test_a_refused_password_is_entered_again_before_the_server_is_resumed(
    signed_in: Client, make_server: MakeServer
) -> None:
    server = make_server(username="a", password="b", paused_reason="the server refused the sign-in: 535 5.7.8 no")

    page = signed_in.get(change_page(server)).content.decode()
    test_page = signed_in.get(f"/servers/{server.pk}/test/").content.decode()

    buttons = page.partition('class="server-state-buttons"')[2].partition("</section>")[0]
    assert 'href="#id_password"' in buttons
    assert buttons.index("Enter the password again") < buttons.index("Resume")
    assert "The server refused the sign-in: 535 5.7.8 no" in page
    assert "This server is paused: The server refused the sign-in: 535 5.7.8 no</p>" in test_page
    assert "<p>A test shows whether it works again.</p>" in test_page


def test_a_server_is_deactivated_and_activated_on_its_page(signed_in: Client, make_server: MakeServer) -> None:
    server = make_server()
    switch = f"{LIST}{server.pk}/switch/"

    for word, is_active in (("Deactivate", False), ("Activate", True)):
        form = next(
            form
            for form in lxml.html.fromstring(signed_in.get(change_page(server)).content).forms
            if form.get("action") == switch
        )
        [button] = form.xpath(".//button")
        assert button.text_content().strip() == word

        answer = signed_in.post(switch, {button.get("name"): button.get("value")})

        server.refresh_from_db()
        assert (answer.headers["Location"], server.is_active) == (change_page(server), is_active)
        last = server.history.latest()
        assert (last.is_active, str(last.history_user)) == (is_active, "boss")
    assert signed_in.get(switch).status_code == 405


@pytest.mark.parametrize("codenames", [("view_smtpserver",), ("view_fleet",), ("send_test",), ()])
def test_only_who_may_pause_activates_or_deactivates(
    client: Client, person: Callable[..., User], make_server: MakeServer, codenames: tuple[str, ...]
) -> None:
    server = make_server()
    client.force_login(person(*codenames))

    assert client.post(f"{LIST}{server.pk}/switch/", {"state": "inactive"}).status_code == 403
    server.refresh_from_db()
    assert server.is_active
    if "view_smtpserver" in codenames:
        assert "/switch/" not in client.get(change_page(server)).content.decode()


@pytest.mark.parametrize("codenames", [("view_smtpserver",), ("view_fleet",), ("send_test",), ()])
def test_only_who_may_pause_resumes(
    client: Client, person: Callable[..., User], make_server: MakeServer, codenames: tuple[str, ...]
) -> None:
    server = make_server(paused_reason="No.")
    client.force_login(person(*codenames))

    assert client.post(f"{LIST}{server.pk}/resume/").status_code == 403
    assert client.get(f"{LIST}{server.pk}/resume/").status_code in (403, 405)
    server.refresh_from_db()
    assert server.paused_reason == "No."


def test_home_leads_to_what_is_held_and_resumes_it(signed_in: Client, make_server: MakeServer) -> None:
    held = make_server("Relay", paused_reason="535 no", outage_at=timezone.now())
    make_server("New one", tested_at=None)

    home = signed_in.get("/admin/").content.decode()
    assert f'href="{change_page(held)}"' in home
    assert re.search(r">New one</a></strong> · Untested\b", home)
    assert f"{LIST}{held.pk}/resume/" in home
    answer = signed_in.post(f"{LIST}{held.pk}/resume/", {"home": "1"})

    assert answer.headers["Location"] == "/admin/"
    assert f"{LIST}{held.pk}/resume/" not in signed_in.get("/admin/").content.decode()


def test_before_a_server_is_deleted_the_page_says_what_goes_and_what_stays(
    signed_in: Client, make_server: MakeServer
) -> None:
    server = make_server("Relay")
    page = signed_in.get(f"{LIST}{server.pk}/delete/").content.decode()

    assert "Delete “Relay”?" in page
    assert "The server with its settings, password and API key" in page
    assert "Its place in the fleet: queued mail uses other servers or waits" in page
    assert "Sent messages, attempts and replies, under Messages" in page
    SmtpServer.objects.update(is_active=False)
    assert "Its place in the fleet" not in signed_in.get(f"{LIST}{server.pk}/delete/").content.decode()

    signed_in.post(f"{LIST}{server.pk}/delete/", {"post": "yes"})
    assert not SmtpServer.objects.exists()


@pytest.mark.browser
def test_at_night_on_a_phone_it_takes_three_taps(
    page: Page, live_server: Any, boss: User, make_server: MakeServer
) -> None:
    server = make_server("Company relay with quite a long name", paused_reason="535 5.7.8 no " * 20)
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, boss)

    page.goto("/admin/")
    page.get_by_role("button", name="Resume Company relay").click()

    expect(page.get_by_text("Company relay with quite a long name resumed.")).to_be_visible()
    server.refresh_from_db()
    assert server.paused_reason == ""
    assert sideways_scroll(page) == 0


def test_the_history_names_who_did_what_no_person_did(signed_in: Client, make_server: MakeServer) -> None:
    server = make_server()  # As a command makes it.
    circuit_breaker.pause(server.pk, "535 no", None, timezone.now())
    signed_in.post(f"{LIST}{server.pk}/resume/")

    page = lxml.html.fromstring(signed_in.get(history_page(server)).content)
    heads = [" ".join(head.text_content().split()) for head in page.find_class("server-history-head")]

    assert [
        next((who for who in ("by boss", "by Brilliance itself", "by a command") if who in head), head)
        for head in heads
    ] == ["by boss", "by Brilliance itself", "by a command"]
