"""The app configuration of accounts, which notes the instant of each sign-in."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from smtpservers.secret_field import OTHER_SECRETS


def _note_proof(request: HttpRequest, **kwargs: Any) -> None:
    from adminpages.fresh_sign_in import note_proof

    note_proof(request)


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts.factors import rotate_secrets

        OTHER_SECRETS.register("second factors", rotate_secrets)
        user_logged_in.connect(_note_proof, dispatch_uid="accounts")
