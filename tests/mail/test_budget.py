"""What filling a message may cost: every tag, filter, value and text is paid for, those that nobody thought of too."""

import datetime as dt
from typing import Any

import pytest
from liquid.ast import Node
from liquid.tag import Tag

from mail import budget, merge_fields
from mail.addresses import Mailbox
from mail.budget import MOST_WORK, Budget
from mail.merge_fields import MergeError, TooMuchWork, parse
from mail.message.composition import compile_content
from mail.message.style import Recipient, Style

NOW = dt.datetime(2026, 11, 28, 23, 59, 58, tzinfo=dt.UTC)
LONG = "{% capture s %}{% for i in (1..4000) %}all the warm things of winter, {% endfor %}{% endcapture %}"


def again(content: str, rounds: int = 4900) -> str:
    return f"{{% for i in (1..{rounds}) %}}{content}{{% endfor %}}"


HOSTILE = {
    "split, reverse, join": LONG + again("{{ s | split: '' | reverse | join: '' | size }}"),
    "split by a letter": LONG + again("{% assign l = s | split: 'a' | compact %}{{ l.size }}"),
    "upcase": LONG + again("{{ s | upcase | size }}"),
    "escape_once": LONG + again("{{ s | escape_once | size }}"),
    "strip_html": "{% capture s %}{% for i in (1..4000) %}<a <b {% endfor %}{% endcapture %}"
    + again("{{ s | strip_html | size }}"),
    "url_encode": LONG + again("{{ s | url_encode | url_decode | size }}"),
    "squares": "{% assign n = 9999999 %}" + again("{% assign n = n | times: n %}{{ n | modulo: 7 }}"),
    "growing numbers": "{% assign n = 7 %}"
    + again("{% assign n = n | times: 1000000000000000000000000000000000 %}" * 9),
    "concatenation": "{% assign s = 'winter' %}" + again("{% assign s = s | append: s %}"),
    "comparison of texts": LONG + again("{% if s == s %}{% endif %}{% if s contains 'summer' %}{% endif %}"),
    "comparison of lists": "{% capture s %}{% for i in (1..4000) %}a{% endfor %}{% endcapture %}"
    "{% assign l = s | split: '' %}{% assign k = s | split: '' %}" + again("{% if l == k %}{% endif %}"),
    "captures": again("{% capture x %}" + "q" * 100_000 + "{% endcapture %}"),
    "ifchanged": again("{% ifchanged %}" + "q" * 100_000 + "{{ i }}{% endifchanged %}"),
    "increments": again("{% increment a %}{% decrement b %}{% cycle 'x', 'y' %}" * 300),
    "conditions": again("{% if a %}{% endif %}" * 1000),
    "long conditions": again(("{% if " + " or ".join(["1 == 2"] * 150) + " %}{% endif %}") * 40),
    "long paths": again(("{% for j in a" + ".b" * 900 + " %}{% endfor %}") * 40),
    "cases": again("{% case 1 %}{% when " + ",".join(["1"] * 600) + " %}x{% endcase %}"),
    "nested loops": "{% for i in (1..70) %}{% for j in (1..70) %}{{ i | plus: j }}"
    + "{% unless a %}{% endunless %}" * 800
    + "{% endfor %}{% endfor %}",
    "table rows": "{% tablerow i in (1..4900) cols: 2 %}" + "{% if a %}{% endif %}" * 800 + "{% endtablerow %}",
    "dates": again("{{ '2026-11-28' | date: '%A %c %A %c %A %c' }}" * 90),
    "values": again("{% if many == other %}{% endif %}" * 5, 1000),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("escape", ["text", "html"])
def test_work_is_refused_when_the_budget_is_used_up(name: str, escape: merge_fields.Escape) -> None:
    values = {"many": ["tea"] * 2000, "other": ["tea"] * 2000}

    with pytest.raises(MergeError) as raised:
        parse(HOSTILE[name]).render(values, escape)

    assert isinstance(raised.value, TooMuchWork) or "grows too large" in str(raised.value)


def test_a_tag_and_a_filter_that_nobody_thought_of_are_paid_for(monkeypatch: Any) -> None:
    class Idle(Node):
        def render_to_output(self, *_: Any) -> int:
            return 0

    class IdleTag(Tag):
        name = "idle"
        block = False

        def parse(self, stream: Any) -> Node:
            return Idle(stream.current)

    monkeypatch.setitem(merge_fields._TEXT.tags, "idle", IdleTag(merge_fields._TEXT))
    with_filter = parse("{% if a %}{% endif %}{{ s | echo }}", {"echo": lambda value: value * 3})
    used = Budget()
    with_filter.render({"s": "tea" * 1000}, "text", used)
    assert MOST_WORK - used.left > 9_000  # Three thousand letters go in, nine thousand come out.

    few, many = Budget(), Budget()
    parse("{% for i in (1..10) %}{% idle %}{% endfor %}").render({}, "text", few)
    parse("{% for i in (1..1000) %}{% idle %}{% endfor %}").render({}, "text", many)
    assert MOST_WORK - many.left > 90 * (MOST_WORK - few.left)


def test_a_list_of_two_hundred_things_is_far_from_the_limit() -> None:
    source = (
        "{% for item in items %}<tr><td>{{ forloop.index }}</td><td>{{ item.name | escape | truncate: 40 }}</td>"
        "<td>{% if item.reduced %}<s>{{ item.price | times: 1.2 | round: 2 }}</s>{% endif %} {{ item.price }}</td>"
        "<td>{% for colour in item.colours %}{{ colour | capitalize }}{% unless forloop.last %}, {% endunless %}"
        '{% endfor %}</td><td><a href="https://shop.example/{{ item.id | url_encode }}">{{ item.text }}</a></td></tr>'
        "{% endfor %}"
    )
    items = [
        {
            "id": f"w {number}",
            "name": f"Winter coat {number}",
            "price": 80 + number,
            "reduced": number % 2,
            "text": "Warm and light. " * 20,
            "colours": ["red", "green", "blue"],
        }
        for number in range(200)
    ]
    used = Budget()

    rendered = parse(source).render({"items": items}, "html", used)

    assert rendered.count("<tr>") == 200
    assert MOST_WORK - used.left < MOST_WORK / 4


def test_all_parts_of_a_message_share_one_budget() -> None:
    conditions = MOST_WORK * 6 // 10 // 4900 // (budget.NODE_WORK + 1)  # More than half of the work.
    loop = "{% for i in (1..4900) %}" + "{% if a %}{% endif %}" * conditions + "{% endfor %}"
    style = Style(mail_from=Mailbox("", "news@example.com"))
    recipient = Recipient("ann@example.com", "<1.2@example.com>", {})

    compile_content("Hi", "", loop, style).render(recipient)
    with pytest.raises(TooMuchWork):
        compile_content("Hi", f"<p>{loop}</p>", loop, style).build(
            Recipient("ann@example.com", "<1.2@example.com>", {}), NOW
        )


def test_who_is_late_is_stopped_in_the_middle() -> None:
    asked: list[int] = []

    def is_late() -> bool:
        asked.append(1)
        return len(asked) > 3

    used = Budget(is_late)
    with pytest.raises(TooMuchWork, match="takes too long"):
        parse(again("{{ i }}{% if a %}{% endif %}" * 20)).render({}, "text", used)

    assert MOST_WORK - used.left < 5 * budget.LOOK_WORK


@pytest.mark.parametrize("tag", ["{{ a }}" + " " * 100, "{% if " + "a or " * 300 + "a %}x{% endif %}"])
def test_more_tags_than_anybody_writes_are_refused_with_their_line(tag: str) -> None:
    with pytest.raises(MergeError, match=r"^Line [1-9][0-9]+: up to here the content has more merge tags"):
        parse(f"{tag}\n" * (1_200_000 // len(tag)))


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("<p>Tea &amp; <b>more</b></p>", "Tea &amp; more"),
        ("a < b, 3 <4", "a < b, 3 <4"),
        ("<script>x</script>y<!-- <b> -->z<style>b{}</style>", "yz"),
        ('<a title=">">x</a>', "x"),
        ("<a <a <a " * 20_000, ""),
    ],
)
def test_strip_html_leaves_the_words(source: str, left: str) -> None:
    assert parse("{{ s | strip_html }}").render({"s": source}) == left
