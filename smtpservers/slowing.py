"""Slowing a server that says we send too fast; how it recovers is a rule of :mod:`smtpservers.pace`."""

import datetime as dt

from smtpservers.models import SmtpServer
from smtpservers.pace import factor_at

LOWEST_FACTOR = 1 / 64
# What was already under way complains, too: one slowing answers all of it.
SETTLING = dt.timedelta(seconds=30)


def slow_down(server_id: int, now: dt.datetime, *, sent_per_second: float | None = None) -> bool:
    """Halve the connections and the rate of a server that complained; return whether this complaint did it.

    Complaints within :data:`SETTLING` of the last slowing change nothing, however many workers hear them: each
    slowing happens once. At least one connection stays. Nothing needs to be called for recovery.

    :param sent_per_second: how fast it was sent to when it complained. Where it has no rate limit this becomes the
        rate that the factor is taken of, until it has recovered; without it only its connections become fewer.
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
            learned_rate = sent_per_second
        # Compared with what was read: of two workers that halve at once, one finds it done.
        if SmtpServer.objects.filter(pk=server_id, slow_factor=slow_factor, slowed_at=slowed_at).update(
            slow_factor=max(LOWEST_FACTOR, factor / 2), slowed_at=now, learned_rate=learned_rate
        ):
            return True


def reset(server_id: int) -> bool:
    """Let a server go at full speed again; False if it was not slowed."""
    slowed = SmtpServer.objects.filter(pk=server_id, slowed_at__isnull=False)
    return bool(slowed.update(slow_factor=1.0, slowed_at=None, learned_rate=None))
