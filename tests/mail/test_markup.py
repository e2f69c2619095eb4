"""HTML in one pass: how deep it is, whatever is closed wrongly, and what a browser makes of references."""

import html
import html.entities

import pytest

from mail.markup import TooDeep, attributes_of, check_depth, decoded, tags

N = 20_000
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
    "items": "<ul>" + "<li>a" * N + "</ul>",
    "paragraphs": "<p>a" * N,
    "cells": "<table>" + "<tr><td>a<td>b" * N,
    "fonts left open in cells": "<table>" + "<tr><td><font color=red>x</td></tr>" * N,
    "paragraphs left open": "<div><p>a</div>" * N,
    "spans left open": "<div><span>a</div>" * N,
    "bold left open": "<p><b>x</p>" * N,
    "tables": "<table><tr><td><table><tr><td>x</td></tr></table></td></tr></table>" * N,
    "definitions": "<dl>" + "<dt>a<dd>b" * N,
    "choices": "<select>" + "<option>a" * N,
    "style sheets": "<style>a<div></style>" * N,
    "comments": "<!-- <div> -->" * N,
    "MJML pictures": '<mj-image src="x" />' * N,
    "drawn lines": '<svg><path d="x"/></svg>' * N,
    "Outlook": "<!--[if mso]><table><tr><td><![endif]-->x<!--[if mso]></td></tr></table><![endif]-->" * N,
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_too_deep_is_refused_with_its_line(name: str) -> None:
    with pytest.raises(TooDeep, match=r"^Line 4: more than 256 elements are open inside each other"):
        check_depth("\n\n\n" + DEEP[name])


@pytest.mark.parametrize("name", FLAT)
def test_what_is_long_but_not_deep_is_taken(name: str) -> None:
    check_depth(FLAT[name])


def test_two_hundred_levels_are_no_mistake() -> None:
    check_depth("<table><tr><td>" * 80 + "x" + "</td></tr></table>" * 80)


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
