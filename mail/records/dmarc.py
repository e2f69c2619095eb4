"""DMARC: the policy of a domain, found by walking up the tree of names (RFC 9989), and its reports (RFC 9990)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mail.records import tags
from mail.records.answers import Ask, below
from mail.records.finding import Fault, Finding, Line, Record, State, judged, seen_of
from words.texts import text as _

MOST_QUERIES = 8  # RFC 9989 section 4.10.
_POLICIES = {"none": 0, "quarantine": 1, "reject": 2}
_OBSOLETE = ("pct", "rf", "ri")
_KNOWN = frozenset({"v", "p", "sp", "np", "adkim", "aspf", "fo", "psd", "rua", "ruf", "t", *_OBSOLETE})
_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)").match
_MAILTO = re.compile(r"mailto:([^@\s!,]+)@([A-Za-z0-9._-]+)(?:!\d+[kmgt]?)?", re.IGNORECASE)
# Where a tag ends: also at a comma, a colon or a line, if another tag follows.
_TAG_ENDS = re.compile(rf"[ \t]*(?:;|[,:\s](?=[ \t]*(?:{'|'.join(sorted(_KNOWN))})[ \t]*=))[ \t]*", re.IGNORECASE)
MOST_REPORT_ADDRESSES = 10


@dataclass(frozen=True, slots=True)
class Published:
    """A DMARC record, and the domain that it was found at."""

    domain: str
    text: str
    tags: tags.Tags

    def policy_for(self, author: str) -> str:
        """Return the policy for mail from a domain: ``p``, or for a domain below it ``sp``."""
        own = self.tags.get("p", "none").lower()
        return own if author == self.domain else self.tags.get("sp", own).lower()

    def is_strict(self, tag: str) -> bool:
        """Whether ``adkim`` or ``aspf`` asks for the very same domain."""
        return self.tags.get(tag).lower() == "s"


def steps(domain: str) -> Iterator[str]:
    """Yield the domains of the walk: eight at most, the last one of a single label."""
    labels = domain.split(".")
    yield domain
    rest = labels[-(MOST_QUERIES - 1) :] if len(labels) > MOST_QUERIES else labels[1:]
    for start in range(len(rest)):
        yield ".".join(rest[start:])


def texts_at(domain: str, ask: Ask) -> list[str]:
    """Return the TXT records at ``_dmarc`` that receivers take for DMARC.

    :raises Unanswered: if DNS does not answer.
    """
    return [text for text in ask(f"_dmarc.{domain}", "TXT").records if _VERSION(text)]


def _found_at(domain: str, ask: Ask) -> Published | None:
    """Return the record at a domain; None if it has none, several, or one that cannot be read."""
    texts = texts_at(domain, ask)
    if len(texts) != 1:
        return None
    try:
        return Published(domain, texts[0], tags.read(texts[0]))
    except tags.TagsInvalid:
        return None


def _walk(domain: str, ask: Ask) -> list[Published]:
    found: list[Published] = []
    for number, step in enumerate(steps(domain)):
        record = _found_at(step, ask)
        if record is not None:
            found.append(record)
            psd = record.tags.get("psd").lower()
            if psd == "n" or (psd == "y" and number > 0):
                break
    return found


def organisation_of(domain: str, ask: Ask) -> str:
    """Return the organisational domain (RFC 9989 section 4.10.2); without any record the domain itself.

    :raises Unanswered: if DNS does not answer.
    """
    found = _walk(domain, ask)
    for record in found:
        psd = record.tags.get("psd").lower()
        if psd == "n":
            return record.domain
        if psd == "y" and record.domain != domain:
            labels = domain.split(".")
            return ".".join(labels[-(record.domain.count(".") + 2) :])
    return found[-1].domain if found else domain


def policy_of(domain: str, ask: Ask) -> Published | None:
    """Return the record that applies to a domain: its own, else that of its organisation; None without one.

    :raises Unanswered: if DNS does not answer.
    """
    own = _found_at(domain, ask)
    if own is not None:
        return own
    found = _walk(domain, ask)
    organisation = organisation_of(domain, ask)
    return next((record for record in found if record.domain == organisation), found[-1] if found else None)


def proposal(domain: str, report_address: str) -> Record:
    """Return the record for a domain that has none."""
    return Record(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:{report_address}")


def check(domain: str, ask: Ask, report_address: str) -> Finding:
    """Return the finding about a domain's DMARC policy.

    :param report_address: where aggregate reports should go, for the record to paste.
    :raises Unanswered: if DNS does not answer.
    """
    at_name = ask(f"_dmarc.{domain}", "TXT").records
    texts = [text for text in at_name if _VERSION(text)]
    wrong = _unreadable(domain, at_name, texts)
    published = policy_of(domain, ask) if wrong is None else None
    new = proposal(domain, report_address)
    if wrong is not None:
        return judged(Line.DMARC, [wrong], "", seen_of(at_name), _repaired(at_name, new))
    if published is None:
        fault, elsewhere = _missing(domain, ask)
        return judged(Line.DMARC, [fault], "", seen_of(elsewhere), _repaired(elsewhere, new))
    of_policy, of_reports = list(_of_policy(published)), list(_of_reports(published, ask))
    faults = [*of_policy, *of_reports]
    seen = seen_of([published.text])
    if published.domain != domain:
        seen = f"_dmarc.{published.domain}: {seen}"
    policy = published.policy_for(domain)
    good = _("The policy is %(policy)s.", policy=policy)
    if policy == "none":
        good = _("The policy is none: receivers only report. That is enough to send.")
    record = _improved(published, report_address) if faults else None
    if not of_policy and all(fault.key == "dmarc-reports-not-allowed" for fault in of_reports):
        record = _missing_permission(published, ask)  # The policy is as it should be.
    return judged(Line.DMARC, faults, good, seen, record)


def _unreadable(domain: str, at_name: tuple[str, ...], texts: list[str]) -> Fault | None:
    """Return why receivers ignore what is at ``_dmarc``; None if they read it, or nothing is there."""
    if len(texts) > 1:
        said = _("%(domain)s has %(n)s DMARC records, so receivers ignore them. Keep one.", domain=domain, n=len(texts))
        return Fault(State.BROKEN, "dmarc-two-records", said)
    if not texts:
        meant = [text for text in at_name if "dmarc" in text.lower()]
        if not meant:
            return None
        if tags.is_quoted(meant[0]):
            return Fault(State.BROKEN, "dmarc-quoted", _("Quotes were pasted into the DMARC record. Remove them."))
        if tags.is_escaped(meant[0]):
            return Fault(State.BROKEN, "dmarc-escaped", _("Backslashes were pasted into the DMARC record."))
        said = _("The DMARC record must begin with v=DMARC1, in these letters. Receivers ignore it.")
        return Fault(State.BROKEN, "dmarc-version-first", said)
    if tags.is_escaped(texts[0]):
        return Fault(State.BROKEN, "dmarc-escaped", _("Backslashes were pasted into the DMARC record."))
    try:
        tags.read(texts[0])
    except tags.TagsInvalid as error:
        return Fault(State.BROKEN, "dmarc-syntax", _("The DMARC record can't be read: %(why)s.", why=str(error)))
    return None


def _missing(domain: str, ask: Ask) -> tuple[Fault, tuple[str, ...]]:
    """Return the fault of a domain without a record, and the records that were published at a wrong name."""
    if texts := _texts_meant(f"_dmarc.{domain}.{domain}", ask):
        said = _("The DMARC record is at _dmarc.%(domain)s.%(domain)s: the domain was added twice.", domain=domain)
        return Fault(State.BROKEN, "dmarc-name-doubled", said), texts
    if texts := _texts_meant(domain, ask):
        said = _("The DMARC record is at %(domain)s. It belongs to _dmarc.%(domain)s.", domain=domain)
        return Fault(State.BROKEN, "dmarc-wrong-name", said), texts
    said = _("%(domain)s has no DMARC policy. Gmail, Yahoo and Microsoft reject bulk mail without one.", domain=domain)
    return Fault(State.BROKEN, "dmarc-missing", said), ()


def _texts_meant(name: str, ask: Ask) -> tuple[str, ...]:
    return tuple(text for text in ask(name, "TXT").records if _VERSION(text))


def _of_policy(published: Published) -> Iterator[Fault]:
    found = published.tags
    if "p" not in found:
        yield Fault(State.LOOK, "dmarc-policy-missing", _("The record has no p=. Receivers take it for none."))
    for name in ("p", "sp", "np"):
        if name in found and found.get(name).lower() not in _POLICIES:
            said = _(
                "%(tag)s must be none, quarantine or reject, not “%(value)s”.", tag=name, value=found.get(name)[:40]
            )
            yield Fault(State.BROKEN, "dmarc-policy-invalid", said)
    for name in ("adkim", "aspf"):
        if name in found and found.get(name).lower() not in ("r", "s"):
            said = _("%(tag)s must be r or s, not “%(value)s”.", tag=name, value=found.get(name)[:40])
            yield Fault(State.LOOK, "dmarc-alignment-invalid", said)
    strength = _POLICIES.get(found.get("p").lower(), 0)
    for name in ("sp", "np"):
        if _POLICIES.get(found.get(name, "reject").lower(), 2) < strength:
            said = _("%(tag)s is weaker than p, so names below the domain can be forged.", tag=name)
            yield Fault(State.LOOK, "dmarc-sp-weaker", said)
    if found.get("t").lower() == "y":
        said = _("The policy is in test mode, so it isn't enforced. Remove t=y.")
        yield Fault(State.LOOK, "dmarc-testing", said)
    if obsolete := [name for name in _OBSOLETE if name in found]:
        said = _("Receivers no longer read %(tags)s. Remove it.", tags=", ".join(obsolete))
        yield Fault(State.LOOK, "dmarc-obsolete-tags", said)
    if unknown := [name for name, _value in found.pairs if name not in _KNOWN]:
        said = _("Receivers don't know %(tags)s. Correct or remove it.", tags=", ".join(unknown[:5])[:80])
        yield Fault(State.LOOK, "dmarc-unknown-tag", said)


def _of_reports(published: Published, ask: Ask) -> Iterator[Fault]:
    written = published.tags.get("rua")
    if not written:
        said = _("No reports are asked for: rua is missing. Without reports you can't see who sends in your name.")
        yield Fault(State.LOOK, "dmarc-no-reports", said)
        return
    for uri in written.split(",")[:MOST_REPORT_ADDRESSES]:
        if _MAILTO.fullmatch(uri.strip()) is None:
            said = _("“%(uri)s” in rua is no address. Write it as mailto:name@example.com.", uri=uri.strip()[:60])
            yield Fault(State.LOOK, "dmarc-reports-invalid", said)
    for target in _forbidding(published, ask):
        said = _(
            "%(target)s doesn't allow reports about %(domain)s, so none are sent there. Publish “v=DMARC1” as"
            " TXT at %(name)s, or use an address of your own.",
            target=target,
            domain=published.domain,
            name=permission(published.domain, target).name,
        )
        yield Fault(State.LOOK, "dmarc-reports-not-allowed", said)


def _forbidding(published: Published, ask: Ask) -> Iterator[str]:
    """Yield the foreign domains of report addresses that do not allow the reports."""
    home = organisation_of(published.domain, ask)
    for uri in published.tags.get("rua").split(",")[:MOST_REPORT_ADDRESSES]:
        mailto = _MAILTO.fullmatch(uri.strip())
        if mailto is None:
            continue
        target = mailto[2].lower().rstrip(".")
        if not below(target, home) and organisation_of(target, ask) != home and not _allows(target, published, ask):
            yield target


def _missing_permission(published: Published, ask: Ask) -> Record | None:
    """Return the first record with which another domain would allow the reports."""
    return next((permission(published.domain, target) for target in _forbidding(published, ask)), None)


def permission(domain: str, target: str) -> Record:
    """Return the record with which a domain allows the reports of another (RFC 9990 section 4)."""
    return Record(f"{domain}._report._dmarc.{target}", "TXT", "v=DMARC1")


def _allows(target: str, published: Published, ask: Ask) -> bool:
    name = permission(published.domain, target).name
    return any(_VERSION(text) for text in ask(name, "TXT").records)


def _repaired(texts: Iterable[str], new: Record) -> Record:
    """Return one record in place of some: the strictest policy that can be read in them, with all that goes with it."""
    meant = [pairs for text in texts if (pairs := _meant(text)).get("p", "").lower() in _POLICIES]
    if not meant:
        return new
    kept = max(meant, key=lambda pairs: _POLICIES[pairs["p"].lower()])
    reports = next((pairs["rua"] for pairs in [kept, *meant] if "rua" in pairs), tags.read(new.value).get("rua"))
    whole = {"v": "DMARC1", "p": kept["p"], **kept, "rua": reports}
    return Record(new.name, "TXT", "; ".join(f"{name}={value}" for name, value in whole.items()))


def _meant(text: str) -> dict[str, str]:
    """Return the tags of a record that receivers may not read; what is no tag of DMARC is left out."""
    found: dict[str, str] = {}
    for part in _TAG_ENDS.split(tags.cleaned(text).replace("\\", "")):
        name, _sign, value = part.partition("=")
        name, value = name.strip().lower(), value.strip().strip(tags.QUOTES)
        if name in _KNOWN - {"v"} and value and name not in _OBSOLETE:
            found.setdefault(name, value)
    reports = [uri.strip() for uri in found.get("rua", "").split(",")]
    found["rua"] = ",".join(uri for uri in reports if _MAILTO.fullmatch(uri))
    return {name: value for name, value in found.items() if value}


def _improved(published: Published, report_address: str) -> Record:
    """Return the record without what is obsolete or wrong, and with reports."""
    kept = dict(pair for pair in published.tags.pairs if pair[0] in _KNOWN and pair[0] not in _OBSOLETE)
    kept = {"v": "DMARC1", "p": "none"} | kept
    for name in ("p", "sp", "np"):
        if name in kept and kept[name].lower() not in _POLICIES:
            kept[name] = "none"
    strength = _POLICIES[kept["p"].lower()]
    for name in ("sp", "np"):
        if name in kept and _POLICIES[kept[name].lower()] < strength:
            kept[name] = kept["p"]
    for name in ("adkim", "aspf"):
        if name in kept and kept[name].lower() not in ("r", "s"):
            del kept[name]
    if kept.get("t", "").lower() == "y":
        del kept["t"]
    if not any(_MAILTO.fullmatch(uri.strip()) for uri in kept.get("rua", "").split(",")):
        kept["rua"] = f"mailto:{report_address}"
    return Record(f"_dmarc.{published.domain}", "TXT", "; ".join(f"{name}={value}" for name, value in kept.items()))
