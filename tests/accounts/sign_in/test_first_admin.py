"""The first person: a link from the command line, while there is no user, makes one the administrator."""

from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axes.models import AccessFailureLog
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core import signing
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.utils.html import escape

from accounts.sign_in import first_admin
from accounts.sign_in.first_admin import NOT_NEEDED, NOT_VALID, SALT
from brilliance.roles import make_roles
from tests.accounts.sign_in.test_signing_in import LOGIN, database_dump, is_signed_in

FIRST = "/accounts/first/"
GIVEN = {"username": "ada", "email": "ada@example.org", "password": "plum-orbit-9-canary"}
pytestmark = pytest.mark.django_db


def token() -> str:
    out = StringIO()
    call_command("first_admin", stdout=out)
    link = urlsplit(out.getvalue().strip())
    assert (link.netloc, link.path) == ("localhost:8000", FIRST)
    return parse_qs(link.query)["token"][0]


def said(client: Client, answer: Any) -> str:
    assert answer["Location"] == LOGIN
    return client.get(LOGIN).content.decode()


def test_the_first_person_becomes_administrator_and_is_signed_in() -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get(FIRST, {"token": token()})
    assert page.status_code == 200
    assert User.objects.count() == 0, "a program that looks at links makes nobody"
    sent = {"token": token(), "csrfmiddlewaretoken": str(page.context["csrf_token"])}

    answer = client.post(FIRST, GIVEN | sent)

    user = User.objects.get()
    assert answer["Location"] == "/admin/"
    assert is_signed_in(client)
    assert (user.username, user.email, user.is_staff, user.is_superuser) == ("ada", "ada@example.org", True, False)
    assert [group.name for group in user.groups.all()] == ["admin"]
    assert client.get("/admin/auth/user/").status_code == 200
    assert GIVEN["password"] not in database_dump()


def test_the_login_page_says_where_the_link_is_while_there_is_nobody(client: Client) -> None:
    before = client.get(LOGIN).content.decode()
    User.objects.create_user("ada")

    assert "link in the terminal" in before
    assert "link in the terminal" not in client.get(LOGIN).content.decode()


def test_it_works_once_and_only_while_there_is_nobody() -> None:
    link = token()
    Client().post(FIRST, GIVEN | {"token": link})
    later = Client()

    assert str(NOT_NEEDED) in said(later, later.get(FIRST, {"token": link}))
    assert str(NOT_NEEDED) in said(later, later.post(FIRST, GIVEN | {"token": link, "username": "eve"}))

    assert User.objects.count() == 1
    with pytest.raises(CommandError, match="There are users already"):
        call_command("first_admin")


@pytest.mark.parametrize("wrong", ["", "x", "é", "a" * 5000, "of another", "unsalted"])
def test_another_token_makes_nobody_and_counts_as_a_failure(wrong: str) -> None:
    client = Client()

    signed = {"of another": signing.dumps(True, salt="other"), "unsalted": signing.dumps(True)}

    answer = client.post(FIRST, GIVEN | {"token": signed.get(wrong, wrong)})

    assert escape(str(NOT_VALID)) in said(client, answer)
    assert AccessFailureLog.objects.count() == 1
    assert User.objects.count() == 0


def test_after_a_day_it_is_worth_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    client, link = Client(), token()
    monkeypatch.setattr(first_admin, "VALID_SECONDS", -1)

    assert escape(str(NOT_VALID)) in said(client, client.post(FIRST, GIVEN | {"token": link}))
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", ""),
        ("username", "a b"),
        ("username", "x" * 151),
        ("email", ""),
        ("email", "nobody"),
        ("password", ""),
        ("password", "short"),
        ("password", "ada@example.org"),
        ("password", "newsletter123"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_the_rest_stays(field: str, value: str) -> None:
    page = Client().post(FIRST, GIVEN | {"token": token(), field: value})

    assert page.status_code == 200
    assert set(page.context["form"].errors) == {field}
    assert User.objects.count() == 0
    assert GIVEN["password"] not in page.content.decode()
    if field != "email":
        assert GIVEN["email"] in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one() -> None:
    make_roles(apps, "default")  # A transactional test before this one emptied the tables.
    link, barrier = signing.dumps(True, salt=SALT), Barrier(2)

    def create(name: str) -> str:
        try:
            barrier.wait(10)
            return str(Client().post(FIRST, GIVEN | {"token": link, "username": name})["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        places = sorted(pool.map(create, ["ada", "eve"]))

    assert places == sorted([LOGIN, "/admin/"])
    assert User.objects.count() == 1


def test_single_sign_on_alone_makes_its_own(settings: Any) -> None:
    settings.OIDC_ONLY = True

    with pytest.raises(CommandError, match="OIDC_ONLY"):
        call_command("first_admin")


def test_the_second_factor_is_asked_for_where_it_is_needed(settings: Any) -> None:
    assert Group.objects.filter(name="admin").exists()
    settings.MFA_ROLES = ("admin",)
    client = Client()

    client.post(FIRST, GIVEN | {"token": token()})

    assert client.get("/admin/")["Location"] == "/accounts/factors/"
