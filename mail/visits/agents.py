"""Which program a user agent names: a browser, a mail program, a provider's proxy, or something without a reader.

One table of our own instead of a library: reports tell twelve families apart, and the rules need seven kinds. User
agents are hostile: only their beginning is read, and by searches in linear time.
"""

import functools
from enum import StrEnum
from typing import NamedTuple

from mail.visits.names import Family

MOST_LETTERS = 512  # Of a user agent; browsers need 250 at most.


class Manner(StrEnum):
    """How a program comes to ask for a pixel or a link."""

    NONE = "none"  # It doesn't say its name.
    PROGRAM = "program"  # Nobody looks at what it fetches.
    PREFETCH = "prefetch"  # Gmail loads images before it shows a mail to anybody.
    PRIVACY = "privacy"  # Apple's proxy: loads everything, soon after delivery.
    APPLE = "apple"  # Apple Mail itself: may load before the mail is read.
    PROXY = "proxy"  # Loads when somebody opens, and hides who.
    READER = "reader"  # A browser or mail program in front of somebody.


class Agent(NamedTuple):
    """What a user agent says."""

    manner: Manner
    family: Family


# Gmail, when somebody is signed in while a mail arrives (SparkPost, January 2022: 9.8 billion opens looked at).
_GMAIL_PREFETCH = (
    "mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko)"
    " chrome/42.0.2311.135 safari/537.36 edge/12.246 mozilla/5.0"
)
_APPLE_ENGINE = "(khtml, like gecko)"  # Where Apple Mail's user agent ends, but for an iPhone's build (uap-core).
_PROXIES = (
    ("googleimageproxy", Family.GMAIL),
    ("ggpht.com", Family.GMAIL),
    ("yahoomailproxy", Family.YAHOO),
    ("outlookimageproxy", Family.OUTLOOK),
)
# Parts of names. Libraries, crawlers, link previews, headless browsers, scanners that say so.
_PROGRAMS = (
    *("bot", "crawl", "spider", "slurp", "preview", "scanner", "monitor", "checker", "validator", "fetch", "probe"),
    *("curl", "wget", "python", "aiohttp", "httpx", "go-http-client", "java/", "okhttp", "apache-httpclient", "ruby"),
    *("libwww", "lwp", "perl", "php", "guzzle", "axios", "node", "undici", "postman", "restsharp", "powershell"),
    *("headless", "phantomjs", "puppeteer", "playwright", "selenium", "electron-fetch", "cfnetwork"),
    *("facebookexternalhit", "facebookcatalog", "whatsapp", "skypeuripreview", "slack-imgproxy", "google-safety"),
    *("barracuda", "proofpoint", "mimecast", "trendmicro", "symantec", "fireeye", "zscaler", "forcepoint", "sophos"),
    "existence discovery",
)
# The first that is found names the family: Edge and Outlook also say Chrome, Chrome also says Safari.
_READERS = (
    ("thunderbird/", Family.THUNDERBIRD),
    ("betterbird/", Family.THUNDERBIRD),
    ("microsoft outlook", Family.OUTLOOK),
    ("ms-office", Family.OUTLOOK),
    ("msoffice", Family.OUTLOOK),
    ("outlook-", Family.OUTLOOK),
    ("onoutlook", Family.OUTLOOK),
    ("edg/", Family.EDGE),
    ("edge/", Family.EDGE),
    ("edga/", Family.EDGE),
    ("edgios/", Family.EDGE),
    ("opr/", Family.OTHER),
    ("samsungbrowser/", Family.OTHER),
    ("vivaldi/", Family.OTHER),
    ("yabrowser/", Family.OTHER),
    ("fxios/", Family.FIREFOX),
    ("firefox/", Family.FIREFOX),
    ("crios/", Family.CHROME),
    ("chrome/", Family.CHROME),
    ("safari/", Family.SAFARI),
)


def agent_of(user_agent: str) -> Agent:
    """Return who a ``User-Agent`` header (RFC 9110 section 10.1.5) says it is; empty if there was none."""
    return _agent_of(user_agent[:MOST_LETTERS])


@functools.lru_cache(maxsize=1_000)
def _agent_of(beginning: str) -> Agent:
    name = beginning.strip().lower()
    if not name:
        return Agent(Manner.NONE, Family.OTHER)
    if name == "mozilla/5.0":
        return Agent(Manner.PRIVACY, Family.APPLE_PRIVACY)
    if name == _GMAIL_PREFETCH:
        return Agent(Manner.PREFETCH, Family.GMAIL)
    for part, family in _PROXIES:
        if part in name:
            return Agent(Manner.PROXY, family)
    if any(part in name for part in _PROGRAMS):
        return Agent(Manner.PROGRAM, Family.PROGRAM)
    engine, _, behind = name.rpartition(_APPLE_ENGINE)
    if engine and (not behind or (behind.startswith(" mobile/") and " " not in behind[1:])):
        return Agent(Manner.APPLE, Family.APPLE_MAIL)
    for part, family in _READERS:
        if part in name:
            return Agent(Manner.READER, family)
    return Agent(Manner.READER, Family.OTHER)
