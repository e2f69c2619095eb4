"""Whoever needs a second factor and has none sees the pages that set one up, and nothing else."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from accounts import factors
from adminpages.fresh_sign_in import PROVED_AT
from brilliance.roles import ROLES
from tests.accounts.conftest import code_of, sign_in_fully
from tests.accounts.test_factors import sealed_of, secret_of
from tests.brilliance.security.test_browser import production, run
from tests.brilliance.test_roles import EVERYBODY, EXPECTED, addresses, filled, things

__all__ = ["things"]  # A fixture.

SET_UP_PAGES = {
    "accounts/factors/",
    "accounts/factors/app/",
    "accounts/factors/key/",
    "accounts/factors/recovery-codes/",
    "accounts/confirm/",
}


def person(role: str = "admin", **values: Any) -> tuple[User, Client]:
    user = User.objects.create_user(f"one {role}", is_staff=True, **values)
    user.groups.add(*Group.objects.filter(name=role))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return user, client


def test_no_page_but_those_that_set_one_up_opens(
    things: dict[str, Any], settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Walk every address by GET and POST, with a user who may do everything."""
    caplog.set_level("CRITICAL")
    settings.MFA_ROLES = "all"
    _, client = person(is_superuser=True)
    opened = set()
    for address in addresses(get_resolver().url_patterns):
        if address in ("admin/logout/", "accounts/logout/"):  # They end the session.
            continue
        for method in ("get", "post"):
            with transaction.atomic():
                answer = getattr(client, method)(filled(address, things))
                transaction.set_rollback(True)
            is_held_back = answer.status_code in (302, 403) and answer.get("Location", "/accounts/factors/").startswith(
                ("/accounts/factors/", "/accounts/login/", "/admin/login/")
            )
            if answer.status_code not in (404, 405) and not is_held_back:
                opened.add(address)

    public = {address for address, letters in EXPECTED.items() if letters == EVERYBODY} - {"accounts/login/"}
    assert opened - public - {""} == SET_UP_PAGES - {"accounts/factors/recovery-codes/"}  # It leads to the first one.


def test_public_pages_stay_open_and_know_nobody(db: None, settings: Any) -> None:
    settings.MFA_ROLES = "all"
    _, client = person()

    answer = client.get("/healthz")

    assert answer.status_code == 200
    assert "/login/" in client.get("/audience/lists/1/form")["Location"]  # For users, among the public ones.


def test_the_page_that_sets_one_up_says_so_and_shows_no_other(db: None, settings: Any) -> None:
    settings.MFA_ROLES = "all"
    _, client = person()

    answer = client.get("/admin/", follow=True)

    page = answer.content.decode()
    assert "Set up a second factor to continue." in page
    assert "nav-sidebar" not in page
    assert "Back to Home" not in page


@pytest.mark.parametrize(
    ("setting", "role", "is_superuser", "is_needed"),
    [
        ("all", "viewer", False, True),
        ("all", "a role of one's own", False, True),
        ("none", "admin", True, False),
        (["admin", "ops"], "ops", False, True),
        (["admin", "ops"], "viewer", False, False),
        (["admin", "ops"], "", True, True),
        (["ops"], "", True, False),
    ],
)
def test_the_setting_says_whose_is_needed(
    db: None, settings: Any, setting: Any, role: str, is_superuser: bool, is_needed: bool
) -> None:
    settings.MFA_ROLES = setting
    user, client = person(role, is_superuser=is_superuser)

    assert factors.needs_factor(user) is is_needed
    assert (client.get("/admin/").get("Location") == "/accounts/factors/") is is_needed


def test_with_a_factor_everything_opens_and_without_it_again_nothing(db: None, settings: Any) -> None:
    settings.MFA_ROLES = "all"
    user, client = person()
    factors.add_totp(user, "A" * 32, step=0)
    sign_in_fully(client, user)
    assert client.get("/admin/").status_code == 200

    factors.of(user).delete()  # As an administrator's reset.
    client.force_login(user)

    assert client.get("/admin/")["Location"] == "/accounts/factors/"


def test_setting_one_up_leads_on_to_the_page_asked_for_first(db: None, settings: Any) -> None:
    settings.MFA_ROLES = "all"
    _, client = person()
    client.get("/admin/contacts/contact/?q=ann&next=https://evil.example/")
    client.get("/admin/")
    note_proof_of(client)
    page = client.get("/accounts/factors/app/").content.decode()

    done = client.post("/accounts/factors/app/", {"sealed": sealed_of(page), "code": code_of(secret_of(page))})

    asked_for = "/admin/contacts/contact/?q=ann&amp;next=https://evil.example/"
    assert f'href="{asked_for}" class="narrow-button narrow-primary">I saved them' in done.content.decode()
    assert "asked_for" not in client.session


def note_proof_of(client: Client) -> None:
    session = client.session
    session[PROVED_AT] = timezone.now().timestamp()
    session.save()


@pytest.mark.parametrize("address", ["//evil.example/", "//evil.example/admin/", "/\\evil.example/"])
def test_no_other_host_can_be_asked_for(db: None, settings: Any, address: str) -> None:
    settings.MFA_ROLES = "all"
    _, client = person()

    client.generic("GET", "/", PATH_INFO=address)

    assert "asked_for" not in client.session


def test_the_last_factor_of_somebody_who_needs_one_stays(db: None, settings: Any) -> None:
    settings.MFA_ROLES = "all"
    user, client = person()
    factors.add_totp(user, "A" * 32, step=0)
    sign_in_fully(client, user)
    address = f"/accounts/factors/{factors.of(user).get().pk}/remove/"

    answer = client.post(address)

    assert "This is your only second factor" in answer.content.decode()
    assert factors.has_factor(user)
    settings.MFA_ROLES = "none"
    assert client.post(address)["Location"] == "/accounts/factors/"
    assert not factors.has_factor(user)


def test_nobody_removes_another_person_s_factor(db: None) -> None:
    user, _ = person("ops")
    factors.add_totp(user, "A" * 32, step=0)
    _, client = person("admin")

    assert client.post(f"/accounts/factors/{factors.of(user).get().pk}/remove/").status_code == 404


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "all"),
        ({"BASE_URL": "http://localhost:8000"}, "none"),
        ({"MFA_ROLES": "admin, ops"}, "['admin', 'ops']"),
        ({"MFA_ROLES": "admin,boss"}, "MFA_ROLES must be all, none or some of admin, marketer, ops, viewer"),
    ],
)
def test_off_loopback_it_is_needed_of_all_and_may_be_narrowed(environment: dict[str, str], expected: str) -> None:
    script = "from django.conf import settings; print(settings.MFA_ROLES)"

    found = run("-c", script, environment=production(DJANGO_SETTINGS_MODULE="brilliance.settings", **environment))

    assert expected in found.stdout + found.stderr


def test_the_setting_knows_every_role(settings: Any) -> None:
    assert set(settings.ROLE_NAMES) == set(ROLES)
