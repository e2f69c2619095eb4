"""What the room of domains is told of campaigns: the domains of their own From, and which servers may carry them."""

from collections.abc import Iterator

from campaigns.models import Campaign
from delivery.content import sending_domains
from domains.senders import Sender
from mail.addresses import AddressInvalid, domain_of, parse_mailbox


def campaign_domains() -> Iterator[str]:
    """Yield the domains of From of all campaigns whose mail may still leave."""
    own = Campaign.objects.filter(status__in=Campaign.UNFINISHED).exclude(mail_from="").order_by()
    for written in own.values_list("mail_from", flat=True).distinct():
        try:
            yield domain_of(parse_mailbox(written).address)
        except AddressInvalid:  # A draft may hold anything.
            continue


def senders(domain: str) -> Iterator[Sender]:
    """Yield every active server for a domain that campaigns send from, and no server has as its own."""
    if domain in campaign_domains() and not any(sending_domains.senders(domain)):
        yield from sending_domains.senders_of_any(domain)
