"""Verification of DKIM signatures (RFC 6376 section 6, RFC 8301, RFC 8463). It shares no code with what signs.

The caller gives the records of keys; nothing here asks DNS or reads the clock.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from mail.records import tags
from mail.records.dkim_key import faults_of, name_of, public_key_of
from mail.records.finding import State
from words.texts import text as _
from words.texts import text_of

MOST_SIGNATURES = 10
ALGORITHMS = {"rsa-sha256": RSAPublicKey, "ed25519-sha256": Ed25519PublicKey}
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_OWN_VALUE = re.compile(rb"((?:^|[:;])[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_BLANKS = re.compile(rb"[ \t]+")

RecordsOf = Callable[[str], Sequence[str]]  # The TXT records of a name.


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one signature is worth."""

    domain: str
    selector: str
    algorithm: str
    problem: str = ""  # Why it does not verify, as a sentence; empty: it does.


class _Invalid(Exception):
    """The signature does not verify; the text is a sentence."""


def verify(message: bytes, records_of: RecordsOf) -> list[Verdict]:
    """Return a verdict on each signature of a message, the topmost first.

    :param message: headers and body with CRLF.
    """
    head, _blank, body = message.partition(b"\r\n\r\n")
    fields = _FIELD_END.split(head)
    own = [number for number, line in enumerate(fields) if _name_of(line) == b"dkim-signature"]
    return [_verdict(fields, number, body, records_of) for number in own[:MOST_SIGNATURES]]


def _verdict(fields: list[bytes], number: int, body: bytes, records_of: RecordsOf) -> Verdict:
    text = fields[number].partition(b":")[2].replace(b"\r\n", b"").decode("ascii", "replace")
    try:
        found = tags.read(text)
    except tags.TagsInvalid as error:
        return Verdict("", "", "", _("The signature can't be read: %(why)s.", why=str(error)))
    signature = Verdict(found.get("d").lower(), found.get("s").lower(), found.get("a").lower())
    try:
        _check(found, fields, number, body, records_of)
    except _Invalid as error:
        return Verdict(signature.domain, signature.selector, signature.algorithm, text_of(error))
    return signature


def _check(found: tags.Tags, fields: list[bytes], number: int, body: bytes, records_of: RecordsOf) -> None:
    names = [name.strip().lower().encode() for name in found.get("h").split(":")]
    algorithm = found.get("a").lower()
    header_form, _slash, body_form = found.get("c", "simple").lower().partition("/")
    forms = {header_form, body_form or "simple"}
    if found.get("v") != "1" or algorithm not in ALGORITHMS or not forms <= {"simple", "relaxed"}:
        raise _Invalid(_("The signature has an unknown version, algorithm or form."))
    if b"from" not in names:
        raise _Invalid(_("The signature doesn't cover From."))
    if "l" in found:  # Anybody could add to the body.
        raise _Invalid(_("The signature covers a part of the body only."))
    if _octets(found.get("bh")) != hashlib.sha256(_canonical_body(body, body_form or "simple")).digest():
        raise _Invalid(_("The body was changed."))
    key = _key(found, records_of)
    if not isinstance(key, ALGORITHMS[algorithm]):
        raise _Invalid(_("The key in DNS is of another kind."))
    covered = _covered(names, fields, header_form)
    own = _canonical_field(_OWN_VALUE.sub(rb"\1", fields[number]), header_form).removesuffix(b"\r\n")
    _check_signature(key, _octets(found.get("b")), covered + own)


def _check_signature(key: RSAPublicKey | Ed25519PublicKey, signature: bytes, signed: bytes) -> None:
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), SHA256())
        else:
            key.verify(signature, hashlib.sha256(signed).digest())
    except InvalidSignature:
        raise _Invalid(_("A header was changed, or another key signed.")) from None


def _key(found: tags.Tags, records_of: RecordsOf) -> RSAPublicKey | Ed25519PublicKey:
    name = name_of(found.get("s").lower(), found.get("d").lower())
    records = records_of(name)
    for fault in faults_of(name, records):
        if fault.state is State.BROKEN:
            raise _Invalid(fault.sentence)
    key = public_key_of(tags.read(records[0]))
    if key is None:
        raise _Invalid(_("The key at %(name)s can't be read.", name=name))
    return key


def _covered(names: Sequence[bytes], fields: list[bytes], form: str) -> bytes:
    """Return the signed headers: those of one name count from the bottom, and a missing one adds nothing."""
    left: dict[bytes, list[bytes]] = {}
    for line in fields:
        left.setdefault(_name_of(line), []).append(line)
    return b"".join(_canonical_field(left[name].pop(), form) for name in names if left.get(name))


def _canonical_field(line: bytes, form: str) -> bytes:
    if form == "simple":
        return line + b"\r\n"
    name, _colon, value = line.partition(b":")
    unfolded = _BLANKS.sub(b" ", value.replace(b"\r\n", b""))
    return name.strip().lower() + b":" + unfolded.strip(b" ") + b"\r\n"


def _canonical_body(body: bytes, form: str) -> bytes:
    if form == "relaxed":
        body = b"\r\n".join(_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n"))
        if not body.strip(b"\r\n"):
            return b""
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def _name_of(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


def _octets(written: str) -> bytes:
    try:
        return base64.b64decode("".join(written.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Invalid(_("The signature isn't Base64.")) from None
