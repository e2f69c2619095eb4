"""Numbers as people read them."""


def counted(number: int, one: str, several: str = "") -> str:
    """Return "1 message", or "2,000 messages", for logs, commands and notices, which are in English.

    :param several: the plural, where it is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def percent(part: int, whole: int, places: int = 0) -> str:
    """Return a part as "42%", rounded half up. Only the whole is 100%, and a part below 1% is "<1%".

    :param places: decimal places, where small differences matter; with one, "<0.1%" is the smallest.
    """
    steps = 10**places
    if part and 100 * steps * part < whole:
        return f"<{1 / steps:.{places}f}%"
    return f"{_rounded(part, whole, 100 * steps) / steps:.{places}f}%"


def percentage(part: int, whole: int) -> int:
    """Return a part as a number of percent, rounded half up. Only the whole is 100."""
    return _rounded(part, whole, 100)


def _rounded(part: int, whole: int, steps: int) -> int:
    """Return how many of ``steps`` equal steps to the whole a part is; less than all of them if it's less."""
    if not whole:
        return 0
    nearest = (2 * steps * part + whole) // (2 * whole)
    return min(nearest, steps - 1) if part < whole else nearest


def rate_of(share: float | None) -> str:
    """Return a share as "0.29%", rounded down, so that a limit is shown only where it is reached; without one "–"."""
    if share is None:
        return "–"
    hundredths = int(share * 10_000 + 1e-6)  # Doubles hold 0.003 as a little less.
    if share and not hundredths:
        return "<0.01%"
    return "100%" if hundredths == 10_000 else f"{hundredths / 100:.2f}%"
