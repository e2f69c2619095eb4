"""The verifier of signatures, against our signer, dkimpy's signer, and messages that were changed on their way."""

from collections.abc import Sequence

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mail.message.dkim import Key, Signer
from mail.message.dkim_verification import verify
from mail.records.dkim_key import name_of, value_of

RSA = generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.generate()
MESSAGE = (
    b"From: =?utf-8?q?Shop?= <news@shop.example>\r\nTo: ann@customer.example\r\nSubject: Winter  sale,\r\n\tnow\r\n"
    b"Date: Mon, 30 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@shop.example>\r\nX-Tag: 1\r\n"
    b"\r\nHello \t there \r\n\r\n\r\n"
)
RECORDS = {
    name_of("r1", "shop.example"): [value_of(RSA.public_key())],
    name_of("e1", "shop.example"): [value_of(ED25519.public_key())],
}


def records_of(name: str) -> Sequence[str]:
    return RECORDS.get(name, [])


def signed(message: bytes = MESSAGE) -> bytes:
    return Signer("shop.example", [Key("r1", RSA), Key("e1", ED25519)])(message) + message


def test_both_signatures_of_ours_verify() -> None:
    verdicts = verify(signed(), records_of)

    assert [(one.domain, one.selector, one.algorithm, one.problem) for one in verdicts] == [
        ("shop.example", "r1", "rsa-sha256", ""),
        ("shop.example", "e1", "ed25519-sha256", ""),
    ]


@pytest.mark.parametrize("header", [b"relaxed", b"simple"])
@pytest.mark.parametrize("body", [b"relaxed", b"simple"])
@pytest.mark.parametrize("message", [MESSAGE, b"From: a@shop.example\r\n\r\n", MESSAGE + b"end"])
def test_the_signatures_of_another_signer_verify(header: bytes, body: bytes, message: bytes) -> None:
    pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    head = dkim.sign(message, b"r1", b"shop.example", pem, canonicalize=(header, body))

    assert [one.problem for one in verify(head + message, records_of)] == [""]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"Hello", b"Hullo", "The body was changed."),
        (b"Winter", b"Summer", "A header was changed, or another key signed."),
        (b"X-Tag: 1", b"From: evil@other.example", "A header was changed, or another key signed."),
        (b"d=shop.example", b"d=other.example", "There is no key at r1._domainkey.other.example."),
        (b"a=rsa-sha256", b"a=rsa-sha1", "The signature has an unknown version, algorithm or form."),
        (b"c=relaxed/simple;", b"c=relaxed/simple; l=5;", "The signature covers a part of the body only."),
        (b"h=from:from:", b"h=x:", "The signature doesn't cover From."),
        (b"s=r1;", b"s=e1;", "The key in DNS is of another kind."),
        (b" b=", b" b=!", "The signature isn't Base64."),
        (b"v=1;", b"v=1; v=1;", "The signature can't be read: the tag v appears twice."),
    ],
)
def test_what_was_changed_does_not_verify(old: bytes, new: bytes, problem: str) -> None:
    message = signed()
    assert old in message

    first = verify(message.replace(old, new, 1), records_of)[0]

    assert first.problem.startswith(problem)


def test_a_revoked_key_verifies_nothing() -> None:
    revoked = {name: ["v=DKIM1; k=rsa; p="] for name in RECORDS}

    assert [one.problem for one in verify(signed(), lambda name: revoked[name])] == [
        "The key of r1._domainkey.shop.example is revoked: its p= is empty.",
        "The key of e1._domainkey.shop.example is revoked: its p= is empty.",
    ]


def test_a_message_without_a_signature_has_no_verdict() -> None:
    assert verify(MESSAGE, records_of) == []


def test_endless_signatures_are_looked_at_in_part() -> None:
    assert len(verify(b"DKIM-Signature: v=1\r\n" * 1000 + MESSAGE, records_of)) == 10


def test_the_oracle_agrees() -> None:
    def dns(name: bytes, timeout: int = 5) -> bytes:
        return RECORDS[name.decode().rstrip(".")][0].encode()

    assert all(dkim.DKIM(signed()).verify(index, dnsfunc=dns) for index in range(2))
