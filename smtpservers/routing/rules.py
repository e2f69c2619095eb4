"""Routing rules: the servers that may take a message, and the strategy, by its From and its recipient.

The first active rule that matches decides; the default rule matches everything and comes last.
:mod:`smtpservers.routing.selection` chooses among a rule's servers.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.utils.translation import gettext

from mail.addresses import AddressInvalid, check_domain_name, domain_of, parse_mailbox
from registry import Registry
from smtpservers.models import Route

MOST_DOMAINS = 200  # Per list: each one costs time in every claim of a mailing that the rule splits.
BELOW = "*."


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """A routing rule in the form that selection needs."""

    route_id: int  # 0: the built-in default rule.
    name: str
    strategy: str = Route.Strategy.ORDER
    from_domains: tuple[str, ...] = ()  # Empty: any. ``*.example.com`` matches subdomains, not example.com itself.
    recipient_domains: tuple[str, ...] = ()
    server_ids: frozenset[int] = frozenset()  # Empty: every server.
    is_default: bool = False

    def fits_sender(self, mail_from: str) -> bool:
        """Whether the rule may apply to mail with this From; mail without a From has no domain yet."""
        return not self.from_domains or is_among(_sender_domain(mail_from), self.from_domains)

    def fits_recipient(self, domain: str) -> bool:
        """Whether the rule applies to recipients of this domain (A-label, lower case)."""
        return not self.recipient_domains or is_among(domain, self.recipient_domains)


DEFAULT = RoutingRule(0, "Default", is_default=True)
# Functions of higher rooms that return the names of what still needs one of these servers.
SERVER_USERS: Registry[Callable[[Collection[int]], list[str]]] = Registry()


def make_default(*, using: str, **kwargs: Any) -> None:
    """Create the default rule if it is missing. A receiver of ``post_migrate``, which flushing a database sends too."""
    if Route._meta.db_table in connections[using].introspection.table_names():
        Route.objects.using(using).get_or_create(is_default=True, defaults={"name": "Default", "display_order": 9999})


def rules() -> list[RoutingRule]:
    """Return the active rules in order, the default rule last, from one query."""
    found = Route.objects.filter(is_active=True).order_by("is_default", "display_order", "pk")
    read = [as_rule(route) for route in found]
    return read if read and read[-1].is_default else [*read, DEFAULT]


def users_of(server_ids: Collection[int]) -> list[str]:
    """Return the names of what refers to one of these servers, and would wait forever without it."""
    rules = Route.objects.order_by("is_default", "display_order", "pk")
    found = [
        gettext("the routing rule “%(name)s”") % {"name": rule}
        for rule in rules
        if set(server_ids) & set(rule.server_ids)
    ]
    return found + [name for users in SERVER_USERS.values() for name in users(server_ids)]


def as_rule(route: Route) -> RoutingRule:
    """Return the row as a value."""
    return RoutingRule(
        route.pk,
        route.name,
        route.strategy,
        tuple(route.from_domains.split()),
        tuple(route.recipient_domains.split()),
        frozenset(route.server_ids),
        route.is_default,
    )


def applying(every: Sequence[RoutingRule], mail_from: str) -> tuple[RoutingRule, ...]:
    """Return the rules that mail with this From can reach: one, or several that split it by recipient domain.

    All but the last have recipient domains; the last takes everybody else.
    """
    found: list[RoutingRule] = []
    for rule in every:
        if rule.fits_sender(mail_from):
            found.append(rule)
            if not rule.recipient_domains:
                break
    return tuple(found)


def rule_for(every: Sequence[RoutingRule], mail_from: str, recipient_domain: str) -> RoutingRule:
    """Return the rule that decides on one message."""
    return next(rule for rule in applying(every, mail_from) if rule.fits_recipient(recipient_domain))


def is_among(domain: str, patterns: Sequence[str]) -> bool:
    """Whether the domain is one of the patterns, or a subdomain of one written as ``*.example.com``."""
    return any(domain.endswith(pattern[1:]) if pattern.startswith(BELOW) else domain == pattern for pattern in patterns)


def check_domains(text: str) -> str:
    """Return a list of domains in stored form: one per line, as A-labels in lower case, without duplicates.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    found: dict[str, None] = {}
    for word in text.replace(",", " ").replace(";", " ").split():
        prefix, domain = (BELOW, word[len(BELOW) :]) if word.startswith(BELOW) else ("", word.removeprefix("@"))
        if not domain:
            raise AddressInvalid(f"{word} isn't a domain. Write it as {prefix}example.com.")
        found[prefix + check_domain_name(domain)] = None
    if len(found) > MOST_DOMAINS:
        raise AddressInvalid(
            f"One rule can have {MOST_DOMAINS} domains, and these are {len(found):,}. Put some into another rule."
        )
    return "\n".join(found)


def class_sql(key: str, sorted_by: Sequence[RoutingRule]) -> tuple[str, list[str | int]]:
    """Return an SQL expression, and its parameters, for the rule among :func:`applying` that a recipient matches.

    :param key: the column with the folded address, such as ``c.email_key``; never text from outside.
    :return: the rule's ``route_id`` if it has recipient domains, 0 for everybody else.
    """
    # The text after the last @; both databases support rtrim with a set of characters.
    domain = f"REPLACE({key}, RTRIM({key}, REPLACE({key}, '@', '')), '')"
    whens: list[str] = []
    parameters: list[str | int] = []
    for rule in sorted_by:
        if not rule.recipient_domains:
            break
        exact = [name for name in rule.recipient_domains if not name.startswith(BELOW)]
        below = [name[1:] for name in rule.recipient_domains if name.startswith(BELOW)]
        conditions = [f"{domain} IN ({', '.join(['%s'] * len(exact))})"] if exact else []
        conditions += [f"{key} LIKE %s"] * len(below)
        whens.append(f"WHEN {' OR '.join(conditions)} THEN {int(rule.route_id)}")
        parameters += [*exact, *(f"%{name}" for name in below)]
    return (f"CASE {' '.join(whens)} ELSE 0 END" if whens else "0"), parameters


def _sender_domain(mail_from: str) -> str:
    try:
        return domain_of(parse_mailbox(mail_from).address) if mail_from else ""
    except AddressInvalid:
        return ""
