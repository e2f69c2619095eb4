"""What *Save and send test* does after the save. The room that sends registers it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from registry import Registry
from smtpservers.models import SmtpServer

TEST_STARTERS: Registry[Callable[[HttpRequest, SmtpServer], HttpResponse]] = Registry()


def begin_test(request: HttpRequest, server: SmtpServer) -> HttpResponse | None:
    """Begin a test through a server that was just saved; return the page that follows it, or None if nobody can."""
    for begin in TEST_STARTERS.values():
        return begin(request, server)
    return None
