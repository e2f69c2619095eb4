"""The answers to clicks and opens: byte for byte, and to nobody but whoever has a genuine link."""

import datetime as dt
import os
import resource
import stat
import subprocess
import sys
import threading
import time
from html import escape
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.db import DatabaseError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from delivery import clock
from delivery.content.targets import store
from delivery.models import Mailing
from feedback.models import CountingGap
from feedback.visits import edge as edge_module
from feedback.visits import targets
from feedback.visits.edge import PIXEL, WRONG_PER_MINUTE, WrongLinks
from feedback.visits.gateways import Gateways
from feedback.visits.spool import read_line
from feedback.visits.targets import Targets
from installation.models import SiteSettings
from mail.links.link_targets import in_html
from mail.links.tracking import TOKEN_LETTERS, new_code, token_of_message
from publicpages.models import Appearance
from publicpages.views.links import busy_page
from smtpservers.models import SmtpServer
from tests.feedback.visits.making import (
    CHROME,
    URL,
    Answer,
    ask,
    click_of,
    edge_before,
    finish,
    group_of,
    link_of,
    message_to,
    open_of,
    tracked_mailing,
)
from tests.harness.disks import disk_at, fill
from tests.harness.workers import database_url

pytestmark = pytest.mark.django_db(transaction=True)  # A lookup closes the connection, as between requests.
SETTINGS_PAGE = "/admin/installation/sitesettings/1/change/"
OURS, SHIPPED = "192.0.2.7", "40.107.218.12"


@pytest.fixture
def mailing() -> Mailing:
    return tracked_mailing()


def lines_of(edge: Any) -> list[Any]:
    return [read_line(text) for path in finish(edge) for text in path.read_bytes().splitlines()]


def test_a_click_leads_to_exactly_the_address_and_says_nothing_of_where_it_came_from(mailing: Mailing) -> None:
    edge, code = edge_before(), link_of(mailing)

    answer = ask(edge, click_of(message_to(mailing), code))

    assert answer == Answer(
        302,
        {
            "Location": URL,
            "Content-Length": "0",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Robots-Tag": "noindex",
        },
        b"",
    )


def test_an_open_is_answered_with_a_point_of_43_bytes_that_nobody_keeps(mailing: Mailing) -> None:
    edge = edge_before()

    answer = ask(edge, open_of(message_to(mailing)))

    assert answer.status == 200
    assert answer.body == PIXEL
    assert len(PIXEL) == 43
    assert answer.headers["Content-Type"] == "image/gif"
    assert answer.headers["Content-Length"] == "43"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_the_point_is_a_picture_that_cannot_be_seen() -> None:
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(PIXEL)).convert("RGBA")

    assert picture.size == (1, 1)
    assert picture.getpixel((0, 0))[3] == 0  # type: ignore[index]


def test_a_head_request_gets_the_same_headers_and_is_noted_as_one(mailing: Mailing) -> None:
    edge, message = edge_before(), message_to(mailing)
    link, pixel = click_of(message, link_of(mailing)), open_of(message)

    for path in (link, pixel):
        got, head = ask(edge, path), ask(edge, path, method="HEAD")
        assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")

    assert [line.facts.is_prefetch for line in lines_of(edge)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://shop.example/Price list 2026.pdf", "https://shop.example/Price%20list%202026.pdf"),
        ("https://bücher.example:8080/ä b?q=日", "https://xn--bcher-kva.example:8080/%C3%A4%20b?q=%E6%97%A5"),
        ('https://shop.example/?q="x"&a=[1]|^`', 'https://shop.example/?q="x"&a=[1]|^`'),
        ("https://shop.example\\a", "https://shop.example\\a"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443/"),
        ("https://shop.example:☃/", None),
        ("https://shop.example:99999/", None),
        ("https://exa mple.com/", None),
        ("https://shop.example/" + "日" * 3_000, None),
    ],
)
def test_what_is_stored_is_what_can_be_redirected_to(mailing: Mailing, url: str, header: str | None) -> None:
    edge, message = edge_before(), message_to(mailing)
    server = SmtpServer.objects.create(name="Alpha", host="smtp.shop.example", mail_from="news@shop.example")
    links = [place.link for place in in_html(f'<a href="{escape(url)}">x</a>')]

    codes = store(mailing.pk, server.pk, links).codes

    answers = [ask(edge, click_of(message, code)) for code in codes.values()]
    assert [(each.status, each.headers["Location"]) for each in answers] == ([(302, header)] if header else [])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(mailing: Mailing, method: str) -> None:
    edge = edge_before()

    answer = ask(edge, click_of(message_to(mailing), link_of(mailing)), method=method)

    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert lines_of(edge) == []


