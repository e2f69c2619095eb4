"""Numbers of an audience that take seconds to count, each kept for a while, so that a page may be loaded again at once.

Only what took long is kept, for two minutes at most: see campaigns.remembering. Whoever starts a campaign counts anew.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from typing import TypeVar

from campaigns.remembering import remembered
from contacts.reaching import Audience, Count, count

T = TypeVar("T")

LONG_SECONDS = 0.5


def counted_once(what: str, audience: Audience, find: Callable[[], T], *, also: object = "") -> T:
    """Return what ``find`` returns, or returned a while ago for the same audience.

    :param what: what is counted, in letters.
    :param also: what else the number depends on.
    """
    asked = json.dumps([audience.as_json(), repr(also)], sort_keys=True, default=str)
    key = f"{what}-{hashlib.sha256(asked.encode()).hexdigest()}"
    return remembered(key, find, quick_seconds=LONG_SECONDS)


def headcount(audience: Audience, now: dt.datetime) -> Count:
    """Return how many people of the audience there are of each kind, now or a while ago."""
    return counted_once("people", audience, lambda: count(audience, now))
