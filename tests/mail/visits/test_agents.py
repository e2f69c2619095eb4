"""Which program a user agent names."""

import pytest

from mail.visits.agents import MOST_LETTERS, Manner, agent_of
from mail.visits.names import FAMILY_TITLES, REASON_TITLES, VISITOR_TITLES, Family, Reason, Visitor

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "manner", "family"),
    [
        ("", Manner.NONE, Family.OTHER),
        ("   ", Manner.NONE, Family.OTHER),
        ("Mozilla/5.0", Manner.PRIVACY, Family.APPLE_PRIVACY),
        (IPHONE, Manner.APPLE, Family.APPLE_MAIL),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            Manner.APPLE,
            Family.APPLE_MAIL,
        ),
        (f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", Manner.READER, Family.SAFARI),
        (f"{IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1", Manner.READER, Family.CHROME),
        (f"{IPHONE} FxiOS/127.0 Mobile/15E148 Safari/605.1.15", Manner.READER, Family.FIREFOX),
        (f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36", Manner.READER, Family.CHROME),
        (f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", Manner.READER, Family.EDGE),
        (f"{WINDOWS} Chrome/126.0.0.0 Safari/537.36 OPR/112.0.0.0", Manner.READER, Family.OTHER),
        (f"{WINDOWS} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246", Manner.READER, Family.EDGE),
        (f"{WINDOWS} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0", Manner.PREFETCH, Family.GMAIL),
        (f"{WINDOWS} HeadlessChrome/126.0.0.0 Safari/537.36", Manner.PROGRAM, Family.PROGRAM),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            Manner.PROXY,
            Family.GMAIL,
        ),
        (
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            Manner.PROXY,
            Family.YAHOO,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.12.0",
            Manner.READER,
            Family.THUNDERBIRD,
        ),
        (
            "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
            Manner.READER,
            Family.OUTLOOK,
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", Manner.READER, Family.FIREFOX),
        ("curl/8.5.0", Manner.PROGRAM, Family.PROGRAM),
        ("python-requests/2.31.0", Manner.PROGRAM, Family.PROGRAM),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", Manner.PROGRAM, Family.PROGRAM),
        ("WhatsApp/2.23.20.0", Manner.PROGRAM, Family.PROGRAM),
        ("Something Else 3", Manner.READER, Family.OTHER),
    ],
)
def test_a_user_agent_names_a_manner_and_a_family(user_agent: str, manner: Manner, family: Family) -> None:
    assert agent_of(user_agent) == (manner, family)


def test_only_the_beginning_of_a_user_agent_is_read() -> None:
    assert agent_of("x" * MOST_LETTERS + "curl") == (Manner.READER, Family.OTHER)


def test_every_stored_word_has_a_title() -> None:
    assert set(FAMILY_TITLES) == set(Family)
    assert set(REASON_TITLES) == set(Reason)
    assert set(VISITOR_TITLES) == set(Visitor)
    assert len(Family) == 12
