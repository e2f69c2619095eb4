"""The records of a key: what a person publishes, and where. Nothing here asks DNS."""

from typing import NamedTuple

from django.conf import settings

from domains.keys.pair import FIXED_PAIRS
from domains.models import DkimKey
from mail.records.dkim_key import name_of, revoked_value
from mail.records.finding import Record


class Publication(NamedTuple):
    """What has to stand in DNS for a key."""

    record: Record  # TXT, in the domain or in the zone of DKIM_ZONE.
    alias: Record | None = None  # The domain's CNAME that leads there. It is published once and stays.
    host: str = ""  # The name as providers' forms take it: within the domain.


def of_key(key: DkimKey) -> Publication:
    """Return the records to publish for a key; of a revoked key, without its key."""
    name, value = name_of(key.selector, key.domain.name), key.record
    if key.state == DkimKey.State.REVOKED:
        value = revoked_value(value)
    host = f"{key.selector}._domainkey"
    if settings.DKIM_ZONE and key.pair in FIXED_PAIRS:
        target = f"{key.selector}.{key.domain.name}.{settings.DKIM_ZONE}"
        return Publication(Record(target, "TXT", value), Record(name, "CNAME", f"{target}."), host)
    return Publication(Record(name, "TXT", value), host=host)


def record_of(key: DkimKey) -> Record:
    """Return the record as a receiver finds it, through an alias or not."""
    return Record(name_of(key.selector, key.domain.name), "TXT", key.record)
