"""Who had everything about them erased, known by a salted hash alone, and how that is done.

Higher rooms add what they hold; see :data:`PARTS`. Nothing here looks at the clock.
"""

from collections.abc import Iterable

from django.conf import settings

from contacts.models import ErasedAddress
from mail import tokens
from mail.addresses import fold

PURPOSE = "erased address"
ASKED_AT_ONCE = 2_000  # Bound parameters in one query; SQLite may be built with a limit of 32,766.


def is_erased(emails: Iterable[str]) -> set[str]:
    """Return those of ``emails``, as they were given, whose people had everything about them erased.

    Known by hashes under TOKEN_KEYS: the first key makes them, all of them find them, so that keys can be rotated.
    """
    given = list(emails)
    if not given or not ErasedAddress.objects.exists():  # As nearly always.
        return set()
    asked: dict[str, list[str]] = {}
    for email in given:
        for digest in _digests(email):
            asked.setdefault(digest, []).append(email)
    digests = list(asked)
    erased: set[str] = set()
    for start in range(0, len(digests), ASKED_AT_ONCE):
        some = digests[start : start + ASKED_AT_ONCE]
        for digest in ErasedAddress.objects.filter(digest__in=some).values_list("digest", flat=True):
            erased.update(asked[digest])
    return erased


def _digests(email: str) -> list[str]:
    """Return the hashes of an address, whatever its spelling; the first one is the one to store."""
    key = fold(email).encode()
    return [tokens.prover(PURPOSE, secret)(key).hex() for secret in settings.TOKEN_KEYS]


def admit(email: str) -> bool:
    """Forget that this address was erased: the person came back, or somebody decided so; return whether it was."""
    return ErasedAddress.objects.filter(digest__in=_digests(email)).delete()[0] > 0
