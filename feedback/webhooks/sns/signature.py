"""The envelope of Amazon SNS: its signature, and the confirmation of a topic.

Scaleway signs in the same way, with certificates of its own authority.
"""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import (
    Certificate,
    DuplicateExtension,
    UnsupportedGeneralNameType,
    load_pem_x509_certificate,
)

from feedback.webhooks.adapter import Answer, KeyField, Keys, Post, TryLater, Unproved, World
from feedback.webhooks.event import at_path, parse_json
from feedback.webhooks.proofs import decoded
from words.texts import text as _

_ARN = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:[\w-]*:[\w.-]+")


def check_topics(text: str) -> str:
    """Return ARNs of topics, one a line.

    :raises ValueError: for anything else.
    """
    for topic in text.split():
        if not _ARN.fullmatch(topic):
            raise ValueError(_("Enter one ARN a line, e.g. arn:aws:sns:eu-central-1:123456789012:brilliance."))
    return "\n".join(text.split())


TOPICS = KeyField(
    "topics",
    _("Topics"),
    _("The ARNs of your topics, one a line. Only these are confirmed and read."),
    is_secret=False,
    is_long=True,
    check=check_topics,
)
# Whole addresses: there is no room for a user name, a port, another host, or a query beside the one to confirm with.
_HOST = r"https://sns\.[a-z]{2,4}(?:-[a-z]+)+-[0-9]\.amazonaws\.com(?:\.cn)?/"
AMAZON_CERTIFICATE = re.compile(_HOST + r"SimpleNotificationService-[0-9a-f]{32}\.pem")
AMAZON_CONFIRMATION = re.compile(_HOST + r"\?Action=ConfirmSubscription&[\w.:%=&+-]+", re.ASCII)
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
# What a certificate raises that is none, or has a key of an unknown kind. Most of it is only read when asked for.
_MALFORMED = (ValueError, UnsupportedAlgorithm, DuplicateExtension, UnsupportedGeneralNameType)
_HASHES = {"1": hashes.SHA1, "2": hashes.SHA256}  # Version 1 is what SNS signs with by default.

CheckCertificate = Callable[[list[Certificate], World], Certificate]


def envelope_of(body: bytes) -> dict[str, Any]:
    """Return the fields of an envelope.

    :raises ValueError: if the body is none.
    """
    envelope = parse_json(body)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("Type"), str):
        raise ValueError("The body is no SNS message.")
    return envelope


def prove(post: Post, keys: Keys, world: World, urls: re.Pattern[str], check: CheckCertificate) -> None:
    """Prove the signature of an envelope, and that its topic is one of the hook's.

    :param urls: the addresses that certificates may be fetched from.
    :param check: returns the certificate that signs, after its own proof.
    :raises Unproved: if the topic is foreign or the signature wrong.
    :raises TryLater: if the certificate can't be fetched now.
    """
    try:
        envelope = envelope_of(post.body)
    except ValueError as error:
        raise Unproved(str(error)) from error
    # First the topic: a stranger's topic has a genuine signature too, and costs no fetch.
    topic = at_path(envelope, "TopicArn")
    if topic not in keys.get("topics", "").split():
        raise Unproved(_("The topic isn't one of this server's. Enter its ARN under Topics."))
    url = at_path(envelope, "SigningCertURL")
    make_hash = _HASHES.get(str(envelope.get("SignatureVersion")))
    if make_hash is None or not isinstance(url, str) or not urls.fullmatch(url):
        raise Unproved(_("The signing certificate isn't the provider's."))
    signature, signed = decoded(str(envelope.get("Signature", ""))), signed_text(envelope)
    found = _certificates(url, world)
    try:
        key = check(found, world).public_key()
    except _MALFORMED as error:
        raise Unproved(_("The signing certificate can't be read.")) from error
    if not isinstance(key, RSAPublicKey):
        raise Unproved(_("The signing certificate isn't the provider's."))
    try:
        key.verify(signature, signed, padding.PKCS1v15(), make_hash())
    except InvalidSignature as error:
        raise Unproved(_("The signature is wrong.")) from error


def signed_text(envelope: dict[str, Any]) -> bytes:
    """Return the bytes that SNS signs: each name and value on its own line, the last one too.

    :raises Unproved: if a value is no text.
    """
    names = _NOTIFICATION if envelope["Type"] == "Notification" else _CONFIRMATION
    lines: list[str] = []
    for name in names:
        value = envelope.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise Unproved(_("A signed field is missing."))
        lines += (name, value)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def confirm(post: Post, world: World, urls: re.Pattern[str]) -> Answer | None:
    """Confirm the topic of a proved SubscriptionConfirmation. Other envelopes need no answer.

    :raises Unproved: if the address to confirm at is not the provider's.
    :raises TryLater: if it can't be reached, or this copy may not confirm.
    """
    envelope = envelope_of(post.body)
    if envelope["Type"] == "Notification":
        return None
    if envelope["Type"] != "SubscriptionConfirmation":
        return Answer()
    url = envelope["SubscribeURL"]
    if not urls.fullmatch(url):
        raise Unproved(_("The address to confirm the topic at isn't the provider's."))
    if not world.may_confirm():
        raise TryLater("This restored copy waits to be confirmed.")
    try:
        world.fetch(url)
    except OSError as error:
        raise TryLater("The topic can't be confirmed now.") from error
    return Answer()


def only_certificate(found: list[Certificate], world: World) -> Certificate:
    """Return the certificate that Amazon serves. The address it came from is its proof, and its dates count.

    :raises Unproved: if it has expired, or is not valid yet.
    """
    if not is_current(found[0], world.now):
        raise Unproved(_("The signing certificate has expired, or this server's clock is wrong."))
    return found[0]


def is_current(certificate: Certificate, now: dt.datetime) -> bool:
    """Tell whether a certificate is valid at an instant, by its dates."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _certificates(url: str, world: World) -> list[Certificate]:
    try:
        document = world.fetch(url)
    except OSError as error:
        raise TryLater("The signing certificate can't be fetched now.") from error
    parts = re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", document, re.DOTALL)[:5]
    try:
        found = [load_pem_x509_certificate(part) for part in parts]
    except _MALFORMED as error:
        raise Unproved(_("The signing certificate can't be read.")) from error
    if not found:
        raise Unproved(_("The signing certificate can't be read."))
    return found
