"""DKIM key records: ``selector._domainkey.domain`` (RFC 6376 section 3.6.1, RFC 8301, RFC 8463)."""

import base64
import binascii
from collections.abc import Iterator, Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from mail.records import tags
from mail.records.answers import Ask
from mail.records.finding import Fault, Finding, Line, Record, State, judged, not_checked, seen_of
from words.texts import joined
from words.texts import text as _

FEWEST_BITS = 1024  # RFC 8301 section 3.2.
GOOD_BITS = 2048
ED25519_OCTETS = 32  # The raw key (RFC 8463 section 4.2).
# What providers call their keys. They are tried where nobody said which selectors a domain has.
USUAL_SELECTORS = (
    *("default", "dkim", "mail", "s1", "s2", "k1", "k2", "k3", "selector1", "selector2", "google"),
    *("fm1", "mte1", "sig1", "api", "mailjet", "resend", "mlsend", "brevo1", "pm", "zoho", "protonmail"),
)


def name_of(selector: str, domain: str) -> str:
    """Return the name of a key's record."""
    return f"{selector}._domainkey.{domain}"


def is_selector(text: str) -> bool:
    """Tell whether a text can be a selector: labels of letters, digits, hyphens and underscores."""
    labels = text.split(".")
    return len(text) <= 63 and all(
        label and all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in label) for label in labels
    )


