"""What the issuer says is checked, and what it does not say, or says badly, is borne."""

import base64
import datetime as dt
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.server import BaseHTTPRequestHandler
from threading import Barrier, Event
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import cache as site_cache

from accounts.single_sign_on import issuer as product
from tests.peers.issuer import CLIENT_ID, ScriptedIssuer, say

CALLBACK = "http://localhost:8000/accounts/login/issuer/callback/"


def sign_in(issuer: ScriptedIssuer) -> product.Claims:
    question = product.new_question()
    back = issuer.come_back(product.address_to_ask(question, CALLBACK, is_proof=False))
    return product.claims_for(back.partition("code=")[2].partition("&")[0], question, CALLBACK)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_person_who_signs_in_there_is_known_by_the_subject(issuer: ScriptedIssuer, algorithm: str) -> None:
    issuer.new_key(algorithm)
    issuer.claims |= {
        "preferred_username": "ann",
        "email": "ann@example.com",
        "email_verified": True,
        "groups": ["marketing", 7, None],
        "auth_time": 1_790_000_000,
    }

    found = sign_in(issuer)

    assert found == product.Claims("ann-1", "ann", "ann@example.com", frozenset({"marketing"}), 1_790_000_000.0)


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_an_address_counts_only_if_the_issuer_has_verified_it(issuer: ScriptedIssuer, verified: Any) -> None:
    issuer.claims |= {"email": "ann@example.com", "email_verified": verified}

    assert sign_in(issuer).email == ""


@pytest.mark.parametrize(
    "email",
    ["", "ann", "ann@example.com\x00", "ann@" + "x" * 250 + ".com", "a\n@example.com", ["ann@example.com"], 7, {}],
)
def test_what_is_no_address_is_none(issuer: ScriptedIssuer, email: Any) -> None:
    issuer.claims |= {"email": email, "email_verified": True}

    assert sign_in(issuer).email == ""


@pytest.mark.parametrize(
    ("claim", "value", "groups"),
    [
        ("groups", "marketing", {"marketing"}),
        ("groups", {"marketing": 1}, set()),
        ("groups", None, set()),
        ("roles", ["marketing"], set()),
    ],
)
def test_groups_come_from_one_claim(issuer: ScriptedIssuer, claim: str, value: Any, groups: set[str]) -> None:
    issuer.claims[claim] = value

    assert sign_in(issuer).groups == groups


@pytest.mark.parametrize("value", ["yesterday", 10**400, -1, [1], None, 1e300])
def test_an_instant_that_no_clock_shows_is_none(issuer: ScriptedIssuer, value: Any) -> None:
    issuer.claims["auth_time"] = value

    assert sign_in(issuer).authenticated_at is None


def now(**offset: float) -> int:
    return int(time.time() + dt.timedelta(**offset).total_seconds())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"nonce": 7},
        {"nonce": "\ud800"},
        {"aud": "another client"},
        {"aud": ["another client"]},
        {"aud": None},
        {"aud": [CLIENT_ID, "another client"]},
        {"aud": [CLIENT_ID, "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"azp": None, "aud": [CLIENT_ID, CLIENT_ID, "x"]},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": dt.timedelta(minutes=-2)},
        {"exp": None},
        {"exp": "never"},
        {"iat": dt.timedelta(minutes=5)},
        {"iat": None},
        {"nbf": dt.timedelta(minutes=5)},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 256},
        {"sub": "ann\x00"},
        {"sub": "änn"},
    ],
    ids=lambda claims: " ".join(claims),
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(issuer: ScriptedIssuer, claims: dict[str, Any]) -> None:
    begun = time.time()
    issuer.claims |= {
        name: int(begun + value.total_seconds()) if isinstance(value, dt.timedelta) else value
        for name, value in claims.items()
    }

    with pytest.raises(product.IdentityRefused):
        sign_in(issuer)


def test_a_clock_that_is_a_little_off_is_borne(issuer: ScriptedIssuer) -> None:
    issuer.claims |= {"iat": now(seconds=40), "exp": now(seconds=-40)}

    assert sign_in(issuer).subject == "ann-1"


def test_several_audiences_are_fine_if_we_are_the_party(issuer: ScriptedIssuer) -> None:
    issuer.claims |= {"aud": [CLIENT_ID, "an api"], "azp": CLIENT_ID}

    assert sign_in(issuer).subject == "ann-1"


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@cache
def keys_of_strangers() -> tuple[Any, Any]:
    return rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 1024)  # noqa: S505  # It is to be refused.


