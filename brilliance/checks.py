"""System checks of settings in combination; Django runs them before each command."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def links_in_mail_are_https(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """One-click unsubscribe requires https (RFC 8058 section 3.1); only a loopback address may do without."""
    if settings.IS_HTTPS or settings.IS_LOOPBACK:
        return []
    return [
        Error(
            f"BASE_URL is {settings.BASE_URL}, but mail programs refuse one-click unsubscribe links without https.",
            hint="Put a proxy that speaks https in front, set BASE_URL=https://… and TRUST_PROXY=on.",
            id="brilliance.E001",
        )
    ]
