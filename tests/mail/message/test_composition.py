"""Whole messages, read back by the standard library's parsers."""

import datetime as dt
import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mail.addresses import Mailbox
from mail.merge_fields import MergeError, Unknown
from mail.message.composition import Compiled, compile_content
from mail.message.style import Recipient, Style

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
PLAIN = Style(mail_from=Mailbox("Example Shop", "news@example.com"))
FULL = Style(
    mail_from=Mailbox("Example Shop", "news@example.com"),
    reply_to="help@example.com",
    cc=("Boss <boss@example.com>", "ann@gmail.example"),
    list_id="Example news <news.lists.example.com>",
    precedence="bulk",
    complaints_to="fbl@example.com",
    abuse_to="abuse@example.com",
    feedback_id="c1042:acme:news:brilliance1",
    has_unsubscribe=True,
    organisation="Example Ltd",
    postal_address="1 Example Street\nExampletown",
    utm={"utm_source": "newsletter", "utm_medium": "email"},
    utm_skip=("https://mail.example.com/u/",),
)
HTML = '<html><body><p>Hello {{ first_name }}, <a href="https://example.com/p?id=7">look</a>.</p></body></html>'
UTM = "utm_source=newsletter&utm_medium=email"


def recipient(**changes: Any) -> Recipient:
    defaults: dict[str, Any] = {
        "address": "ann@example.com",
        "message_id": "<7k3f9q2mzx4a@example.com>",
        "values": {"first_name": "Ann"},
        "unsubscribe_url": "https://mail.example.com/u/7k3f9q2mzx4a",
        "feedback_id": "c1042:7k3f9q2mzx4a",
    }
    return Recipient(**{**defaults, **changes})


