"""The link in the text part is the link in the HTML part, whatever looks like a character reference in it."""

import html
import html.entities
import re

import css_inline
import pytest

from campaigns.markup.visible_links import links_of
from campaigns.preflight.preview import links_in
from mail.addresses import Mailbox
from mail.message.composition import Compiled, compile_content
from mail.message.style import Recipient, Style
from mail.plaintext import from_html

# Names whose characters end an address in a text are left out.
NAMES = [name for name, meant in html.entities.html5.items() if not re.search(r"[\s<>\x00-\x20]", meant)]


def by_a_browser(source: str) -> list[str]:
    """Return the addresses of links as html5ever reads them, which is the parser of a browser."""
    written = css_inline.CSSInliner().inline(source)
    return [html.unescape(address).strip() for address in re.findall(r'<a [^>]*?href="([^"]*)"', written)]


def page(after: str) -> str:
    links = "".join(f'<p><a href="https://shop.example/?a=1&{name}{after}">offer</a></p>\n' for name in NAMES)
    return f"<html><body>{links}</body></html>"


@pytest.mark.parametrize("after", ["", "=eu", "ion=2", "7", "&b=2", "/x", "#top", ";c=1", "%20"])
def test_every_named_reference_means_the_same_in_both_parts(after: str) -> None:
    source = page(after)
    expected = by_a_browser(source)

    # Without a semicolon references can be told from parameters only by what follows.
    assert re.findall(r"<(https://[^>]*)>", from_html(source)) == expected
    assert [url for _, url in links_in(source)] == expected
    assert [link.url for link in links_of(source)[0]] == expected


@pytest.mark.parametrize("utm", [{}, {"utm_source": "winter", "utm_medium": "email"}])
@pytest.mark.parametrize(
    "query",
    [
        "?a=1&region=eu&section=2",
        "?a=1&amp;region=eu&amp;copy=2&lang=de",
        "?not=1&notit;=2&para=3&times4=5",
        "?currency=eur&curren=1&deg=2&micro=x&ordm=1&shy=2&sup1=a&yen=9&uml=1&reg=1",
        "?q={{ code }}&region={{ city }}&copy={{ code }}",
        "?q={{ code | append: '&reg=1' }}&lt=2",
    ],
)
def test_the_links_of_a_message_agree(query: str, utm: dict[str, str]) -> None:
    style = Style(mail_from=Mailbox("", "news@example.com"), utm=utm)
    source = f'<html><body><p>Hello</p><p><a href="https://shop.example/p{query}">Offer</a></p></body></html>'
    compiled: Compiled = compile_content("Hi", source, "", style)

    rendered = compiled.render(Recipient("ann@example.com", "<1.2@example.com>", {"code": "a&b", "city": "Köln"}))

    (expected,) = by_a_browser(rendered.html)
    assert f"Offer <{expected}>" in rendered.text
    assert ("utm_source=winter" in expected) is bool(utm)


def test_an_address_that_begins_with_a_field_agrees_as_well() -> None:
    style = Style(mail_from=Mailbox("", "news@example.com"), utm={"utm_source": "winter"})
    source = '<html><body><p>Hello</p><p><a href="{{ url }}&region=eu&copy=1">Offer</a></p></body></html>'

    rendered = compile_content("Hi", source, "", style).render(
        Recipient("ann@example.com", "<1.2@example.com>", {"url": "https://shop.example/?a=1"})
    )

    (expected,) = by_a_browser(rendered.html)
    assert expected == "https://shop.example/?a=1&region=eu&copy=1&utm_source=winter"
    assert f"Offer <{expected}>" in rendered.text


def test_each_recipients_own_text_agrees_as_well() -> None:
    style = Style(mail_from=Mailbox("", "news@example.com"))
    source = (
        "<html><body><table>{% for row in rows %}<tr><td>"
        '<a href="https://shop.example/?a=1&region={{ row }}&section=2">Offer</a></td></tr>{% endfor %}</table></body>'
    )

    rendered = compile_content("Hi", source, "", style).render(
        Recipient("ann@example.com", "<1.2@example.com>", {"rows": ["eu", "us"]})
    )

    for expected in by_a_browser(rendered.html):
        assert f"Offer <{expected}>" in rendered.text


def test_words_about_references_are_read_once() -> None:
    assert (
        from_html("<p>Write &amp;copy; for &copy;, R&amp;D, &amp;lt;b&amp;gt;</p>")
        == "Write &copy; for ©, R&D, &lt;b&gt;"
    )