@pytest.mark.parametrize(
    ("suffix", "query", "is_probe"),
    [
        ("", "", False),
        ("", "utm_source=facebook&fbclid=abc", False),
        ("", "url=//evil.example", False),
        ("'", "", True),
        ("/admin.php", "", True),
        ("", "x=%27", True),
        (".", "", False),  # A mail program took the end of the sentence with it.
    ],
)
def test_what_others_add_to_a_link_changes_nothing_but_a_note(
    mailing: Mailing, suffix: str, query: str, is_probe: bool
) -> None:
    edge = edge_before()

    answer = ask(edge, click_of(message_to(mailing), link_of(mailing)) + suffix, QUERY_STRING=query)

    assert (answer.status, answer.headers["Location"]) == (302, URL)
    assert [line.facts.is_probe for line in lines_of(edge)] == [is_probe]


def test_an_anonymous_link_names_no_message(mailing: Mailing) -> None:
    edge, code = edge_before(), link_of(mailing)
    message_to(mailing)

    answer = ask(edge, f"/c/{group_of(mailing)}{code}")

    assert answer.headers["Location"] == URL
    assert [(line.token.kind, line.code) for line in lines_of(edge)] == [("g", code)]


EVIL = ["//evil.example", "/\\evil.example", "javascript:alert(1)", "https://evil.example/", "user@evil.example", ""]


@pytest.mark.parametrize("evil", EVIL)
def test_no_link_leads_to_an_address_that_stands_in_it(mailing: Mailing, evil: str) -> None:
    token = token_of_message(message_to(mailing).pk, ["another key"])
    edge = edge_before()

    for path in (f"/c/{evil}", f"/c/{token}{evil}", f"/c/{token}{link_of(mailing, url=URL + '1')}{evil}", f"/o/{evil}"):
        answer = ask(edge, path, QUERY_STRING=f"url={evil}")
        assert (answer.status, answer.headers.get("Location")) == (299, None)
        link_of(mailing, 2, URL + path)  # Another target each time.
        mailing.tracked_links.all().delete()
    assert lines_of(edge) == []


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a.example/\r\nSet-Cookie: a=b",
        "//a.example",
        "ftp://a",
        "https://a:☃/",
    ],
)
def test_a_target_that_no_check_should_have_let_pass_leads_nowhere(mailing: Mailing, url: str) -> None:
    assert ask(edge_before(), click_of(message_to(mailing), link_of(mailing, url=url))).status == 299


def test_every_changed_letter_of_a_token_makes_it_wrong(mailing: Mailing) -> None:
    edge, path = edge_before(), click_of(message_to(mailing), link_of(mailing))

    for place in range(len("/c/"), len("/c/") + TOKEN_LETTERS):
        changed = path[:place] + ("A" if path[place] != "A" else "B") + path[place + 1 :]
        assert ask(edge, changed, REMOTE_ADDR=f"198.51.{place}.1").status == 299


def test_everything_else_is_left_to_django(mailing: Mailing) -> None:
    edge = edge_before()

    for path in ("/", "/admin/", "/campaigns/1/", "/confirm/x", "/c", "/o", "/oauth/x", "/C/x"):
        answer = ask(edge, path, method="POST")
        assert (answer.status, answer.headers["X-Host"]) == (299, "click.example.com")


def test_the_second_click_needs_no_query_and_an_unknown_code_one_a_minute(mailing: Mailing) -> None:
    edge, message, code = edge_before(), message_to(mailing), link_of(mailing)
    known, unknown = click_of(message, code), click_of(message, new_code())

    for path, status in ((known, 302), (unknown, 299)):
        with CaptureQueriesContext(
            connection,
        ) as first:
            assert ask(edge, path).status == status
        with CaptureQueriesContext(connection) as second:
            assert ask(edge, path).status == status
        assert (len(first), len(second)) == (1, 0)
    with CaptureQueriesContext(connection) as wrong:
        ask(edge, known.replace("/c/m", "/c/g"))
        ask(edge, open_of(message))
    assert len(wrong) == 0


def test_guessed_codes_push_no_real_one_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST", 3)
    asked: list[str] = []

    def ask_for(code: str) -> str | None:
        asked.append(code)
        return "https://a.example/" if code == "real" else None

    known = Targets(ask_for)
    known.location_of("real")
    for number in range(10):
        known.location_of(f"guess {number}")

    assert known.location_of("real") == "https://a.example/"
    assert asked.count("real") == 1
    assert len(known._unknown) == 3


