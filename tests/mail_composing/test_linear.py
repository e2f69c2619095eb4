"""Whatever is written, reading it takes time that grows with its length, and not with the square of it."""

import contextlib
import time
from collections.abc import Callable

import pytest

from campaigns import converting
from campaigns.previewing import links_in
from campaigns.visibility import links_of
from mail import linking, merging, plaintext, utm

UTM = {"utm_source": "winter"}
READERS: dict[str, Callable[[str], object]] = {
    "plain text": plaintext.from_html,
    "tagging of links": lambda source: utm.tag_html(linking.mark_html(source), UTM),
    "tagging of text": lambda source: utm.tag_text(linking.mark_text(source), UTM),
    "names of links": linking.names_of_links,
    "links that people see": links_of,
    "links of the preview": links_in,
    "styles": lambda source: converting.inlined(f"<style>a{{color:red}}</style>{source}"),
    "words for merge tags": converting.Masked,
    "strip_html": lambda source: merging.parse("{{ s | strip_html }}").render({"s": f"> {source}"}),
}
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
]
SHORT, TIMES = 1_500, 8


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("unit", REPEATED)
def test_eight_times_as_much_takes_about_eight_times_as_long(reader: str, unit: str) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        with contextlib.suppress(ValueError):  # Refused with a sentence, which may take its time as well.
            READERS[reader](unit * count)
        return time.process_time() - began

    seconds(SHORT)
    short = max(min(seconds(SHORT) for _ in range(2)), 0.005)

    # With the square it would be sixty-four times.
    assert seconds(SHORT * TIMES) < 4 * TIMES * short
