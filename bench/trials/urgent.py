"""How long one message waits that somebody waits for, while a large campaign is on its way through the same server.

    python -m bench.trials.urgent --port 2600 --people 100000

One process sends both. The time is from the call that submits a message to its result on record, which is after its
MAIL; every quarter of a second one is submitted.
"""

import argparse
import asyncio
import json
import threading
import time
from typing import Any

from django.db import connections
from django.utils import timezone

from bench import ours  # Sets up Django, and comes first.
from bench.processes import Failed, Stopwatch
from delivery.models import Attempt
from delivery.outbox import mailings
from delivery.outbox.transactional import send_single
from delivery.worker.drain import drain

EVERY = 0.25
MOST = 100  # Single messages; the campaign may end before.
LONGEST = 300.0


def measure(port: int, people: int) -> dict[str, Any]:
    """Send the campaign and the single messages, and return how many seconds each of these took.

    :raises Failed: if one of them was not accepted, or too few were sent while the campaign was under way.
    """
    server = ours.server_on(port, 10)
    mailing = ours.queue(people, server)
    submitted: dict[int, Any] = {}
    is_over = threading.Event()
    mailings.resume(mailing.pk)
    watch = Stopwatch()
    submitting = threading.Thread(target=_submit, args=(submitted, is_over))
    submitting.start()
    bulk_over = asyncio.run(_drain(is_over, submitting))
    took = watch.read()
    attempts = Attempt.objects.filter(message__in=submitted, outcome="accepted")
    ended = dict(attempts.values_list("message_id", "finished_at"))
    if ended.keys() != submitted.keys():
        raise Failed(f"{len(ended)} of {len(submitted)} single messages were accepted")
    waits = [(ended[pk] - at).total_seconds() for pk, at in submitted.items() if at < bulk_over]
    if len(waits) < 10:
        raise Failed(f"the campaign was over after {len(waits)} single messages; take more people")
    return {"messages": people, "seconds": took["seconds"], "cpu_seconds": took["cpu_seconds"], "waits": sorted(waits)}


async def _drain(is_over: threading.Event, submitting: threading.Thread) -> Any:
    await drain(LONGEST, clock=timezone.now, idle_seconds=0.0)
    over_at = timezone.now()
    is_over.set()
    await asyncio.to_thread(submitting.join)
    await drain(LONGEST, clock=timezone.now, idle_seconds=0.0)  # What was submitted in the very last moment.
    return over_at


def _submit(submitted: dict[int, Any], is_over: threading.Event) -> None:
    try:
        while not is_over.is_set() and len(submitted) < MOST:
            now = timezone.now()
            address = f"somebody{len(submitted)}@customers.example.com"
            submitted[send_single(to=address, subject="Your password", text="Here it is.", now=now).pk] = now
            time.sleep(EVERY)
    finally:
        connections.close_all()


def main() -> None:
    """Do what the command line says and print the answer as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--people", type=int, default=100_000)
    options = parser.parse_args()
    print(json.dumps(measure(options.port, options.people)))


if __name__ == "__main__":
    main()
