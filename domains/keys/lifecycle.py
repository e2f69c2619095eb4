"""The life of keys: made, seen in DNS, signing, resting, revoked. Every step is taken once, under the domain's lock.

A pair starts when its RSA key is proved: its record was right twice, ten minutes apart. Ed25519 is never alone.
"""

import datetime as dt
from collections.abc import Callable

from django.db import transaction
from django.db.models import Q, QuerySet

from domains.keys import pair
from domains.keys.dns_check import DnsCheck, Seen
from domains.keys.publication import record_of
from domains.lookups import is_example
from domains.models import DkimKey, SendingDomain
from registry import Registry

Algorithm, State = DkimKey.Algorithm, DkimKey.State

BETWEEN_GOOD_CHECKS = dt.timedelta(minutes=10)
ROTATES_AFTER = dt.timedelta(days=180)  # M3AAWG advises half a year.
TOLD_BEFORE = dt.timedelta(days=14)  # The next pair is made, and its record asked for, so long before.
RESTS_FOR = dt.timedelta(days=7)  # Longer than a message may wait on its way.
STOPS_AFTER = dt.timedelta(hours=24)  # Of a wrong record.
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
IN_HURRY = dt.timedelta(days=2)  # For so long a new key is asked for every ten minutes.
LEASE = dt.timedelta(minutes=5)  # Longer than a check may take.
LONGEST_CACHE = dt.timedelta(days=1)

# Other rooms' reasons why no key may be made or replaced just now; each returns a sentence, or an empty text.
HOLDS: Registry[Callable[[dt.datetime], str]] = Registry()
# Called within the transaction when other keys sign than before.
WATCHERS: Registry[Callable[[], None]] = Registry()


class KeysHeld(Exception):
    """No key may be made or replaced now; the text is a sentence that says why."""


def make_pair(domain_id: int, now: dt.datetime) -> bool:
    """Make a pair of keys; False if one waits for DNS already.

    :raises KeysHeld: in a copy that waits for a person's answer.
    """
    _refuse_if_held(now)
    with transaction.atomic():
        domain = _lock(domain_id)
        if domain is None or _unstarted(domain).exists():
            return False
        pair.make(domain, now)
    return True


def revoke_all(domain_id: int, now: dt.datetime) -> bool:
    """Delete the private halves of all keys of a domain at once, and make a new pair. False if there was no key.

    :raises KeysHeld: in a copy that waits for a person's answer.
    """
    _refuse_if_held(now)
    with transaction.atomic():
        domain = _lock(domain_id)
        if domain is None or not _revoke(domain.dkim_keys.exclude(state=State.REVOKED), now):
            return False
        pair.make(domain, now)
        _keys_changed(domain, now)
    return True


def forget_keys() -> None:
    """Have workers drop the keys of a domain that is deleted in the caller's transaction."""
    _tell_watchers()


def ask_again(domain: SendingDomain, now: dt.datetime) -> None:
    """Have the errand check the records of a domain's keys at once."""
    # A revoked key whose record is gone is asked for no more.
    keys = domain.dkim_keys.exclude(state=State.REVOKED, next_check_at=None)
    keys.filter(Q(next_check_at=None) | Q(next_check_at__gt=now)).update(next_check_at=now)


def why_held(now: dt.datetime) -> str:
    """Return why no key may be made or replaced now; empty if it may."""
    return next((why for hold in HOLDS.values() if (why := hold(now))), "")


# --- the errand


def keep(check: DnsCheck, read_clock: Callable[[], dt.datetime], should_stop: Callable[[], bool]) -> int:
    """Check the records that are due, and take every step that is due; return the number of checks."""
    if why_held(read_clock()):
        return 0
    count = 0
    while not should_stop() and (key := _claim(read_clock())) is not None:
        seen = check(record_of(key))
        note(key.pk, seen, read_clock())
        advance(key.domain_id, read_clock())
        count += 1
    for domain_id in list(_due_domains(read_clock())):
        advance(domain_id, read_clock())
    return count


