"""A domain without a fault, and faults to seed into it: what changes in DNS, and what the doctor has to call it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domains.senders import Sender
from mail.records.finding import Line, Record, State
from mail.records.transport import FetchFailed
from tests.peers.name_server import Records

DOMAIN = "acme.example"


def rsa_key(bits: int) -> str:
    """Return an RSA key record of about this size; nobody knows its private half."""
    public = RSAPublicNumbers(65537, (1 << (bits - 1)) + 0x1234567).public_key()
    octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"


SPF = "v=spf1 ip4:192.0.2.25 include:spf.mailer.example -all"
DMARC = "v=DMARC1; p=reject; rua=mailto:dmarc@acme.example"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.acme.example\r\nmax_age: 604800\r\n"
PIXEL_URL = "https://links.acme.example/o/token.gif"
PIXEL = b"GIF89a\x01\x00"
POLICY_URL = "https://mta-sts.acme.example/.well-known/mta-sts.txt"
LOGO_URL = "https://acme.example/logo.svg"
LOGO = b'<svg version="1.2" baseProfile="tiny-ps" viewBox="0 0 64 64"><title>a</title></svg>'
SOA = "ns.acme.example. hostmaster.acme.example. 1 7200 3600 1209600 300"
MAILER = Sender("Mailer", DOMAIN, DOMAIN, provider="Mailer", include="spf.mailer.example", selectors=("s1",))
RELAY = Sender("Relay", DOMAIN, DOMAIN, is_own_relay=True, host="relay.acme.example", helo="relay.acme.example")

GOOD: Mapping[str, Records | str] = {
    DOMAIN: {"TXT": [SPF, "site-verification=1"], "MX": ["10 mx.acme.example."], "A": ["192.0.2.80"], "SOA": [SOA]},
    "mx.acme.example": {"A": ["192.0.2.26"]},
    "relay.acme.example": {"A": ["192.0.2.25"]},
    "25.2.0.192.in-addr.arpa": {"PTR": ["relay.acme.example."]},
    "spf.mailer.example": {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]},
    "s1._domainkey.acme.example": {"TXT": [rsa_key(2048)]},
    "_dmarc.acme.example": {"TXT": [DMARC]},
    "_mta-sts.acme.example": {"TXT": ["v=STSv1; id=20261101"]},
    "_smtp._tls.acme.example": {"TXT": ["v=TLSRPTv1; rua=mailto:tls@acme.example"]},
    "default._bimi.acme.example": {"TXT": [f"v=BIMI1; l={LOGO_URL}; a=https://acme.example/logo.pem"]},
    "links.acme.example": {"CNAME": ["relay.acme.example."]},
    "test.dbl.lists.example": {"A": ["127.0.1.2"]},
    "2.0.0.127.zen.lists.example": {"A": ["127.0.0.2"]},
}


# The same without MTA-STS and BIMI, whose files would be fetched.
WITHOUT_FILES = {name: found for name, found in GOOD.items() if not name.startswith(("_mta-sts", "default._bimi"))}


@dataclass(frozen=True)
class Seeded:
    """A fault: the records that replace those of a name, and the fault's name."""

    line: Line
    fault: str
    changes: Mapping[str, Records | str | None]
    state: State = State.BROKEN
    files: Mapping[str, bytes] = field(default_factory=dict)
    senders: tuple[Sender, ...] = (MAILER, RELAY)
    says: str = ""  # A part of the sentence or of the record to paste.

    def __str__(self) -> str:
        return self.fault

    def zone(self) -> dict[str, Records | str]:
        changed: dict[str, Records | str | None] = {**GOOD, **self.changes}
        return {name: records for name, records in changed.items() if records is not None}

    def fetch(self, url: str, most_octets: int) -> bytes:
        files = {POLICY_URL: POLICY.encode(), LOGO_URL: LOGO, PIXEL_URL: PIXEL, **self.files}
        if not files.get(url):
            raise FetchFailed("mta-sts.acme.example answered 404")
        return files[url][:most_octets]


