"""The limit on failed sign-ins: a few per name and network, and more per network, within the cool-off.

Passwords, codes and keys count alike.
"""

from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt, AccessFailureLog
from django.contrib.auth.signals import user_login_failed
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.forms import ValidationError
from django.http import HttpRequest

from contacts.consent.ip_networks import network_of
from publicpages.views.base import origin_of

FAILURES_PER_NETWORK = 20  # Over all names: more than the typing errors of an office, too few for guessing.


def network_address(request: HttpRequest) -> str | None:
    """Return the first address of the request's /24 or /48, determined as for the public pages."""
    return network_of(origin_of(request)).partition("/")[0] or None


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes ships no types.
    """Adds a limit over all names to axes' own limit per name."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return bool(super().is_locked(request, credentials)) or _is_network_locked(request)


def _is_network_locked(request: Any) -> bool:
    if request.axes_ip_address is None:  # Unknown: a limit would apply to everybody together.
        return False
    # The log keeps failures that a success in between removes from the count of a name.
    failures = AccessFailureLog.objects.filter(
        ip_address=request.axes_ip_address, attempt_time__gt=get_cool_off_threshold(request)
    )
    return bool(failures.order_by()[:FAILURES_PER_NETWORK].count() >= FAILURES_PER_NETWORK)


@receiver(pre_save, sender=AccessAttempt)
def _keep_nothing_sent(instance: AccessAttempt, **kwargs: Any) -> None:
    """Keep name, network and time of a failure only. Axes would store the whole form, typed secrets included."""
    instance.get_data = instance.post_data = ""


def refuse_if_locked(request: HttpRequest, name: str | None) -> None:
    """Stop a check of a second factor before it begins; the middleware of axes then shows the lock-out page.

    :raises ValidationError: if too many checks failed for this name or network.
    """
    if not AxesProxyHandler.is_allowed(request, {"username": name}):
        request.axes_locked_out = True  # type: ignore[attr-defined]  # axes sets it on each request.
        raise ValidationError("Too many attempts. Wait 15 minutes, then try again.")


def count_failure(request: HttpRequest, name: str | None) -> None:
    """Count a failed check of a second factor like a wrong password."""
    user_login_failed.send(__name__, credentials={"username": name}, request=request)
