"""Signed assertions (JWT, RFC 7519), by which an app or service account proves who it is (RFC 7523)."""

import base64
import datetime as dt
import json
import secrets
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

LASTS = dt.timedelta(minutes=5)
DRIFT = dt.timedelta(seconds=30)  # Our clock may be ahead of the provider's.


class KeyUnusable(ValueError):
    """A private key or certificate cannot sign; the text says why and shows nothing of it."""


def service_account_assertion(
    *, email: str, mailbox: str, scope: str, audience: str, key: str, now: dt.datetime
) -> str:
    """Return Google's assertion for domain-wide delegation, signed by RS256.

    :param key: the service account's private key, in PEM.
    :raises KeyUnusable: if it is not an RSA key.
    """
    claims = {"iss": email, "sub": mailbox, "scope": scope, "aud": audience, **_times(now)}
    return _signed({"alg": "RS256", "typ": "JWT"}, claims, private_key(key), padding.PKCS1v15())


def certificate_assertion(*, client_id: str, audience: str, certificate: str, key: str, now: dt.datetime) -> str:
    """Return Microsoft's client assertion for an app with a certificate, signed by PS256.

    :raises KeyUnusable: if the key is not RSA, or the certificate cannot be read.
    """
    thumbprint = _encoded(public_certificate(certificate).fingerprint(hashes.SHA256()))
    claims = {
        **{"iss": client_id, "sub": client_id, "aud": audience, "jti": secrets.token_hex(16)},
        **_times(now),
        "nbf": int((now - DRIFT).timestamp()),
    }
    header = {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return _signed(header, claims, private_key(key), pss)


def private_key(pem: str) -> rsa.RSAPrivateKey:
    """Return an RSA key of 2,048 bits or more.

    :raises KeyUnusable: if it is none, or needs a password.
    """
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):  # TypeError: it is encrypted.
        raise KeyUnusable("not a private key in PEM form without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise KeyUnusable("not an RSA key of 2,048 bits or more")
    return key


def public_certificate(pem: str) -> x509.Certificate:
    """Return the certificate.

    :raises KeyUnusable: if it is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise KeyUnusable("not a certificate in PEM form") from None


def _times(now: dt.datetime) -> dict[str, int]:
    return {"iat": int((now - DRIFT).timestamp()), "exp": int((now + LASTS).timestamp())}


def _signed(header: dict[str, Any], claims: dict[str, Any], key: rsa.RSAPrivateKey, pad: Any) -> str:
    words = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{words}.{_encoded(key.sign(words.encode(), pad, hashes.SHA256()))}"


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
