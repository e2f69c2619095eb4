"""Words that are easy to guess here: passwords that consist of little else are refused."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from installation.site import site

# docs/security.md lists them.
WORDS = (
    *("brilliance", "newsletter", "campaign", "sandbox", "mail", "smtp", "marketing"),
    *("administrator", "admin", "marketer", "ops", "viewer"),
    *("password", "passwort", "welcome", "letmein", "spring", "summer", "autumn", "winter"),
)
LEAST_BESIDE = 8  # Letters and digits beside the words.
SHORTEST_WORD = 3
LOOKALIKES = str.maketrans("01i345@$", "olleasas")


class EasyWordsValidator:
    """Refuses a password that has hardly anything beside the organisation's name and words of this product."""

    def __init__(self, min_length: int = 12) -> None:
        """Leave passwords that are shorter, and hold no such word, to the rule of the length: it says the same."""
        self.min_length = min_length

    def validate(self, password: str, user: Any = None) -> None:
        left, easy = _plain(password), []
        for word in sorted(_words(), key=len, reverse=True):
            if word in left:
                easy.append(f"“{word}”")
                left = left.replace(word, "")
        if len(left) < LEAST_BESIDE and easy:
            why = _("This password is too easy to guess here: without %(words)s, too little is left. Add other words.")
            raise ValidationError(why % {"words": ", ".join(easy)}, code="easy_words")
        if len(left) < LEAST_BESIDE and len(password) >= self.min_length:
            raise ValidationError(
                _("This password is too easy to guess here: it has too few letters and digits. Add some words."),
                code="easy_words",
            )

    def get_help_text(self) -> str:
        return _("Your password can't consist of the organisation's name and words like “newsletter”.")


def _words() -> set[str]:
    """Return the words, with those of the organisation's name and the site's host."""
    organisation = site().organisation
    own = re.split(r"\W+", f"{organisation} {urlsplit(settings.BASE_URL).hostname}")
    return {word for word in map(_plain, (*WORDS, organisation, *own)) if len(word) >= SHORTEST_WORD}


def _plain(text: str) -> str:
    """Return letters and digits alone, in lower case, with one letter for all that look like it."""
    return "".join(each for each in text.casefold().translate(LOOKALIKES) if each.isalnum())
