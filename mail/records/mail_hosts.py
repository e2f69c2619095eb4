"""Hosts: the MX of a domain, its return path, the names of our own relays, and the host of tracked links."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mail import reachability
from mail.records.answers import Ask, host_of, hosts_of_mail
from mail.records.finding import Fault, Finding, Line, Record, State, judged, not_checked, seen_of
from mail.records.transport import Fetch, FetchFailed
from words.texts import joined
from words.texts import text as _

MOST_HOSTS = 5
# Names that providers give to addresses of customers: they hold the address, or say that it changes.
_GENERIC = re.compile(
    r"(?:^|[.-])(?:dyn(?:amic)?|dhcp|dsl|adsl|pool|ppp|dial|cable|broadband|cust(?:omer)?|static|unassigned|unknown)"
    r"(?:[0-9]*)(?=[.-])"
)


MOST_PIXEL_OCTETS = 1_000
OWN_TRACKING = "tracking-host-"  # The names of faults of a domain's own host of links begin so.
_GIF = b"GIF89a"


class Relay(NamedTuple):
    """A relay of our own: its public addresses, and the name that it gives itself in HELO."""

    name: str
    addresses: tuple[str, ...]
    helo: str  # Empty: not known.


class OwnTracking(NamedTuple):
    """The host that links in mail from one domain alone shall lead to, and how to prove that it is ours."""

    host: str  # An A-label.
    home: str  # Where its links lead until then: the host of this installation's own address, for people.
    target: str  # What a CNAME record should name; empty: nothing that the world finds.
    probe: str  # The https address there of a pixel that only this installation answers …
    forgery: str  # … and of one that it refuses.
    was_proved: bool = False  # Whether mail may have been sent with it.


def check_mx(domain: str, ask: Ask) -> Finding:
    """Return the finding about where replies to a domain arrive, and whether it exists.

    :raises Unanswered: if DNS does not answer.
    """
    answer = ask(domain, "MX")
    faults = list(_of_mx(domain, answer.records, ask))
    if not answer.exists:
        faults = [Fault(State.BROKEN, "domain-missing", _("%(domain)s doesn't exist.", domain=domain))]
    elif not _has_authority(domain, ask):
        said = _("%(domain)s has no SOA record, and Yahoo rejects such senders.", domain=domain)
        faults.append(Fault(State.BROKEN, "soa-missing", said))
    return judged(Line.MX, faults, _("Replies arrive."), seen_of(answer.records))


def check_return_path(domains: Sequence[str], ask: Ask, replaced: Sequence[str] = ()) -> Finding:
    """Return the finding about the domains that bounces go to.

    :param domains: of the return paths in use; without one nothing is checked.
    :param replaced: the servers whose provider puts its own return path in place of ours.
    :raises Unanswered: if DNS does not answer.
    """
    said = _("%(servers)s replaces the return path, so bounces go there.", servers=", ".join(replaced[:5]))
    if not domains:
        return not_checked(Line.RETURN_PATH, said if replaced else _("Not checked: no return path is known."))
    faults: list[Fault] = []
    seen: list[str] = []
    for domain in domains[:MOST_HOSTS]:
        answer = ask(domain, "MX")
        seen += [f"{domain}: {record}" for record in answer.records]
        if not answer.exists:
            lost = _("%(domain)s doesn't exist, so bounces are lost.", domain=domain)
            faults.append(Fault(State.BROKEN, "return-path-missing", lost))
        elif not answer.records:
            faults.append(_without_mx(domain, ask))
        elif hosts_of_mail(answer.records) == [""]:
            lost = _("%(domain)s says that it takes no mail, so bounces are lost.", domain=domain)
            faults.append(Fault(State.BROKEN, "return-path-null-mx", lost))
        else:
            hosts = [host for host in hosts_of_mail(answer.records)[:MOST_HOSTS] if host]
            found = [address for host in hosts for address in _addresses(host, ask)]
            if not found:
                lost = _("No mail server of %(domain)s has an address, so bounces are lost.", domain=domain)
                faults.append(Fault(State.BROKEN, "return-path-no-address", lost))
            elif _are_near(domain, found):
                faults.append(_near_return_path(domain, found))
    good = _("Bounces arrive at %(domains)s.", domains=", ".join(domains[:MOST_HOSTS]))
    return judged(Line.RETURN_PATH, faults, said if replaced and not faults else good, seen_of(seen))


def _without_mx(domain: str, ask: Ask) -> Fault:
    """Return the fault of a return path without MX: its own address stands in (RFC 5321 section 5.1)."""
    found = _addresses(domain, ask)
    if not found:
        lost = _("%(domain)s has neither MX nor address, so bounces are lost.", domain=domain)
        return Fault(State.BROKEN, "return-path-no-mail", lost)
    if _are_near(domain, found):
        return _near_return_path(domain, found)
    said = _("%(domain)s has no MX record. Bounces go to its own address.", domain=domain)
    return Fault(State.LOOK, "return-path-no-mx", said)


def _near_return_path(domain: str, found: Sequence[str]) -> Fault:
    lost = _(
        "Mail to %(domain)s leads to the private address %(address)s, so bounces are lost.",
        domain=domain,
        address=found[0],
    )
    return Fault(State.BROKEN, "return-path-private", lost)


def check_ptr(relays: Sequence[Relay], ask: Ask) -> Finding:
    """Return the finding about the names of our own relays (RFC 1912 section 2.1).

    :raises Unanswered: if DNS does not answer.
    """
    if not relays:
        return not_checked(Line.PTR, _("Not checked: no server is marked as your own relay."))
    faults: list[Fault] = []
    seen: list[str] = []
    records: list[Record] = []
    for relay in relays:
        for address in relay.addresses[:MOST_HOSTS]:
            pointer = ipaddress.ip_address(address).reverse_pointer
            names = [host_of(name) for name in ask(pointer, "PTR").records]
            seen += [f"{address}: {name}" for name in names] or [f"{address}: –"]
            found = list(_of_names(address, names[:MOST_HOSTS], ask))
            faults += found
            if found and relay.helo:
                records.append(Record(pointer, "PTR", f"{relay.helo}."))
        faults += _of_helo(relay, ask)
        if not relay.addresses:
            said = _("%(relay)s has no public address, so its name can't be checked.", relay=relay.name)
            faults.append(Fault(State.LOOK, "relay-no-address", said))
    good = _("Each address has a name that leads back to it.")
    return judged(Line.PTR, faults, good, seen_of(seen), records[0] if records else None)


def check_tracking(host: str, ask: Ask, fetch: Fetch, probe: str = "") -> Finding:
    """Return the finding about the host of links; empty: links are of this installation on this machine.

    :param probe: the https address of a pixel that only this installation answers; empty: links use no https.
    :raises Unanswered: if DNS does not answer.
    """
    if not host:
        return not_checked(Line.TRACKING, _("Not checked: links lead to this machine."))
    aliases = ask(host, "CNAME").records
    found = _addresses(host, ask)
    faults: list[Fault] = []
    if not found:
        said = _("%(host)s has no address, so links in your mail are dead.", host=host)
        faults.append(Fault(State.BROKEN, "tracking-missing", said))
    elif probe:
        faults += _of_probe(host, fetch, probe)
    return judged(Line.TRACKING, faults, _("Links lead to %(host)s.", host=host), seen_of([*aliases, *found]))


def check_own_tracking(own: OwnTracking, ask: Ask, fetch: Fetch) -> Finding:
    """Return the finding about the host of one domain's links. Only a good one proves that they would arrive.

    :raises Unanswered: if DNS does not answer.
    """
    aliases = ask(own.host, "CNAME").records
    found = _addresses(own.host, ask)
    fault = _of_own_tracking(own, bool(found), fetch)
    seen = seen_of([*aliases, *found])
    if fault is None:
        return judged(Line.TRACKING, [], _("Links in mail from this domain lead to %(host)s.", host=own.host), seen)
    key, said = fault
    if own.was_proved:
        then = _("Links in mail that was sent with it may be dead. New mail uses %(home)s.", home=own.home)
    else:
        then = _("New mail uses %(home)s until this check is passed.", home=own.home)
    state = State.BROKEN if own.was_proved else State.LOOK
    # Where a zone begins, DNS allows no alias beside its other records (RFC 1912 section 2.4).
    takes_alias = own.target and own.target != own.host and (aliases or not ask(own.host, "SOA").records)
    is_of_dns = takes_alias and key != _UNREACHABLE
    record = Record(own.host, "CNAME", f"{own.target}.") if is_of_dns else None
    return judged(Line.TRACKING, [Fault(state, key, joined([said, then]))], "", seen, record)


_UNREACHABLE = f"{OWN_TRACKING}unreachable"


def _of_own_tracking(own: OwnTracking, has_address: bool, fetch: Fetch) -> tuple[str, str] | None:
    """Return the key and the sentence of what is wrong; None if the host leads to this installation."""
    if not has_address:
        return f"{OWN_TRACKING}missing", _("%(host)s has no address.", host=own.host)
    try:
        body = fetch(own.probe, MOST_PIXEL_OCTETS)
    except FetchFailed as error:
        return _UNREACHABLE, _unreachable(own.host, error)
    if not body.startswith(_GIF) or _is_answered(own.forgery, fetch):
        return f"{OWN_TRACKING}elsewhere", _("%(host)s answers, but it's not this installation.", host=own.host)
    return None


def _is_answered(url: str, fetch: Fetch) -> bool:
    """Tell whether a host answers an address that we refuse, as one does that has a page or pixel for everything."""
    try:
        fetch(url, MOST_PIXEL_OCTETS)
    except FetchFailed:
        return False
    return True


def _unreachable(host: str, error: FetchFailed) -> str:
    return _(
        "A link on %(host)s can't be opened from here: %(why)s. Check that the host leads to this installation,"
        " has a valid certificate, and passes on /c/ and /o/.",
        host=host,
        why=str(error),
    )


def _of_probe(host: str, fetch: Fetch, probe: str) -> Iterator[Fault]:
    """Open a pixel as mail programs do: by the host's name, with its certificate, and through its proxy."""
    try:
        body = fetch(probe, MOST_PIXEL_OCTETS)
    except FetchFailed as error:
        # This machine may be kept from calling itself, while the world can.
        yield Fault(State.LOOK, "tracking-unreachable", _unreachable(host, error))
        return
    if not body.startswith(_GIF):
        said = _("%(host)s answers, but it's not this installation, so links in your mail are dead.", host=host)
        yield Fault(State.BROKEN, "tracking-elsewhere", said)


