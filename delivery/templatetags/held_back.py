"""Mail held back by a server, and its last replies, for the server's page, which does not know delivery."""

from django import template
from django.utils import timezone

from delivery.models import Incident
from delivery.operators import server_health
from delivery.outcomes import provider_holds
from smtpservers.limits import refused_senders
from smtpservers.models import SmtpServer

register = template.Library()
INCIDENTS = 20  # The newest that are looked at.
# Incidents that no server replied: complaints, an unsubscribe page that takes nothing, a webhook without proof.
NO_REPLIES = frozenset({"complaints", "unsubscribe-page", "webhook"})


@register.inclusion_tag("delivery/held_back_hint.html")
def held_back(server: SmtpServer | None) -> dict[str, object]:
    """Show each hold, refused sender, limit and incident as a sentence, with a link to the page that ends it."""
    now = timezone.now()
    incidents = list(Incident.objects.filter(server=server, seen_at__gt=now - Incident.SHOWN_FOR)[:INCIDENTS])
    return {
        "server": server,
        "holds": provider_holds.of_server(server.pk, now) if server else [],
        "senders": refused_senders.of_server(server, now) if server else [],
        "limit": server.learned_messages_per_connection if server else None,
        "has_incident": any(each.kind not in NO_REPLIES for each in incidents),
        "others": {each.kind: each.reason for each in reversed(incidents) if each.kind in NO_REPLIES}.values(),
    }


@register.inclusion_tag("delivery/last_replies.html")
def last_replies(server: SmtpServer) -> dict[str, object]:
    """Show what last kept mail from leaving, among the last attempts of all servers."""
    return {"attempts": list(server_health.replies_of([server])[: server_health.REPLIES])}
