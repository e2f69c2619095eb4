"""What an OAuth account's state means for the servers that use it: a refused one pauses them, until it works again."""

import datetime as dt

from oauth.models import OAuthAccount
from smtpservers.limits import circuit_breaker, pause_history
from smtpservers.models import SmtpServer


def follow(account: OAuthAccount, why: str, now: dt.datetime) -> None:
    """Pause the account's servers because the provider refused it, or end such pauses; others' pauses stay.

    :param why: the reason; empty: it works.
    """
    servers = SmtpServer.objects.filter(oauth_account=account)
    for server_id in servers.order_by("pk").values_list("pk", flat=True):
        if why:
            circuit_breaker.pause(server_id, why, None, now, awaits_account=True)
        elif circuit_breaker.resume(server_id, only_if_awaiting_account=True):
            pause_history.note(server_id, "Resumed: its OAuth account works again.")
