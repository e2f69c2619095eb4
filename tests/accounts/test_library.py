"""Of the sign-in library only the routes in use are reachable; every other is closed."""

import re

import pytest
from allauth.account import urls as account_urls
from allauth.account.models import EmailAddress
from allauth.mfa import urls as mfa_urls
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import urls as recovery_codes_urls
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from accounts.adapters import AccountAdapter
from tests.accounts.conftest import PASSWORD

USED = {
    "account_login",
    "account_logout",
    "mfa_login_webauthn",
    "mfa_authenticate",
    "mfa_index",
    "mfa_add_webauthn",
}


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> dict[str, str]:
    """Return the library's routes by name, with an address that each of them matches."""
    found: dict[str, str] = {}
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= routes(pattern.url_patterns, where)
        else:
            found[str(pattern.name)] = (
                re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", "1", where).replace("^", "").replace("$", "")
            )
    return found


LIBRARY = (
    routes(account_urls.urlpatterns)
    | routes(mfa_urls.urlpatterns, "2fa/")
    | routes(recovery_codes_urls.urlpatterns, "2fa/recovery-codes/")
)


def test_the_walk_finds_what_is_closed() -> None:
    assert {"account_signup", "account_reset_password", "account_email", "mfa_view_recovery_codes"} <= set(LIBRARY)
    assert set(LIBRARY) >= USED


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_a_route_is_used_or_closed(client: Client, name: str) -> None:
    if name in USED:
        assert reverse(name).startswith("/accounts/")
        return

    with pytest.raises(NoReverseMatch):
        reverse(name)
    for address in (f"/accounts/{LIBRARY[name]}", f"/{LIBRARY[name]}"):
        assert client.get(address).status_code == 404


def test_nothing_of_the_library_is_mounted_but_what_is_named() -> None:
    def walk(patterns: list[URLPattern | URLResolver]) -> dict[str, type]:
        """Return the library's views in use, and those that derive from them."""
        found = {}
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                found |= walk(pattern.url_patterns)
                continue
            view = getattr(pattern.callback, "view_class", type(None))
            if any(base.__module__.startswith("allauth") for base in view.__mro__):
                found[str(pattern.name)] = view
        return found

    views = walk(get_resolver().url_patterns)

    assert set(views) == USED - {"mfa_index"}
    # Its templates would load scripts from elsewhere and link to what is closed. These two show none.
    without_page = {"account_logout", "mfa_login_webauthn"}
    for name in set(views) - without_page:
        assert views[name].template_name.startswith("accounts/")  # type: ignore[attr-defined]


def test_nobody_signs_up_and_no_admin_page_shows_factors(rf: object) -> None:
    assert not AccountAdapter().is_open_for_signup(None)  # type: ignore[arg-type]
    assert not admin.site.is_registered(Authenticator)
    assert not admin.site.is_registered(EmailAddress)


@pytest.mark.parametrize("who", ["a stranger", "somebody signed in"])
def test_the_admin_s_own_form_is_no_way_around(ann: User, who: str) -> None:
    client = Client()
    if who != "a stranger":
        client.force_login(User.objects.create_user("bob", is_staff=True))
    answers = [
        client.get("/admin/login/?next=/admin/auth/user/"),
        client.post("/admin/login/?next=/admin/auth/user/", {"username": "ann", "password": PASSWORD}),
    ]

    assert {answer["Location"] for answer in answers} == {"/accounts/login/?next=/admin/auth/user/"}
    assert client.session.get("_auth_user_id") != str(ann.pk)


@pytest.mark.parametrize("name", sorted(USED | {"set_up_totp", "recovery_codes", "fresh_sign_in"}))
def test_every_form_wants_its_token(db: None, name: str) -> None:
    assert Client(enforce_csrf_checks=True).post(reverse(name)).status_code == 403
