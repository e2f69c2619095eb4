"""Levels of counting opens and clicks, and what is counted of one person.

Nothing here counts, stores or knows a link.
"""

from collections.abc import Iterable
from typing import Literal

Level = Literal["off", "anonymous", "personal"]

OFF: Level = "off"  # Nothing is added to the mail, and nothing is counted.
ANONYMOUS: Level = "anonymous"  # Counted for the mailing and the link; nothing in the mail tells who it was.
PERSONAL: Level = "personal"  # Counted by message, for people who have consented.
LEVELS = (OFF, ANONYMOUS, PERSONAL)  # From the lowest to the highest.

UNSET, NONE, YES = "unset", "none", "yes"  # Consent: never asked, refused, given.


def lowest(levels: Iterable[str]) -> Level:
    """Return the lowest of the levels; *off* without any, and for a value that is no level."""
    ranks = [LEVELS.index(level) if level in LEVELS else 0 for level in levels]
    return LEVELS[min(ranks, default=0)]


def effective(level: str, consent: str) -> Level:
    """Return what is counted of a person: never more than their consent allows, and *off* for unknown values.

    :param consent: ``yes``, ``none`` or ``unset``; people who were never asked are counted anonymously.
    """
    if level not in (ANONYMOUS, PERSONAL) or consent not in (UNSET, YES):
        return OFF
    return PERSONAL if level == PERSONAL and consent == YES else ANONYMOUS
