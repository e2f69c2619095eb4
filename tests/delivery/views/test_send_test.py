"""The Send test page, talking to real servers."""

import base64
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from delivery.models import Attempt, Mailing, Message, Trial
from sandbox.models import SandboxMail
from smtpservers.models import SmtpServer
from tests.domains.keys.making import make_signing, published, selectors
from tests.harness.browser import sideways_scroll, sign_in
from tests.harness.send_test import tried
from tests.oauth.making import make_account
from tests.peers.name_server import running_nameserver
from tests.peers.peer import running_peer
from tests.sandbox.conftest import Running

MakeServer = Callable[..., SmtpServer]


def url(server: SmtpServer) -> str:
    return reverse("delivery:send_test", args=[server.pk])


def send(client: Client, server: SmtpServer, recipient: str = "ann@example.org") -> str:
    """Return the words of the page that answers, without its tags."""
    page = tried(client, url(server), {"recipient": recipient}).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@contextlib.contextmanager
def peer(*lines: bytes) -> Iterator[int]:
    """A server that says ``lines`` to whoever connects, without listening, and hangs up; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def talk() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"".join(lines))
                connection.settimeout(5)
                while connection.recv(1024):
                    pass

        thread = threading.Thread(target=talk)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def test_the_form_proposes_the_address_of_smtp_mail_to(tester: Client, make_server: MakeServer):
    server = make_server(25, mail_to="Ops <ops@example.org>")

    page = tester.get(url(server)).content.decode()

    assert 'value="ops@example.org"' in page
    assert "Mail to is suggested" in page
    assert "switched off" not in page


def test_the_form_proposes_nothing_and_says_nothing_of_it_where_the_server_names_nobody(
    tester: Client, make_server: MakeServer
):
    page = tester.get(url(make_server(25, mail_to=""))).content.decode()

    assert "Use a mailbox you can check." in page
    assert "is suggested" not in page


def test_the_form_says_that_a_server_is_switched_off_or_paused(tester: Client, make_server: MakeServer):
    server = make_server(25, is_active=False, paused_reason="The password was refused.")

    page = tester.get(url(server)).content.decode()

    assert "This server is inactive" in page
    assert "This server is paused: The password was refused." in page


def test_a_password_that_microsoft_stops_taking_is_counted_down_before_the_test(
    tester: Client, make_server: MakeServer
) -> None:
    by_password = make_server(25, preset="m365")
    by_account = make_server(26, name="Other", preset="m365", oauth_account=make_account())

    assert "switch" in tester.get(url(by_password)).content.decode().partition("sign-in with a password")[0][-200:]
    assert "sign-in with a password" not in tester.get(url(by_account)).content.decode()


def test_opening_the_page_sends_nothing(tester: Client, plain_server: SmtpServer):
    tester.get(url(plain_server))

    assert not Message.objects.exists()


def test_a_test_is_sent_at_once_and_stands_in_the_account(tester: Client, plain_server: SmtpServer):
    words = send(tester, plain_server)

    assert "The server accepted the message." in words
    assert "Check the mailbox of ann@example.org" in words
    assert SandboxMail.objects.get().rcpt_to == "ann@example.org"
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.message.mailing.stream) == ("accepted", "test")


def test_a_test_to_the_test_inbox_shows_that_our_signatures_verify(
    tester: Client, sandbox: Running, make_server: MakeServer, settings: LazySettings
):
    settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, sandbox.plain
    server = make_server(sandbox.plain, dkim="brilliance")

    assert "Relay has no DKIM key for example.org that DNS confirms." in send(tester, server)
    assert not Message.objects.exists()

    rsa, ed25519 = make_signing("example.org", timezone.now())
    words = send(tester, server)

    assert "The server accepted the message." in words
    for key, algorithm in ((rsa, "rsa-sha256"), (ed25519, "ed25519-sha256")):
        assert f"{key.selector}._domainkey.example.org ({algorithm}): verified." in words
    records = published()
    assert selectors(bytes(SandboxMail.objects.get().content), records) == [rsa.selector, ed25519.selector]


def test_a_signature_that_does_not_verify_is_said(
    tester: Client, sandbox: Running, make_server: MakeServer, settings: LazySettings
):
    settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, sandbox.plain
    server = make_server(sandbox.plain, dkim="brilliance")
    rsa, _ed25519 = make_signing("example.org", timezone.now())
    rsa.record = rsa.record.replace("p=MIIB", "p=AAAA")
    rsa.save()

    words = send(tester, server)

    assert "The server accepted the message, but its signature is wrong." in words
    assert f"The key of {rsa.selector}._domainkey.example.org is damaged" in words


def test_an_accepted_test_says_above_its_steps_that_bounces_would_be_lost(
    tester: Client, plain_server: SmtpServer, settings: LazySettings
):
    SmtpServer.objects.update(return_path="bounces@gone.wiretest.net", use_return_path=True)
    with running_nameserver({}) as nameserver:
        settings.DNS_RESOLVERS = [nameserver.address]

        words = send(tester, plain_server)

    assert "bounces would be lost." in words
    assert "The domain gone.wiretest.net does not exist. Bounces would be lost. Correct Email return path" in words
    assert SandboxMail.objects.count() == 1


@pytest.mark.parametrize(
    ("recipient", "why"),
    [
        ("ann@example.org", "example.org is reserved for examples"),
        ("bounce@example.org", "because the server didn't accept the test message"),
    ],
)
def test_a_return_path_that_nobody_could_be_asked_about_is_told_as_not_checked(
    tester: Client, plain_server: SmtpServer, recipient: str, why: str
):
    SmtpServer.objects.update(return_path="bounces@example.org", use_return_path=True)

    words = send(tester, plain_server, recipient)

    assert re.search(r"bounces (the address that bounces go to )?not checked", words)
    assert re.search(rf"Not checked[:,] {re.escape(why)}", words)
    assert ("message not reached" in words) is (recipient == "bounce@example.org")


def test_each_step_is_shown_with_what_was_sent_answered_and_how_long_it_took(tester: Client, plain_server: SmtpServer):
    words = send(tester, plain_server)

    for shown in (
        "DNS look up",
        "connect open",
        "banner the",
        "220 localhost Brilliance sandbox",
        "EHLO example.org",
        "extensions PIPELINING, SIZE 10485760, 8BITMIME",
        "MAIL FROM:&lt;news@example.org&gt;",
        "RCPT TO:&lt;ann@example.org&gt;",
        "354 ",
        "message the message, and the final reply",
    ):
        assert shown in words, shown
    assert len(re.findall(r"\d ms", words)) == 8
    assert "not reached" not in words


def test_an_inactive_server_is_tested_all_the_same(tester: Client, sandbox: Running, make_server: MakeServer):
    assert "The server accepted the message." in send(tester, make_server(sandbox.plain, is_active=False))


def test_tls_is_shown_with_version_and_certificate(tester: Client, sandbox: Running, make_server: MakeServer):
    server = make_server(
        sandbox.starttls, host="localhost", use_tls=True, trusted_certificate=sandbox.authority.read_text()
    )

    words = send(tester, server)

    assert "version TLSv1.3" in words
    assert "certificate for localhost, 127.0.0.1" in words
    assert "issued by Brilliance" in words
    assert "valid until" in words


def test_the_mechanism_is_shown_and_the_password_is_not(tester: Client, sandbox: Running, make_server: MakeServer):
    server = make_server(sandbox.auth, username="brilliance", password=sandbox.password)

    words = send(tester, server)

    assert "AUTH PLAIN ***" in words
    assert "mechanism PLAIN" in words
    assert "The server accepted the message." in words
    assert sandbox.password not in words
    assert base64.b64encode(f"\0brilliance\0{sandbox.password}".encode()).decode() not in words


def test_a_refused_password_names_the_step_and_what_to_do(tester: Client, sandbox: Running, make_server: MakeServer):
    server = make_server(sandbox.auth, username="brilliance", password="not this one")

    words = send(tester, server)

    assert "Test failed. Couldn&#x27;t sign in." in words
    assert "Enter the password again" in words
    assert "535 " in words
    assert words.count("not reached") == 4
    assert "not this one" not in words


def test_an_unknown_authority_names_the_step_and_what_to_do(tester: Client, sandbox: Running, make_server: MakeServer):
    words = send(tester, make_server(sandbox.starttls, host="localhost", use_tls=True))

    assert "Test failed. Couldn&#x27;t encrypt the connection." in words
    assert "into Trusted certificate" in words


def test_a_refused_connection_names_the_step_and_what_to_do(tester: Client, make_server: MakeServer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]

    words = send(tester, make_server(free))

    assert "Test failed. Couldn&#x27;t connect to the server." in words
    assert "refused the connection" in words


@pytest.mark.parametrize("may_edit", [True, False])
def test_a_failed_test_leads_to_the_field_to_fix_whoever_may(
    tester: Client, make_server: MakeServer, may_edit: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    server = make_server(free)
    if may_edit:
        user = User.objects.get()
        user.user_permissions.add(Permission.objects.get(codename="change_smtpserver"))

    page = tried(tester, url(server), {"recipient": "ann@example.org"}).content.decode()

    link = f'href="/admin/smtpservers/smtpserver/{server.pk}/change/#id_host"'
    assert (link in page) is may_edit


def test_a_refused_recipient_names_the_step(tester: Client, plain_server: SmtpServer):
    words = send(tester, plain_server, "bounce@example.org")

    assert "Test failed. The server didn&#x27;t accept the recipient." in words
    assert "550 " in words


def test_a_lost_answer_is_neither_success_nor_failure(tester: Client, plain_server: SmtpServer):
    words = send(tester, plain_server, "drop@example.org")

    assert "The message was sent, but the reply was lost." in words
    assert "It may have arrived" in words
    assert Message.objects.get().status == Message.Status.UNCONFIRMED


def test_a_wrong_address_is_refused_with_a_sentence_and_nothing_is_sent(tester: Client, plain_server: SmtpServer):
    words = send(tester, plain_server, "ann@@example.org")

    assert "ann@@example.org has two @ signs. Write it as name@example.com." in words
    assert not Message.objects.exists()


def test_a_used_up_quota_is_said_with_what_to_do(tester: Client, sandbox: Running, make_server: MakeServer):
    server = make_server(sandbox.plain, max_per_month=1)
    send(tester, server)

    words = send(tester, server)

    assert "Test not sent." in words
    assert "Relay has used its 1 message" in words
    assert SandboxMail.objects.count() == 1


def test_what_a_server_says_is_shown_as_text(tester: Client, make_server: MakeServer, transactional_db: None):
    with peer(b"220 <script>alert(1)</script>\r\n", b"554-<img src=x onerror=alert(1)>\r\n554 no\r\n") as port:
        page = tried(tester, url(make_server(port)), {"recipient": "ann@example.org"}).content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_a_link_leads_to_the_embedded_mailbox(
    client: Client, make_user: Callable[..., User], sandbox: Running, plain_server: SmtpServer, settings
):
    settings.SANDBOX_PLAIN_PORT = sandbox.plain
    client.force_login(make_user("send_test", "view_sandboxmail"))

    page = tried(client, url(plain_server), {"recipient": "ann@example.org"}).content.decode()

    assert f'href="{reverse("admin:sandbox_sandboxmail_changelist")}?q=ann%40example.org"' in page


def test_the_permission_is_needed(client: Client, make_user: Callable[..., User], plain_server: SmtpServer):
    client.force_login(make_user("view_smtpserver", "change_smtpserver"))

    assert client.get(url(plain_server)).status_code == 403
    assert client.post(url(plain_server), {"recipient": "ann@example.org"}).status_code == 403
    assert not Message.objects.exists()


def test_strangers_are_asked_to_sign_in(client: Client, plain_server: SmtpServer):
    assert client.get(url(plain_server)).headers["Location"].startswith("/admin/login/")


def test_a_post_without_a_token_is_refused(make_user: Callable[..., User], plain_server: SmtpServer):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("send_test"))

    assert strict.post(url(plain_server), {"recipient": "ann@example.org"}).status_code == 403
    assert not Message.objects.exists()


def test_a_server_that_is_gone_is_a_plain_404(tester: Client):
    assert tester.get(reverse("delivery:send_test", args=[12345])).status_code == 404


@pytest.mark.browser
def test_the_keyboard_alone_sends_a_test_and_is_led_to_its_result(
    sandbox: Running, plain_server: SmtpServer, live_server, errands: None, page: Page, make_user: Callable[..., User]
):
    sign_in(page, make_user("send_test"))
    page.goto(url(plain_server))

    page.get_by_label("Send test to").focus()
    page.keyboard.press("Enter")
    page.get_by_text("The server accepted the message.").wait_for()

    assert page.evaluate("document.activeElement.id") == "result"
    assert SandboxMail.objects.get().rcpt_to == "ops@example.org"


@pytest.mark.browser
def test_a_second_click_sends_no_second_test(
    sandbox: Running, plain_server: SmtpServer, live_server, errands: None, page: Page, make_user: Callable[..., User]
):
    sign_in(page, make_user("send_test"))
    page.goto(url(plain_server))

    page.get_by_label("Send test to").fill("ann@example.org")
    page.get_by_role("button", name="Send test").evaluate("button => { button.click(); button.click(); }")
    page.get_by_text("The server accepted the message.").wait_for()

    assert Message.objects.count() == Trial.objects.count() == 1


@pytest.mark.browser
def test_a_phone_shows_the_conversation_without_sideways_scroll(
    sandbox: Running, plain_server: SmtpServer, live_server, errands: None, page: Page, make_user: Callable[..., User]
):
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, make_user("send_test"))
    page.goto(url(plain_server))

    page.get_by_label("Send test to").fill("a" * 60 + "@" + "b" * 60 + "." + "c" * 60 + ".example.org")
    page.get_by_role("button", name="Send test").click()
    page.get_by_text("The server accepted the message.").wait_for()

    assert sideways_scroll(page) == 0


def test_copies_are_asked_about_where_the_server_makes_them(
    tester: Client, make_server: MakeServer, tmp_path: Path
) -> None:
    with running_peer(tmp_path) as mail:
        server = make_server(mail.port, mail_cc="boss@shop.example")
        address = reverse("delivery:send_test", args=[server.pk])

        page = tester.get(address).content.decode()
        assert "Send copies too" in page
        assert "To boss@shop.example. Each copy uses quota." in page
        tried(tester, address, {"recipient": "ops@customer.example"})
        assert not Mailing.objects.latest("pk").sends_copies
        tried(tester, address, {"recipient": "ops@customer.example", "with_copies": "on"})
        assert Mailing.objects.latest("pk").sends_copies

        server.mail_cc = ""
        server.save()
        assert "Send copies too" not in tester.get(address).content.decode()