def read(wire: bytes) -> EmailMessage:
    message = email.message_from_bytes(wire, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    return "" if found is None else found.get_content().replace("\r\n", "\n")


def check_wire(wire: bytes) -> None:
    """What must be true of the bytes of every message."""
    assert wire.endswith(b"\r\n")
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert b"\0" not in wire
    for line in wire.split(b"\r\n"):
        assert len(line) <= 998
        assert not line.startswith(b".")
    head = wire.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert len(names) == len(set(names))
    assert {b"date", b"from", b"to", b"subject", b"message-id", b"mime-version", b"content-type"} <= set(names)
    assert not {b"bcc", b"return-path", b"received", b"sender"} & set(names)


def test_a_campaign_message_has_every_header_once_and_in_order() -> None:
    wire = compile_content("Winter sale", HTML, "", FULL).build(recipient(), NOW)

    check_wire(wire)
    assert read(wire).items()[:20] == [
        ("Date", "Mon, 23 Nov 2026 09:15:02 +0000"),
        ("From", "Example Shop <news@example.com>"),
        ("Reply-To", "help@example.com"),
        ("To", "ann@example.com"),
        ("Cc", "Boss <boss@example.com>, ann@gmail.example"),
        ("Subject", "Winter sale"),
        ("Message-ID", "<7k3f9q2mzx4a@example.com>"),
        ("List-Id", "Example news <news.lists.example.com>"),
        ("List-Unsubscribe", "<https://mail.example.com/u/7k3f9q2mzx4a>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Precedence", "bulk"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("Feedback-ID", "c1042:acme:news:brilliance1"),
        ("CFBL-Address", "fbl@example.com; report=arf"),
        ("CFBL-Feedback-ID", "c1042:7k3f9q2mzx4a"),
        ("X-Complaints-To", "fbl@example.com"),
        ("X-Report-Abuse", "Please report abuse to abuse@example.com"),
        ("X-Abuse-Reports-To", "abuse@example.com"),
        ("MIME-Version", "1.0"),
        ("Content-Type", read(wire)["Content-Type"]),
    ]


def test_each_switch_adds_its_own_headers_and_nothing_else() -> None:
    bare = set(read(compile_content("Hi", HTML, "", PLAIN).build(recipient(), NOW)).keys())
    assert bare == {"Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"}

    for changes, added in [
        ({"reply_to": "help@example.com"}, {"Reply-To"}),
        ({"cc": ("boss@example.com",)}, {"Cc"}),
        ({"list_id": "<a.example.com>"}, {"List-Id"}),
        ({"precedence": "list"}, {"Precedence", "X-Auto-Response-Suppress"}),
        ({"auto_submitted": True}, {"Auto-Submitted"}),
        ({"complaints_to": "fbl@example.com"}, {"CFBL-Address", "CFBL-Feedback-ID", "X-Complaints-To"}),
        ({"abuse_to": "abuse@example.com"}, {"X-Report-Abuse", "X-Abuse-Reports-To"}),
        ({"feedback_id": "a:b:c:sender"}, {"Feedback-ID"}),
        ({"has_unsubscribe": True}, {"List-Unsubscribe", "List-Unsubscribe-Post"}),
        ({"has_unsubscribe": True, "is_one_click": False}, {"List-Unsubscribe"}),
        ({"language": "de", "says_language": True}, {"Content-Language"}),
        ({"extra_headers": (("X-Campaign", "Grüße"),)}, {"X-Campaign"}),
    ]:
        style = Style(mail_from=PLAIN.mail_from, **changes)  # type: ignore[arg-type]
        assert set(read(compile_content("Hi", HTML, "", style).build(recipient(), NOW)).keys()) == bare | added


def test_a_long_list_unsubscribe_stays_one_readable_address() -> None:
    url = "https://mail.example.com/u/" + "x" * 300

    wire = compile_content("Hi", HTML, "", FULL).build(recipient(unsubscribe_url=url), NOW)

    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in wire
    assert email.message_from_bytes(wire)["List-Unsubscribe"] == f"<{url}>"


def test_a_mailto_address_is_no_one_click() -> None:
    wire = compile_content("Hi", HTML, "", FULL).build(recipient(unsubscribe_url="mailto:out@example.com"), NOW)

    assert read(wire)["List-Unsubscribe"] == "<mailto:out@example.com>"
    assert "List-Unsubscribe-Post" not in read(wire)


@pytest.mark.parametrize(
    ("html", "text", "kinds"),
    [
        (HTML, "Hello {{ first_name }}", {"multipart/alternative", "text/plain", "text/html"}),
        (HTML, "", {"multipart/alternative", "text/plain", "text/html"}),
        ("", "Hello {{ first_name }}", {"text/plain"}),
        ("", "", {"text/plain"}),
        ("<p>Hi</p>", "\n ", {"multipart/alternative", "text/plain", "text/html"}),
    ],
)
def test_each_combination_of_parts_works(html: str, text: str, kinds: set[str]) -> None:
    compiled = compile_content("Hi", html, text, FULL)

    wire = compiled.build(recipient(), NOW)

    check_wire(wire)
    message = read(wire)
    assert {found.get_content_type() for found in message.walk()} == kinds
    assert {found.get_content_charset() for found in message.walk() if not found.is_multipart()} == {"utf-8"}
    check_same(compiled, recipient())


def check_same(compiled: Compiled, to: Recipient) -> None:
    """What is built from prepared bytes says the same as what is rendered for people."""
    rendered = compiled.render(to)
    wire = compiled.build(to, NOW)
    message = read(wire)
    assert part(message, "plain") == without_controls(rendered.text)
    assert part(message, "html") == without_controls(rendered.html)
    assert message["Subject"] == rendered.subject


def without_controls(text: str) -> str:
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text)


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
contents = st.lists(
    st.sampled_from(
        [
            *(
                "{{ a }}",
                "{{ b | upcase }}",
                '{{ c | default: "<i>" }}',
                "{% if a %}A{% else %}B{% endif %}",
                "{{ unsubscribe_url }}",
            ),
            *(
                "{% for x in list %}{{ x }};{% endfor %}",
                "{% assign d = a %}{{ d }}",
                "<p>",
                "</p>\n",
                "&amp;",
                " ",
                ".",
                "From ",
            ),
            *(
                "<table><tr><td>x</td></tr></table>",
                '<a href="https://example.com/?a={{ a }}">x</a>',
                '<a href="{{ b }}">x</a>',
                "é" * 30,
            ),
        ]
    )
    | st.text("xyz .=\n", max_size=90),
    max_size=15,
).map("".join)


@given(
    contents,
    contents | st.just(""),
    contents,
    st.fixed_dictionaries({"a": anything, "b": anything, "c": anything}),
    st.lists(anything, max_size=3),
)
def test_prepared_bytes_and_rendered_words_say_the_same(
    html: str, text: str, subject: str, values: dict[str, Any], entries: list[str]
) -> None:
    subject = subject.replace("\n", " ")
    compiled = compile_content(subject, html, text, FULL)
    to = recipient(values={**values, "list": entries})

    check_wire(compiled.build(to, NOW))
    check_same(compiled, to)


# Between plain words, which are encoded once for all their places, and what only looks like them.
wordlike = (
    st.text("Aaz09 .,:/?#_()!@%-", max_size=80)
    | st.text("A9 .'\"&<>=~\0\t\r\nFromé\u2028", max_size=12)
    | st.sampled_from(
        ["Ann", "From ", "From A", ".", ".a", " a", "a ", "a" * 74, "a" * 75, "a" * 76, "a\0b", "a\0", ""]
    )
    | st.integers()
    | st.sampled_from([None, True, Unknown("Friend"), Unknown("")])
)
FIELDS = "{{ a }}, {{ b }}{{ a }}\n{{ c | default: 'none & <b>' }} .{{ b | default: 'x' }} {{ unsubscribe_url }}\n"


@given(st.dictionaries(st.sampled_from("abc"), wordlike))
@example({"a": "a\0b", "b": "c"})
@example({"a": "Ann", "b": "Lee", "c": Unknown("Friend")})
def test_mere_fields_are_filled_as_liquid_fills_them(values: dict[str, Any]) -> None:
    to = recipient(values=values)
    by_liquid = "{% if true %}{% endif %}"
    quick = compile_content("{{ a }} {{ c }}", f"<p>{FIELDS}</p>", FIELDS, FULL)
    slow = compile_content(
        f"{by_liquid}{{{{ a }}}} {{{{ c }}}}", f"<p>{FIELDS}{by_liquid}</p>", f"{by_liquid}{FIELDS}", FULL
    )

    wire = quick.build(to, NOW)

    check_wire(wire)
    found, expected = read(wire), read(slow.build(to, NOW))
    assert found.items()[:-1] == expected.items()[:-1]  # The last names the boundary, made of the content.
    for kind in ("plain", "html"):
        assert part(found, kind) == part(expected, kind)


def test_one_odd_value_does_not_change_what_the_others_become() -> None:
    compiled = compile_content("Hi", "<p>{{ a }}|{{ b }}|{{ a }}</p>", "{{ a }}|{{ b }}|{{ a }}", PLAIN)

    message = read(compiled.build(recipient(values={"a": "Ann", "b": "Müller & Söhne"}), NOW))

    assert part(message, "plain") == "Ann|Müller & Söhne|Ann\n"
    assert part(message, "html") == "<p>Ann|Müller &amp; Söhne|Ann</p>\n"


def test_values_that_grow_a_message_without_end_are_refused() -> None:
    compiled = compile_content("Hi", "", "{{ a }}" * 1_000, PLAIN)

    with pytest.raises(MergeError, match="grows too large"):
        compiled.build(recipient(values={"a": "ä" * 10_000}), NOW)


def test_words_in_too_many_places_are_refused_too() -> None:
    compiled = compile_content("Hi", "", "{{a}}" * 5_000, PLAIN)

    with pytest.raises(MergeError, match="grows too large"):
        compiled.build(recipient(values={"a": "a" * 1_100}), NOW)


names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp", "Zs"]), max_size=60)


@given(anything, names, anything)
def test_subjects_names_and_values_cannot_break_a_message(subject_value: str, name: str, prefix: str) -> None:
    try:
        style = Style(mail_from=Mailbox(name, "news@example.com"), subject_prefix=prefix)
    except ValueError:
        return

    wire = compile_content("Hi {{ x }}!", "<p>{{ x }}</p>", "", style).build(
        recipient(values={"x": subject_value}), NOW
    )

    check_wire(wire)
    assert set(read(wire).keys()) == {"Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"}


def test_a_line_break_in_a_merge_value_becomes_a_space_in_the_subject() -> None:
    to = recipient(values={"first_name": "Ann\r\nBcc: eve@example.com"})

    wire = compile_content("Hi {{ first_name }}", "", "x", PLAIN).build(to, NOW)

    assert read(wire)["Subject"] == "Hi Ann Bcc: eve@example.com"
    assert "Bcc" not in read(wire)


BREAKS = "x\r\nBcc: eve@example.com"


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"reply_to": f"a@example.com{BREAKS}"}, "Reply-To"),
        ({"cc": (f"a@example.com{BREAKS}",)}, "Cc"),
        ({"list_id": f"{BREAKS} <a.example.com>"}, "List-Id"),
        ({"list_id": "no identifier"}, "List-Id"),
        ({"precedence": BREAKS}, "Precedence"),
        ({"feedback_id": BREAKS}, "Feedback-ID"),
        ({"complaints_to": f"fbl@example.com{BREAKS}"}, "CFBL-Address"),
        ({"abuse_to": f"abuse@example.com{BREAKS}"}, "X-Report-Abuse"),
        ({"language": BREAKS, "says_language": True}, "Content-Language"),
        ({"extra_headers": (("X-A", BREAKS),)}, "X-A"),
        ({"extra_headers": (("Bcc", "eve@example.com"),)}, "Bcc"),
        ({"extra_headers": (("to", "eve@example.com"),)}, "to"),
        ({"extra_headers": (("Content-Type", "text/x"),)}, "Content-Type"),
        ({"extra_headers": (("X-A", "1"), ("x-a", "2"))}, "X-A"),
        ({"extra_headers": (("X-A: b\r\nBcc", "1"),)}, "'X-A: b\\r\\nBcc'"),
        ({"extra_headers": (("", "1"),)}, "''"),
    ],
)
def test_a_style_that_would_break_a_header_is_refused_by_name(changes: dict[str, Any], header: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(header)) as raised:
        compile_content("Hi", "", "x", Style(mail_from=PLAIN.mail_from, **changes))

    assert str(raised.value).endswith(".")


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"address": f"ann@example.com{BREAKS}"}, "To"),
        ({"address": "ann"}, "To"),
        ({"message_id": f"<1@example.com>{BREAKS}"}, "Message-ID"),
        ({"message_id": "1@example.com"}, "Message-ID"),
        ({"unsubscribe_url": f"https://example.com/{BREAKS}"}, "List-Unsubscribe"),
        ({"unsubscribe_url": "https://example.com/a>,<mailto:eve@example.com"}, "List-Unsubscribe"),
        ({"unsubscribe_url": "https://example.com/é"}, "List-Unsubscribe"),
        ({"unsubscribe_url": ""}, "List-Unsubscribe"),
        ({"unsubscribe_url": "javascript:alert(1)"}, "List-Unsubscribe"),
        ({"feedback_id": BREAKS}, "CFBL-Feedback-ID"),
    ],
)
def test_a_recipient_that_would_break_a_header_is_refused_by_name(changes: dict[str, Any], header: str) -> None:
    compiled = compile_content("Hi", "", "x", FULL)

    with pytest.raises(ValueError, match=f"^{header}: "):
        compiled.build(recipient(**changes), NOW)


