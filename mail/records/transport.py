"""Encryption between mail servers: the MTA-STS policy of a domain (RFC 8461), and its TLS reports (RFC 8460).

Both protect mail to the domain. A domain that only sends may do without them.
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from mail.records import tags
from mail.records.answers import Ask, hosts_of_mail, shown
from mail.records.finding import Fault, Finding, Line, Record, State, judged, seen_of
from words.texts import text as _

MOST_POLICY_OCTETS = 65_536
MOST_TESTING = dt.timedelta(days=90)
LEAST_AGE = 86_400  # Seconds; RFC 8461 section 3.2 recommends weeks.
MOST_AGE = 31_557_600
_STS = re.compile(r"v[ \t]*=[ \t]*STSv1[ \t]*(?:;|$)").match
_TLS = re.compile(r"v[ \t]*=[ \t]*TLSRPTv1[ \t]*(?:;|$)").match
_ID = re.compile(r"[A-Za-z0-9]{1,32}").fullmatch
_REPORT_URI = re.compile(r"(?:mailto:[^@\s!,]+@[A-Za-z0-9._-]+|https://[A-Za-z0-9._-]+(?:[:/][^\s,]*)?)").fullmatch


class FetchFailed(Exception):
    """A file could not be fetched; its words say why."""


class Fetch(Protocol):
    """Fetches a file by https, without following redirects.

    :raises FetchFailed: if there is none.
    """

    def __call__(self, url: str, most_octets: int) -> bytes: ...


class PolicySeen(NamedTuple):
    """What the last look at a policy found, for the next one."""

    id: str = ""
    text: str = ""
    testing_since: dt.datetime | None = None


class StsPolicy(NamedTuple):
    """The policy file."""

    mode: str
    max_age: int
    hosts: tuple[str, ...]  # Patterns, in lower case.

    def covers(self, host: str) -> bool:
        """Tell whether a mail server matches a pattern (RFC 8461 section 4.1)."""
        return any(
            host == pattern or (pattern.startswith("*.") and host.partition(".")[2] == pattern[2:])
            for pattern in self.hosts
        )


class PolicyInvalid(ValueError):
    """A policy file that senders cannot read; its words are a sentence."""


def read_policy(text: str) -> StsPolicy:
    """Return the policy in a file (RFC 8461 section 3.2).

    :raises PolicyInvalid: for the first line that is missing or wrong.
    """
    pairs = [(name.strip(), value.strip()) for name, _colon, value in (row.partition(":") for row in text.splitlines())]
    values = dict(reversed(pairs))  # The first of several counts.
    if not pairs or pairs[0] != ("version", "STSv1"):
        raise PolicyInvalid(_("The policy file must begin with “version: STSv1”."))
    mode = values.get("mode", "")
    if mode not in ("enforce", "testing", "none"):
        raise PolicyInvalid(_("mode in the policy file must be enforce, testing or none."))
    age = values.get("max_age", "")
    if not (age.isascii() and age.isdigit() and len(age) <= 10 and int(age) <= MOST_AGE):
        raise PolicyInvalid(_("max_age in the policy file must be a number of seconds, one year at most."))
    hosts = tuple(value.lower().rstrip(".") for name, value in pairs if name == "mx")[:100]
    if mode != "none" and not hosts:
        raise PolicyInvalid(_("The policy file names no mail server: mx is missing."))
    return StsPolicy(mode, int(age), hosts)


def check_mta_sts(
    domain: str, ask: Ask, fetch: Fetch, now: dt.datetime, before: PolicySeen
) -> tuple[Finding, PolicySeen]:
    """Return the finding about a domain's MTA-STS, and what to remember of it.

    :raises Unanswered: if DNS does not answer.
    """
    answer = ask(f"_mta-sts.{domain}", "TXT")
    records = [text for text in answer.records if _STS(text)]
    good = _("No MTA-STS policy. It is optional, and protects mail to this domain.")
    if not answer.records:
        return judged(Line.MTA_STS, [], good), PolicySeen()
    if len(records) != 1:
        key = "mta-sts-two-records" if records else "mta-sts-version"
        said = (
            _("%(n)s MTA-STS records: keep one.", n=len(records))
            if records
            else _("The record at _mta-sts must begin with v=STSv1.")
        )
        return judged(Line.MTA_STS, [Fault(State.BROKEN, key, said)], "", seen_of(answer.records)), before
    try:
        found = tags.read(records[0])
    except tags.TagsInvalid as error:
        said = _("The MTA-STS record can't be read: %(why)s.", why=str(error))
        return judged(Line.MTA_STS, [Fault(State.BROKEN, "mta-sts-syntax", said)], "", seen_of(records)), before
    faults = []
    proposed = Record(f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={now:%Y%m%dT%H%M%S}")
    if not _ID(found.get("id")):
        faults.append(
            Fault(State.BROKEN, "mta-sts-id", _("id in the MTA-STS record must be 1 to 32 letters and digits."))
        )
    new_id = proposed if faults else None  # A record heals no file.
    url = f"https://mta-sts.{domain}/.well-known/mta-sts.txt"
    try:
        text = fetch(url, MOST_POLICY_OCTETS).decode("utf-8", "replace").replace("\0", "\ufffd")
        policy = read_policy(text)
    except FetchFailed as error:
        said = _("The policy file can't be fetched: %(why)s.", why=str(error))
        faults.append(Fault(State.BROKEN, "mta-sts-unreachable", said))
        return judged(Line.MTA_STS, faults, "", seen_of([*records, url]), new_id), before
    except PolicyInvalid as error:
        faults.append(Fault(State.BROKEN, "mta-sts-policy", str(error)))
        return judged(Line.MTA_STS, faults, "", seen_of([*records, shown(text, 500)]), new_id), before
    since = (before.testing_since or now) if policy.mode == "testing" else None
    seen_now = PolicySeen(found.get("id")[:64], text[:4_000], since)
    if before.text and before.text != seen_now.text and before.id == seen_now.id:
        said = _("The policy file changed and id didn't, so senders keep the old policy.")
        faults.append(Fault(State.BROKEN, "mta-sts-id-unchanged", said))
        seen_now = before  # Until id changes.
    faults += _of_policy(policy, hosts_of_mail(ask(domain, "MX").records), since, now)
    good = _("The mode is %(mode)s.", mode=policy.mode)
    is_record = any(fault.key in ("mta-sts-id", "mta-sts-id-unchanged") for fault in faults)
    seen = "\n".join([seen_of(records), shown(text.replace("\r", "").replace("\n", " | "), 600)])
    return judged(Line.MTA_STS, faults, good, seen, proposed if is_record else None), seen_now


def _of_policy(policy: StsPolicy, hosts: Sequence[str], since: dt.datetime | None, now: dt.datetime) -> Iterator[Fault]:
    missed = [host for host in hosts if host and not policy.covers(host)]
    if missed and policy.mode != "none":
        said = _(
            "The policy doesn't name the mail server %(host)s, so senders refuse to deliver to it.", host=missed[0]
        )
        yield Fault(State.BROKEN if policy.mode == "enforce" else State.LOOK, "mta-sts-mx", said)
    if since is not None and now - since > MOST_TESTING:
        said = _("The policy has been in test mode for over 90 days, so it protects nothing. Set mode: enforce.")
        yield Fault(State.LOOK, "mta-sts-testing", said)
    if policy.mode == "none":
        yield Fault(State.LOOK, "mta-sts-none", _("The policy's mode is none, so it protects nothing."))
    elif policy.max_age < LEAST_AGE:
        yield Fault(State.LOOK, "mta-sts-max-age", _("max_age is below one day. Use a week or more: 604800."))


def check_tls_rpt(domain: str, ask: Ask, report_address: str) -> Finding:
    """Return the finding about a domain's TLS reports.

    :raises Unanswered: if DNS does not answer.
    """
    answer = ask(f"_smtp._tls.{domain}", "TXT")
    records = [text for text in answer.records if _TLS(text)]
    record = Record(f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua=mailto:{report_address}")
    if not answer.records:
        good = _("No TLS reports. They are optional, and tell of failed encryption of mail to this domain.")
        return Finding(Line.TLS_RPT, State.GOOD, good, record=record)
    faults = list(_of_tls_rpt(records))
    good = _("TLS reports are asked for.")
    return judged(Line.TLS_RPT, faults, good, seen_of(answer.records), record if faults else None)


def _of_tls_rpt(records: list[str]) -> Iterator[Fault]:
    if len(records) != 1:
        key = "tls-rpt-two-records" if records else "tls-rpt-version"
        said = (
            _("%(n)s TLS-RPT records: keep one.", n=len(records))
            if records
            else _("The record at _smtp._tls must begin with v=TLSRPTv1.")
        )
        yield Fault(State.BROKEN, key, said)
        return
    try:
        found = tags.read(records[0])
    except tags.TagsInvalid as error:
        yield Fault(State.BROKEN, "tls-rpt-syntax", _("The TLS-RPT record can't be read: %(why)s.", why=str(error)))
        return
    uris = [uri.strip() for uri in found.get("rua").split(",") if uri.strip()]
    if not uris:
        yield Fault(State.BROKEN, "tls-rpt-no-address", _("The TLS-RPT record has no rua, so no reports are sent."))
    elif wrong := [uri for uri in uris if not _REPORT_URI(uri)]:
        said = _("“%(uri)s” in rua is neither mailto: nor https://.", uri=wrong[0][:60])
        yield Fault(State.LOOK, "tls-rpt-address", said)
