"""The conversation with the issuer of single sign-on: OpenID Connect's code flow, with PKCE, state and nonce.

Only the checked claims of an ID token leave this module: every code and token is forgotten. It knows no user.
"""

import base64
import hashlib
import re
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.crypto import constant_time_compare

from adminpages.texts import read_json
from mail.reachability import is_protected

SECONDS = 5.0  # For each answer of the issuer.
MOST_BYTES = 256 * 1024
KEPT_SECONDS = 600  # How long its document and keys are kept.
SILENT_SECONDS = 5  # How long nobody asks again after it did not answer.
REFETCH_SECONDS = 60  # How often an unknown key has the keys fetched anew.
MOST_WAITING = 4  # How many threads wait for it at once. A process has eight, and the others answer pages.
SKEW_SECONDS = 60  # Between its clock and ours.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LATEST = 2**40  # An instant no clock shows; beyond it numbers overflow.
REQUIRED = ("iss", "sub", "aud", "exp", "iat", "nonce")
ERROR = re.compile(r"[a-z_]{1,40}")  # What an error is called (RFC 6749 section 4.1.2.1); nothing else is repeated.
LONGEST_ADDRESS = 254  # That a user can have.
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}")
_places = threading.BoundedSemaphore(MOST_WAITING)


class IssuerSilent(Exception):
    """The issuer did not answer, or not with what the standard says. The text is for the log."""


class IdentityRefused(Exception):
    """The issuer refused the code, or its ID token is not valid for this sign-in. The text is for the log."""


