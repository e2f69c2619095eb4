"""Links whose address is a merge tag, tagged when it is filled."""

import html
import re

import pytest

from mail import markup, merge_fields
from mail.addresses import Mailbox
from mail.links import merge_tags
from mail.message.composition import compile_content
from mail.message.style import Recipient, Style

CODES = {"utm_source": "news", "utm_term": "t"}


def render(html: str, **values: str) -> str:
    filters = merge_tags.filters(CODES, "fill", ("https://mail.example.com/u/",))
    return merge_fields.parse(merge_tags.mark_html(html), filters).render(values, "html")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="{{ x }}">', '<a href="https://example.com/?a=1&amp;b=2&amp;utm_source=news&amp;utm_term=t">'),
        (
            "<a href='{{x}}' id=1>",
            "<a href='https://example.com/?a=1&amp;b=2&amp;utm_source=news&amp;utm_term=t' id=1>",
        ),
        (
            '<area\nhref = " {{- x -}} ">',
            '<area\nhref = " https://example.com/?a=1&amp;b=2&amp;utm_source=news&amp;utm_term=t">',
        ),
        (
            '<a href="{{ site }}/p?q=1&amp;r=2">',
            '<a href="https://example.com/p?q=1&amp;r=2&amp;utm_source=news&amp;utm_term=t">',
        ),
        (
            '<a href="{% if no %}x{% else %}{{ site }}{% endif %}">',
            '<a href="https://example.com?utm_source=news&amp;utm_term=t">',
        ),
        (
            '<a href="{{ no | default: "https://example.com/" }}">',
            '<a href="https://example.com/?utm_source=news&amp;utm_term=t">',
        ),
        (
            '<a data-utm-term="it&#39;s" data-utm-content="top &amp; left" href="{{ site }}">',
            '<a data-utm-term="it&#39;s" data-utm-content="top &amp; left"'
            ' href="https://example.com?utm_source=news&amp;utm_term=its&amp;utm_content=top%20%26%20left">',
        ),
        ('<a href="{{ site }}" data-utm="off">', '<a href="https://example.com" data-utm="off">'),
        ('<a href="{{ unsubscribe_url }}">', '<a href="https://other.example.com/out">'),
        ('<a href="{{ preferences_url }}">', '<a href="https://other.example.com/settings">'),
        ('<a href="{{ ours }}">', '<a href="https://mail.example.com/u/1">'),
        ('<a href="{{ mail }}">', '<a href="mailto:ann@example.com">'),
        (
            '<a href="{{ site }}/ä?q={{ x }}&sect=ü#ö">',
            '<a href="https://example.com/ä?q=https://example.com/?a=1&amp;b=2&amp;sect=%C3%BC'
            '&amp;utm_source=news&amp;utm_term=t#ö">',
        ),
        ('<a href="{{ evil }}">', '<a href="https://example.com/&#34;&gt;&lt;b&gt;?utm_source=news&amp;utm_term=t">'),
        ('<img src="{{ site }}">', '<img src="https://example.com">'),
        ('<a href="https://example.com/">', '<a href="https://example.com/">'),
    ],
)
def test_an_address_from_a_merge_tag_is_tagged_when_it_is_known(html: str, expected: str) -> None:
    assert (
        render(
            html,
            x="https://example.com/?a=1&b=2",
            site="https://example.com",
            unsubscribe_url="https://other.example.com/out",
            preferences_url="https://other.example.com/settings",
            ours="https://mail.example.com/u/1",
            mail="mailto:ann@example.com",
            evil='https://example.com/"><b>',
        )
        == expected
    )


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("See {{ shop_url }}.", "See {{ shop_url | with_utm }}."),
        ("<{{ link }}>", "<{{ link | with_utm }}>"),
        ("{{ promo | default: 'x' }}", "{{ promo | default: 'x' | with_utm }}"),
        ("{{ first_name }}", "{{ first_name }}"),
        ("{{ base_url }}/path", "{{ base_url }}/path"),
        ("https://example.com/?x={{ link }}", "https://example.com/?x={{ link }}"),
        ("{{ unsubscribe_url }}", "{{ unsubscribe_url }}"),
    ],
)
def test_tags_that_hold_addresses_are_marked_in_text(text: str, marked: str) -> None:
    assert merge_tags.mark_text(text, {"promo"}) == marked


