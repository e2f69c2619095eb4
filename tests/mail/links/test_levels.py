"""Levels: the lowest counts, and nobody is counted more than they agreed to."""

import pytest

from mail.links.levels import effective, lowest


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        (["personal"], "personal"),
        (["personal", "anonymous"], "anonymous"),
        (["personal", "off", "anonymous"], "off"),
        (["anonymous", "anonymous"], "anonymous"),
        ([], "off"),
        (["personal", ""], "off"),
        (["personal", "Personal"], "off"),
    ],
)
def test_the_lowest_level_counts(levels, found):
    assert lowest(levels) == found


@pytest.mark.parametrize(
    ("level", "consent", "found"),
    [
        ("personal", "yes", "personal"),
        ("personal", "unset", "anonymous"),
        ("personal", "none", "off"),
        ("anonymous", "yes", "anonymous"),
        ("anonymous", "unset", "anonymous"),
        ("anonymous", "none", "off"),
        ("off", "yes", "off"),
        ("off", "unset", "off"),
        ("off", "none", "off"),
        ("personal", "", "off"),
        ("personal", "YES", "off"),
        ("", "yes", "off"),
        ("all", "yes", "off"),
    ],
)
def test_nobody_is_counted_more_than_they_agreed_to(level, consent, found):
    assert effective(level, consent) == found
