"""Proofs of origin: the genuine post passes, and every change of body, key or time is refused with a sentence."""

import base64
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

from feedback.webhooks.adapter import Post, TryLater, Unproved
from feedback.webhooks.adapters import ADAPTERS, mailersend, mandrill
from feedback.webhooks.sns import scaleway, signature
from feedback.webhooks.sns.scaleway_authority import INTERMEDIATE, ROOT
from tests.feedback.webhooks.posts import CERTIFICATE_URL, TOPIC, sns_envelope
from tests.feedback.webhooks.signers import (
    JWKS_URL,
    KEY,
    NOW,
    PROVIDERS,
    URL,
    Outside,
    certificate,
    keys_of,
    outside,
    rsa_key,
    signed_envelope,
)

SAMPLES = {
    file.stem: json.loads(file.read_text())[0]["post"] for file in (Path(__file__).parent / "samples").glob("*.json")
}
AGES = {"mailgun": 15, "resend": 5, "signed": 5}  # Minutes that a signature lives.


def genuine(provider: str, at: dt.datetime = NOW) -> Post:
    return PROVIDERS[provider].sign(SAMPLES[provider], at)


def prove(provider: str, post: Post, world: Outside | None = None, keys: Any = None, now: dt.datetime = NOW) -> None:
    adapter = ADAPTERS[provider]
    adapter.prove(post, keys_of(provider) if keys is None else keys, (world or outside()).world(now))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_genuine_post_is_proved(provider: str) -> None:
    prove(provider, genuine(provider))


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"postmark", "brevo", "mailjet", "sparkpost", "mailgun"}))
def test_a_changed_body_is_refused(provider: str) -> None:
    post = genuine(provider)
    changed = dataclasses.replace(post, body=post.body.replace(b"ann", b"bob"))

    with pytest.raises(Unproved, match=r"signature is wrong.*\.$"):
        prove(provider, changed)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_post_without_its_proof_is_refused(provider: str) -> None:
    post = genuine(provider)
    bare = Post(post.body.replace(b'"Signature": "', b'"Sig": "').replace(b'"signature": "', b'"sig": "'), {}, post.url)

    with pytest.raises(Unproved, match=r"\.$"):
        prove(provider, bare)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_is_proved_before_somebody_entered_the_keys(provider: str) -> None:
    with pytest.raises(Unproved, match=r"\.$"):
        prove(provider, genuine(provider), keys={})


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("sendgrid", "The key is missing here. Copy it from the provider's page."),
        ("resend", "The key is missing here. Copy it from the provider's page."),
        ("postal", "Postal's host is missing here. Enter the one of its web pages."),
        (
            "signed",
            "The signing key is missing here. Enter a long random one, and the same one in your relay's program.",
        ),
        *(
            (each, "The password is missing here. Enter a username and a password, and the same ones at the provider.")
            for each in ("postmark", "brevo", "mailjet", "sparkpost")
        ),
    ],
)
def test_a_missing_key_says_where_it_comes_from(provider: str, said: str) -> None:
    with pytest.raises(Unproved) as raised:
        prove(provider, genuine(provider), keys={})

    assert str(raised.value) == said


def test_a_wrong_signature_of_a_relay_sends_nobody_to_a_provider() -> None:
    with pytest.raises(Unproved, match="with the one in your relay's program"):
        prove("signed", genuine("signed"), keys=dict.fromkeys(keys_of("signed"), "b3RoZXI="))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_other_keys_prove_nothing(provider: str) -> None:
    other = dict.fromkeys(keys_of(provider), "b3RoZXI=")

    with pytest.raises((Unproved, TryLater)):
        prove(provider, genuine(provider), keys=other)


def test_another_certificate_of_the_right_host_proves_nothing() -> None:
    world = Outside({CERTIFICATE_URL: certificate(rsa_key("other"))})

    with pytest.raises(Unproved, match="signature is wrong"):
        prove("ses", genuine("ses"), world)


@pytest.mark.parametrize(("provider", "minutes"), AGES.items())
def test_a_signature_grows_old(provider: str, minutes: int) -> None:
    limit = dt.timedelta(minutes=minutes)

    prove(provider, genuine(provider, NOW - limit))
    for at in (NOW - limit - dt.timedelta(seconds=1), NOW + limit + dt.timedelta(seconds=1)):
        with pytest.raises(Unproved, match="too old, or this server's clock"):
            prove(provider, genuine(provider, at))


