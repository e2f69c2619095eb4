"""Counted mail: only addresses change, a pixel is added, and without counting nothing is different at all."""

import datetime as dt
import email.policy
import re
from collections.abc import Mapping
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.addresses import Mailbox
from mail.links import link_targets, tracking
from mail.message.composition import compile_content, links_of
from mail.message.style import Counting, Recipient, Style

DATE = dt.datetime(2026, 11, 24, 9, 30, tzinfo=dt.UTC)
KEYS = ["key"]
HOST = "https://click.example.net"
UTM = {"utm_source": "winter", "utm_medium": "email", "utm_content": "a."}
PERSON, GROUP = tracking.token_of_message(4711, KEYS), tracking.token_of_group(7, KEYS)
VALUES = {"first_name": "Ann", "city": "Köln & Bonn", "items": ["one", "two"], "vip": True, "company": "=?x?="}
PAGE = """<html><body><p>Dear {{ first_name }} of {{ city }}</p>
<a href="https://shop.example/sale?a=1&amp;b=2">Sale</a> <a href='https://shop.example/other'>Other</a>
</body></html>"""


def style(utm: Mapping[str, str] = UTM, counting: Counting | None = None) -> Style:
    return Style(
        Mailbox("Shop", "news@shop.example"),
        has_unsubscribe=True,
        organisation="Shop",
        postal_address="1 Road",
        utm=utm,
        utm_skip=("https://mail.example.com/u/",),
        counting=counting,
    )


def codes_of(
    html: str, text: str, utm: Mapping[str, str] = UTM, *, in_text: bool = False
) -> dict[str, tuple[str, int, str]]:
    """Return the counted links by made-up codes."""
    links = links_of(html, text, style(utm), {"mail.example.com"}, in_text=in_text)
    counted = [link for link in links if not link.why_not]
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    names = [f"target{alphabet[number // 32]}{alphabet[number % 32]}" for number in range(len(counted))]
    return {name: (link.part, link.position, link.url) for name, link in zip(names, counted, strict=True)}


def compose(
    html: str = PAGE,
    text: str = "",
    *,
    codes: Mapping[str, tuple[str, int, str]] | None = None,
    has_pixel: bool = True,
    utm: Mapping[str, str] = UTM,
    in_text: bool = False,
    pixel_token: str = PERSON,
    link_token: str = PERSON,
    values: Mapping[str, object] = VALUES,
) -> bytes:
    counting = None
    if codes is not None:
        counting = Counting(HOST, has_pixel, {key: code for code, key in codes.items()}, in_text)
    recipient = Recipient(
        "ann@customer.example",
        "<1.2@shop.example>",
        values,
        "https://mail.example.com/u/abc",
        pixel_token=pixel_token,
        link_token=link_token,
    )
    return compile_content("Sale, {{ first_name }}", html, text, style(utm, counting)).build(recipient, DATE)


def parts(content: bytes) -> tuple[str, str]:
    message = cast(EmailMessage, email.message_from_bytes(content, policy=email.policy.default))
    bodies = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
    return bodies.get("text/html", "").replace("\r\n", "\n"), bodies["text/plain"].replace("\r\n", "\n")


def pixel(token: str) -> str:
    return f'<img src="{HOST}/o/{token}.gif" alt="" width="1" height="1" border="0">\n'


LINK = re.compile(rf"{HOST}/c/(.{{28}})(target..)")


def test_a_counted_mail_has_its_tokens_in_links_and_pixel() -> None:
    codes = codes_of(PAGE, "")

    html, text = parts(compose(codes=codes))

    assert html.count(pixel(PERSON) + "</body>") == 1
    assert [(token, codes[code][2]) for token, code in LINK.findall(html)] == [
        (PERSON, "https://shop.example/sale?a=1&b=2&utm_source=winter&utm_medium=email&utm_content=a."),
        (PERSON, "https://shop.example/other?utm_source=winter&utm_medium=email&utm_content=a."),
    ]
    assert "https://shop.example" not in html
    assert HOST not in text
    assert "https://shop.example/other?utm_source" in text


