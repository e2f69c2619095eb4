"""The pages on which administrators add users and change them: the product's words, and no rights by default."""

from typing import Any

import lxml.html
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from tests.brilliance.test_refusals import signed_in

USERS = "/admin/auth/user/"
PASSWORD = "a long enough passphrase"


@pytest.fixture
def admin(db: None) -> Client:
    return signed_in("admin")


def fields_of(page: str) -> dict[str, str]:
    """Return the name of each field with its label."""
    tree = lxml.html.document_fromstring(page)
    labels = {label.get("for"): label.text_content().strip(" *\n") for label in tree.xpath("//label[@for]")}
    inputs = tree.xpath("//form[@id='user_form']//*[self::input or self::select][not(@type='hidden')][@name]")
    return {each.get("name"): labels.get(each.get("id"), "") for each in inputs}


def added(admin: Client, **values: Any) -> Any:
    return admin.post(f"{USERS}add/", {"username": "bob", "password1": PASSWORD, "password2": PASSWORD, **values})


def test_adding_asks_for_a_person_their_roles_and_a_first_password(admin: Client) -> None:
    page = admin.get(f"{USERS}add/").content.decode()

    names = list(dict.fromkeys(name for name in fields_of(page) if not name.startswith("_")))
    assert names == ["username", "first_name", "last_name", "email", "groups", "password1", "password2"]
    assert "marketer – contacts, campaigns and their results" in page
    assert "Letters, digits and @ . + - _ only." in page
    assert "At least 12 characters" in page
    assert 'name="groups" checked' not in page
    for raw in ("Groups", "uperuser", "ermissions", "Designates", "authenticat", "more user options"):
        assert raw not in page, raw


def test_a_user_is_added_with_roles_at_once(admin: Client) -> None:
    marketer = Group.objects.get(name="marketer")

    answer = added(admin, first_name="Bob", email="bob@example.com", groups=[marketer.pk])

    bob = User.objects.get(username="bob")
    assert answer["Location"] == USERS
    assert (bob.get_full_name(), bob.email, list(bob.groups.all())) == ("Bob", "bob@example.com", [marketer])
    assert (bob.is_staff, bob.is_superuser, bob.check_password(PASSWORD)) == (True, False, True)


def test_what_the_form_does_not_ask_is_not_taken(admin: Client) -> None:
    added(admin, is_superuser="on", user_permissions=["1"])

    bob = User.objects.get(username="bob")
    assert (bob.is_superuser, bob.groups.exists(), bob.user_permissions.exists()) == (False, False, False)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"username": "ADMIN"}, "A user with that username already exists."),
        ({"username": "\uff21DMIN"}, "A user with that username already exists."),
        ({"password2": "another long passphrase"}, "The two passwords differ."),
        ({"password1": "", "password2": ""}, "This field is required."),
        ({"first_name": "Bartholomew", "password1": "bartholomew1", "password2": "bartholomew1"}, "too similar"),
    ],
)
def test_a_name_or_password_that_does_not_do_is_refused(admin: Client, values: dict[str, str], said: str) -> None:
    assert said in added(admin, **values).content.decode()
    assert not User.objects.filter(username__iexact=values.get("username", "bob")).exclude(username="admin").exists()


@pytest.mark.parametrize("only", [False, True])
def test_with_single_sign_on_a_user_needs_no_password(admin: Client, settings: Any, only: bool) -> None:
    settings.OIDC_ISSUER, settings.OIDC_ONLY = "https://issuer.example", only
    assert ("password1" in fields_of(admin.get(f"{USERS}add/").content.decode())) is not only

    added(admin, password1="", password2="")

    assert not User.objects.get(username="bob").has_usable_password()


@pytest.mark.parametrize("name", ["JÜRGEN", "ju\u0308rgen"])
def test_a_user_s_name_is_not_changed_to_another_s_in_other_letters(admin: Client, name: str) -> None:
    User.objects.create_user("jürgen")
    bob = User.objects.create_user("bob")

    page = admin.post(f"{USERS}{bob.pk}/change/", {"username": name, "is_active": "on"}).content.decode()

    assert "A user with that username already exists." in page
    bob.refresh_from_db()
    assert bob.username == "bob"
    assert admin.post(f"{USERS}{bob.pk}/change/", {"username": "Bob", "is_active": "on"}).status_code == 302


def test_a_user_s_page_shows_roles_and_no_hash(admin: Client) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)

    page = admin.get(f"{USERS}{bob.pk}/change/").content.decode()

    assert fields_of(page)["email"] == "Email"
    assert f'href="{USERS}{bob.pk}/password/"' in page
    assert f'href="/accounts/users/{bob.pk}/"' in page
    for raw in ("argon2", "Groups", "uperuser", "ermissions", "Designates", "Raw passwords"):
        assert raw not in page, raw


def test_saving_a_user_s_page_keeps_the_password(admin: Client) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    ops = Group.objects.get(name="ops")

    admin.post(f"{USERS}{bob.pk}/change/", {"username": "bob", "groups": [ops.pk], "is_active": "on"})

    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)
    assert list(bob.groups.all()) == [ops]


def test_the_rules_of_passwords_stand_beside_every_new_one(admin: Client) -> None:
    bob = User.objects.create_user("bob", is_staff=True)

    for page in (f"{USERS}{bob.pk}/password/", "/admin/password_change/"):
        shown = admin.get(page).content.decode()
        assert "At least 12 characters, not only digits." in shown
        assert "personal information" not in shown
        assert "for security" not in shown


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (f"{USERS}add/", ("password1", "password2")),
        (f"{USERS}{{pk}}/password/", ("password1", "password2")),
        ("/admin/password_change/", ("new_password1", "new_password2")),
    ],
)
def test_what_is_wrong_with_a_new_password_is_said_once_and_beside_its_rules(
    admin: Client, path: str, names: tuple[str, str]
) -> None:
    bob = User.objects.create_user("bob", is_staff=True)

    answer = admin.post(path.format(pk=bob.pk), {"username": "carol", **dict.fromkeys(names, "kq7 vw")})

    form = answer.context["adminform"].form if "adminform" in answer.context else answer.context["form"]
    said = form.errors
    assert len(said[names[0]]) == 1
    assert names[1] not in said
