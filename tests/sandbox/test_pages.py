"""The pages of received mail: who may see them, and that hostile mail neither runs nor breaks them."""

import socket
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from sandbox.models import SandboxMail
from sandbox.specials import Special
from tests.harness.browser import sideways_scroll, sign_in

LIST = "admin:sandbox_sandboxmail_changelist"
CHANGE = "admin:sandbox_sandboxmail_change"
HTML = "admin:sandbox_sandboxmail_html"
RAW = "admin:sandbox_sandboxmail_raw"
DOWNLOAD = "admin:sandbox_sandboxmail_download"
DELETE_ALL = "admin:sandbox_sandboxmail_delete_all"

CONTENT = (
    b"From: News <news@example.org>\r\nSubject: Offers\r\nX-Nasty: <script>alert(1)</script>\r\n"
    b"List-Unsubscribe: <https://example.org/u/token>\r\n"
    b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello <b>Ann</b>\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>Hello</p><script>document.body.innerHTML='ran'</script>"
    b'<a href="https://example.org/?utm_source=news">offer</a>\r\n--b--\r\n'
)


def make_mail(content: bytes = CONTENT, **fields: str) -> SandboxMail:
    fields = {"listener": "plain", "rcpt_to": "ann@example.org", "subject": "Offers", **fields}
    return SandboxMail.objects.create(content=content, **fields)


