"""The signers of mail, from the keys that sign at present. Callers keep a signer only until the keys change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from domains.inspection import OwnKey
from domains.keys.publication import of_key, record_of
from domains.models import DkimKey, SendingDomain
from encryption.keys import SecretUnreadable
from encryption.secret_field import Secret
from mail.message.dkim import Key, Signer
from words.texts import text as _

Algorithm, State = DkimKey.Algorithm, DkimKey.State


@dataclass(frozen=True, slots=True)
class Signing:
    """The signer for a domain of From; without one, why there is none, as the end of "Alpha …"."""

    signer: Signer | None
    why_not: str = ""


def signing_for(author: str) -> Signing:
    """Return the signer for a domain of From: its own keys, or those of the longest parent that has some.

    :param author: an A-label.
    """
    keys = _signing(_with_parents(author))
    domain = max((key.domain.name for key in keys), key=len, default="")
    if not domain:
        return Signing(None, _without_key(author))
    of_domain = [key for key in keys if key.domain.name == domain]
    opened = [found for key in of_domain if (found := _opened(key)) is not None]
    # RSA comes first: it ends up on top. Without it there is no signature at all.
    opened.sort(key=lambda key: not key.algorithm.startswith("rsa"))
    if not opened or not opened[0].algorithm.startswith("rsa"):
        return Signing(None, _with_unreadable_key(domain))
    return Signing(Signer(domain, opened))


def obstacles() -> Callable[[str], str]:
    """Return a function that tells why mail from a domain cannot be signed, as the end of "Alpha …"; empty if it can.

    It knows the keys of this moment, and asks the database no more.
    """
    readable = {
        key.domain.name: _is_readable(
            key.private.ciphertext, key.selector, key.domain.name, tuple(settings.FIELD_ENCRYPTION_KEYS)
        )
        for key in _signing()
        if key.algorithm == Algorithm.RSA
    }

    def why_not(author: str) -> str:
        domain = next((name for name in _with_parents(author) if name in readable), None)
        if domain is None:
            return _without_key(author)
        return "" if readable[domain] else _with_unreadable_key(domain)

    return why_not


def published_records(name: str) -> list[str]:
    """Return the record that a key of ours should have at a name; empty for others and for revoked ones."""
    selector, _dot, domain = name.partition("._domainkey.")
    live = DkimKey.objects.filter(selector=selector, domain__name=domain).exclude(state=State.REVOKED)
    return list(live.values_list("record", flat=True)[:1])


def own_keys(author: str) -> list[OwnKey]:
    """Return the keys that sign mail of a domain; without one, its RSA key that waits for DNS, if it has one.

    :param author: an A-label.
    """
    signing = _signing(_with_parents(author))
    domain = max((key.domain.name for key in signing), key=len, default="")
    found = [OwnKey(domain, record_of(key), True) for key in signing if key.domain.name == domain]
    if found:
        return sorted(found, key=lambda key: key.record.value.startswith("v=DKIM1; k=ed25519"))
    waiting = DkimKey.objects.filter(
        domain__name=author, state__in=(State.MADE, State.SEEN), algorithm=Algorithm.RSA
    ).select_related("domain")
    return [
        OwnKey(author, of_key(key).alias or record_of(key), False, is_seen=key.state == State.SEEN)
        for key in waiting[:1]
    ]


def _signing(domains: Sequence[str] | None = None) -> list[DkimKey]:
    """Return the keys that sign; of a pair whose RSA key does not, none."""
    rows = DkimKey.objects.filter(state=State.SIGNING).select_related("domain")
    found = list(rows if domains is None else rows.filter(domain__name__in=domains))
    whole = {(key.domain_id, key.pair) for key in found if key.algorithm == Algorithm.RSA}
    return [key for key in found if (key.domain_id, key.pair) in whole]


def _with_parents(domain: str) -> list[str]:
    labels = domain.lower().split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


@sensitive_variables()
def _opened(key: DkimKey) -> Key | None:
    try:
        return Key.from_pem(key.selector, key.private.reveal(key.destination).encode())
    except (SecretUnreadable, ValueError):
        return None


@lru_cache(maxsize=256)
def _is_readable(ciphertext: str, selector: str, domain: str, keys: tuple[str, ...]) -> bool:
    """Whether a private half can be decrypted. Workers ask twice a second, so the answer is remembered, not the key."""
    row = DkimKey(
        domain=SendingDomain(name=domain), selector=selector, algorithm=Algorithm.RSA, private=Secret(ciphertext)
    )
    return _opened(row) is not None


def _without_key(author: str) -> str:
    return _("has no DKIM key for %(domain)s that DNS confirms", domain=author)


def _with_unreadable_key(domain: str) -> str:
    return _("can't decrypt the DKIM key of %(domain)s", domain=domain)
