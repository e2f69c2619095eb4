"""Requests to a token endpoint (RFC 6749): what is asked, and what the response means.

Only tokens and sentences without secrets leave this module.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from net.addresses import NotConnected
from net.fetch import FORM, fetch

SECONDS = 10.0  # For one request.
LONGEST_TOKEN = 9000  # In base64 with the user name it must fit into 12,288 octets (RFC 4954 section 4).
SHORTEST_LIFE, LONGEST_LIFE = 60, 24 * 3600  # Seconds; a provider's odd answer is brought within.
USUAL_LIFE = 3600
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ERROR = re.compile(r"[a-z_]{1,60}")
# Errors that pass; every other one needs a person.
_TEMPORARY = frozenset(
    {"temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded", "internal_failure"}
)


class GrantRefused(Exception):
    """The provider refused, and will refuse again until a person acts.

    :param error: the code of the error, such as ``invalid_grant``.
    :param words: the provider's own sentence, on one line, without secrets.
    """

    def __init__(self, error: str, words: str) -> None:
        super().__init__(f"{error}: {words}" if words else error)
        self.error = error
        self.words = words


class ProviderSilent(Exception):
    """No usable response: the provider is to be asked again later. The text is a sentence without secrets."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens that a provider gave."""

    access_token: str = field(repr=False)
    seconds: int  # How long it is valid.
    refresh_token: str = field(default="", repr=False)  # Empty: the present one stays.


@sensitive_variables()
def ask(url: str, form: Mapping[str, str]) -> Grant:
    """Ask a token endpoint.

    :raises GrantRefused:
    :raises ProviderSilent:
    """
    host = urlsplit(url).hostname or ""
    body = urlencode(form).encode()
    try:
        response = fetch(
            where(url),
            method="POST",
            body=body,
            headers={"Content-Type": FORM, "Accept": "application/json"},
            seconds=SECONDS,
        )
    except NotConnected as error:
        raise ProviderSilent(str(error)) from None
    answer = _read(response.body)
    if response.status == 200 and (grant := _grant(answer)):
        return grant
    why = answer.get("error")
    is_error = isinstance(why, str) and _ERROR.fullmatch(why) is not None
    if is_error and 400 <= response.status < 500 and response.status != 429 and why not in _TEMPORARY:
        raise GrantRefused(str(why), _without_secrets(answer.get("error_description"), form))
    raise ProviderSilent(f"{host} answered {response.status} instead of a token.")


def sent_back(query: Mapping[str, str], secrets: Mapping[str, str]) -> GrantRefused | None:
    """Return the refusal that a provider sent the browser back with (RFC 6749 section 4.1.2.1); None if it names none.

    :param query: of the address. Anybody may have written it.
    :param secrets: what its sentence must not repeat, by the names of :func:`ask`.
    """
    why = query.get("error", "")
    return (
        GrantRefused(why, _without_secrets(query.get("error_description"), secrets)) if _ERROR.fullmatch(why) else None
    )


def where(url: str) -> str:
    """Return the address to ask. Tests put their own server in front, and the real host into the path."""
    return url.replace("https://", f"{settings.OAUTH_TEST_SERVER}/", 1) if settings.OAUTH_TEST_SERVER else url


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _grant(answer: Mapping[str, Any]) -> Grant | None:
    access, refresh = answer.get("access_token"), answer.get("refresh_token") or ""
    if not _is_token(access) or (refresh and not _is_token(refresh)):
        return None
    if str(answer.get("token_type", "")).lower() != "bearer":
        return None
    try:
        seconds = int(answer.get("expires_in") or USUAL_LIFE)
    except (ValueError, TypeError, OverflowError):
        seconds = USUAL_LIFE
    return Grant(str(access), min(max(seconds, SHORTEST_LIFE), LONGEST_LIFE), str(refresh))


def _is_token(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TOKEN and _TOKEN.fullmatch(value) is not None


def _without_secrets(words: object, form: Mapping[str, str]) -> str:
    """Return the provider's sentence on one line, without any value that we sent as a secret."""
    said = " ".join(words.split()) if isinstance(words, str) else ""
    for name in ("client_secret", "refresh_token", "code", "code_verifier", "assertion", "client_assertion"):
        if secret := form.get(name):
            said = said.replace(secret, "***")
    return "".join(character for character in said if character.isprintable())[:300]