@pytest.mark.parametrize(("pixel_token", "link_token"), [(PERSON, GROUP), (GROUP, PERSON), (GROUP, GROUP)])
def test_pixel_and_links_have_each_the_token_that_its_consent_says(pixel_token: str, link_token: str) -> None:
    html, _ = parts(compose(codes=codes_of(PAGE, ""), pixel_token=pixel_token, link_token=link_token))

    assert pixel(pixel_token) in html
    assert {token for token, _ in LINK.findall(html)} == {link_token}


def test_links_stay_as_written_where_only_opens_are_counted_and_the_other_way_round() -> None:
    as_written = parts(compose())[0]

    assert parts(compose(codes={}))[0] == as_written.replace("</body>", pixel(PERSON) + "</body>")
    assert "/o/" not in parts(compose(codes=codes_of(PAGE, ""), has_pixel=False))[0]
    assert HOST not in as_written


@pytest.mark.parametrize("value", ["Ann", "Jörg", "", "\ufdd2", "a\nb", "x" * 100])
def test_a_mail_is_the_same_at_each_composing(value: str) -> None:
    codes = codes_of(PAGE, "")
    values = {**VALUES, "first_name": value}

    first = compose(codes=codes, values=values)

    assert first == compose(codes=codes, values=values)
    assert [token for token, _ in LINK.findall(parts(first)[0])] == [PERSON, PERSON]
    assert max(map(len, first.split(b"\r\n"))) <= 998


def test_the_text_is_counted_only_if_asked_for() -> None:
    text = "Dear {{ first_name }}, see https://shop.example/sale. Or https://mail.example.com/u/abc"
    codes = codes_of(PAGE, text, in_text=True)

    counted = parts(compose(PAGE, text, codes=codes, in_text=True))[1]

    assert [codes[code] for _, code in LINK.findall(counted)] == [
        ("text", 1, "https://shop.example/sale?utm_source=winter&utm_medium=email&utm_content=a.")
    ]
    assert "Or https://mail.example.com/u/abc" in counted
    assert HOST not in parts(compose(PAGE, text, codes=codes))[1]


def test_a_text_made_of_the_html_leaves_out_what_the_html_marks() -> None:
    page = PAGE.replace("<a href='", "<a data-track='off' href='")
    codes = codes_of(page, "", in_text=True)

    html, text = parts(compose(page, codes=codes, in_text=True))

    assert [codes[code][0] for _, code in LINK.findall(html)] == ["html"]
    assert [codes[code][0] for _, code in LINK.findall(text)] == ["text"]
    assert "https://shop.example/other?utm_source" in html
    assert "https://shop.example/other?utm_source" in text
    assert "data-track" not in html


def test_a_content_with_a_stand_in_for_tokens_is_not_counted() -> None:
    page = PAGE.replace("Sale", "\ufdd2")

    assert codes_of(page, "") == {}
    assert compose(page, codes={"targetaa": ("html", 2, "https://shop.example/other")}) == compose(page)


def test_a_text_only_mail_has_no_pixel() -> None:
    assert HOST.encode() not in compose("", "Hello {{ first_name }}", codes={})


@pytest.mark.parametrize(
    "page",
    [
        "{% for item in items %}<a href='https://a.example/'>{{ item }}</a>{% endfor %}",
        "{% if vip %}<a href='https://a.example/'>a</a>{% else %}<a href='https://b.example/'>b</a>{% endif %}<a href='https://c.example/'>c</a>",
        "{% raw %}<a href='https://a.example/'>{{ x }}</a>{% endraw %}<a href='https://b.example/'>b</a>",
        "{% capture link %}<a href='https://a.example/'>a</a>{% endcapture %}{{ link }}{{ link }}",
        "<table><tr>{% for item in items %}<td><a href='https://a.example/'>a</a></td>{% endfor %}</tr></table>",
        "<a href='https://a.example/{{ city }}'>a</a><a href='{{ company }}'>a</a><a href='https://b.example/'>b</a>",
    ],
)
@pytest.mark.parametrize("utm", [UTM, {}])
def test_links_between_conditions_and_loops_are_counted(page: str, utm: Mapping[str, str]) -> None:
    check_that_only_addresses_change(page, "", utm)


