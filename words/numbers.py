"""Numbers as people read them."""


def counted(number: int, one: str, several: str = "") -> str:
    """Return "1 message", or "2,000 messages", for logs, commands and notices, which are in English.

    :param several: the plural, where it is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def percent(part: int, whole: int) -> str:
    """Return a part as "42%", rounded down, so that only the whole is 100%. A small part is "<1%"."""
    if part and 100 * part < whole:
        return "<1%"
    return f"{100 * part // whole if whole else 0}%"
