"""A scripted token server of Microsoft's and Google's on loopback. It checks what a client owes: secret, PKCE, JWT.

Requests to other hosts of a provider, its API, are answered by ``api``.

``settings.OAUTH_TEST_SERVER`` leads the product here; the path then begins with the host that it meant.
"""

import base64
import datetime as dt
import hashlib
import json
import secrets
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.peers.unsubscribe_page import CA

CLIENT_ID, CLIENT_SECRET = "11111111-2222-3333-4444-555555555555", "canary-s3cret-of-the-app"
TENANT, MAILBOX = "shop.example", "news@shop.example"
MICROSOFT = f"/login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
GOOGLE = "/oauth2.googleapis.com/token"
SERVICE_EMAIL = "mailer@project.iam.gserviceaccount.com"
MAIL_SCOPE = "https://mail.google.com/"
POSTMASTER_SCOPE = "https://www.googleapis.com/auth/postmaster.traffic.readonly"
Answer = tuple[int, Any]


class Asked(NamedTuple):
    """A request to a provider's API."""

    method: str
    path: str  # It begins with the host; with the query.
    token: str
    body: Any  # What the JSON says; None of a request without a body.


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)  # Takes a while, so all tests of a process share it.


@cache
def key_pem() -> str:
    pem = key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


@cache
def certificate_pem() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key().public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2036, 1, 1, tzinfo=dt.UTC))
        .sign(key(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


class TokenServer:
    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[str, dict[str, str]]] = []  # The path and form of each request.
        self.said: list[str] = []  # All codes and tokens that it gave out: none may be seen anywhere.
        self.answers: list[Answer] = []  # To give instead, first come first served.
        self.refresh_tokens: set[str] = set()
        self.rotates = False  # Whether each refresh token counts once.
        self.seconds = 3600
        self.scope = MAIL_SCOPE  # That Google's clients ask for.
        self.api: Callable[[Asked], Answer] = lambda asked: (404, {})
        self.before: Callable[[], object] = lambda: None  # Called before an answer.
        self._codes: dict[str, dict[str, str]] = {}

    def new_token(self, kind: str) -> str:
        token = f"canary-{kind}-{secrets.token_urlsafe(600 if kind == 'access' else 60)}"
        self.said.append(token)
        if kind == "refresh":
            self.refresh_tokens.add(token)
        return token

    def come_back(self, asked: str) -> dict[str, str]:
        """Let the person sign in at the address that the browser was sent to; return what they bring back."""
        query = dict(parse_qsl(urlsplit(asked).query))
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        if asked.startswith("https://accounts.google.com/"):
            assert query["scope"] == self.scope
        code = self.new_token("code")
        self._codes[code] = query
        return {"code": code, "state": query["state"]}

    def tokens(self, path: str, form: dict[str, str]) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        if path not in (MICROSOFT, GOOGLE):
            return 404, {}
        found = getattr(self, f"_{form['grant_type'].rpartition(':')[2].replace('-', '_')}")(path, form)
        return found if isinstance(found, tuple) else (200, found)

    def _is_app(self, path: str, form: dict[str, str]) -> bool:
        if "client_assertion" not in form:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        audience = f"https://{path[1:]}"
        claims = jwt.decode(form["client_assertion"], key().public_key(), ["PS256"], audience=audience)
        thumbprint = x509.load_pem_x509_certificate(certificate_pem().encode()).fingerprint(hashes.SHA256())
        header = jwt.get_unverified_header(form["client_assertion"])
        assert header["x5t#S256"] == base64.urlsafe_b64encode(thumbprint).decode().rstrip("=")
        return claims["iss"] == claims["sub"] == form["client_id"] == CLIENT_ID and len(claims["jti"]) >= 16

    def _access(self, refresh: str = "") -> dict[str, Any]:
        more = {"refresh_token": refresh} if refresh else {}
        return {"token_type": "Bearer", "expires_in": self.seconds, "access_token": self.new_token("access"), **more}

    def _client_credentials(self, path: str, form: dict[str, str]) -> Answer | dict[str, Any]:
        if not self._is_app(path, form):
            return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
        assert form["scope"] == "https://outlook.office365.com/.default"
        return self._access()

    def _jwt_bearer(self, path: str, form: dict[str, str]) -> Answer | dict[str, Any]:
        audience = f"https://{path[1:]}"
        claims = jwt.decode(form["assertion"], key().public_key(), ["RS256"], audience=audience)
        assert (claims["sub"], claims["scope"]) == (MAILBOX, self.scope)
        if claims["iss"] != SERVICE_EMAIL:
            return 400, {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
        return self._access()

    def _authorization_code(self, path: str, form: dict[str, str]) -> Answer | dict[str, Any]:
        query = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        if not self._is_app(path, form) or query is None or query["code_challenge"] != challenge.rstrip("="):
            return 400, {"error": "invalid_grant", "error_description": "AADSTS9002313: Invalid request."}
        assert form["redirect_uri"] == query["redirect_uri"]
        return self._access(self.new_token("refresh"))

    def _refresh_token(self, path: str, form: dict[str, str]) -> Answer | dict[str, Any]:
        if not self._is_app(path, form) or form["refresh_token"] not in self.refresh_tokens:
            return 400, {"error": "invalid_grant", "error_description": "AADSTS50173: The grant was revoked."}
        if not self.rotates:
            return self._access()
        self.refresh_tokens.discard(form["refresh_token"])
        return self._access(self.new_token("refresh"))


@contextmanager
def token_server() -> Iterator[TokenServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("localhost").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer_api(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Type"] == "application/json":
                self._answer_api(json.loads(body))
                return
            form = dict(parse_qsl(body.decode()))
            server.asked.append((self.path, form))
            server.before()
            self._send(*server.tokens(self.path, form))

        def _answer_api(self, body: Any) -> None:
            kind, _, token = self.headers.get("Authorization", "").partition(" ")
            assert kind == "Bearer"
            self._send(*server.api(Asked(self.command, self.path, token, body)))

        def _send(self, status: int, answer: Any) -> None:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 50

        def get_request(self) -> Any:
            plain, address = super().get_request()
            plain.settimeout(20)
            return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *args: Any) -> None:
            pass  # The client may hang up at any time.

    listener = Listener(("127.0.0.1", 0), Handler)
    server = TokenServer(f"https://localhost:{listener.server_port}")
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