def test_a_token_of_mailgun_counts_once_whatever_stands_around_it() -> None:
    world, post = outside(), genuine("mailgun")
    prove("mailgun", post, world)

    with pytest.raises(Unproved, match="used before"):
        prove("mailgun", dataclasses.replace(post, body=post.body.replace(b"ann", b"bob")), world)


def test_a_subaccount_of_mailgun_is_proved_by_its_parents_key() -> None:
    told = json.loads(genuine("mailgun").body)
    told["parent-signature"], told["signature"] = told["signature"], {**told["signature"], "signature": "0" * 64}

    prove("mailgun", Post(json.dumps(told).encode()))


def test_a_bearer_token_is_a_proof_too() -> None:
    post = Post(b"{}", {"authorization": f"Bearer {KEY}"})

    prove("brevo", post, keys={"password": KEY})
    with pytest.raises(Unproved, match="wrong or missing"):
        prove("brevo", post, keys={"password": "other"})


@pytest.mark.parametrize("pasted", ["-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", " {}\n"])
def test_the_key_of_sendgrid_may_be_pasted_in_either_form(pasted: str) -> None:
    prove("sendgrid", genuine("sendgrid"), keys={"public_key": pasted.format(keys_of("sendgrid")["public_key"])})


@pytest.mark.parametrize("key", ["", "AAAA", "nonsense!", "ä", "-----BEGIN PUBLIC KEY-----"])
def test_a_key_that_cannot_be_read_proves_nothing(key: str) -> None:
    with pytest.raises(Unproved, match=r"\.$"):
        prove("sendgrid", genuine("sendgrid"), keys={"public_key": key})


def test_mandrill_signs_the_address_to_the_byte() -> None:
    post = genuine("mandrill")

    with pytest.raises(Unproved):
        prove("mandrill", dataclasses.replace(post, url=URL + "/"))


def test_trials_of_an_address_are_answered_by_keys_that_everybody_knows_and_hold_no_event() -> None:
    ping = json.dumps({"type": mailersend.PING, "message": "This is a ping test message"}).encode()
    body = b"mandrill_events=%5B%5D"

    for provider, key, trial in (
        ("mailersend", mailersend.PING_KEY, ping),
        ("mandrill", mandrill.TEST_KEY, body),
    ):
        post = _signed_by(provider, key, trial)
        prove(provider, post)
        assert ADAPTERS[provider].events(post.body, post.headers) == []
    forged = _signed_by("mailersend", mailersend.PING_KEY, json.dumps(SAMPLES["mailersend"]).encode())
    with pytest.raises(Unproved):
        prove("mailersend", forged)


def _signed_by(provider: str, key: str, body: bytes) -> Post:
    if provider == "mailersend":
        return Post(body, {"signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest()})
    signature = hmac.new(key.encode(), f"{URL}mandrill_events[]".encode(), hashlib.sha1).digest()
    return Post(body, {"x-mandrill-signature": base64.b64encode(signature).decode()}, URL)


# --- SNS


def test_sns_signs_each_line_with_its_end_the_last_one_too() -> None:
    envelope = sns_envelope("text", Subject="subject")

    assert (
        signature.signed_text(envelope)
        == (
            f"Message\ntext\nMessageId\n{envelope['MessageId']}\nSubject\nsubject\nTimestamp\n{envelope['Timestamp']}\n"
            f"TopicArn\n{TOPIC}\nType\nNotification\n"
        ).encode()
    )


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES Email Event Notification"}])
def test_both_versions_of_sns_signatures_are_proved(version: str, subject: dict[str, str]) -> None:
    prove("ses", Post(signed_envelope(SAMPLES["ses"], SignatureVersion=version, **subject)))


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE_URL.replace("https", "http"),
        CERTIFICATE_URL.replace(".pem", ".pem?x"),
        CERTIFICATE_URL.replace(".pem", ".pem#x"),
        CERTIFICATE_URL.replace(".pem", ".pem\n"),
        CERTIFICATE_URL.replace(".com/", ".com:443/"),
        CERTIFICATE_URL.replace(".com/", ".com/x/../"),
        CERTIFICATE_URL.replace("0123", "01234"),
        CERTIFICATE_URL.replace("abcdef", "ABCDEF"),
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
        "https://evil.example/sns.eu-central-1.amazonaws.com/a.pem",
        "https://bucket.s3.amazonaws.com/a.pem",
        "https://sns.amazonaws.com/a.pem",
        "https://x.sns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-central-1.amazonaws.com\\@evil.example/a.pem",
        "HTTPS://sns.eu-central-1.amazonaws.com/a.pem",
        None,
        7,
    ],
)
def test_no_certificate_is_fetched_from_another_host(url: Any) -> None:
    world = outside()

    with pytest.raises(Unproved, match="certificate isn't the provider's"):
        prove("ses", Post(signed_envelope(SAMPLES["ses"], SigningCertURL=url)), world)

    assert world.fetched == []