def _of_mx(domain: str, records: tuple[str, ...], ask: Ask) -> Iterator[Fault]:
    hosts = hosts_of_mail(records)
    if not hosts:
        found = _addresses(domain, ask)
        if _are_near(domain, found):
            yield _near(domain, found)
        elif found:
            said = _("%(domain)s has no MX record. Replies go to its own address.", domain=domain)
            yield Fault(State.LOOK, "mx-missing", said)
        else:
            said = _("%(domain)s has neither MX nor address, so receivers reject its mail.", domain=domain)
            yield Fault(State.BROKEN, "mx-none", said)
        return
    if hosts == [""]:
        said = _("%(domain)s says that it takes no mail, so receivers reject its mail.", domain=domain)
        yield Fault(State.BROKEN, "mx-null", said)
        return
    for host in hosts[:MOST_HOSTS]:
        if not host:
            said = _("A null MX stands beside others. Remove it.")
            yield Fault(State.LOOK, "mx-null-beside", said)
        elif is_address(host):
            said = _("The MX record names the address %(host)s. It must name a host.", host=host)
            yield Fault(State.BROKEN, "mx-is-address", said)
        elif not _addresses(host, ask):
            said = _("The mail server %(host)s has no address.", host=host)
            yield Fault(State.BROKEN, "mx-no-address", said)
        elif _are_near(host, found := _addresses(host, ask)):
            yield _near(host, found)
        elif ask(host, "CNAME").records:
            said = _("The mail server %(host)s is an alias, which some senders refuse.", host=host)
            yield Fault(State.LOOK, "mx-is-alias", said)