def test_the_link_used_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST", 2)
    asked: list[str] = []
    known = Targets(lambda code: asked.append(code) or code)  # type: ignore[func-returns-value]

    for code in ("one", "two", "one", "three", "one", "two"):
        known.location_of(code)

    assert asked == ["one", "two", "three", "two"]


def test_a_known_link_works_without_the_database_and_an_unknown_one_is_asked_again_by_the_browser(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away = False

    def ask_for(code: str) -> str | None:
        if is_away:
            raise DatabaseError("away")
        return targets.ask_database(code)

    edge, message = edge_before(), message_to(mailing)
    edge._targets = Targets(ask_for)
    known, new = click_of(message, link_of(mailing)), click_of(message, link_of(mailing, 2, URL + "2"))
    ask(edge, known)
    is_away = True
    monkeypatch.setattr(targets, "KNOWN_SECONDS", -1)

    assert ask(edge, known).headers["Location"] == URL
    edge._targets._known[known[-8:]] = edge._targets._known[known[-8:]]._replace(until=0)
    assert ask(edge, known).headers["Location"] == URL, "old, and better than nothing"
    busy = ask(edge, new, HTTP_ACCEPT_LANGUAGE="de")
    assert (busy.status, busy.headers["Retry-After"], busy.headers["Refresh"]) == (503, "5", "5")
    assert busy.body == b"<p>busy de</p>"
    is_away = False
    assert ask(edge, new).headers["Location"] == URL + "2"


def test_the_busy_page_speaks_the_language_of_the_browser_and_asks_again() -> None:
    assert "Einen Moment, bitte." in busy_page("de-AT,de;q=0.9,en;q=0.5").decode()
    assert '<a href="">Try again now</a>' in busy_page("xx, <script>").decode()


def test_one_thread_of_a_process_tends_the_spool(mailing: Mailing, monkeypatch: pytest.MonkeyPatch) -> None:
    edge, path, ended, started = edge_before(), open_of(message_to(mailing)), threading.Event(), []
    monkeypatch.setattr(edge, "_take_care", lambda: (started.append(1), ended.wait(30)))
    threads = [threading.Thread(target=ask, args=(edge, path)) for _ in range(16)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ask(edge, path)
    ended.set()

    assert len(started) == 1


def test_an_edge_that_ends_leaves_no_thread_and_a_later_visit_starts_them_again(mailing: Mailing) -> None:
    edge, path = edge_before(), open_of(message_to(mailing))
    ask(edge, path)
    first = list(edge._caretakers)
    assert [thread.is_alive() for thread in first] == [True, True]

    edge.end()
    assert [thread.is_alive() for thread in first] == [False, False]
    ask(edge, path)

    assert [thread.is_alive() for thread in edge._caretakers] == [True, True]


# --- networks of gateways that administrators saved


def test_clicks_from_a_network_saved_on_the_page_are_a_gateway_s(mailing: Mailing, client: Client) -> None:
    edge, path = edge_before(), click_of(message_to(mailing), link_of(mailing))
    edge.start()
    ask(edge, path)
    client.force_login(User.objects.create_superuser("boss"))

    answer = client.post(SETTINGS_PAGE, {"gateway_networks": "192.0.2.0/24  # Ours\n"})

    assert answer.status_code == 302
    deadline = time.monotonic() + 60
    while "192.0.2.7" not in edge._gateways:
        assert time.monotonic() < deadline, "the edge did not see what was saved"
        edge._is_ending.wait(0.05)
    ask(edge, path)
    ask(edge, path, REMOTE_ADDR="198.51.100.7")
    assert [line.facts.is_gateway for line in lines_of(edge)] == [False, True, False]


def test_networks_that_were_saved_before_hold_for_the_first_visit(mailing: Mailing) -> None:
    SiteSettings.objects.create(pk=1, gateway_networks="192.0.2.0/24")
    edge = edge_before()
    edge.start()

    ask(edge, click_of(message_to(mailing), link_of(mailing)))

    assert [line.facts.is_gateway for line in lines_of(edge)] == [True]


def test_a_web_process_knows_saved_networks_from_its_start_and_ends_its_threads() -> None:
    SiteSettings.objects.create(pk=1, gateway_networks=OURS)
    program = (
        "import atexit; atexit.register(lambda: print([thread.is_alive() for thread in edge._caretakers]));"
        f" from brilliance.wsgi import application as edge; print({OURS!r} in edge._gateways);"
        " print([thread.is_alive() for thread in edge._caretakers])"
    )

    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "DATABASE_URL": database_url()},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert ran.stdout.splitlines() == ["True", "[True, True]", "[False, False]"], ran.stderr


def test_another_process_s_networks_hold_within_five_seconds_and_those_of_the_environment_no_longer(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    settings.GATEWAY_NETWORKS = ["198.51.100.0/24"]
    now = time.monotonic()
    monkeypatch.setattr("installation.site.time.monotonic", lambda: now)
    SiteSettings.objects.create(pk=1)
    gateways = Gateways()
    gateways.look()
    assert [address in gateways for address in (OURS, "198.51.100.7", SHIPPED)] == [False, True, True]

    SiteSettings.objects.update(gateway_networks=f"{OURS}/32")  # Without a signal, as another process does it.
    monkeypatch.setattr("installation.site.time.monotonic", lambda: now + 4)  # A thread looks every second.
    gateways.look()

    assert [address in gateways for address in (OURS, "198.51.100.7", SHIPPED)] == [True, False, True]


def test_the_last_known_networks_stay_while_the_database_is_away(mailing: Mailing) -> None:
    SiteSettings.objects.create(pk=1, gateway_networks="192.0.2.0/24")
    edge, path = edge_before(), open_of(message_to(mailing))
    edge.start()
    SiteSettings.objects.get().delete()

    with connection.execute_wrapper(refuse):
        edge._gateways.look()
    ask(edge, path)

    assert [line.facts.is_gateway for line in lines_of(edge)] == [True]


def test_a_look_at_the_networks_leaves_no_connection_behind() -> None:
    SiteSettings.objects.create(pk=1)
    gateways = Gateways()
    assert connection.connection is not None

    gateways.look()

    assert connection.connection is None


# --- wrong links


def test_guessed_codes_behind_a_genuine_token_are_answered_sixty_times_a_minute(mailing: Mailing) -> None:
    edge, message = edge_before(), message_to(mailing)

    statuses = [ask(edge, click_of(message, new_code())).status for _ in range(70)]

    assert statuses == [299] * WRONG_PER_MINUTE + [429] * 10
    assert ask(edge, click_of(message, link_of(mailing))).status == 302


def test_wrong_tokens_of_a_network_are_answered_sixty_times_a_minute_and_genuine_ones_always(mailing: Mailing) -> None:
    edge, genuine = edge_before(), click_of(message_to(mailing), link_of(mailing))

    statuses = [ask(edge, "/c/" + "x" * 35, REMOTE_ADDR=f"192.0.2.{number}").status for number in range(70)]

    assert statuses == [299] * WRONG_PER_MINUTE + [429] * 10
    assert ask(edge, "/c/" + "x" * 35, REMOTE_ADDR="198.51.100.1").status == 299
    assert ask(edge, genuine).status == 302
    limited = ask(edge, "/o/wrong.gif")
    assert (limited.status, limited.headers["Retry-After"]) == (429, "60")


def test_networks_beyond_what_memory_is_given_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_module, "MOST_NETWORKS", 2)
    wrong = WrongLinks()

    assert [wrong.is_too_often(network) for network in ("a", "b", "c", "a")] == [False, False, True, False]
    assert len(wrong._counts) == 2


def test_a_new_minute_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, now = WrongLinks(), time.monotonic()
    monkeypatch.setattr(edge_module, "WRONG_PER_MINUTE", 1)

    first = [wrong.is_too_often("a"), wrong.is_too_often("a")]
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)

    assert [*first, wrong.is_too_often("a")] == [False, True, False]


