"""Documents that a proof of origin needs: small, public, fetched by https, and kept by the process for a while.

Posts come in storms. One of them fetches, the others wait for it, and a failure counts for all of them for a while.
"""

import threading
import time
from collections import defaultdict

from net.addresses import NotConnected
from net.fetch import fetch

SECONDS = 8.0  # The provider waits for our answer meanwhile.
REMEMBERED_SECONDS = 600.0
FAILURE_SECONDS = 30.0
_MOST = 64
_Known = tuple[float, bytes | str]  # Until when, and the document or what was wrong.
_known: dict[str, _Known] = {}
_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def document(url: str) -> bytes:
    """Return a document, at most ten minutes old.

    :raises OSError: if it is not to be had, or was not half a minute ago. The error tells nothing of the address.
    """
    with _turns[url]:
        found = _known.get(url)
        if found is None or found[0] <= time.monotonic():
            found = _fetched(url)
            _remember(url, found)
    if isinstance(found[1], str):
        raise OSError(found[1])
    return found[1]


def _fetched(url: str) -> _Known:
    try:
        response = fetch(url, seconds=SECONDS)
        if response.status == 200:
            return time.monotonic() + REMEMBERED_SECONDS, response.body
        problem = f"{response.host} answered {response.status}."
    except NotConnected as error:
        problem = str(error)
    except ValueError:  # Of an address or an answer that nobody foresaw.
        problem = "The address or the answer is malformed."
    return time.monotonic() + FAILURE_SECONDS, problem


def _remember(url: str, found: _Known) -> None:
    while len(_known) >= _MOST and url not in _known:
        oldest = next(iter(_known))
        _known.pop(oldest, None)
        _turns.pop(oldest, None)
    _known[url] = found