def test_the_date_is_that_of_each_message() -> None:
    compiled = compile_content("Hi", "", "x", PLAIN)
    berlin = dt.timezone(dt.timedelta(hours=1))
    dates = [
        (NOW, "Mon, 23 Nov 2026 09:15:02 +0000"),
        (NOW.replace(microsecond=999_999), "Mon, 23 Nov 2026 09:15:02 +0000"),
        (NOW.astimezone(berlin), "Mon, 23 Nov 2026 10:15:02 +0100"),
        (NOW + dt.timedelta(seconds=1), "Mon, 23 Nov 2026 09:15:03 +0000"),
        (NOW - dt.timedelta(microseconds=1), "Mon, 23 Nov 2026 09:15:01 +0000"),
    ]

    assert [read(compiled.build(recipient(), date))["Date"] for date, _ in dates] == [text for _, text in dates]


def test_an_address_to_unsubscribe_fills_a_line_and_no_more() -> None:
    compiled = compile_content("Hi", "", "x", FULL)
    url = "https://mail.example.com/" + "x" * 951

    check_wire(compiled.build(recipient(unsubscribe_url=url), NOW))
    with pytest.raises(ValueError, match=r"^List-Unsubscribe: 977 characters do not fit in a line; shorten it\.$"):
        compiled.build(recipient(unsubscribe_url=url + "x"), NOW)


