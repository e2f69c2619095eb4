"""An SPF record with everything that it includes: its look-ups, its chain, its verdict on an address, its faults.

Every term is followed, because which ones a receiver reaches depends on the address (RFC 7208 section 4.6.4).
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mail.records import spf, spf_repair, tags
from mail.records.answers import Answer, Ask, Unanswered, hosts_of_mail
from mail.records.finding import Fault, Finding, Line, Record, State, judged, seen_of
from words.texts import joined
from words.texts import text as _

MOST_LOOKUPS = 10  # Section 4.6.4.
MANY_LOOKUPS = 9  # One more provider would be one too many.
MOST_VOID = 2
MOST_FOLLOWED = 25  # A longer chain is not followed to its end.
MOST_MX = 10
PIECE = 255  # A record of this very length was probably cut by a form.

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Include(NamedTuple):
    """What a provider asks its customers to include."""

    domain: str
    provider: str


@dataclass(slots=True)
class Node:
    """The policy of one domain within a chain, and the nodes that its terms lead to."""

    domain: str
    policy: spf.Policy
    followed: dict[str, "Node"] = field(default_factory=dict)  # By the text of the term.

    @property
    def lookups(self) -> int:
        """The number of look-ups of this record and everything below it."""
        own = sum(term.name in spf.ASKS for term in self.policy.terms)
        return own + sum(node.lookups for node in self.followed.values())

    def lines(self, depth: int = 0) -> Iterator[str]:
        for text, node in self.followed.items():
            yield f"{'  ' * depth}{text} ({node.lookups})"
            yield from node.lines(depth + 1)

    def domains(self) -> Iterator[str]:
        """Yield every domain that is included."""
        for node in self.followed.values():
            yield node.domain
            yield from node.domains()


class Chain:
    """Follows a record. The faults that it meets stop nothing, so that all of them are told."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._left = MOST_FOLLOWED
        self._void: list[str] = []
        self.faults: list[Fault] = []
        self.dead: list[str] = []  # The texts of the record's own terms that lead nowhere.
        self.is_cut = False

    def follow(self, domain: str, policy: spf.Policy, above: tuple[str, ...] = ()) -> Node:
        """Return the node of a domain with everything below it.

        :raises Unanswered: if DNS does not answer for a term.
        """
        node = Node(domain, policy)
        for term in policy.terms:
            if term.name not in spf.ASKS or term.has_macro:
                continue
            if self._left <= 0:
                self.is_cut = True
                return node
            self._left -= 1
            if term.name in ("include", "redirect"):
                below = self._below(term, (*above, domain))
                if below is not None:
                    node.followed[term.text] = below
            elif term.name in ("a", "mx") and self._is_void(term, domain):
                self._lead_nowhere(term, above)
            elif term.name == "mx":
                self._count_hosts(term, domain)
        if not above and len(self._void) > MOST_VOID:
            self._broken(
                "spf-too-many-void-lookups",
                _(
                    "%(n)s names in the SPF record don't exist (%(names)s), and only 2 may. Remove them.",
                    n=len(self._void),
                    names=", ".join(self._void[:5]),
                ),
            )
        return node

    def _below(self, term: spf.Term, above: tuple[str, ...]) -> Node | None:
        if term.domain in above:
            self._broken("spf-include-loop", _("%(term)s leads back to itself. Remove it.", term=term.text))
            if len(above) == 1:
                self.dead.append(term.text)
            return None
        answer = self._ask(term.domain, "TXT")
        records = [record for record in answer.records if spf.is_spf(record)]
        if not answer.records:
            self._void.append(term.text)
        if not records and len(above) == 1:
            self.dead.append(term.text)
        if len(records) != 1:
            said = (
                _("%(term)s has no SPF record, which breaks yours. Remove it or correct its name.", term=term.text)
                if not records
                else _("%(domain)s has two SPF records, which breaks yours.", domain=term.domain)
            )
            self._broken("spf-include-missing" if not records else "spf-include-two-records", said)
            return None
        try:
            policy = spf.read(records[0])
        except spf.SpfInvalid as error:
            self._broken(
                "spf-include-syntax",
                _("The SPF record of %(domain)s is wrong, which breaks yours. %(why)s", domain=term.domain, why=error),
            )
            return None
        return self.follow(term.domain, policy, above)

    def _is_void(self, term: spf.Term, domain: str) -> bool:
        name = term.domain or domain
        kinds = ("MX",) if term.name == "mx" else ("A", "AAAA")
        return not any(self._ask(name, kind).records for kind in kinds)

    def _lead_nowhere(self, term: spf.Term, above: tuple[str, ...]) -> None:
        self._void.append(term.text)
        if not above:
            self.dead.append(term.text)

    def _count_hosts(self, term: spf.Term, domain: str) -> None:
        number = len(self._ask(term.domain or domain, "MX").records)
        if number > MOST_MX:
            said = _(
                "%(term)s leads to %(n)s mail servers, and only 10 are allowed. Name their addresses by ip4: instead.",
                term=term.text,
                n=number,
            )
            self._broken("spf-too-many-mx", said)

    def _broken(self, key: str, sentence: str) -> None:
        self.faults.append(Fault(State.BROKEN, key, sentence))


