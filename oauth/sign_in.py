"""A person's sign-in at the provider: to its page and back, with PKCE (RFC 7636), bound to the session that began."""

import base64
import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict
from typing import Any

from django.views.decorators.debug import sensitive_variables

from oauth import grants, tokens
from oauth.client.providers import authorization_url
from oauth.client.requests import GrantRefused, ProviderSilent, sent_back
from oauth.models import OAuthAccount
from words.texts import text as _

PENDING = "oauth_sign_ins"  # In the session: the sign-ins that are on their way, by state; each tab has its own.
MOST_PENDING = 5
PENDING_FOR = dt.timedelta(minutes=10)


class SignInFailed(Exception):
    """The sign-in gave no tokens. The text is for the person."""


def begin(account: OAuthAccount, session: MutableMapping[str, Any], now: dt.datetime) -> str:
    """Return the provider's page to send the browser to, and remember in the session what ties its answer to it."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    pending = {
        "account": account.pk,
        "identity": asdict(account.destination),
        "verifier": verifier,
        "at": now.timestamp(),
    }
    others = list(session.get(PENDING, {}).items())[1 - MOST_PENDING :]
    session[PENDING] = {**dict(others), state: pending}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return authorization_url(account.destination, grants.redirect_uri(), state, challenge)


def why_sent_back(account: OAuthAccount, query: Mapping[str, str], verifier: str) -> str:
    """Return what it means that the provider sent the browser back without a code."""
    refused = sent_back(query, {"code": query.get("state", ""), "code_verifier": verifier})
    return tokens.meaning_of(account, refused) if refused else _("You cancelled, or the provider refused.")


def pending_account(state: str, session: MutableMapping[str, Any], now: dt.datetime) -> tuple[OAuthAccount, str] | None:
    """Return the account that a state belongs to, and PKCE's verifier; None if it expired or was never given.

    A state counts once. An account that was edited since it was given is not found.
    """
    waiting = dict(session.get(PENDING, {}))
    found = waiting.pop(state, None)
    session[PENDING] = waiting
    if found is None or not 0 <= now.timestamp() - found["at"] <= PENDING_FOR.total_seconds():
        return None
    account = OAuthAccount.objects.filter(pk=found["account"]).first()
    if account is None or asdict(account.destination) != found["identity"]:
        return None
    return account, found["verifier"]


@sensitive_variables()
def finish(account: OAuthAccount, code: str, verifier: str, now: dt.datetime) -> None:
    """Exchange the code for tokens and store them.

    :raises SignInFailed: the tokens, the state and its reason are those of before; a working account goes on working.
    """
    if why := tokens.why_held(now):
        raise SignInFailed(why)
    claimed = tokens.claim(account.pk, now)
    if claimed is None:
        raise SignInFailed("The account is being renewed at this moment. Sign in again in a minute.")
    try:
        grant = grants.signed_in(claimed, code, verifier, now)
    except GrantRefused as error:
        tokens.release(claimed)
        raise SignInFailed(tokens.meaning_of(claimed, error)) from None
    except ProviderSilent as error:
        tokens.release(claimed)
        raise SignInFailed(str(error)) from None
    if not tokens.store(claimed, grant, now):
        raise SignInFailed("The account was changed meanwhile. Sign in again.")
