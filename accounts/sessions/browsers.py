"""The browser and the system that a User-Agent header names, in words of our own.

Anybody can write anything into this header, so nothing of its text is shown or kept.
"""

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


def browser_of(user_agent: str) -> str:
    """Return for example “Firefox on Windows”."""
    read = user_agent[:LONGEST_READ]
    browser = next((name for mark, name in BROWSERS if mark in read), "Unknown browser")
    system = next((name for mark, name in SYSTEMS if mark in read), "")
    return f"{browser} on {system}" if system else browser