def make_user(*codenames: str) -> User:
    user = User.objects.create_user("someone", password="a long password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="sandbox"))
    return user


@pytest.fixture
def viewer(client: Client, db: None) -> Client:
    client.force_login(make_user("view_sandboxmail"))
    return client


def test_the_list_shows_who_got_what(viewer: Client):
    make_mail()

    page = viewer.get(reverse(LIST)).content.decode()

    assert "ann@example.org" in page
    assert "Offers" in page
    assert "Mail to any address arrives here." in page


@pytest.mark.parametrize("listens", [True, False])
def test_the_list_says_whether_anybody_gets_late_answers(viewer: Client, settings, listens: bool):
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings.INTAKE_PORT = other.getsockname()[1]
        if not listens:
            other.close()
        page = viewer.get(reverse(LIST)).content.decode()

    assert all(f">{name}</dt>" in page for name in Special)
    assert (f"Answers arrive at your mail listener on port {settings.INTAKE_PORT}" in page) == listens
    assert ("nothing is answered later" in page) != listens


def test_a_mail_says_how_its_recipient_answers(viewer: Client):
    mail = make_mail(rcpt_to="complain.1@example.org")

    assert "reports mail as spam after 3 seconds" in viewer.get(reverse(CHANGE, args=[mail.pk])).content.decode()


@pytest.mark.parametrize(("words", "found"), [("ann@", True), ("Offer", True), ("bob", False)])
def test_search_looks_at_recipient_and_subject(viewer: Client, words: str, found: bool):
    make_mail()

    page = viewer.get(reverse(LIST), {"q": words}).content.decode()

    assert ("ann@example.org" in page) == found


def test_the_list_does_not_load_the_mails_themselves(viewer: Client, django_assert_max_num_queries: Callable):
    for _ in range(30):
        make_mail()

    with django_assert_max_num_queries(12) as queries:
        viewer.get(reverse(LIST))

    assert not any('"content"' in query["sql"] for query in queries.captured_queries)


def test_a_mail_shows_envelope_headers_text_links_and_parts(viewer: Client):
    mail = make_mail(mail_from="bounces@example.org", tls="TLSv1.3 X", signed_in_as="brilliance")

    page = viewer.get(reverse(CHANGE, args=[mail.pk])).content.decode()

    for shown in (
        "bounces@example.org",
        "TLSv1.3 X",
        "List-Unsubscribe",
        "&lt;https://example.org/u/token&gt;",
        "Hello &lt;b&gt;Ann&lt;/b&gt;",
        "https://example.org/?utm_source=news",
        "text/html",
    ):
        assert shown in page
    assert "<script>alert(1)" not in page
    assert "document.body.innerHTML" not in page


def test_html_is_answered_with_a_policy_that_runs_nothing(viewer: Client):
    mail = make_mail()

    response = viewer.get(reverse(HTML, args=[mail.pk]))

    policy = response["Content-Security-Policy"]
    assert policy.startswith(
        "sandbox; default-src 'none'; img-src data: https: http://localhost:8000/media/; style-src"
    )
    assert "allow-" not in policy
    assert response["Content-Type"] == "text/html; charset=utf-8"


def test_the_raw_source_is_plain_text_and_the_download_the_very_bytes(viewer: Client):
    mail = make_mail(subject="Grüße, “you”!\x7f")

    raw = viewer.get(reverse(RAW, args=[mail.pk]))
    download = viewer.get(reverse(DOWNLOAD, args=[mail.pk]))

    assert raw["Content-Type"] == "text/plain; charset=utf-8"
    assert raw["X-Content-Type-Options"] == "nosniff"
    assert download["Content-Disposition"] == 'attachment; filename="grue-you.eml"'
    assert raw.content == download.content == CONTENT


HOSTILE = {
    "empty": b"",
    "no headers": b"\r\n",
    "random bytes": bytes(range(256)) * 50,
    "nested": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" * 3000,
    "half characters": b"Content-Type: text/html; charset=utf-16\r\n\r\n\x00\xd8\x00\xd8<p>",
    "charset": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 200_000,
    "broken parameters": b"Content-Type: text/plain; charset*0*=utf-8''%ff; charset*2=x; name*=a''%00\r\n\r\nx",
    "broken names": b"Content-Disposition: attachment; filename*=no-such''%ff\r\nContent-Type: a/b\r\n\r\nx",
    "huge": b"Subject: " + b"x" * 100_000 + b"\r\n\r\n" + b"<" * 9_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_breaks_no_page(viewer: Client, name: str):
    mail = make_mail(HOSTILE[name])

    for view in (CHANGE, HTML, RAW, DOWNLOAD):
        assert viewer.get(reverse(view, args=[mail.pk])).status_code == 200


def test_a_dropped_mail_says_why_its_sender_does_not_know(viewer: Client):
    mail = make_mail(rcpt_to="drop.1@example.org")

    page = viewer.get(reverse(CHANGE, args=[mail.pk])).content.decode()

    assert "it&#x27;s unconfirmed there" in page


@pytest.mark.parametrize("view", [CHANGE, HTML, RAW, DOWNLOAD])
def test_a_mail_that_is_gone_is_a_plain_404(viewer: Client, view: str):
    assert viewer.get(reverse(view, args=[12345])).status_code == 404


@pytest.mark.parametrize("view", [LIST, CHANGE, HTML, RAW, DOWNLOAD, DELETE_ALL])
@pytest.mark.django_db
def test_without_the_permission_nothing_is_shown(client: Client, view: str):
    mail = make_mail()
    client.force_login(make_user())

    response = client.get(reverse(view, args=[] if view in (LIST, DELETE_ALL) else [mail.pk]))

    assert response.status_code == 403


def test_seeing_is_not_deleting(viewer: Client):
    make_mail()

    assert viewer.post(reverse(DELETE_ALL)).status_code == 403
    assert "delete-all" not in viewer.get(reverse(LIST)).content.decode()
    assert SandboxMail.objects.count() == 1


@pytest.mark.django_db
def test_delete_all_asks_first_and_deletes_on_post_alone(client: Client):
    make_mail()
    make_mail()
    client.force_login(make_user("view_sandboxmail", "delete_sandboxmail"))

    question = client.get(reverse(DELETE_ALL)).content.decode()
    assert "2 messages are deleted." in question
    assert SandboxMail.objects.count() == 2

    answer = client.post(reverse(DELETE_ALL), follow=True).content.decode()
    assert "2 messages deleted." in answer
    assert not SandboxMail.objects.exists()


@pytest.mark.django_db
def test_delete_all_needs_a_token(client: Client):
    make_mail()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("view_sandboxmail", "delete_sandboxmail"))

    assert strict.post(reverse(DELETE_ALL)).status_code == 403
    assert SandboxMail.objects.count() == 1


@pytest.mark.browser
def test_a_script_in_a_mail_does_not_run(transactional_db: None, live_server, page: Page, page_problems: list[str]):
    mail = make_mail()
    sign_in(page, make_user("view_sandboxmail"))

    page.goto(reverse(CHANGE, args=[mail.pk]))
    frame = page.frame_locator("iframe[title='HTML part of the message']")

    frame.get_by_text("Hello").wait_for()
    assert frame.locator("body").inner_text().split() == ["Hello", "offer"]
    assert len(page_problems) == 1
    assert "Blocked script execution" in page_problems.pop()


@pytest.mark.browser
def test_a_script_does_not_run_when_its_page_is_opened_by_itself(
    transactional_db: None,
    live_server,
    page: Page,
    page_problems: list[str],
):
    mail = make_mail()
    sign_in(page, make_user("view_sandboxmail"))

    page.goto(reverse(HTML, args=[mail.pk]))

    assert page.locator("body").inner_text().split() == ["Hello", "offer"]
    assert "Blocked script execution" in page_problems.pop()


@pytest.mark.browser
@pytest.mark.parametrize("view", [LIST, CHANGE])
def test_a_phone_needs_no_sideways_scroll(transactional_db: None, live_server, page: Page, view: str):
    mail = make_mail(
        CONTENT.replace(b"<script>document.body.innerHTML='ran'</script>", b"x" * 300), subject="long" * 100
    )
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, make_user("view_sandboxmail"))

    page.goto(reverse(view, args=[mail.pk] if view == CHANGE else []))

    assert sideways_scroll(page) == 0
