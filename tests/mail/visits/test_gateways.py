"""Networks and providers of mail gateways."""

import pytest

from mail.visits.gateways import Networks, is_gateway_provider, shipped_networks


def test_an_address_is_looked_up_in_a_list_of_networks() -> None:
    networks = Networks(["192.0.2.0/24  # an example", "", "# nothing", "2001:db8::/48", "198.51.100.7/32"])

    for address in ("192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9", "2001:db8:0:ffff::1", "198.51.100.7"):
        assert address in networks
    for address in ("192.0.1.255", "192.0.3.0", "2001:db8:1::", "198.51.100.8", "0.0.0.0", "", "unknown", "1.2.3"):  # noqa: S104
        assert address not in networks


def test_a_line_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="has host bits set"):
        Networks(["192.0.2.1/24"])


def test_the_shipped_list_is_dated_and_can_be_read() -> None:
    networks = Networks(shipped_networks())

    assert "State of" in shipped_networks()[0]
    assert "40.107.218.12" in networks
    assert "209.222.82.9" in networks
    assert "8.8.8.8" not in networks


@pytest.mark.parametrize(
    ("provider", "domain", "is_gateway"),
    [
        ("pphosted.com", "example.com", True),
        ("outlook.com", "company.example", True),
        ("outlook.com", "outlook.com", False),
        ("outlook.com", "hotmail.fr", False),
        ("google.com", "company.example", False),
    ],
)
def test_companies_behind_a_gateway_are_known_by_their_provider(provider: str, domain: str, is_gateway: bool) -> None:
    assert is_gateway_provider(provider, domain) is is_gateway


def test_a_network_within_another_one_hides_nothing() -> None:
    networks = Networks(["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "2001:db8:1::/48"])

    assert all(address in networks for address in ("10.1.2.3", "10.2.0.1", "2001:db8:1::1", "2001:db8:2::1"))
    assert "11.0.0.1" not in networks
