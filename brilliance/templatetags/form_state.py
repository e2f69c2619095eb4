"""The line of a form that says what became of it, for ``static/adminpages/form.js``."""

from typing import Any

from django import template
from django.conf import settings
from django.utils import timezone

register = template.Library()


@register.inclusion_tag("adminpages/form_state.html", takes_context=True)
def form_state(context: dict[str, Any]) -> dict[str, Any]:
    """Draw it, with the seconds until the user is signed out: without a click, and in any case."""
    request = context["request"]
    now = timezone.now().timestamp()
    age = now - request.session.get("signed_in_at", now)
    return {
        "user": request.user,
        "idle_seconds": settings.SESSION_IDLE_SECONDS,
        "seconds_left": max(int(settings.SESSION_COOKIE_AGE - age), 0),
    }
