"""A probe whether a custom unsubscribe page supports one-click unsubscribe (RFC 8058); the result is stored."""

import asyncio
import datetime as dt
import ssl

from django.db.models import F

from net.addresses import Resolve
from smtpservers import one_click
from smtpservers.forms.validators import fill_unsubscribe_url
from smtpservers.models import SmtpServer

SECONDS = 5.0  # For the whole probe.


def probe_server(server_id: int, now: dt.datetime, context: ssl.SSLContext | None = None) -> str | None:
    """Probe the unsubscribe page of a server and store the result with the server.

    :param context: the TLS context; None: the default checks.
    :return: the reason why it does not support one click, empty if it does; None if there is nothing to probe, or the
        URL changed meanwhile.
    """
    server = SmtpServer.objects.filter(pk=server_id).first()
    if server is None or not server.has_unsubscribe_page:  # Deleted or edited since the probe was requested.
        return None
    problem = probe(server.unsubscribe_url, context=context)[:300]
    # A new version, so that messages composed from now on follow the result.
    noted = SmtpServer.objects.filter(pk=server_id, unsubscribe_url=server.unsubscribe_url).update(
        unsubscribe_probed_at=now, unsubscribe_problem=problem, version=F("version") + 1
    )
    return problem if noted else None


def probe(
    template: str,
    *,
    context: ssl.SSLContext | None = None,
    resolve: Resolve | None = None,
    seconds: float = SECONDS,
) -> str:
    """Send one click with a token that belongs to nobody; return the reason why it failed, empty if it was taken.

    :param resolve: resolves a host to addresses; None: the system's resolver.
    """
    url = fill_unsubscribe_url(template, token="probe", email="probe@example.com", campaign="probe", list_id="0")  # noqa: S106 - the token belongs to nobody.
    answer = asyncio.run(
        one_click.click(
            url,
            context=context or ssl.create_default_context(),
            seconds=seconds,
            resolve=resolve,
        )
    )
    return "" if answer.is_taken else answer.sentence
