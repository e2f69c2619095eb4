"""The SPF record to paste in place of faulty ones: slips are repaired, and nobody loses a permission by a guess.

Nothing here follows an include. Callers say which terms lead nowhere.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from mail.records import spf
from mail.records.finding import Record

_DASHES = str.maketrans("‐‑‒–—−∼˜", "------~~")  # Word processors put them in place of - and ~.
_SEPARATORS = re.compile(r"[,;]+(?=\s|$|[+?~-]?[A-Za-z0-9])")
_NAMES = "ipv?[46]?|include|exists|redirect|a|mx|ptr"
_GAP = re.compile(rf"(?<!\S)([+?~-]?(?:{_NAMES}))[ \t]*([:=])[ \t]*", re.IGNORECASE)
_LONE_SIGN = re.compile(r"(?<!\S)([+?~-])[ \t]+(?=all(?!\S))", re.IGNORECASE)
_TERM = re.compile(rf"(?P<sign>[+?~-]?)(?P<name>{_NAMES})[:=](?P<value>.+)", re.IGNORECASE)
_ALL = re.compile(r"([+?~-]?all)[.:'\"]+", re.IGNORECASE)
_SHORTEST_PREFIX = 8  # A mask that reaches further was probably typed wrong.


class Repair(NamedTuple):
    """What to publish, or the parts that only their owner can correct."""

    record: Record | None
    unclear: tuple[str, ...] = ()


class _Parts(NamedTuple):
    """The readable terms of some records in their order, without ``all``."""

    terms: dict[str, spf.Term]
    unclear: list[str]
    is_strict: bool  # Whether one of the records ends in -all.
    has_end: bool
    has_lost: bool  # Whether a part was left out.
    is_softer: bool  # Whether one of these may have allowed a sender.


def repair(
    domain: str,
    records: Sequence[str],
    includes: Sequence[str] = (),
    relays: Sequence[str] = (),
    without: Collection[str] = (),
) -> Repair:
    """Return one record in place of these: their terms, what is missing, and a better end.

    :param includes: domains that must be included.
    :param relays: IP addresses that must be allowed.
    :param without: the texts of terms that lead nowhere.
    """
    found = _parts_of(records, {text.lower() for text in without})
    redirects = [text for text, term in found.terms.items() if term.name == "redirect"]
    if found.unclear or (len(redirects) > 1 and not found.has_end):
        return Repair(None, tuple(found.unclear or redirects))
    parts = [text for text in found.terms if text not in redirects]
    if found.has_end and len(records) > 1:
        parts += [f"include:{found.terms[text].domain}" for text in redirects]
    if found.has_end:
        redirects = []  # Receivers don't read it beside all.
    parts += [f"include:{include}" for include in includes]
    parts += [f"ip{ipaddress.ip_address(relay).version}:{relay}" for relay in relays]
    is_strict = found.is_strict and not found.is_softer
    if not redirects and not any(map(_allows, parts)) and (found.has_lost or not is_strict):
        parts.append("mx")  # A record that allows nobody would do harm. Most small senders use the host of their mail.
        is_strict = False
    end = "-all" if is_strict else "~all"
    value = " ".join([spf.VERSION, *dict.fromkeys(parts), *(redirects or [end])])
    return Repair(Record(domain, "TXT", value))


def _parts_of(records: Sequence[str], without: set[str]) -> _Parts:
    terms: dict[str, spf.Term] = {}
    unclear: list[str] = []
    is_strict = has_end = has_lost = is_softer = False
    for record in records:
        for written in _words(record):
            term = _term(written)
            if term is None:
                unclear.append(written)
            elif term.name == "all":
                has_end, is_strict = True, is_strict or term.qualifier == "-"
            elif term.name == "ptr" or term.text.lower() in without:
                # A name without an address allowed nobody. The others stand for senders that may be real.
                has_lost, is_softer = True, is_softer or term.name not in ("a", "mx")
            elif term.name:
                text = term.text if term.has_macro else term.text.lower()
                terms.setdefault(text, term)
    return _Parts(terms, unclear, is_strict, has_end, has_lost, is_softer)


def _words(record: str) -> list[str]:
    """Return the terms of a record without slips of typing: blanks within, commas between, long dashes."""
    body = record.partition(" ")[2].translate(_DASHES)
    if "%{" not in body:  # A macro may hold a comma.
        body = _SEPARATORS.sub(" ", body)
    body = _LONE_SIGN.sub(r"\1", _GAP.sub(r"\1\2", body))
    return body.split()


def _term(written: str) -> spf.Term | None:
    """Return the term of a word, repaired; None if nobody can know it. A modifier that nobody reads has no name."""
    for text in (written, _ALL.sub(r"\1", written), _repaired(written)):
        try:
            terms = spf.read(f"{spf.VERSION} {text}").terms
        except spf.SpfInvalid:
            continue
        return terms[0] if terms else spf.Term(text, "")
    return None


def _repaired(written: str) -> str:
    """Return a term as it was plainly meant; itself if that is not plain."""
    found = _TERM.fullmatch(written)
    if found is None:
        return _as_network("", written) or written
    sign, name, value = found["sign"], found["name"].lower(), found["value"]
    if name.startswith("ip") or name == "a":
        network = _as_network(sign, value)
        if network or name == "a":
            return network or f"{sign}a:{value}"
        return f"{sign}a:{value}" if value[-1:].isalpha() else written  # A host where an address belongs.
    return f"{sign}{name}{'=' if name == 'redirect' else ':'}{value}"


def _as_network(sign: str, value: str) -> str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return ""
    if network.prefixlen < _SHORTEST_PREFIX:
        return ""
    is_one = network.prefixlen == network.max_prefixlen
    return f"{sign}ip{network.version}:{network.network_address if is_one else network}"


def _allows(text: str) -> bool:
    return text[:1] not in ("-", "~", "?")
