"""Merge fields: what they may say, what they reach, and what they may cost."""

import datetime as dt
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from liquid import Environment
from markupsafe import Markup

from mail.budget import Budget
from mail.merge_fields import (
    Flag,
    MergeError,
    Unknown,
    name_columns,
    name_values,
    names_without_default,
    parse,
    unknown_names,
)

NAMES = {"first_name": "Ann", "last_name": "Lee"}


@pytest.mark.parametrize(
    ("source", "values", "expected"),
    [
        ("Dear {{ first_name }},", NAMES, "Dear Ann,"),
        ("Dear {{first_name}}{{last_name}}", NAMES, "Dear AnnLee"),
        ('Dear {{ first_name | default: "friend" }}', {}, "Dear friend"),
        ('Dear {{ first_name | default: "friend" }}', {"first_name": " \t"}, "Dear friend"),
        ('Dear {{ first_name | default: "friend" }}', {"first_name": None}, "Dear friend"),
        ("Dear {{ nobody }}.", NAMES, "Dear ."),
        ("{{ order.lines[0].name }}", {"order": {"lines": [{"name": "Tea"}]}}, "Tea"),
        (
            "{% for line in lines %}{{ line.n }}x{{ line.name }};{% endfor %}",
            {"lines": [{"n": 2, "name": "Tea"}]},
            "2xTea;",
        ),
        ("{{ first_name | upcase | append: '!' }}", NAMES, "ANN!"),
        ("{{ since | date: '%d.%m.%Y' }}", {"since": "2026-11-23"}, "23.11.2026"),
        ("{{ since | date: '%d.%m.%Y' }}", {"since": "long ago"}, "long ago"),
        ("{% comment %}{{ first_name }}{% endcomment %}x", NAMES, "x"),
        ("{% raw %}{{ first_name }}{% endraw %}", NAMES, "{{ first_name }}"),
        ("{% assign who = first_name %}{{ who }}{{ first_name }}", NAMES, "AnnAnn"),
        ("a\r\nb\rc{{ note }}", {"note": "d\r\ne"}, "a\nb\ncd\ne"),
        ("{{ 2 }} braces } } {{ 'x' }}", {}, "2 braces } } x"),
        ("no tags, 100 % { sure }", {}, "no tags, 100 % { sure }"),
    ],
)
def test_a_template_renders(source: str, values: dict[str, Any], expected: str) -> None:
    assert parse(source).render(values) == expected


@pytest.mark.parametrize(
    ("source", "with_yes", "with_no"),
    [
        ("{{ vip }}", "yes", "no"),
        ('{{ vip | default: "?" }}', "yes", "no"),
        ("{{ vip | upcase }}", "YES", "NO"),
        ("{% if vip %}a{% else %}b{% endif %}", "a", "b"),
        ("{% unless vip %}a{% endunless %}", "", "a"),
        ("{% if vip and true %}a{% endif %}", "a", ""),
        ("{% if vip == true %}a{% endif %}", "a", ""),
        ("{% if vip == 'no' %}a{% endif %}", "", "a"),
        ("{% if vip != 'yes' %}a{% endif %}", "", "a"),
    ],
)
def test_yes_and_no_are_words_and_conditions(source: str, with_yes: str, with_no: str) -> None:
    template = parse(source)

    assert template.render({"vip": Flag(True)}) == with_yes
    assert template.render({"vip": Flag(False)}) == with_no


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize(
    "condition",
    ["city", "city and true", "true and city", "city != blank", "city != ''", "false or city"],
)
def test_what_is_blank_or_missing_is_false_in_a_condition(condition: str, value: str | None) -> None:
    template = parse(f"{{% if {condition} %}}in {{{{ city }}}}{{% else %}}nowhere{{% endif %}}")

    assert template.render({"city": value}) == "nowhere"
    assert template.render({}) == "nowhere"
    assert template.render({"city": "Rome"}) == "in Rome"


def test_white_space_is_blank_in_a_condition() -> None:
    template = parse("{% if city %}in {{ city }}{% endif %}{% if city != blank %}in {{ city }}{% endif %}")

    assert template.render({"city": " \t"}) == ""


def test_a_missing_name_is_nil() -> None:
    assert parse("{% if x == nil %}nil{% endif %}{% if x != nil %}not nil{% endif %}").render({}) == "nil"