def _claim(now: dt.datetime) -> DkimKey | None:
    for key in DkimKey.objects.filter(next_check_at__lte=now).select_related("domain").order_by("next_check_at")[:20]:
        due = DkimKey.objects.filter(pk=key.pk, next_check_at=key.next_check_at)
        if is_example(key.domain.name):
            due.update(next_check_at=None)  # Examples do not exist, and nobody is asked for them.
        elif due.update(next_check_at=now + LEASE):
            return key
    return None


def _due_domains(now: dt.datetime) -> QuerySet[DkimKey, int]:
    """Return the domains with a key that may take a step by the clock alone."""
    is_due = (
        Q(state=State.RESTING, rests_until__lte=now)
        | Q(state=State.SIGNING, wrong_since__lte=now - STOPS_AFTER)
        | Q(state=State.SIGNING, algorithm=Algorithm.RSA, started_at__lte=now - ROTATES_AFTER + TOLD_BEFORE)
        | Q(state=State.SEEN, is_proved=True)
    )
    return DkimKey.objects.filter(is_due).order_by().values_list("domain", flat=True).distinct()


# --- what a check found


def note(key_id: int, seen: Seen, now: dt.datetime) -> None:
    """Store what DNS said of a key's record, and when it is asked again. An unanswered question changes no state."""
    with transaction.atomic():
        key = DkimKey.objects.select_for_update().filter(pk=key_id).first()
        if key is None:
            return
        before = key.state, key.fault
        if not seen.is_answered:
            key.unanswered = seen.sentence[:300]
            key.next_check_at = now + (BETWEEN_GOOD_CHECKS if _is_new(key, now) else HOUR)
        else:
            key.unanswered, key.checked_at = "", now
            key.fault, key.sentence = seen.fault, seen.sentence
            key.is_from_cache, key.ttl_seconds = seen.is_from_cache, min(seen.ttl_seconds, 2**31 - 1)
            if key.state == State.REVOKED:
                key.next_check_at = now + DAY if seen.fault != "dkim-missing" else None
            elif seen.fault:
                _note_wrong(key, now)
            else:
                _note_good(key, now)
        key.save()
        if (key.state, key.fault) != before:
            _look_again(key.domain, now)


def _note_wrong(key: DkimKey, now: dt.datetime) -> None:
    key.wrong_since = key.wrong_since or now
    if key.state in (State.MADE, State.SEEN):
        key.state, key.good_since, key.is_proved = State.MADE, None, False
    key.next_check_at = now + (BETWEEN_GOOD_CHECKS if _is_new(key, now) else HOUR)


def _note_good(key: DkimKey, now: dt.datetime) -> None:
    key.wrong_since = None
    key.good_since = key.good_since or now
    if key.state == State.MADE:
        key.state = State.SEEN
    apart = _apart(key)
    key.is_proved = key.is_proved or now - key.good_since >= apart
    key.next_check_at = now + DAY if key.is_proved else key.good_since + apart


def _apart(key: DkimKey) -> dt.timedelta:
    """Return how long the record must have been right: a resolver's memory must be over, where it alone was asked."""
    ttl = dt.timedelta(seconds=key.ttl_seconds) if key.is_from_cache else dt.timedelta(0)
    return max(BETWEEN_GOOD_CHECKS, min(ttl, LONGEST_CACHE))


def _is_new(key: DkimKey, now: dt.datetime) -> bool:
    return key.state in (State.MADE, State.SEEN) and now - key.made_at < IN_HURRY


# --- steps


def advance(domain_id: int, now: dt.datetime) -> None:
    """Take every step that is due for the keys of a domain."""
    with transaction.atomic():
        domain = _lock(domain_id)
        if domain is None:
            return
        has_changed = _stop_wrong(domain, now)
        has_changed = _start(domain, now) or has_changed
        _revoke(domain.dkim_keys.filter(state=State.RESTING, rests_until__lte=now), now)
        _prepare_next(domain, now)
        if has_changed:
            _keys_changed(domain, now)


