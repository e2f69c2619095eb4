"""What is kept of a request."""

import json

import pytest

from mail.visits.agents import Manner
from mail.visits.names import Family, Kind
from mail.visits.request import RequestFacts, facts, facts_of_list

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126 Safari/537.36"


def request_with(suffix: str = "", **environ: object) -> RequestFacts:
    return facts(
        Kind.CLICK,
        {"REQUEST_METHOD": "GET", "HTTP_USER_AGENT": CHROME, "REMOTE_ADDR": "192.0.2.77", **environ},
        suffix,
        is_gateway=False,
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "HEAD"},
        {"HTTP_PURPOSE": "prefetch"},
        {"HTTP_SEC_PURPOSE": "prefetch;prerender"},
        {"HTTP_X_MOZ": "prefetch"},
        {"HTTP_X_PURPOSE": "preview"},
    ],
)
def test_a_request_in_advance_is_marked(environ: dict[str, object]) -> None:
    assert request_with(**environ).is_prefetch
    assert not request_with(HTTP_SEC_FETCH_MODE="navigate").is_prefetch


@pytest.mark.parametrize(
    ("suffix", "query", "is_probe"),
    [
        ("", "", False),
        ("", "utm_source=x&fbclid=IwAR0&mc_cid=5", False),
        (").", "", False),
        ("", "a=1%27", True),
        ("", 'x="', True),
        ("'", "", True),
        ("%27/", "", True),
        ("/track", "", True),
        ("/wp-login.php", "", True),
    ],
)
def test_what_is_added_to_a_link_may_be_a_probe(suffix: str, query: str, is_probe: bool) -> None:
    assert request_with(suffix, QUERY_STRING=query).is_probe is is_probe


def test_facts_come_back_from_the_spool_and_hold_no_address_and_no_user_agent() -> None:
    before = request_with(HTTP_SEC_PURPOSE="prefetch")

    written = json.dumps(before)

    assert facts_of_list(json.loads(written)) == before
    assert before == RequestFacts(Kind.CLICK, Manner.READER, Family.CHROME, True, False, False)
    assert "192.0.2.77" not in written
    assert "Mozilla" not in written


@pytest.mark.parametrize("line", [[], ["click", "reader", "chrome"], ["buy", "reader", "chrome", 0, 0, 0], [1] * 6])
def test_a_line_that_was_not_written_by_us_is_refused(line: list[object]) -> None:
    with pytest.raises(ValueError, match=r"is not a valid|not enough values"):
        facts_of_list(line)
