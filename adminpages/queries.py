"""Which query strings an admin list answers: its own parameters, each short enough to be looked up quickly."""

import re
from collections.abc import Mapping, Sequence

from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR
from django.utils.text import smart_split

MOST_CHARACTERS = 500  # Of one value. The longest that a filter needs is an address of 320.
MOST_WORDS = 10  # Of a search: each is looked for in every searched column.
MOST_COLUMNS = 10  # To sort by at once.
_ORDER = re.compile(r"(?:-?[0-9]{1,3}(?:\.|$))*")

UNKNOWN = "The address asked for something that this list can't filter by, so the whole list is shown."


def refusal(query: Mapping[str, Sequence[str]]) -> str:
    """Return why a list does not answer this query string, as a sentence; or nothing."""
    for name, values in query.items():
        for value in values:
            if name == SEARCH_VAR and (why := search_refusal(value)):
                return why
            if len(value) > MOST_CHARACTERS:
                return f"A value in the address is longer than {MOST_CHARACTERS} characters. Choose the filter again."
            if name == ORDER_VAR and not (_ORDER.fullmatch(value) and value.count(".") < MOST_COLUMNS):
                return "The list can't be sorted that way. Click a column's title to sort by it."
    return ""


def search_refusal(term: str) -> str:
    """Return why nothing is searched for these words, as a sentence; or nothing."""
    if len(term) > MOST_CHARACTERS or sum(1 for _ in smart_split(term)) > MOST_WORDS:
        return f"Search for at most {MOST_WORDS} words of {MOST_CHARACTERS} characters altogether."
    return ""
