"""Alignment: whether the domain of From agrees with those that SPF and DKIM vouch for (RFC 9989 section 4.4)."""

from collections.abc import Sequence
from typing import NamedTuple

from mail.records import dmarc
from mail.records.answers import Ask
from mail.records.finding import Fault, Finding, Line, State, judged, not_checked
from words.texts import text as _


class Identity(NamedTuple):
    """The domains that one server's mail carries; an empty one is not known."""

    server: str
    envelope: str  # Of MAIL FROM.
    signer: str  # d= of the signature.


class Match(NamedTuple):
    """One row of the matrix. None: not known."""

    server: str
    envelope: str
    signer: str
    spf: bool | None
    dkim: bool | None


def agrees(author: str, other: str, is_strict: bool, ask: Ask) -> bool:
    """Tell whether two domains align: the same, or in relaxed mode of one organisation.

    :raises Unanswered: if DNS does not answer.
    """
    if author == other or is_strict:
        return author == other
    return dmarc.organisation_of(author, ask) == dmarc.organisation_of(other, ask)


def matrix(author: str, identities: Sequence[Identity], ask: Ask) -> list[Match]:
    """Return a row for each server that sends for the domain.

    :raises Unanswered: if DNS does not answer.
    """
    policy = dmarc.policy_of(author, ask)
    strict_spf = policy is not None and policy.is_strict("aspf")
    strict_dkim = policy is not None and policy.is_strict("adkim")
    return [
        Match(
            *identity,
            agrees(author, identity.envelope, strict_spf, ask) if identity.envelope else None,
            agrees(author, identity.signer, strict_dkim, ask) if identity.signer else None,
        )
        for identity in identities
    ]


def check(author: str, rows: Sequence[Match]) -> Finding:
    """Return the finding about the rows of a domain."""
    if not rows:
        return not_checked(Line.ALIGNMENT, _("Not checked: no active server sends for this domain."))
    faults = [fault for row in rows if (fault := _of_row(author, row)) is not None]
    good = _("SPF and DKIM both agree with From.")
    if not faults and not all(row.spf and row.dkim for row in rows):
        good = _("As far as known, From agrees with SPF or DKIM.")
    return judged(Line.ALIGNMENT, faults, good, "\n".join(map(written, rows)))


def written(row: Match) -> str:
    """Return a row for a terminal: the server, and each domain with yes, no or a question mark."""
    return f"{row.server}: SPF {row.envelope or '?'} {_mark(row.spf)}, DKIM {row.signer or '?'} {_mark(row.dkim)}"


def _of_row(author: str, row: Match) -> Fault | None:
    facts = {"server": row.server, "domain": author}
    if row.spf is False and row.dkim is False:
        said = _(
            "Mail of %(server)s fails DMARC: neither its return path nor its signature belongs to %(domain)s.", **facts
        )
        return Fault(State.BROKEN, "alignment-none", said)
    if row.spf is False:
        said = _("The return path of %(server)s doesn't belong to %(domain)s, so all depends on DKIM.", **facts)
        return Fault(State.LOOK, "alignment-dkim-only", said)
    if row.dkim is False:
        said = _("The signature of %(server)s doesn't belong to %(domain)s, so forwarded mail fails.", **facts)
        return Fault(State.LOOK, "alignment-spf-only", said)
    return None


def _mark(is_aligned: bool | None) -> str:
    return "?" if is_aligned is None else "yes" if is_aligned else "no"
