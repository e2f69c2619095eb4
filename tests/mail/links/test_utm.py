"""UTM: links get their parameters, and nothing else changes by a byte."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mail.links import utm

P = {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "holiday_sale"}
T = P | {"utm_term": "shoes", "utm_content": "header_link"}
ADDED = "utm_source=newsletter&utm_medium=email&utm_campaign=holiday_sale"
SKIP = ("https://mail.example.com/u/", "https://mail.example.com/p/", "https://mail.example.com/v/")
TAG = {"url": utm.tag_url, "html": utm.tag_html, "text": utm.tag_text}

# Kind, policy, values (P, T or their own), input, output, why.
CASES = json.loads((Path(__file__).parent / "utm.json").read_text())


@pytest.mark.parametrize(
    ("kind", "policy", "values", "given", "expected", "why"),
    CASES,
    ids=[f"{number}-{case[0]}-{case[5]}" for number, case in enumerate(CASES, 1)],
)
def test_a_case(kind, policy, values, given, expected, why):
    values = {"P": P, "T": T}[values] if isinstance(values, str) else values

    tagged = TAG[kind](given, values, policy=policy, skip=SKIP)

    assert tagged == expected, why
    if "data-utm" not in given.lower():
        assert TAG[kind](tagged, values, policy=policy, skip=SKIP) == tagged, "tagging twice changed it"


@pytest.mark.parametrize("tag", TAG.values())
def test_an_unknown_policy_is_the_callers_mistake(tag):
    with pytest.raises(ValueError, match="the UTM policy is 'keep'; it is 'fill' or 'replace'"):
        tag("https://example.com", P, policy="keep")


def test_a_url_that_is_too_long_to_work_stays_as_it_is():
    short, long = (f"https://x.example/?{'a=1&' * count}" for count in (100, 3_000))

    assert "utm_source=news" in utm.tag_url(short, P)
    assert utm.tag_url(long, P) == long
    assert utm.tag_html(f'<a href="{long}">x</a>', P) == f'<a href="{long}">x</a>'


def test_an_empty_prefix_skips_nothing():
    assert utm.tag_url("https://example.com/", P, skip=("", " ")) == f"https://example.com/?{ADDED}"


# Properties

values = st.dictionaries(st.sampled_from(utm.NAMES), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
policies = st.sampled_from(["fill", "replace"])
plain = st.text(st.sampled_from("abcÄß09-._~!$'()*+,;:@%/ "), max_size=8)
pieces = st.one_of(
    st.just(""),
    st.builds("{}={}".format, st.text(st.sampled_from("abu_%2"), max_size=4), plain),
    st.builds("{}={}".format, st.sampled_from(utm.NAMES), plain),
)
urls = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTPS"]),
    st.sampled_from(["example.com", "user@bücher.example:8080", "[2001:db8::1]"]),
    st.one_of(st.just(""), plain.map("/{}".format)),
    st.one_of(st.just(""), st.lists(pieces, max_size=5).map(lambda parts: "?" + "&".join(parts))),
    st.one_of(st.just(""), plain.map("#{}?".format)),
).map(str.strip)


def pairs(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


@given(urls, values)
def test_a_tagged_url_parses_as_the_original_and_the_parameters(url, codes):
    before, tagged = urlsplit(url), utm.tag_url(url, codes)

    after = urlsplit(tagged)
    assert (after.scheme, after.netloc, after.path, after.fragment) == (
        before.scheme,
        before.netloc,
        before.path,
        before.fragment,
    )
    codes = {name: codes[name] for name in utm.NAMES if codes.get(name, "").strip()}
    filled = {name for name, value in pairs(url) if value.strip()}
    added = [name for name in codes if name not in filled]
    assert [name for name, _ in pairs(tagged)][len(pairs(tagged)) - len(added) :] == added
    kept = [(name, value) for name, value in pairs(url) if name not in added]
    assert pairs(tagged)[: len(kept)] == kept
    assert len(pairs(tagged)) == len(kept) + len(added)


@given(urls, values)
def test_replacing_leaves_exactly_our_parameters(url, codes):
    assume(any(value.strip() for value in codes.values()))

    after = pairs(utm.tag_url(url, codes, policy="replace"))

    ours = [name for name in utm.NAMES if codes.get(name, "").strip()]
    assert [name for name, _ in after if name in utm.NAMES] == ours
    others = [pair for pair in pairs(url) if pair[0] not in utm.NAMES]
    assert [pair for pair in after if pair[0] not in utm.NAMES] == others


# What markup is broken with.
soup = st.lists(
    st.sampled_from([
        *"<>/='\"!-&;{}%?#. \nax\ufdd0",
        *("<a ", "href=", "https://example.com/", "https://x.example", "title=", "</a>", "<v:rect "),
        '<a href="https://a',
        *("{{", "}}", "{%", "%}", "{{ a }}", "{% if a %}", "{% endif %}", "*|A|*", "%%A%%"),
        *("<!--", "-->", "<!--[if mso]>", "<![endif]-->", "<style>", "</style>", "&amp;", "&copy", "&#38;"),
        *("?utm_source=", "&utm_medium=x"),
    ]),
    max_size=40,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("kind", TAG)
@given(soup | urls, values, policies)
@example("https://example.com/?&utm_source=a", {"utm_source": "_"}, "replace")
@example("https://example.com/x.", {"utm_medium": "__", "utm_content": "a."}, "replace")
def test_tagging_twice_changes_nothing(kind, source, codes, policy):
    tagged = TAG[kind](source, codes, policy=policy)

    assert TAG[kind](tagged, codes, policy=policy) == tagged


@given(soup)
def test_html_only_gains_the_parameters(source):
    assume("utm_" not in source)
    tagged = utm.tag_html(source, P)

    # Taking the parameters out again leaves the same characters, but for the quoting of the tagged values.
    bare = re.sub(rf"[?&]?(?:(?<=&)amp;)?{re.escape(ADDED.replace('&', '&amp;'))}", "", tagged)
    assert simplified(bare) == simplified(source)


def simplified(source: str) -> str:
    """Return markup without what tagging a value may write in another way, and the marks it adds to a query."""
    return re.sub(r"[\"'&?;\s]|amp|copy|quot|©|#38", "", source)


@given(soup)
def test_text_only_gains_the_parameters(source):
    assume("utm_" not in source)

    bare = utm.tag_text(source, P).replace(ADDED, "")

    assert re.sub("[?&]", "", bare) == re.sub("[?&]", "", source)


class Events(HTMLParser):
    """Collects what an independent parser reads; addresses of links apart."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.seen: list[object] = []
        self.addresses: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name == "href" and tag in ("a", "area")]
        self.seen.append((tag, [pair for pair in attrs if pair[0] != "href" or tag not in ("a", "area")]))

    def handle_data(self, data: str) -> None:
        self.seen.append(data)

    def handle_comment(self, data: str) -> None:
        self.seen.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.seen.append(("declaration", decl))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(("end", tag))


