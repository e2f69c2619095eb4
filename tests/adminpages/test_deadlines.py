"""No web request keeps the database, and so its thread, for longer than it may; whichever page it is."""

import re
import threading
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import include, path

from adminpages import deadlines

SLOW = (
    "SELECT pg_sleep(60)"
    if connection.vendor == "postgresql"
    else "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT COUNT(*) FROM t"
)
asked: list[str] = []


def _ask(sql: str) -> Any:
    asked.append(sql)
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def slow(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(_ask(SLOW)))


def stubborn(request: HttpRequest) -> HttpResponse:
    """A view that swallows the error and asks again."""
    for _ in range(50):
        try:
            _ask(SLOW)
        except OperationalError:
            continue
    return HttpResponse("Done.")


def patient(request: HttpRequest) -> HttpResponse:
    deadlines.extend(50)
    return HttpResponse(str(_ask("SELECT 1")))


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    def lines() -> Any:
        yield str(_limit_now())

    return StreamingHttpResponse(lines())


def _limit_now() -> Any:
    return (
        _ask("SHOW statement_timeout")[0][0]
        if connection.vendor == "postgresql"
        else getattr(deadlines._local, "limit", None)
    )


urlpatterns = [
    path("slow/", slow),
    path("stubborn/", stubborn),
    path("patient/", patient),
    path("streamed/", streamed),
    path("", include("brilliance.urls")),
]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "READING_SECONDS", 0.3)
    monkeypatch.setattr(deadlines, "CHANGING_SECONDS", 0.6)
    asked.clear()


def test_a_slow_page_ends_with_a_sentence_and_the_connection_lives_on() -> None:
    answer = Client().get("/slow/")

    assert answer.status_code == 503
    text = " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())
    assert "The search was stopped after 0.3 seconds, so that other pages stay quick." in text
    assert _ask("SELECT 1")[0][0] == 1


def test_the_log_says_why_a_page_was_ended(caplog: pytest.LogCaptureFixture) -> None:
    Client().get("/slow/?token=secret")

    assert "the page tests.adminpages.test_deadlines.slow was ended: its database statements took more than 0.3 s" in (
        caplog.messages
    )


def test_what_changes_something_may_take_longer_unless_a_query_says_what_to_look_for() -> None:
    assert b"after 0.6 seconds" in Client().post("/slow/").content
    assert b"after 0.3 seconds" in Client().post("/slow/?q=x").content


def test_a_view_that_asks_again_gets_no_more_time() -> None:
    """Each statement gets what is left, and none is asked once nothing is."""
    began = time.monotonic()
    Client().get("/stubborn/")

    assert len(asked) == 50
    assert time.monotonic() - began < 30  # Fifty limits of their own would take no time at all, or an hour.


def test_a_view_may_take_longer_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "READING_SECONDS", 0.0)

    assert Client().get("/patient/").status_code == 200


def test_the_limit_is_gone_after_the_request_and_from_what_is_streamed() -> None:
    Client().get("/slow/")
    answer = Client().get("/streamed/")

    assert b"".join(answer.streaming_content) in (b"0", b"None")  # type: ignore[arg-type]
    assert _limit_now() in ("0", None)


def test_other_threads_have_limits_of_their_own() -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append(getattr(deadlines._local, "limit", None))

    with override_settings():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    assert seen == [None]


def test_every_page_goes_through_it(settings: Any) -> None:
    assert settings.MIDDLEWARE[-1] == "adminpages.deadlines.Deadlines"


def test_a_list_that_is_too_slow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing: a page of the product on a database that sleeps."""
    user = User.objects.create_superuser("root", "root@example.com", "x")
    client = Client()
    client.force_login(user)
    monkeypatch.setattr(deadlines, "READING_SECONDS", -1.0)

    assert client.get("/admin/contacts/contact/").status_code == 503
    assert client.get("/messages/?address=x").status_code == 503
