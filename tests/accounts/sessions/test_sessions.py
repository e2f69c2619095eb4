"""The page of one's own sessions: what it tells, what it hides, and how sessions end."""

import datetime as dt
import logging
from typing import Any
from urllib.parse import urlencode

import pytest
from axes.models import AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.test import Client
from django.test.client import FakePayload
from django.utils import timezone

from accounts import factors
from accounts.models import UserSession
from accounts.sessions.browsers import browser_of
from accounts.sessions.store import STRANGERS_SECONDS, OpenSession, SessionStore, sessions_of
from accounts.tasks import delete_expired
from tests.accounts.conftest import FIREFOX, PASSWORD, SAFARI, App, signed_in
from tests.accounts.sign_in.test_signing_in import SECOND, is_signed_in
from tests.accounts.test_fresh_sign_in import asks, grow_old

PAGE, END = "/accounts/sessions/", "/accounts/sessions/end/"


def open_sessions(user: User) -> list[OpenSession]:
    return sessions_of(user, timezone.now())


def test_the_page_tells_where_since_when_and_by_which_way(ann: User) -> None:
    phone = signed_in(agent=SAFARI, address="2001:db8:1:2::3")
    client = signed_in()

    page = client.get(PAGE).content.decode()

    assert "Firefox on Linux <strong>(this one)</strong>" in page
    assert "Safari on iPhone" in page
    assert "192.0.2.0/24" in page
    assert "2001:db8:1::/48" in page
    assert "192.0.2.77" not in page
    assert page.count("by password") == 2
    assert page.count("(this one)") == 1
    assert is_signed_in(phone)


def test_it_names_the_second_factor_that_was_used(ann: User, app: App) -> None:
    code, *_ = factors.make_recovery_codes(ann)
    signed_in().post(SECOND, {"code": app()})
    signed_in().post(SECOND, {"code": code})

    assert {session.ways for session in open_sessions(ann)} == {
        "password and code from an app",
        "password and recovery code",
    }


def test_nobody_sees_another_user_s_sessions_or_ends_them(ann: User) -> None:
    User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    bob, client = signed_in("bob", SAFARI), signed_in()
    (theirs,) = open_sessions(User.objects.get(username="bob"))

    assert "Safari" not in client.get(PAGE).content.decode()
    client.post(END, {"session": theirs.id})

    assert is_signed_in(bob)


def test_one_session_ends_at_once(ann: User) -> None:
    phone, laptop, client = signed_in(agent=SAFARI), signed_in(), signed_in()
    (chosen,) = [session for session in open_sessions(ann) if session.browser == "Safari on iPhone"]

    answer = client.post(END, {"session": chosen.id}, follow=True)

    assert "Session ended." in answer.content.decode()
    assert [is_signed_in(each) for each in (phone, laptop, client)] == [False, True, True]


def test_all_others_end_at_once_and_this_one_stays(ann: User) -> None:
    others, client = [signed_in() for _ in range(3)], signed_in()

    client.post(END, {"session": "others"})

    assert [is_signed_in(each) for each in (*others, client)] == [False] * 3 + [True]


def test_what_an_ended_session_was_about_to_store_does_not_bring_it_back(ann: User) -> None:
    """A request that began before the end saves its session after it."""
    session = signed_in().session
    session["late"] = True
    UserSession.objects.all().delete()

    with pytest.raises(UpdateError):
        session.save()

    assert not UserSession.objects.exists()


@pytest.mark.parametrize("key", ['"\\000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"', "short", "a" * 3000, "ä" * 32, ""])
def test_a_cookie_that_holds_no_key_of_ours_is_a_strangers(db: None, key: str) -> None:
    answer = Client(HTTP_COOKIE=f"{settings.SESSION_COOKIE_NAME}={key}").get(PAGE)

    assert answer["Location"].startswith("/accounts/login/")


def test_a_new_key_does_not_bring_an_ended_session_back(ann: User) -> None:
    """A request that began before the end proves something, or changes a factor, after it."""
    session = signed_in().session
    assert "seen_at" in session
    UserSession.objects.all().delete()

    with pytest.raises(SessionInterrupted):
        session.cycle_key()

    assert not UserSession.objects.exists()


class SlowForm(FakePayload):
    """A form whose sender has sent everything but its end when the sessions are ended."""

    def read(self, *args: Any) -> bytes:
        UserSession.objects.all().delete()
        return super().read(*args)


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("/accounts/confirm/", {"password": PASSWORD}),
        (
            "/admin/password_change/",
            {"old_password": PASSWORD, "new_password1": "a stranger's own", "new_password2": "a stranger's own"},
        ),
    ],
)
def test_a_form_that_comes_in_slowly_does_nothing_for_a_session_that_was_ended(
    ann: User, path: str, typed: dict[str, str]
) -> None:
    client = signed_in()
    body = urlencode(typed)

    answer = client.post(
        path,
        body,
        "application/x-www-form-urlencoded",
        **{"wsgi.input": SlowForm(body.encode())},  # type: ignore[arg-type]
    )

    assert "/login/?next=" in answer["Location"]
    assert not open_sessions(ann)
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)


