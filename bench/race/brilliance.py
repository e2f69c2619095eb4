"""How Brilliance takes part: each way in which a checkout sends the campaign, told by its own account."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from bench.processes import Failed, Sample, finished, start
from bench.race.contestant import (
    CONNECTIONS,
    ED25519,
    IN_CELERY,
    ONE_CONNECTION,
    RSA,
    SIGNED,
    Contestant,
    Sizes,
    ours,
    patience,
)
from bench.sinks.servers import Sink
from bench.stage.checkout import Checkout
from bench.stage.databases import POSTGRESQL
from bench.stage.stage import SMTP_SINK, Stage


def contestants_of(checkout: Checkout, sink: Sink, sizes: Sizes, keys: Mapping[str, Path]) -> list[Contestant]:
    """Return how a checkout sends into a near sink: on each database, signed or not, in one process or two."""
    found = []
    for database in checkout.databases:
        one = partial(send, checkout, database, sink)
        two = partial(_send_by_two, checkout, database, sink)
        rsa, ed25519 = keys[RSA], keys[ED25519]
        is_main = sink.name == SMTP_SINK and database == POSTGRESQL
        found += [
            Contestant(ours(database), sink.name, partial(one, sizes.ours, CONNECTIONS)),
            Contestant(ours(database, ", two processes"), sink.name, partial(two, sizes.ours), is_short=False),
            Contestant(
                ours(database, SIGNED + ED25519),
                sink.name,
                partial(one, sizes.ours, CONNECTIONS, ed25519),
                is_short=is_main,
            ),
            Contestant(
                ours(database, SIGNED + RSA),
                sink.name,
                partial(one, sizes.ours_rsa, CONNECTIONS, rsa),
                is_short=is_main,
            ),
            Contestant(
                ours(database, f"{SIGNED}{RSA}, two processes"),
                sink.name,
                partial(two, sizes.ours_rsa, rsa),
                is_short=False,
            ),
        ]
    return found


def far_contestants_of(checkout: Checkout, sink: Sink, sizes: Sizes) -> list[Contestant]:
    """Return how a checkout sends over one connection into the far sink."""
    return [
        Contestant(
            ours(database, ONE_CONNECTION),
            sink.name,
            partial(send, checkout, database, sink, sizes.ours_far, 1),
            is_short=database == POSTGRESQL,
        )
        for database in checkout.databases
    ]


def in_celery(there: Stage, sink: Sink, sizes: Sizes) -> list[Contestant]:
    """Return how the Celery worker sends, where there is one."""
    if not there.worker:
        return []
    by_worker = partial(_send_by_worker, there, sink, sizes.ours)
    return [Contestant(ours(POSTGRESQL, IN_CELERY), sink.name, by_worker, is_short=sink.name == SMTP_SINK)]


def send(
    checkout: Checkout, database: str, sink: Sink, messages: int, connections: int, key: Path | None = None
) -> Sample:
    """Let one process of Brilliance send a campaign.

    :raises Failed: if its account is not exact, or the sink counted something else.
    """
    options = {"key": key} if key else {}
    command = checkout.command("send", people=messages, port=sink.port, connections=connections, **options)
    with _counted(sink, messages):
        return Sample.told(checkout.answer(database, command, patience(messages)))


def _send_by_two(checkout: Checkout, database: str, sink: Sink, messages: int, key: Path | None = None) -> Sample:
    """Two processes, each with a server row of its own: a server's lane belongs to one process."""
    options = {"key": key} if key else {}
    half, connections = messages // 2, CONNECTIONS // 2
    with _counted(sink, messages), contextlib.ExitStack() as stack:
        processes = []
        for number in (1, 2):
            command = checkout.command(
                "send", people=half, port=sink.port, connections=connections, number=number, waits=True, **options
            )
            process = start(command, checkout.environment(database), checkout.root)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            time.sleep(0.1)  # The first has its lane before it could see the other's work.
        told = [finished(process, patience(messages)) for process in processes]
    seconds = max(one["recorded_at"] for one in told) - min(one["called_at"] for one in told)
    return Sample(2 * half, seconds, sum(one["cpu_seconds"] for one in told))


def _send_by_worker(there: Stage, sink: Sink, messages: int) -> Sample:
    # Another server row than the direct runs': its drain must find no lane but its own.
    command = there.ours.command(
        "send-by-worker", people=messages, port=sink.port, connections=CONNECTIONS, number=9, worker=there.worker
    )
    with _counted(sink, messages):
        return Sample.told(there.ours.answer(POSTGRESQL, command, patience(messages)))


@contextlib.contextmanager
def _counted(sink: Sink, messages: int) -> Iterator[None]:
    """The sink's own count must agree, where it counts.

    :raises Failed: if another number came than was sent.
    """
    before = sink.counted()[0] if sink.is_ours else 0
    yield
    if sink.is_ours and (came := sink.counted()[0] - before) != messages:
        raise Failed(f"{came} messages came to the sink, and {messages} were sent")
