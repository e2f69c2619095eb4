"""The table of mailbox providers, and the questions that it answers."""

from collections import Counter

import pytest

from mail.mailbox_providers import PROVIDERS, is_named_in, receiving_at, with_mailboxes_at
from mail.suffixes import registered_domain


def test_each_domain_stands_once_and_belongs_to_one_provider() -> None:
    names = Counter(provider.name for provider in PROVIDERS)
    mailboxes = Counter(domain for provider in PROVIDERS for domain in provider.domains)
    owners = Counter(domain for provider in PROVIDERS for domain in {*provider.domains, *provider.mx})

    assert [found for found in (names + mailboxes).items() if found[1] > 1] == []
    assert [found for found in owners.items() if found[1] > 1] == []


def test_mx_and_relays_are_registered_domains_and_mailboxes_are_those_of_somebody() -> None:
    for provider in PROVIDERS:
        for domain in (*provider.mx, *provider.domains, *provider.relays):
            assert registered_domain(domain) == domain == domain.lower()
            assert "." in domain


@pytest.mark.parametrize(
    ("domain", "mailboxes", "receiver"),
    [
        ("gmail.com", "Gmail", "Gmail"),
        ("google.com", None, "Gmail"),  # Its people are no customers of Gmail.
        ("yahoodns.net", None, "Yahoo"),
        ("hotmail.co.uk", "Outlook", "Outlook"),
        ("yahoo.com.br", "Yahoo", "Yahoo"),
        ("aol.com", "Yahoo", "Yahoo"),
        ("yandex.net", None, "Yandex Mail"),
        ("yahoo.co.jp", None, None),
        ("live.example.com", None, None),
        ("mail.gmail.com", None, None),
    ],
)
def test_a_provider_is_known_by_its_mailboxes_or_its_mx(
    domain: str, mailboxes: str | None, receiver: str | None
) -> None:
    at, receiving = with_mailboxes_at(domain), receiving_at(domain)

    assert (at and at.name, receiving and receiving.name) == (mailboxes, receiver)


def test_the_domain_that_stands_for_a_provider_leads_back_to_it() -> None:
    assert all(receiving_at(provider.key) is provider for provider in PROVIDERS)
    # Stored in holds and tallies: a change loses what is known.
    assert [provider.key for provider in PROVIDERS] == [
        *("google.com", "outlook.com", "yahoodns.net", "icloud.com", "gmx.net", "web.de", "protonmail.ch"),
        *("yandex.ru", "mail.ru"),
    ]


@pytest.mark.parametrize(
    ("words", "is_named"),
    [
        ("Shop", False),
        ("Gmail", False),
        ("Acme.com, Olive.com", False),
        ("notgmail.com", False),
        ("gmail.com.shop.example", False),
        ("Shop (Gmail.com)", True),
        ("help at www.web.de", True),
        ("", False),
    ],
)
def test_a_mailbox_domain_is_found_in_words(words: str, is_named: bool) -> None:
    assert is_named_in(words) is is_named
