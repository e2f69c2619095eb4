"""What is written becomes HTML, and merge fields come through every conversion unharmed."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from campaigns.markup.convert import ContentInvalid, converted, from_markdown, from_mjml, inlined
from campaigns.markup.starter_templates import starters
from mail.merge_fields import parse
from mail.plaintext import from_html

VALUES = {
    "first_name": "Ann",
    "code": "a&b=1",
    "url": "https://example.com/p?x=1&y=2",
    "vip": "yes",
    "items": ["one", "two"],
    "colour": "#ff0000",
    "width": "120",
}
PAGE = "<html><head><style>p{{color:red}} .{{}}</style></head><body>{}</body></html>"
MJML = "<mjml><mj-body><mj-section><mj-column>{}</mj-column></mj-section></mj-body></mjml>"


def mjml(inner: str) -> str:
    return from_mjml(MJML.replace("{}", inner))[0]


def page(inner: str) -> str:
    return inlined(f"<html><head><style>.x{{color:red}}</style></head><body>{inner}</body></html>")


# The source, and what has to stand in the result, before the fields are filled.
ODD_PLACES = [
    (
        page,
        '<p class="x">Hi {{ first_name | default: "you & <me>" }}!</p>',
        '{{ first_name | default: "you & <me>" }}!',
    ),
    (
        page,
        '<a class="x" href="https://e.com/?c={{ code | url_encode }}&d=1">x</a>',
        "?c={{ code | url_encode }}&d=1",
    ),
    (page, '<a class="x" href="{{ url }}">x</a>', 'href="{{ url }}"'),
    (page, "<a class=x href='{{ url | append: \"#top\" }}'>x</a>", '{{ url | append: "#top" }}'),
    (page, '<img alt="{{ first_name | append: \'>\' }}" src="{{ url }}">', "{{ first_name | append: '>' }}"),
    (page, "<p {% if vip %}class='x'{% endif %}>a</p>", "<p {% if vip %}class='x'"),
    (page, '<table><tr><td style="width:{{ width }}px">a</td></tr></table>', "{{ width }}px"),
    (page, "<table>{% for i in items %}<tr><td>{{ i }}</td></tr>{% endfor %}</table>", "{% for i in items %}<tr>"),
    (page, "<table><tr>{% if vip %}<td>{{ url }}</td>{% endif %}</tr></table>", "<tr>{% if vip %}<td>"),
    (page, "<!--[if mso]><v:rect href='{{ url }}'></v:rect><![endif]-->", "<v:rect href='{{ url }}'></v:rect>"),
    (page, "<ul>{% for i in items %}<li>{{ i }}{% endfor %}</ul>", "{% for i in items %}<li>{{ i }}{% endfor %}"),
    (page, "{% comment %}<b>unclosed{% endcomment %}<p>x</p>", "{% comment %}"),
    (page, "<p>{% raw %}{{ not_a_field }}{% endraw %}</p>", "{% raw %}{{ not_a_field }}{% endraw %}"),
    (page, "<p>{{ first_name\n | upcase }}</p>", "{{ first_name\n | upcase }}"),
    (from_markdown, "# {{ first_name | default: '*x*' }}", "<h1>{{ first_name | default: '*x*' }}</h1>"),
    (from_markdown, "**{{ first_name }}**", "<strong>{{ first_name }}</strong>"),
    (from_markdown, "{{ first_name }}_x_{{ code }}", "{{ first_name }}_x_{{ code }}"),
    (from_markdown, "[a]({{ url }})", '<a href="{{ url }}">a</a>'),
    (from_markdown, "[a](https://e.com/?c={{ code | url_encode }}&d=1)", "?c={{ code | url_encode }}&amp;d=1"),
    (from_markdown, "![{{ first_name }}]({{ url }})", '<img src="{{ url }}" alt="{{ first_name }}" />'),
    (from_markdown, "`{{ code }}`", "<code>{{ code }}</code>"),
    (from_markdown, "{% if vip %}\nHello **VIP**\n{% endif %}\n", "{% if vip %}\n<p>Hello <strong>VIP</strong></p>"),
    (from_markdown, "{% for i in items %}\n- {{ i }}\n{% endfor %}", "<li>{{ i }}</li>\n</ul>\n{% endfor %}"),
    (
        from_markdown,
        "| a |\n|---|\n| {{ first_name | default: 'a|b' }} |",
        "<td>{{ first_name | default: 'a|b' }}</td>",
    ),
    (from_markdown, '[Buy](https://e.com/ "button")', '<a href="https://e.com/" class="button">Buy</a>'),
    (
        mjml,
        '<mj-text>{{ first_name | default: "<b>" }}<br>&nbsp;é</mj-text>',
        '{{ first_name | default: "<b>" }}<br>&nbsp;é',
    ),
    (mjml, '<mj-button href="https://e.com/?a={{ code }}&b=2">x</mj-button>', 'href="https://e.com/?a={{ code }}&b=2"'),
    (
        mjml,
        '<mj-image src="{{ url }}" alt=\'"{{ first_name }}" é \\ 👩‍👧\' />',
        'alt="&#34;{{ first_name }}&#34; &#233;',
    ),
    (mjml, "{% if vip %}<mj-text>x</mj-text>{% endif %}", "<tbody>{% if vip %}<tr>"),
    (mjml, "<mj-raw>{% if vip %}<tr><td>{{ code }}</td></tr>{% endif %}</mj-raw>", "{% if vip %}<tr><td>{{ code }}"),
    (mjml, '<mj-text color="{{ colour }}">x</mj-text>', "color:{{ colour }}"),
    (
        mjml,
        "<mj-table>{% for i in items %}<tr><td>{{ i }}</td></tr>{% endfor %}</mj-table>",
        "{% for i in items %}<tr>",
    ),
]


@pytest.mark.parametrize(("convert", "source", "expected"), ODD_PLACES)
def test_a_merge_tag_in_an_odd_place_comes_through(convert, source: str, expected: str) -> None:
    html = convert(source)

    assert expected in html
    tags = r"\{\{.*?\}\}|\{%.*?%\}"
    assert sorted(re.findall(tags, html, re.S)) == sorted(re.findall(tags, source, re.S))  # None doubled or lost.
    filled = parse(html).render(VALUES, "html")
    assert "{{" not in filled.replace("{{ not_a_field }}", "")
    assert not re.search(r"xq\w*\d+[ob]q", html)


def test_whole_sections_of_mjml_depend_on_a_field_in_every_mail_program() -> None:
    source = (
        "<mjml><mj-body>{% if vip %}<mj-wrapper>{% if code %}<mj-section><mj-column><mj-text>Secret</mj-text>"
        "</mj-column></mj-section>{% endif %}</mj-wrapper>{% endif %}<mj-section></mj-section></mj-body></mjml>"
    )
    html = inlined(from_mjml(source)[0])

    with_it, without = (parse(html).render({"vip": vip, "code": "x"}, "html") for vip in ("yes", ""))

    assert "Secret" in with_it
    assert "Secret" not in without
    for filled in (with_it, without):
        # Outlook reads the comments, the others do not: both need as many ends as beginnings.
        for tag in ("table", "tr", "td", "div"):
            assert len(re.findall(rf"<{tag}\b", filled)) == len(re.findall(rf"</{tag}>", filled)), tag
        plain = re.sub(r"<!--.*?-->", "", filled, flags=re.S)
        assert len(re.findall(r"<table\b", plain)) == len(re.findall(r"</table>", plain))


def test_mjml_brings_no_foreign_font_and_its_preview_text_is_ours() -> None:
    html, preheader = from_mjml(
        "<mjml><mj-head><mj-preview>Snow &amp; ice for {{ first_name }}</mj-preview></mj-head>"
        "<mj-body></mj-body></mjml>"
    )

    assert preheader == "Snow & ice for {{ first_name }}"
    assert "Snow" not in html
    assert "fonts.googleapis" not in html


@pytest.mark.parametrize("starter", [each.key for each in starters() if each.markup == "mjml"])
@pytest.mark.parametrize(
    "typed",
    [
        lambda source: source.replace("\n", "\r\n"),  # As browsers send it.
        lambda source: source.replace("\n", "\r"),
        lambda source: source.replace("\n", "\t \n"),
        lambda source: re.sub(r">\s+<", "> <", source),
        lambda source: re.sub(r"(<mj-attributes>|<mj-all [^>]*>)", r"\1<!-- ours --> ", source),
    ],
)
def test_ends_of_lines_blanks_and_comments_change_no_mjml(starter: str, typed: Callable[[str], str]) -> None:
    source = next(each.content for each in starters() if each.key == starter)
    assert typed(source) != source

    html, preheader = from_mjml(typed(source))

    expected, same_preheader = from_mjml(source)
    assert re.sub(r"\s+", "", html) == re.sub(r"\s+", "", expected)
    assert preheader == same_preheader


def test_styles_are_inlined_and_what_cannot_be_stays() -> None:
    html = inlined(
        "<html><head><style>p{color:red} a:hover{color:blue}"
        "@media (prefers-color-scheme:dark){p{color:#fff!important}}</style>"
        '<link rel="stylesheet" href="https://example.com/a.css"></head><body><p>x</p></body></html>'
    )

    assert '<p style="color: red;">x</p>' in html
    assert "prefers-color-scheme" in html
    assert "hover" in html
    assert "p{color:red}" not in html.replace(" ", "")


def test_html_without_styles_is_left_as_it_was() -> None:
    source = "<html><body><P>Broken <b>markup & <a href='x?a=1&b=2'>x</html>"

    assert inlined(source) == source


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "<mjml><mj-body>\n<mj-section>\n</mj-body></mjml>",
            "Line 3: </mj-body> closes nothing; <mj-section> of line 2",
        ),
        ("<mjml><mj-body>\n<mj-colum></mj-colum></mj-body></mjml>", "Line 2: MJML has no <mj-colum>."),
        ("<mjml><mj-body>", "<mj-body> is never closed."),
        ("<mjml><mj-body>\n\n<mj-include path='/etc/passwd' /></mj-body></mjml>", "Line 3: <mj-include> isn't"),
        ("<mjml><mj-body>" + "x" * 1_000_001, "at most 1,000,000"),
        ("<mjml>\n<mj-text>Hi</mj-text></mjml>", "Line 2 can't be read as MJML. Check for a tag"),
        (
            "<mjml><mj-head>\n<mj-preview>Ä</mj-preview></mj-head><mj-body>{{\nx }}</mj-body>\n<mj-text>ä</mj-text>"
            "</mjml>",
            "Line 4 can't be read",
        ),
        ("Hello\n<mjml><mj-body></mj-body></mjml>", "Line 1 is outside <mjml> and </mjml>."),
        ("<mjml><mj-body></mj-body></mjml>\n\nHello", "Line 3 is outside"),
        ("<mjml><mj-body>\nä < y</mj-body></mjml>", "Line 2 can't be read as MJML."),
        ("<mjml><mj-body>\n<mj-text color='a'b='c'>x</mj-text>\n</mj-body></mjml>", "Line 2 can't be read as MJML."),
        ('<mjml><mj-body>\n<mj-section full-width==""></mj-section>\n</mj-body></mjml>', "Line 2 can't be read"),
        ("<mjml><mj-body>\n<div>\n<mj-section></mj-section>\n</mj-body></mjml>", "Line 2 can't be read as MJML."),
        ("<mjml><mj-body>\n</div>\n<mj-section></mj-section>\n</mj-body></mjml>", "Line 2 can't be read as MJML."),
        ("<mjml><mj-body>\n<?xml ?>\n</mj-body></mjml>", "Line 2 can't be read as MJML."),
        ("<mjml><mj-body>\n</mj-body>\n</mjml/>", "Line 3 can't be read as MJML."),
    ],
)
def test_a_mistake_in_mjml_is_told_with_its_line(source: str, sentence: str) -> None:
    with pytest.raises(ContentInvalid, match=re.escape(sentence)):
        from_mjml(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 20_000,
        "<" * 50_000,
        "<p " * 20_000,
        "[" * 20_000,
        "<table>" * 500 + "{% if a %}" * 100,
        "<!--" * 20_000,
        '<a href="' * 10_000,
        "<mj-text>" * 5_000,
        "*a " * 20_000,
        "<style>" + "{" * 20_000,
    ],
)
@pytest.mark.parametrize("convert", [from_markdown, lambda text: from_mjml(text)[0], inlined])
def test_monstrous_sources_are_converted_or_refused_in_time(convert, source: str) -> None:
    began = time.thread_time()

    with suppress(ContentInvalid):
        convert(source)

    assert time.thread_time() - began < 5


def test_the_words_that_stand_for_tags_may_stand_in_the_content_themselves() -> None:
    source = "xq0oq {{ a }} xqzj1bq {% if b %}c{% endif %}"

    assert from_markdown(source) == f"<p>{source}</p>\n"


def test_the_text_made_of_markdown_reads_well() -> None:
    html = from_markdown("# Hi {{ first_name }}\n\n- one\n- two\n\n[Shop](https://example.com/)")

    assert from_html(html).split() == [
        "Hi",
        "{{",
        "first_name",
        "}}",
        "*",
        "one",
        "*",
        "two",
        "Shop",
        "<https://example.com/>",
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            "<p CLASS=x>&copy; Ann\u00a0Lee&nbsp;<br>\n</p>",
            '<p style="color: red;" CLASS=x>&copy; Ann\u00a0Lee&nbsp;<br>\n</p>',
        ),
        ("<td class='x'>alone", "<td class='x'>alone"),
        ("<P Class='x' style='margin:0'>a</P>", "<P Class='x' style=\"color: red;margin: 0\">a</P>"),
        ("<table><tr><td class=x>a</table>", '<table><tr><td style="color: red;" class=x>a</table>'),
        ("<!--[if mso]><p class=x>a</p><![endif]-->", "<!--[if mso]><p class=x>a</p><![endif]-->"),
        (
            "<p style=\"font-family:'A &amp; B'\" title='a>b'>c</p><br/>",
            "<p style=\"font-family:'A &amp; B'\" title='a>b'>c</p><br/>",
        ),
    ],
)
def test_styles_are_written_into_the_bytes_of_the_author(written: str, expected: str) -> None:
    head = "<!DOCTYPE html>\n<html><head><style>{}</style></head><body>\n"

    assert inlined(head.format(".x{color:red}") + written) in (
        head.format("").replace("<style></style>", "") + expected,
        head.format(".x { color: red; }") + expected,  # What fits no element stays in the head.
        head.format(".x{color:red}") + expected,
    )


def test_a_style_sheet_that_fits_nothing_changes_no_byte_of_the_body() -> None:
    body = "<P>a &amp; b&eacute; 'c' \"d\" <br><td>e</BODY>\n"

    result = inlined(f"<style>@media print{{p{{color:red}}}}</style>{body}")

    assert result.endswith(f"</style>{body}")
    assert inlined(body) == body


DEEP = {
    "HTML": ("inlined", "\n<style>a b{color:red}</style>" + "<div>" * 20_000),
    "HTML that is closed wrongly": (
        "inlined",
        "\n<style>a b{color:red}</style>" + "<div><table><tr><td></div>" * 20_000,
    ),
    "HTML without styles": ("inlined", "\n" + "<span>" * 20_000),
    "MJML": ("from_mjml", "<mjml><mj-body>\n" + "<mj-section><mj-column>" * 20_000),
    "HTML in MJML": (
        "from_mjml",
        "<mjml><mj-body><mj-section><mj-column><mj-text>\n"
        + "<div>" * 20_000
        + "</mj-text></mj-column></mj-section></mj-body></mjml>",
    ),
    "HTML in Markdown": ("from_markdown", "\n" + "<b><i>" * 20_000),
    "quotations": ("from_markdown", "\n" + "> " * 20_000 + "a"),
    "lists": ("from_markdown", "\n" + "- " * 20_000 + "a"),
    "numbers": ("from_markdown", "\n" + "1. " * 20_000 + "a"),
    "indented": ("from_markdown", "\n" + " " * 20_000 + "- a"),
    "brackets": ("from_markdown", "\n" + "[" * 20_000 + "a"),
    "pictures": ("from_markdown", "\n" + "![" * 20_000 + "a"),
    "the text of HTML": ("from_html", "\n" + "<div>" * 20_000),
    "the text of bold HTML": ("from_html", "\n" + "".join(f"<div><b id={n}></div>" for n in range(9_000)) + "x"),
}
TRY = """
import pathlib, sys
from campaigns.markup.starter_templates import starters
from campaigns.markup.convert import *
from mail.plaintext import from_html
try:
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]).read_text())
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("name", DEEP)
def test_what_is_nested_thousands_deep_is_refused_and_ends_no_process(name: str, tmp_path: Path) -> None:
    function, source = DEEP[name]
    (tmp_path / "source").write_text(source)

    tried = subprocess.run(
        [sys.executable, "-c", TRY, function, str(tmp_path / "source")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert tried.returncode == 0, tried.stderr[-500:]
    assert re.match(r"Line 2: more than 256 (elements|quotations, lists or brackets) are", tried.stdout)


# --- Markdown that would grow or take long


EXCESSIVE = {
    "a table of many columns": ("\n|" + "a|" * 500 + "\n|" + "-|" * 500 + "\n" + "a\n" * 500, 42, "20,000 cells"),
    "a table that merge tags part": (
        "|" + "a|" * 99 + "\n|" + "-|" * 99 + "\n" + "a{{ x\n\n}}\n" * 500,
        594,
        "20,000 cells",
    ),
    "a table in a quotation": (
        "> |" + "a|" * 99 + "\n> |" + "-|" * 99 + "\n" + "> a\n" * 500,
        200,
        "20,000 cells",
    ),
    "many tables": ("|a|b|c|\n|-|-|-|\n" + "a\n" * 2 + "\n" + "|a|b|c|\n|-|-|-|\na\n\n" * 3000, 0, "20,000 cells"),
    "old line ends": ("|" + "a|" * 500 + "\r|" + "-|" * 500 + "\r" + "a\r" * 500, 0, "20,000 cells"),
    "pictures": ("x\n\n" + "![" * 5000 + "](x)" * 5000, 3, "256 quotations, lists or brackets"),
    "escaped brackets": ("[\\]" * 5000, 1, "256 quotations, lists or brackets"),
    "closed before they open": ("]" * 5000 + "[" * 5000, 1, "256 quotations, lists or brackets"),
    "brackets in code": ("[`]`" * 5000, 1, "2,000 brackets"),
    "targets": ("x\n\n" + "".join(f"[a{number}]: x\n" for number in range(5000)), 2003, "2,000 brackets"),
}


@pytest.mark.parametrize("name", EXCESSIVE)
def test_markdown_that_would_take_long_is_refused_with_its_line(name: str) -> None:
    source, line, what = EXCESSIVE[name]

    with pytest.raises(ContentInvalid, match=rf"^Line {line or '[0-9]+'}: more than {what}"):
        from_markdown(source)


def test_large_tables_and_many_links_are_no_mistake() -> None:
    rows = "|" + "[a](https://e.com)|" * 10 + "\n|" + "-|" * 10 + "\n" + ("|" + "b|" * 10 + "\n") * 1000

    assert from_markdown(rows).count("<tr>") == 1001
    assert from_markdown("- [a](https://e.com)\n\n" * 1500).count("<a ") == 1500


@pytest.mark.parametrize(
    ("source", "markup", "to", "expected"),
    [
        ("# Snow\n\nHello {{ first_name }}", "markdown", "html", "<h1>Snow</h1>\n<p>Hello {{ first_name }}</p>"),
        ("<h1>Snow</h1>", "html", "markdown", "<h1>Snow</h1>"),
        ("<html><body class=x><p>Snow</p></body></html>", "html", "mjml", "<mj-text>\n<p>Snow</p>\n"),
        ("**Snow**", "markdown", "mjml", "<mj-text>\n<p><strong>Snow</strong></p>\n"),
        ("<mj-text>Hello {{ first_name }}</mj-text>", "mjml", "html", "Hello {{ first_name }}"),
    ],
)
def test_a_text_goes_along_into_another_format(source: str, markup: str, to: str, expected: str) -> None:
    text = converted(source, markup, to)

    assert expected in text
    if to == "mjml":
        assert "Snow" in from_mjml(text)[0]


def test_what_cannot_be_converted_says_why() -> None:
    with pytest.raises(ContentInvalid, match=r"A text in mjml can't be converted to markdown\."):
        converted("<mj-text>x</mj-text>", "mjml", "markdown")


_SHEET = "<style>p { color: red }</style>"
OVERWHELMING = {
    "cells in a drawing": _SHEET + "<svg>" + "<tr>" * 15_000,
    "a style sheet in a drawing": _SHEET + "<svg><style>" + "<g>" * 19_000,
    "bold that each paragraph opens again": _SHEET + "<b><p>" * 5_000,
    "much bold that each paragraph opens again": (
        _SHEET + "<p>" + "".join(f"<b id={number}>" for number in range(200)) + "<p>x" * 15_000
    ),
}


@pytest.mark.parametrize("name", OVERWHELMING)
def test_what_overwhelms_the_inliner_ends_only_its_own_process(name: str) -> None:
    with pytest.raises(ContentInvalid, match="Close what is left open, shorten the style sheet, or remove <style>"):
        inlined(OVERWHELMING[name])

    assert 'style="color: red' in inlined(_SHEET + "<p>x</p>")  # The next one is inlined.
