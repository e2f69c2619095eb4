"""A scripted issuer of OpenID Connect on loopback, with keys of its own. It checks what a client owes: secret, PKCE.

Tests say what its ID token claims, how it is signed and which of its answers are wrong.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT_ID, CLIENT_SECRET = "brilliance:web", "canary-s3cret-of-the-client:%&"
Answer = Callable[[BaseHTTPRequestHandler], None]


@cache
def _first_key() -> Any:
    return rsa.generate_private_key(65537, 2048)  # Takes a while, so all tests of a process share it.


class ScriptedIssuer:
    def __init__(self, url: str) -> None:
        self.url = url
        self.claims: dict[str, Any] = {"sub": "ann-1"}  # Of the next ID tokens; None takes a claim away.
        self.header: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.document: dict[str, Any] = {}  # Overrides of its description.
        self.answers: dict[str, Answer] = {}  # By path: what to answer instead.
        self.asked: list[str] = []  # The paths of all requests.
        self.said: list[str] = []  # All codes and tokens that it gave out.
        self.queries: list[dict[str, str]] = []  # What browsers were sent with.
        self._codes: dict[str, dict[str, str]] = {}
        self.algorithm, self.key, self.kid = "RS256", _first_key(), "first"

    def new_key(self, algorithm: str = "RS256") -> None:
        """Rotate: from now on another key signs, and it alone is listed."""
        self.algorithm, self.kid = algorithm, secrets.token_hex(4)
        is_rsa = algorithm == "RS256"
        self.key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())

    @property
    def jwks(self) -> dict[str, Any]:
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        public = json.loads(algorithm.to_jwk(self.key.public_key()))
        other = {"kty": "oct", "k": "c2VjcmV0", "kid": "of-no-use"}
        return {"keys": [other, {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}]}

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, self.algorithm, {"kid": self.kid, **self.header})

    def come_back(self, asked: str, **changed: str) -> str:
        """Let the person sign in at the address that the product sent the browser to; return where that leads."""
        query = dict(parse_qsl(urlsplit(asked).query))
        self.queries.append(query)
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT_ID)
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = f"canary-code-{secrets.token_urlsafe(16)}"
        self.said.append(code)
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], **changed})}"

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, **self.claims}
        token = self.sign({name: value for name, value in claims.items() if value is not None})
        self.said.append(token)
        return token

    def tokens(self, sent: dict[str, list[str]], authorization: str) -> tuple[int, dict[str, Any]]:
        """Answer at the token endpoint. A code counts once."""
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        by_header = (unquote_plus(pair[0]), unquote_plus(pair[2]))
        by_form = (sent.get("client_id", [""])[0], sent.get("client_secret", [""])[0])
        if (CLIENT_ID, CLIENT_SECRET) not in (by_header, by_form):
            return 401, {"error": "invalid_client"}
        query = self._codes.pop(sent["code"][0], None)
        challenge = hashlib.sha256(sent["code_verifier"][0].encode()).digest()
        if query is None or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if sent["grant_type"] != ["authorization_code"] or sent["redirect_uri"] != [query["redirect_uri"]]:
            return 400, {"error": "invalid_request"}
        others = {name: f"canary-{name}-{secrets.token_urlsafe(16)}" for name in ("access_token", "refresh_token")}
        self.said += others.values()
        return 200, {**others, "token_type": "Bearer", "id_token": self.id_token(query["nonce"])}


@contextmanager
def scripted_issuer() -> Iterator[ScriptedIssuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self._note()
            if path in issuer.answers:
                issuer.answers[path](self)
            elif path == "/.well-known/openid-configuration":
                endpoints = {
                    "authorization_endpoint": f"{issuer.url}/authorize",
                    "token_endpoint": f"{issuer.url}/token",
                    "jwks_uri": f"{issuer.url}/keys",
                }
                say(self, 200, {"issuer": issuer.url, **endpoints, **issuer.document})
            elif path == "/keys":
                say(self, 200, issuer.jwks)
            elif path == "/authorize":
                self.send_response(302)
                self.send_header("Location", issuer.come_back(self.path))
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            path = self._note()
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if path in issuer.answers:
                issuer.answers[path](self)
            else:
                say(self, *issuer.tokens(parse_qs(body), self.headers.get("Authorization", "")))

        def _note(self) -> str:
            path = urlsplit(self.path).path
            issuer.asked.append(path)
            return path

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = ScriptedIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def say(handler: BaseHTTPRequestHandler, status: int, answer: Any) -> None:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