def _near(host: str, found: Sequence[str]) -> Fault:
    said = _(
        "%(host)s leads to %(address)s, which only this machine or a private network reaches.",
        host=host,
        address=found[0],
    )
    return Fault(State.BROKEN, "mx-private", said)


def _are_near(host: str, addresses: Sequence[str]) -> bool:
    """Tell whether a public name leads to nothing but addresses that the world cannot reach."""
    is_near = all(reachability.is_near(address) or reachability.is_forbidden(address) for address in addresses)
    return bool(addresses) and is_near and not reachability.is_private_host(host)


def _of_names(address: str, names: list[str], ask: Ask) -> Iterator[Fault]:
    if not names:
        said = _("%(address)s has no PTR record. Gmail rejects mail from it.", address=address)
        yield Fault(State.BROKEN, "ptr-missing", said)
        return
    leading_back = [name for name in names if address in _addresses(name, ask)]
    if not leading_back:
        said = _("%(name)s, the name of %(address)s, doesn't lead back to it.", name=names[0], address=address)
        yield Fault(State.BROKEN, "ptr-unconfirmed", said)
    elif is_generic(leading_back[0], address):
        said = _("%(name)s looks like a customer's line. Give the relay a name of its own.", name=leading_back[0])
        yield Fault(State.LOOK, "ptr-generic", said)


def _of_helo(relay: Relay, ask: Ask) -> Iterator[Fault]:
    if relay.helo and not _addresses(relay.helo, ask):
        said = _("The HELO name %(name)s has no address.", name=relay.helo)
        yield Fault(State.LOOK, "helo-no-address", said)


def is_generic(name: str, address: str) -> bool:
    """Tell whether a host's name is that of a customer's line, as receivers guess it."""
    plain = name.lower()
    ip = ipaddress.ip_address(address)
    if ip.version == 4:
        octets = address.split(".")
        forms = ("-".join(octets), ".".join(octets), "-".join(reversed(octets)), "".join(o.zfill(3) for o in octets))
        if any(form in plain for form in forms):
            return True
    return _GENERIC.search(plain) is not None


def _has_authority(domain: str, ask: Ask) -> bool:
    """Tell whether the domain or one above it has an SOA record; a single label belongs to nobody."""
    labels = domain.split(".")
    return any(ask(".".join(labels[start:]), "SOA").records for start in range(max(1, len(labels) - 1)))


def _addresses(host: str, ask: Ask) -> tuple[str, ...]:
    return ask(host, "A").records + ask(host, "AAAA").records


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
