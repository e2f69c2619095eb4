"""Tokens of links and pixels: genuine ones are read, also after the keys were changed; nothing else is."""

import re
import string
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail import tokens
from mail.links import tracking
from mail.links.link_targets import in_html, in_text
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
        ("https://☃.example/", "https://%E2%98%83.example/"),
        ("https://a.example/Price list 2026.pdf", "https://a.example/Price%20list%202026.pdf"),
        ("https://a b:c@a.example/", "https://a%20b:c@a.example/"),
        ("https://[2001:db8::1]:8443/ä", "https://[2001:db8::1]:8443/%C3%A4"),
        ("https://a.example\\ä", "https://a.example\\%C3%A4"),
        ("https://a.example:/?", "https://a.example:/?"),
        ("https://ä.example:00443", "https://xn--4ca.example:00443"),
        ("https://a.example/\u0080", "https://a.example/%C2%80"),
    ],
)
def test_a_target_that_no_header_takes_is_spelled_as_a_browser_asks_for_it(url, header):
    assert tracking.location(url) == header
    assert header.isascii()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "//a.example/",
        "javascript:alert(1)//https://a.example/",
        "ftp://a.example/",
        "https://",
        "https:///a",
        "https://@/",
        "https://:80/",
        "https://a.example/\r\nSet-Cookie: a=b",
        "https://a.example/\x00",
        "https://a.example/\x7f",
        "https://a.example/\ud800",
        "https://\ud800.example/",
        "https://a\tb@a.example/",
        "https://exa mple.com/",
        "https://a<b.example/",
        "https://a.example:☃/",
        "https://a.example:port/",
        "https://a.example:65536/",
        "https://a.example:" + "9" * 5_000,
        "https://[::1]:☃/",
        "https://[::1/",
        "https://[::1]x/",
        "https://[1.2.3.4]/",
        "https://a]b.example/",
        "https://a.example/" + "x" * 10_000,
        "https://a.example/" + "日" * 2_000,  # As bytes of a header it is too long for many a proxy.
    ],
)
def test_where_no_redirect_can_lead_there_is_none(url):
    assert tracking.location(url) is None


_ODD = st.sampled_from(
    [*"/\\?#@:[]<>%.- \t\r\n\x00\x7f\x80☃ä日\u2028\ud800\u200d℀。:８", "xn--", "[::1]", ":80", "{{", "&"]
)
_URLS = st.builds(
    lambda scheme, parts: scheme + "".join(parts),
    st.sampled_from(["https://", "http://", "HTTPS://", "https://a.example"]),
    st.lists(_ODD | st.text(max_size=6), max_size=8),
)


@given(_URLS)
@settings(max_examples=1_000)
def test_a_counted_link_always_has_a_header_that_a_server_sends(url):
    source = f'<a href="{escape(url)}">x</a>'

    for place in [*in_html(source), *in_text(url)]:
        if place.link.why_not == "":
            header = tracking.location(place.link.url)
            assert header is not None
            assert re.fullmatch("https?://[\x21-\x7e]+", header, re.IGNORECASE)
            assert len(header) <= 10_000
            assert tracking.location(header) == header


@given(_URLS)
def test_a_redirect_leads_to_the_host_that_the_link_leads_to(url):
    header = tracking.location(url)

    if header is not None and url.isascii():
        host = re.compile(r"https?://(?:[^/\\?#]*@)?([^/\\?#]*)", re.IGNORECASE)
        assert host.match(header)[1] == host.match(url)[1]
