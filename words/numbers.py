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


def rate_of(share: float | None) -> str:
    """Return a share as "0.29%", rounded down, so that a limit is shown only where it is reached; without one "–"."""
    if share is None:
        return "–"
    hundredths = int(share * 10_000 + 1e-6)  # Doubles hold 0.003 as a little less.
    if share and not hundredths:
        return "<0.01%"
    return "100%" if hundredths == 10_000 else f"{hundredths / 100:.2f}%"
