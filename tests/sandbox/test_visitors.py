"""Visitors of received mail make real requests to this site, and to nobody else."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse

from installation.models import SiteSettings
from mail.links.tracking import token_of_group
from sandbox import visitors
from sandbox.specials import special
from sandbox.visitors import Counted, Guise, counted_in, requests_of
from tests.sandbox.test_pages import make_mail, make_user

SITE = "https://click.example.com"
TOKEN = "m" + "A" * 27
PATHS = [f"/c/{TOKEN}{code}" for code in ("abcdefgh", "bbbbbbbb", "cccccccc", "dddddddd")]
PIXEL_PATH = f"/o/{TOKEN}.gif"
LINKS, PIXEL = [SITE + path for path in PATHS], SITE + PIXEL_PATH
COUNTED = Counted(PIXEL, LINKS)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def site(settings: LazySettings) -> None:
    settings.TRACKING_URL = SITE


def mail_with(html: str) -> bytes:
    return f"Subject: Offers\r\nContent-Type: text/html\r\n\r\n{html}\r\n".encode()


def counted_mail() -> bytes:
    return mail_with("".join(f'<a href="{link}">x</a>' for link in LINKS) + f'<img src="{PIXEL}">')


@pytest.fixture
def asked(settings: LazySettings) -> Iterator[list[tuple[str, str, str, str]]]:
    """Stand where this site is, and note path, user agent, host and source network of each request."""
    found: list[tuple[str, str, str, str]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            network = self.client_address[0].rpartition(".")[0]
            found.append((self.path, self.headers["User-Agent"], self.headers["Host"], network))
            self.send_response(302)
            self.send_header("Location", "https://elsewhere.example.net/")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        settings.HOST, settings.PORT = "127.0.0.1", server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def test_the_counted_links_of_this_site_are_found_once_each_and_no_other() -> None:
    twice = counted_mail() + counted_mail().partition(b"\r\n\r\n")[2]
    foreign = mail_with(
        f'<a href="https://example.org{PATHS[0]}"></a><a href="{SITE}/u/token"></a>'
        f'<a href="{LINKS[0]}x"></a><img src="https://example.org{PIXEL_PATH}"><a href="{SITE}/c/../admin/"></a>'
    )

    assert counted_in(twice) == COUNTED
    assert counted_in(foreign) == Counted("", [])
    assert counted_in(b"") == Counted("", [])


def test_links_under_the_own_host_of_a_domain_are_found_by_their_genuine_token(
    asked: list[tuple[str, str, str, str]], settings: LazySettings
) -> None:
    token, host = token_of_group(7, settings.TOKEN_KEYS), "https://click.shop.example"
    counted = Counted(f"{host}/o/{token}.gif", [f"{host}/c/{token}abcdefgh"])
    mail = mail_with(f'<a href="{counted.links[0]}">x</a><a href="{host}{PATHS[0]}">x</a><img src="{counted.pixel}">')

    assert counted_in(mail) == counted
    visitors.visit(requests_of(Guise.SCANNER, counted, "ann@example.org"))
    wait_until(lambda: bool(asked))
    assert asked[0][0] == f"/c/{token}abcdefgh"
    assert asked[0][2] == "click.shop.example"


def test_counted_links_of_the_text_part_are_found_too() -> None:
    text = f"Subject: Offers\r\nContent-Type: text/plain\r\n\r\n{LINKS[0]}\r\n{LINKS[1]}.\r\n"

    assert counted_in(text.encode()) == Counted("", LINKS[:2])


def test_each_visitor_asks_as_the_real_one_does() -> None:
    person, privacy, scanner, gmail = (requests_of(guise, COUNTED, "ann@example.org") for guise in Guise)

    assert person[0].url == PIXEL
    assert [request.url in LINKS for request in person] == [False, True]
    assert person[1].seconds > 10
    assert [(request.url, request.user_agent) for request in privacy] == [(PIXEL, "Mozilla/5.0")]
    assert [request.url for request in scanner] == LINKS
    assert scanner[-1].seconds < 5
    assert [request.url for request in gmail] == [PIXEL]
    assert len({requests[0].address.rpartition(".")[0] for requests in (person, privacy, scanner, gmail)}) == 4


def test_a_scanner_follows_all_links_and_no_redirect(asked: list[tuple[str, str, str, str]]) -> None:
    assert visitors.visit(requests_of(Guise.SCANNER, COUNTED, "ann@example.org"))

    wait_until(lambda: len(asked) == len(LINKS))
    assert [path for path, *_ in asked] == PATHS
    assert {host for _, _, host, _ in asked} == {"click.example.com"}
    assert {agent for _, agent, _, _ in asked} == {visitors.CHROME}
    assert len({network for *_, network in asked}) == 1


def test_mail_to_some_addresses_is_visited_when_it_comes(asked: list[tuple[str, str, str, str]]) -> None:
    for address in ("ann@example.org", "link-scanner.1@example.org"):
        visitors.visit_by(special(address), address, counted_mail())

    wait_until(lambda: len(asked) == len(LINKS))
    assert [path for path, *_ in asked] == PATHS


def test_the_page_of_a_mail_offers_visitors_and_says_what_they_do(
    client: Client, db: None, asked: list[tuple[str, str, str, str]]
) -> None:
    client.force_login(make_user("view_sandboxmail"))
    mail = make_mail(counted_mail())
    page = reverse("admin:sandbox_sandboxmail_change", args=[mail.pk])

    before = client.get(page).content.decode()
    after = client.post(
        reverse("admin:sandbox_sandboxmail_visit", args=[mail.pk]), {"as": "apple-privacy"}, follow=True
    )

    assert "Open and click as" in before
    assert "is missing" not in before
    assert "privacy proxy loads the pixel. Reports show it within seven minutes." in after.content.decode()
    wait_until(lambda: bool(asked))
    assert asked[0][:2] == (PIXEL_PATH, "Mozilla/5.0")


def test_a_look_at_the_mail_is_no_open(client: Client, db: None) -> None:
    client.force_login(make_user("view_sandboxmail"))
    mail = make_mail(counted_mail())

    shown = client.get(reverse("admin:sandbox_sandboxmail_html", args=[mail.pk])).content.decode()

    assert PIXEL not in shown
    assert LINKS[0] in shown


@pytest.mark.parametrize(
    ("level", "why"),
    [
        ("", "this installation counts no opens and clicks."),
        ("anonymous", "nothing in this message is counted."),
    ],
)
def test_mail_without_counted_links_has_no_visitors_and_says_why(
    client: Client, db: None, saved_settings: None, level: str, why: str
) -> None:
    SiteSettings.objects.create(pk=1, tracking=level)
    client.force_login(make_user("view_sandboxmail"))
    mail = make_mail()
    visit = reverse("admin:sandbox_sandboxmail_visit", args=[mail.pk])

    page = client.get(reverse("admin:sandbox_sandboxmail_change", args=[mail.pk])).content.decode()

    assert 'name="as"' not in page
    assert f"“Open and click as” is missing: {why}" in page
    assert "nothing that such a visitor" in client.post(visit, {"as": "person"}, follow=True).content.decode()
    assert client.get(visit).status_code == 405
