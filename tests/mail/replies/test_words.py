"""The meaning of replies in words."""

import pytest

from mail.replies.words import MEANINGS
from words.texts import TRANSLATOR, translated


def test_the_meanings_are_told_in_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: f"⟦{text}⟧")

    for meaning in MEANINGS.values():
        assert translated(meaning.label) == f"⟦{meaning.label}⟧"
        assert translated(meaning.sentence) == f"⟦{meaning.sentence}⟧"
