"""Links of a content: which are counted, why the others are not, and nothing but their addresses is touched."""

import pytest

from mail.links import link_targets
from mail.links.link_targets import MOST_COUNTED, in_html, in_text, replaced, without_marks

OURS = frozenset({"mail.example.com", "localhost:8000"})
SKIP = ("https://Shop.example/leave/",)


def read(source):
    return [(place.link.url, place.link.why_not) for place in in_html(source, OURS, SKIP)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('<a href="https://a.example/">x</a>', [("https://a.example/", "")]),
        ("<A HREF='HTTPS://A.example/P?x=1#y'>x</A>", [("HTTPS://A.example/P?x=1#y", "")]),
        ("<a class=b href=https://a.example/p>x</a>", [("https://a.example/p", "")]),
        ('<a href="https://a.example/?a=1&amp;b=2&copy=3">x</a>', [("https://a.example/?a=1&b=2&copy=3", "")]),
        ('<a href=" \n https://a.example/ ">x</a>', [("https://a.example/", "")]),
        ('<a href="https://bücher.example/ä b">x</a>', [("https://bücher.example/ä b", "")]),
        ('<a href="https://a.example/?q=&quot;x&quot;">x</a>', [('https://a.example/?q="x"', "")]),
        ('<a href="https://a.example/" href="https://b.example/">x</a>', [("https://a.example/", "")]),
        ('<a title=">" href="https://a.example/">x</a>', [("https://a.example/", "")]),
        (
            '<a href="https://a.example/">x <a href="https://b.example/">y</a></a>',
            [("https://a.example/", ""), ("https://b.example/", "")],
        ),
        ('<map><area href="https://a.example/" alt=x></map>', [("https://a.example/", "")]),
        (
            '<!--[if mso]><v:roundrect href="https://a.example/"></v:roundrect><![endif]-->',
            [("https://a.example/", "")],
        ),
        ('<base href="https://base.example/"><a href="page.html">x</a>', [("page.html", "other")]),
        # Nobody follows these.
        ('<!-- <a href="https://a.example/">x</a> -->', []),
        ('<style>a[href="https://a.example/"] {}</style>', []),
        ('<script>"<a href=https://a.example/>"</script>', []),
        ('<title><a href="https://a.example/"></title>', []),
        ('<img src="https://a.example/i.png" srcset="https://a.example/j.png 2x">', []),
        ('<link href="https://a.example/"><form action="https://a.example/"></form>', []),
        ('<a name="top">x</a><a href="">x</a><a href>x</a>', [("", "other")]),
        ('<a href="https://a.example/', []),
        # Not counted.
        ('<a href="mailto:ann@a.example">x</a>', [("mailto:ann@a.example", "other")]),
        ('<a href="tel:+4930123">x</a><a href="#top">x</a>', [("tel:+4930123", "other"), ("#top", "other")]),
        ('<a href="//a.example/">x</a>', [("//a.example/", "other")]),
        (
            '<a href="javascript:alert(1)//https://a.example">x</a>',
            [("javascript:alert(1)//https://a.example", "other")],
        ),
        ('<a href="https:///a.example">x</a>', [("https:///a.example", "other")]),
        ('<a data-track="off" href="https://a.example/">x</a>', [("https://a.example/", "off")]),
        ("<a DATA-TRACK=' Off ' href='https://a.example/'>x</a>", [("https://a.example/", "off")]),
        ('<a data-track="on" href="https://a.example/">x</a>', [("https://a.example/", "")]),
        ('<a href="https://a.example/?X-Amz-Signature=1">x</a>', [("https://a.example/?X-Amz-Signature=1", "signed")]),
        ('<a href="https://a.example/?sv=1&amp;sig=2#x">x</a>', [("https://a.example/?sv=1&sig=2#x", "signed")]),
        ('<a href="https://a.example/#?X-Amz-Signature=1">x</a>', [("https://a.example/#?X-Amz-Signature=1", "")]),
        ('<a href="https://mail.example.com/a/7">x</a>', [("https://mail.example.com/a/7", "own")]),
        ('<a href="http://MAIL.example.com">x</a>', [("http://MAIL.example.com", "own")]),
        ('<a href="https://x:y@mail.example.com/">x</a>', [("https://x:y@mail.example.com/", "own")]),
        ('<a href="http://localhost:3000/">x</a>', [("http://localhost:3000/", "")]),
        ('<a href="https://mail.example.com.evil.example/">x</a>', [("https://mail.example.com.evil.example/", "")]),
        ('<a href="https://shop.example/leave/7">x</a>', [("https://shop.example/leave/7", "own")]),
        ('<a href="https://a.example/{{ code }}">x</a>', [("https://a.example/{{ code }}", "field")]),
        ('<a href="{{ url }}">x</a>', [("{{ url }}", "field")]),
        (
            '<a href="https://a.example/{% if vip %}vip{% endif %}">x</a>',
            [("https://a.example/{% if vip %}vip{% endif %}", "field")],
        ),
        ('<a href="https://a.example/*|CODE|*">x</a>', [("https://a.example/*|CODE|*", "field")]),
        (
            '<a href="https://a.example/&#123;&#123; code }}">x</a>',
            [("https://a.example/&#123;&#123; code }}", "field")],
        ),
        ('<a href="{{ unsubscribe_url }}">x</a>', [("{{ unsubscribe_url }}", "own")]),
        ('<a href="{{ preferences_url }}">x</a>', [("{{ preferences_url }}", "own")]),
        ('<a href="{{ web_version_url }}">x</a>', [("{{ web_version_url }}", "own")]),
        ('<a href="https://a.example/x\ny">x</a>', [("https://a.example/x\ny", "broken")]),
        (
            '<a href="https://a.example/&#13;&#10;Set-Cookie:a">x</a>',
            [("https://a.example/\r\nSet-Cookie:a", "broken")],
        ),
        ('<a href="https://a.example/<b>">x</a>', [("https://a.example/<b>", "broken")]),
        ('<a href="https://[::1/">x</a>', [("https://[::1/", "broken")]),
        ('<a href="https://a.example/a b  c">x</a>', [("https://a.example/a b  c", "")]),
        ('<a href="https://exa mple.com/">x</a>', [("https://exa mple.com/", "broken")]),
        ('<a href="https://a.example:☃/">x</a>', [("https://a.example:☃/", "broken")]),
        ('<a href="https://mail.example.com\\x@a.example">x</a>', [("https://mail.example.com\\x@a.example", "own")]),
        (f'<a href="https://a.example/{"x" * 10_000}">x</a>', [(f"https://a.example/{'x' * 10_000}", "broken")]),
    ],
)
def test_each_link_is_counted_or_has_a_reason(source, found):
    assert read(source) == found