def verdict(node: Node, address: Address, ask: Ask) -> str:
    """Return what the record says about an address: pass, fail, softfail or neutral (section 2.6).

    Terms that depend on the message (macros) and ``ptr`` match nothing.
    """
    for term in node.policy.terms:
        below = node.followed.get(term.text)
        if term.name == "redirect":
            return verdict(below, address, ask) if below is not None else "neutral"
        if _matches(term, node, below, address, ask):
            return {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}[term.qualifier]
    return "neutral"


def _matches(term: spf.Term, node: Node, below: Node | None, address: Address, ask: Ask) -> bool:
    if term.name == "all":
        return True
    if term.network is not None:
        return term.network.version == address.version and address in term.network
    if term.name == "include":
        return below is not None and verdict(below, address, ask) == "pass"
    if term.has_macro or term.name not in ("a", "mx", "exists"):
        return False
    name = term.domain or node.domain
    if term.name == "exists":
        return bool(ask(name, "A").records)
    hosts = [name] if term.name == "a" else hosts_of_mail(ask(name, "MX").records)[:MOST_MX]
    length = term.lengths[0] if address.version == 4 else term.lengths[1]
    networks = (
        ipaddress.ip_network(f"{found}/{length}", strict=False)
        for host in hosts
        if host
        for found in ask(host, "A" if address.version == 4 else "AAAA").records
    )
    return any(address in network for network in networks)


def check(
    domain: str,
    ask: Ask,
    wanted: Sequence[Include] = (),
    unused: Sequence[Include] = (),
    relays: Sequence[str] = (),
) -> Finding:
    """Return the finding about a domain's SPF record.

    :param wanted: what the active servers of the domain need.
    :param unused: what providers need that send nothing for the domain.
    :param relays: the IP addresses of relays of our own that send for the domain.
    :raises Unanswered: if DNS does not answer.
    """
    answer = ask(domain, "TXT")
    records = [record for record in answer.records if spf.is_spf(record)]
    if len(records) != 1:
        return _without_record(answer, records, _Needs(domain, wanted, unused, relays), ask)
    text = records[0]
    needs = _Needs(domain, wanted, unused, relays)
    try:
        faults, node, chain = _faults_of(text, needs, ask)
    except spf.SpfInvalid as error:
        fault = Fault(State.BROKEN, "spf-syntax", _("%(why)s Receivers ignore the whole record.", why=error))
        return _repaired([fault], records, records, needs, ask)
    seen = "\n".join([seen_of(records), f"{node.lookups} of {MOST_LOOKUPS} look-ups", *node.lines()])[:4_000]
    if not faults:
        return judged(Line.SPF, [], _("One record, %(n)s of 10 look-ups.", n=node.lookups), seen)
    if chain.is_cut:
        return judged(Line.SPF, faults, "", seen)
    return replace(_repaired(faults, records, records, needs, ask, chain.dead), seen=seen)


class _Needs(NamedTuple):
    """What a domain's record must allow, and what it need not; see :func:`check`."""

    domain: str
    wanted: Sequence[Include]
    unused: Sequence[Include]
    relays: Sequence[str]


def _faults_of(text: str, needs: _Needs, ask: Ask) -> tuple[list[Fault], Node, Chain]:
    """Return what is wrong with a record, its node, and the chain that was followed.

    :raises SpfInvalid: if receivers cannot read it.
    :raises Unanswered: if DNS does not answer.
    """
    policy = spf.read(text)
    chain = Chain(ask)
    node = chain.follow(needs.domain, policy)
    faults = [*chain.faults, *_of_lookups(node, chain), *_of_terms(policy)]
    faults += _of_providers(node, policy, needs.wanted, needs.unused)
    faults += [fault for relay in needs.relays for fault in _of_relay(node, relay, ask)]
    if len(text.encode()) == PIECE and not policy.all and not any(term.name == "redirect" for term in policy.terms):
        faults.append(Fault(State.LOOK, "spf-cut", _("The record has exactly 255 characters and no end. It was cut.")))
    return faults, node, chain


def _repaired(
    faults: list[Fault],
    shown: Sequence[str],
    meant: Sequence[str],
    needs: _Needs,
    ask: Ask,
    dead: Sequence[str] = (),
) -> Finding:
    """Return the finding with the record to paste, which is proposed only if it heals the worst fault.

    :param shown: what DNS has.
    :param meant: the same without the slips of pasting.
    """
    includes = [include.domain for include in needs.wanted]
    repair = spf_repair.repair(needs.domain, meant, includes, needs.relays, dead)
    finding = judged(Line.SPF, faults, "", seen_of(shown), repair.record)
    if repair.unclear:
        terms = ", ".join(repair.unclear)[:200]
        said = _("Correct %(terms)s yourself, since only you know what it should be.", terms=terms)
        return replace(finding, sentence=joined([finding.sentence, said]))
    is_other = repair.record is not None and [repair.record.value.lower()] != [text.lower() for text in shown]
    return finding if is_other and _is_better(repair.record, finding, needs, ask) else replace(finding, record=None)