URLS = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ["https://a.example", "HTTP://A.example:8080", "https://bücher.example", "https://mail.example.com/u"]
    ),
    st.sampled_from(["", "/", "/p/ä", "/x.", "/a_(b)", "/%20|[]", "/~'"]),
    st.sampled_from(
        ["", "?a=1&amp;b=2", "?a&b=&copy=1", "?utm_source=x", "#top", "?q=%C3%A9#a?b", "?sv=1&sig=2", "?é"]
    ),
)
ANCHORS = st.builds(
    "{}{}{}".format,
    st.sampled_from(['<a href="', "<A class='x' HREF=\"", '<a data-utm-term="t" href="', '<a data-track="off" href="']),
    URLS
    | st.sampled_from(["mailto:a@b.example", "{{ unsubscribe_url }}", "https://a.example/{{ city }}", "{{ company }}"]),
    st.sampled_from(
        ['">x</a>', '" title=">">{{ first_name }}</a>', '">y', '"><img alt="z" src="https://i.example/"></a>']
    ),
)
SNIPPETS = ANCHORS | st.sampled_from(
    [
        "<p>Köln & <b>{{ city }}</b></p>\n",
        "{{ first_name }}",
        "<!-- <a href='https://c.example/'> -->",
        "<!--[if mso]><v:roundrect href='https://v.example/'><center>x</center></v:roundrect><![endif]-->",
        "<style>a { color: red }</style>",
        "</body>",
        "<br>. From here\n.dot\nFrom there\n",
        "<img srcset='https://i.example/1 1x, https://i.example/2 2x'>",
        "<base href='https://base.example/'>",
        "https://bare.example/x. ",
        "=3D%{}$",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SNIPPETS, max_size=12).map("".join), st.booleans(), st.booleans())
def test_with_its_tokens_replaced_a_counted_mail_is_the_mail_as_written(
    page: str, loops: bool, is_tagged: bool
) -> None:
    if loops:  # Footer and pixel stand before the last end of the body, which a loop would repeat.
        page = f"{{% for item in items %}}{page.replace('</body>', '')}{{% endfor %}}"
    check_that_only_addresses_change(page or "x", "", UTM if is_tagged else {})


@settings(max_examples=100, deadline=None)
@given(
    st.lists(URLS | st.sampled_from([" ", ". ", "\n", "<", "> ", "{{ city }} ", "(", ") "]), max_size=12).map("".join)
)
def test_that_holds_for_the_text_too(text: str) -> None:
    check_that_only_addresses_change(PAGE, text or "x", UTM)


def check_that_only_addresses_change(page: str, text: str, utm: Mapping[str, str]) -> None:
    codes = codes_of(page, text, utm, in_text=True)
    plain_html, plain_text = parts(compose(page, text, utm=utm))
    html, counted_text = parts(compose(page, text, codes=codes, utm=utm, in_text=True))

    assert html.count(pixel(PERSON)) == 1
    html = html.replace(pixel(PERSON), "")
    assert as_read(html, codes) == as_read(plain_html, codes)
    assert LINK.sub(lambda found: codes[found[2]][2], counted_text) == plain_text
    for token, code in LINK.findall(html):
        assert (token, codes[code][0]) == (PERSON, "html")
    is_sent = [place.link for place in link_targets.in_html(plain_html, {"mail.example.com"}) if not place.link.why_not]
    assert len(LINK.findall(html)) <= len(is_sent)  # Fewer, where a merge field has become an address.


def as_read(html: str, codes: Mapping[str, tuple[str, int, str]]) -> str:
    """Return HTML with its addresses as a browser reads them, ours replaced by their targets."""
    places = link_targets.in_html(html)
    return link_targets.replaced(html, places, lambda link: LINK.sub(lambda found: codes[found[2]][2], link.url))
