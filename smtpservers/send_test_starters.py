"""What follows when somebody saves or resumes a server, and what *Save and send test* does. Higher rooms add it."""

import datetime as dt
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from registry import Registry
from smtpservers.models import SmtpServer

# Called within the transaction with the server that somebody saved.
SAVE_WATCHERS: Registry[Callable[[SmtpServer, dt.datetime], None]] = Registry()
# Called with the present after a server was resumed.
RESUME_WATCHERS: Registry[Callable[[dt.datetime], object]] = Registry()
TEST_STARTERS: Registry[Callable[[HttpRequest, SmtpServer], HttpResponse]] = Registry()


def begin_test(request: HttpRequest, server: SmtpServer) -> HttpResponse | None:
    """Begin a test through a server that was just saved; return the page that follows it, or None if nobody can."""
    for begin in TEST_STARTERS.values():
        return begin(request, server)
    return None
