"""A look at a domain: every line of its page, from answers that the caller's functions give.

A line whose question is not answered is unknown and keeps nothing from the others.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domains.senders import ProviderInclude, Sender
from mail.reachability import is_forbidden, is_near, is_private_host
from mail.records import alignment, bimi, block_lists, dkim_key, dmarc, mail_hosts, spf_chain, transport
from mail.records.alignment import Identity, Match
from mail.records.answers import Ask, Unanswered
from mail.records.block_lists import BlockList
from mail.records.finding import Finding, Line, Record, State, could_not_ask, not_checked
from mail.records.mail_hosts import OwnTracking, Relay
from mail.records.spf_chain import Include
from mail.records.transport import Fetch, PolicySeen
from words.texts import text as _


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A DKIM key of ours."""

    domain: str  # d= of its signatures: the domain itself, or a parent.
    record: Record
    is_signing: bool  # Whether mail is signed with it. If not, it waits for DNS.
    is_seen: bool = False  # Whether the last check of a key that waits found its record.


@dataclass(frozen=True, slots=True)
class Subject:
    """A domain, and what this installation knows of it."""

    domain: str  # An A-label.
    senders: Sequence[Sender] = ()
    selectors: Sequence[str] = ()  # Of its DKIM keys, as somebody typed them.
    own_keys: Sequence[OwnKey] = ()
    provider_includes: Sequence[ProviderInclude] = ()
    tracking_host: str = ""
    tracking_probe: str = ""  # A pixel there that only this installation answers; empty: no https.
    own_tracking: OwnTracking | None = None  # The domain's own host of links, in place of both.
    block_lists: Sequence[BlockList] = ()
    report_address: str = ""  # For DMARC and TLS reports, in the records to paste; empty: one at the domain.