@pytest.mark.parametrize(
    ("condition", "points", "expected"),
    [
        ("points > 9", "10", True),
        ("points > 9", "9.5", True),
        ("points > 9", "9", False),
        ("points > 9", "many", False),
        ("points > 9", "", False),
        ("9 < points", "10", True),
        ("points == 10", "10", True),
        ("points != 10", "10", False),
        ("points >= 10 and points <= 10", "10", True),
        ('points == "10"', "10", True),
    ],
)
def test_text_is_read_as_a_number_where_it_is_compared_with_one(condition: str, points: str, expected: bool) -> None:
    template = parse(f"{{% if {condition} %}}yes{{% endif %}}")

    assert template.render({"points": points}) == ("yes" if expected else "")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ x }}", "&lt;b&gt; &amp; &#34;q&#34; &#39;s&#39;"),
        ("{{ nobody | default: x }}", "&lt;b&gt; &amp; &#34;q&#34; &#39;s&#39;"),
        ("{{ x | upcase }}", "&lt;B&gt; &amp; &#34;Q&#34; &#39;S&#39;"),
        ("{% if x %}{{ x }}{% endif %}", "&lt;b&gt; &amp; &#34;q&#34; &#39;s&#39;"),
        ("{% assign y = x %}{{ y }}", "&lt;b&gt; &amp; &#34;q&#34; &#39;s&#39;"),
        ("{% capture y %}<i>{{ x }}</i>{% endcapture %}{{ y }}", "<i>&lt;b&gt; &amp; &#34;q&#34; &#39;s&#39;</i>"),
        ("{% for y in list %}{{ y }}{% endfor %}", "&lt;b&gt;"),
        ("{{ list | join: ', ' }}", "&lt;b&gt;"),
        ('<a href="{{ x }}">', '<a href="&lt;b&gt; &amp; &#34;q&#34; &#39;s&#39;">'),
    ],
)
def test_values_are_escaped_in_html_and_nowhere_else(template: str, expected: str) -> None:
    values = {"x": "<b> & \"q\" 's'", "list": ["<b>"]}

    assert parse(template).render(values, "html") == expected
    assert "&lt;" not in parse(template).render(values, "text")


def test_a_value_cannot_bring_html_of_its_own() -> None:
    values = {"x": Markup("<b>"), "list": [Markup("<b>")]}

    assert parse("{{ x }}").render(values, "html") == "&lt;b&gt;"
    assert parse("{{ x | strip }}{% for y in list %}{{ y }}{% endfor %}").render(values, "html") == "&lt;b&gt;" * 2


@pytest.mark.parametrize(
    "payload",
    [
        "{{ secret }}",
        "{% if true %}x{% endif %}",
        "{{7*7}}",
        "${7*7}",
        "{% include 'x' %}",
        "{{ ''.__class__ }}",
        "%7B%7B",
    ],
)
def test_a_value_is_never_read_as_a_template(payload: str) -> None:
    values = {"first_name": payload, "secret": "s3cret"}

    assert parse("{{ first_name }}").render(values) == payload
    assert parse("{% if first_name %}{{ first_name | strip }}{% endif %}").render(values) == payload


class Leaky(str):
    secret = "s3cret"


@pytest.mark.parametrize(
    "source",
    ["{{ x.secret }}", "{{ x.__class__ }}", "{{ x['secret'] }}", "{{ x.upper }}", "{{ y.real }}", "{{ z.keys }}"],
)
def test_a_template_reaches_no_attribute_and_no_method(source: str) -> None:
    assert parse(source).render({"x": Leaky("text"), "y": 5, "z": {}, "secret": "s3cret"}) == ""


