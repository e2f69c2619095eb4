"""What the sign-in library asks the product: words, names, encryption, and what stays closed."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminpages.access import is_ours
from installation.site import site

PENDING_HASH = "pending_hash"  # In the session: the hash that the user's sessions had when the sign-in began.


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth announces no types.
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _(
            "Wrong username or password. Both are case-sensitive. Enter your username, not your email address."
        ),
    }

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        with transaction.atomic():  # The limit on failures counts one request at a time.
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
            return user

    def pre_login(self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> HttpResponse | None:
        request.session[PENDING_HASH] = user.get_session_auth_hash()
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def is_safe_url(self, url: str | None) -> bool:
        return is_ours(context.request, url)

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        return redirect("account_login")  # As after any other failure: the answer tells nothing about the name.

    def ajax_response(self, request: HttpRequest, response: HttpResponse, **kwargs: Any) -> HttpResponse:
        """Answer scripts like people. The library's own answer would repeat the password that was sent."""
        return response

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: our views have words of their own."""


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth announces no types.
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("That didn't work. Check that it's the current code, or try again with your key."),
    }

    def encrypt(self, text: str) -> str:
        return _keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the plain text.

        :raises InvalidToken: if none of ``FIELD_ENCRYPTION_KEYS`` fits.
        """
        return _keys().decrypt(encrypted_text.encode()).decode()

    def rotate(self, encrypted_text: str) -> str:
        """Return the same text encrypted with the first key.

        :raises InvalidToken: as :meth:`decrypt`.
        """
        return _keys().rotate(encrypted_text.encode()).decode()

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Any) -> str:
        return gettext("Key %(n)s") % {"n": Authenticator.objects.filter(user=user, type=type).count() + 1}

    def _get_site_name(self) -> str:
        return site().organisation

    def _get_user_identifier(self, user: AbstractBaseUser) -> str:
        return user.get_username()


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])
