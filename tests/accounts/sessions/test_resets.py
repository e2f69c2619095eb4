"""Administrators end others' sessions and reset their factors; ``manage.py`` does it for the last of them."""

from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import factors
from accounts.models import Identity, UserSession
from tests.accounts.conftest import PASSWORD, App, sign_in_fully, signed_in
from tests.accounts.sign_in.test_signing_in import is_signed_in
from tests.accounts.test_fresh_sign_in import asks, grow_old


@pytest.fixture
def bob(db: None) -> User:
    user = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="ops"))
    return user


def page_of(user: User) -> str:
    return f"/accounts/users/{user.pk}/"


def test_an_administrator_ends_all_sessions_of_another(ann: User, bob: User) -> None:
    theirs, boss = [signed_in("bob"), signed_in("bob")], signed_in()
    assert "Firefox on Linux" in boss.get(page_of(bob)).content.decode()

    answer = boss.post(page_of(bob), {"do": "end"}, follow=True)

    assert "bob isn't logged in anywhere." in answer.content.decode()
    assert [is_signed_in(each) for each in (*theirs, boss)] == [False, False, True]
    entry = LogEntry.objects.latest("pk")
    assert (entry.user, entry.object_id, entry.change_message) == (ann, str(bob.pk), "Ended all sessions.")
    back = signed_in("bob")
    assert "An administrator logged you out everywhere." in back.get("/admin/").content.decode()
    assert "signed you out" not in signed_in("bob").get("/admin/").content.decode()  # Told once.


def test_an_administrator_resets_factors_and_where_one_is_needed_it_is_set_up_again(
    ann: User, bob: User, settings: Any
) -> None:
    factors.add_totp(bob, "A" * 32, step=0)
    factors.make_recovery_codes(bob)
    theirs, boss = Client(), signed_in()
    sign_in_fully(theirs, bob)

    boss.post(page_of(bob), {"do": "reset"})

    assert not Authenticator.objects.filter(user=bob).exists()
    assert not is_signed_in(theirs)
    assert "Reset the second factors" in LogEntry.objects.latest("pk").change_message
    settings.MFA_ROLES = ["ops"]
    back = signed_in("bob")
    page = back.get("/admin/", follow=True)
    assert page.redirect_chain == [("/accounts/factors/", 302)]
    assert "An administrator reset your second factors." in page.content.decode()


def test_an_administrator_unlinks_another_from_single_sign_on(ann: User, bob: User) -> None:
    Identity.objects.create(user=bob, issuer="https://id.example.com", subject="<bob-1>")
    theirs, boss = signed_in("bob"), signed_in()
    page = boss.get(page_of(bob)).content.decode()
    assert "&lt;bob-1&gt;" in page
    assert "at https://id.example.com" in page

    answer = boss.post(page_of(bob), {"do": "unlink"}, follow=True)

    assert "Unlink" not in answer.content.decode().replace("Unlinked from single sign-on and", "")
    assert not Identity.objects.exists()
    assert not is_signed_in(theirs)
    assert LogEntry.objects.latest("pk").change_message == "Unlinked from single sign-on and ended all sessions."


@pytest.mark.parametrize(("way", "is_linked"), [("own", True), ("issuer", False), ("issuer", True)])
def test_the_page_says_whether_a_factor_is_set_up_again(
    ann: User, bob: User, settings: Any, way: str, is_linked: bool
) -> None:
    settings.OIDC_MFA = way
    settings.MFA_ROLES = ["ops"]
    if is_linked:
        Identity.objects.create(user=bob, issuer="https://id.example.com", subject="bob-1")
    factors.add_totp(bob, "A" * 32, step=0)

    page = signed_in().get(page_of(bob), {"do": "reset"}).content.decode()

    is_left_to_issuer = way == "issuer" and is_linked
    assert ("bob can log in without one afterwards." in page) is is_left_to_issuer
    assert ("A new factor is set up at the next login." in page) is not is_left_to_issuer


