"""What a server's page says of the way in that bounces and complaints take."""

from typing import Any

from django import template

from feedback.models import Hook
from feedback.webhooks.adapters import adapter_of
from smtpservers.models import SmtpServer

register = template.Library()


@register.inclusion_tag("feedback/what_comes_back.html", takes_context=True)
def what_comes_back(context: template.Context, server: SmtpServer | None) -> dict[str, Any]:
    """Show a server's webhook in a line: the last event, or that there is none yet."""
    if server is None:
        return {}
    card = {"scorecard_of": server}
    if not context["request"].user.has_perm("smtpservers.change_smtpserver"):
        return card
    hook = Hook.objects.filter(server=server).first()
    return {**card, "server": server, "hook": hook, "adapter": adapter_of(server.preset)}
