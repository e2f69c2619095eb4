"""Setting up second factors: what is stored, what is shown, and to whom."""

import re
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import factors
from tests.accounts.conftest import App, code_of, sign_in_fully
from tests.accounts.sign_in.test_signing_in import SECOND, after_the_password, database_dump, is_signed_in

SET_UP, CODES = "/accounts/factors/app/", "/accounts/factors/recovery-codes/"


@pytest.fixture
def client(ann: User) -> Client:
    client = Client()
    sign_in_fully(client, ann)
    return client


def secret_of(page: str) -> str:
    shown = re.search(r'account-secret"[^>]*>([A-Z2-7 ]+)<', page)
    assert shown is not None
    return shown[1].replace(" ", "")


def sealed_of(page: str) -> str:
    hidden = re.search(r'name="sealed" value="([^"]+)"', page)
    assert hidden is not None
    return hidden[1]


def codes_of(page: str) -> list[str]:
    return re.findall(r"<li>(\w{4}-\w{4}-\w{4})</li>", page)


def test_an_app_is_set_up_by_its_code_and_its_secret_stands_nowhere_in_clear(ann: User, client: Client) -> None:
    page = client.get(SET_UP).content.decode()
    secret = secret_of(page)
    assert secret not in database_dump() + str(dict(client.session))

    wrong = client.post(SET_UP, {"sealed": sealed_of(page), "code": "000000"}).content.decode()
    assert secret_of(wrong) == secret  # The app that was scanned once stays good.
    assert not factors.has_factor(ann)

    assert "000000" not in wrong  # The field is empty again.
    done = client.post(SET_UP, {"sealed": sealed_of(wrong), "code": code_of(secret)}).content.decode()

    assert len(codes_of(done)) == factors.RECOVERY_CODE_COUNT
    stored = database_dump() + str(dict(client.session))
    assert secret not in stored
    assert not any(code in stored for code in codes_of(done))


def test_a_lost_phone_is_replaced_with_a_recovery_code_where_a_factor_is_needed(
    ann: User, app: App, settings: Any
) -> None:
    settings.MFA_ROLES = "all"
    code, other, *_ = factors.make_recovery_codes(ann)
    with_the_phone = after_the_password()
    with_the_phone.post(SECOND, {"code": app()})
    client = after_the_password()
    client.post(SECOND, {"code": code})
    assert "Replace it under Second factor" in client.get("/admin/").content.decode()
    assert SET_UP in client.get("/accounts/factors/").content.decode()
    assert (
        SET_UP in client.get(f"/accounts/factors/{factors.of(ann).get(type=factors.TOTP).pk}/remove/").content.decode()
    )

    page = client.get(SET_UP).content.decode()
    assert "stops working" in page
    client.post(SET_UP, {"sealed": sealed_of(page), "code": code_of(secret_of(page))})

    assert after_the_password().post(SECOND, {"code": app(1)}).status_code == 200
    assert after_the_password().post(SECOND, {"code": code_of(secret_of(page), 1)}).status_code == 302
    assert after_the_password().post(SECOND, {"code": other}).status_code == 302
    assert is_signed_in(client)
    assert not is_signed_in(with_the_phone)


def test_the_code_that_set_it_up_signs_nobody_in(ann: User, client: Client) -> None:
    page = client.get(SET_UP).content.decode()
    code = code_of(secret_of(page))
    client.post(SET_UP, {"sealed": sealed_of(page), "code": code})

    assert after_the_password().post(SECOND, {"code": code}).status_code == 200


def test_nobody_is_given_the_secret_of_another_person(ann: User, client: Client) -> None:
    """A page prepared by somebody else, who knows the secret in it."""
    mallory = Client()
    mallory.force_login(User.objects.create_user("mallory", is_staff=True))
    prepared = mallory.get(SET_UP).content.decode()

    answer = client.post(SET_UP, {"sealed": sealed_of(prepared), "code": code_of(secret_of(prepared))})

    assert not factors.has_factor(ann)
    assert secret_of(answer.content.decode()) != secret_of(prepared)


@pytest.mark.parametrize("sent", [{}, {"sealed": "x"}, {"sealed": "x", "code": "123456"}, {"code": "1" * 5000}])
def test_what_was_never_sealed_sets_nothing_up(ann: User, client: Client, sent: dict[str, str]) -> None:
    assert client.post(SET_UP, sent).status_code == 200
    assert not factors.has_factor(ann)


def test_recovery_codes_are_shown_once_and_new_ones_replace_them(ann: User, app: App, client: Client) -> None:
    first = codes_of(client.post(CODES).content.decode())
    assert codes_of(client.get(CODES).content.decode()) == []

    second = codes_of(client.post(CODES).content.decode())

    assert set(first).isdisjoint(second)
    assert after_the_password().post(SECOND, {"code": first[0]}).status_code == 200
    assert after_the_password().post(SECOND, {"code": second[0]}).status_code == 302


def test_the_last_factor_takes_its_recovery_codes_along(ann: User, app: App, client: Client) -> None:
    client.post(CODES)

    client.post(f"/accounts/factors/{factors.of(ann).get(type=factors.TOTP).pk}/remove/")

    assert not factors.of(ann).exists()
    assert client.post(CODES)["Location"] == "/accounts/factors/"  # Alone they would be a second password.


def test_secrets_are_encrypted_with_a_new_key_and_go_on_working(ann: User, app: App, settings: Any) -> None:
    old, new = settings.FIELD_ENCRYPTION_KEYS, Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, *old]
    said = StringIO()

    call_command("rotate_secrets", stdout=said)
    settings.FIELD_ENCRYPTION_KEYS = [new]

    assert "1 secret encrypted under the first key." in said.getvalue()
    assert after_the_password().post(SECOND, {"code": app()}).status_code == 302


def test_a_secret_that_no_key_opens_is_named_and_kept(ann: User, app: App, settings: Any) -> None:
    before = Authenticator.objects.get().data
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(CommandError, match=r"ann \(authenticator app\)"):
        call_command("rotate_secrets", stdout=StringIO())

    assert Authenticator.objects.get().data == before