def forgeries(issuer: ScriptedIssuer) -> dict[str, Any]:
    """Return ways to sign that prove nothing, by name."""
    public = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    stranger, weak = keys_of_strangers()

    def with_public_key(claims: dict[str, Any]) -> str:
        said = f"{encoded({'alg': 'HS256', 'kid': issuer.kid})}.{encoded(claims)}"
        tag = hmac.new(public, said.encode(), hashlib.sha256).digest()
        return f"{said}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"

    def with_a_weak_key(claims: dict[str, Any]) -> str:
        issuer.key = weak
        return jwt.encode(claims, weak, "RS256", {"kid": issuer.kid})

    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))
    return {
        "none": lambda claims: f"{encoded({'alg': 'none', 'kid': issuer.kid})}.{encoded(claims)}.",
        "None": lambda claims: f"{encoded({'alg': 'None', 'kid': issuer.kid})}.{encoded(claims)}.",
        "the public key as a secret": with_public_key,
        "a listed secret": lambda claims: jwt.encode(claims, b"secret", "HS256", {"kid": "of-no-use"}),
        "another's key": lambda claims: jwt.encode(claims, stranger, "RS256", {"kid": issuer.kid}),
        "a key of its own": lambda claims: jwt.encode(claims, stranger, "RS256", {"kid": issuer.kid, "jwk": jwk}),
        "a key of another address": lambda claims: jwt.encode(
            claims, stranger, "RS256", {"kid": issuer.kid, "jku": "https://evil.example/keys"}
        ),
        "another algorithm": lambda claims: jwt.encode(claims, issuer.key, "PS256", {"kid": issuer.kid}),
        "an unknown key": lambda claims: jwt.encode(claims, stranger, "RS256", {"kid": "unknown"}),
        "a weak key": with_a_weak_key,
        "a cut": lambda claims: issuer.signed(claims)[:-9],
        "nothing": lambda claims: "",
        "two parts": lambda claims: "a.b",
        "a list": lambda claims: jwt.api_jws.encode(b"[]", issuer.key, "RS256", {"kid": issuer.kid}),
        "depth": lambda claims: jwt.api_jws.encode(b"[" * 90_000, issuer.key, "RS256", {"kid": issuer.kid}),
        "endless numbers": lambda claims: issuer.signed({**claims, "exp": float("inf")}),
    }


NAMES = (
    *("none", "None", "the public key as a secret", "a listed secret", "another's key", "a key of its own"),
    *("a key of another address", "another algorithm", "an unknown key", "a weak key", "a cut", "nothing", "two parts"),
    *("a list", "depth", "endless numbers"),
)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_signature_that_proves_nothing_is_refused(issuer: ScriptedIssuer, name: str) -> None:
    assert set(forgeries(issuer)) == set(NAMES)
    issuer.sign = forgeries(issuer)[name]

    with pytest.raises(product.IdentityRefused):
        sign_in(issuer)


# --- keys


def test_a_key_that_was_rotated_is_fetched_anew_once_a_minute_at_most(issuer: ScriptedIssuer) -> None:
    sign_in(issuer)
    issuer.new_key()
    assert sign_in(issuer).subject == "ann-1"
    assert issuer.asked.count("/keys") == 2

    issuer.header = {"kid": "made up"}
    for _ in range(3):
        with pytest.raises(product.IdentityRefused):
            sign_in(issuer)

    assert issuer.asked.count("/keys") == 2
    assert issuer.asked.count("/.well-known/openid-configuration") == 1


def test_a_token_without_a_key_id_is_fine_where_one_key_is_listed(issuer: ScriptedIssuer) -> None:
    issuer.sign = lambda claims: jwt.encode(claims, issuer.key, "RS256")

    assert sign_in(issuer).subject == "ann-1"


# --- what goes wrong at the issuer


def redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "https://evil.example/")
    handler.end_headers()


