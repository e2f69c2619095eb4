"""DMARC and TLS reports as reporters write them: each peculiarity once in the form of RFC 7489, once in RFC 9990's."""

import base64
import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

BEGIN, END = 1_795_996_800, 1_796_083_199  # 30 November 2026, in UTC.
NEW_NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"
PASSING = (
    "<dkim><domain>acme.example</domain><selector>s1</selector><result>pass</result></dkim>"
    "<spf><domain>bounces.acme.example</domain><scope>mfrom</scope><result>pass</result></spf>"
)


@dataclass(frozen=True)
class Record:
    """A record of a DMARC report, as text."""

    ip: str = "192.0.2.7"
    count: str = "3"
    disposition: str = "none"
    dkim: str = "pass"
    spf: str = "pass"
    author: str = "acme.example"
    results: str = PASSING
    reason: str = ""
    more: str = ""

    def xml(self) -> str:
        return (
            f"<record><row><source_ip>{self.ip}</source_ip><count>{self.count}</count><policy_evaluated>"
            f"<disposition>{self.disposition}</disposition><dkim>{self.dkim}</dkim><spf>{self.spf}</spf>{self.reason}"
            f"</policy_evaluated></row><identifiers><header_from>{self.author}</header_from>{self.more}</identifiers>"
            f"<auth_results>{self.results}</auth_results></record>"
        )


@dataclass(frozen=True)
class Sample:
    """A report."""

    records: tuple[Record, ...] = (Record(),)
    organisation: str = "Receiver Inc."
    number: str = "17959968001796083199"
    domain: str = "acme.example"
    policy: str = "<adkim>r</adkim><aspf>r</aspf><p>none</p><sp>none</sp>"
    metadata: str = ""
    attributes: str = ""
    declaration: str = '<?xml version="1.0" encoding="UTF-8"?>\n'
    begin: str = str(BEGIN)
    end: str = str(END)

    def xml(self) -> str:
        return (
            f"{self.declaration}<feedback{self.attributes}><version>1.0</version><report_metadata>"
            f"<org_name>{self.organisation}</org_name><email>noreply@receiver.example</email>"
            f"<report_id>{self.number}</report_id><date_range><begin>{self.begin}</begin><end>{self.end}</end>"
            f"</date_range>{self.metadata}</report_metadata><policy_published><domain>{self.domain}</domain>"
            f"{self.policy}</policy_published>{''.join(record.xml() for record in self.records)}</feedback>"
        )


def dkim(domain: str, result: str, selector: str = "s1") -> str:
    return f"<dkim><domain>{domain}</domain><selector>{selector}</selector><result>{result}</result></dkim>"


def spf(domain: str, result: str, scope: str = "mfrom") -> str:
    return f"<spf><domain>{domain}</domain><scope>{scope}</scope><result>{result}</result></spf>"


_OLD = {
    "plain": Sample(),
    "two records": Sample((Record(), Record(ip="198.51.100.9", count="12", dkim="fail", spf="fail"))),
    "one source twice": Sample((Record(count="1"), Record(ip="192.0.2.8", count="2"))),
    "ipv6": Sample((Record(ip="2001:db8:1:2::7"),)),
    "quarantined": Sample((Record(disposition="quarantine", dkim="fail", spf="fail"),)),
    "rejected": Sample((Record(disposition="reject", dkim="fail", spf="fail"),), policy="<p>reject</p>"),
    "only dkim aligned": Sample((Record(spf="fail", results=dkim("acme.example", "pass") + spf("x.example", "pass")),)),
    "only spf aligned": Sample((Record(dkim="fail", results=dkim("x.example", "pass") + spf("acme.example", "pass")),)),
    "no signature": Sample((Record(dkim="fail", results=spf("acme.example", "pass")),)),
    "three signatures": Sample(
        (
            Record(
                results=dkim("esp.example", "pass", "k1")
                + dkim("acme.example", "fail", "old")
                + dkim("acme.example", "pass", "s1")
                + spf("acme.example", "softfail")
            ),
        )
    ),
    "no selector": Sample(
        (
            Record(
                results="<dkim><domain>acme.example</domain><result>pass</result></dkim>" + spf("acme.example", "pass")
            ),
        )
    ),
    "words in capitals": Sample((Record(dkim="Pass", spf="Fail", disposition="None"),)),
    "domain in capitals": Sample((Record(author="ACME.example"),), domain="Acme.Example"),
    "subdomain": Sample((Record(author="news.acme.example"),)),
    "forwarded": Sample((Record(reason="<reason><type>forwarded</type><comment>looks forwarded</comment></reason>"),)),
    "local policy": Sample(
        (
            Record(
                reason="<reason><type>local_policy</type><comment>arc=pass</comment></reason>", dkim="fail", spf="fail"
            ),
        )
    ),
    "envelope names": Sample(
        (Record(more="<envelope_to>receiver.example</envelope_to><envelope_from>bounces.acme.example</envelope_from>"),)
    ),
    "temporary errors": Sample(
        (Record(dkim="fail", spf="fail", results=dkim("acme.example", "temperror") + spf("acme.example", "permerror")),)
    ),
    "pct and fo": Sample(policy="<p>quarantine</p><sp>none</sp><pct>100</pct><fo>1</fo>"),
    "no policy below": Sample(policy="<p>none</p>"),
    "an error of the reporter": Sample(metadata="<error>We lost some.</error>"),
    "extra contact": Sample(metadata="<extra_contact_info>https://receiver.example/dmarc</extra_contact_info>"),
    "no declaration": Sample(declaration=""),
    "other declaration": Sample(declaration='<?xml version="1.0"?>\n'),
    "organisation with an entity": Sample(organisation="Müller &amp; Söhne"),
    "number with letters": Sample(number="acme.example.1795996800@receiver.example"),
    "many messages": Sample((Record(count="4000000"),)),
    "fifty sources": Sample(tuple(Record(ip=f"203.0.{n}.{n}", count=str(n + 1)) for n in range(50))),
    "neutral spf": Sample((Record(spf="fail", results=dkim("acme.example", "pass") + spf("acme.example", "neutral")),)),
    "wide domain": Sample((Record(author="xn--mller-kva.example"),), domain="xn--mller-kva.example"),
}


