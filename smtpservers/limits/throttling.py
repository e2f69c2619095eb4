"""Throttling of servers that report too much speed; :mod:`smtpservers.limits.rate_limiter` lets them recover."""

import datetime as dt
from collections.abc import Callable

from django.db.models import F, Q

from smtpservers.limits.rate_limiter import factor_at
from smtpservers.models import SmtpServer

LOWEST_FACTOR = 1 / 64
# Messages already in progress are refused too: one throttling answers all of them.
SETTLING = dt.timedelta(seconds=30)


def slow_down(server_id: int, now: dt.datetime, *, sent_per_second: Callable[[], float | None] = lambda: None) -> bool:
    """Halve the connections and the rate of a server that complained; return whether this call did it.

    Complaints within :data:`SETTLING` of the last throttling change nothing, however many workers report them. At least
    one connection remains. Recovery needs no call.

    :param sent_per_second: returns the sending rate at the complaint; called only if needed. Without a rate limit, this
        becomes the base of the factor until the server has recovered; None: only the connections are reduced.
    """
    while True:
        found = SmtpServer.objects.filter(pk=server_id).values_list("slow_factor", "slowed_at", "learned_rate").first()
        if found is None:
            return False
        slow_factor, slowed_at, learned_rate = found
        if slowed_at is not None and abs(now - slowed_at) < SETTLING:
            return False
        factor = factor_at(slow_factor, slowed_at, now)
        if factor == 1 or learned_rate is None:
            learned_rate = sent_per_second()
        # Compared with the values read above: of two simultaneous workers only one succeeds.
        if SmtpServer.objects.filter(pk=server_id, slow_factor=slow_factor, slowed_at=slowed_at).update(
            slow_factor=max(LOWEST_FACTOR, factor / 2), slowed_at=now, learned_rate=learned_rate
        ):
            return True


def take_one_connection(server_id: int, now: dt.datetime) -> bool:
    """Use one connection fewer after the server complained about their number; return whether this call did it."""
    server = SmtpServer.objects.filter(pk=server_id).only("max_connections", "slow_factor", "slowed_at").first()
    if server is None or (server.slowed_at is not None and abs(now - server.slowed_at) < SETTLING):
        return False
    most = server.max_connections
    used = max(1, int(most * factor_at(server.slow_factor, server.slowed_at, now) + 1e-9))
    unchanged = SmtpServer.objects.filter(pk=server_id, slow_factor=server.slow_factor, slowed_at=server.slowed_at)
    return bool(unchanged.update(slow_factor=max(1, used - 1) / most, slowed_at=now))


def keep_to_one_connection(server_id: int, until: dt.datetime) -> bool:
    """Use a single connection until then; afterwards the server recovers as after throttling."""
    # Recovery starts at ``slowed_at``, here a future instant.
    earlier = SmtpServer.objects.filter(Q(slowed_at=None) | Q(slowed_at__lt=until), pk=server_id)
    return bool(earlier.update(slow_factor=1.0 / F("max_connections"), slowed_at=until))


def learn_messages_per_connection(server_id: int, taken: int, version: int | None = None) -> bool:
    """Remember after how many messages a server closed the connection and said so, until it is edited.

    :param taken: the messages it accepted over that connection; a lower number replaces a known one.
    :param version: the version of the settings under which they were sent; ignored after an edit.
    """
    server = SmtpServer.objects.filter(pk=server_id)
    if version is not None:
        server = server.filter(version=version)
    news = Q(learned_messages_per_connection=None) | Q(learned_messages_per_connection__gt=max(1, taken))
    return bool(server.filter(news).update(learned_messages_per_connection=max(1, taken)))


def reset(server_id: int) -> bool:
    """End the throttling of a server; False if there was none."""
    slowed = SmtpServer.objects.filter(pk=server_id, slowed_at__isnull=False)
    return bool(slowed.update(slow_factor=1.0, slowed_at=None, learned_rate=None))
