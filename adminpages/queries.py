"""Limits for the query string of an admin list, so that every lookup is quick."""

import re
from collections.abc import Mapping, Sequence

from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR
from django.utils.text import smart_split
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

MOST_CHARACTERS = 500  # Per value. The longest value of a filter is an address with 320.
MOST_WORDS = 10  # Per search. Each word is looked up in every searched column.
MOST_COLUMNS = 10  # Sort columns.
_ORDER = re.compile(r"(?:-?[0-9]{1,3}(?:\.|$))*")

UNKNOWN = _("The address asked for something that this list can't filter by, so the whole list is shown.")


def refusal(query: Mapping[str, Sequence[str]]) -> str:
    """Return the reason to refuse this query string, as a sentence; empty if it is allowed."""
    for name, values in query.items():
        for value in values:
            if name == SEARCH_VAR and (why := search_refusal(value)):
                return why
            if len(value) > MOST_CHARACTERS:
                return gettext("A value in the address is longer than %(n)s characters. Choose the filter again.") % {
                    "n": MOST_CHARACTERS
                }
            if name == ORDER_VAR and not (_ORDER.fullmatch(value) and value.count(".") < MOST_COLUMNS):
                return gettext("The list can't be sorted that way. Click a column's title to sort by it.")
    return ""


def search_refusal(term: str) -> str:
    """Return the reason to refuse this search, as a sentence; empty if it is allowed."""
    if len(term) > MOST_CHARACTERS or sum(1 for _word in smart_split(term)) > MOST_WORDS:
        return gettext("Search for at most %(words)s words of %(n)s characters altogether.") % {
            "words": MOST_WORDS,
            "n": MOST_CHARACTERS,
        }
    return ""
