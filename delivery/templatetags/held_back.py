"""What a server holds back, for the server's own page, which knows nothing of delivery."""

from django import template
from django.utils import timezone

from delivery import holding
from delivery.models import Incident
from smtpservers import senders
from smtpservers.models import SmtpServer

register = template.Library()


@register.inclusion_tag("delivery/held_back_hint.html")
def held_back(server: SmtpServer | None) -> dict[str, object]:
    """Say in a sentence each which mail the server does not take now, with a link to the page that ends it."""
    now = timezone.now()
    return {
        "server": server,
        "holds": holding.of_server(server.pk, now) if server else [],
        "senders": senders.of_server(server, now) if server else [],
        "limit": server.learned_messages_per_connection if server else None,
        "has_incident": server is not None
        and Incident.objects.filter(server=server, seen_at__gt=now - Incident.SHOWN_FOR).exists(),
    }
