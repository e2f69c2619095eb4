"""Documents that a proof of origin needs: small, public, fetched by https, and kept by the process for a while."""

import time

from net.addresses import NotConnected
from net.fetch import fetch

SECONDS = 8.0  # The provider waits for our answer meanwhile.
REMEMBERED_SECONDS = 600.0
_MOST = 64
_known: dict[str, tuple[float, bytes]] = {}


def document(url: str) -> bytes:
    """Return a document, at most ten minutes old.

    :raises OSError: if it is not to be had. The error tells nothing of the address.
    """
    found = _known.get(url)
    if found is not None and time.monotonic() - found[0] < REMEMBERED_SECONDS:
        return found[1]
    try:
        response = fetch(url, seconds=SECONDS)
    except NotConnected as error:
        raise OSError(str(error)) from None
    if response.status != 200:
        raise OSError(f"{response.host} answered {response.status}.")
    if len(_known) >= _MOST:
        _known.clear()
    _known[url] = (time.monotonic(), response.body)
    return response.body
