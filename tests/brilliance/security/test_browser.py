"""What the browser is told, what an error shows, and what a log line may hold."""

import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.exceptions import BadRequest
from django.test import Client, override_settings
from django.urls import path

from brilliance.logs import OneLineFormatter
from brilliance.urls import handler404 as handler404
from brilliance.urls import urlpatterns as real_urls

SECRET = "canary-8e1f"


def explode(request: Any) -> None:
    password = SECRET
    raise RuntimeError(f"the password is {password}")


def refuse(request: Any) -> None:
    raise BadRequest(SECRET)


urlpatterns = [*real_urls, path("explode", explode), path("crowded", refuse)]


@pytest.fixture
def client(db: None) -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.mark.parametrize("address", ["/admin/", "/accounts/login/", "/nothing", "/healthz"])
def test_every_answer_carries_the_policy_and_its_companions(client: Client, address: str) -> None:
    headers = client.get(address).headers

    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["script-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == policy["form-action"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_no_page_of_the_dashboard_has_inline_script(client: Client) -> None:
    page = client.get("/admin/").content.decode()

    assert "<script>" not in page
    assert "javascript:" not in page
    assert " onclick=" not in page


def test_a_form_without_its_token_changes_nothing(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies.update(client.cookies)

    answer = strict.post("/admin/auth/group/add/", {"name": "new"})

    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()
    assert not Group.objects.filter(name="new").exists()


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/nothing", 404, "Page not found"),
        ("/explode", 500, "Something went wrong"),
        ("/crowded", 400, "understand this request"),
    ],
)
@override_settings(ROOT_URLCONF="tests.brilliance.security.test_browser")
def test_error_pages_say_what_to_do_and_show_no_details(
    client: Client, address: str, status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get(address)
    page = answer.content.decode()

    assert answer.status_code == status
    assert words in page
    for detail in ("Traceback", "RuntimeError", SECRET, "django"):
        assert detail not in page


def test_a_refusal_says_whom_to_ask(client: Client) -> None:
    user = User.objects.get()
    user.groups.clear()
    client.force_login(user)

    answer = client.get("/admin/auth/user/")

    assert answer.status_code == 403
    assert "Ask an administrator" in answer.content.decode()


@pytest.mark.parametrize("next_url", ["https://evil.example/", "http://testserver/admin/password_change/"])
def test_sign_in_leads_to_no_other_host_and_from_https_not_to_http(db: None, next_url: str) -> None:
    User.objects.create_user("ann", password="correct horse battery", is_staff=True)

    answer = Client().post(
        f"/accounts/login/?next={next_url}",
        {"login": "ann", "password": "correct horse battery", "next": next_url},
        secure=True,
    )

    assert answer.status_code == 302
    assert answer["Location"] == "/admin/"


def test_a_foreign_host_name_is_refused(db: None, caplog: pytest.LogCaptureFixture) -> None:
    assert Client().get("/accounts/login/", headers={"Host": "evil.example"}).status_code == 400


def test_a_log_line_stays_one_line() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "said %s", ("x\r\n2026 ERROR forged\x1b[2J\u2028y",), None)

    line = OneLineFormatter("%(levelname)s %(message)s").format(record)

    assert line == "INFO said x\\x0d\\n2026 ERROR forged\\x1b[2J\\x2028y"


def test_only_json_is_spoken_with_the_broker() -> None:
    from brilliance.celery import app

    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"
    assert app.conf.task_ignore_result


def production(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "DATA_DIR", "LANG")}
    return {**kept, "BASE_URL": "https://mail.example.com", **changes}


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60)


def test_production_settings_pass_the_deployment_check() -> None:
    found = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", environment=production())

    assert found.returncode == 0, found.stderr
    assert "no issues (0 silenced)" in found.stdout


def test_https_brings_host_cookies_hsts_and_redirects_except_for_one_click() -> None:
    script = """
import django; django.setup()
from django.conf import settings
from django.test import Client
print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.SESSION_COOKIE_SECURE,
      settings.CSRF_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE)
client = Client(headers={"host": "mail.example.com"})
print(client.get("/healthz").status_code, client.get("/accounts/login/")["Location"])
print(client.get("/healthz", secure=True)["Strict-Transport-Security"])
print(settings.ALLOWED_HOSTS, settings.DEBUG)
"""
    found = run("-c", script, environment=production(DJANGO_SETTINGS_MODULE="brilliance.settings"))

    assert found.stdout.splitlines() == [
        "__Host-sessionid __Host-csrftoken True True True Lax",
        "200 https://mail.example.com/accounts/login/",
        "max-age=31536000; includeSubDomains; preload",
        "['mail.example.com'] False",
    ], found.stderr


def test_links_in_mail_without_https_are_an_error_except_on_loopback() -> None:
    found = run("manage.py", "check", environment=production(BASE_URL="http://mail.example.com"))

    assert found.returncode == 1
    assert "mail programs refuse one-click unsubscribe links without https" in found.stderr
    assert run("manage.py", "check", environment=production(BASE_URL="http://localhost:8000")).returncode == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Any) -> None:
    (tmp_path / "file").touch()

    found = run(
        "manage.py",
        "demo",
        environment={**production(DATA_DIR=str(tmp_path / "file" / "var")), "BASE_URL": "http://localhost:8000"},
    )

    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert "Make DATA_DIR writable" in found.stderr


def test_an_error_page_leads_home_only_who_has_one(client: Client, db: None) -> None:
    assert "/admin/" not in Client().get("/nothing").content.decode()
    client.force_login(User.objects.create_user("zoe", is_staff=True))
    assert 'href="/admin/"' in client.get("/nothing").content.decode()