def _stop_wrong(domain: SendingDomain, now: dt.datetime) -> bool:
    """Stop keys whose record has been wrong for a day: their signatures do harm. They start again like new ones."""
    signing = domain.dkim_keys.filter(state=State.SIGNING)
    wrong = list(signing.filter(wrong_since__lte=now - STOPS_AFTER))
    waiting = {"state": State.MADE, "good_since": None, "is_proved": False, "stopped_at": now, "starts_at": None}
    DkimKey.objects.filter(pk__in=[key.pk for key in wrong]).update(**waiting)
    alone = {key.pair for key in wrong if key.algorithm == Algorithm.RSA}
    signing.filter(pair__in=alone).update(state=State.SEEN)
    return bool(wrong)


def _start(domain: SendingDomain, now: dt.datetime) -> bool:
    """Start proved keys: the newest pair with a proved RSA key replaces the one that signs."""
    is_signing = domain.dkim_keys.filter(state=State.SIGNING, algorithm=Algorithm.RSA)
    proved = domain.dkim_keys.filter(state=State.SEEN, is_proved=True)
    may_start = Q(starts_at=None) | Q(starts_at__lte=now)
    if not is_signing.exists():
        may_start = Q()
    begin = {"state": State.SIGNING, "started_at": now, "stopped_at": None, "next_check_at": now + DAY}
    chosen = proved.filter(may_start, algorithm=Algorithm.RSA).order_by("-made_at").first()
    if chosen is not None:
        proved.filter(pk=chosen.pk).update(**begin)
        others = domain.dkim_keys.exclude(pair=chosen.pair)
        others.filter(state=State.SIGNING).update(state=State.RESTING, rests_until=now + RESTS_FOR)
        _revoke(others.filter(state__in=(State.MADE, State.SEEN), made_at__lt=chosen.made_at), now)
    beside = proved.filter(algorithm=Algorithm.ED25519, pair__in=list(is_signing.values_list("pair", flat=True)))
    return bool(beside.update(**begin)) or chosen is not None


def _prepare_next(domain: SendingDomain, now: dt.datetime) -> None:
    """Make the pair that replaces the signing one, two weeks before."""
    signing = domain.dkim_keys.filter(state=State.SIGNING, algorithm=Algorithm.RSA).first()
    if signing is None or signing.started_at is None or _unstarted(domain).exclude(pair=signing.pair).exists():
        return
    ends_at = signing.started_at + ROTATES_AFTER
    if now >= ends_at - TOLD_BEFORE and not why_held(now):
        pair.make(domain, now, starts_at=ends_at)


def _revoke(keys: QuerySet[DkimKey], now: dt.datetime) -> int:
    """Delete the private halves of keys. Their records are watched until they are gone."""
    return keys.update(
        private="", state=State.REVOKED, revoked_at=now, wrong_since=None, is_proved=False, next_check_at=now + DAY
    )


def _unstarted(domain: SendingDomain) -> QuerySet[DkimKey]:
    return domain.dkim_keys.filter(state__in=(State.MADE, State.SEEN), algorithm=Algorithm.RSA)


def _lock(domain_id: int) -> SendingDomain | None:
    return SendingDomain.objects.select_for_update().filter(pk=domain_id).first()


def _refuse_if_held(now: dt.datetime) -> None:
    if why := why_held(now):
        raise KeysHeld(why)


def _keys_changed(domain: SendingDomain, now: dt.datetime) -> None:
    """Tell the watchers, and have the findings of all domains that the keys sign for follow."""
    _tell_watchers()
    _look_again(domain, now)


def _look_again(domain: SendingDomain, now: dt.datetime) -> None:
    signed = Q(pk=domain.pk) | Q(name__endswith=f".{domain.name}")
    SendingDomain.objects.filter(signed, next_check_at__gt=now).update(next_check_at=now)


def _tell_watchers() -> None:
    for tell in WATCHERS.values():
        tell()
