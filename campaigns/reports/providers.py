"""Mailbox providers of domains, and their names."""

import asyncio
import datetime as dt
from collections.abc import Callable, Collection, Iterable

from django.db.models import Q

from campaigns.models import DomainProvider, Tally
from delivery.content import recipient_domains
from mail.addresses import is_reserved
from mail.mailbox_providers import receiving_at
from words.texts import text as _

OTHERS = _("other domains")
BELIEVED_FOR = dt.timedelta(days=30)  # Domains rarely change their provider.
ASK_SECONDS = 1.0  # For all domains together, so that the tally does not wait for slow name servers.

# Takes domains, and returns the providers it found, by domain.
Ask = Callable[[Collection[str]], dict[str, str]]


def name_of(provider: str) -> str:
    """Return the name of a provider for people."""
    if provider == Tally.OTHER:
        return OTHERS
    known = receiving_at(provider)
    return known.name if known is not None else provider


def providers_of(domains: Iterable[str], now: dt.datetime, ask: Ask | None = None) -> dict[str, str]:
    """Return the provider of every domain. A domain with an unknown provider is its own provider.

    Answers are stored, so that each domain is looked up once a month.

    :param domains: in lower case.
    :param ask: looks up unknown domains; None: DNS.
    """
    found = {domain: recipient_domains.provider_of(domain) for domain in domains}
    unknown = {domain for domain, provider in found.items() if domain == provider and not is_reserved(domain)}
    if not unknown:
        return found
    believed = DomainProvider.objects.filter(asked_at__gt=now - BELIEVED_FOR)
    stored: dict[str, str] = {}
    for some in _parts(sorted(unknown)):
        stored.update(believed.filter(domain__in=some).values_list("domain", "provider"))
    learned = (ask or ask_dns)(unasked) if (unasked := sorted(unknown - set(stored))) else {}
    _store(learned, now)
    return {**found, **stored, **learned}


def _store(learned: dict[str, str], now: dt.datetime) -> None:
    rows = [DomainProvider(domain=domain[:255], provider=at[:255], asked_at=now) for domain, at in learned.items()]
    DomainProvider.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["domain"],
        update_fields=["provider", "asked_at"],
    )


def _parts(domains: list[str]) -> Iterable[list[str]]:
    return (domains[start : start + 500] for start in range(0, len(domains), 500))


_ASKED = recipient_domains.DomainCache()  # Recent answers of DNS to this process.


def ask_dns(domains: Collection[str]) -> dict[str, str]:
    """Return the providers that DNS names within ``ASK_SECONDS``. Recent answers come from this process's cache."""
    unasked = [domain for domain in domains if _ASKED.get(domain) is None]
    if unasked:
        asyncio.run(_ask(unasked))
    found = {domain: _ASKED.provider(domain) for domain in domains}
    return {domain: provider for domain, provider in found.items() if provider}


async def _ask(domains: Collection[str]) -> None:
    validator = recipient_domains.Validator(cache=_ASKED)
    asking = [asyncio.create_task(validator.problem(f"postmaster@{domain}")) for domain in domains]
    _, late = await asyncio.wait(asking, timeout=ASK_SECONDS)
    for task in late:
        task.cancel()


def is_at(provider: str, domain: str) -> Q:
    """Return the condition that a domain is known to be at the provider.

    :param domain: the name of the column that holds the domain.
    """
    known = receiving_at(provider)
    domains = (provider, *known.domains, *known.mx) if known is not None else (provider,)
    stored = DomainProvider.objects.filter(provider=provider).values("domain")
    return Q(**{f"{domain}__in": domains}) | Q(**{f"{domain}__in": stored})
