"""DKIM key records: ``selector._domainkey.domain`` (RFC 6376 section 3.6.1, RFC 8301, RFC 8463)."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from mail.records import tags
from mail.records.answers import Ask, host_of
from mail.records.finding import Fault, Finding, Line, Record, State, judged, not_checked, seen_of
from words.texts import joined
from words.texts import text as _

_ARMOUR = re.compile(r"-----(?:BEGIN|END)[A-Z ]*PUBLIC KEY-----")  # Of a file, pasted with the key.
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
    texts = {name: ask(name, "TXT").records for name in needed or [name_of(one, domain) for one in usual]}
    faults = {name: list(faults_of(name, found, own.get(name))) for name, found in texts.items() if needed or found}
    misplaced = {name: ask(f"{name}.{domain}", "TXT").records for name in needed if not texts[name]}
    for name, found in misplaced.items():
        faults[name] = [_doubled(name, domain)] if found else _of_alias(name, ask) or faults[name]
    seen = {name: seen_of(found) for name, found in texts.items() if found}
    if not needed and not seen:
        return not_checked(
            Line.DKIM,
            _("No key found under the usual selectors. Enter the selectors that your provider shows you."),
        )
    said = "\n".join(f"{name}: {record}" for name, record in seen.items())[:4_000]
    all_faults = [fault for found in faults.values() for fault in found]
    if {_kind(record) for record in seen.values()} == {"ed25519"}:
        all_faults.append(
            Fault(State.LOOK, "dkim-only-ed25519", _("Many receivers can't read Ed25519 alone. Add an RSA key."))
        )
    names = ", ".join(name.partition("._domainkey.")[0] for name in seen)
    finding = judged(Line.DKIM, all_faults, _("Good keys under: %(selectors)s.", selectors=names), said)
    worst = next((name for name, found in faults.items() if finding.fault in {fault.key for fault in found}), "")
    if not worst:
        return finding
    record = own.get(worst) or _repaired(worst, texts[worst] or misplaced[worst], finding.fault)
    if record is not None and finding.fault == "dkim-alias-dangling":
        record = record._replace(name=_target(worst, ask))
    return replace(finding, record=record)


def _doubled(name: str, domain: str) -> Fault:
    said = _("The key is at %(name)s.%(domain)s: the domain was added twice.", name=name, domain=domain)
    return Fault(State.BROKEN, "dkim-name-doubled", said)


def _of_alias(name: str, ask: Ask) -> list[Fault]:
    """Return the fault of an alias that leads to no key; none without an alias."""
    target = _target(name, ask)
    said = _("%(name)s is an alias of %(target)s, where there is no key.", name=name, target=target)
    return [Fault(State.BROKEN, "dkim-alias-dangling", said)] if target else []


def _target(name: str, ask: Ask) -> str:
    return next(map(host_of, ask(name, "CNAME").records), "")


def _repaired(name: str, texts: Sequence[str], fault: str) -> Record | None:
    """Return the record that these were meant to be; None if they are not plainly one good key."""
    meant = {value for text in texts if (value := _meant(text))}
    value = meant.pop() if len(meant) == 1 else ""
    if not value or any(left.state is State.BROKEN or left.key == fault for left in faults_of(name, [value])):
        return None
    return Record(name, "TXT", value)


def _meant(text: str) -> str:
    """Return a record without the slips of pasting and without what makes it useless; empty if it has no key."""
    try:
        found = tags.read(_ARMOUR.sub("", tags.cleaned(text).replace("\\", "")))
    except tags.TagsInvalid:
        return ""
    kept = {"v": "DKIM1", "k": "rsa", **dict(found.pairs)} | {"v": "DKIM1", "p": _bare(found.get("p"))}
    try:
        is_raw = len(base64.b64decode(kept["p"], validate=True)) == ED25519_OCTETS
    except ValueError:
        return ""
    if kept["k"].lower() in ("rsa", "ed25519"):
        kept["k"] = "ed25519" if is_raw else "rsa"
    if "sha256" not in _listed(kept.get("h", "sha256")):
        del kept["h"]
    if not {"*", "email"} & set(_listed(kept.get("s", "*"))):
        return ""  # A key that somebody made for something else.
    flags = [flag for flag in _listed(kept.pop("t", "")) if flag not in ("", "y")]
    kept |= {"t": ":".join(flags)} if flags else {}
    value = "; ".join(f"{tag}={written}" for tag, written in kept.items())
    return value if public_key_of(tags.read(value)) is not None else ""


def unsigned(
    domain: str,
    servers: Sequence[str],
    is_required: bool,
    found: Finding,
    record: Record | None = None,
    *,
    is_seen: bool = False,
) -> Finding:
    """Return the finding about a domain whose mail we should sign, and have no key for.

    :param servers: those that leave the signature to us.
    :param is_required: whether their mail waits.
    :param found: what DNS has otherwise.
    :param record: of a key that waits for DNS.
    :param is_seen: whether DNS has the record, and only the second check is still to come.
    """
    facts = {"servers": ", ".join(servers), "domain": domain}
    said = _("No key for %(domain)s signs, so mail through %(servers)s goes out unsigned.", **facts)
    if is_required:
        said = _("No key for %(domain)s signs, so mail through %(servers)s waits.", **facts)
    advice = _("Publish the records of its keys.") if record else _("Make keys, and publish their records.")
    if is_seen:
        advice = _("DNS has the record of its key, and signing starts after a second check.")
    fault = Fault(
        State.BROKEN if is_required else State.LOOK,
        "dkim-waits" if is_required else "dkim-unsigned",
        joined((said, advice)),
    )
    return judged(Line.DKIM, [fault], "", found.seen, None if is_seen else record)


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
        if _rsa_bits(octets) is not None:
            said = _("The key of %(name)s is an RSA key, so its k= should be rsa.", name=name)
            yield Fault(State.BROKEN, "dkim-kind-rsa", said)
        elif len(octets) != ED25519_OCTETS:
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
