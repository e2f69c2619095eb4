"""The names of the time zones that this machine knows, read once: to look for them takes longer than a query."""

import functools
import zoneinfo

_NOBODYS = ("Etc/", "SystemV/", "posix/")


@functools.cache
def names() -> tuple[str, ...]:
    """Return every name, in alphabetical order."""
    return tuple(sorted(zoneinfo.available_timezones()))


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


@functools.cache
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in names()}
