"""Pauses and their ends in a server's history. What the system keeps of a server is no version of its settings."""

from django.contrib.auth.models import AnonymousUser, User

from smtpservers.models import SmtpServer
from smtpservers.models.server import SECRETS

LONGEST = 100  # Characters, as the history stores them.


def note(server_id: int, what: str, user: User | AnonymousUser | None = None) -> None:
    """Add a line to the server's history.

    :param what: what happened, as "Resumed."
    :param user: who did it; None: the system.
    """
    for server in SmtpServer.objects.filter(pk=server_id).defer(*SECRETS):
        SmtpServer.history.bulk_history_create(
            [server], update=True, default_user=user, default_change_reason=what[:LONGEST]
        )
