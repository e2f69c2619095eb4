"""Changes of password, factor or role end the other sessions at once, whichever way they are made."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from accounts import factors
from accounts.models import SignInNotice, UserSession
from accounts.single_sign_on.links import make_link
from tests.accounts.conftest import PASSWORD, code_of, sign_in_fully, signed_in
from tests.accounts.sessions.test_sessions import open_sessions
from tests.accounts.sign_in.test_signing_in import is_signed_in

OWN = "a passphrase of my own"


def type_password(password: str) -> None:
    command = changepassword.Command(stdout=io.StringIO())
    command._get_pass = lambda *args: password  # type: ignore[method-assign]  # Else it asks the terminal.
    command.handle(username="ann", database="default")


def save(**values: Any) -> Callable[[User], None]:
    def change(user: User) -> None:
        for name, value in values.items():
            setattr(user, name, value)
        user.save()

    return change


def add_factor(user: User) -> None:
    factors.add_totp(user, "A" * 32, step=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda user: type_password(OWN),
        lambda user: (user.set_password(OWN), user.save()),
        lambda user: (user.set_unusable_password(), user.save()),
        save(is_active=False),
        save(is_superuser=True),
        save(is_staff=False),
        lambda user: user.groups.add(Group.objects.get(name="ops")),
        lambda user: user.groups.set([Group.objects.get(name="ops")]),
        lambda user: user.groups.clear(),
        lambda user: Group.objects.get(name="ops").user_set.add(user),
        lambda user: Group.objects.get(name="admin").user_set.remove(user),
        lambda user: Group.objects.get(name="admin").user_set.clear(),
        lambda user: Group.objects.get(name="admin").delete(),
        add_factor,
        factors.make_recovery_codes,
    ],
)
def test_a_change_ends_every_session_of_that_user_alone(ann: User, change: Callable[[User], Any]) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    bob.groups.add(Group.objects.get(name="viewer"))
    theirs, clients = signed_in("bob"), [signed_in(), signed_in()]

    change(User.objects.get(username="ann"))

    assert not UserSession.objects.filter(user=ann).exists()
    assert [is_signed_in(client) for client in (theirs, *clients)] == [True, False, False]


@pytest.mark.parametrize(
    "change",
    [
        save(first_name="Ann"),
        lambda user: user.save(),
        lambda user: user.groups.set([Group.objects.get(name="admin")]),
        lambda user: Group.objects.get(name="admin").permissions.first(),
    ],
)
def test_what_changes_nothing_of_the_sign_in_ends_none(ann: User, change: Callable[[User], Any]) -> None:
    client = signed_in()

    change(User.objects.get(username="ann"))

    assert is_signed_in(client)


def test_a_removed_factor_ends_the_others(ann: User) -> None:
    add_factor(ann)
    client = Client()
    sign_in_fully(client, ann)

    factors.of(ann).delete()

    assert not is_signed_in(client)


def test_a_password_that_is_hashed_anew_at_the_sign_in_needs_no_change(ann: User) -> None:
    ann.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt", 1)
    ann.save()

    client = signed_in()

    ann.refresh_from_db()
    assert ann.password.startswith("argon2")
    assert is_signed_in(client)
    assert not SignInNotice.objects.exists()


def change_password(client: Client, old: str = PASSWORD, new: str = OWN) -> Any:
    return client.post("/admin/password_change/", {"old_password": old, "new_password1": new, "new_password2": new})


def remove_the_app(client: Client) -> Any:
    factor = factors.of(User.objects.get(username="ann")).get(type=factors.TOTP)
    return client.post(f"/accounts/factors/{factor.pk}/remove/")


def set_up_an_app(client: Client) -> Any:
    page = client.get("/accounts/factors/app/")
    form = page.context["form"]
    return client.post("/accounts/factors/app/", {"sealed": form["sealed"].value(), "code": code_of(form.secret)})


@pytest.mark.parametrize(
    ("has_app", "change"),
    [
        (False, change_password),
        (False, set_up_an_app),
        (True, remove_the_app),
        (True, lambda client: client.post("/accounts/factors/recovery-codes/")),
    ],
)
def test_the_session_one_works_in_stays_with_a_new_key(
    ann: User, has_app: bool, change: Callable[[Client], Any]
) -> None:
    if has_app:
        add_factor(ann)
        factors.make_recovery_codes(ann)
    other, client = Client(), Client()
    for each in (other, client):
        sign_in_fully(each, ann)
    before = client.session.session_key

    assert change(client).status_code in (200, 302)

    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert client.session.session_key != before
    assert len(open_sessions(ann)) == 1


def test_the_page_to_change_the_password_takes_no_more_guesses_than_the_sign_in(ann: User) -> None:
    client = signed_in()

    answers = [change_password(client, "guess").status_code for _ in range(6)]

    assert answers == [200] * 4 + [429] * 2
    assert change_password(client).status_code == 429


# --- a password that somebody else chose


def test_a_password_chosen_by_an_administrator_is_changed_before_anything_else(ann: User) -> None:
    boss = signed_in()
    form = {"username": "bob", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    boss.post("/admin/auth/user/add/", form)
    bob = signed_in("bob")

    for path in ("/admin/smtpservers/smtpserver/?q=a", "/admin/"):
        page = bob.get(path, follow=True)
        assert page.redirect_chain == [("/admin/password_change/", 302)]
        assert page.content.decode().count("Someone else set your password.") == 1
    assert bob.post("/restored/").status_code == 403
    assert bob.get("/healthz").status_code == 200
    assert signed_in("bob").get("/admin/")["Location"] == "/admin/password_change/"  # Nor by signing in again.
    assert "Someone else set your password." in change_password(bob, "wrong").content.decode()
    changed = change_password(bob)

    assert changed["Location"] == "/admin/smtpservers/smtpserver/?q=a"  # The page asked for at first.
    page = bob.get("/admin/")
    assert "Password changed." in page.content.decode()
    assert "Someone else" not in page.content.decode()
    assert not SignInNotice.objects.exists()
    assert change_password(bob, OWN, PASSWORD)["Location"] == "/accounts/"  # Of his own accord.


def test_a_new_password_differs_from_the_present_one(ann: User) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    SignInNotice.objects.create(user=bob, kind=SignInNotice.Kind.PASSWORD_SET)
    for name in ("ann", "bob"):  # Of one's own accord, and because somebody else chose it.
        client = signed_in(name)

        same = change_password(client, PASSWORD, PASSWORD)
        guess = change_password(client, "guess", PASSWORD)

        assert same.context["form"].errors == {
            "new_password1": ["That's your current password. Choose a different one."]
        }
        assert list(guess.context["form"].errors) == ["old_password"]  # It tells nothing about the new one.
        assert is_signed_in(client)
    assert signed_in("bob").get("/admin/")["Location"] == "/admin/password_change/"


def test_so_is_one_that_an_administrator_changed_and_the_factor_comes_first(ann: User, settings: Any) -> None:
    bob = User.objects.create_user("bob", password=OWN, is_staff=True)
    boss = signed_in()
    form = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    boss.post(f"/admin/auth/user/{bob.pk}/password/", form)
    settings.MFA_ROLES = "all"
    client = signed_in("bob")

    assert client.get("/admin/")["Location"] == "/accounts/factors/"
    assert client.get("/accounts/factors/").status_code == 200
    set_up_an_app(client)
    assert client.get("/admin/")["Location"] == "/admin/password_change/"


def test_one_typed_on_the_command_line_is_ones_own(ann: User) -> None:
    type_password(PASSWORD + " of mine")

    assert not SignInNotice.objects.exists()


def test_who_signs_in_another_way_is_not_asked_for_a_password_that_only_others_know(ann: User) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    SignInNotice.objects.create(user=bob, kind=SignInNotice.Kind.PASSWORD_SET)
    client = Client()
    client.post("/accounts/login/link/", {"token": make_link(bob, timezone.now()).rpartition("token=")[2]})

    assert client.get("/admin/").status_code == 200
    assert [session.ways for session in open_sessions(bob)] == ["one-time link"]
    assert signed_in("bob").get("/admin/")["Location"] == "/admin/password_change/"