def test_a_date_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Date: 2026-11-23 00:00:00 has no time zone\.$"):
        compile_content("Hi", "", "x", PLAIN).build(recipient(), dt.datetime(2026, 11, 23))  # noqa: DTZ001


def test_who_is_the_recipient_does_not_stand_in_cc_too() -> None:
    compiled = compile_content("Hi", "", "x", FULL)

    assert read(compiled.build(recipient(address="Boss@Example.com"), NOW))["Cc"] == "ann@gmail.example"
    only = Style(mail_from=PLAIN.mail_from, cc=("boss@example.com",))
    assert "Cc" not in read(compile_content("Hi", "", "x", only).build(recipient(address="boss@example.com"), NOW))


def test_international_addresses() -> None:
    style = Style(mail_from=Mailbox("Bücher", "news@bücher.example"))
    compiled = compile_content("Hi", "", "x", style)

    assert b"\r\nTo: ann@xn--bcher-kva.example\r\n" in compiled.build(recipient(address="ann@bücher.example"), NOW)
    assert "\r\nTo: jörg@example.com\r\n".encode() in compiled.build(recipient(address="jörg@example.com"), NOW)
    assert b"<news@xn--bcher-kva.example>\r\n" in compiled.build(recipient(), NOW)


@pytest.mark.parametrize(
    ("content_html", "content_text"),
    [
        (HTML, ""),
        (HTML, "Hello"),
        ("", "Hello"),
        ('<p><a href="{{ unsubscribe_url }}">Out</a></p>', ""),
        ('<p><a href="{{unsubscribe_url}}">Out</a></p>', "Hello"),
        (HTML, "Out: {{ unsubscribe_url }}"),
        ('<p>x</p><!-- <a href="{{ unsubscribe_url }}">Out</a> -->', ""),
        ("<p>x</p>{% comment %}{{ unsubscribe_url }}{% endcomment %}", ""),
    ],
)
def test_the_link_to_unsubscribe_stands_in_each_part_exactly_once(content_html: str, content_text: str) -> None:
    url = recipient().unsubscribe_url

    message = read(compile_content("Hi", content_html, content_text, FULL).build(recipient(), NOW))

    visible = re.sub("<!--.*?-->", "", part(message, "html"))
    assert visible.count(url) == (1 if content_html else 0)
    assert part(message, "plain").count(url) == 1


