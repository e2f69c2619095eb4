"""Checks of texts that people type or programs send: characters that nobody sees, and JSON that no database stores."""

import json
import math
import re
from typing import Any

from mail.addresses import JOINERS

# In place of a character that no database stores. Nobody uses it (it is private), and every form refuses it.
STAND_IN = "\U0010fffd"
CONTROL = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff{STAND_IN}]")  # All but tab and line ends.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates; no database stores them.
MOST_NESTED = 64  # Levels of JSON; our own has a tenth of that.


def storable(text: str) -> str:
    """Return the text with each character that no database stores replaced by one that every form refuses."""
    return UNSTORABLE.sub(STAND_IN, text)


def without_controls(text: str) -> str:
    """Return the text without control characters, which XML does not allow, and so no feed."""
    return CONTROL.sub("", text)


def one_line(text: str) -> str:
    """Return the text on one line, with single blanks in place of white space and of characters that nobody sees.

    A right-to-left override in a name would turn a header around. Joiners stay.
    """
    if not text.isprintable():
        text = "".join(each if each.isprintable() or each in JOINERS else " " for each in text)
    return " ".join(text.split())


def read_json(sent: str | bytes, most: int = 2_000_000) -> Any:
    """Parse JSON from a browser or program; None if it is invalid, too long or nested too deeply.

    A value that no database stores counts as invalid: text with a NUL or a lone surrogate, NaN or an infinite number.

    :param most: the longest text that is parsed, in characters or bytes.
    """
    try:
        if len(sent) > most:
            return None
        read = json.loads(sent)
        return read if _is_storable(read, MOST_NESTED) else None
    except (ValueError, RecursionError):
        return None


def _is_storable(value: Any, levels: int) -> bool:
    match value:
        case str():
            return not UNSTORABLE.search(value)
        case float():
            return math.isfinite(value)
        case list():
            return levels > 0 and all(_is_storable(each, levels - 1) for each in value)
        case dict():
            return levels > 0 and all(
                _is_storable(key, 0) and _is_storable(each, levels - 1) for key, each in value.items()
            )
    return True
