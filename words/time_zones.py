"""The names of the time zones that this machine knows, read once: to look for them takes longer than a query."""

import functools
import zoneinfo

# Files beside those of zones. Each machine has its own in their place, or none.
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
_NOBODYS = ("Etc/", "SystemV/", "posix/")
# Abbreviations that are no names of zones and mean the same everywhere.
_ABBREVIATIONS = {
    **dict.fromkeys(("mez", "mesz", "cest"), "Europe/Berlin"),
    **dict.fromkeys(("pst", "pdt"), "America/Los_Angeles"),
    "mdt": "America/Denver",
    "cdt": "America/Chicago",
    "edt": "America/New_York",
    "eest": "Europe/Athens",
    "west": "Europe/Lisbon",
    "msk": "Europe/Moscow",
    "jst": "Asia/Tokyo",
    **dict.fromkeys(("aest", "aedt"), "Australia/Sydney"),
}


@functools.cache
def names() -> tuple[str, ...]:
    """Return every name, in alphabetical order."""
    return tuple(sorted(zoneinfo.available_timezones() - _NO_ZONES))


@functools.cache
def inhabited() -> tuple[str, ...]:
    """Return the names of places, such as Europe/Berlin, in alphabetical order."""
    return tuple(name for name in names() if "/" in name and not name.startswith(_NOBODYS))


def spelled(text: str) -> str | None:
    """Return the standard spelling of a name that is typed in any case, perhaps with spaces; None for no zone."""
    return _by_folded_name().get(text.casefold().replace(" ", "_"))


def place(name: str) -> str:
    """Return the place that a zone is called by: “Buenos Aires” for America/Argentina/Buenos_Aires; empty for none."""
    return name.rpartition("/")[2].replace("_", " ") if "/" in name and not name.startswith(_NOBODYS) else ""


def likely(text: str) -> str:
    """Return the zone that a text most likely means, such as Europe/Berlin for "MEZ" or "Berlin"; empty: unknown."""
    folded = text.casefold().strip()
    return _ABBREVIATIONS.get(folded) or _by_city().get(folded.rpartition("/")[2].strip().replace(" ", "_"), "")


@functools.cache
def _by_city() -> dict[str, str]:
    """Return the zones by the city in their name, where no other zone has it."""
    found: dict[str, list[str]] = {}
    for name in inhabited():
        found.setdefault(name.rpartition("/")[2].casefold(), []).append(name)
    return {city: names[0] for city, names in found.items() if len(names) == 1}


@functools.cache
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in names()}
