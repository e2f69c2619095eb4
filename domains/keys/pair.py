"""A new pair of keys, and the selectors of its records. The caller decides when one is made."""

import datetime as dt
import secrets
import string
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from domains.models import DkimKey, SendingDomain
from mail.records.dkim_key import value_of

RSA_BITS = 2048
FIXED_PAIRS = ("br1", "br2")  # With DKIM_ZONE: used in turn, so that the domain's CNAME records stay.

State = DkimKey.State
ENDINGS = {DkimKey.Algorithm.RSA: "r", DkimKey.Algorithm.ED25519: "e"}
_GENERATORS: dict[DkimKey.Algorithm, Callable[[], RSAPrivateKey | Ed25519PrivateKey]] = {
    DkimKey.Algorithm.RSA: lambda: generate_private_key(65537, RSA_BITS),
    DkimKey.Algorithm.ED25519: Ed25519PrivateKey.generate,
}


def make(domain: SendingDomain, now: dt.datetime, starts_at: dt.datetime | None = None) -> list[DkimKey]:
    """Make and store a pair of keys, which signs nothing yet. The caller holds the domain's lock.

    :param starts_at: the earliest time of its first signature; None: as soon as DNS has it.
    """
    name = _name_of_pair(domain, now)
    return [_make(domain, name, algorithm, now, starts_at) for algorithm in ENDINGS]


@sensitive_variables()
def _make(
    domain: SendingDomain, pair: str, algorithm: DkimKey.Algorithm, now: dt.datetime, starts_at: dt.datetime | None
) -> DkimKey:
    selector = pair + ENDINGS[algorithm]
    # The record of an earlier key of this name is replaced, so nobody has to empty it.
    DkimKey.objects.filter(domain=domain, selector=selector, state=State.REVOKED).update(next_check_at=None)
    private = _GENERATORS[algorithm]()
    return DkimKey.objects.create(
        domain=domain,
        pair=pair,
        selector=selector,
        algorithm=algorithm,
        private=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        record=value_of(private.public_key()),
        made_at=now,
        starts_at=starts_at,
        next_check_at=now,
    )


def _name_of_pair(domain: SendingDomain, now: dt.datetime) -> str:
    """Return a fixed name if the zone of DKIM_ZONE has our records, and else one that no installation had before."""
    if settings.DKIM_ZONE and (name := _next_fixed_name(domain)):
        return name
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(3))
    return f"br{now.astimezone(dt.UTC):%y%m}{letters}"


def _next_fixed_name(domain: SendingDomain) -> str:
    """Return the fixed name that was used longest ago; empty if both are in use, as after two revocations in a week."""
    used = DkimKey.objects.filter(domain=domain, pair__in=FIXED_PAIRS)
    busy = set(used.exclude(state=State.REVOKED).values_list("pair", flat=True))
    made = dict(used.order_by("made_at").values_list("pair", "made_at"))
    free = [name for name in FIXED_PAIRS if name not in busy]
    return min(free, key=lambda name: (name in made, made.get(name)), default="")
