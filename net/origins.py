"""Where a request came from, as far as the one who passed it on is trusted."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings


def origin_of(wsgi: Mapping[str, Any]) -> str:
    """Return the IP address of a request; behind a trusted proxy, the address that the proxy saw.

    :param wsgi: of WSGI, which Django calls ``META``.
    """
    seen = wsgi.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_PROXY else ""
    return str(seen.rpartition(",")[2] or wsgi.get("REMOTE_ADDR", "")).strip()
