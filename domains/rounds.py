"""The errand's rounds: domains are found in servers and campaigns, and each is looked at when it is due.

Nobody is asked while a page loads.
"""

import datetime as dt
import logging
import secrets
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Q

from domains import senders, store
from domains.inspection import Inspection, Inspector, Subject, tracking_host_of
from domains.keys import signers
from domains.lookups import Lookups, is_example
from domains.models import SendingDomain
from domains.reports.addresses import address_for
from domains.senders import Sender
from mail.links.tracking import OPENS, PIXEL_SUFFIX, token_of_group
from mail.records import block_lists
from mail.records.mail_hosts import OwnTracking, is_address
from mail.records.transport import PolicySeen

log = logging.getLogger(__name__)

LEASE = dt.timedelta(minutes=10)  # Longer than a look may take; a worker that dies costs that much.
BEFORE_START = dt.timedelta(minutes=10)  # What was asked longer ago is asked once more before a campaign starts.
NO_MAILING = 0  # In a token: a pixel that counts nowhere.
MOST_DOMAINS = 1_000  # Found by themselves; more would be a mistake, such as a From made of merge fields.


def discover(now: dt.datetime) -> int:
    """Add the domains that mail is sent from and that are not listed yet; return their number."""
    found = senders.from_domains()
    known = set(SendingDomain.objects.filter(name__in=found).values_list("name", flat=True))
    room = MOST_DOMAINS - SendingDomain.objects.count()
    missing = sorted(found - known)[: max(0, room)]
    rows = [SendingDomain(name=name, next_check_at=now) for name in missing]
    SendingDomain.objects.bulk_create(rows, ignore_conflicts=True)
    return len(missing)


def check_due(read_clock: Callable[[], dt.datetime], should_stop: Callable[[], bool]) -> int:
    """Look at the domains that are due, one after the other; return the number of looks."""
    count = 0
    while not should_stop() and (domain := _claim(read_clock())) is not None:
        try:
            found = look(domain.name, selectors_of(domain), read_clock(), store.policy_seen(domain))
            store.save(domain, found, read_clock())
        except Exception:  # Anybody's record may hold what we never thought of: the next domain is asked all the same.
            log.exception("the look at the domain %s failed; it is asked again later", domain.name)
            store.put_off(domain, read_clock())
        count += 1
    return count


def look(domain: str, selectors: Sequence[str], now: dt.datetime, sts: PolicySeen) -> Inspection:
    """Ask DNS about a domain, which need not be in the database.

    :param domain: an A-label.
    """
    lookups = Lookups()
    ours = senders.senders_of(domain)
    subject = Subject(
        domain,
        senders=ours,
        selectors=selectors,
        own_keys=signers.own_keys(domain),
        provider_includes=senders.provider_includes(),
        tracking_host=_tracking_host(),
        tracking_probe=_tracking_probe(),
        own_tracking=_own_tracking(domain),
        block_lists=block_lists.with_key(settings.SPAMHAUS_KEY) if settings.ASK_BLOCK_LISTS else (),
        report_address=report_address(domain, ours),
    )
    return Inspector(subject, lookups, lookups.fetch, now, sts).inspect()


def look_alone(domain: str, selectors: Sequence[str], now: dt.datetime) -> Inspection:
    """Ask DNS about a domain without a database: what this installation needs of it is not known.

    :param domain: an A-label.
    """
    lookups = Lookups()
    lists = block_lists.with_key(settings.SPAMHAUS_KEY) if settings.ASK_BLOCK_LISTS else ()
    subject = Subject(
        domain,
        selectors=selectors,
        tracking_host=_tracking_host(),
        tracking_probe=_tracking_probe(),
        block_lists=lists,
    )
    return Inspector(subject, lookups, lookups.fetch, now, PolicySeen()).inspect()


def _tracking_host() -> str:
    return tracking_host_of(urlsplit(settings.TRACKING_URL).hostname or "")