def test_without_the_switch_there_is_no_link_and_no_header() -> None:
    message = read(compile_content("Hi", HTML, "", PLAIN).build(recipient(unsubscribe_url=""), NOW))

    assert "nsubscribe" not in str(message)


def test_the_footer_speaks_the_language_of_the_style_and_stands_inside_the_body() -> None:
    style = Style(mail_from=PLAIN.mail_from, has_unsubscribe=True, language="de-AT", organisation="A & B {{ x }}")

    rendered = compile_content("Hi", HTML, "", style).render(recipient())

    assert ">Abmelden</a>" in rendered.html
    assert "A &amp; B { { x }}" in rendered.html
    assert rendered.html.endswith("</div>\n</body></html>\n")
    assert "Abmelden: https://mail.example.com/u/7k3f9q2mzx4a\n\nA & B { { x }}\n" in rendered.text


def test_a_postal_address_is_not_said_twice() -> None:
    said = "<p>Example Ltd, 1 Example Street,<br>Exampletown</p>"

    rendered = compile_content("Hi", said, "", FULL).render(recipient())

    assert rendered.html.count("1 Example Street") == 1
    assert rendered.text.count("1 Example Street") == 1
    assert "Unsubscribe" in rendered.html


def test_a_postal_address_that_begins_with_the_organisation_names_it_once() -> None:
    style = replace(FULL, postal_address="Example Ltd\n1 Example Street")

    rendered = compile_content("Hi", HTML, "", style).render(recipient())

    assert rendered.html.count("Example Ltd") == rendered.text.count("Example Ltd") == 1
    assert "1 Example Street" in rendered.html


def test_links_are_tagged_and_the_unsubscribe_link_is_not() -> None:
    html = (
        '<a href="https://example.com/p?id=7">a</a> <a href="https://example.com/off" data-utm="off">b</a>'
        ' <a href="{{ link }}">c</a> <a href="{{ unsubscribe_url }}">d</a>'
    )
    to = recipient(values={"link": "https://example.com/l?a=1&b=2"})

    rendered = compile_content("Hi", html, "", FULL).render(to)

    assert f'href="https://example.com/p?id=7&amp;{UTM.replace("&", "&amp;")}"' in rendered.html
    assert 'href="https://example.com/off"' in rendered.html
    assert f'href="https://example.com/l?a=1&amp;b=2&amp;{UTM.replace("&", "&amp;")}"' in rendered.html
    assert 'href="https://mail.example.com/u/7k3f9q2mzx4a"' in rendered.html
    assert f"a <https://example.com/p?id=7&{UTM}> b <https://example.com/off>" in rendered.text
    assert f"c <https://example.com/l?a=1&b=2&{UTM}> d <https://mail.example.com/u/7k3f9q2mzx4a>" in rendered.text


