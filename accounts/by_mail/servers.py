"""Which servers may carry mails that let somebody in: those that an administrator chose, else every real one."""

from collections.abc import Collection

from django.utils.translation import gettext as _

from accounts.models import AccountServer, destination_of
from delivery.content.test_inbox import leads_to_test_inbox
from smtpservers.models import SmtpServer

NOT_CHOSEN = "No administrator chose this server for account mail, or it was changed since."


def allowed(servers: Collection[SmtpServer]) -> list[SmtpServer]:
    """Return the servers of these that may carry such a mail. The test inbox may not: a page shows what it gets."""
    chosen = dict(AccountServer.objects.values_list("server", "destination"))
    real = [server for server in servers if not leads_to_test_inbox(server)]
    return [server for server in real if not chosen or chosen.get(server.pk) == destination_of(server)]


def named(server: SmtpServer) -> str:
    """Return the server's name with where it leads."""
    return _("%(server)s at %(address)s") % {"server": server.name, "address": f"{server.host}:{server.port}"}


def uses(server_ids: Collection[int]) -> list[str]:
    """Return what of this room needs one of the servers, in words."""
    is_used = AccountServer.objects.filter(server__in=server_ids).exists()
    return [_("account mail, under Settings")] if is_used else []
