"""Tokens: genuine ones are read, also after the keys were changed; nothing else is."""

import hashlib
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail import tokens, verp

OLD, NEW, OTHER = "old key", "new key", "another site's key"
ALPHABET = string.ascii_letters + string.digits + "_-"


@given(st.integers(0, 2**63 - 1))
def test_a_token_gives_back_its_number(number):
    assert tokens.read("unsubscribe", tokens.make("unsubscribe", number, [NEW]), [NEW]) == number


@given(st.integers(0, 2**63 - 1))
def test_a_token_fits_into_an_address_without_escaping(number):
    token = tokens.make("unsubscribe", number, [NEW])

    assert len(token) == 33
    assert set(token) <= set(ALPHABET)
    assert token[-1].isalnum()  # Mail programs leave a dash at the end out of a link.


def test_a_token_survives_the_change_of_keys():
    token = tokens.make("unsubscribe", 7, [OLD])

    assert tokens.read("unsubscribe", token, [NEW, OLD]) == 7
    assert tokens.make("unsubscribe", 7, [NEW, OLD]) == tokens.make("unsubscribe", 7, [NEW])


def test_a_token_dies_with_its_key():
    token = tokens.make("unsubscribe", 7, [OLD])

    assert tokens.read("unsubscribe", token, [NEW, OTHER]) is None
    assert tokens.read("unsubscribe", token, []) is None


@given(
    st.integers(0, 2**63 - 1),
    st.sampled_from(["open", "unsubscribe ", "unsubscrib", "Unsubscribe", *tokens.PARTS.keys() - {"unsubscribe"}]),
)
def test_a_token_is_worthless_for_another_purpose(number, purpose):
    assert tokens.read(purpose, tokens.make("unsubscribe", number, [NEW]), [NEW]) is None


def test_the_parts_of_the_one_hash_overlap_nowhere_and_prove_enough():
    octets = [octet for part in tokens.PARTS.values() for octet in range(64)[part]]
    bits = {purpose: len(range(64)[part]) * 8 for purpose, part in tokens.PARTS.items()}

    assert sorted(octets) == list(range(64))
    assert bits == {
        "unsubscribe": 128,
        "feedback": 128,
        "return path": 80,
        "mailto unsubscribe": 80,
        "tracking": 96,
    }


@given(st.integers(0, 2**63 - 1))
def test_tokens_that_are_cut_from_one_hash_are_those_that_are_made_one_by_one(number):
    both = tokens.maker_of_several(["unsubscribe", "feedback"], [NEW, OLD])(number)

    assert both == [tokens.make("unsubscribe", number, [NEW]), tokens.make("feedback", number, [NEW])]


@given(st.lists(st.integers(0, 2**34 - 1)))
def test_one_hash_of_each_number_gives_all_tokens_and_addresses(numbers):
    proofs = tokens.proofs_of_messages(numbers, [NEW, OLD])
    tag, unsubscribe = verp.tagger("b@shop.example", [NEW]), verp.unsubscribe_addresses("shop.example", [NEW])

    columns = tokens.columns_of_several(list(tokens.PARTS))(numbers, proofs)

    each = tokens.maker_of_several(list(tokens.PARTS), [NEW])
    assert [list(row) for row in zip(*columns, strict=True)] == [each(number) for number in numbers]
    for number, proof in zip(numbers, proofs, strict=True):
        assert tag(number, 2, proof) == tag(number, 2)
        assert unsubscribe(number, proof) == unsubscribe(number)


def test_ten_thousand_flipped_bits_never_verify():
    chance = random.Random(1)

    for number in range(100):
        token = tokens.make("unsubscribe", number, [NEW, OLD])
        for _ in range(100):
            place = chance.randrange(len(token))
            bit = ALPHABET.index(token[place]) ^ (1 << chance.randrange(6))
            flipped = token[:place] + ALPHABET[bit] + token[place + 1 :]
            assert tokens.read("unsubscribe", flipped, [NEW, OLD]) is None


def test_no_two_spellings_of_a_token_are_read():
    token = tokens.make("unsubscribe", 7, [NEW])

    for spelling in (token + "=", token + "\n", " " + token, token[:-1], token[:-1] + "2", token + "A", token + "AAAA"):
        assert tokens.read("unsubscribe", spelling, [NEW]) is None


@given(st.text(max_size=80) | st.text(ALPHABET, min_size=33, max_size=33))
def test_what_anybody_may_write_is_not_a_token(text):
    assert tokens.read("unsubscribe", text, [NEW, OLD]) is None


@pytest.mark.parametrize("number", [-1, 2**63])
def test_a_number_that_does_not_fit_is_the_callers_mistake(number):
    with pytest.raises(ValueError, match="cannot be put into a token"):
        tokens.make("unsubscribe", number, [NEW])


@pytest.mark.parametrize(("purpose", "keys"), [("", [NEW]), ("unsubscribe", [""]), ("unsubscribe", [])])
def test_nothing_is_signed_without_a_key_and_a_purpose(purpose, keys):
    with pytest.raises(ValueError, match="key"):
        tokens.make(purpose, 7, keys)


def test_a_purpose_says_what_its_numbers_are_of_before_one_is_signed():
    for sign in (tokens.make, lambda purpose, number, keys: tokens.proof_of_number(purpose, number, keys[0])):
        with pytest.raises(ValueError, match="NUMBERS_OF"):
            sign("an undeclared purpose", 7, [NEW])


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.binary(max_size=100), words, words)
def test_a_proof_is_the_keyed_blake2b_of_the_standard_library(text, purpose, key):
    of_site = hashlib.blake2b(key.encode()).digest()
    of_purpose = hashlib.blake2b(purpose.encode(), key=of_site).digest()

    assert tokens.prover(purpose, key)(text) == hashlib.blake2b(text, key=of_purpose).digest()


def test_tokens_sent_by_earlier_versions_are_read():
    assert tokens.make("unsubscribe", 4711, [NEW]) == "AAAAAAAAEmcuxuo0jQAatcy450OS9YyB1"
    assert tokens.make("preferences", 4711, [NEW]) == "AAAAAAAAEmeN6NvgmIK7x0g544r7vWDu1"
