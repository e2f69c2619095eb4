"""The hosts that counted links lead to: a proved one of the domain of From, or this installation's own address.

A mailing keeps the proved hosts of the moment it was made, so that nothing changes in what was checked and approved.
Links that were sent go on working under any name that leads here.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from django.conf import settings

from delivery.models import Mailing
from domains import known
from mail.addresses import AddressInvalid, domain_of, parse_mailbox
from mail.links.tracking import CLICKS, OPENS
from smtpservers.models import SmtpServer


def present_hosts(mail_from: str) -> dict[str, str]:
    """Return the proved hosts by the domains of From that a mailing may have.

    :param mail_from: the mailing's own From; empty: each server's.
    """
    return known.tracking_hosts(set(_authors([mail_from] if mail_from else _froms_of_servers())))


def address_of(mailing: Mailing, author: str) -> str:
    """Return the start of the counted links of a mailing, without a slash at the end.

    :param author: the address of From.
    """
    host = mailing.tracking_hosts.get(domain_of(author))
    return f"https://{host}" if host else settings.TRACKING_URL


def own_hosts() -> frozenset[str]:
    """Return the hosts of this site, in lower case, with their port if an address has one. Links to them are ours."""
    return frozenset(urlsplit(url).netloc.lower() for url in (settings.BASE_URL, settings.TRACKING_URL))


def counted_addresses() -> tuple[str, ...]:
    """Return how the counted links under the hosts of domains begin. They may be pasted from mail that was sent.

    What else is under such a host may be a page of somebody else.
    """
    hosts = sorted(set(known.tracking_hosts().values()))
    return tuple(
        f"{scheme}://{host}{path}" for host in hosts for scheme in ("https", "http") for path in (CLICKS, OPENS)
    )


def _froms_of_servers() -> Iterator[str]:
    # Inactive ones too: a mailing may outlive what is switched off today.
    yield from SmtpServer.objects.order_by().values_list("mail_from", flat=True).distinct()


def _authors(mailboxes: Iterable[str]) -> Iterator[str]:
    for written in mailboxes:
        try:
            yield domain_of(parse_mailbox(written).address)
        except AddressInvalid:  # A draft may hold anything.
            continue
