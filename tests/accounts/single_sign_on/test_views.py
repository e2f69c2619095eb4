"""Signing in by way of the issuer: who comes in, with which roles, and that nothing of the way is kept."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from axes.models import AccessFailureLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.db import connections
from django.test import Client

from accounts.models import Identity
from accounts.sign_in.lockout import FAILURES_PER_NETWORK
from accounts.single_sign_on import identities
from accounts.single_sign_on import views as single_sign_on
from accounts.single_sign_on.identities import LAST_ADMIN, NO_ACCOUNT, NOT_LINKED, SWITCHED_OFF
from accounts.single_sign_on.issuer import Claims
from adminpages.fresh_sign_in import FRESH_FOR, PROVED_AT
from tests.accounts.conftest import PASSWORD, App, sign_in_fully
from tests.accounts.sign_in.test_signing_in import LOGIN, SECOND, database_dump, is_signed_in
from tests.accounts.test_fresh_sign_in import SERVERS, asks, grow_old
from tests.brilliance.security.test_browser import production, run
from tests.peers.issuer import CLIENT_SECRET, ScriptedIssuer, say

BEGIN, CALLBACK, QUESTION = "/accounts/login/issuer/", "/accounts/login/issuer/callback/", "/accounts/confirm/"
MARKETER = {"groups": ["marketing"]}
pytestmark = pytest.mark.django_db


def go(client: Client, issuer: ScriptedIssuer, next_url: str = "", **changed: str) -> Any:
    """Press the button, sign in at the issuer, and come back; return the product's answer."""
    asked = client.get(BEGIN, {"next": next_url} if next_url else {})
    assert asked.status_code == 302, asked
    assert asked["Location"].startswith(f"{issuer.url}/authorize?")
    return come_back(client, issuer.come_back(asked["Location"], **changed))


def come_back(client: Client, address: str) -> Any:
    assert address.startswith(f"http://localhost:8000{CALLBACK}?")
    return client.get(CALLBACK, dict(parse_qsl(urlsplit(address).query)))


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def known(username: str = "ann", *roles: str, **values: Any) -> User:
    """Return a user whom the issuer knows as the subject ``ann-1``."""
    user = User.objects.create_user(username, is_staff=True, **values)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def link(user: User, issuer: ScriptedIssuer) -> User:
    Identity.objects.create(user=user, issuer=issuer.url, subject="ann-1")
    return user


def roles_of(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


# --- the way there and back


def test_somebody_known_signs_in_and_lands_where_they_wanted(issuer: ScriptedIssuer) -> None:
    user = link(known(), issuer)
    client = Client()
    before = client.session.session_key

    answer = go(client, issuer, "/admin/password_change/")

    assert answer["Location"] == "/admin/password_change/"
    assert client.session["_auth_user_id"] == str(user.pk)
    assert client.session.session_key != before
    assert single_sign_on.PENDING not in client.session


def test_the_page_offers_it_and_keeps_where_to_go(issuer: ScriptedIssuer, settings: Any) -> None:
    page = Client().get(LOGIN, {"next": "/admin/x/?a=1&b=2"}).content.decode()
    assert f'href="{BEGIN}?next=%2Fadmin%2Fx%2F%3Fa%3D1%26b%3D2"' in page

    settings.OIDC_ISSUER = ""

    assert "single sign-on" not in Client().get(LOGIN).content.decode()
    assert Client().get(BEGIN).status_code == Client().get(CALLBACK).status_code == 404


@pytest.mark.parametrize(
    "next_url", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "word"]
)
def test_it_leads_to_no_other_host(issuer: ScriptedIssuer, next_url: str) -> None:
    link(known(), issuer)

    assert go(Client(), issuer, next_url)["Location"] == "/admin/"


@pytest.mark.parametrize(
    ("site", "begins"), [("cross-site", False), ("same-site", False), ("same-origin", True), ("none", True)]
)
def test_a_page_elsewhere_signs_nobody_in(issuer: ScriptedIssuer, site: str, begins: bool) -> None:
    client = Client(headers={"sec-fetch-site": site})

    answer = client.get(BEGIN, {"next": "/admin/"})

    leads_to = f"{issuer.url}/authorize?" if begins else f"{LOGIN}?next=%2Fadmin%2F"
    assert answer["Location"].startswith(leads_to)
    assert (single_sign_on.PENDING in client.session) is begins