def test_ending_asks_for_a_fresh_sign_in_and_then_does_what_was_asked(ann: User) -> None:
    other, client = signed_in(), signed_in()
    grow_old(client)

    asked = client.post(END, {"session": "others"})
    assert asks(asked)
    assert is_signed_in(other)
    client.post(END, {"session": "others", "fresh_password": PASSWORD})

    assert not is_signed_in(other)
    assert is_signed_in(client)


def test_a_fresh_sign_in_changes_the_key(ann: User) -> None:
    client = signed_in()
    before = client.session.session_key

    client.post("/accounts/confirm/", {"password": PASSWORD})

    assert client.session.session_key != before
    assert not UserSession.objects.filter(session_key=before).exists()
    assert is_signed_in(client)


@pytest.mark.parametrize("name", ["seen_at", "signed_in_at"])
def test_a_session_that_is_over_is_not_listed(ann: User, name: str) -> None:
    session = signed_in().session
    session[name] -= settings.SESSION_COOKIE_AGE + 1
    session.save()

    assert open_sessions(ann) == []


def test_logging_out_and_deleting_the_user_leave_no_row(ann: User) -> None:
    User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    client = signed_in()
    signed_in("bob")

    client.post("/accounts/logout/")
    User.objects.get(username="bob").delete()

    assert not UserSession.objects.filter(user__isnull=False).exists()


def test_the_errand_deletes_what_is_over_and_nothing_else(ann: User) -> None:
    signed_in()
    old = signed_in().session.session_key
    UserSession.objects.filter(session_key=old).update(expire_date=timezone.now() - dt.timedelta(seconds=1))
    signed_in(name="nobody")
    AccessLog.objects.filter(pk=AccessLog.objects.first().pk).update(  # type: ignore[union-attr]
        attempt_time=timezone.now() - dt.timedelta(days=31)
    )

    delete_expired()

    assert len(open_sessions(ann)) == 1
    assert not UserSession.objects.filter(session_key=old).exists()
    assert (AccessLog.objects.count(), AccessFailureLog.objects.count()) == (1, 1)
    errand = settings.CELERY_BEAT_SCHEDULE["forget-sessions"]
    assert errand["task"] == delete_expired.name
    assert errand["schedule"] <= STRANGERS_SECONDS / 2  # Strangers can have rows written: few should be left over.


HOSTILE = "<script>alert(1)</script>\"'&{{ 7|add:7 }}\u202e" + "A" * 5000


@pytest.mark.parametrize("agent", [HOSTILE, f"Mozilla {HOSTILE} Firefox/1 Windows", "", "\x1b[2J", "Firefox/" * 900])
def test_nothing_that_a_browser_says_of_itself_is_shown_or_kept(ann: User, agent: str) -> None:
    client = signed_in(agent=agent)

    page = client.get(PAGE).content.decode()

    (session,) = open_sessions(ann)
    assert len(session.browser) < 40
    assert "alert(1)" not in page
    assert "AAAA" not in page
    stored = SessionStore().decode(UserSession.objects.get(user=ann).session_data)
    assert set(stored["sign_in"]) == {"id", "browser", "network"}


@pytest.mark.parametrize(
    ("agent", "browser"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/142.0.0.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/142.0.0.0 Safari/537.36 OPR/120.0", "Opera on Windows"),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1", "Safari on macOS"),
        ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) CriOS/142.0 Mobile/15E Safari/604.1", "Chrome on iPad"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541) Chrome/142.0 Safari/537.36", "Chrome on ChromeOS"),
        ("curl/8.5.0", "Unknown browser"),
    ],
)
def test_browsers_are_known_by_their_own_name(agent: str, browser: str) -> None:
    assert browser_of(agent) == browser


def test_no_page_log_or_history_shows_the_key_of_a_session(ann: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    User.objects.filter(pk=ann.pk).update(is_superuser=True)
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    theirs, client = signed_in("bob"), signed_in()
    keys = {each.session.session_key for each in (theirs, client)}

    pages = [
        client.get(PAGE),
        client.get(f"/accounts/users/{bob.pk}/"),
        client.get(f"/admin/auth/user/{bob.pk}/delete/"),
        client.get(f"/admin/auth/user/{bob.pk}/change/"),
        client.post(f"/accounts/users/{bob.pk}/", {"do": "end"}, follow=True),
        client.get(f"/admin/auth/user/{bob.pk}/history/"),
    ]

    assert [page.status_code for page in pages] == [200] * 6
    told = "".join(page.content.decode() for page in pages) + caplog.text + repr(open_sessions(ann))
    told += "".join(LogEntry.objects.values_list("change_message", flat=True))
    assert "A session" in pages[2].content.decode()
    for key in keys:
        assert key is not None
        assert key not in told


def test_one_s_account_leads_to_the_page(ann: User) -> None:
    assert f'href="{PAGE}"' in signed_in().get("/accounts/").content.decode()


def test_forms_of_others_are_refused_without_a_token(ann: User, settings: Any) -> None:
    assert Client(enforce_csrf_checks=True).post(END, {"session": "others"}).status_code == 403


def test_the_page_offers_to_change_a_password_where_there_is_one(ann: User) -> None:
    client = signed_in()
    assert "change your password" in client.get(PAGE).content.decode()
    ann.set_unusable_password()
    ann.save()
    client.force_login(ann)

    page = client.get(PAGE).content.decode()
    assert "change your password" not in page
    assert "tell an administrator" in page