def link_target() -> str:
    """Return what the CNAME record of a domain's own host of links should name; empty: nothing that the world finds."""
    host = _tracking_host()
    return "" if is_address(host) else host


def _tracking_probe() -> str:
    """Return the address of a pixel of no mailing: only who has our key knows that its token is genuine."""
    if not settings.TRACKING_URL.startswith("https://"):
        return ""
    return f"{settings.TRACKING_URL}{_pixel(settings.TOKEN_KEYS)}"


def _own_tracking(domain: str) -> OwnTracking | None:
    """Return the domain's own host of links, and the pixels that prove it; None if it has none."""
    known = SendingDomain.objects.filter(name=domain).exclude(tracking_host="").first()
    if known is None:
        return None
    host = known.tracking_host
    return OwnTracking(
        host,
        home=urlsplit(settings.TRACKING_URL).netloc,
        target=link_target(),
        probe=f"https://{host}{_pixel(settings.TOKEN_KEYS)}",
        forgery=f"https://{host}{_pixel([secrets.token_hex()])}",
        was_proved=known.proved_tracking_host == host,
    )


def _pixel(keys: Sequence[str]) -> str:
    return f"{OPENS}{token_of_group(NO_MAILING, keys)}{PIXEL_SUFFIX}"


def report_address(domain: str, ours: Sequence[Sender]) -> str:
    """Return the address for a domain's DMARC and TLS reports; empty for a domain that is not listed."""
    tag = SendingDomain.objects.filter(name=domain).values_list("report_tag", flat=True).first()
    return address_for(tag, domain, ours) if tag else ""


def ask_again(domain: SendingDomain, now: dt.datetime) -> None:
    """Have the errand look at a domain at once."""
    SendingDomain.objects.filter(pk=domain.pk).update(next_check_at=now)


def ask_about(names: Collection[str], now: dt.datetime) -> int:
    """Have the errand look at the domains with these names at once; return how many of them are listed."""
    idle = SendingDomain.objects.filter(name__in=names).exclude(_is_due(now))
    return idle.update(next_check_at=now)


def look_anew(names: Collection[str], now: dt.datetime) -> None:
    """Have the errand look at the domains with these names at once, also after a look that has begun already."""
    SendingDomain.objects.filter(name__in=names, next_check_at__gt=now).update(next_check_at=now)


def ask_about_upcoming(now: dt.datetime) -> int:
    """Have the domains looked at that a campaign will soon be checked for; return how many."""
    names = {name for upcoming in senders.UPCOMING_DOMAINS.values() for name in upcoming(now)}
    stale = SendingDomain.objects.filter(name__in=names, checked_at__lt=now - BEFORE_START).exclude(_is_due(now))
    return stale.update(next_check_at=now)


def is_any_due(names: Collection[str], now: dt.datetime) -> bool:
    """Whether a look at one of these domains is under way or about to begin."""
    return SendingDomain.objects.filter(_is_due(now), name__in=names).exists()


def _is_due(now: dt.datetime) -> Q:
    return Q(next_check_at__lte=now) | Q(taken_at__gt=now - LEASE)


def selectors_of(domain: SendingDomain) -> list[str]:
    return domain.selectors.split()


def _claim(now: dt.datetime) -> SendingDomain | None:
    """Take a domain that is due, for as long as a look may last; None if there is none."""
    for domain in SendingDomain.objects.filter(next_check_at__lte=now).order_by("next_check_at")[:20]:
        due = SendingDomain.objects.filter(pk=domain.pk, next_check_at=domain.next_check_at)
        if is_example(domain.name):
            due.update(next_check_at=None)  # Examples do not exist, and nobody is asked for them.
        elif due.update(next_check_at=now + LEASE, taken_at=now):
            domain.next_check_at = now + LEASE
            return domain
    return None


def is_due(domain: SendingDomain, now: dt.datetime) -> bool:
    """Tell whether a look is under way or about to begin."""
    is_waiting = domain.next_check_at is not None and domain.next_check_at <= now
    return is_waiting or (domain.taken_at is not None and domain.taken_at > now - LEASE)
