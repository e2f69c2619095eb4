"""Genuine posts: what a provider would send, proved the way that provider proves it, with keys of the tests' own."""

import base64
import datetime as dt
import functools
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from feedback.webhooks.adapter import Post, World
from feedback.webhooks.adapters import signed
from feedback.webhooks.sns.signature import signed_text
from tests.feedback.webhooks.posts import CERTIFICATE_URL, TOPIC, body_of, sns_envelope

NOW = dt.datetime(2026, 11, 30, 8, 0, tzinfo=dt.UTC)
KEY = "key-of-the-tests"
URL = "https://mail.example.org/hooks/mandrill/secret"
JWKS_URL = "https://postal.example.org/.well-known/jwks.json"


@dataclass
class Provider:
    """One provider as a test plays it: the keys a person copied, and how a body is proved."""

    keys: Mapping[str, str]
    sign: Callable[[Any, dt.datetime], Post]  # A sample's post, and the instant of the signature.


@dataclass
class Outside:
    """The world around a post, with documents by address and a memory of tokens."""

    documents: dict[str, bytes] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    may_confirm: bool = True

    def world(self, now: dt.datetime = NOW) -> World:
        return World(now, self._fetch, self._is_unused, lambda: self.may_confirm)

    def _fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if url not in self.documents:
            raise OSError("no such document")
        return self.documents[url]

    def _is_unused(self, token: str) -> bool:
        is_unused = token not in self.tokens
        self.tokens.add(token)
        return is_unused


@functools.cache
def rsa_key(name: str = "") -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: rsa.RSAPrivateKey,
    name: str = "sns.amazonaws.com",
    *,
    issuer: tuple[str, rsa.RSAPrivateKey] | None = None,
    is_authority: bool = False,
    until: dt.datetime = NOW + dt.timedelta(days=300),
) -> bytes:
    """Return a certificate in PEM form, signed by itself unless there is an issuer."""
    by, by_key = issuer or (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=300))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    )
    return builder.sign(by_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signed_envelope(message: Any, **fields: Any) -> bytes:
    """Return the body of an SNS message with its signature."""
    envelope = sns_envelope(message, **fields)
    digest = {"1": hashes.SHA1, "2": hashes.SHA256}[envelope["SignatureVersion"]]
    signature = rsa_key().sign(signed_text(envelope), padding.PKCS1v15(), digest())
    return json.dumps({**envelope, "Signature": base64.b64encode(signature).decode()}).encode()


def _sendgrid(post: Any, at: dt.datetime) -> Post:
    body, timestamp = body_of("sendgrid", post)[0], str(int(at.timestamp()))
    signature = base64.b64encode(ec_key().sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    name = "x-twilio-email-event-webhook-"
    return Post(body, {f"{name}signature": signature, f"{name}timestamp": timestamp})


def _mailgun(post: Any, at: dt.datetime) -> Post:
    timestamp, token = str(int(at.timestamp())), post["signature"]["token"]
    signature = hmac.new(KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    proof = {"timestamp": timestamp, "token": token, "signature": signature}
    return Post(json.dumps({**post, "signature": proof}).encode())


def _basic(post: Any, at: dt.datetime) -> Post:
    login = base64.b64encode(f"brilliance:{KEY}".encode()).decode()
    return Post(json.dumps(post).encode(), {"authorization": f"Basic {login}"})


def _resend(post: Any, at: dt.datetime) -> Post:
    body, timestamp = json.dumps(post).encode(), str(int(at.timestamp()))
    signed = hmac.new(KEY.encode(), b"msg_1.%b.%b" % (timestamp.encode(), body), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(b'of another key').decode()} v1,{base64.b64encode(signed).decode()}"
    return Post(body, {"svix-id": "msg_1", "svix-timestamp": timestamp, "svix-signature": signature})


def _mailersend(post: Any, at: dt.datetime) -> Post:
    body = json.dumps(post).encode()
    return Post(body, {"signature": hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()})


def _mandrill(post: Any, at: dt.datetime) -> Post:
    body, headers = body_of("mandrill", post)
    text = f"{URL}mandrill_events{json.dumps(post)}"
    signature = base64.b64encode(hmac.new(KEY.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return Post(body, {**headers, "x-mandrill-signature": signature}, URL)


def _postal(post: Any, at: dt.datetime) -> Post:
    body = json.dumps(post).encode()
    signature = base64.b64encode(rsa_key().sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()
    return Post(body, {"x-postal-signature-256": signature, "x-postal-signature-kid": "k1"})


def _signed(post: Any, at: dt.datetime) -> Post:
    body, timestamp = json.dumps(post).encode(), str(int(at.timestamp()))
    digest = hmac.new(KEY.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return Post(body, {signed.TIMESTAMP: timestamp, signed.SIGNATURE: f"sha256={digest}"})


def sendgrid_key() -> str:
    """Return the public key as SendGrid's page shows it: without the first and last line of a PEM file."""
    pem = (
        ec_key().public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return "".join(re.sub(r"-----.*?-----", "", pem.decode()).split())


def jwks() -> bytes:
    """Return the document of Postal's public keys."""
    numbers = rsa_key().public_key().public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    modulus = base64.urlsafe_b64encode(numbers.n.to_bytes(size)).rstrip(b"=").decode()
    return json.dumps({"keys": [{"kty": "RSA", "kid": "k1", "n": modulus, "e": "AQAB", "use": "sig"}]}).encode()


BASIC = {"username": "brilliance", "password": KEY}
PROVIDERS: dict[str, Provider] = {
    "ses": Provider({"topics": f"other\n{TOPIC}"}, lambda post, at: Post(signed_envelope(post))),
    "sendgrid": Provider({"public_key": ""}, _sendgrid),  # Filled in by keys_of.
    "mailgun": Provider({"signing_key": KEY}, _mailgun),
    "postmark": Provider(BASIC, _basic),
    "brevo": Provider(BASIC, _basic),
    "mailjet": Provider(BASIC, _basic),
    "sparkpost": Provider(BASIC, _basic),
    "resend": Provider({"signing_key": f"whsec_{base64.b64encode(KEY.encode()).decode()}"}, _resend),
    "mailersend": Provider({"signing_key": KEY}, _mailersend),
    "mandrill": Provider({"signing_key": KEY}, _mandrill),
    "postal": Provider({"host": "postal.example.org"}, _postal),
    "signed": Provider({"signing_key": KEY}, _signed),
}


def keys_of(provider: str) -> dict[str, str]:
    """Return what a person would have copied into the fields of a hook."""
    return {"public_key": sendgrid_key()} if provider == "sendgrid" else dict(PROVIDERS[provider].keys)


def outside() -> Outside:
    """Return a world that serves the certificate of SNS and Postal's keys."""
    return Outside({CERTIFICATE_URL: certificate(rsa_key()), JWKS_URL: jwks()})
