"""Tags in return paths."""

import random

import pytest

from mail import tokens, verp

KEYS = ["first-key", "older-key"]


@pytest.mark.parametrize(("message", "attempt"), [(0, 0), (1, 1), (4711, 63), (2**34 - 1, 63)])
def test_a_tag_names_its_message_and_attempt_also_in_capitals(message: int, attempt: int) -> None:
    address = verp.tagged("bounces@shop.example", message, attempt, KEYS)

    local, _, tag = address.partition("@")[0].partition("+")
    assert (local, len(tag)) == ("bounces", 24)
    assert verp.tag_of(address, KEYS) == (message, attempt)
    assert verp.tag_of(address.upper(), KEYS) == (message, attempt)


def test_attempts_beyond_63_begin_again_and_leave_the_message_as_it_is() -> None:
    assert verp.tag_of(verp.tagged("b@shop.example", 7, 64 + 5, KEYS), KEYS) == (7, 5)


def test_a_tag_of_an_older_key_is_still_read() -> None:
    assert verp.tag_of(verp.tagged("b@shop.example", 7, 1, KEYS[1:]), KEYS) == (7, 1)


@pytest.mark.parametrize(
    "address",
    [
        "bounces@shop.example",
        "bounces+sales@shop.example",
        "bounces+aaaaaaaaaaaaaaaaaaaaaaaa@shop.example",
        verp.tagged("bounces@shop.example", 7, 1, ["a stranger's key"]),
        "",
    ],
)
def test_what_we_did_not_sign_is_nobodys(address: str) -> None:
    assert verp.tag_of(address, KEYS) is None


def test_no_changed_letter_of_a_tag_names_another_message() -> None:
    address = verp.tagged("b@shop.example", 7, 1, KEYS)

    found = set()
    for position in range(2, 26):
        for letter in "abcdefghijklmnopqrstuvwxyz234567":
            found.add(verp.tag_of(address[:position] + letter + address[position + 1 :], KEYS))

    assert {tag.message for tag in found if tag} == {7}  # Which attempt it was is not proved.
    assert len(found - {None}) == 32 + 1


def test_the_proof_has_80_bits() -> None:
    proofs = {verp.tagged("@", number, 0, KEYS).strip("@+")[8:] for number in range(64)}

    assert all(len(proof) * 5 == 80 for proof in proofs)
    assert len(proofs) == 64


def test_the_local_part_never_exceeds_its_64_octets() -> None:
    assert verp.tagged("b" * 39 + "@shop.example", 1, 1, KEYS).startswith("b" * 39 + "+")
    assert verp.tagged("b" * 40 + "@shop.example", 1, 1, KEYS) == "b" * 40 + "@shop.example"


def test_an_unsubscribe_token_is_worthless_here() -> None:
    token = tokens.make("unsubscribe", 7, KEYS)

    assert verp.tag_of(f"b+{token}@shop.example", KEYS) is None


@pytest.mark.parametrize("address", [f"{'ö' * 20}@shop.example", f"{'x' * 40}@shop.example", f"b@{'x.' * 114}example"])
def test_an_address_without_room_for_a_tag_stays_as_it_is(address: str) -> None:
    assert verp.tagged(address, 7, 1, KEYS) == address


def test_a_tag_sent_by_an_earlier_version_is_read() -> None:
    assert verp.tagged("b@shop.example", 4711, 3, KEYS) == "b+aaaajgoddiwp7m4caweyspfh@shop.example"


@pytest.mark.parametrize("message", [0, 4711, 2**34 - 1])
def test_the_address_to_unsubscribe_names_its_message_also_in_capitals(message: int) -> None:
    address = verp.unsubscribe_addresses("shop.example", KEYS)(message)

    local, _, tag = address.partition("@")[0].partition("+")
    assert (local, len(tag)) == ("unsub", 24)
    assert verp.message_to_unsubscribe(address, KEYS) == message
    assert verp.message_to_unsubscribe(address.upper(), KEYS) == message
    assert verp.message_to_unsubscribe(address, ["newer-key", *KEYS]) == message


def test_a_tag_for_unsubscribing_and_one_for_bounces_are_worthless_for_each_other() -> None:
    bounce = verp.tagged("unsub@shop.example", 7, 0, KEYS)
    unsubscribe = verp.unsubscribe_addresses("shop.example", KEYS)(7)

    assert verp.message_to_unsubscribe(bounce, KEYS) is None
    assert verp.tag_of(unsubscribe, KEYS) is None


@pytest.mark.parametrize(
    ("address", "has_form"),
    [
        (f"unsub+{'a' * 24}@shop.example", True),
        (f"UNSUB+{'A' * 24}@SHOP.EXAMPLE", True),
        (f"unsub+{'a' * 23}@shop.example", False),
        (f"unsub+{'1' * 24}@shop.example", False),
        (f"unsub+{'é' * 24}@shop.example", False),
        (f"bounces+{'a' * 24}@shop.example", False),
        (f"unsub+sales+{'a' * 24}@shop.example", False),
        ("unsub@shop.example", False),
        ("", False),
    ],
)
def test_only_the_form_of_our_address_can_unsubscribe_and_only_our_tag_does(address: str, has_form: bool) -> None:
    assert verp.is_unsubscribe_address(address) is has_form
    assert verp.message_to_unsubscribe(address, KEYS) is None


def test_an_address_to_unsubscribe_sent_by_an_earlier_version_is_read() -> None:
    assert verp.unsubscribe_addresses("shop.example", KEYS)(4711) == "unsub+aaaajgoavzhhccemlbnl44o5@shop.example"


@pytest.mark.parametrize(
    "address", ["bounces@shop.example", "b@a.example", f"{'x' * 60}@shop.example", '"b b"@x.example']
)
@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_tags_of_many_attempts_are_those_of_each(address: str, count: int) -> None:
    draw = random.Random(f"{address}{count}")
    messages = [draw.choice((0, 1, 2**34 - 1, draw.randrange(2**34))) for _ in range(count)]
    attempts = [draw.randrange(200) for _ in messages]
    proofs = tokens.proofs_of_messages(messages, KEYS)

    together = verp.column_tagger(address)(messages, attempts, proofs)
    to_unsubscribe = verp.column_of_unsubscribe_addresses("shop.example")(messages, proofs)

    one, write_to = verp.tagger(address, KEYS), verp.unsubscribe_addresses("shop.example", KEYS)
    assert together == [one(*pair) for pair in zip(messages, attempts, strict=True)]
    assert to_unsubscribe == list(map(write_to, messages))
