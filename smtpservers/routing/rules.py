"""The routing rules: which servers may take a message, and by which strategy, judged by its From and its recipient.

The first active rule whose conditions fit decides; the default rule fits everything and comes last. Which of a
rule's servers is free is :mod:`smtpservers.routing.selection`'s.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections

from mail.addresses import AddressInvalid, check_domain_name, domain_of, parse_mailbox
from registry import Registry
from smtpservers.models import Route

MOST_DOMAINS = 200  # Of one list: each costs a little in every claim of a mailing that is sorted by it.
BELOW = "*."


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """A routing rule as far as choosing needs it."""

    route_id: int  # 0: the default rule, where nobody has set one.
    name: str
    strategy: str = Route.Strategy.ORDER
    from_domains: tuple[str, ...] = ()  # Empty: any. ``*.example.com`` is what lies below, not example.com itself.
    recipient_domains: tuple[str, ...] = ()
    server_ids: frozenset[int] = frozenset()  # Empty: every server.
    is_default: bool = False

    def fits_sender(self, mail_from: str) -> bool:
        """Whether the rule may concern mail with this From; mail without one has no domain yet."""
        return not self.from_domains or is_among(_sender_domain(mail_from), self.from_domains)

    def fits_recipient(self, domain: str) -> bool:
        """Whether the rule concerns recipients of this domain (A-label, lower case)."""
        return not self.recipient_domains or is_among(domain, self.recipient_domains)


DEFAULT = RoutingRule(0, "Default", is_default=True)
# Asked for the names of what still needs one of these servers.
SERVER_USERS: Registry[Callable[[Collection[int]], list[str]]] = Registry()


def make_default(*, using: str, **kwargs: Any) -> None:
    """Make the rule that fits everything, where it is missing: a receiver of ``post_migrate``, which flushing sends."""
    if Route._meta.db_table in connections[using].introspection.table_names():
        Route.objects.using(using).get_or_create(is_default=True, defaults={"name": "Default", "display_order": 9999})


def rules() -> list[RoutingRule]:
    """Return the active rules in their order, the default one last, from one query."""
    found = Route.objects.filter(is_active=True).order_by("is_default", "display_order", "pk")
    read = [as_rule(route) for route in found]
    return read if read and read[-1].is_default else [*read, DEFAULT]


def users_of(server_ids: Collection[int]) -> list[str]:
    """Return the names of what names one of these servers, and would wait for good without it."""
    rules = Route.objects.order_by("is_default", "display_order", "pk")
    found = [f"the routing rule “{rule}”" for rule in rules if set(server_ids) & set(rule.server_ids)]
    return found + [name for users in SERVER_USERS.values() for name in users(server_ids)]


def as_rule(route: Route) -> RoutingRule:
    """Return the value of a row."""
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
    """Return the rules that mail with this From can come to: one, or several that part it by recipient domain.

    All but the last name recipient domains; the last takes everybody else.
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
    """Whether the domain is one of these, or lies below one written as ``*.example.com``."""
    return any(domain.endswith(pattern[1:]) if pattern.startswith(BELOW) else domain == pattern for pattern in patterns)


def check_domains(text: str) -> str:
    """Return a list of domains as it is stored: one a line, as A-labels in lower case, each once.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    found: dict[str, None] = {}
    for word in text.replace(",", " ").replace(";", " ").split():
        prefix, domain = (BELOW, word[len(BELOW) :]) if word.startswith(BELOW) else ("", word.removeprefix("@"))
        if not domain:
            raise AddressInvalid(f"{word} names no domain; write it as {prefix}example.com.")
        found[prefix + check_domain_name(domain)] = None
    if len(found) > MOST_DOMAINS:
        raise AddressInvalid(
            f"These are {len(found)} domains; one rule takes {MOST_DOMAINS}. Write the rest into another rule."
        )
    return "\n".join(found)


def class_sql(key: str, sorted_by: Sequence[RoutingRule]) -> tuple[str, list[str | int]]:
    """Return an SQL expression, and its parameters, for the rule of :func:`applying` that a recipient comes to.

    :param key: the column that holds the folded address, such as ``c.email_key``; never text from outside.
    :return: the rule's ``route_id`` where it names recipient domains, and 0 for everybody else.
    """
    # What follows the last @; both databases know rtrim with a set of characters.
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
