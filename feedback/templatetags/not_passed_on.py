"""The warning about unsubscribes that a custom page did not take, for pages that do not know feedback."""

from typing import Any

from django import template

from delivery import clock
from feedback import relay
from smtpservers.models import SmtpServer

register = template.Library()


@register.inclusion_tag("feedback/not_passed_on.html", takes_context=True)
def not_passed_on(context: template.Context, server: SmtpServer | None = None) -> dict[str, Any]:
    """Show each server with such unsubscribes, or one server with the last answer of its page."""
    user = context["request"].user
    may_see = user.has_perm("smtpservers.view_fleet") or user.has_perm("smtpservers.view_smtpserver")
    return {
        "troubles": relay.troubles(clock.now(), server) if may_see else [],
        "server": server,
        "sees_server": user.has_perm("smtpservers.view_smtpserver"),
        "sees_feedback": user.has_perm("feedback.view_feedback"),
    }
