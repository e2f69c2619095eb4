"""``docs/security.md`` answers every row of two chapters of ASVS 5.0.0, and its numbers are those of the code."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from accounts import factors
from accounts.sign_in.lockout import FAILURES_PER_NAME, FAILURES_PER_NETWORK, KNOWN_FOR
from accounts.sign_in.password_words import LEAST_BESIDE, WORDS
from adminpages.fresh_sign_in import FRESH_FOR

PAGE = (Path(__file__).parents[2] / "docs/security.md").read_text()
SHORTEST = next(each for each in settings.AUTH_PASSWORD_VALIDATORS if "MinimumLength" in each["NAME"])
# The rows of levels 1 and 2, by section: the numbers that are left out are level 3.
ROWS = {
    "6.1": (1, 2, 3),
    "6.2": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    "6.3": (1, 2, 3, 4),
    "6.4": (1, 2, 3, 4),
    "6.5": (1, 2, 3, 4, 5),
    "6.6": (1, 2, 3),
    "6.8": (1, 2, 3, 4),
    "7.1": (1, 2, 3),
    "7.2": (1, 2, 3, 4),
    "7.3": (1, 2),
    "7.4": (1, 2, 3, 4, 5),
    "7.5": (1, 2),
    "7.6": (1, 2),
}


def test_every_row_is_answered_once() -> None:
    answered = re.findall(r"^\| (\d\.\d\.\d+) \| [^|]+ \| (?:met|not met|does not apply) \| [^|]+ \|$", PAGE, re.M)

    assert answered == [f"{section}.{number}" for section, numbers in ROWS.items() for number in numbers]


@pytest.mark.parametrize(
    "said",
    [
        f"| a name from one network | {settings.AXES_FAILURE_LIMIT} |",
        f"| a network, over all names | {FAILURES_PER_NETWORK} |",
        f"| a name, over all networks | {FAILURES_PER_NAME} | that name, except from networks where it logged in"
        f" within the last {KNOWN_FOR.days} days |",
        f"Failures count for {settings.AXES_COOLOFF_TIME * 60:.0f} minutes.",
        f"sessions and second factors after {FRESH_FOR.seconds // 60} minutes",
        f"{settings.SESSION_IDLE_SECONDS // 3600} hours without a click",
        f"{settings.SESSION_COOKIE_AGE // 3600} hours after the login",
        f"fewer than {LEAST_BESIDE} letters and digits",
        f"and: {', '.join(WORDS)}.",
        f"At least {SHORTEST['OPTIONS']['min_length']} characters of any kind",
        f"Ten codes of {factors.CODE_LENGTH} characters",
    ],
)
def test_its_numbers_and_words_are_those_in_force(said: str) -> None:
    assert said in PAGE


def test_it_is_linked_and_leads_on() -> None:
    root = Path(__file__).parents[2]
    assert "(security.md)" in (root / "docs" / "README.md").read_text()
    assert "(../SECURITY.md)" in PAGE
