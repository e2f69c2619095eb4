"""The limits on failed sign-ins within the cool-off: a few per name and network, more per network, more per name.

Passwords, codes and keys count alike. What names nobody (single sign-on, links, unknown passkeys) counts for its
network alone. Failures dated in the future, by a clock that was set back since, do not count. Nobody can keep users out
who sign in from where they signed in before: the limit per name leaves out networks that the name signed in from. The
limits hold for requests that arrive at once, too, if each check runs in a transaction.
"""

import datetime as dt
import math
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from adminpages.fresh_sign_in import DRIFT_SECONDS
from contacts.consent.ip_networks import network_of
from db.locks import take_turns
from net.origins import origin_of

FAILURES_PER_NETWORK = 20  # Over all names: more than the typing errors of an office, too few for guessing.
FAILURES_PER_NAME = 20  # Over all networks but those known for the name.
RESET_NAMES = "reset "  # In front of what stands for an address that a link was asked for. No user name has a space.
DRIFT = dt.timedelta(seconds=DRIFT_SECONDS)
KNOWN_FOR = dt.timedelta(days=30)  # A network is known for a name for so long after a sign-in.


def network_address(request: HttpRequest) -> str | None:
    """Return the first address of the request's /24 or /48, determined as for the public pages."""
    return network_of(origin_of(request.META)).partition("/")[0] or None


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes ships no types.
    """Adds limits over all names and over all networks to axes' own limit per name and network."""

    def user_login_failed(self, sender: Any, credentials: Any, request: Any = None, **kwargs: Any) -> None:
        _forget_browser(request)
        super().user_login_failed(sender, credentials, request, **kwargs)

    def user_logged_in(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        _forget_browser(request)
        super().user_logged_in(sender, request, user, **kwargs)

    def user_logged_out(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        _forget_browser(request)
        super().user_logged_out(sender, request, user, **kwargs)

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        name = get_client_username(request, credentials)
        if transaction.get_connection().in_atomic_block:
            _take_turns(request, name)
        is_locked = bool(super().is_locked(request, credentials))
        return is_locked or _is_network_locked(request) or _is_name_locked(request, name)

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures of this name from this network; those without a name have the network's limit only."""
        return super().get_failures(request, credentials) if get_client_username(request, credentials) else 0

    def clean_expired_user_attempts(self, request: Any = None, credentials: dict[str, Any] | None = None) -> int:
        """Delete, beside old counts, those from the future: the next failure would bring them back to today."""
        AccessAttempt.objects.filter(attempt_time__gt=_latest(request)).delete()
        return int(super().clean_expired_user_attempts(request, credentials))

    def get_user_attempts(self, request: Any, credentials: dict[str, Any] | None = None) -> list[Any]:
        found = super().get_user_attempts(request, credentials)
        return [attempts.filter(attempt_time__lte=_latest(request)) for attempts in found]


def _take_turns(request: Any, name: str | None) -> None:
    # The network first, then the name: always in this order, or two requests would wait for each other.
    for key in (f"network {request.axes_ip_address}", f"name {name}"):
        take_turns(f"sign-in from {key}")


def _forget_browser(request: Any) -> None:
    """Have axes keep and log nothing of what the browser says of itself: anybody can write anything into it."""
    if request is not None:
        request.axes_user_agent = request.axes_http_accept = ""


def _latest(request: Any) -> dt.datetime:
    """Return the latest time that a failure can have."""
    latest: dt.datetime = request.axes_attempt_time + DRIFT
    return latest


def _is_network_locked(request: Any) -> bool:
    if request.axes_ip_address is None:  # Unknown: a limit would apply to everybody together.
        return False
    # The log keeps failures that a success in between removes from the count of a name.
    return _has_failures(request, FAILURES_PER_NETWORK, ip_address=request.axes_ip_address)


def _is_name_locked(request: Any, name: str | None) -> bool:
    if not name or not _has_failures(request, FAILURES_PER_NAME, username=name):
        return False
    since = request.axes_attempt_time - KNOWN_FOR
    known = AccessLog.objects.filter(username=name, ip_address=request.axes_ip_address, attempt_time__gt=since)
    return not known.exists()


def _has_failures(request: Any, count: int, **of: str) -> bool:
    return bool(_failures(request, **of).order_by()[:count].count() >= count)


def _failures(request: Any, **of: str) -> QuerySet[AccessFailureLog]:
    since = get_cool_off_threshold(request)
    found: QuerySet[AccessFailureLog] = AccessFailureLog.objects.filter(
        **of, attempt_time__gt=since, attempt_time__lte=_latest(request)
    )
    return found


def locked_out(request: Any, response: HttpResponse, credentials: dict[str, Any] | None) -> HttpResponse:
    """Return the page in place of a refused or last check: whom the limit keeps out, and until when."""
    name = (credentials or {}).get("username") or request.POST.get("login") or request.user.get_username()
    is_network = _is_network_locked(request)
    if is_network:
        nth, failures = FAILURES_PER_NETWORK, _failures(request, ip_address=request.axes_ip_address)
    elif _is_name_locked(request, name):
        nth, failures = FAILURES_PER_NAME, _failures(request, username=name)
    else:  # axes' own limit ends the cool-off after the newest failure.
        nth, failures = 1, _failures(request, username=name, ip_address=request.axes_ip_address)
    failed_at = failures.order_by("-attempt_time").values_list("attempt_time", flat=True)[nth - 1 : nth].first()
    now = max(request.axes_attempt_time, failed_at or request.axes_attempt_time)
    opens_at = (failed_at or now) + get_cool_off(request)
    context = {
        **admin.site.each_context(request),
        "title": _("Too many wrong tries"),
        "is_network": is_network,
        # Single sign-on counts for its network alone.
        "works_by_issuer": bool(settings.OIDC_ISSUER) and not is_network and not request.user.is_authenticated,
        # A page for users names its zone by itself.
        "zone": "" if request.user.is_authenticated else f" ({timezone.get_current_timezone()})",
        "is_reset": name.startswith(RESET_NAMES),
        "opens_at": opens_at + dt.timedelta(seconds=59),  # The page shows the minute alone.
        "minutes": max(1, math.ceil((opens_at - now).total_seconds() / 60)),
    }
    return render(request, "accounts/locked_out.html", context, status=429)


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
        request.axes_credentials = {"username": name}  # type: ignore[attr-defined]
        raise ValidationError(_("Too many attempts. Wait 15 minutes, then try again."))


def count_failure(request: HttpRequest, name: str | None) -> None:
    """Count a failed check of a second factor like a wrong password, after :func:`refuse_if_locked`."""
    with transaction.atomic():  # Two first failures without a name at once would become two rows, and axes expects one.
        _take_turns(request, name)
        user_login_failed.send(__name__, credentials={"username": name}, request=request)