@pytest.mark.parametrize("region", ["us-gov-west-1.amazonaws.com", "cn-north-1.amazonaws.com.cn"])
def test_every_region_has_its_certificates(region: str) -> None:
    url = CERTIFICATE_URL.replace("eu-central-1.amazonaws.com", region)

    prove("ses", Post(signed_envelope(SAMPLES["ses"], SigningCertURL=url)), Outside({url: certificate(rsa_key())}))


@pytest.mark.parametrize("days", [-301, 301])
def test_a_certificate_of_another_time_proves_nothing(days: int) -> None:
    with pytest.raises(Unproved, match="certificate has expired, or this server's clock"):
        prove("ses", genuine("ses"), now=NOW + dt.timedelta(days=days))


def test_a_certificate_whose_key_nobody_knows_proves_nothing() -> None:
    der = load_pem_x509_certificate(certificate(rsa_key())).public_bytes(Encoding.DER)
    unknown = der.replace(bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01017f"))
    pem = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % base64.b64encode(unknown)

    with pytest.raises(Unproved, match="can't be read"):
        prove("ses", genuine("ses"), Outside({CERTIFICATE_URL: pem}))


@pytest.mark.parametrize("rest", ["#x", "?Action=Unsubscribe&Token=y", "x?Action=ConfirmSubscription&Token=y"])
def test_a_topic_is_confirmed_at_the_whole_address_alone(rest: str) -> None:
    world = outside()
    url = f"https://sns.eu-central-1.amazonaws.com/{rest}"
    post = Post(signed_envelope("x", Type="SubscriptionConfirmation", Token="y", SubscribeURL=url))

    with pytest.raises(Unproved, match="address to confirm"):
        ADAPTERS["ses"].answer(post, keys_of("ses"), world.world())

    assert world.fetched == []


@pytest.mark.parametrize("topic", ["arn:aws:sns:eu-central-1:999999999999:foreign", "", None])
def test_a_foreign_topic_is_refused_before_anything_is_fetched(topic: Any) -> None:
    world = outside()
    envelope = {**json.loads(signed_envelope(SAMPLES["ses"])), "TopicArn": topic}

    with pytest.raises(Unproved, match="topic isn't one of this server's"):
        prove("ses", Post(json.dumps(envelope).encode()), world)

    assert world.fetched == []


def test_a_certificate_that_is_not_to_be_had_may_come_later() -> None:
    with pytest.raises(TryLater):
        prove("ses", genuine("ses"), Outside())
    with pytest.raises(TryLater):
        prove("postal", genuine("postal"), Outside())


@pytest.mark.parametrize("document", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_a_document_that_is_no_certificate_proves_nothing(document: bytes) -> None:
    with pytest.raises(Unproved, match="can't be read"):
        prove("ses", genuine("ses"), Outside({CERTIFICATE_URL: document}))


def test_an_allowed_topic_is_confirmed_and_no_other_address_is_called() -> None:
    world = outside()
    url = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=y"
    world.documents[url] = b"<ConfirmSubscriptionResponse/>"
    asked = {"Type": "SubscriptionConfirmation", "Token": "y", "Subject": None}
    post = Post(signed_envelope("You have chosen to subscribe", SubscribeURL=url, **asked))
    evil = Post(signed_envelope("You have chosen", SubscribeURL="https://evil.example/", **asked))
    adapter = ADAPTERS["ses"]

    prove("ses", post, world)
    assert adapter.answer(post, keys_of("ses"), world.world()) is not None
    assert world.fetched == [CERTIFICATE_URL, url]
    with pytest.raises(Unproved, match="address to confirm"):
        adapter.answer(evil, keys_of("ses"), world.world())
    assert world.fetched == [CERTIFICATE_URL, url]
    assert adapter.events(post.body, {}) == []


def test_a_restored_copy_confirms_no_topic() -> None:
    world = outside()
    world.may_confirm = False
    url = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=y"
    post = Post(signed_envelope("x", Type="SubscriptionConfirmation", Token="y", SubscribeURL=url))

    with pytest.raises(TryLater, match="restored copy"):
        ADAPTERS["ses"].answer(post, keys_of("ses"), world.world())

    assert world.fetched == []


# --- Scaleway: certificates of its own authority


def _chain(*, until: dt.datetime = NOW + dt.timedelta(days=9), root: str = "root") -> tuple[bytes, bytes, bytes]:
    """Return the certificates of an authority, of one below it, and the one that signs."""
    authority = certificate(rsa_key("root"), "root", is_authority=True)
    between = certificate(rsa_key("between"), "between", issuer=("root", rsa_key(root)), is_authority=True)
    return authority, between, certificate(rsa_key(), "leaf", issuer=("between", rsa_key("between")), until=until)


def _check(served: bytes, *authorities: bytes) -> None:
    scaleway.check_chain(load_pem_x509_certificates(served), outside().world(), authorities)


def test_a_certificate_of_scaleways_authority_is_taken_with_or_without_the_one_between() -> None:
    root, between, leaf = _chain()

    _check(leaf + between, root)
    _check(leaf, root, between)


@pytest.mark.parametrize("case", ["no authority", "expired", "forged between", "a leaf in between", "itself"])
def test_any_other_certificate_is_refused(case: str) -> None:
    root, between, leaf = _chain()
    served = {
        "no authority": leaf,
        "expired": b"".join(_chain(until=NOW - dt.timedelta(seconds=1))[:0:-1]),
        "forged between": b"".join(_chain(root="stranger")[:0:-1]),
        "a leaf in between": certificate(rsa_key("x"), "x", issuer=("leaf", rsa_key())) + leaf + between,
        "itself": certificate(rsa_key(), "leaf"),
    }[case]

    with pytest.raises(Unproved, match="certificate isn't the provider's"):
        _check(served, root)


def test_the_shipped_authority_is_one_that_signed_the_one_below_it() -> None:
    scaleway.check_chain([load_pem_x509_certificate(INTERMEDIATE)], outside().world(), (ROOT,))


def test_a_post_of_scaleway_is_proved_from_its_own_hosts_only() -> None:
    url = "https://messaging.s3.fr-par.scw.cloud/fr-par/sns/x.pem"
    post = Post(signed_envelope(SAMPLES["scaleway"], SigningCertURL=url, SignatureVersion="2"))
    world = Outside({url: b"".join(_chain()[:0:-1])})

    with pytest.raises(Unproved, match="certificate isn't the provider's"):  # Of the tests' authority.
        prove("scaleway", post, world, {"topics": TOPIC})
    assert world.fetched == [url]
    with pytest.raises(Unproved, match="certificate isn't the provider's"):
        prove("scaleway", Post(signed_envelope(SAMPLES["scaleway"])), world, {"topics": TOPIC})
    assert world.fetched == [url]


# --- handshakes and the rest


def test_event_grid_gets_its_code_back() -> None:
    asked = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6"}}]

    answer = ADAPTERS["azure"].answer(Post(json.dumps(asked).encode()), {}, outside().world())

    assert answer is not None
    assert json.loads(answer.body) == {"validationResponse": "512d38b6"}
    assert ADAPTERS["azure"].answer(Post(json.dumps(SAMPLES["azure"]).encode()), {}, outside().world()) is None


def test_postal_is_asked_for_its_keys_at_the_host_that_somebody_entered() -> None:
    world = outside()

    prove("postal", genuine("postal"), world)

    assert world.fetched == [JWKS_URL]
    post = genuine("postal")
    with pytest.raises(Unproved, match="doesn't know the key"):
        prove("postal", dataclasses.replace(post, headers={**post.headers, "x-postal-signature-kid": "k2"}))


@pytest.mark.parametrize("provider", [key for key in ADAPTERS if key != "azure"])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b"[" * 100_000, b"\xff", b'{"Type": "Notification"}'])
def test_garbage_is_unproved_and_ends_nothing(provider: str, body: bytes) -> None:
    headers = dict.fromkeys(
        ["authorization", "signature", "svix-signature", "x-postal-signature-256", "x-mandrill-signature"], "gar bage"
    )

    with pytest.raises(Unproved, match=r"\.$"):
        prove(provider, Post(body, headers), keys={name.name: "key" for name in ADAPTERS[provider].keys})
