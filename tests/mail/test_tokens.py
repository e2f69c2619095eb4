"""Tokens: genuine ones are read, also after the keys were changed; nothing else is."""

import hmac
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail import tokens

OLD, NEW, OTHER = "old key", "new key", "another site's key"
ALPHABET = string.ascii_letters + string.digits + "_-"


@given(st.integers(0, 2**63 - 1))
def test_a_token_gives_back_its_number(number):
    assert tokens.read("unsubscribe", tokens.make("unsubscribe", number, [NEW]), [NEW]) == number


@given(st.integers(0, 2**63 - 1))
def test_a_token_fits_into_an_address_without_escaping(number):
    token = tokens.make("unsubscribe", number, [NEW])

    assert len(token) == 32
    assert set(token) <= set(ALPHABET)


def test_a_token_survives_the_change_of_keys():
    token = tokens.make("unsubscribe", 7, [OLD])

    assert tokens.read("unsubscribe", token, [NEW, OLD]) == 7
    assert tokens.make("unsubscribe", 7, [NEW, OLD]) == tokens.make("unsubscribe", 7, [NEW])


def test_a_token_dies_with_its_key():
    token = tokens.make("unsubscribe", 7, [OLD])

    assert tokens.read("unsubscribe", token, [NEW, OTHER]) is None
    assert tokens.read("unsubscribe", token, []) is None


@given(st.integers(0, 2**63 - 1), st.sampled_from(["open", "click", "unsubscribe ", "unsubscrib", "Unsubscribe"]))
def test_a_token_is_worthless_for_another_purpose(number, purpose):
    assert tokens.read(purpose, tokens.make("unsubscribe", number, [NEW]), [NEW]) is None


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

    for spelling in (token + "=", token + "==", token + "\n", " " + token, token[:-1], token + "A", token + "AAAA"):
        assert tokens.read("unsubscribe", spelling, [NEW]) is None


@given(st.text(max_size=80) | st.text(ALPHABET, min_size=32, max_size=32))
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


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.binary(max_size=100), words, words)
def test_a_proof_is_the_hmac_of_the_standard_library(text, purpose, key):
    derived = hmac.digest(key.encode(), f"brilliance token 1 {purpose}".encode(), "sha256")

    assert tokens.prover(purpose, key)(text) == hmac.digest(derived, text, "sha256")


def test_tokens_sent_by_earlier_versions_are_read():
    assert tokens.make("unsubscribe", 4711, [NEW]) == "AAAAAAAAEmfRrXDpF3sj5bGomlqXai3D"