def test_a_template_has_no_clock() -> None:
    assert parse('{{ "now" | date: "%Y" }}{{ "today" | date: "%Y" }}').render({}) == "nowtoday"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ann\r\nBcc: eve@example.com", "Hi Ann Bcc: eve@example.com"),
        ("Ann\nX", "Hi Ann X"),
        ("A\x00\x1b\x7f\x85\u2028n", "Hi A n"),
        ("Ann\t\t", "Hi Ann"),
    ],
)
def test_a_header_is_one_line(value: str, expected: str) -> None:
    assert parse("Hi {{ x }}").render({"x": value}, "header") == expected


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ x", "Line 1: “{{ x” is never closed; close it with }}, or remove it."),
        ("a\n\n{% if x", "Line 3: “{% if x” is never closed; close it with %}, or remove it."),
        ("a\n{% if x %}b", "Line 2: {% if %} is never ended; add {% endif %}."),
        ("{% for x in y %}{% if x %}{% endif %}", "Line 1: {% for %} is never ended; add {% endfor %}."),
        ("a\n{{ x | upcas }}", "Line 2: there is no filter named “upcas”; did you mean “upcase”?"),
        ("{{ x | qqqq }}", "Line 1: there is no filter named “qqqq”; remove it."),
        ("{{ x | safe }}", "Line 1: there is no filter named “safe”; remove it."),
        (
            "a\nb {{ first name }}",
            "Line 2: “{{ first name }}” does not work: expected end of expression, found word."
            " Correct it, or remove it.",
        ),
        (
            "a\n{% if x == %}{% endif %}",
            "Line 2: “{% if x == %}” does not work: expected a primitive expression, found end of expression."
            " Correct it, or remove it.",
        ),
        ("x {{ }}", "Line 1: a merge tag is empty or full of spaces; remove them."),
        ("{% raw %}", "Line 1: “{% raw %}” is never closed; close it with {% endraw %}, or remove it."),
        ("{% break %}", "A break or continue stands outside a loop; move it between {% for %} and {% endfor %}."),
        (
            "{{ 1 | divided_by: 0 }}",
            "Line 1: “{{ 1 | divided_by: 0 }}” does not work: divided_by: can't divide by 0. Correct it, or remove it.",
        ),
        (
            "{{ '1e400' | times: 1e400 | round }}",
            "A merge tag cannot use one of its values; correct the tag, or the value.",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(source: str, sentence: str) -> None:
    with pytest.raises(MergeError) as raised:
        parse(source).render({"x": "1"})

    assert str(raised.value) == sentence


@pytest.mark.parametrize("tag", ["include 'settings'", "render 'settings'", "liquid\nassign x = 1", "extends 'a'"])
def test_a_template_loads_nothing(tag: str) -> None:
    with pytest.raises(MergeError, match="unexpected tag"):
        parse(f"{{% {tag} %}}")


TENFOLD = " | replace: 'x', 'xxxxxxxxxx'"

BOMBS = {
    "long loop": "{% for i in (1..1000000000) %}x{% endfor %}",
    "nested loops": "{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}",
    "table loop": "{% tablerow i in (1..100000000) %}x{% endtablerow %}",
    "joined range": "{{ (1..1000000000) | join: ',' }}",
    "reversed range": "{% assign x = (1..1000000000) | reverse %}",
    "range as argument": "{{ 'a' | append: (1..1000000000) | size }}",
    "filters that multiply": "{{ 'x'" + TENFOLD * 12 + " }}",
    "doubling": "{% assign x = 'xxxxxxxxxx' %}" + "{% assign x = x | append: x %}" * 40,
    "capture": "{% capture x %}"
    + "x" * 400
    + "{% endcapture %}"
    + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 40,
    "output": "{% for i in (1..5000) %}" + "x" * 2000 + "{% endfor %}",
    "spaces": ("{{" + " " * 1900 + "}}") * 1000,
    "more spaces": ("{{ x" + " " * 1900 + "}}") * 1000,
    "unclosed": "{{" * 500_000,
    "unclosed tags": "{%" * 500_000,
    "closed late": "{{" * 500_000 + "}}",
    "raw": "{% raw %}" * 100_000,
    "deep": "{% if x %}" * 20_000 + "{% endif %}" * 20_000,
    "huge": "x" * 2_000_001,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_template_that_would_take_too_much_is_refused_at_once(name: str) -> None:
    started = time.thread_time()

    with pytest.raises(MergeError) as raised:
        parse(BOMBS[name]).render({})

    assert time.thread_time() - started < 10  # Without the limits each takes minutes, or all memory.
    assert str(raised.value).endswith(".")


def test_values_too_large_are_refused() -> None:
    with pytest.raises(MergeError, match=r"^The content grows too large"):
        parse("{{ x }}{{ x }}").render({"x": "x" * 3_000_000})


def test_names_are_those_a_contact_must_have() -> None:
    template = parse(
        "{{ first_name }}{% if city %}{{ order.total | append: tax }}{% endif %}"
        "{% for x in items %}{{ x.name }}{{ forloop.index }}{% endfor %}{% assign y = plan %}{{ y }}"
    )

    assert template.names == {"first_name", "city", "order", "tax", "items", "plan"}


def test_unknown_names_come_with_the_likeliest_known_one() -> None:
    template = parse("{{ firstname }}{{ FirstName }}{{ emial }}{{ shoe_size }}{{ last_name }}")

    found = unknown_names(template, ["first_name", "last_name", "email", "unsubscribe_url"])

    assert found == [("FirstName", "first_name"), ("emial", "email"), ("firstname", "first_name"), ("shoe_size", "")]


names = st.lists(st.tuples(*[st.sampled_from(["", " ", "Ann", " Lee "])] * 2), max_size=5)


@given(names, st.sampled_from(["", "Friend"]))
def test_names_of_many_people_are_those_of_each(people: list[tuple[str, str]], unknown: str) -> None:
    columns = name_columns([first for first, _ in people], [last for _, last in people], unknown, "Customer")

    rows = [name_values(first, last, unknown, "Customer") for first, last in people]
    assert columns == {name: [row[name] for row in rows] for name in columns}
    for name, column in columns.items():
        assert list(map(type, column)) == [type(row[name]) for row in rows]


@pytest.mark.parametrize(
    ("first", "last", "full", "greeting"),
    [
        ("Ann", "Lee", "Ann Lee", "Ann, Lee"),
        ("", "Lee", "Lee", "Friend, Lee"),
        ("Ann", " \t", "Ann", "Ann, Customer"),
        ("", "", "Friend Customer", "Friend, Customer"),
        ("\n", "\u00a0", "Friend Customer", "Friend, Customer"),
    ],
)
def test_unknown_names_get_the_stand_ins_of_the_server(first: str, last: str, full: str, greeting: str) -> None:
    values = name_values(first, last, "Friend", "Customer")

    assert values["full_name"] == full
    assert parse("{{ first_name }}, {{ last_name }}").render(values) == greeting


@pytest.mark.parametrize(
    ("first", "last", "full"), [("Friend", "", "Friend"), ("", "Customer", "Customer"), ("", "", "")]
)
def test_a_full_name_joins_only_the_stand_ins_there_are(first: str, last: str, full: str) -> None:
    assert name_values("", "", first, last)["full_name"] == full


@pytest.mark.parametrize("tag", ['{{ first_name | default: "you" }}', '{{ first_name | default: "you" | strip }}'])
def test_a_default_in_the_tag_wins_over_the_stand_in(tag: str) -> None:
    assert parse(tag).render(name_values("", "", "Friend", "")) == "you"
    assert parse(tag).render(name_values("Ann", "", "Friend", "")) == "Ann"
    assert parse("{{ first_name }}").render({"first_name": Unknown("<Friend>")}, "html") == "&lt;Friend&gt;"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
pieces = st.lists(
    st.sampled_from(
        [
            "{{ a }}",
            "{{b}}",
            '{{ c | default: "d&" }}',
            "<p>",
            "\n",
            " ",
            "{{- a -}}",
            "x",
            "{% comment %}{% endcomment %}",
        ]
    ),
    max_size=12,
).map("".join)


@given(
    pieces, st.dictionaries(st.sampled_from("abc"), texts | st.integers() | st.none() | st.booleans()), st.booleans()
)
def test_plain_templates_render_as_liquid_does(source: str, values: dict[str, Any], is_html: bool) -> None:
    template = parse(source)
    assert template.fields is not None
    liquid = Environment(autoescape=is_html)
    # Blank text counts as nothing here, and line ends are one kind: both on purpose.
    given = {
        name: value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and (not isinstance(value, str) or value.strip() or name != "c")
    }

    assert template.render(values, "html" if is_html else "text") == liquid.from_string(source).render(**given)
    assert template._render_nodes(values, is_html, Budget()) == template.fill(values, "html" if is_html else "text")


@given(st.text(alphabet="{}%|:-'\" \nabfor if(1..9)", max_size=60))
def test_any_source_renders_or_is_refused_with_a_sentence(source: str) -> None:
    sentence = "."
    try:
        parse(source).render({"a": "b"}, "html")
    except MergeError as error:
        sentence = str(error)

    assert sentence.endswith((".", "?"))


def test_an_instant_is_shown_in_its_own_zone() -> None:
    instant = dt.datetime(2026, 11, 23, 23, 30, tzinfo=dt.UTC).isoformat()

    assert parse("{{ at | date: '%d %H:%M' }}").render({"at": instant}) == "23 23:30"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{{&nbsp;first_name&nbsp;}}", "Ann"),
        ("{{\u00a0first_name\u200b }}", "Ann"),
        ("{{&#160;nobody | default: &quot;friend&quot; }}", "friend"),
        ("{{ nobody | default: “dear friend” }}", "dear friend"),
        ("{{ nobody | default: „Freund“ }}", "Freund"),
        ("{% if first_name == ‘Ann’ %}hello{% endif %}", "hello"),
        ("{% if 3 &gt; 2 %}more{% endif %}", "more"),
        ("{{ nobody | default: '“it’s” & me' }}", "“it’s” & me"),
        ("“{{ first_name }}”&nbsp;", "“Ann”&nbsp;"),
    ],
)
def test_what_an_editor_typed_into_a_tag_is_mended(written: str, meant: str) -> None:
    assert parse(written).render(NAMES) == meant


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("Hello {{ first_name }}, {{ city | upcase }}", {"first_name", "city"}),
        ('{{ city | default: "here" | upcase }}', set()),
        ("{% if vip %}x{% elsif city %}{{ city }}{% endif %}", set()),
        ("{% unless city == blank %}{{ city }}{% endunless %}", set()),
        ("{% case city %}{% when 'Bonn' %}{{ city }}{% endcase %}", set()),
        ("{% for each in items %}{{ each }} {{ city }}{% endfor %}", {"city"}),
        ("{% capture line %}{{ city }}{% endcapture %}{{ line }}", {"city"}),
        ("{% assign place = city | default: 'here' %}{{ place }}", set()),
    ],
)
def test_names_that_leave_a_gap_are_shown_without_a_default_or_a_condition(source: str, names: set[str]) -> None:
    assert names_without_default(parse(source)) == names
