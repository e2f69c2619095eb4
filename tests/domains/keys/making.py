"""Keys that tests start from, and the two verifiers of what was signed with them."""

import datetime as dt
from collections.abc import Mapping

import dkim

from domains.keys import lifecycle
from domains.keys.dns_check import Seen
from domains.models import DkimKey, SendingDomain
from mail.message.dkim_verification import verify
from mail.records.dkim_key import name_of
from mail.records.finding import Record

GOOD = Seen()


def seen_good(record: Record) -> Seen:
    """Answer as DNS does where every record was published."""
    return GOOD


def make_signing(name: str, now: dt.datetime) -> list[DkimKey]:
    """Return a pair of keys that signs, RSA first."""
    domain, _is_new = SendingDomain.objects.get_or_create(name=name)
    lifecycle.make_pair(domain.pk, now)
    start(domain, now)
    return list(domain.dkim_keys.filter(state="signing").order_by("-algorithm"))


def start(domain: SendingDomain, now: dt.datetime) -> None:
    """Have DNS confirm the waiting keys of a domain, twice."""
    for key in domain.dkim_keys.filter(state__in=("made", "seen")):
        lifecycle.note(key.pk, GOOD, now - lifecycle.BETWEEN_GOOD_CHECKS)
        lifecycle.note(key.pk, GOOD, now)
    lifecycle.advance(domain.pk, now)


def published() -> dict[str, str]:
    """Return the records of all keys that are not revoked, by their names."""
    keys = DkimKey.objects.exclude(state="revoked").select_related("domain")
    return {name_of(key.selector, key.domain.name): key.record for key in keys}


def selectors(content: bytes, records: Mapping[str, str]) -> list[str]:
    """Return the selectors of a message's signatures, the topmost first; dkimpy and our own verifier accept each."""
    verdicts = verify(content, lambda name: [records[name]] if name in records else [])
    assert [verdict.problem for verdict in verdicts] == [""] * len(verdicts)
    oracle = dkim.DKIM(content)

    def dns(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    assert all(oracle.verify(index, dnsfunc=dns) for index in range(len(verdicts)))
    return [verdict.selector for verdict in verdicts]