def dribble(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, each well within the wait for one."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 150:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        pass
    handler.close_connection = True


MISBEHAVIOURS: dict[str, Any] = {
    "broken": lambda handler: say(handler, 500, {}),
    "no JSON": lambda handler: say(handler, 200, b"<html>"),
    "no object": lambda handler: say(handler, 200, []),
    "empty": lambda handler: say(handler, 200, b""),
    "deep": lambda handler: say(handler, 200, b"[" * 200_000),
    "huge": lambda handler: say(handler, 200, b'{"a": "' + b"x" * 300_000 + b'"}'),
    "elsewhere": redirect,
    "mute": lambda handler: handler.connection.close(),
    "no HTTP": lambda handler: handler.wfile.write(b"220 smtp ready\r\n"),
    "slow": dribble,
}
PATHS = ["/.well-known/openid-configuration", "/keys", "/token"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_an_issuer_that_misbehaves_is_said_to_be_silent_in_time(
    issuer: ScriptedIssuer, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    monkeypatch.setattr(product, "SECONDS", 0.5)
    issuer.answers[path] = MISBEHAVIOURS[name]
    began = time.monotonic()

    with pytest.raises(product.IssuerSilent):
        sign_in(issuer)

    assert time.monotonic() - began < 5


def pour(handler: BaseHTTPRequestHandler) -> None:
    """Answer without an end, as long as somebody reads."""
    handler.send_response(200)
    handler.end_headers()
    ends_at = time.monotonic() + 20
    try:
        while time.monotonic() < ends_at:
            handler.wfile.write(b" " * 100_000)
    except OSError:
        pass


def test_an_answer_without_an_end_is_read_to_the_limit(issuer: ScriptedIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "SECONDS", 10)
    issuer.answers["/keys"] = pour
    began = time.monotonic()

    with pytest.raises(product.IssuerSilent, match="small JSON object"):
        sign_in(issuer)

    assert time.monotonic() - began < 5


def test_an_issuer_that_is_down_is_not_asked_again_at_once(issuer: ScriptedIssuer) -> None:
    issuer.answers[PATHS[0]] = MISBEHAVIOURS["broken"]
    for _ in range(5):
        with pytest.raises(product.IssuerSilent):
            sign_in(issuer)
    assert len(issuer.asked) == 1

    issuer.answers.clear()
    site_cache.delete("oidc_silent")

    assert sign_in(issuer).subject == "ann-1"


def test_while_it_hangs_a_few_wait_and_all_others_are_refused_at_once(issuer: ScriptedIssuer) -> None:
    sign_in(issuer)
    all_wait, goes_on = Barrier(product.MOST_WAITING + 1), Event()
    issuer.answers["/token"] = lambda handler: [all_wait.wait(10), goes_on.wait(10), handler.connection.close()]

    with ThreadPoolExecutor(product.MOST_WAITING) as threads:
        waiting = [threads.submit(sign_in, issuer) for _ in range(product.MOST_WAITING)]
        all_wait.wait(10)
        with pytest.raises(product.IssuerSilent, match="others wait"):
            sign_in(issuer)
        goes_on.set()

    assert all(isinstance(each.exception(), product.IssuerSilent) for each in waiting)
    issuer.answers.clear()
    assert sign_in(issuer).subject == "ann-1"


def test_an_issuer_elsewhere_sends_us_to_nothing_on_this_machine(issuer: ScriptedIssuer, settings: Any) -> None:
    settings.OIDC_ISSUER = "https://issuer.example"
    endpoints = {"token_endpoint": f"{issuer.url}/token", "jwks_uri": "https://issuer.example/keys"}
    endpoints["authorization_endpoint"] = "https://issuer.example/authorize"
    site_cache.set("oidc_document", {"issuer": settings.OIDC_ISSUER, **endpoints})

    with pytest.raises(product.IssuerSilent, match="token_endpoint is no https"):
        sign_in(issuer)

    assert not issuer.asked


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://issuer.example/token"},
        {"jwks_uri": "http://10.0.0.1/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"token_endpoint": "https://[/"},
        {"jwks_uri": ["https://issuer.example/keys"]},
    ],
    ids=str,
)
def test_a_description_with_another_name_or_an_open_line_is_refused(
    issuer: ScriptedIssuer, document: dict[str, Any]
) -> None:
    issuer.document = document

    with pytest.raises(product.IssuerSilent):
        sign_in(issuer)

    assert issuer.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": 7}, {"keys": [7, {"kty": "RSA"}]}, {"keys": None}])
def test_keys_that_cannot_be_used_are_the_issuers_fault(issuer: ScriptedIssuer, keys: Any) -> None:
    issuer.answers["/keys"] = lambda handler: say(handler, 200, keys)

    with pytest.raises(product.IssuerSilent, match="no keys"):
        sign_in(issuer)


@pytest.mark.parametrize(
    ("methods", "is_header"),
    [(None, True), (["client_secret_post", "client_secret_basic"], True), (["client_secret_post"], False), (7, True)],
)
def test_the_secret_is_sent_in_the_way_that_the_issuer_takes(
    issuer: ScriptedIssuer, methods: Any, is_header: bool
) -> None:
    issuer.document = {"token_endpoint_auth_methods_supported": methods}
    seen: list[bool] = []
    take = issuer.tokens
    issuer.tokens = lambda sent, header: (seen.append(bool(header)), take(sent, header))[1]  # type: ignore[method-assign]

    assert sign_in(issuer).subject == "ann-1"
    assert seen == [is_header]


def test_a_wrong_secret_is_the_issuers_answer_and_not_the_persons_fault(issuer: ScriptedIssuer, settings: Any) -> None:
    settings.OIDC_CLIENT_SECRET = "wrong"

    with pytest.raises(product.IssuerSilent, match="401 invalid_client"):
        sign_in(issuer)


def test_a_code_works_once_and_with_its_own_verifier_alone(issuer: ScriptedIssuer) -> None:
    question, other = product.new_question(), product.new_question()
    back = issuer.come_back(product.address_to_ask(question, CALLBACK, is_proof=False))
    code = back.partition("code=")[2].partition("&")[0]

    with pytest.raises(product.IdentityRefused, match="no such code"):
        product.claims_for(code, other, CALLBACK)
