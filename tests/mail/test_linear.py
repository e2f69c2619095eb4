"""Whatever is written, reading it takes time that grows with its length, and not with the square of it."""

import contextlib
import time
from collections.abc import Callable

import pytest

from campaigns.lifecycle.archive import OWN_LINK, without_own_link
from campaigns.markup import convert
from campaigns.markup.visible_links import links_of
from campaigns.preflight.preview import Preview, links_in
from mail import merge_fields, plaintext
from mail.incoming import addresses
from mail.links import link_targets, merge_tags, utm
from mail.message.composition import Rendered
from mail.records import bimi, spf, tags, transport

UTM = {"utm_source": "winter"}
READERS: dict[str, Callable[[str], object]] = {
    "plain text": plaintext.from_html,
    "tagging of links": lambda source: utm.tag_html(merge_tags.mark_html(source), UTM),
    "tagging of text": lambda source: utm.tag_text(merge_tags.mark_text(source), UTM),
    "names of links": merge_tags.names_of_links,
    "counted links": link_targets.in_html,
    "counted links of text": link_targets.in_text,
    "marks of links": lambda source: link_targets.without_marks(f"data-track{source}"),
    "links that people see": links_of,
    "links of the preview": links_in,
    "remote images of the preview": lambda source: remote_images(f"src={source}"),
    "tags of MJML": lambda source: list(convert._MJ.finditer(f"<mj-{source}")),
    "previews of MJML": lambda source: convert._PREVIEW.sub("", source),
    "HTML in MJML": lambda source: convert._WRITTEN_HTML.sub("", source),
    "nesting of MJML": lambda source: convert._check_nesting(f"{source}<mj-raw>\n</mj-raw>"),
    "personal links of the archive": lambda source: without_own_link(source.replace("<a ", f"<a href={OWN_LINK}>")),
    "the type of a report's field": lambda source: addresses.without_type(f"a{source}"),
    "an output's expression": lambda source: merge_tags._ONLY_OUTPUT.fullmatch(f"{{{{{source}"),
    "a link without UTM codes": lambda source: merge_tags._OPTED_OUT.search(f" data-utm={source}"),
    "styles": lambda source: convert.inlined(f"<style>a{{color:red}}</style>{source}"),
    "words for merge tags": convert.Masked,
    "an SPF record": lambda source: spf.read(f"v=spf1 {source}"),
    "a list of tags": tags.read,
    "an SVG logo": lambda source: list(bimi.faults_of_logo(source.encode())),
    "an MTA-STS policy": lambda source: transport.read_policy(f"version: STSv1\n{source}"),
    "strip_html": lambda source: merge_fields.parse("{{ s | strip_html }}").render({"s": f"> {source}"}),
}


def remote_images(html: str) -> bool:
    return Preview(Rendered("", html, ""), html, [], 0, []).has_remote_images


REPEATED = [
    *(
        "{{",
        "{%",
        "{{ a",
        "<a ",
        "<a {{",
        "<a href='",
        "<a '\"",
        "<!--",
        "<!--[if mso]>",
        "<![CDATA[",
        "</a ",
        "<?",
        "<!x",
    ),
    *('<p style="', "padding-", "&", "&amp", "*|", "%%a", "<style>", "xqzj", "<x ' \">", '<a href="{{ x }}">', "<td "),
    *("a=b;", "%{d}", "include:a.", "<svg ", "version='", "mx: a\n", " " * 40, "::", "/1"),
    *("\n", "src=", "url( ", "A", "<mj-preview>", "<mj-text>", "<mj-text>\n</mj-text>"),
]
SHORT, TIMES = 1_500, 8


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("unit", REPEATED)
def test_eight_times_as_much_takes_about_eight_times_as_long(reader: str, unit: str) -> None:
    def seconds(count: int) -> float:
        began = time.thread_time()
        with contextlib.suppress(ValueError):  # Refused with a sentence, which may take its time as well.
            READERS[reader](unit * count)
        return time.thread_time() - began

    seconds(SHORT)
    short = max(min(seconds(SHORT) for _ in range(2)), 0.005)

    # With the square it would be sixty-four times. Once more, as garbage may have been collected meanwhile.
    assert any(seconds(SHORT * TIMES) < 4 * TIMES * short for _ in range(2))


def test_ampersands_outside_of_merge_tags_cost_no_more_than_letters() -> None:
    """A preview reads its content some twenty times; each took a tenth of a second for a million of them."""

    def seconds(source: str) -> float:
        began = time.thread_time()
        merge_fields.parse(source)
        return time.thread_time() - began

    letters, ampersands = (min(seconds(sign * 1_000_000) for _ in range(3)) for sign in "x&")

    assert ampersands < 3 * letters