def test_all_links_have_a_position_and_say_what_they_say():
    source = (
        '<a href="https://a.example/"><b>Winter</b>\n  sale &amp; more</a>'
        '<a href="mailto:a@a.example">Write</a>'
        '<a href="https://a.example/"><img src="x.png" alt=" Our\n shop "></a>'
        '<a href="https://b.example/"><img src="x.png"></a>'
        '<a href="https://c.example/">{{ first_name }}&rsquo;s offers'
        f'<a href="https://d.example/">{"long " * 50}</a>'
    )

    links = [place.link for place in in_html(source)]

    assert [link.position for link in links] == [1, 2, 3, 4, 5, 6]
    assert [link.label for link in links[:5]] == [
        "Winter sale & more",
        "Write",
        "Our shop",
        "",
        "{{ first_name }}\u2019s offers",
    ]
    assert len(links[5].label) == 100


def test_only_so_many_links_are_counted():
    links = [place.link for place in in_html('<a href="https://a.example/">x</a>' * (MOST_COUNTED + 2))]

    assert [link.why_not for link in links[-3:]] == ["", "many", "many"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (
            "See https://a.example/p. (Or https://b.example/q)",
            [("https://a.example/p", ""), ("https://b.example/q", "")],
        ),
        ("<https://a.example/p.>", [("https://a.example/p.", "")]),
        ("https://a.example/?a=1&utm_term=x.. Next", [("https://a.example/?a=1&utm_term=x.", "")]),
        ("https://a.example/{{ code }} and {{ url }}", [("https://a.example/{{ code }}", "field")]),
        ("mailto:a@a.example xhttps://a.example ftp://b.example", []),
        (
            "https://marked.example/ https://mail.example.com/x",
            [("https://marked.example/", "off"), ("https://mail.example.com/x", "own")],
        ),
    ],
)
def test_addresses_of_the_text_end_where_the_sentence_goes_on(source, found):
    places = in_text(source, OURS, last_code="utm_term=x.", but={"https://marked.example/"})

    assert [(place.link.url, place.link.why_not) for place in places] == found
    assert [source[place.start : place.end] for place in places] == [url for url, _ in found]


def test_nothing_but_the_addresses_is_replaced():
    source = (
        "<p>Dear &amp;c <A class='x'\n HREF = ' https://a.example/?a&amp;b ' title=\"https://a.example/\">https://a.example/</A>"
        "<a href=https://b.example/>b</a><a href='mailto:x@y.example'>c</a></p>"
    )

    found = replaced(source, in_html(source), lambda link: None if link.why_not else f"N{link.position}")

    assert found == source.replace("https://a.example/?a&amp;b", "N1").replace("https://b.example/", "N2")


@pytest.mark.parametrize(
    ("source", "clean"),
    [
        ('<a href="https://a.example/" data-track="off">x</a>', '<a href="https://a.example/">x</a>'),
        ('<a data-track="off" href="https://a.example/">x</a>', '<a href="https://a.example/">x</a>'),
        ("<a DATA-TRACK=off href=https://a.example/ id=x>x</a>", "<a href=https://a.example/ id=x>x</a>"),
        ('<p data-track="off">x</p>', '<p data-track="off">x</p>'),
        ('<a data-track="on" href="x">x</a>', '<a data-track="on" href="x">x</a>'),
        ('<!-- <a data-track="off" href="x"> -->', '<!-- <a data-track="off" href="x"> -->'),
    ],
)
def test_the_mark_is_removed_and_nothing_else(source, clean):
    assert without_marks(source) == clean


def test_the_reasons_are_those_that_people_are_told():
    reasons = {getattr(link_targets, name) for name in ("FIELD", "OFF", "SIGNED", "OWN", "OTHER", "BROKEN", "MANY")}

    assert reasons | {""} == set(link_targets.WhyNot.__args__)