def quoted(value: str) -> str:
    return '"' + value.replace("&", "&amp;").replace('"', "&quot;") + '"'


texts = st.text(st.sampled_from("ab &;\né>"), max_size=8)  # Braces would make the rest a merge tag.
attributes = st.builds(
    lambda name, value: f" {name}={quoted(value)}",
    st.sampled_from(["class", "title", "data-href", "id"]),
    st.text(st.sampled_from("ab <>&\"'é"), max_size=8),
)
links = st.builds(
    lambda before, tag, url, after, text: f"<{tag}{before} href={quoted(url)}{after}>{text}</{tag}>",
    attributes,
    st.sampled_from(["a", "A", "area"]),
    urls,
    attributes,
    texts,
)
documents = st.lists(
    texts | links | texts.map("<!--{}-->".format) | links.map("<style>{}</style>".format) | st.just("<!DOCTYPE html>"),
    max_size=8,
).map("".join)


@given(documents)
def test_an_independent_parser_sees_the_same_document_with_tagged_addresses(source):
    before, after = Events(source), Events(utm.tag_html(source, P))

    assert after.seen == before.seen
    assert after.addresses == [utm.tag_url(address, P) for address in before.addresses]


BIG = 100_000


@pytest.mark.parametrize(
    "source",
    [
        *(unit * BIG for unit in ("{{", "{%", "<", "<a ", '<a "', '<a href="', "<!--", "<!--[if ", "<style>", "https://")),
        *(f'<a href="https://x.example/{unit * BIG}">' for unit in ("&", "{{a}}", "{% if a %}", "*|", "%%", "\ufdd0")),
        *("https://x.example/" + unit * BIG for unit in (".", ")", "?", "_ ")),
        "<title>" * BIG + "</titl" * BIG,
    ],
    ids=lambda source: source[:30],
)  # fmt: skip
def test_hostile_content_costs_no_more_than_its_length(source):
    began = time.thread_time()

    utm.tag_html(source, P)
    utm.tag_text(source, P)

    assert time.thread_time() - began < 10, "a second look at each character is quadratic: hours for this input"
