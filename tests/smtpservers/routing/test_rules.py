"""Which routing rule decides on a message."""

import pytest
from django.db import connection

from mail.addresses import AddressInvalid, fold
from smtpservers.models import Route
from smtpservers.routing.rules import DEFAULT, RoutingRule, applying, as_rule, check_domains, class_sql, rule_for, rules

SHOP = RoutingRule(1, "Shop", from_domains=("shop.example", "*.shop.example"))
GMAIL = RoutingRule(2, "Gmail", recipient_domains=("gmail.com", "googlemail.com"))
FRANCE = RoutingRule(3, "France", recipient_domains=("*.fr", "orange.example"))
EVERY = [SHOP, GMAIL, FRANCE, DEFAULT]


@pytest.mark.parametrize(
    ("mail_from", "recipient", "decides"),
    [
        ("News <a@shop.example>", "gmail.com", SHOP),
        ("a@mail.shop.example", "gmail.com", SHOP),
        ("a@workshop.example", "gmail.com", GMAIL),
        ("", "gmail.com", GMAIL),
        ("", "mail.gmail.com", DEFAULT),
        ("", "poste.fr", FRANCE),
        ("", "fr", DEFAULT),
        ("not an address", "customer.example", DEFAULT),
    ],
)
def test_the_first_rule_that_fits_decides(mail_from: str, recipient: str, decides: RoutingRule) -> None:
    assert rule_for(EVERY, mail_from, recipient) is decides


def test_a_rule_without_recipient_domains_hides_what_comes_after_it() -> None:
    assert applying(EVERY, "a@shop.example") == (SHOP,)
    assert applying(EVERY, "") == (GMAIL, FRANCE, DEFAULT)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Gmail.COM, googlemail.com\n gmail.com", "gmail.com\ngooglemail.com"),
        ("*.Shop.example; @news.example.org", "*.shop.example\nnews.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("", ""),
    ],
)
def test_domains_are_stored_one_a_line_as_dns_knows_them(typed: str, stored: str) -> None:
    assert check_domains(typed) == stored


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("gmail", "has no dot"),
        ("https://gmail.com", "gmail.com"),
        ("*", "is not a domain name"),
        ("*.", "Write it as *.example.com."),
        ("a*b.example", "is not a domain name"),
        ("\n".join(f"d{number}.example" for number in range(201)), "One rule can have 200 domains, and these are 201."),
    ],
)
def test_what_is_no_domain_is_refused_with_what_to_do(typed: str, why: str) -> None:
    with pytest.raises(AddressInvalid) as refusal:
        check_domains(typed)

    assert why in str(refusal.value)


@pytest.mark.django_db
def test_the_rules_are_read_in_their_order_with_the_default_last() -> None:
    Route.objects.create(name="Late", display_order=20, recipient_domains="gmail.com\n*.fr", server_ids=[7])
    Route.objects.create(name="Early", display_order=5, from_domains="shop.example", strategy="weighted")
    Route.objects.create(name="Off", display_order=1, is_active=False)

    found = rules()

    assert [rule.name for rule in found] == ["Early", "Late", "Default"]
    assert (found[0].from_domains, found[0].strategy) == (("shop.example",), "weighted")
    assert (found[1].recipient_domains, found[1].server_ids) == (("gmail.com", "*.fr"), frozenset({7}))
    assert found[2].is_default
    Route.objects.filter(is_default=True).delete()
    assert rules()[-1] == DEFAULT


@pytest.mark.django_db
def test_the_database_sorts_recipients_as_the_rules_do() -> None:
    gmail = as_rule(Route(pk=2, name="Gmail", recipient_domains="gmail.com"))
    below = as_rule(Route(pk=3, name="Below", recipient_domains="*.fr\n*.mail.example\nposte.example"))
    addresses = [
        *("ann@gmail.com", "ANN@GMAIL.COM", "ann@notgmail.com", "ann@gmail.com.example", "ann@x.gmail.com"),
        *("a@orange.fr", "a@fr", "a@xfr", "a@deep.mail.example", "a@mail.example", "a@poste.example"),
        *('"a@gmail.com"@other.example', '"x@y"@gmail.com', "gmail.com@other.example", "ä@bücher.fr"),
    ]
    sql, parameters = class_sql("key", [gmail, below, DEFAULT])

    for address in addresses:
        key = fold(address)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {sql} FROM (SELECT CAST(%s AS text) AS key) AS one", [*parameters, key])
            [found] = cursor.fetchone()
        assert found == rule_for([gmail, below, DEFAULT], "", key.rpartition("@")[2]).route_id, address
