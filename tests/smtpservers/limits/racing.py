"""Processes that race for the same units.

A child of the test's process forks the racers, each with a connection of its own. A clock of theirs, which each look
moves on by ``step_seconds``, lets days pass within a second. What every racer was granted is printed as JSON.
"""

import datetime as dt
import functools
import json
import multiprocessing
import random
from typing import Any

from tests.harness.children import in_child

RACERS = 8
# How far the clock runs ahead of who waits for a lock: no worker waits for hours, as a day goes by in a second here.
LONGEST_WAIT_SECONDS = 20 * 60.0


def race(**settings: Any) -> list[dict[str, Any]]:
    """Start the racers on the test's database and return their grants once they are done.

    :param settings: ``servers`` by id; ``starts_at`` and ``ends_at`` as text; ``step_seconds``; ``wanted``, the most
        that is asked for at once; ``returned``, how many grants of each racer come back in part; ``lowered_by_one``,
        whether one of them lowers the quota to fifty above the use, after its first grant;
        ``longest_wait_seconds``, in place of ours.
    """
    grants: list[dict[str, Any]] = json.loads(in_child(lambda: print(json.dumps(_run(settings)))))
    return grants


def _run(settings: dict[str, Any]) -> list[dict[str, Any]]:
    context = multiprocessing.get_context("fork")
    start = dt.datetime.fromisoformat(settings["starts_at"]).timestamp()
    shared = (context.Value("d", start), context.Array("d", [start] * RACERS), context.Barrier(RACERS))
    with context.Pool(RACERS, initializer=_share, initargs=shared) as pool:
        found = pool.starmap(_race, [(number, settings) for number in range(RACERS)], chunksize=1)
    return [grant for grants in found for grant in grants]


def _share(clock: Any, looks: Any, line: Any) -> None:
    globals().update(_clock=clock, _looks=looks, _line=line)


def _now(number: int, step_seconds: float, longest_wait_seconds: float) -> dt.datetime:
    """Look at the clock, which goes on by it, but not far beyond the last look of another."""
    clock, looks = globals()["_clock"], globals()["_looks"]
    with clock.get_lock():
        others = [look for other, look in enumerate(looks) if other != number]
        clock.value = max(clock.value, min(clock.value + step_seconds, min(others) + longest_wait_seconds))
        looks[number] = clock.value
        return dt.datetime.fromtimestamp(clock.value, dt.UTC)


def _race(number: int, settings: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return _racer(number, settings)
    finally:
        globals()["_looks"][number] = float("inf")


def _racer(number: int, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Reserve until no server has room, or the clock is at its end; settle some, give some back."""
    from django.db import transaction

    from smtpservers.limits import reservations
    from smtpservers.models import SmtpServer

    chance = random.Random(number)
    servers = list(SmtpServer.objects.filter(pk__in=settings["servers"]))
    end = dt.datetime.fromisoformat(settings["ends_at"]) if settings.get("ends_at") else None
    returned, grants = settings.get("returned", 0), []
    step, longest_wait = settings.get("step_seconds", 0.0), settings.get("longest_wait_seconds", LONGEST_WAIT_SECONDS)
    now = functools.partial(_now, number, step, longest_wait)
    is_lowering = number == 0 and settings.get("lowered_by_one", False)
    globals()["_line"].wait(60)  # Else the first may be done before the last has begun.
    while True:
        chance.shuffle(servers)
        is_full = True
        for server in servers:
            reserved_at = now()
            if end is not None and reserved_at >= end:
                return grants
            reservation = reservations.reserve(server, chance.randint(1, settings["wanted"]), reserved_at)
            if reservation is None:
                continue
            is_full = False
            # At least one of each grant is used: who took and returned the last one for ever would never be done.
            back = chance.randint(0, reservation.units - 1) if returned else 0
            returned -= bool(back)
            used = reservation.units - back
            accepted_at, settled_at = now(), now()
            with transaction.atomic():  # As recording does: a recount between the two would miss the units.
                reservations.settle(reservation.period_id, used=used, released=back, now=settled_at)
                reservations.write_ledger(server.pk, [reserved_at] * used)
            moments = {"reserved_at": reserved_at, "accepted_at": accepted_at, "settled_at": settled_at}
            seconds = {name: moment.timestamp() for name, moment in moments.items()}
            grants.append({"server": server.pk, "units": used, "released": back, **seconds})
            if is_lowering:
                is_lowering = False
                _lower(server.pk, now())
        if is_full and end is None:
            return grants


def _lower(server_id: int, now: dt.datetime) -> None:
    """Edit the quota as the page does: the account first, then the server."""
    from django.db import transaction

    from smtpservers.limits import reservations
    from smtpservers.models import SmtpServer

    with transaction.atomic():
        server = SmtpServer.objects.get(pk=server_id)
        reservations.lock_account(server)
        period = reservations.current_period(server, now)
        server.max_per_month = period.used + period.reserved + 50
        server.save()
        reservations.refit_period(server, now)
