"""Who may try to sign in again: a few failures a name and network, and more of them a network, within the cool-off."""

from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessFailureLog
from django.http import HttpRequest

from contacts.consent.ip_networks import network_of
from publicpages.views.base import origin_of

FAILURES_PER_NETWORK = 20  # Of all names together: more than an office mistypes, and too few to guess by.


def network_address(request: HttpRequest) -> str | None:
    """Return the first address of the /24 or /48 that a request came from, as the public pages see it."""
    return network_of(origin_of(request)).partition("/")[0] or None


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes ships no types.
    """Adds a limit for all names together to axes' own for each name."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return bool(super().is_locked(request, credentials)) or _is_network_locked(request)


def _is_network_locked(request: Any) -> bool:
    if request.axes_ip_address is None:  # Nobody told: a limit would be one for everybody.
        return False
    # The log keeps what a success in between would take off the count of a name.
    failures = AccessFailureLog.objects.filter(
        ip_address=request.axes_ip_address, attempt_time__gt=get_cool_off_threshold(request)
    )
    return bool(failures.order_by()[:FAILURES_PER_NETWORK].count() >= FAILURES_PER_NETWORK)