@pytest.mark.parametrize("do", ["end", "reset", "unlink"])
def test_it_takes_the_right_a_fresh_sign_in_and_a_post(ann: User, bob: User, do: str) -> None:
    User.objects.create_user("eve", password=PASSWORD, is_staff=True).groups.add(Group.objects.get(name="marketer"))
    factors.add_totp(bob, "A" * 32, step=0)
    Identity.objects.create(user=bob, issuer="https://id.example.com", subject="bob-1")
    theirs, eve, boss, stranger = Client(), signed_in("eve"), signed_in(), Client()
    sign_in_fully(theirs, bob)
    grow_old(boss)

    assert stranger.post(page_of(bob), {"do": do})["Location"].startswith("/accounts/login/")
    assert eve.post(page_of(bob), {"do": do}).status_code == 403
    assert asks(boss.post(page_of(bob), {"do": do}))
    assert asks(boss.get(page_of(bob)))
    assert is_signed_in(theirs)
    assert Authenticator.objects.filter(user=bob).exists()
    assert Identity.objects.exists()

    boss.post(page_of(bob), {"do": do, "fresh_password": PASSWORD})
    assert not is_signed_in(theirs)


def test_unknown_users_and_acts_are_not_found_and_ones_own_page_is_another(ann: User, bob: User) -> None:
    boss = signed_in()

    assert boss.get("/accounts/users/999999/").status_code == 404
    assert boss.post(page_of(bob), {"do": "everything"}).status_code == 404
    assert boss.post(page_of(ann), {"do": "reset"})["Location"] == "/accounts/sessions/"
    assert is_signed_in(boss)


def test_the_user_s_page_leads_there(ann: User, bob: User) -> None:
    assert page_of(bob) in signed_in().get(f"/admin/auth/user/{bob.pk}/change/").content.decode()


# --- manage.py


def run(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_the_last_administrator_who_lost_everything_gets_in_again(ann: User, app: App) -> None:
    factors.make_recovery_codes(ann)
    thief = Client()
    sign_in_fully(thief, ann)

    said = run("reset_factors", "ann")

    assert said == "Removed 1 second factor of ann. All sessions of ann ended.\n"
    assert not is_signed_in(thief)
    assert is_signed_in(signed_in())


def test_sessions_of_one_or_of_everybody_end_from_the_command_line(ann: User, bob: User) -> None:
    hers, his = signed_in(), signed_in("bob")

    assert run("end_sessions", "bob") == "Ended 1 session.\n"
    assert [is_signed_in(each) for each in (hers, his)] == [True, False]
    signed_in("bob")
    assert run("end_sessions", "--all") == "Ended 2 sessions.\n"
    assert not is_signed_in(hers)
    assert not UserSession.objects.exists()


@pytest.mark.parametrize("command", [("reset_factors", "nobody"), ("end_sessions", "nobody"), ("end_sessions",)])
def test_a_command_that_names_nobody_says_so(db: None, command: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"no user “nobody”|one of the arguments"):
        run(*command)


@pytest.mark.parametrize(
    ("do", "question"),
    [
        ("end", "bob is logged out everywhere"),
        ("reset", "bob loses all second factors and recovery codes"),
        ("unlink", "counts as new"),
    ],
)
def test_each_of_them_asks_once_and_says_what_follows(ann: User, bob: User, do: str, question: str) -> None:
    factors.add_totp(bob, "A" * 32, step=0)
    Identity.objects.create(user=bob, issuer="https://issuer.example", subject="bob")
    bobs, boss = Client(), signed_in()
    sign_in_fully(bobs, bob)
    page = boss.get(page_of(bob)).content.decode()

    asked = boss.get(page_of(bob), {"do": do}).content.decode()

    assert f'href="?do={do}"' in page
    assert f'value="{do}"' not in page
    assert question in asked
    assert f'value="{do}"' in asked
    assert is_signed_in(bobs)
    assert (factors.has_factor(bob), Identity.objects.filter(user=bob).exists()) == (True, True)
    assert boss.get(page_of(bob), {"do": "everything"}).status_code == 404
