"""The words of the public pages: every language says everything, and leaves the same places to be filled."""

import re
from typing import Any

import pytest
from django.conf import settings

from publicpages.words.confirmation import CONFIRMATION
from publicpages.words.links import LINKS
from publicpages.words.not_found import NOT_FOUND
from publicpages.words.preferences import PREFERENCES
from publicpages.words.subscribe import SIGN_UP
from publicpages.words.tracking import TRACKING
from publicpages.words.unsubscribe import CAUSES, LANGUAGES

TABLES = {
    "page": LANGUAGES,
    "sign-up": SIGN_UP,
    "preferences": PREFERENCES,
    "mail": CONFIRMATION,
    "tracking": TRACKING,
    "links": LINKS,
    "not found": NOT_FOUND,
}
PLACE = re.compile(r"\{\{ \w+ \}\}|\{\w+\}")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_each_language_says_everything_with_the_same_places(table: dict[str, Any]) -> None:
    assert list(table) == list(LANGUAGES)
    assert set(table) == {code for code, _ in settings.LANGUAGES}
    for language, words in table.items():
        for name in words.__slots__:
            sentence, english = getattr(words, name), getattr(table["en"], name)
            if isinstance(sentence, tuple):
                assert len(sentence) == len(english) == len(CAUSES)
                assert all(map(str.strip, sentence))
                continue
            assert sentence.strip(), (language, name)
            assert sorted(PLACE.findall(sentence)) == sorted(PLACE.findall(english)), (language, name)
            assert not set("{}") & set(PLACE.sub("", sentence)), (language, name)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_language_was_left_in_english(table: dict[str, Any]) -> None:
    for language, words in table.items():
        same = [name for name in words.__slots__ if getattr(words, name) == getattr(table["en"], name)]
        assert language == "en" or len(same) <= 2, (language, same)  # "Privacy" is Dutch and Italian, too.
