"""What counting opens and clicks costs the sender: the standard campaign with and without, in pairs.

    DATABASE_URL=postgres://…/new DATA_DIR=… python -m bench.trials.tracking [--pairs 15] [--people 10000]

Everybody agreed to be counted by person, so each message has its own pixel and its own links. One process sends all
campaigns, end to end into the fast sink, and who leads a pair alternates. The CPU of this process counts.
"""

import argparse
from statistics import quantiles

from bench import ours  # Sets up Django, and comes first.  # isort: skip
from django.utils import timezone

from bench.processes import Failed, Stopwatch
from bench.sinks.servers import fast_sink
from contacts.models import Contact
from delivery.models import Mailing, TrackedLink
from delivery.outbox import mailings
from delivery.worker import event_loop
from delivery.worker.drain import drain
from installation.models import SiteSettings
from smtpservers.models import SmtpServer


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--people", type=int, default=10_000)
    options = parser.parse_args()
    ours.prepare([options.people])
    Contact.objects.update(open_tracking="yes", click_tracking="yes")
    SiteSettings.objects.update_or_create(pk=1, defaults={"tracking": "personal"})
    with fast_sink("sink") as sink:
        server = ours.server_on(sink.port, 10)
        send(server, options.people, "off")  # Warms up, and counts for nothing.
        ratios = []
        for pair in range(options.pairs):
            order = ("off", "personal") if pair % 2 else ("personal", "off")
            took = {tracking: send(server, options.people, tracking) for tracking in order}
            ratios.append(took["personal"] / took["off"])
            print(f"{took['off']:6.1f} µs a message, {took['personal']:6.1f} counted: {ratios[-1]:.3f}", flush=True)
    first, middle, third = quantiles(ratios, n=4)
    print(f"counted to uncounted, {len(ratios)} pairs: {middle:.3f} (quartiles {first:.3f} and {third:.3f})")


def send(server: SmtpServer, people: int, tracking: str) -> float:
    """Send the campaign once and return the microseconds of CPU that a message took.

    :raises Failed: if the account is not exact, or links were counted against ``tracking``.
    """
    mailing = ours.queue(people, server)
    Mailing.objects.filter(pk=mailing.pk).update(tracking=tracking)
    account = ours.Account(mailing, server, people)
    mailings.resume(mailing.pk)
    watch = Stopwatch()
    event_loop.run(drain(ours.LONGEST, clock=timezone.now, idle_seconds=0.0))
    took = watch.read()["cpu_seconds"]
    account.recorded_at()
    if TrackedLink.objects.filter(mailing=mailing).exists() != (tracking != "off"):
        raise Failed(f"with tracking {tracking}, the links were made for the other case")
    return took / people * 1e6


if __name__ == "__main__":
    main()
