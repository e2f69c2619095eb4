"""BIMI: the logo that mailbox providers show beside mail (draft-brand-indicators-for-message-identification).

A domain may do without it. Gmail and Apple ask for a certificate of the logo too.
"""

import re
from collections.abc import Iterator

from mail.records import tags
from mail.records.answers import Ask
from mail.records.dmarc import policy_of
from mail.records.finding import Fault, Finding, Line, State, judged, seen_of
from mail.records.transport import Fetch, FetchFailed
from words.texts import text as _

MOST_SVG_OCTETS = 32_768
_VERSION = re.compile(r"v[ \t]*=[ \t]*BIMI1[ \t]*(?:;|$)").match
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+/\S*").fullmatch
_SVG_START = re.compile(rb"<(?:[A-Za-z]+:)?svg\b[^>]{0,4000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"""\b(version|baseProfile|viewBox|width|height)\s{0,20}=\s{0,20}["']([^"']{0,200})["']""")
# The profile has no scripts, animation, links to elsewhere or pictures.
_FORBIDDEN = re.compile(
    rb"<(?:[A-Za-z]+:)?(?:script|image|foreignObject|animate\w*|set|a|video|audio)\b|<!DOCTYPE|<!ENTITY"
)


def check(domain: str, ask: Ask, fetch: Fetch) -> Finding:
    """Return the finding about a domain's logo.

    :raises Unanswered: if DNS does not answer.
    """
    answer = ask(f"default._bimi.{domain}", "TXT")
    records = [text for text in answer.records if _VERSION(text)]
    if not answer.records:
        return judged(Line.BIMI, [], _("No BIMI record. It is optional, and shows your logo beside your mail."))
    if len(records) != 1:
        key = "bimi-two-records" if records else "bimi-version"
        said = (
            _("%(n)s BIMI records: keep one.", n=len(records))
            if records
            else _("The record at default._bimi must begin with v=BIMI1.")
        )
        return judged(Line.BIMI, [Fault(State.LOOK, key, said)], "", seen_of(answer.records))
    try:
        found = tags.read(records[0])
    except tags.TagsInvalid as error:
        said = _("The BIMI record can't be read: %(why)s.", why=str(error))
        return judged(Line.BIMI, [Fault(State.LOOK, "bimi-syntax", said)], "", seen_of(records))
    faults = list(_of_record(domain, found, ask, fetch))
    good = _("The logo can be shown.")
    if not found.get("l") and not found.get("a"):
        good = _("The record says that there is no logo.")
        faults = []
    elif not found.get("a"):
        good = _("The logo can be shown. Gmail and Apple also ask for a certificate of it.")
    return judged(Line.BIMI, faults, good, seen_of(records))


def _of_record(domain: str, found: tags.Tags, ask: Ask, fetch: Fetch) -> Iterator[Fault]:
    published = policy_of(domain, ask)
    policy = published.policy_for(domain) if published is not None else "none"
    if policy not in ("quarantine", "reject") or (published is not None and published.tags.get("t").lower() == "y"):
        said = _("No provider shows the logo until DMARC has p=quarantine or p=reject, without t=y.")
        yield Fault(State.LOOK, "bimi-dmarc", said)
    for name in ("l", "a"):
        if found.get(name) and not _HTTPS(found.get(name)):
            yield Fault(State.LOOK, "bimi-not-https", _("%(tag)s must be an https:// address.", tag=name))
            return
    if not found.get("l"):
        yield Fault(State.LOOK, "bimi-no-logo", _("The record has no logo: l is empty."))
        return
    try:
        svg = fetch(found.get("l"), MOST_SVG_OCTETS + 1)
    except FetchFailed as error:
        yield Fault(State.LOOK, "bimi-unreachable", _("The logo can't be fetched: %(why)s.", why=str(error)))
        return
    yield from faults_of_logo(svg)


def faults_of_logo(svg: bytes) -> Iterator[Fault]:
    """Yield what keeps a file from being a logo: SVG Tiny PS, square, 32 KB at most."""
    if len(svg) > MOST_SVG_OCTETS:
        yield Fault(State.LOOK, "bimi-too-large", _("The logo is larger than 32 KB."))
        return
    start = _SVG_START.search(svg)
    if start is None:
        yield Fault(State.LOOK, "bimi-not-svg", _("The logo is not an SVG file."))
        return
    found = {name: value.decode("ascii", "replace") for name, value in _ATTRIBUTE.findall(start[0])}
    if found.get(b"baseProfile") != "tiny-ps" or found.get(b"version") != "1.2" or _FORBIDDEN.search(svg):
        yield Fault(State.LOOK, "bimi-not-tiny", _("The logo is not in the profile SVG Tiny PS."))
    box = re.split(r"[ ,]+", found.get(b"viewBox", "").strip())
    if len(box) != 4 or box[2] != box[3]:
        yield Fault(State.LOOK, "bimi-not-square", _("The logo is not square: see its viewBox."))
