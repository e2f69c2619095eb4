"""Public suffixes, and the two domains that are made with them."""

import pytest

from mail.suffixes import is_public_suffix, organisational_domain, registered_domain


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("mail.shop.co.uk", "shop.co.uk"),
        ("mail.shop.com.lb", "shop.com.lb"),
        ("a.shop.github.io", "shop.github.io"),  # Of the private section.
        ("mail.shop.xn--55qx5d.cn", "shop.xn--55qx5d.cn"),
        ("a.shop.other.ck", "shop.other.ck"),  # *.ck
        ("mail.www.ck", "www.ck"),  # !www.ck
        ("mail.shop.nowhere", "shop.nowhere"),  # No list knows the last label.
        ("com.lb", "com.lb"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_an_organisational_domain_is_the_label_below_the_public_suffix(domain: str, organisation: str) -> None:
    assert organisational_domain(domain) == organisation


@pytest.mark.parametrize(
    ("host", "registered"),
    [
        ("mx.shop.co.uk", "shop.co.uk"),
        ("mail.shop.com.lb", "shop.com.lb"),
        ("w0123456.kasserver.com", "kasserver.com"),
        ("inbound-smtp.us-east-1.amazonaws.com", "amazonaws.com"),
        ("example-com.mail.protection.outlook.com", "outlook.com"),
        ("example-com.j-v1.mx.microsoft", "mx.microsoft"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
    ],
)
def test_a_registered_domain_ignores_the_names_that_a_company_gives_its_customers(host: str, registered: str) -> None:
    assert registered_domain(host) == registered


@pytest.mark.parametrize(
    ("domain", "is_public"),
    [
        *[("com", True), ("com.au", True), ("com.lb", True), ("kasserver.com", True), ("ck", True), ("any.ck", True)],
        *[("example.com", False), ("www.ck", False), ("shop.com.lb", False)],
    ],
)
def test_strangers_have_names_below_a_public_suffix(domain: str, is_public: bool) -> None:
    assert is_public_suffix(domain) is is_public
