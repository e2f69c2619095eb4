"""HTML in one pass: how deep it is, whatever is closed wrongly, and what a browser makes of references."""

import html
import html.entities

import pytest

from mail.markup import TooMuch, attributes_of, check_bounds, decoded, tags

N = 20_000
MANY = 2_000
DEEP = {
    "divisions": "<div>" * N + "</div>" * N,
    "spans": "<span>" * N,
    "end tags of nothing": "<div></x>" * N,
    "end tags that a cell keeps away": "<div><table><tr><td></div>" * N,
    "bold that is opened again": "".join(f"<div><b id={number}></div>" for number in range(N)),
    "lists": "<ul><li>" * N,
    "names of one's own": "<x-y>" * N,
    "capitals": "<DIV>" * N,
    "a slash that closes nothing": "<span/>" * N,
    "drawings": "<svg>" + "<g>" * N,
    "conditions": "{% if a %}<div>{% endif %}" * N,
    "Outlook": "<!--[if mso]><div><![endif]-->" * N,
    "MJML": "<mj-section>" * N,
}
FLAT = {
    "items": "<ul>" + "<li>a" * MANY + "</ul>",
    "paragraphs": "<p>a" * MANY,
    "cells": "<table>" + "<tr><td>a<td>b" * MANY,
    "fonts left open in cells": "<table>" + "<tr><td><font color=red>x</td></tr>" * MANY,
    "paragraphs left open": "<div><p>a</div>" * MANY,
    "spans left open": "<div><span>a</div>" * MANY,
    "bold left open": "<p><b>x</p>" * MANY,
    "tables": "<table><tr><td><table><tr><td>x</td></tr></table></td></tr></table>" * MANY,
    "definitions": "<dl>" + "<dt>a<dd>b" * MANY,
    "choices": "<select>" + "<option>a" * MANY,
    "style sheets": "<style>a<div></style>" * MANY,
    "comments": "<!-- <div> -->" * MANY,
    "MJML pictures": '<mj-image src="x" />' * MANY,
    "drawn lines": '<svg><path d="x"/></svg>' * MANY,
    "Outlook": "<!--[if mso]><table><tr><td><![endif]-->x<!--[if mso]></td></tr></table><![endif]-->" * MANY,
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_too_deep_is_refused_with_its_line(name: str) -> None:
    with pytest.raises(TooMuch, match=r"^Line 4: more than 256 elements are open inside each other"):
        check_bounds("\n\n\n" + DEEP[name])


@pytest.mark.parametrize("name", FLAT)
def test_what_is_long_but_not_deep_is_taken(name: str) -> None:
    check_bounds(FLAT[name])


ATTRIBUTES = {
    "numbered": " ".join(f"a{number}=1" for number in range(257)),
    "alike": "a " * 257,
    "merge tags": "".join(f" {{% if b %}}a{number}='{{{{ c }}}}'{{% endif %}}" for number in range(257)),
    "slashes": "/a" * 257,
}


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("tag", ["p", "br", "mj-text", "x-y"])
def test_a_tag_of_too_many_attributes_is_refused_with_its_line(name: str, tag: str) -> None:
    with pytest.raises(TooMuch, match=r"^Line 3: a tag has more than 256 attributes; take some of them out\.$"):
        check_bounds(f"<p>\n\n<{tag} {ATTRIBUTES[name]}>x")


def test_two_hundred_attributes_and_long_ones_are_no_mistake() -> None:
    check_bounds("<p " + " ".join(f"a{number}=1" for number in range(200)) + f" style='{'color: red; ' * 1000}'>x</p>")


def test_too_many_tags_are_refused_with_the_line() -> None:
    with pytest.raises(TooMuch, match=r"^Line 20001: more than 20,000 tags stand before this one"):
        check_bounds("<br>\n" * 20_001)
    check_bounds("<p>a</p>" * 20_000)


def test_two_hundred_levels_are_no_mistake() -> None:
    check_bounds("<table><tr><td>" * 80 + "x" + "</td></tr></table>" * 80)


@pytest.mark.parametrize("after", ["=1", "x", "7", "", "&b=1", "/", "#", ";", " "])
def test_a_reference_in_an_attribute_is_one_where_a_browser_says_so(after: str) -> None:
    for name in html.entities.html5:
        written = f"&{name}{after}"
        is_reference = name.endswith(";") or not (after[:1] == "=" or after[:1].isalnum())
        if not is_reference and f"{name}{after[:1]}" in html.entities.html5:
            continue  # Together they are another name.
        expected = html.entities.html5[name] + after if is_reference else written
        if after == ";" and f"{name};" in html.entities.html5:
            expected = html.entities.html5[f"{name};"]

        assert decoded(written) == expected, written


def test_attributes_are_read_as_a_browser_reads_them() -> None:
    (tag,) = tags("""<A HREF='/x?a=1&region=eu&amp;b=2' title="a > b" data-x=1&copy=2 hidden href=no>""")

    assert attributes_of(tag["attributes"]) == {
        "href": "/x?a=1&region=eu&b=2",
        "title": "a > b",
        "data-x": "1&copy=2",
        "hidden": "",
    }
