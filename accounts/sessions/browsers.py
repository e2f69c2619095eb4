"""The browser and the system that a User-Agent header names, in words of our own.

Anybody can write anything into this header, so nothing of its text is shown or kept.
"""

from django.utils.translation import gettext as _

LONGEST_READ = 500  # Characters; browsers need about 120.

# The first that occurs wins: most browsers also name those that they resemble.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


UNKNOWN = "Unknown browser"
ON = " on "


def browser_of(user_agent: str) -> str:
    """Return for example “Firefox on Windows”, as it is stored."""
    read = user_agent[:LONGEST_READ]
    browser = next((name for mark, name in BROWSERS if mark in read), UNKNOWN)
    system = next((name for mark, name in SYSTEMS if mark in read), "")
    return f"{browser}{ON}{system}" if system else browser


def in_words(stored: str) -> str:
    """Return what ``browser_of`` stored in the language of the reader."""
    browser, _on, system = stored.partition(ON)
    shown = _("Unknown browser") if browser == UNKNOWN else browser
    return _("%(browser)s on %(system)s") % {"browser": shown, "system": system} if system else shown