def test_the_address_to_come_back_to_is_ours_whatever_the_host_header_says(
    issuer: ScriptedIssuer, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["*"]

    asked = Client(headers={"host": "evil.example"}).get(BEGIN)

    assert dict(parse_qsl(urlsplit(asked["Location"]).query))["redirect_uri"] == f"http://localhost:8000{CALLBACK}"


def test_every_question_is_another_one(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    for _ in range(2):
        go(Client(), issuer)

    for name in ("state", "nonce", "code_challenge"):
        first, second = (query[name] for query in issuer.queries)
        assert first != second
        assert len(first) >= 43


def test_an_answer_counts_once(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    client = Client()
    address = issuer.come_back(client.get(BEGIN)["Location"])
    assert come_back(client, address)["Location"] == "/admin/"
    client.post("/accounts/logout/")

    again = come_back(client, address)

    assert single_sign_on.NOT_PENDING in said(again)
    assert not is_signed_in(client)
    assert issuer.asked.count("/token") == 1


def test_an_answer_to_another_browser_signs_nobody_in(issuer: ScriptedIssuer) -> None:
    """An attacker lets a victim's browser open the end of the attacker's own sign-in."""
    link(known(), issuer)
    attackers = issuer.come_back(Client().get(BEGIN)["Location"])
    fresh, begun = Client(), Client()
    begun.get(BEGIN)

    answers = [come_back(victim, attackers) for victim in (fresh, begun)]

    assert [said(answer) for answer in answers] == [[single_sign_on.NOT_PENDING]] * 2
    assert not is_signed_in(fresh)
    assert not is_signed_in(begun)
    assert "/token" not in issuer.asked


def test_several_tabs_sign_in_each_with_its_own_page(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    client = Client()
    first, second = (
        issuer.come_back(client.get(BEGIN, {"next": next_url})["Location"])
        for next_url in ("/admin/first/", "/admin/second/")
    )

    assert come_back(client, second)["Location"] == "/admin/second/"
    assert come_back(client, first)["Location"] == "/admin/first/"

    assert is_signed_in(client)
    assert issuer.asked.count("/token") == 1  # Whoever is in already needs no further answer.


def test_the_back_button_after_signing_in_asks_nothing(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    client = Client()
    address = issuer.come_back(client.get(BEGIN)["Location"])
    come_back(client, address)

    again = come_back(client, address)

    assert again["Location"] == "/admin/"
    assert said(again) == []


def test_few_questions_of_a_browser_wait_at_the_same_time(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    client = Client()
    oldest = issuer.come_back(client.get(BEGIN)["Location"])
    for _ in range(single_sign_on.MOST_PENDING):
        client.get(BEGIN)

    assert len(client.session[single_sign_on.PENDING]) == single_sign_on.MOST_PENDING
    assert said(come_back(client, oldest)) == [single_sign_on.NOT_PENDING]


def test_an_answer_that_took_too_long_is_refused(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    client = Client()
    address = issuer.come_back(client.get(BEGIN)["Location"])
    session = client.session
    (pending,) = session[single_sign_on.PENDING].values()
    pending["at"] = time.time() - single_sign_on.PENDING_SECONDS - 1
    session.save()

    assert said(come_back(client, address)) == [single_sign_on.NOT_PENDING]


# --- what goes wrong


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", single_sign_on.CANCELLED),
        ("server_error", single_sign_on.FAILED),
        ("canary <script>", single_sign_on.FAILED),
    ],
)
def test_an_error_of_the_issuer_is_said_in_our_own_words(
    issuer: ScriptedIssuer, caplog: pytest.LogCaptureFixture, error: str, expected: str
) -> None:
    client = Client()
    answer = go(client, issuer, "/admin/x/", error=error, error_description="canary description")

    assert answer["Location"] == f"{LOGIN}?next=%2Fadmin%2Fx%2F"
    page = client.get(answer["Location"]).content.decode()
    assert expected.replace("'", "&#x27;") in page
    assert "canary" not in page + caplog.text
    assert "/token" not in issuer.asked


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
def test_an_issuer_that_is_down_is_a_sentence_on_the_page(issuer: ScriptedIssuer, path: str) -> None:
    link(known(), issuer)
    issuer.answers[path] = lambda handler: say(handler, 503, {})
    client = Client()

    answer = client.get(BEGIN)
    if path != "/.well-known/openid-configuration":
        answer = come_back(client, issuer.come_back(answer["Location"]))

    assert answer["Location"] == LOGIN
    assert "Single sign-on isn&#x27;t available right now." in client.get(LOGIN).content.decode()
    assert not is_signed_in(client)


def test_a_token_for_another_sign_in_signs_nobody_in_and_counts_as_a_failure(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    issuer.claims["nonce"] = "of another sign-in"
    client = Client()

    answer = go(client, issuer)

    assert said(answer) == [single_sign_on.FAILED]
    assert not is_signed_in(client)
    assert AccessFailureLog.objects.count() == 1


def test_guessed_codes_lock_the_network_out(issuer: ScriptedIssuer) -> None:
    link(known(), issuer)
    answers = []
    for _ in range(FAILURES_PER_NETWORK + 1):
        client = Client(REMOTE_ADDR="203.0.113.5")
        state = dict(parse_qsl(urlsplit(client.get(BEGIN)["Location"]).query))["state"]
        answers.append(client.get(CALLBACK, {"code": "guess", "state": state}).status_code)

    assert answers[0] == 302
    assert answers[-1] == 429
    assert issuer.asked.count("/token") == FAILURES_PER_NETWORK
    assert go(Client(REMOTE_ADDR="198.51.100.7"), issuer)["Location"] == "/admin/"


@pytest.mark.parametrize("way", ["in", "wrong nonce", "no account", "down", "denied"])
def test_no_secret_code_or_token_is_kept_anywhere(
    issuer: ScriptedIssuer, caplog: pytest.LogCaptureFixture, settings: Any, way: str
) -> None:
    caplog.set_level(logging.DEBUG)
    issuer.claims |= MARKETER if way != "no account" else {}
    if way == "wrong nonce":
        issuer.claims["nonce"] = "other"
    if way == "down":
        issuer.answers["/keys"] = lambda handler: say(handler, 500, {})
    client = Client()

    answer = go(client, issuer, "/admin/", **({"error": "access_denied"} if way == "denied" else {}))
    page = client.get(answer["Location"]).content.decode()

    assert len(issuer.said) == (1 if way == "denied" else 4)
    kept = caplog.text + page + answer["Location"] + database_dump() + str(dict(client.session))
    kept += "".join(cookie.OutputString() for cookie in client.cookies.values())
    for hidden in (*issuer.said, CLIENT_SECRET, urlencode({"": CLIENT_SECRET})[1:]):
        assert hidden not in kept
    query = issuer.queries[0]
    assert all(query[name] not in caplog.text + page for name in ("state", "nonce", "code_challenge"))


# --- who comes in


def test_somebody_new_comes_in_by_a_group_that_gives_a_role(issuer: ScriptedIssuer) -> None:
    issuer.claims |= {**MARKETER, "preferred_username": "ann@example.com", "email": "x@y.example"}

    go(Client(), issuer)

    user = User.objects.get()
    assert (user.username, user.email, roles_of(user)) == ("ann@example.com", "", {"marketer"})
    assert user.is_staff
    assert not user.is_superuser
    assert not user.has_usable_password()
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        "Made by single sign-on.",
        "Roles by single sign-on: +marketer.",
    ]


@pytest.mark.parametrize("groups", [None, [], ["unknown"], ["Marketing"], "mail", {"marketing": 1}])
def test_somebody_new_without_such_a_group_is_told_whom_to_ask(issuer: ScriptedIssuer, groups: Any) -> None:
    issuer.claims["groups"] = groups
    client = Client()

    assert said(go(client, issuer)) == [NO_ACCOUNT]
    assert not User.objects.exists()
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (None, "the claim groups held no groups."),
        (["other", "line\nbreak"], r"the claim groups held ['line\nbreak', 'other'], none of which OIDC_ROLES names."),
    ],
)
def test_the_log_says_why_somebody_new_stays_out(
    issuer: ScriptedIssuer, caplog: pytest.LogCaptureFixture, groups: Any, reason: str
) -> None:
    issuer.claims["groups"] = groups

    go(Client(), issuer)

    assert f"Single sign-on: subject 'ann-1' stays out: {reason}" in caplog.messages


@pytest.mark.parametrize(
    ("claims", "username"),
    [
        ({"preferred_username": "ann"}, "ann-3"),  # Ann and ann-2 are others.
        ({"preferred_username": "аnn"}, "user"),  # A Cyrillic letter.
        ({"preferred_username": "ann\x00", "email": "new@example.com", "email_verified": True}, "new@example.com"),
        ({"preferred_username": "a" * 200}, "user"),
        ({"preferred_username": ["ann"]}, "user"),
        ({}, "user"),
    ],
    ids=str,
)
def test_a_new_name_is_nobody_elses(issuer: ScriptedIssuer, claims: dict[str, Any], username: str) -> None:
    for name in ("Ann", "ann-2", "annabel"):
        User.objects.create_user(name)
    issuer.claims |= {**MARKETER, **claims}

    go(Client(), issuer)

    assert User.objects.get(username=username) == Identity.objects.get().user


def test_a_subject_stays_who_it_was_whatever_else_changes(issuer: ScriptedIssuer) -> None:
    user = link(known(), issuer)
    known("bob", email="bob@example.com")
    issuer.claims |= {"preferred_username": "bob", "email": "bob@example.com", "email_verified": True}
    client = Client()

    go(client, issuer)

    assert client.session["_auth_user_id"] == str(user.pk)


def test_the_same_subject_of_another_issuer_is_somebody_else(issuer: ScriptedIssuer) -> None:
    Identity.objects.create(user=known(), issuer="https://other.example", subject="ann-1")

    assert said(go(Client(), issuer)) == [NO_ACCOUNT]


def test_somebody_switched_off_stays_out(issuer: ScriptedIssuer) -> None:
    link(known(is_active=False), issuer)
    issuer.claims |= MARKETER
    client = Client()

    assert said(go(client, issuer)) == [SWITCHED_OFF]
    assert not is_signed_in(client)
    assert not roles_of(User.objects.get())


# --- linking by e-mail


ANNS = {"email": "Ann@Example.com", "email_verified": True}


def test_a_verified_address_links_once_it_is_asked_for(issuer: ScriptedIssuer, settings: Any) -> None:
    ann = known(email="ann@example.com", password=PASSWORD)
    issuer.claims |= ANNS
    assert said(go(Client(), issuer)) == [NO_ACCOUNT]

    settings.OIDC_LINK_BY_EMAIL = True
    client = Client()
    go(client, issuer)

    assert client.session["_auth_user_id"] == str(ann.pk)
    assert Identity.objects.get().user == ann


@pytest.mark.parametrize("claims", [{"email_verified": False}, {"email_verified": None}, {"email_verified": "true"}])
def test_an_address_that_is_not_verified_links_nobody(
    issuer: ScriptedIssuer, settings: Any, claims: dict[str, Any]
) -> None:
    settings.OIDC_LINK_BY_EMAIL = True
    known(email="ann@example.com")
    issuer.claims |= {**ANNS, **claims}

    assert said(go(Client(), issuer)) == [NO_ACCOUNT]


def test_an_address_of_two_people_links_nobody(
    issuer: ScriptedIssuer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OIDC_LINK_BY_EMAIL = True
    known(email="ann@example.com")
    known("bob", email="ANN@example.com")
    issuer.claims |= {**ANNS, **MARKETER}

    assert said(go(Client(), issuer)) == [NOT_LINKED]
    assert "ann and bob have the same e-mail address." in caplog.text
    assert User.objects.count() == 2


def test_an_address_that_went_to_somebody_else_links_nobody(
    issuer: ScriptedIssuer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OIDC_LINK_BY_EMAIL = True
    link(known(email="ann@example.com"), issuer)
    issuer.claims |= {**ANNS, **MARKETER, "sub": "another-ann"}

    assert said(go(Client(), issuer)) == [NOT_LINKED]
    assert "that of ann, who is linked to another subject." in caplog.text


@pytest.mark.parametrize("is_on", [True, False])
def test_nobody_who_is_switched_off_comes_back_as_somebody_new(
    issuer: ScriptedIssuer, settings: Any, is_on: bool
) -> None:
    settings.OIDC_LINK_BY_EMAIL = is_on
    known(email="ann@example.com", is_active=False)
    issuer.claims |= {**ANNS, **MARKETER}

    assert said(go(Client(), issuer)) == [SWITCHED_OFF]
    assert User.objects.count() == 1


@pytest.mark.parametrize("email", ["ſam@example.com", "mıke@example.com", "", "%@example.com"])
def test_letters_that_only_look_alike_link_nobody(issuer: ScriptedIssuer, settings: Any, email: str) -> None:
    settings.OIDC_LINK_BY_EMAIL = True
    for name in ("sam", "mike"):
        known(name, email=f"{name}@example.com")
    known("none", email="")
    issuer.claims |= {"email": email, "email_verified": True}

    assert said(go(Client(), issuer)) == [NO_ACCOUNT]


# --- roles


def test_groups_give_and_take_the_roles_that_are_named_and_leave_the_others(issuer: ScriptedIssuer) -> None:
    known("boss", "admin")
    user = link(known("ann", "admin", "viewer"), issuer)
    issuer.claims["groups"] = ["marketing"]

    go(Client(), issuer)

    assert roles_of(user) == {"marketer", "viewer"}
    assert LogEntry.objects.get().change_message == "Roles by single sign-on: +marketer, −admin."


def test_without_a_mapping_roles_are_left_to_administrators(issuer: ScriptedIssuer, settings: Any) -> None:
    settings.OIDC_ROLES = []
    user = link(known("ann", "marketer"), issuer)

    go(Client(), issuer)

    assert roles_of(user) == {"marketer"}
    assert not LogEntry.objects.exists()


def test_a_role_taken_away_ends_the_other_sessions(issuer: ScriptedIssuer) -> None:
    link(known("ann"), issuer)
    issuer.claims |= MARKETER
    laptop, phone = Client(), Client()
    go(laptop, issuer)
    go(phone, issuer)
    assert is_signed_in(laptop)

    issuer.claims["groups"] = []
    phone.post("/accounts/logout/")
    go(phone, issuer)

    assert not is_signed_in(laptop)
    assert is_signed_in(phone)


def test_the_last_administrator_stays_one_and_is_told(issuer: ScriptedIssuer) -> None:
    user = link(known("ann", "admin", "marketer"), issuer)
    known("gone", "admin", is_active=False)
    known("not staff", "admin")
    User.objects.filter(username="not staff").update(is_staff=False)

    answer = go(Client(), issuer)

    assert roles_of(user) == {"admin"}
    assert said(answer) == [LAST_ADMIN]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_four_administrators_who_lose_the_role_at_once_one_keeps_it(issuer: ScriptedIssuer) -> None:
    names = [f"admin-{number}" for number in range(4)]
    for name in names:
        Identity.objects.create(user=known(name, "admin"), issuer=issuer.url, subject=name)

    barrier = Barrier(4)

    def come_in(name: str) -> str:
        try:
            barrier.wait(10)
            return identities.user_of(Claims(name, name, "", frozenset(), None))[1]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(come_in, names))

    assert sorted(told) == ["", "", "", LAST_ADMIN]
    assert User.objects.filter(groups__name="admin").count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_somebody_new_in_four_windows_at_once_is_one_user(issuer: ScriptedIssuer) -> None:
    issuer.claims |= MARKETER

    def sign_in(number: int) -> list[str]:
        try:
            return said(go(Client(REMOTE_ADDR=f"10.0.{number}.1"), issuer))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(sign_in, range(4)))

    assert told == [[]] * 4
    assert User.objects.count() == Identity.objects.count() == 1


def test_a_superuser_is_no_ones_to_demote(issuer: ScriptedIssuer) -> None:
    user = link(known("ann", is_superuser=True), issuer)

    go(Client(), issuer)

    user.refresh_from_db()
    assert user.is_superuser


# --- the second factor


def test_our_own_second_factor_is_asked_for(issuer: ScriptedIssuer, ann: User, app: App) -> None:
    link(ann, issuer)
    known("boss", "admin")
    client = Client()

    answer = go(client, issuer, "/admin/password_change/")

    assert answer["Location"] == SECOND
    assert not is_signed_in(client)
    assert client.post(SECOND, {"code": app()})["Location"] == "/admin/password_change/"
    assert is_signed_in(client)


def test_who_needs_one_sets_it_up_after_the_issuer_was_asked_anew(issuer: ScriptedIssuer, settings: Any) -> None:
    settings.MFA_ROLES = "all"
    link(known(), issuer)
    client = Client()
    go(client, issuer)
    assert client.get("/admin/")["Location"] == "/accounts/factors/"
    assert client.get("/accounts/factors/app/")["Location"].startswith(QUESTION)

    issuer.claims["auth_time"] = int(time.time())
    answer = go(client, issuer, "/accounts/factors/app/")

    assert answer["Location"] == "/accounts/factors/app/"
    assert client.get("/accounts/factors/app/").status_code == 200


def test_the_issuers_own_is_enough_where_settings_say_so(
    issuer: ScriptedIssuer, settings: Any, ann: User, app: App
) -> None:
    settings.MFA_ROLES, settings.OIDC_MFA = "all", "issuer"
    known("boss", "admin")
    link(ann, issuer)
    client = Client()

    assert go(client, issuer, "/admin/password_change/")["Location"] == "/admin/password_change/"

    assert is_signed_in(client)


def test_it_is_enough_for_who_has_none_here_and_for_single_sign_on_alone(issuer: ScriptedIssuer, settings: Any) -> None:
    settings.MFA_ROLES, settings.OIDC_MFA = "all", "issuer"
    link(known(password=PASSWORD), issuer)
    by_issuer, by_password = Client(), Client()

    go(by_issuer, issuer)
    by_password.post(LOGIN, {"login": "ann", "password": PASSWORD})

    assert is_signed_in(by_issuer)
    assert not is_signed_in(by_password)
    settings.OIDC_MFA = "own"
    assert not is_signed_in(by_issuer)


# --- a fresh sign-in


@pytest.fixture
def signed_in(issuer: ScriptedIssuer) -> Client:
    """A client of Ann, who may do everything and came by the issuer, which did not say when she signed in there."""
    issuer.claims["groups"] = ["mail-admins"]
    link(known("ann", "admin"), issuer)
    client = Client()
    go(client, issuer)
    return client


def test_coming_by_the_issuer_is_no_proof_that_is_fresh(signed_in: Client) -> None:
    assert asks(signed_in.get(f"{SERVERS}add/"))


@pytest.mark.parametrize(("seconds", "is_fresh"), [(0, True), (500, True), (700, False), (-30, True), (-3600, False)])
def test_it_is_one_if_the_issuer_says_that_it_is(issuer: ScriptedIssuer, seconds: int, is_fresh: bool) -> None:
    link(known("ann", "admin"), issuer)
    issuer.claims["auth_time"] = int(time.time()) - seconds
    client = Client()

    go(client, issuer)

    assert asks(client.get(f"{SERVERS}add/")) is not is_fresh


def test_the_issuer_is_asked_anew_and_its_answer_leads_back(signed_in: Client, issuer: ScriptedIssuer) -> None:
    asked = signed_in.get(f"{SERVERS}add/")
    page = signed_in.get(asked["Location"]).content.decode()
    assert f'href="{BEGIN}?next=%2Fadmin%2Fsmtpservers%2Fsmtpserver%2Fadd%2F"' in page
    assert 'name="password"' not in page
    issuer.claims["auth_time"] = int(time.time())

    answer = go(signed_in, issuer, f"{SERVERS}add/")

    assert answer["Location"] == f"{SERVERS}add/"
    assert (issuer.queries[-1]["max_age"], issuer.queries[-1]["prompt"]) == ("0", "login")
    assert "max_age" not in issuer.queries[0]
    assert signed_in.get(f"{SERVERS}add/").status_code == 200


def test_without_a_page_to_go_to_it_says_that_the_tab_can_be_closed(signed_in: Client, issuer: ScriptedIssuer) -> None:
    issuer.claims["auth_time"] = int(time.time())

    assert "Close this tab" in go(signed_in, issuer).content.decode()


# The clock goes on while the test runs: the one that lies ahead lies far enough ahead to do so at its end, too.
@pytest.mark.parametrize("seconds", [None, 601, 86_400, -120, -3600])
def test_a_sign_in_of_long_ago_is_no_answer(
    signed_in: Client, issuer: ScriptedIssuer, caplog: pytest.LogCaptureFixture, seconds: int | None
) -> None:
    issuer.claims["auth_time"] = None if seconds is None else int(time.time()) - seconds

    answer = go(signed_in, issuer, f"{SERVERS}add/")

    assert answer["Location"] == f"{QUESTION}?next=%2Fadmin%2Fsmtpservers%2Fsmtpserver%2Fadd%2F"
    assert said(answer) == [single_sign_on.NOT_RECENT]
    assert ("has no auth_time" in caplog.text) is (seconds is None)
    assert asks(signed_in.get(f"{SERVERS}add/"))


def test_ten_minutes_after_it_it_is_asked_again(signed_in: Client, issuer: ScriptedIssuer) -> None:
    issuer.claims["auth_time"] = int(time.time() - FRESH_FOR.total_seconds() + 60)
    go(signed_in, issuer)
    assert not asks(signed_in.get(f"{SERVERS}add/"))

    grow_old(signed_in)

    assert asks(signed_in.get(f"{SERVERS}add/"))


def test_somebody_else_at_the_issuer_confirms_nothing(signed_in: Client, issuer: ScriptedIssuer) -> None:
    Identity.objects.create(user=known("bob"), issuer=issuer.url, subject="bob-1")
    issuer.claims |= {"sub": "bob-1", "auth_time": int(time.time())}

    answer = go(signed_in, issuer)

    assert said(answer) == [single_sign_on.SOMEBODY_ELSE]
    assert asks(signed_in.get(f"{SERVERS}add/"))
    assert signed_in.session["_auth_user_id"] == str(User.objects.get(username="ann").pk)


def test_cancelling_at_the_issuer_confirms_nothing_and_says_so(signed_in: Client, issuer: ScriptedIssuer) -> None:
    assert said(go(signed_in, issuer, f"{SERVERS}add/", error="access_denied")) == [single_sign_on.NOT_CONFIRMED]
    assert asks(signed_in.get(f"{SERVERS}add/"))


def test_an_answer_for_signing_in_confirms_nothing(issuer: ScriptedIssuer) -> None:
    """The question for a sign-in allows an old session at the issuer; it must not pass as one for a fresh sign-in."""
    ann = link(known("ann", "admin", password=PASSWORD), issuer)
    client = Client()
    address = issuer.come_back(client.get(BEGIN)["Location"])
    client.force_login(ann)
    grow_old(client)
    issuer.claims["auth_time"] = int(time.time())

    assert come_back(client, address)["Location"] == "/admin/"
    assert asks(client.get(f"{SERVERS}add/"))


# --- without passwords


def test_passwords_and_passkeys_are_closed_in_every_way_in(
    issuer: ScriptedIssuer, settings: Any, ann: User, app: App
) -> None:
    settings.OIDC_ONLY = True
    stranger, inside = Client(), Client()
    sign_in_fully(inside, ann)
    grow_old(inside)

    page = stranger.get(LOGIN).content.decode()
    sent = {"login": "ann", "username": "ann", "password": PASSWORD, "next": "/admin/"}
    for address in (LOGIN, "/admin/login/", "/admin/"):
        stranger.post(address, sent)
    assert "single sign-on" in page
    assert 'type="password"' not in page
    assert "passkey" not in page
    assert not is_signed_in(stranger)
    assert stranger.get("/accounts/login/passkey/")["Location"] == LOGIN

    assert 'name="password"' not in inside.get(QUESTION).content.decode()
    inside.post(QUESTION, {"password": PASSWORD})
    on_the_way = inside.post("/restored/", {"answer": "may have sent", "fresh_password": PASSWORD})
    assert asks(inside.get(f"{SERVERS}add/"))
    assert b'type="password"' not in on_the_way.content
    assert b"in a new tab" in on_the_way.content
    assert inside.post(QUESTION, {"code": app()}).status_code == 200
    assert not asks(inside.get(f"{SERVERS}add/"))


def test_a_new_key_is_no_passkey_where_passkeys_are_closed(settings: Any, ann: User) -> None:
    client = Client()
    sign_in_fully(client, ann)
    session = client.session
    session[PROVED_AT] = time.time()
    session.save()
    assert "Makes it a passkey" in client.get("/accounts/factors/key/").content.decode()

    settings.OIDC_ONLY = True

    page = client.get("/accounts/factors/key/").content.decode()
    assert "Add key" in page
    assert "Makes it a passkey" not in page


def test_the_check_of_passwords_itself_is_closed(settings: Any, ann: User, rf: Any) -> None:
    request = rf.post("/", REMOTE_ADDR="192.0.2.1")
    assert authenticate(request, username="ann", password=PASSWORD) == ann

    settings.OIDC_ONLY = True

    assert authenticate(rf.post("/", REMOTE_ADDR="192.0.2.1"), username="ann", password=PASSWORD) is None


def test_who_signs_in_by_no_password_is_offered_no_new_one(
    signed_in: Client, settings: Any, by_password: Client
) -> None:
    assert b"Change password" not in signed_in.get("/accounts/").content
    assert b"Change password" in by_password.get("/accounts/").content

    settings.OIDC_ONLY = True

    assert b"Change password" not in by_password.get("/accounts/").content


@pytest.fixture
def by_password(db: None) -> Client:
    """A client of somebody who has a password."""
    client = Client()
    client.force_login(known("bea", "admin", password=PASSWORD))
    return client


# --- settings


GIVEN = {"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "canary-b"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "[]"),
        (
            {**GIVEN, "OIDC_ROLES": "admin:mail-admins, marketer:cn:marketing"},
            "[('admin', 'mail-admins'), ('marketer', 'cn:marketing')]",
        ),
        ({**GIVEN, "OIDC_ROLES": "boss:x"}, "OIDC_ROLES must be like admin:mail-admins, not 'boss:x'"),
        ({**GIVEN, "OIDC_ROLES": "admin"}, "OIDC_ROLES must be like"),
        ({**GIVEN, "OIDC_ROLES": "admin:"}, "OIDC_ROLES must be like"),
        ({**GIVEN, "OIDC_ISSUER": "http://id.example.com"}, "OIDC_ISSUER must be an https address"),
        ({**GIVEN, "OIDC_ISSUER": "http://127.0.0.1:8080/realms/a"}, "[]"),
        ({**GIVEN, "OIDC_CLIENT_SECRET": ""}, "OIDC_ISSUER needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET."),
        ({"OIDC_ONLY": "on"}, "OIDC_ONLY=on needs OIDC_ISSUER"),
        ({**GIVEN, "OIDC_MFA": "none"}, "OIDC_MFA must be own or issuer"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(environment: dict[str, str], expected: str) -> None:
    script = "from django.conf import settings; print(settings.OIDC_ROLES)"

    found = run("-c", script, environment=production(DJANGO_SETTINGS_MODULE="brilliance.settings", **environment))

    assert expected in found.stdout + found.stderr
    assert "canary" not in found.stdout + found.stderr


def test_a_secret_is_taken_as_it_stands() -> None:
    secret = "$HOME-made, with a comma"
    environment = {
        "OIDC_ISSUER": "https://id.example.com",
        "OIDC_CLIENT_ID": "brilliance",
        "OIDC_CLIENT_SECRET": secret,
        "DJANGO_SETTINGS_MODULE": "brilliance.settings",
    }
    script = "from django.conf import settings; print(settings.OIDC_CLIENT_SECRET)"

    assert run("-c", script, environment=production(**environment)).stdout == f"{secret}\n"