class HostProof(NamedTuple):
    """Whether a host of links leads to this installation."""

    host: str
    is_good: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a look found."""

    findings: Sequence[Finding]
    rows: Sequence[Match]  # The matrix of alignment.
    sts: PolicySeen
    host_proof: HostProof | None = None  # Of the domain's own host of links; None: it has none, or nobody answered.


class Inspector:
    """Looks at one domain."""

    def __init__(self, subject: Subject, ask: Ask, fetch: Fetch, now: dt.datetime, sts: PolicySeen) -> None:
        """Prepare.

        :param sts: what the last look remembered of the MTA-STS policy.
        """
        self._subject, self._ask, self._fetch, self._now = subject, ask, fetch, now
        self._report_address = subject.report_address or f"dmarc@{subject.domain}"
        self._rows: Sequence[Match] = ()
        self._sts = sts
        self._host_proof: HostProof | None = None

    def inspect(self) -> Inspection:
        """Return the findings, in the order of the page."""
        checks: dict[Line, Callable[[], Finding]] = {
            Line.SPF: self._spf,
            Line.DKIM: self._keys,
            Line.DMARC: lambda: dmarc.check(self._subject.domain, self._ask, self._report_address),
            Line.ALIGNMENT: self._alignment,
            Line.RETURN_PATH: self._return_path,
            Line.MX: lambda: mail_hosts.check_mx(self._subject.domain, self._ask),
            Line.PTR: lambda: mail_hosts.check_ptr(self._relays(), self._ask),
            Line.MTA_STS: self._mta_sts,
            Line.TLS_RPT: lambda: transport.check_tls_rpt(self._subject.domain, self._ask, self._report_address),
            Line.BIMI: lambda: bimi.check(self._subject.domain, self._ask, self._fetch),
            Line.TRACKING: self._tracking,
            Line.BLOCK_LISTS: self._block_lists,
        }
        findings = [self._asked(line, check) for line, check in checks.items()]
        return Inspection(findings, self._rows, self._sts, self._host_proof)

    def _asked(self, line: Line, check: Callable[[], Finding]) -> Finding:
        try:
            return check()
        except Unanswered as error:
            return could_not_ask(line, error)

    def _spf(self) -> Finding:
        domain, senders = self._subject.domain, self._subject.senders
        here = [sender for sender in senders if sender.envelope == domain and not sender.replaces_envelope]
        wanted = {sender.include: Include(sender.include, sender.provider) for sender in here if sender.include}
        used = {sender.include for sender in senders}
        unused = [
            Include(include.domain, include.provider)
            for include in self._subject.provider_includes
            if senders and include.domain not in used
        ]
        relays = [address for relay in self._relays(here) for address in relay.addresses]
        finding = spf_chain.check(domain, self._ask, list(wanted.values()), unused, relays)
        if finding.fault == "spf-missing" and senders and not here:
            elsewhere = sorted({sender.envelope for sender in senders if not sender.replaces_envelope})
            if elsewhere:
                said = _("Bounces go to %(domains)s, and SPF is checked there.", domains=", ".join(elsewhere))
                return not_checked(Line.SPF, said)
        return finding

    def _keys(self) -> Finding:
        usual = list(dict.fromkeys(one for sender in self._subject.senders for one in sender.selectors))
        own = self._subject.own_keys
        found = dkim_key.check(
            self._subject.domain,
            self._ask,
            self._subject.selectors,
            usual or dkim_key.USUAL_SELECTORS,
            [key.record for key in own if key.is_signing],
        )
        unsigned = [sender for sender in self._subject.senders if self._is_unsigned(sender)]
        if not unsigned:
            return found
        waiting = next((key for key in own if not key.is_signing), None)
        return dkim_key.unsigned(
            self._subject.domain,
            [sender.server for sender in unsigned],
            any(one.must_sign for one in unsigned),
            found,
            waiting.record if waiting else None,
            is_seen=waiting is not None and waiting.is_seen,
        )

    def _is_unsigned(self, sender: Sender) -> bool:
        """Tell whether we should sign a server's mail from this domain, and have no key that signs."""
        is_ours = sender.signs_here and sender.author == self._subject.domain
        return is_ours and not any(key.is_signing for key in self._subject.own_keys)

    def _alignment(self) -> Finding:
        identities = [
            Identity(
                sender.server,
                "" if sender.replaces_envelope else sender.envelope,
                self._signer(sender),
            )
            for sender in self._subject.senders
            if sender.author == self._subject.domain
        ]
        self._rows = alignment.matrix(self._subject.domain, identities, self._ask)
        return alignment.check(self._subject.domain, self._rows)

    def _signer(self, sender: Sender) -> str:
        """Return the domain of a server's signatures; empty if it is not known."""
        if sender.signs_here:
            return next((key.domain for key in self._subject.own_keys if key.is_signing), "")
        return self._subject.domain if self._signs(sender) else ""

    def _signs(self, sender: Sender) -> bool:
        """Tell whether a server probably signs in the domain's name: a key that it would use is in DNS."""
        if sender.is_own_relay:  # Whether it signs is for its own configuration to say.
            return False
        selectors = self._subject.selectors or sender.selectors
        return any(dkim_key.is_usable(selector, self._subject.domain, self._ask) for selector in selectors)

    def _return_path(self) -> Finding:
        senders = self._subject.senders
        ours = sorted({sender.envelope for sender in senders if not sender.replaces_envelope})
        replaced = [sender.server for sender in senders if sender.replaces_envelope]
        return mail_hosts.check_return_path(ours or ([] if replaced else [self._subject.domain]), self._ask, replaced)

    def _relays(self, senders: Sequence[Sender] | None = None) -> list[Relay]:
        own = [sender for sender in (self._subject.senders if senders is None else senders) if sender.is_own_relay]
        return [Relay(sender.server, self._public_addresses(sender.host), sender.helo) for sender in own]

    def _public_addresses(self, host: str) -> tuple[str, ...]:
        found = (
            [host] if mail_hosts.is_address(host) else [*self._ask(host, "A").records, *self._ask(host, "AAAA").records]
        )
        return tuple(address for address in found if not is_near(address) and not is_forbidden(address))

    def _mta_sts(self) -> Finding:
        finding, self._sts = transport.check_mta_sts(self._subject.domain, self._ask, self._fetch, self._now, self._sts)
        return finding

    def _tracking(self) -> Finding:
        if (own := self._subject.own_tracking) is not None:
            found = mail_hosts.check_own_tracking(own, self._ask, self._fetch)
            self._host_proof = HostProof(own.host, found.state is State.GOOD)
            return found
        return mail_hosts.check_tracking(
            self._subject.tracking_host, self._ask, self._fetch, self._subject.tracking_probe
        )

    def _block_lists(self) -> Finding:
        addresses = (
            [address for relay in self._relays() for address in relay.addresses] if self._subject.block_lists else []
        )
        return block_lists.check(self._subject.domain, addresses, self._subject.block_lists, self._ask)


def tracking_host_of(host: str) -> str:
    """Return the host of links that the world must find; empty for this machine and private names."""
    return "" if is_private_host(host) else host