def test_links_in_a_text_of_its_own_are_tagged() -> None:
    text = "See https://example.com/p. Or {{ shop_url }}, {{ first_name }}. {{ unsubscribe_url }}"
    to = recipient(values={"shop_url": "https://example.com/s", "first_name": "https://example.com/name"})

    rendered = compile_content("Hi", "", text, FULL).render(to)

    assert rendered.text.startswith(
        f"See https://example.com/p?{UTM}. Or https://example.com/s?{UTM}, https://example.com/name."
        " https://mail.example.com/u/7k3f9q2mzx4a"
    )


def test_a_table_that_grows_with_the_recipient_is_read_from_their_own_html() -> None:
    html = "<table>{% for line in lines %}<tr><td>{{ line.n }}</td><td>{{ line.name }}</td></tr>{% endfor %}</table>"
    to = recipient(values={"lines": [{"n": "1", "name": "Tea <&>"}, {"n": "2", "name": "Cups"}]})
    compiled = compile_content("Hi", html, "", FULL)

    text = part(read(compiled.build(to, NOW)), "plain")

    assert [line.split() for line in text.splitlines()[:2]] == [["1", "Tea", "<&>"], ["2", "Cups"]]
    assert "Unsubscribe: https://mail.example.com/u/7k3f9q2mzx4a" in text
    check_same(compiled, to)


def test_a_redirected_message_says_whom_it_was_meant_for() -> None:
    compiled = compile_content("Hi", HTML, "", FULL)
    to = recipient(address="desk@example.com", intended="not an\r\naddress <b>é")

    message = read(compiled.build(to, NOW))

    assert message["To"] == "desk@example.com"
    assert message["X-Original-To"] == "not an address <b>é"
    assert part(message, "plain").startswith("Intended recipient: not an address <b>é\n\nHello Ann")
    assert "<body><p>Intended recipient: not an address &lt;b&gt;é</p>" in part(message, "html")
    check_same(compiled, to)


def test_a_comment_in_a_subject_is_for_its_author_alone() -> None:
    compiled = compile_content("Sale{% comment %} of what? {% endcomment %}", "", "x", PLAIN)

    assert read(compiled.build(recipient(), NOW))["Subject"] == "Sale"


def test_a_test_says_so_in_its_subject() -> None:
    style = Style(mail_from=PLAIN.mail_from, subject_prefix="[TEST] ")

    assert read(compile_content("Hi", "", "x", style).build(recipient(), NOW))["Subject"] == "[TEST] Hi"
    assert compile_content("Hi {{ first_name }}", "", "x", style).render(recipient()).subject == "[TEST] Hi Ann"


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (("{{ x", "", "y"), "In the subject: Line 1: “{{ x” is never closed; close it with }}, or remove it."),
        (("Hi", "<p>\n{{ x | z }}</p>", ""), "In the HTML: Line 2: there is no filter named “z”; remove it."),
        (("Hi", "<p>", "\n\n{% if x %}"), "In the text: Line 3: {% if %} is never ended; add {% endif %}."),
    ],
)
def test_a_mistake_in_the_content_is_told_with_its_part_and_line(contents: tuple[str, str, str], sentence: str) -> None:
    with pytest.raises(MergeError) as raised:
        compile_content(*contents, FULL)

    assert str(raised.value) == sentence


def test_the_names_a_content_asks_for() -> None:
    compiled = compile_content("{{ a }}", "<p>{{ b }}{{ unsubscribe_url }}</p>", "{{ c }}", FULL)

    assert compiled.names == {"a", "b", "c"}


def test_the_same_message_has_the_same_bytes() -> None:
    first = compile_content("Hi", HTML, "", FULL).build(recipient(), NOW)

    assert compile_content("Hi", HTML, "", FULL).build(recipient(), NOW) == first


@pytest.mark.parametrize(
    "html",
    [
        "<p>x" * 100_000,
        '<a href="https://example.com/">x</a>' * 20_000,
        "<div>" * 20_000 + "x",
        "<style>" + "a{b:c}" * 100_000 + "</style><p>x</p>",
        '<img src="data:image/png;base64,' + "A" * 1_000_000 + '">',
        '<a href="' * 50_000,
        "<!-- " * 100_000,
        "</body>" * 100_000,
    ],
)
def test_monstrous_html_is_composed_or_refused(html: str) -> None:
    try:
        compiled = compile_content("Hi", html, "", FULL)
    except MergeError:
        return

    check_wire(compiled.build(recipient(), NOW))
