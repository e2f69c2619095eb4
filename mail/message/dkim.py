"""DKIM signatures: the signed headers, and the DKIM-Signature header for a message (RFC 6376, 8301, 8463).

The caller passes in the keys, stores them, and checks their DNS records.
"""

import base64
import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mail.addresses import ascii_domain

FEWEST_BITS = 1024  # RSA key size (RFC 8301 section 3.2); receivers recommend 2048.

# The headers that define a message. One-click requires a signature over both List-Unsubscribe headers (RFC 8058 section
# 4), complaint loops one over the CFBL headers (RFC 9477 section 3). Never sign headers that a relay adds or changes:
# Return-Path, Received.
_SIGNED = (
    *(b"from", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"mime-version", b"content-type"),
    *(b"list-id", b"list-unsubscribe", b"list-unsubscribe-post"),
    *(b"feedback-id", b"cfbl-address", b"cfbl-feedback-id"),
)


@dataclass(frozen=True, slots=True)
class Key:
    """A private key, and the selector of its DNS record."""

    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key that receivers would not accept.

        :raises ValueError: with a sentence.
        """
        if not _SELECTOR(self.selector):
            raise ValueError(f"The selector {self.selector!r} may hold letters, digits, hyphens and dots only.")
        if isinstance(self.private, RSAPrivateKey) and self.private.key_size < FEWEST_BITS:
            raise ValueError(
                f"The key has {self.private.key_size} bits, and receivers want {FEWEST_BITS} or more; make one of 2048."
            )

    @classmethod
    def from_pem(cls, selector: str, pem: bytes) -> "Key":
        """Return the key from an unencrypted PEM file.

        :raises ValueError: with a sentence, if it contains no RSA or Ed25519 key.
        """
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("This is no private key in PEM form, or one with a passphrase.") from None
        if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
            raise ValueError("Mail is signed with RSA or Ed25519 keys only; make one of these.")
        return cls(selector, private)

    @property
    def algorithm(self) -> str:
        """The value of ``a=``."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, canonical: bytes) -> bytes:
        """Return the signature over canonical headers."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(canonical, _PADDING, _HASH)
        return self.private.sign(hashlib.sha256(canonical).digest())  # Of the hash (RFC 8463 section 3).


class Signer:
    """Signs the mail of one domain: call it with a message, and put the result in front of it."""

    def __init__(self, domain: str, keys: Sequence[Key]) -> None:
        """Prepare for signing.

        :param domain: the domain of From or a parent of it; DMARC accepts no other (RFC 9989 section 4.4).
        :param keys: each adds a signature; use Ed25519 in addition to RSA, because not every receiver knows it.
        :raises ValueError: if the domain is invalid, or there is no key.
        """
        if not keys:
            raise ValueError(f"There is no key to sign the mail of {domain} with.")
        self._domain = ascii_domain(domain)
        self._keys = tuple(keys)
        self.is_slow = any(isinstance(key.private, RSAPrivateKey) for key in keys)  # RSA takes about 0.3 ms.
        self._start = functools.lru_cache(maxsize=64)(self._header_start)  # Messages differ little in their headers.

    def __call__(self, message: bytes) -> bytes:
        """Return a DKIM-Signature header for each key, with its line end.

        :param message: headers and body with CRLF, as sent after DATA.
        :raises ValueError: if it has no From.
        """
        head, _, body = message.partition(b"\r\n\r\n")
        names, canonical = _canonical_headers(head)
        body_hash = base64.b64encode(hashlib.sha256(_canonical_body(body)).digest()) + b";\r\n b="
        signatures = b""
        for key in self._keys:
            unsigned = self._start(key, names) + body_hash
            # The header itself comes last, without its signature and line end (RFC 6376 section 3.7).
            covered = canonical + b"dkim-signature:" + _unfold(unsigned).partition(b": ")[2]
            signature = base64.b64encode(key.sign(covered))
            lines = (signature[start : start + 72] for start in range(0, len(signature), 72))
            signatures += unsigned + b"\r\n ".join(lines) + b"\r\n"
        return signatures

    def _header_start(self, key: Key, names: tuple[bytes, ...]) -> bytes:
        lines = [
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/simple; d={self._domain};",
            f" s={key.selector};",
            f" h={names[0].decode()}",
        ]
        for name in names[1:]:
            if len(lines[-1]) + len(name) < 76:
                lines[-1] += f":{name.decode()}"
            else:
                lines[-1] += ":"
                lines.append(f" {name.decode()}")
        return ("\r\n".join(lines) + ";\r\n bh=").encode()


def _canonical_headers(head: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """Return the names for ``h=``, and the signed headers in canonical form (relaxed, RFC 6376 section 3.4.2)."""
    found: list[bytes] = []
    lines: list[bytes] = []
    unfolded = _unfold(head)
    is_neat = b"  " not in unfolded and b"\t" not in unfolded  # As in our messages.
    for line in unfolded.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if start := _signed_start(name):
            found.append(start)
            lines.append(start + (value if is_neat else _BLANKS(b" ", value)).strip(b" "))
    names, places = _order(tuple(found))
    return names, b"\r\n".join([*[lines[place] for place in places], b""])


@functools.lru_cache(maxsize=256)
def _signed_start(name: bytes) -> bytes:
    """Return a header's name in canonical form, with its colon; empty if the header is not signed."""
    name = name.rstrip(b" \t").lower()
    return name + b":" if name in _IS_SIGNED else b""


@functools.lru_cache(maxsize=64)  # Messages differ little in their headers.
def _order(found: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], list[int]]:
    """Return the names for ``h=``, and the places of the headers in their order.

    :param found: the start of each header, from the top.
    """
    if b"from:" not in found:
        raise ValueError("A message without a From header cannot be signed.")
    names: list[bytes] = [b"from"]  # One more than exists: a second From, added on the way, breaks the signature.
    places: list[int] = []
    for name in _SIGNED:
        # Headers of one name count from the bottom (section 5.4.2).
        same = [place for place, start in enumerate(found) if start == name + b":"][::-1]
        names += [name] * len(same)
        places += same
    return tuple(names), places


def _canonical_body(body: bytes) -> bytes:
    """Return the body without empty lines at its end (simple, RFC 6376 section 3.4.3).

    Quoted-printable has no trailing blanks that a relay could strip, so "relaxed" would only cost time.
    """
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def _unfold(headers: bytes) -> bytes:
    return headers.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")


_IS_SIGNED = frozenset(_SIGNED)
_PADDING, _HASH = PKCS1v15(), SHA256()
_BLANKS = re.compile(rb"[ \t]+").sub
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?").fullmatch
