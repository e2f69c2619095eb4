"""The text part made of HTML: what a person would read, with merge tags and link targets."""

import pytest

from mail.plaintext import TextError, from_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ('<a href="https://example.com/?a=1&amp;b=2">Look</a>!', "Look <https://example.com/?a=1&b=2>!"),
        ('<a href="https://example.com/">https://example.com</a>', "https://example.com/"),
        ('<a href="https://example.com/?utm_source=x">example.com</a>', "https://example.com/?utm_source=x"),
        ('<a href="https://example.com/other">example.com</a>', "example.com <https://example.com/other>"),
        ('<a href="mailto:ann@example.com">ann@example.com</a>', "ann@example.com"),
        ('<a href="mailto:ann@example.com">Ann</a>', "Ann <mailto:ann@example.com>"),
        ('<a href="#top">up</a> <a name="top">here</a> <a href="javascript:x()">run</a>', "up here run"),
        ('<a href="https://example.com/"><img src="x.png" alt="Shop"></a>', "[Shop] <https://example.com/>"),
        ('<a href="https://example.com/"><img src="x.png"></a>', "<https://example.com/>"),
        ('<a href="{{ link }}">Look</a>', "Look <{{ link }}>"),
        ('<p>Dear {{ first_name | default: "<b>you</b>" }},</p>', 'Dear {{ first_name | default: "<b>you</b>" }},'),
        ('{{ who | default: "Tom &amp; Ann" }}', '{{ who | default: "Tom & Ann" }}'),
        ("<p>{% if a %}A{% else %}B{% endif %}</p>", "{% if a %}A{% else %}B{% endif %}"),
        ("<ul>{% for x in y %}<li>{{ x }}</li>{% endfor %}</ul>", "{% for x in y %}  * {{ x }}\n{% endfor %}"),
        ('<div style="display:none">preview</div><p>Hi</p>', "Hi"),
        ("<head><title>T</title><style>p{}</style></head><body>Hi<script>x()</script></body>", "Hi"),
        ("<!-- no --><p>Hi</p><!--[if mso]><p>Outlook</p><![endif]-->", "Hi"),
        ('<div style="padding:40px;margin-left:2em;color:red">Hi</div>', "Hi"),
        ("<p>a</p>\n\n\n<p></p><p></p>\n\n<p>b</p>", "a\n\nb"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>cc</td><td>d</td></tr></table>", "a   b\ncc  d"),
        (
            '<table role="presentation"><tr><td><h2>One</h2>First.</td><td><h2>Two</h2>Second.</td></tr></table>',
            "One\n\nFirst.\n\nTwo\n\nSecond.",
        ),
        (
            "<TABLE role=none><tbody><tr><td>Order<table><tr><td>a</td><td>b</td></tr><tr><td>cc</td><td>d</td></tr>"
            "</table></td><td>Bye</td></tr></tbody></TABLE></td>",
            "Order\na   b\ncc  d\n\nBye",
        ),
        ('<table role="presentation"><tr><td style="display:none">hidden</td><td>Hi</td></tr></table>', "Hi"),
        ("Gr&uuml;&szlig;e &amp; K&uuml;sse \ue0000\ue001", "Grüße & Küsse 0"),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert from_html(html) == text


def test_html_that_would_take_too_long_is_refused() -> None:
    with pytest.raises(TextError, match=r"^The HTML is too large .*; write the text part yourself\.$"):
        from_html('<a href="https://example.com/">x</a>' * 20_000)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a href="https://e.com/b"><table><tr><td>Buy now</td></tr></table></a>', "Buy now <https://e.com/b>"),
        (
            '<table><tr><td><a href="https://e.com/b"><p>Buy</p></a></td><td><a href="https://e.com/c"><div>Call</div>'
            "</a></td></tr></table>",
            "Buy <https://e.com/b>  Call <https://e.com/c>",
        ),
        (
            '<a href="https://e.com/b"><table><tr><td><img alt="Coat" src="x"></td><td>Coat</td></tr></table></a>',
            "[Coat] Coat <https://e.com/b>",
        ),
        ('<a href="https://e.com/b"><h3>Coats</h3><p>Warm ones</p></a>', "Coats\nWarm ones <https://e.com/b>"),
    ],
)
def test_a_button_keeps_its_words_before_its_address(html: str, text: str) -> None:
    assert from_html(html) == text