# --- the pages of Django


def test_a_wrong_link_gets_a_page_with_the_name_of_the_organisation(mailing: Mailing) -> None:
    Appearance.objects.create(pk=1, name="Kiosk Blume", imprint_url="https://blume.example/imprint")
    edge = edge_before(WSGIHandler())

    wrong, gone = ask(edge, "/c/wrong"), ask(edge, click_of(message_to(mailing), new_code()))

    assert (wrong.status, gone.status) == (404, 410)
    for page in (wrong, gone):
        assert "Kiosk Blume" in page.body.decode()
        assert "Set-Cookie" not in page.headers
        assert page.headers["Cache-Control"] == "no-store"
    assert '<a href="https://blume.example/">Go to Kiosk Blume</a>' in gone.body.decode()
    assert ask(edge, "/o/wrong.gif").status == 404


def test_a_link_leads_nowhere_after_its_mailing_is_gone(mailing: Mailing) -> None:
    message, code = message_to(mailing), link_of(mailing)
    path = click_of(message, code)
    mailing.delete()

    assert ask(edge_before(WSGIHandler()), path).status == 410


def test_pages_say_that_the_database_is_away_also_when_nothing_of_the_site_is_remembered(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    def be_away(*args: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr("installation.site._read", be_away)
    settings.SITE_LANGUAGE = "de"
    settings.ALLOWED_HOSTS = ["*"]

    for path in ("/c/wrong", "/u/wrong"):
        answer = ask(edge_before(WSGIHandler()), path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "600")
        assert answer.body.decode().startswith("Das geht gerade nicht.")


# --- where a request came from


def test_only_a_trusted_proxy_says_where_a_request_came_from(mailing: Mailing, settings: LazySettings) -> None:
    edge, path = edge_before(), open_of(message_to(mailing))

    for is_trusted in (False, True):
        settings.TRUST_PROXY = is_trusted
        for seen in ("198.51.100.7", "203.0.113.9, 198.51.100.200", "198.51.101.7"):
            ask(edge, path, HTTP_X_FORWARDED_FOR=seen)

    direct, trusted = lines_of(edge)[:3], lines_of(edge)[3:]
    assert len({line.network for line in direct}) == 1
    assert [line.network == trusted[0].network for line in trusted] == [True, True, False]


def test_neither_address_nor_agent_nor_cookie_is_in_the_spool(mailing: Mailing, tmp_path: Path) -> None:
    edge, message = edge_before(), message_to(mailing, "canary@example.net")

    for origin in ("192.0.2.77", "2001:db8:77::77", "[2001:db8:77::77]:443"):
        path = click_of(message, link_of(mailing, url=f"{URL}{origin}"))
        ask(edge, path, agent=f"{CHROME} Canary/1", REMOTE_ADDR=origin, HTTP_COOKIE="id=canary", HTTP_REFERER="canary")

    finish(edge)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir()).lower()
    for canary in (b"canary", b"192.0.2", b"2001:db8", b"mozilla", b"shop.example"):
        assert canary not in kept
    for path in [tmp_path / "spool", *(tmp_path / "spool").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_line_is_short(mailing: Mailing) -> None:
    edge = edge_before()
    ask(edge, click_of(message_to(mailing), link_of(mailing)))

    (path,) = finish(edge)

    assert len(path.read_bytes()) <= 150


def test_a_full_disk_keeps_nobody_from_the_page(
    mailing: Mailing, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge, path = edge_before(), click_of(message_to(mailing), link_of(mailing))
    monkeypatch.setattr(edge, "_start_caretakers", lambda: None)  # No thread notes the gap.
    ask(edge, path)
    # The kernel refuses to let files grow, as a full disk does.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = sum(file.stat().st_size for file in (tmp_path / "spool").glob("events-*"))
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
    try:
        answers = [ask(edge, path).status for _ in range(3)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    ask(edge, path)

    lines = lines_of(edge)
    assert answers == [302, 302, 302]
    assert [line is not None for line in lines] == [True, False, True]  # The torn one stands on a line of its own.
    assert "3 opens or clicks were answered and could not be kept" in caplog.text
    assert os.path.exists(tmp_path / "spool")


def test_what_a_full_disk_did_not_keep_is_noted_as_a_gap_once_the_database_can_be_written(
    mailing: Mailing, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disk_at(tmp_path / "spool", "64k") as disk:
        edge, path = edge_before(), click_of(message_to(mailing), link_of(mailing))
        monkeypatch.setattr(edge, "_start_caretakers", lambda: None)  # This test does its work.
        ask(edge, path)
        edge._look_after_spool()
        assert not CountingGap.objects.exists()  # Nothing is missing yet.

        ballast = fill(disk)
        answers = [ask(edge, path).status for _ in range(100)]  # More than the rest of the last block holds.
        with connection.execute_wrapper(refuse):
            edge._look_after_spool()
        assert not CountingGap.objects.exists()
        noted_at = clock.now() + dt.timedelta(hours=1)  # By the database's clock, whatever this machine's says.
        monkeypatch.setattr(clock, "now", lambda: noted_at)
        edge._look_after_spool()

        assert set(answers) == {302}
        assert "No space left on device" in caplog.text
        assert CountingGap.objects.get().ended_at == noted_at
        ballast.unlink()
        kept = whole_lines_of(edge)
        ask(edge, path)
        CountingGap.objects.all().delete()
        edge._look_after_spool()
        assert whole_lines_of(edge) == kept + 1
        assert not CountingGap.objects.exists()  # A gap is noted once.


def whole_lines_of(edge: Any) -> int:
    return len([line for line in lines_of(edge) if line is not None])


def refuse(execute: Any, sql: str, *args: Any) -> Any:
    raise OperationalError("the database is away")