def _new(sample: Sample) -> Sample:
    """Return a report with the namespace and the elements that RFC 9990 brought."""
    return Sample(
        sample.records,
        sample.organisation,
        sample.number,
        sample.domain,
        sample.policy.replace("<pct>100</pct>", "")
        + "<np>none</np><testing>n</testing><discovery_method>treewalk</discovery_method>",
        sample.metadata + "<generator>Receiver 2.0</generator>",
        f' xmlns="{NEW_NAMESPACE}"',
        sample.declaration,
    )


SAMPLES = {
    **{f"old: {name}": sample for name, sample in _OLD.items()},
    **{f"new: {name}": _new(sample) for name, sample in _OLD.items()},
}


def tls_report(**changes: Any) -> dict[str, Any]:
    """Return a TLS report with one policy and one failure (RFC 8460 appendix B)."""
    return {
        "organization-name": "Receiver Inc.",
        "date-range": {"start-datetime": "2026-11-30T00:00:00Z", "end-datetime": "2026-11-30T23:59:59Z"},
        "contact-info": "sts@receiver.example",
        "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
        "policies": [tls_policy()],
        **changes,
    }


def tls_policy(domain: str = "acme.example", successes: int = 5_326, failures: int = 303) -> dict[str, Any]:
    return {
        "policy": {
            "policy-type": "sts",
            "policy-string": ["version: STSv1"],
            "policy-domain": domain,
            "mx-host": ["mx"],
        },
        "summary": {"total-successful-session-count": successes, "total-failure-session-count": failures},
        "failure-details": [
            {
                "result-type": "certificate-expired",
                "receiving-mx-hostname": f"mx1.{domain}",
                "failed-session-count": 100,
            },
            {
                "result-type": "starttls-not-supported",
                "receiving-mx-hostname": f"mx2.{domain}",
                "failed-session-count": 200,
            },
        ],
    }


def zipped(*files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"receiver.example!acme.example!{BEGIN}!{END}!{number}.xml", content)
    return packed.getvalue()


def mail(content: bytes, kind: str = "application/gzip", name: str = "", to: str = "dmarc@acme.example") -> bytes:
    """Return a mail that brings a report."""
    name = name or f"receiver.example!acme.example!{BEGIN}!{END}.xml.gz"
    return (
        (
            f"From: noreply@receiver.example\r\nTo: {to}\r\n"
            "Subject: Report Domain: acme.example Submitter: receiver.example Report-ID: 1\r\n"
            'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
            "Content-Type: text/plain\r\n\r\nThis is a report.\r\n--b\r\n"
            f'Content-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
        ).encode()
        + base64.encodebytes(content).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )


def tls_mail(report: dict[str, Any], to: str = "dmarc@acme.example") -> bytes:
    name = f"receiver.example!acme.example!{BEGIN}!{END}.json.gz"
    return mail(gzip.compress(json.dumps(report).encode()), "application/tlsrpt+gzip", name, to)