@dataclass(frozen=True)
class Question:
    """What ties the issuer's answer to the browser that asked. It stays in the session."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Claims:
    """What the issuer says about the person who signed in."""

    subject: str
    username: str  # As the issuer has it, unchecked; may be empty.
    email: str  # Empty unless the issuer has verified it.
    groups: frozenset[str]
    authenticated_at: float | None  # When the person last proved who they are; None if the issuer does not say.


def new_question() -> Question:
    return Question(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


def address_to_ask(question: Question, redirect_uri: str, *, is_proof: bool) -> str:
    """Return the issuer's address to send the browser to.

    :param is_proof: whether the person has to sign in there again, signed in or not.
    :raises IssuerSilent:
    """
    challenge = base64.urlsafe_b64encode(hashlib.sha256(question.verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": settings.OIDC_CLIENT_ID,
        "redirect_uri": redirect_uri,
        "scope": "openid profile email",
        "state": question.state,
        "nonce": question.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"max_age": "0", "prompt": "login"} if is_proof else {}),
    }
    endpoint = _document()["authorization_endpoint"]
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def claims_for(code: str, question: Question, redirect_uri: str) -> Claims:
    """Exchange the code for an ID token and return its claims.

    :raises IssuerSilent:
    :raises IdentityRefused:
    """
    token = _exchange(code, question, redirect_uri)
    claims = _verified(token, question.nonce)
    groups = claims.get(settings.OIDC_GROUPS_CLAIM)
    groups = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    at = claims.get("auth_time")
    return Claims(
        subject=claims["sub"],
        username=_text(claims.get("preferred_username")),
        email=_address(claims.get("email")) if claims.get("email_verified") is True else "",
        groups=frozenset(group for group in groups if isinstance(group, str)),
        authenticated_at=float(at) if isinstance(at, int | float) and 0 < at < LATEST else None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _address(value: Any) -> str:
    try:
        validate_email(_text(value))
    except ValidationError:
        return ""
    return str(value) if len(value) <= LONGEST_ADDRESS else ""


# --- the ID token


def _exchange(code: str, question: Question, redirect_uri: str) -> str:
    document = _document()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": question.verifier,
    }
    headers = {}
    methods = document.get("token_endpoint_auth_methods_supported")
    if not isinstance(methods, list) or "client_secret_basic" in methods:
        # Form-encoded first (RFC 6749 section 2.3.1): either may contain a colon.
        pair = f"{quote_plus(settings.OIDC_CLIENT_ID)}:{quote_plus(settings.OIDC_CLIENT_SECRET)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": settings.OIDC_CLIENT_ID, "client_secret": settings.OIDC_CLIENT_SECRET}
    with _place():
        status, answer = _ask(document["token_endpoint"], headers, urlencode(form))
    if answer.get("error") == "invalid_grant":
        raise IdentityRefused("the issuer knows no such code")
    if status != 200 or not isinstance(answer.get("id_token"), str):
        error = str(answer.get("error", ""))
        raise IssuerSilent(f"its token endpoint answered {status} {error if ERROR.fullmatch(error) else ''}".strip())
    return str(answer["id_token"])


def _verified(token: str, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token after every check of OpenID Connect Core 1.0 section 3.1.3.7.

    The token came straight from the issuer; its signature is checked all the same.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(jwt.get_unverified_header(token).get("kid")),
            algorithms=ALGORITHMS,
            audience=settings.OIDC_CLIENT_ID,
            issuer=settings.OIDC_ISSUER,
            leeway=SKEW_SECONDS,
            options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise IdentityRefused(f"the ID token is not valid: {type(error).__name__}") from None
    if not constant_time_compare(str(claims["nonce"]).encode(errors="replace"), nonce):  # It may be no valid text.
        raise IdentityRefused("the ID token has the nonce of another sign-in")
    is_shared = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", "" if is_shared else settings.OIDC_CLIENT_ID) != settings.OIDC_CLIENT_ID:
        raise IdentityRefused("the ID token was issued to another client")
    if not _SUBJECT.fullmatch(claims["sub"]):
        raise IdentityRefused("the ID token has no usable subject")
    return claims


def _key(kid: Any) -> jwt.PyJWK:
    """Return the key that signed; an unknown one may be new, so the keys are fetched anew, once a minute at most."""
    found = _find_key(kid, _kept("keys", _document()["jwks_uri"]))
    if found is None and cache.add("oidc_refetch", True, REFETCH_SECONDS):
        found = _find_key(kid, _kept("keys", _document()["jwks_uri"], is_anew=True))
    if found is None:
        raise IdentityRefused("the ID token is signed with a key that the issuer does not list")
    return found


def _find_key(kid: Any, document: Mapping[str, Any]) -> jwt.PyJWK | None:
    try:
        keys = jwt.PyJWKSet.from_dict(dict(document)).keys
    except jwt.PyJWTError:
        raise IssuerSilent("it lists no keys that can be used") from None
    keys = [key for key in keys if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")]
    fitting = [key for key in keys if key.key_id == kid] if kid is not None else keys
    return fitting[0] if len(fitting) == 1 else None


# --- its documents


def _document() -> Mapping[str, Any]:
    """Return the issuer's own description (OpenID Connect Discovery 1.0)."""
    document = _kept("document", f"{settings.OIDC_ISSUER.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != settings.OIDC_ISSUER:
        raise IssuerSilent("it calls itself by another name than OIDC_ISSUER")
    is_https = urlsplit(settings.OIDC_ISSUER).scheme == "https"
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        address = str(document.get(name))
        # An issuer elsewhere has nothing to ask of this machine.
        if not is_protected(address) or (is_https and urlsplit(address).scheme != "https"):
            raise IssuerSilent(f"its {name} is no https address")
    return document


def _kept(name: str, url: str, *, is_anew: bool = False) -> Mapping[str, Any]:
    document: Mapping[str, Any] | None = None if is_anew else cache.get(f"oidc_{name}")
    if document is None:
        if cache.get("oidc_silent"):
            raise IssuerSilent("it did not answer a moment ago")
        with _place():
            try:
                status, document = _ask(url)
                if status != 200:
                    raise IssuerSilent(f"{url} answered {status}")
            except IssuerSilent:
                cache.set("oidc_silent", True, SILENT_SECONDS)
                raise
        cache.set(f"oidc_{name}", document, KEPT_SECONDS)
    return document


@contextmanager
def _place() -> Iterator[None]:
    """Hold one of the places to wait for the issuer.

    Strangers can have it asked. While it hangs, they must not have all threads of the process wait.

    :raises IssuerSilent: if none is free.
    """
    if not _places.acquire(blocking=False):
        raise IssuerSilent(f"{MOST_WAITING} others wait for it already")
    try:
        yield
    finally:
        _places.release()


def _ask(url: str, headers: Mapping[str, str] | None = None, form: str | None = None) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object that an address answers within bounds; redirects are not followed."""
    parts = urlsplit(url)
    opened = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = opened(parts.hostname or "", parts.port, timeout=SECONDS)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    whole = {"Accept": "application/json", "User-Agent": "Brilliance", **(headers or {})}
    if form is not None:
        whole["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.connect()
        # The timeout holds for each read alone, so an issuer that dribbles would keep us for ever.
        watchdog = threading.Timer(SECONDS, _hang_up, [connection.sock])
        watchdog.start()
        try:
            connection.request("GET" if form is None else "POST", target, form, whole)
            response = connection.getresponse()
            body = response.read(MOST_BYTES + 1)
        finally:
            watchdog.cancel()
    except (OSError, HTTPException, ValueError) as error:
        raise IssuerSilent(f"{parts.hostname} did not answer: {type(error).__name__}") from None
    finally:
        connection.close()
    answer = read_json(body, MOST_BYTES)
    if not isinstance(answer, dict):
        if response.status == 200:
            raise IssuerSilent(f"{parts.hostname} answered with something else than a small JSON object")
        answer = {}
    return response.status, answer


def _hang_up(connected: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # Not TLS's own: it would let plain text through.