def _is_better(record: Record | None, finding: Finding, needs: _Needs, ask: Ask) -> bool:
    """Tell whether a record would have neither the fault of a finding nor a worse one."""
    if record is None:
        return False
    try:
        faults, _node, _chain = _faults_of(record.value, needs, ask)
    except (spf.SpfInvalid, Unanswered):
        return False
    is_broken = any(fault.state is State.BROKEN for fault in faults)
    return finding.fault not in {fault.key for fault in faults} and not (is_broken and finding.state is State.LOOK)


def _without_record(answer: Answer, records: list[str], needs: _Needs, ask: Ask) -> Finding:
    """Return the finding about a domain with no record or with several."""
    domain = needs.domain
    meant = [record for record in answer.records if spf.looks_like_spf(record)]
    if records:
        key = "spf-two-records"
        said = _(
            "%(domain)s has %(n)s SPF records, so receivers ignore all of them. Keep one.",
            domain=domain,
            n=len(records),
        )
    elif meant and tags.is_quoted(meant[0]):
        key = "spf-quoted"
        said = _("Quotes were pasted into the SPF record, so receivers don't see it. Remove them.")
    elif meant:
        key = "spf-version"
        said = _("The SPF record doesn't begin with “v=spf1 ”, so receivers don't see it.")
    else:
        key = "spf-missing"
        said = _("%(domain)s has no SPF record. Large providers reject its mail.", domain=domain)
        if not needs.wanted and not needs.relays:
            said = joined([said, _("Add to the record what your provider asks you to include.")])
    cleaned = records or [tags.cleaned(one) for one in meant]
    return _repaired([Fault(State.BROKEN, key, said)], records or meant, cleaned, needs, ask)


def _of_lookups(node: Node, chain: Chain) -> Iterator[Fault]:
    if chain.is_cut or node.lookups > MOST_LOOKUPS:
        yield Fault(
            State.BROKEN,
            "spf-too-many-lookups",
            _(
                "The SPF record needs %(n)s look-ups, and only 10 are allowed. Remove includes that you don't need.",
                n=_("more than %(n)s", n=MOST_FOLLOWED) if chain.is_cut else node.lookups,
            ),
        )
    elif node.lookups >= MANY_LOOKUPS:
        yield Fault(
            State.LOOK,
            "spf-many-lookups",
            _("The SPF record needs %(n)s of 10 look-ups. One more provider may break it.", n=node.lookups),
        )


def _of_terms(policy: spf.Policy) -> Iterator[Fault]:
    names = [term.name for term in policy.terms]
    if policy.all == "+":
        yield Fault(State.BROKEN, "spf-all-pass", _("+all lets everyone send in your name. End the record with ~all."))
    elif policy.all == "?":
        yield Fault(State.LOOK, "spf-all-neutral", _("?all protects nothing. End the record with ~all."))
    elif not policy.all and "redirect" not in names:
        yield Fault(State.LOOK, "spf-no-all", _("The record has no end. Add ~all."))
    if "ptr" in names:
        yield Fault(State.LOOK, "spf-ptr", _("Many receivers ignore ptr, and it is slow. Remove it."))
    if policy.has_more:
        yield Fault(State.LOOK, "spf-after-all", _("Receivers ignore everything after all. Put all at the end."))
    if len(names) != len({term.text.lower() for term in policy.terms}):
        yield Fault(State.LOOK, "spf-repeated", _("A part of the record appears twice. Remove one of them."))


def _of_providers(
    node: Node, policy: spf.Policy, wanted: Sequence[Include], unused: Sequence[Include]
) -> Iterator[Fault]:
    included = {node.domain, *node.domains(), *(term.domain for term in policy.terms if term.name == "include")}
    for include in wanted:
        if include.domain not in included:
            yield Fault(
                State.LOOK,
                "spf-provider-missing",
                _(
                    "%(provider)s sends for this domain, and the record doesn't include %(include)s.",
                    provider=include.provider,
                    include=include.domain,
                ),
            )
    for include in unused:
        if any(term.name == "include" and term.domain == include.domain for term in policy.terms):
            yield Fault(
                State.LOOK,
                "spf-provider-unused",
                _(
                    "The record includes %(provider)s, and no server here sends through it. Remove it if nobody does.",
                    provider=include.provider,
                ),
            )


def _of_relay(node: Node, relay: str, ask: Ask) -> Iterator[Fault]:
    if verdict(node, ipaddress.ip_address(relay), ask) != "pass":
        yield Fault(
            State.BROKEN, "spf-relay-missing", _("The record doesn't allow your own relay %(address)s.", address=relay)
        )
