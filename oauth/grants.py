"""An account's request for tokens: which secrets it takes, and in which form the provider wants them."""

import datetime as dt

from django.conf import settings
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from encryption.keys import SecretUnreadable
from oauth.client import providers
from oauth.client.assertions import KeyUnusable, certificate_assertion, service_account_assertion
from oauth.client.explanations import UNUSABLE
from oauth.client.requests import Grant, GrantRefused, ask
from oauth.models import OAuthAccount

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 section 2.1.
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 section 2.2.


def redirect_uri() -> str:
    """Return the address that a provider sends people back to; it has to be registered there."""
    return settings.BASE_URL + reverse("oauth_done")


@sensitive_variables()
def renewed(account: OAuthAccount, now: dt.datetime) -> Grant:
    """Ask the provider for new tokens, with what the account has.

    :raises GrantRefused: also if a secret is missing or can't be used.
    :raises ProviderSilent:
    """
    identity = account.destination
    scope = " ".join(providers.scopes(account.flow, account.cloud))
    try:
        if account.flow == account.Flow.MICROSOFT_APP:
            return _ask(account, {"grant_type": "client_credentials", "scope": scope}, now)
        if account.flow in (account.Flow.GOOGLE_SERVICE, account.Flow.POSTMASTER_SERVICE):
            url = providers.token_url(account.flow, account.cloud, account.tenant)
            assertion = service_account_assertion(
                email=account.client_id,
                mailbox=account.mailbox,
                scope=scope,
                audience=url,
                key=account.private_key.reveal(identity),
                now=now,
            )
            return ask(url, {"grant_type": _JWT_BEARER, "assertion": assertion})
        refresh_token = account.refresh_token.reveal(identity)
        if not refresh_token:
            raise GrantRefused(UNUSABLE, "Nobody has signed in yet.")
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if providers.provider_of(account.flow) == providers.MICROSOFT:
            form["scope"] = scope
        return _ask(account, form, now)
    except (SecretUnreadable, KeyUnusable) as error:
        raise GrantRefused(UNUSABLE, str(error)) from None


@sensitive_variables()
def signed_in(account: OAuthAccount, code: str, verifier: str, now: dt.datetime) -> Grant:
    """Exchange the code that a person brought back.

    :param verifier: of PKCE.
    :raises GrantRefused: also if the provider gave no refresh token.
    :raises ProviderSilent:
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(),
        "code_verifier": verifier,
    }
    try:
        grant = _ask(account, form, now)
    except (SecretUnreadable, KeyUnusable) as error:
        raise GrantRefused(UNUSABLE, str(error)) from None
    if not grant.refresh_token:
        raise GrantRefused("no_refresh_token", "The provider gave no refresh token.")
    return grant


@sensitive_variables()
def _ask(account: OAuthAccount, form: dict[str, str], now: dt.datetime) -> Grant:
    """Ask as the account's app, which proves itself by its certificate or secret."""
    url = providers.token_url(account.flow, account.cloud, account.tenant)
    proved = {**form, "client_id": account.client_id}
    if account.certificate:
        proved["client_assertion_type"] = _ASSERTION_TYPE
        proved["client_assertion"] = certificate_assertion(
            client_id=account.client_id,
            audience=url,
            certificate=account.certificate,
            key=account.private_key.reveal(account.destination),
            now=now,
        )
    elif account.client_secret:
        proved["client_secret"] = account.client_secret.reveal(account.destination)
    return ask(url, proved)
