"""Who must not be written to, asked by address. Choosing and storing an audience is delivery's."""

from collections.abc import Iterable

from contacts.models import Suppression

ASKED_AT_ONCE = 2_000  # Bound parameters in one query; SQLite may be built with a limit of 32,766.


def is_suppressed(email_keys: Iterable[str]) -> set[str]:
    """Return those of ``email_keys`` (folded addresses, see mail.addresses.fold) that are suppressed."""
    keys = list(email_keys)
    suppressed: set[str] = set()
    for start in range(0, len(keys), ASKED_AT_ONCE):
        asked = keys[start : start + ASKED_AT_ONCE]
        suppressed.update(Suppression.objects.filter(email_key__in=asked).values_list("email_key", flat=True))
    return suppressed