def test_the_names_used_as_addresses() -> None:
    html = (
        "<a href=\"{{ shop }}\">a</a><a href='{{ b.c | strip }}'>b</a>"
        '<a href="{{ unsubscribe_url }}">c</a><a href="x{{ y }}">d</a>'
    )

    assert merge_tags.names_of_links(html) == {"shop", "b.c"}


PLACES = [
    ("https://e.com/?q={{ city }}&x=1", "https://e.com/?q=K%C3%B6ln%20%26%20S%C3%BCd&x=1"),
    ("https://e.com/{{ path }}/{{city}}#{{ path }}", "https://e.com/a/b/K%C3%B6ln%20%26%20S%C3%BCd#a/b"),
    ("https://e.com/?q={{ nobody | default: 'a b' }}", "https://e.com/?q=a%20b"),
    ("https://e.com/?q={{ city | downcase }}", "https://e.com/?q=k%C3%B6ln%20%26%20s%C3%BCd"),
    ("https://e.com/?q={{ city | url_encode }}", "https://e.com/?q=K%C3%B6ln+%26+S%C3%BCd"),
    ("https://e.com/?{% if city %}q={{ city }}{% endif %}", "https://e.com/?q=K%C3%B6ln%20%26%20S%C3%BCd"),
    ("{{ url }}", "https://e.com/?a=1&b=2"),
    ("{{ url }}&c=3", "https://e.com/?a=1&b=2&c=3"),
    ("https://{{ host }}/x", "https://shop.e.com:8080/x"),
]
VALUES = {"city": "Köln & Süd", "path": "a/b", "url": "https://e.com/?a=1&b=2", "host": "shop.e.com:8080"}


@pytest.mark.parametrize(("written", "expected"), PLACES)
@pytest.mark.parametrize("utm", [{}, {"utm_source": "s"}])
def test_values_in_a_link_are_encoded_by_their_place(written: str, expected: str, utm: dict[str, str]) -> None:
    style = Style(mail_from=Mailbox("", "news@example.com"), utm=utm)
    compiled = compile_content("Hi", f'<p>See <a href="{written}">it</a></p>', f"See {written} now", style)

    rendered = compiled.render(Recipient("a@example.com", "<1@example.com>", VALUES))

    def bare(address: str) -> str:
        return address.replace("&utm_source=s", "").replace("?utm_source=s", "")

    address = re.search('href="([^"]*)"', rendered.html)
    assert address
    assert bare(html.unescape(address[1])) == expected
    assert f"See {expected} now" in bare(rendered.text)
    derived = compile_content("Hi", f'<p>See <a href="{written}">it</a></p>', "", style)
    assert f"it <{expected}>" in bare(derived.render(Recipient("a@example.com", "<1@example.com>", VALUES)).text)


@pytest.mark.parametrize("utm", [{}, {"utm_source": "s"}])
def test_what_is_written_beside_a_merge_tag_is_encoded_too_but_for_the_host(utm: dict[str, str]) -> None:
    written = "https://bücher.example/ä?n={{ nobody | default: 'é' }}&sect=ü&amp;o=&ouml;&#228;&lt;#ß"
    style = Style(mail_from=Mailbox("", "news@example.com"), utm=utm)
    compiled = compile_content("Hi", f'<p title="ü"><a title="ü" href="{written}">Ü</a></p>', "", style)

    rendered = compiled.render(Recipient("a@example.com", "<1@example.com>", VALUES)).html

    found = re.search('<p title="ü"><a title="ü" href="([^"]*)">Ü</a></p>', rendered)
    assert found
    assert markup.decoded(found[1]).replace("&utm_source=s", "") == (
        "https://bücher.example/%C3%A4?n=%C3%A9&sect=%C3%BC&o=%C3%B6%C3%A4<#%C3%9F"
    )
