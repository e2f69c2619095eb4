"""SPF records: how they are written (RFC 7208). Nothing here follows an include."""

import ipaddress
import re
from dataclasses import dataclass

from mail.records import tags
from words.texts import text as _

VERSION = "v=spf1"
MOST_OCTETS = 4_096  # Receivers take no more than what fits into a UDP answer or so; the record must stay readable.
ASKS = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})  # Each costs one look-up (section 4.6.4).
_MECHANISMS = ASKS - {"redirect"} | {"all", "ip4", "ip6"}
_TERM = re.compile(r"(?P<qualifier>[+?~-]?)(?P<name>[A-Za-z][A-Za-z0-9_.-]*)(?P<rest>.*)", re.DOTALL)
_MODIFIER = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_.-]*)=(?P<value>.*)", re.DOTALL)
_LENGTHS = re.compile(r"(?P<domain>[^/]*)(?:/(?P<four>\d{1,3}))?(?://(?P<six>\d{1,3}))?")
_MACRO = re.compile(r"%(?:\{[slodiphcrtvSLODIPHCRTV]\d{0,3}[rR]?[.\-+,/_=]*\}|%|_|-)")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9-]{1,63}\.?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SpfInvalid(ValueError):
    """A record that receivers cannot read (permerror); its words are a sentence."""


@dataclass(frozen=True, slots=True)
class Term:
    """One mechanism, or the modifier ``redirect``."""

    text: str
    name: str  # In lower case.
    qualifier: str = "+"
    domain: str = ""  # As written, in lower case; empty: the domain of the record.
    network: Network | None = None  # Of ip4 and ip6.
    lengths: tuple[int, int] = (32, 128)  # The prefix lengths of a and mx.

    @property
    def has_macro(self) -> bool:
        """Whether the domain depends on the message, so that it cannot be asked for."""
        return "%" in self.domain


@dataclass(frozen=True, slots=True)
class Policy:
    """The terms of one record in their order, ``redirect`` last; what receivers do not read is left out."""

    text: str
    terms: tuple[Term, ...]
    has_more: bool = False  # Whether mechanisms follow ``all``.

    @property
    def all(self) -> str:
        """The qualifier of ``all``; empty without one."""
        return next((term.qualifier for term in self.terms if term.name == "all"), "")


def is_spf(text: str) -> bool:
    """Tell whether a TXT record is an SPF record (section 4.5)."""
    return text.lower() == VERSION or text.lower().startswith(f"{VERSION} ")


def looks_like_spf(text: str) -> bool:
    """Tell whether somebody meant a TXT record to be SPF, although receivers do not take it for that."""
    plain = tags.cleaned(text).lower()
    return not is_spf(text) and plain.startswith(("v=spf", "v = spf", "spf1 ", "spf=", "v:spf", "vspf"))


def read(text: str) -> Policy:
    """Return the policy of a record.

    :raises SpfInvalid: for the first term that receivers cannot read.
    """
    if len(text) > MOST_OCTETS:
        raise SpfInvalid(_("The SPF record is too long to be read: %(n)s characters.", n=f"{len(text):,}"))
    terms: list[Term] = []
    redirect: Term | None = None
    for written in text[len(VERSION) :].split(" "):
        if not written:
            continue
        if modifier := _MODIFIER.fullmatch(written):
            if (found := _modifier(written, modifier)) is not None:
                if redirect is not None:
                    raise SpfInvalid(_("The SPF record has redirect= twice."))
                redirect = found
        else:
            terms.append(_mechanism(written))
    names = [term.name for term in terms]
    if "all" in names:
        end = names.index("all") + 1
        return Policy(text, tuple(terms[:end]), has_more=end < len(terms))
    return Policy(text, (*terms, redirect) if redirect is not None else tuple(terms))


def _modifier(written: str, found: re.Match[str]) -> Term | None:
    name, value = found["name"].lower(), found["value"]
    if name in _MECHANISMS:
        raise SpfInvalid(_("“%(term)s” needs a colon: %(better)s.", term=written[:80], better=f"{name}:{value}"[:80]))
    if name != "redirect":
        return None
    return Term(written, name, domain=_checked_domain(written, value))


def _mechanism(written: str) -> Term:
    found = _TERM.fullmatch(written)
    if found is None or found["name"].lower() not in _MECHANISMS:
        raise SpfInvalid(_("Receivers don't know “%(term)s” in the SPF record.", term=written[:80]))
    name, qualifier, rest = found["name"].lower(), found["qualifier"] or "+", found["rest"]
    if name == "all":
        if rest:
            raise SpfInvalid(_("“%(term)s” must be all alone.", term=written[:80]))
        return Term(written, name, qualifier)
    if name in ("ip4", "ip6"):
        return Term(written, name, qualifier, network=_network(written, name, rest))
    if name in ("include", "exists") or rest.startswith(":"):
        if not rest.startswith(":"):
            raise SpfInvalid(_("“%(term)s” needs a domain.", term=written[:80]))
        rest = rest[1:]
        needs_domain = True
    else:
        needs_domain = False
    return _with_domain(written, name, qualifier, rest, needs_domain)


def _with_domain(written: str, name: str, qualifier: str, rest: str, needs_domain: bool) -> Term:
    domain, lengths = rest, (32, 128)
    if name in ("a", "mx"):
        # A slash within a macro's braces is a delimiter; such records are hardly ever seen.
        split = _LENGTHS.fullmatch(rest)
        if split is None or int(split["four"] or 0) > 32 or int(split["six"] or 0) > 128:
            raise SpfInvalid(_("“%(term)s” has an impossible prefix length.", term=written[:80]))
        domain = split["domain"]
        lengths = (int(split["four"] or 32), int(split["six"] or 128))
    if domain or needs_domain:
        domain = _checked_domain(written, domain)
    return Term(written, name, qualifier, domain, lengths=lengths)


def _network(written: str, name: str, rest: str) -> Network:
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    try:
        if not rest.startswith(":") or ("/" in rest and not rest.rpartition("/")[2].isdigit()):
            raise ValueError
        return kind(rest[1:], strict=False)
    except ValueError:
        raise SpfInvalid(
            _("“%(term)s” has no valid address. Write it as %(name)s:192.0.2.1.", term=written[:80], name=name)
            if name == "ip4"
            else _("“%(term)s” has no valid address. Write it as %(name)s:2001:db8::1.", term=written[:80], name=name)
        ) from None


def _checked_domain(written: str, domain: str) -> str:
    plain = _MACRO.sub("m", domain)
    is_macro = plain != domain
    if "%" in plain or not plain.isascii() or not (_DOMAIN.fullmatch(plain) or (is_macro and plain)):
        raise SpfInvalid(_("“%(term)s” names no valid domain.", term=written[:80]))
    if not is_macro and plain.rstrip(".").rpartition(".")[2].isdigit():
        raise SpfInvalid(_("“%(term)s” names an address. Write ip4: or ip6: for one.", term=written[:80]))
    return domain.lower().rstrip(".")
