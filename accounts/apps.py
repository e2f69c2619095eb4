"""The app configuration of accounts, which notes each sign-in and connects what ends sessions."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from encryption.rotation import OTHER_SECRETS


def _note_sign_in(request: HttpRequest, user: Any, **kwargs: Any) -> None:
    from accounts.notices import tell_notices
    from accounts.sessions.store import note_sign_in
    from adminpages.fresh_sign_in import PROVED_AT, note_proof

    note_proof(request)
    note_sign_in(request, request.session[PROVED_AT])
    tell_notices(request, user)


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from accounts.by_mail import servers
        from accounts.by_mail.mails import LINK, link_of
        from accounts.factors import rotate_secrets
        from accounts.sessions import changes  # noqa: F401  # Its receivers.
        from delivery.content.secret_links import SECRET_LINKS
        from smtpservers.routing.rules import SERVER_USERS

        SECRET_LINKS.register(LINK, link_of)
        SERVER_USERS.register("accounts", servers.uses)
        OTHER_SECRETS.register("second factors", rotate_secrets)
        user_logged_in.connect(_note_sign_in, dispatch_uid="accounts")
