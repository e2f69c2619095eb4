"""A real browser for tests: Chromium, a page that tolerates no errors and no other host, and signing in.

Mark tests that use it with ``@pytest.mark.browser``; ask for ``live_server`` and ``page``, and open paths:
``page.goto("/admin/")``.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

# The first one draws pages and has no window to draw around them: each page takes it less than half the work.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
PATIENCE = 30_000  # Milliseconds: the machine may be busy with other tests.
expect.set_options(timeout=PATIENCE)
OWN_HOSTS = ("localhost", "127.0.0.1", "")  # The empty one: data:, blob: and about: addresses.


def chromium() -> str | None:
    """Return the path of the browser: ``CHROMIUM`` of the environment, or the first one found."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found or (str(MAC) if MAC.exists() else None)


# Per module and not per session: while Playwright lives, its event loop counts as running in this thread, so
# that (without the variable below) the ORM refuses to work in every test that follows.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window, which resolves no name but localhost."""
    path = chromium()
    if path is None:
        pytest.skip(
            "needs Chromium: apt-get install chromium-headless-shell (or chromium), or set CHROMIUM to the path of one"
        )
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
        ]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def no_foreign_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hide Playwright's event loop from the tests of a module that use no browser, in whatever order they run."""
    running = None if "browser" in request.fixturenames else asyncio._get_running_loop()
    if running:
        asyncio._set_running_loop(None)
    yield
    if running:
        asyncio._set_running_loop(running)


@pytest.fixture
def page_problems() -> list[str]:
    """What ``page`` met so far: errors on its console, exceptions, requests to other hosts.

    A test that provokes one on purpose (a page that answers 403 is an error on the console) looks at the list
    and clears it.
    """
    return []


@pytest.fixture
def page(browser: Browser, page_problems: list[str], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own, 1440 pixels wide, in a fresh profile; the test fails if the page met a problem."""
    base_url = request.getfixturevalue("live_server").url if "live_server" in request.fixturenames else None
    context = browser.new_context(base_url=base_url, viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE)

    def note_request(asked: Request) -> None:
        if (urlsplit(asked.url).hostname or "") not in OWN_HOSTS:
            page_problems.append(f"request to another host: {asked.url}")

    context.on("request", note_request)
    context.on(
        "console",
        lambda message: (
            page_problems.append(f"console: {message.text} ({message.location.get('url', '')})")
            if message.type == "error"
            else None
        ),
    )
    context.on("weberror", lambda error: page_problems.append(f"exception: {error.error}"))
    yield context.new_page()
    context.close()
    assert not page_problems, "the page met problems:\n" + "\n".join(page_problems)


def sign_in(page: Page, user: User) -> None:
    """Give ``page`` a session of ``user``, as if the person had signed in."""
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [
            {"name": settings.SESSION_COOKIE_NAME, "value": session, "domain": host, "path": "/"}
            for host in ("localhost", "127.0.0.1")
        ]
    )


def sideways_scroll(page: Page) -> int:
    """Return by how many pixels the page is wider than its window; 0 where nobody has to scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def serious(page: Page, *rules: str) -> list[str]:
    """Return what axe finds on the page that keeps people out, by all its rules or by some."""
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
