"""Passwords that consist of the organisation's name and words of the product are refused, others are not."""

from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.by_mail.forms import AcceptInvitationForm, ResetPasswordForm
from accounts.sign_in.first_admin import FirstAdminForm
from accounts.sign_in.password_words import WORDS


@pytest.fixture(autouse=True)
def organisation(settings: Any) -> None:
    settings.ORGANISATION_NAME = "Müller & Söhne"
    settings.BASE_URL = "https://post.shop-news.example"


@pytest.mark.parametrize(
    "password",
    [
        "Brilliance2026!",
        "br1ll1@nce-news",
        "newsletter-admin-2026",
        "Müller&Söhne2026",
        "müllersöhnemail1",
        "Shop-News-Mail-12",
        "P@ssw0rd-Welcome",
        "marketer.marketer",
        "summerwinter2026",
    ],
)
def test_easy_words_are_refused(password: str) -> None:
    with pytest.raises(ValidationError, match="too easy to guess here"):
        validate_password(password)


def test_the_refusal_names_the_words_that_were_typed() -> None:
    with pytest.raises(ValidationError) as refused:
        validate_password("passwort1234")

    assert "without “passwort”, too little is left" in refused.value.messages[0]
    assert "newsletter" not in refused.value.messages[0]


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_refused(word: str) -> None:
    with pytest.raises(ValidationError, match="too easy to guess here"):
        validate_password(f"{word}-{word}-20")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "brilliance of a thousand stars",
        "dropshipping elephants",
        "пароль, которого нет",
        "密码密码密码密码密码密码",
        "x" * 8 + "!" * 56,
    ],
)
def test_other_passwords_are_taken(password: str) -> None:
    validate_password(password)


@pytest.mark.parametrize("form", [FirstAdminForm, AcceptInvitationForm, ResetPasswordForm])
def test_the_rules_stand_beside_the_field(form: Any) -> None:
    assert "not only digits" in str(form.base_fields["password"].help_text)
    assert "username" not in form.base_fields or "Letters, digits and" in str(form.base_fields["username"].help_text)
