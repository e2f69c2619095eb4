"""Block lists in DNS: how they are asked, and what their answers mean (RFC 5782).

A list that answers for its test points as it should is alive. A retired one answers for everybody, or for nobody. Some
answers are errors: Spamhaus refuses public resolvers with ``127.255.255.254``, and that says nothing about the sender.
"""

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from mail.records.answers import Ask, Unanswered
from mail.records.finding import Fault, Finding, Line, State, could_not_ask, judged, not_checked
from words.texts import text as _

_LISTED = ipaddress.IPv4Network("127.0.0.0/16")  # Answers outside it are errors.
_ERRORS = {
    "127.255.255.252": _("its name was typed wrong"),
    "127.255.255.254": _("it doesn't answer public resolvers"),
    "127.255.255.255": _("it was asked too often"),
}


class BlockList(NamedTuple):
    """A list of addresses or domains."""

    name: str
    zone: str
    of_domains: bool


SPAMHAUS = (
    BlockList("Spamhaus ZEN", "zen.spamhaus.org", of_domains=False),
    BlockList("Spamhaus DBL", "dbl.spamhaus.org", of_domains=True),
)


def with_key(key: str) -> tuple[BlockList, ...]:
    """Return Spamhaus's lists as the customers of its Data Query Service ask them; an empty key: the public ones."""
    if not key:
        return SPAMHAUS
    return tuple(each._replace(zone=f"{key}.{each.zone.partition('.')[0]}.dq.spamhaus.net") for each in SPAMHAUS)


def check(domain: str, addresses: Sequence[str], lists: Sequence[BlockList], ask: Ask) -> Finding:
    """Return the finding about a domain and the addresses of its own relays.

    :param lists: the lists to ask; none: the check is off.
    """
    if not lists:
        return not_checked(Line.BLOCK_LISTS, _("Not checked: block lists are off."))
    faults: list[Fault] = []
    seen: list[str] = []
    silent: list[str] = []
    for each in lists:
        if not each.of_domains and not addresses:
            continue
        try:
            why = _why_unusable(each, ask)
            if not why:
                for name, shown_name in _names(each, domain, addresses):
                    answers = ask(f"{name}.{each.zone}", "A").records
                    listed, why = _meaning(answers)
                    seen.append(f"{each.name}: {shown_name} {', '.join(answers) or '–'}")
                    if listed:
                        said = _("%(name)s is on %(list)s. Ask there to be removed.", name=shown_name, list=each.name)
                        faults.append(Fault(State.LOOK, "listed", said))
        except Unanswered:  # Its words have the name that was asked for, and with it the key of the list.
            why = _("no answer")
        if why:
            silent.append(_("%(list)s: %(why)s", list=each.name, why=why))
    if silent and not faults:
        return could_not_ask(Line.BLOCK_LISTS, Unanswered("; ".join(silent)))
    if not seen:
        return not_checked(Line.BLOCK_LISTS, _("Not checked: none of the lists is about domains."))
    return judged(Line.BLOCK_LISTS, faults, _("On none of the lists."), "\n".join(seen))


def _why_unusable(each: BlockList, ask: Ask) -> str:
    """Ask for the test points (RFC 5782 section 5): one is always listed, the other never. Empty: the list is alive."""
    good, bad = ("invalid", "test") if each.of_domains else ("1.0.0.127", "2.0.0.127")
    listed, why = _meaning(ask(f"{bad}.{each.zone}", "A").records)
    if why:
        return why
    if not listed:
        return _("it doesn't answer its test")
    return _("it lists everybody") if _meaning(ask(f"{good}.{each.zone}", "A").records)[0] else ""


def _meaning(answers: Sequence[str]) -> tuple[bool, str]:
    """Return whether an answer is a listing, and why it is an error."""
    for answer in answers:
        if answer in _ERRORS:
            return False, _ERRORS[answer]
        if ipaddress.ip_address(answer) not in _LISTED:
            return False, _("its answer %(answer)s is no listing", answer=answer)
    return bool(answers), ""


def _names(each: BlockList, domain: str, addresses: Sequence[str]) -> list[tuple[str, str]]:
    if each.of_domains:
        return [(domain, domain)]
    return [(ipaddress.ip_address(address).reverse_pointer.rsplit(".", 2)[0], address) for address in addresses[:5]]