def apex(spf: str | list[str] = SPF, **others: list[str]) -> dict[str, Records | str | None]:
    """Return the records of the domain itself with another SPF record, or with other records of a type."""
    base = GOOD[DOMAIN]
    assert not isinstance(base, str)
    return {DOMAIN: {**base, "TXT": [spf] if isinstance(spf, str) else spf, **others}}


def _text(name: str, *texts: str) -> dict[str, Records | str | None]:
    return {f"{name}.{DOMAIN}": {"TXT": list(texts)}}


def _key(*texts: str) -> dict[str, Records | str | None]:
    return _text("s1._domainkey", *texts)


def _key_to_publish(end: str = "") -> str:
    return str(Record("s1._domainkey.acme.example", "TXT", rsa_key(2048) + end))


def _chain(length: int) -> dict[str, Records | str | None]:
    steps: dict[str, Records | str | None] = {
        f"n{n}.example": {"TXT": [f"v=spf1 include:n{n + 1}.example -all"]} for n in range(1, length)
    }
    return {**steps, f"n{length}.example": {"TXT": ["v=spf1 -all"]}}


_ED25519_WRAPPED = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
_POLICY_OF = "version: STSv1\nmode: {}\nmx: {}\nmax_age: 604800\n"

SEEDED = [
    # --- SPF
    Seeded(Line.SPF, "spf-missing", apex([]), says="v=spf1 include:spf.mailer.example ip4:192.0.2.25 ~all"),
    Seeded(
        Line.SPF,
        "spf-two-records",
        apex([SPF, "v=spf1 mx ~all"]),
        says="ip4:192.0.2.25 include:spf.mailer.example mx -all",
    ),
    Seeded(Line.SPF, "spf-quoted", apex(f'"{SPF}"'), says=f'TXT "{SPF}"'),
    Seeded(Line.SPF, "spf-version", apex(SPF.replace("v=spf1", "v=spf1;")), says="v=spf1 "),
    Seeded(Line.SPF, "spf-syntax", apex(SPF.replace("ip4:", "ipv4:")), says="ipv4:192.0.2.25"),
    Seeded(Line.SPF, "spf-syntax", apex(SPF.replace("ip4:", "ipv4:")), says=f'TXT "{SPF}"'),
    Seeded(Line.SPF, "spf-syntax", apex(SPF.replace("ip4:", "ip4: ")), says=f'TXT "{SPF}"'),
    Seeded(Line.SPF, "spf-syntax", apex(SPF.replace(" include", ", include")), says=f'TXT "{SPF}"'),
    Seeded(Line.SPF, "spf-syntax", apex(SPF.replace(".25", ".300")), says="Correct ip4:192.0.2.300 yourself"),
    Seeded(Line.SPF, "spf-syntax", apex("v=spf1 redirect=a.example redirect=b.example"), says="Correct redirect=a.e"),
    Seeded(
        Line.SPF,
        "spf-too-many-mx",
        apex(SPF.replace("-all", "mx -all"), MX=[f"10 mx{n}.acme.example." for n in range(11)]),
        says="mx leads to 11 mail servers",
    ),
    Seeded(Line.SPF, "spf-all-pass", apex(SPF.replace("-all", "+all")), says="~all"),
    Seeded(Line.SPF, "spf-all-neutral", apex(SPF.replace("-all", "?all")), State.LOOK),
    Seeded(Line.SPF, "spf-no-all", apex(SPF.removesuffix(" -all")), State.LOOK),
    Seeded(Line.SPF, "spf-ptr", apex(SPF.replace("-all", "ptr -all")), State.LOOK),
    Seeded(Line.SPF, "spf-after-all", apex(f"{SPF} mx"), State.LOOK),
    Seeded(
        Line.SPF,
        "spf-too-many-lookups",
        {**apex(SPF.replace("-all", "include:n1.example -all")), **_chain(11)},
        says="needs 12 look-ups",
    ),
    Seeded(
        Line.SPF, "spf-many-lookups", {**apex(SPF.replace("-all", "include:n1.example -all")), **_chain(9)}, State.LOOK
    ),
    Seeded(
        Line.SPF,
        "spf-too-many-void-lookups",
        apex(SPF.replace("-all", "a:x.example a:y.example mx:z.example -all")),
        says="x.example",
    ),
    Seeded(Line.SPF, "spf-include-missing", {"spf.mailer.example": None}, says="include:spf.mailer.example"),
    Seeded(Line.SPF, "spf-include-two-records", {"spf.mailer.example": {"TXT": ["v=spf1 -all", "v=spf1 ~all"]}}),
    Seeded(Line.SPF, "spf-include-syntax", {"spf.mailer.example": {"TXT": ["v=spf1 ip4:256.1.1.1 -all"]}}),
    Seeded(Line.SPF, "spf-include-loop", {"spf.mailer.example": {"TXT": [f"v=spf1 include:{DOMAIN} -all"]}}),
    Seeded(
        Line.SPF,
        "spf-provider-missing",
        apex("v=spf1 ip4:192.0.2.25 -all"),
        State.LOOK,
        says="include:spf.mailer.example",
    ),
    Seeded(Line.SPF, "spf-relay-missing", apex("v=spf1 include:spf.mailer.example -all"), says="ip4:192.0.2.25"),
    # --- DKIM
    Seeded(Line.DKIM, "dkim-missing", {"s1._domainkey.acme.example": None}),
    Seeded(Line.DKIM, "dkim-revoked", _key("v=DKIM1; k=rsa; p=")),
    Seeded(Line.DKIM, "dkim-no-key", _key("v=DKIM1; k=rsa")),
    Seeded(Line.DKIM, "dkim-short-key", _key(rsa_key(768)), says="768 bits"),
    Seeded(Line.DKIM, "dkim-weak-key", _key(rsa_key(1024)), State.LOOK),
    Seeded(Line.DKIM, "dkim-testing", _key(rsa_key(2048) + "; t=y"), State.LOOK, says=_key_to_publish()),
    Seeded(Line.DKIM, "dkim-testing", _key(rsa_key(2048) + "; t=y:s"), State.LOOK, says=_key_to_publish("; t=s")),
    Seeded(Line.DKIM, "dkim-sha1", _key(rsa_key(2048) + "; h=sha1"), says=_key_to_publish()),
    Seeded(Line.DKIM, "dkim-not-for-mail", _key(rsa_key(2048) + "; s=tlsrpt")),
    Seeded(Line.DKIM, "dkim-wrong-kind", _key(rsa_key(2048).replace("k=rsa", "k=dsa"))),
    Seeded(Line.DKIM, "dkim-quoted", _key(f'"{rsa_key(2048)}"'), says=_key_to_publish()),
    Seeded(Line.DKIM, "dkim-escaped", _key(rsa_key(2048).replace(";", "\\;")), says=_key_to_publish()),
    Seeded(
        Line.DKIM,
        "dkim-two-records",
        _key(rsa_key(2048), rsa_key(2048).replace("k=rsa; ", "")),
        says=_key_to_publish(),
    ),
    Seeded(
        Line.DKIM,
        "dkim-kind-rsa",
        _key(rsa_key(2048).replace("k=rsa", "k=ed25519")),
        says="so its k= should be rsa",
    ),
    Seeded(
        Line.DKIM,
        "dkim-alias-dangling",
        {"s1._domainkey.acme.example": {"CNAME": ["s1.keys.mailer.example."]}},
        says="is an alias of s1.keys.mailer.example, where there is no key",
    ),
    Seeded(Line.DKIM, "dkim-two-records", _key(rsa_key(2048), rsa_key(1024))),
    Seeded(Line.DKIM, "dkim-bad-key", _key(rsa_key(2048)[:200])),
    Seeded(Line.DKIM, "dkim-bad-ed25519", _key(f"v=DKIM1; k=ed25519; p={_ED25519_WRAPPED}"), says="44"),
    Seeded(
        Line.DKIM,
        "dkim-version",
        _key(f"k=rsa; v=DKIM1; {rsa_key(2048).partition('rsa; ')[2]}"),
        says=_key_to_publish(),
    ),
    Seeded(
        Line.DKIM,
        "dkim-name-doubled",
        {
            "s1._domainkey.acme.example": None,
            "s1._domainkey.acme.example.acme.example": {"TXT": [rsa_key(2048)]},
        },
        says=_key_to_publish(),
    ),
    # --- DMARC
    Seeded(
        Line.DMARC,
        "dmarc-missing",
        {"_dmarc.acme.example": None},
        says='TXT "v=DMARC1; p=none; rua=mailto:dmarc@acme.example"',
    ),
    Seeded(Line.DMARC, "dmarc-two-records", _text("_dmarc", DMARC, "v=DMARC1; p=none"), says=f'"{DMARC}"'),
    Seeded(Line.DMARC, "dmarc-version-first", _text("_dmarc", "p=reject; v=DMARC1"), says=f'"{DMARC}"'),
    Seeded(Line.DMARC, "dmarc-version-first", _text("_dmarc", DMARC.lower()), says=f'"{DMARC}"'),
    Seeded(Line.DMARC, "dmarc-version-first", _text("_dmarc", DMARC.replace(";", ",")), says=f'"{DMARC}"'),
    Seeded(Line.DMARC, "dmarc-syntax", _text("_dmarc", "v=DMARC1; p=reject, rua=x; oops")),
    Seeded(Line.DMARC, "dmarc-quoted", _text("_dmarc", f'"{DMARC}"'), says=f'"{DMARC}"'),
    Seeded(Line.DMARC, "dmarc-escaped", _text("_dmarc", DMARC.replace(";", "\\;"))),
    Seeded(Line.DMARC, "dmarc-policy-invalid", _text("_dmarc", DMARC.replace("reject", "monitor")), says="monitor"),
    Seeded(Line.DMARC, "dmarc-policy-missing", _text("_dmarc", DMARC.replace("p=reject; ", "")), State.LOOK),
    Seeded(Line.DMARC, "dmarc-no-reports", _text("_dmarc", "v=DMARC1; p=reject"), State.LOOK),
    Seeded(
        Line.DMARC, "dmarc-reports-invalid", _text("_dmarc", "v=DMARC1; p=reject; rua=dmarc@acme.example"), State.LOOK
    ),
    Seeded(
        Line.DMARC,
        "dmarc-reports-not-allowed",
        _text("_dmarc", "v=DMARC1; p=reject; rua=mailto:x@reports.example"),
        State.LOOK,
        says='acme.example._report._dmarc.reports.example. IN TXT "v=DMARC1"',
    ),
    Seeded(
        Line.DMARC, "dmarc-obsolete-tags", _text("_dmarc", f"{DMARC}; pct=100; ri=86400"), State.LOOK, says="pct, ri"
    ),
    Seeded(Line.DMARC, "dmarc-unknown-tag", _text("_dmarc", f"{DMARC}; policy=reject"), State.LOOK),
    Seeded(Line.DMARC, "dmarc-sp-weaker", _text("_dmarc", f"{DMARC}; sp=none"), State.LOOK),
    Seeded(Line.DMARC, "dmarc-testing", _text("_dmarc", f"{DMARC}; t=y"), State.LOOK),
    Seeded(
        Line.DMARC,
        "dmarc-name-doubled",
        {"_dmarc.acme.example": None, "_dmarc.acme.example.acme.example": {"TXT": [DMARC]}},
        says=f'_dmarc.acme.example. IN TXT "{DMARC}"',
    ),
    Seeded(Line.DMARC, "dmarc-wrong-name", {"_dmarc.acme.example": None, **apex([SPF, DMARC])}, says=f'"{DMARC}"'),
    # --- alignment
    Seeded(
        Line.ALIGNMENT,
        "alignment-dkim-only",
        {"other.example": {"MX": ["10 mx.acme.example."]}},
        State.LOOK,
        senders=(Sender("Mailer", DOMAIN, "other.example", selectors=("s1",)),),
    ),
    # --- return path, MX
    Seeded(
        Line.RETURN_PATH,
        "return-path-no-mx",
        {"b.acme.example": {"A": ["192.0.2.1"]}},
        State.LOOK,
        senders=(Sender("M", DOMAIN, "b.acme.example"),),
        says="Bounces go to its own address",
    ),
    Seeded(
        Line.RETURN_PATH,
        "return-path-no-mail",
        {"b.acme.example": {"TXT": ["x"]}},
        senders=(Sender("M", DOMAIN, "b.acme.example"),),
    ),
    Seeded(
        Line.RETURN_PATH,
        "return-path-private",
        {"b.acme.example": {"A": ["10.0.0.1"]}},
        senders=(Sender("M", DOMAIN, "b.acme.example"),),
    ),
    Seeded(Line.RETURN_PATH, "return-path-private", {"mx.acme.example": {"A": ["192.168.1.2"]}}, says="192.168.1.2"),
    Seeded(Line.RETURN_PATH, "return-path-missing", {}, senders=(Sender("M", DOMAIN, "b.acme.example"),)),
    Seeded(
        Line.RETURN_PATH,
        "return-path-null-mx",
        {"b.acme.example": {"MX": ["0 ."]}},
        senders=(Sender("M", DOMAIN, "b.acme.example"),),
    ),
    Seeded(Line.RETURN_PATH, "return-path-no-address", {"mx.acme.example": None}),
    Seeded(Line.MX, "domain-missing", {DOMAIN: None}),
    Seeded(Line.MX, "mx-missing", apex(MX=[]), State.LOOK),
    Seeded(Line.MX, "mx-none", apex(MX=[], A=[])),
    Seeded(Line.MX, "mx-null", apex(MX=["0 ."])),
    Seeded(Line.MX, "mx-no-address", {"mx.acme.example": None}),
    Seeded(Line.MX, "mx-private", {"mx.acme.example": {"A": ["127.0.0.1"]}}, says="mx.acme.example leads to 127.0.0.1"),
    Seeded(Line.MX, "mx-private", {"mx.acme.example": {"AAAA": ["fd12::1"]}}, says="private network"),
    Seeded(Line.MX, "mx-private", apex(MX=[], A=["10.0.0.1"]), says="10.0.0.1"),
    Seeded(Line.MX, "mx-is-address", apex(MX=["10 192.0.2.26."])),
    Seeded(Line.MX, "mx-is-alias", {"mx.acme.example": {"CNAME": ["relay.acme.example."]}}, State.LOOK),
    Seeded(Line.MX, "soa-missing", apex(SOA=[])),
    # --- own relays
    Seeded(
        Line.PTR,
        "ptr-missing",
        {"25.2.0.192.in-addr.arpa": None},
        says="25.2.0.192.in-addr.arpa. IN PTR relay.acme.example.",
    ),
    Seeded(Line.PTR, "ptr-unconfirmed", {"25.2.0.192.in-addr.arpa": {"PTR": ["mx.acme.example."]}}),
    Seeded(
        Line.PTR,
        "ptr-generic",
        {
            "25.2.0.192.in-addr.arpa": {"PTR": ["192-0-2-25.pool.isp.example."]},
            "192-0-2-25.pool.isp.example": {"A": ["192.0.2.25"]},
        },
        State.LOOK,
    ),
    Seeded(
        Line.PTR,
        "helo-no-address",
        {},
        State.LOOK,
        senders=(
            Sender("Relay", DOMAIN, DOMAIN, is_own_relay=True, host="relay.acme.example", helo="mail.internal.example"),
        ),
    ),
    Seeded(
        Line.PTR,
        "relay-no-address",
        {},
        State.LOOK,
        senders=(Sender("Relay", DOMAIN, DOMAIN, is_own_relay=True, host="10.0.0.5", helo="relay.acme.example"),),
    ),
    # --- MTA-STS, TLS reports, BIMI
    Seeded(Line.MTA_STS, "mta-sts-two-records", _text("_mta-sts", "v=STSv1; id=1", "v=STSv1; id=2")),
    Seeded(Line.MTA_STS, "mta-sts-version", _text("_mta-sts", "id=1; v=STSv1")),
    Seeded(Line.MTA_STS, "mta-sts-id", _text("_mta-sts", "v=STSv1; id=2026-11-01"), says="v=STSv1; id="),
    Seeded(Line.MTA_STS, "mta-sts-unreachable", {}, files={POLICY_URL: b""}, says="404"),
    Seeded(Line.MTA_STS, "mta-sts-policy", {}, files={POLICY_URL: b"mode: enforce\n"}),
    Seeded(
        Line.MTA_STS, "mta-sts-mx", {}, files={POLICY_URL: _POLICY_OF.format("enforce", "*.mx.acme.example").encode()}
    ),
    Seeded(Line.MTA_STS, "mta-sts-none", {}, State.LOOK, files={POLICY_URL: _POLICY_OF.format("none", "x").encode()}),
    Seeded(
        Line.TLS_RPT, "tls-rpt-two-records", _text("_smtp._tls", "v=TLSRPTv1;rua=mailto:a@a.example", "v=TLSRPTv1;")
    ),
    Seeded(Line.TLS_RPT, "tls-rpt-no-address", _text("_smtp._tls", "v=TLSRPTv1; ruf=mailto:a@a.example")),
    Seeded(Line.TLS_RPT, "tls-rpt-address", _text("_smtp._tls", "v=TLSRPTv1; rua=a@a.example"), State.LOOK),
    Seeded(Line.BIMI, "bimi-dmarc", _text("_dmarc", DMARC.replace("reject", "none")), State.LOOK),
    Seeded(Line.BIMI, "bimi-not-https", _text("default._bimi", "v=BIMI1; l=http://acme.example/logo.svg"), State.LOOK),
    Seeded(Line.BIMI, "bimi-too-large", {}, State.LOOK, files={LOGO_URL: LOGO + b" " * 33_000}),
    Seeded(Line.BIMI, "bimi-not-tiny", {}, State.LOOK, files={LOGO_URL: LOGO.replace(b"tiny-ps", b"full")}),
    Seeded(Line.BIMI, "bimi-not-square", {}, State.LOOK, files={LOGO_URL: LOGO.replace(b"64 64", b"64 32")}),
    # --- links, block lists
    Seeded(Line.TRACKING, "tracking-missing", {"links.acme.example": None}),
    Seeded(Line.TRACKING, "tracking-unreachable", {}, State.LOOK, files={PIXEL_URL: b""}, says="answered 404"),
    Seeded(Line.TRACKING, "tracking-elsewhere", {}, files={PIXEL_URL: b"<html>Parked"}, says="not this installation"),
    Seeded(
        Line.BLOCK_LISTS,
        "listed",
        {"acme.example.dbl.lists.example": {"A": ["127.0.1.2"]}},
        State.LOOK,
        says="acme.example is on",
    ),
    Seeded(
        Line.BLOCK_LISTS,
        "listed",
        {"25.2.0.192.zen.lists.example": {"A": ["127.0.0.4"]}},
        State.LOOK,
        says="192.0.2.25 is on",
    ),
]
