"""Requests to a provider's API with an account's token. The token stays in this room."""

import datetime as dt
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from net.fetch import Response, fetch
from oauth.client.requests import SECONDS, where
from oauth.models import OAuthAccount
from oauth.tokens import token_for


@sensitive_variables()
def call(account: OAuthAccount, url: str, now: dt.datetime, *, body: bytes | None = None, most: int) -> Response:
    """Return the response to one request. A token that the API refuses is renewed, and the request made once more.

    :param url: at one of the hosts that the account's tokens may be sent to.
    :param body: JSON to post; None: the address is got.
    :param most: the bytes of the response to read.
    :raises NoToken: also for any other host.
    :raises NotConnected: in 10 seconds at most for each request; redirects are responses too.
    """
    host = urlsplit(url).hostname or ""
    token = token_for(account, host, now)
    response = _ask(url, token, body, most)
    if response.status != 401:
        return response
    newer = token_for(account, host, now, refused=token)
    return response if newer == token else _ask(url, newer, body, most)


@sensitive_variables()
def _ask(url: str, token: str, body: bytes | None, most: int) -> Response:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    if body is None:
        return fetch(where(url), headers=headers, seconds=SECONDS, most=most)
    headers["Content-Type"] = "application/json"
    return fetch(where(url), method="POST", body=body, headers=headers, seconds=SECONDS, most=most)