def value_of(key: RSAPublicKey | Ed25519PublicKey) -> str:
    """Return the value of a key's record."""
    if isinstance(key, RSAPublicKey):
        return _value("rsa", key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return _value("ed25519", key.public_bytes(Encoding.Raw, PublicFormat.Raw))  # Not the former (RFC 8463 section 4.2).


def revoked_value(value: str) -> str:
    """Return a record's value without its key, which says that the key was revoked (RFC 6376 section 3.6.1)."""
    return f"v=DKIM1; k={tags.read(value).get('k', 'rsa')}; p="


def _value(kind: str, octets: bytes) -> str:
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"


def is_usable(selector: str, domain: str, ask: Ask) -> bool:
    """Tell whether receivers can verify signatures with the key of a selector.

    :raises Unanswered: if DNS does not answer.
    """
    name = name_of(selector, domain)
    return not any(fault.state is State.BROKEN for fault in faults_of(name, ask(name, "TXT").records))


def check(
    domain: str, ask: Ask, selectors: Sequence[str], usual: Sequence[str] = (), published: Sequence[Record] = ()
) -> Finding:
    """Return the finding about a domain's keys.

    :param selectors: those that must have a good key.
    :param usual: those that may have one; they are tried if nothing else is known.
    :param published: the records of our own keys, which must be in DNS as they are.
    :raises Unanswered: if DNS does not answer.
    """
    own = {record.name: record for record in published}
    needed = list(dict.fromkeys([name_of(one, domain) for one in selectors] + list(own)))
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    for name in needed:
        texts = ask(name, "TXT").records
        seen |= {name: seen_of(texts)} if texts else {}
        found = list(faults_of(name, texts, own.get(name)))
        if not texts and ask(f"{name}.{domain}", "TXT").records:
            found = [
                Fault(
                    State.BROKEN,
                    "dkim-name-doubled",
                    _("The key is at %(name)s.%(domain)s: the domain was added twice.", name=name, domain=domain),
                )
            ]
        faults += found
    for name in (name_of(one, domain) for one in usual if not needed):
        texts = ask(name, "TXT").records
        if texts:
            seen[name] = seen_of(texts)
            faults += faults_of(name, texts)
    if not needed and not seen:
        return not_checked(
            Line.DKIM,
            _("No key found under the usual selectors. Enter the selectors that your provider shows you."),
        )
    said = "\n".join(f"{name}: {record}" for name, record in seen.items())[:4_000]
    kinds = {_kind(record) for record in seen.values()}
    if kinds == {"ed25519"}:
        faults.append(
            Fault(State.LOOK, "dkim-only-ed25519", _("Many receivers can't read Ed25519 alone. Add an RSA key."))
        )
    record = own.get(needed[0]) if faults and needed else None
    names = ", ".join(name.partition("._domainkey.")[0] for name in seen)
    return judged(Line.DKIM, faults, _("Good keys under: %(selectors)s.", selectors=names), said, record)


def unsigned(
    domain: str, servers: Sequence[str], is_required: bool, found: Finding, record: Record | None = None
) -> Finding:
    """Return the finding about a domain whose mail we should sign, and have no key for.

    :param servers: those that leave the signature to us.
    :param is_required: whether their mail waits.
    :param found: what DNS has otherwise.
    :param record: of a key that waits for DNS.
    """
    facts = {"servers": ", ".join(servers), "domain": domain}
    said = _("No key for %(domain)s signs, so mail through %(servers)s goes out unsigned.", **facts)
    if is_required:
        said = _("No key for %(domain)s signs, so mail through %(servers)s waits.", **facts)
    advice = _("Publish the records of its keys.") if record else _("Make keys, and publish their records.")
    fault = Fault(
        State.BROKEN if is_required else State.LOOK,
        "dkim-waits" if is_required else "dkim-unsigned",
        joined((said, advice)),
    )
    return judged(Line.DKIM, [fault], "", found.seen, record)


def faults_of(name: str, texts: Sequence[str], published: Record | None = None) -> Iterator[Fault]:
    """Yield what is wrong with the records at the name of a key."""
    if not texts:
        yield Fault(
            State.BROKEN, "dkim-missing", _("There is no key at %(name)s. Signatures can't be verified.", name=name)
        )
        return
    if len(texts) > 1:
        yield Fault(
            State.BROKEN, "dkim-two-records", _("%(name)s has %(n)s records. Keep one.", name=name, n=len(texts))
        )
        return
    text = texts[0]
    if tags.is_quoted(text):
        yield Fault(State.BROKEN, "dkim-quoted", _("Quotes were pasted into the record of %(name)s.", name=name))
        return
    if tags.is_escaped(text):
        yield Fault(State.BROKEN, "dkim-escaped", _(r"Backslashes were pasted into the record of %(name)s.", name=name))
        return
    try:
        found = tags.read(text)
    except tags.TagsInvalid as error:
        yield Fault(
            State.BROKEN, "dkim-syntax", _("The record of %(name)s can't be read: %(why)s.", name=name, why=str(error))
        )
        return
    yield from _of_tags(name, found, published)


def _of_tags(name: str, found: tags.Tags, published: Record | None) -> Iterator[Fault]:
    if "v" in found and (found.first != ("v", "DKIM1")):
        yield Fault(State.BROKEN, "dkim-version", _("The record of %(name)s must begin with v=DKIM1.", name=name))
    if "p" not in found:
        yield Fault(State.BROKEN, "dkim-no-key", _("The record of %(name)s has no p=, so no key.", name=name))
        return
    if not found.get("p"):
        yield Fault(State.BROKEN, "dkim-revoked", _("The key of %(name)s is revoked: its p= is empty.", name=name))
        return
    yield from _of_key(name, found)
    if "h" in found and "sha256" not in _listed(found.get("h")):
        yield Fault(
            State.BROKEN, "dkim-sha1", _("%(name)s allows SHA-1 only, which receivers reject. Remove h=.", name=name)
        )
    if "s" in found and not {"*", "email"} & set(_listed(found.get("s"))):
        yield Fault(State.BROKEN, "dkim-not-for-mail", _("The key of %(name)s isn't for email: see s=.", name=name))
    if "y" in _listed(found.get("t")):
        yield Fault(
            State.LOOK, "dkim-testing", _("%(name)s is in test mode, so it may not count. Remove t=y.", name=name)
        )
    if published is not None and not _is_same_key(found, tags.read(published.value)):
        yield Fault(State.BROKEN, "dkim-other-key", _("The key at %(name)s isn't the one used here.", name=name))


def _of_key(name: str, found: tags.Tags) -> Iterator[Fault]:
    kind = found.get("k", "rsa").lower()
    if kind not in ("rsa", "ed25519"):
        yield Fault(
            State.BROKEN, "dkim-wrong-kind", _("Receivers don't know the key type of %(name)s: see k=.", name=name)
        )
        return
    try:
        octets = base64.b64decode(_bare(found.get("p")), validate=True)
    except (binascii.Error, ValueError):
        yield Fault(State.BROKEN, "dkim-bad-key", _("The key of %(name)s is damaged: it is not Base64.", name=name))
        return
    if kind == "ed25519":
        if len(octets) != ED25519_OCTETS:
            yield Fault(
                State.BROKEN,
                "dkim-bad-ed25519",
                _("The Ed25519 key of %(name)s must have 32 octets and has %(n)s.", name=name, n=len(octets)),
            )
        return
    bits = _rsa_bits(octets)
    if bits is None:
        yield Fault(State.BROKEN, "dkim-bad-key", _("The key of %(name)s is damaged or cut off.", name=name))
    elif bits < FEWEST_BITS:
        yield Fault(
            State.BROKEN,
            "dkim-short-key",
            _("The key of %(name)s has %(bits)s bits. Receivers ignore fewer than 1024.", name=name, bits=bits),
        )
    elif bits < GOOD_BITS:
        yield Fault(
            State.LOOK,
            "dkim-weak-key",
            _("The key of %(name)s has %(bits)s bits. Make one with 2048.", name=name, bits=bits),
        )


def _is_same_key(one: tags.Tags, other: tags.Tags) -> bool:
    """Tell whether two records have one key. The keys are compared: a key can be written in several ways."""
    return public_key_of(one) is not None and _numbers_of(one) == _numbers_of(other)


def _numbers_of(found: tags.Tags) -> tuple[object, ...]:
    key = public_key_of(found)
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        return numbers.n, numbers.e
    return (key.public_bytes_raw(),) if key is not None else ()


def public_key_of(found: tags.Tags) -> RSAPublicKey | Ed25519PublicKey | None:
    """Return the key of a record; None if it has none that can be read."""
    try:
        octets = base64.b64decode(_bare(found.get("p")), validate=True)
        if found.get("k", "rsa").lower() == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
    except ValueError:
        return None
    return _rsa_key(octets)


def _rsa_key(octets: bytes) -> RSAPublicKey | None:
    try:
        key = load_der_public_key(octets)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) else None


def _rsa_bits(octets: bytes) -> int | None:
    key = _rsa_key(octets)
    return key.key_size if key is not None else None


def _kind(text: str) -> str:
    try:
        return tags.read(text).get("k", "rsa").lower()
    except tags.TagsInvalid:
        return ""


def _listed(value: str) -> list[str]:
    return [part.strip().lower() for part in value.split(":")]


def _bare(value: str) -> str:
    return "".join(value.split())
