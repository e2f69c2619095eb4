"""What notices say, in each language: the same numbers and names everywhere."""

from string import Formatter

import pytest

from delivery.operators.notice_words import WORDS, NoticeWords


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("field", NoticeWords.__slots__)
def test_every_language_says_the_same_things(language: str, field: str) -> None:
    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    assert names(getattr(WORDS[language], field)) == names(getattr(WORDS["en"], field))


def test_there_are_words_for_every_language_a_server_may_have(settings) -> None:  # type: ignore[no-untyped-def]
    assert set(WORDS) == {code for code, _ in settings.LANGUAGES}
