"""Tags in return paths."""

import pytest

from mail import tokens, verp

KEYS = ["first-key", "older-key"]


@pytest.mark.parametrize("number", [0, 1, 4711, 2**40 - 1])
def test_a_tag_names_its_number_also_in_capitals(number: int) -> None:
    address = verp.tagged("bounces@shop.example", number, KEYS)

    local, _, tag = address.partition("@")[0].partition("+")
    assert (local, len(tag)) == ("bounces", 16)
    assert verp.number_of(address, KEYS) == number
    assert verp.number_of(address.upper(), KEYS) == number


def test_a_tag_of_an_older_key_is_still_read() -> None:
    assert verp.number_of(verp.tagged("b@shop.example", 7, KEYS[1:]), KEYS) == 7


@pytest.mark.parametrize(
    "address",
    [
        "bounces@shop.example",
        "bounces+sales@shop.example",
        "bounces+aaaaaaaaaaaaaaaa@shop.example",
        verp.tagged("bounces@shop.example", 7, ["a stranger's key"]),
        "",
    ],
)
def test_what_we_did_not_sign_is_nobodys(address: str) -> None:
    assert verp.number_of(address, KEYS) is None


def test_a_changed_tag_is_refused_letter_by_letter() -> None:
    address = verp.tagged("b@shop.example", 7, KEYS)

    for position in range(2, 18):
        forged = address[:position] + ("b" if address[position] == "a" else "a") + address[position + 1 :]
        assert verp.number_of(forged, KEYS) is None


def test_the_local_part_never_exceeds_its_64_octets() -> None:
    assert verp.tagged("b" * 47 + "@shop.example", 1, KEYS).startswith("b" * 47 + "+")
    assert verp.tagged("b" * 48 + "@shop.example", 1, KEYS) == "b" * 48 + "@shop.example"


def test_an_unsubscribe_token_is_worthless_here() -> None:
    token = tokens.make("unsubscribe", 7, KEYS)

    assert verp.number_of(f"b+{token}@shop.example", KEYS) is None


@pytest.mark.parametrize("address", [f"{'ö' * 24}@shop.example", f"{'x' * 48}@shop.example", f"b@{'x.' * 118}example"])
def test_an_address_without_room_for_a_tag_stays_as_it_is(address: str) -> None:
    assert verp.tagged(address, 7, KEYS) == address


def test_a_tag_sent_by_an_earlier_version_is_read() -> None:
    assert verp.tagged("b@shop.example", 4711, KEYS) == "b+aaaaaeth5cnlkukk@shop.example"
