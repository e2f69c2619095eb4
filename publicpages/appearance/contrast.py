"""Colour contrast: whether text in a colour is readable on another (WCAG 2.2, success criterion 1.4.3)."""

import re

WHITE, BLACK = "#ffffff", "#000000"
DARK_PAPER = "#1f2430"  # The page background in dark mode; the same as in static/publicpages/publicpages.css.
LEAST_CONTRAST = 4.5


class ColourInvalid(ValueError):
    """The colour cannot be used; the message says why and what to do."""


def check_accent(text: str) -> str:
    """Return a colour as ``#rrggbb`` in lower case, if text in it is readable on white.

    :raises ColourInvalid: if it is no colour, or too pale.
    """
    colour = text.strip().lower()
    if match := re.fullmatch(r"#([0-9a-f])([0-9a-f])([0-9a-f])", colour):
        colour = "#" + "".join(2 * digit for digit in match.groups())
    if not re.fullmatch(r"#[0-9a-f]{6}", colour):
        raise ColourInvalid("Write the colour as # and six digits from 0 to 9 and a to f, e.g. #7e22ce.")
    found = contrast(colour, WHITE)
    if found < LEAST_CONTRAST:
        raise ColourInvalid(
            f"Its contrast on white is {found:.1f} to 1. People need {LEAST_CONTRAST} to 1 to read it, so choose a"
            " darker colour."
        )
    return colour


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours given as ``#rrggbb``: 1 for equal ones, 21 for black on white."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def for_dark(accent: str) -> str:
    """Return the accent, lightened until it is readable in dark mode."""
    for step in range(21):
        colour = _mix(accent, WHITE, step / 20)
        if contrast(colour, DARK_PAPER) >= LEAST_CONTRAST:
            return colour
    return WHITE


def _luminance(colour: str) -> float:
    parts = [channel / 255 for channel in _channels(colour)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(one: str, other: str, share: float) -> str:
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
