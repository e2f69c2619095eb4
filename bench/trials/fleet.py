"""A fleet of 100 servers with 20 connections each, of which 20 misbehave: what do the healthy ones keep of their rate?

    python -m bench.trials.fleet --port 2600 --messages 250 --sick 2601 2602 ...

Each server has a campaign of its own; one process drains them all. Without ``--sick`` the healthy ones are alone, which
is what the other run is compared with.
"""

import argparse
import asyncio
import json
import resource
import threading
import time
from typing import Any

from django.db import connections
from django.utils import timezone

from bench import ours  # Sets up Django, and comes first.
from bench.processes import Stopwatch
from delivery.models import Message
from delivery.outbox import mailings
from delivery.worker.drain import drain
from smtpservers.models import SmtpServer

HEALTHY = 80
CONNECTIONS = 20
LONGEST = 300.0


def measure(port: int, sick: list[int], messages: int) -> dict[str, Any]:
    """Send through the whole fleet until the healthy servers are done, and return their part.

    :raises Failed: if the account of a healthy server is not exact.
    """
    well = []
    for number in range(HEALTHY):
        server = ours.server_on(port, CONNECTIONS, number)
        mailing = ours.queue(messages, server)
        well.append((mailing, ours.Account(mailing, server, messages)))
    ill = [ours.queue(messages, ours.server_on(sick_port, CONNECTIONS)) for sick_port in sick]
    # What is silent is waited for after the measured time, so not for long.
    SmtpServer.objects.filter(port__in=sick).update(timeout_seconds=5)
    is_done = threading.Event()
    watcher = threading.Thread(target=_watch, args=([mailing.pk for mailing, _ in well], is_done))
    called_at, watch = timezone.now(), Stopwatch()
    for mailing in [*(mailing for mailing, _ in well), *ill]:
        mailings.resume(mailing.pk)
    watcher.start()
    asyncio.run(drain(LONGEST, clock=timezone.now, should_stop=is_done.is_set, idle_seconds=0.0))
    took = watch.read()
    is_done.set()
    watcher.join()
    for mailing in ill:
        mailings.cancel(mailing.pk, timezone.now())
    recorded_at = max(account.recorded_at() for _, account in well)
    return {
        "messages": HEALTHY * messages,
        "seconds": (recorded_at - called_at).total_seconds(),
        "cpu_seconds": took["cpu_seconds"],
        "sick": len(sick),
    }


def _watch(mailing_ids: list[int], is_done: threading.Event) -> None:
    """Tell the drain to stop when the healthy servers have nothing left."""
    try:
        while Message.objects.filter(mailing__in=mailing_ids, status__in=Message.PENDING).exists():
            if is_done.is_set():
                return
            time.sleep(0.2)
        is_done.set()
    finally:
        connections.close_all()


def main() -> None:
    """Do what the command line says and print the answer as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sick", type=int, nargs="*", default=[])
    parser.add_argument("--messages", type=int, default=250)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # 2,000 connections need more than the usual 1,024.
    print(json.dumps(measure(options.port, options.sick, options.messages)))


if __name__ == "__main__":
    main()
