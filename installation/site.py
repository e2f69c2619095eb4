"""The values that hold: what administrators saved, or else the environment. Every process sees a change within 5 s."""

import time
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from installation.models import SiteSettings
from mail.links.levels import Level, lowest
from words import time_zones

KEEP_SECONDS = 3.5  # Those who look once a second must see a change within five.


@dataclass(frozen=True, slots=True)
class Site:
    """Who runs this installation."""

    organisation: str
    postal_address: str
    time_zone: ZoneInfo
    language: str
    alert_address: str
    tracking: Level  # The most that may be counted of opens and clicks; off until somebody decides.
    gateway_networks: tuple[str, ...]  # Lines for mail.visits.gateways.Networks, beside the shipped ones.


_known: tuple[Site, float] | None = None  # And until when it may be used, on the monotonic clock.


def site() -> Site:
    """Return the values that hold; a query every ``KEEP_SECONDS``."""
    global _known
    known = _known
    if known is None or time.monotonic() >= known[1]:
        known = _known = (_read(), time.monotonic() + KEEP_SECONDS)
    return known[0]


def from_environment() -> Site:
    """Return the values of the environment, which hold where nothing was saved."""
    return Site(
        organisation=settings.ORGANISATION_NAME,
        postal_address=settings.POSTAL_ADDRESS,
        time_zone=ZoneInfo(settings.TIME_ZONE),
        language=settings.SITE_LANGUAGE,
        alert_address="",
        tracking=lowest([settings.TRACKING_LEVEL]),
        gateway_networks=tuple(settings.GATEWAY_NETWORKS),
    )


def _read() -> Site:
    environment = from_environment()
    saved = _saved()
    zone = time_zones.spelled(saved.time_zone)  # This machine may know fewer than the one it was chosen on.
    return Site(
        organisation=saved.organisation or environment.organisation,
        postal_address=saved.postal_address or environment.postal_address,
        time_zone=ZoneInfo(zone) if zone else environment.time_zone,
        language=saved.language or environment.language,
        alert_address=saved.alert_address,
        tracking=lowest([saved.tracking]) if saved.tracking else environment.tracking,
        gateway_networks=tuple(saved.gateway_networks.splitlines()) or environment.gateway_networks,
    )


def _saved() -> SiteSettings:
    return SiteSettings.objects.first() or SiteSettings()


@receiver([post_save, post_delete], sender=SiteSettings)
def _forget(**kwargs: Any) -> None:
    """Have the next question read the row: at once, and again after the commit, before which others read the old."""
    _set_unknown()
    transaction.on_commit(_set_unknown)


def _set_unknown() -> None:
    global _known
    _known = None
