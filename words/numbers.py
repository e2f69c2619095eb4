"""Numbers with the noun that they count, as people read them."""


def counted(number: int, one: str, several: str = "", none: str = "") -> str:
    """Return "1 message", or "2,000 messages".

    :param several: the plural, where it is not ``one`` with an s.
    :param none: the words for zero, such as "No messages", where it is not the plural.
    """
    if none and not number:
        return none
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def percent(part: int, whole: int) -> str:
    """Return a part as "42%", rounded down, so that only the whole is 100%. A small part is "<1%"."""
    if part and 100 * part < whole:
        return "<1%"
    return f"{100 * part // whole if whole else 0}%"


def some_of(number: int, total: int, what: str) -> str:
    """Return the beginning of a sentence about a part of a total, with its verb: "1 of 5 messages is".

    :param what: the noun in the singular; its plural adds an s.
    """
    return f"{number:,} of {total:,} {what}s {'is' if number == 1 else 'are'}"


def none_of(total: int, what: str) -> str:
    """Return the beginning of a negative sentence about all: "none of the 5 messages is", "the message is not"."""
    return f"the {what} is not" if total == 1 else f"none of the {total:,} {what}s is"
