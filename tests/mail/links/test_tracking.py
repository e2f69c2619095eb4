"""Tokens of links and pixels: genuine ones are read, also after the keys were changed; nothing else is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail import tokens
from mail.links import tracking
from mail.links.tracking import Token

KEYS = ["new key", "old key"]
NUMBERS = st.integers(0, 2**63 - 1)
CODE = "abcdefgh"
MAKERS = {"m": tracking.token_of_message, "g": tracking.token_of_group}


@given(NUMBERS, st.sampled_from("mg"))
def test_a_token_gives_back_its_kind_and_number(number, kind):
    token = MAKERS[kind](number, KEYS)

    assert len(token) == tracking.TOKEN_LETTERS == 28
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert tracking.read(token, KEYS) == Token(kind, number)
    assert tracking.read_link(token + CODE, KEYS) == (Token(kind, number), CODE)
    assert tracking.read_pixel(token + ".gif", KEYS) == Token(kind, number)


@given(NUMBERS)
def test_one_hash_of_a_message_makes_its_token_too(number):
    unsubscribe, signed = tokens.maker_of_several(["unsubscribe", "tracking"], KEYS)(number)

    assert tracking.message_token(signed) == tracking.token_of_message(number, KEYS)
    assert unsubscribe == tokens.make("unsubscribe", number, KEYS)


@pytest.mark.parametrize("kind", "mg")
def test_a_token_survives_the_change_of_keys_and_dies_with_its_key(kind):
    token = MAKERS[kind](7, ["old key"])

    assert tracking.read(token, KEYS) == Token(kind, 7)
    assert tracking.read(token, ["new key"]) is None
    assert tracking.read(token, []) is None


@given(NUMBERS)
def test_a_token_of_one_kind_is_none_of_the_other(number):
    assert tracking.read("g" + tracking.token_of_message(number, KEYS)[1:], KEYS) is None
    assert tracking.read("m" + tracking.token_of_group(number, KEYS)[1:], KEYS) is None


@given(NUMBERS, st.integers(0, 27), st.sampled_from(string.ascii_letters + string.digits + "-_"))
def test_a_changed_letter_makes_a_token_worthless(number, at, letter):
    token = tracking.token_of_message(number, KEYS)
    changed = token[:at] + letter + token[at + 1 :]

    assert (tracking.read(changed, KEYS) is None) == (changed != token)


@given(st.text(max_size=40) | st.text(string.ascii_letters + string.digits + "-_=", min_size=26, max_size=38))
def test_other_text_is_no_token(text):
    assert tracking.read(text, KEYS) is None
    assert tracking.read("m" + text, KEYS) is None
    assert tracking.read_link(text + CODE, KEYS) is None
    assert tracking.read_pixel(text + ".gif", KEYS) is None


@pytest.mark.parametrize(
    "suffix", ["", "abcdefg", "abcdefghi", "ABCDEFGH", "abcdefg1", "abcdefgh\n", "abcdefg.", "abcdefg%", "abcdefgé"]
)
def test_only_a_code_of_eight_letters_follows_a_token(suffix):
    assert tracking.read_link(tracking.token_of_group(7, KEYS) + suffix, KEYS) is None


def test_codes_are_random_and_fit_into_a_link():
    codes = {tracking.new_code() for _ in range(1000)}

    assert len(codes) == 1000
    assert all(tracking.read_link(tracking.token_of_group(7, KEYS) + code, KEYS) for code in codes)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_a_number_that_does_not_fit_is_refused(number):
    with pytest.raises((ValueError, OverflowError)):
        tracking.token_of_message(number, KEYS)


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://example.com/p?a=%C3%A9&b=1#top", "https://example.com/p?a=%C3%A9&b=1#top"),
        ("HTTPS://EXAMPLE.COM/P", "HTTPS://EXAMPLE.COM/P"),
        ("https://example.com/a b|c?d=[1]", "https://example.com/a%20b|c?d=[1]"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://bücher.example:8080/?q=ä&r=%20#ß", "https://xn--bcher-kva.example:8080/?q=%C3%A4&r=%20#%C3%9F"),
        ("https://example.com/日本", "https://example.com/%E6%97%A5%E6%9C%AC"),
        ("https://user:pä@example.com/", "https://user:p%C3%A4@example.com/"),
        ("https://\u2028.example/", "https://%E2%80%A8.example/"),
    ],
)
def test_a_target_that_no_header_takes_is_spelled_as_a_browser_asks_for_it(url, header):
    assert tracking.location(url) == header
    assert header.isascii()
