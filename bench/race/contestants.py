"""Who takes part: how each of them sends the same message, and how many of them, so that a run takes about a second."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.processes import ROOT, Failed, Sample, answer_of, finished, start, timed
from bench.sinks.servers import Sink
from bench.stage.stage import FAR, FAST, POSTGRESQL, SMTP_SINK, SQLITE, Stage

CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Contestant:
    """A sender into one sink."""

    name: str
    sink: str
    run: Callable[[], Sample]
    is_short: bool = True  # Whether it takes part in the short form.

    @property
    def title(self) -> str:
        """Its name in tables."""
        return f"{self.name} → {self.sink}"


def ours(database: str, more: str = "") -> str:
    """Return the name of Brilliance on a database."""
    return f"Brilliance, {database}{more}"


SOURCE = "smtp-source"
NODEMAILER = "nodemailer, pool of 10"
POST_OFFICE = "django-post_office"
RSA, ED25519 = "RSA-2048", "Ed25519"
ONE_CONNECTION, SIGNED, IN_CELERY = ", one connection", ", signed with ", ", in a Celery worker"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many messages each of them sends."""

    ours: int
    ours_rsa: int
    ours_far: int
    source: int
    source_far: int
    nodemailer: int
    nodemailer_rsa: int
    post_office: int
    django: int
    one_task_each: int


SHORT = Sizes(10_000, 3_000, 100, 10_000, 20, 1_000, 300, 400, 300, 200)
SMOKE = Sizes(200, 40, 20, 200, 4, 40, 20, 40, 20, 20)  # Shows that everything works, and no speed.
LONG = Sizes(20_000, 10_000, 200, 20_000, 40, 4_000, 1_500, 2_000, 1_000, 1_000)


def lists_needed(sizes: Sizes) -> list[int]:
    """Return the lists of people that the contestants write to."""
    return sorted({sizes.ours, sizes.ours // 2, sizes.ours_rsa, sizes.ours_rsa // 2, sizes.ours_far})


def message_bytes(there: Stage, sizes: Sizes) -> tuple[int, int]:
    """Return the size of one message of Brilliance, and what smtp-source must be told to send as much.

    :raises Failed: if Brilliance cannot send; then nothing can be compared.
    """
    sink = there.sinks[FAST]
    octets = sink.counted()[1]
    send(there, SQLITE, sink, sizes.ours_far, 1)
    size = (sink.counted()[1] - octets) // sizes.ours_far
    octets = sink.counted()[1]
    for one in _of_source(there, sink, 1, 1, size):
        one.run()
        return size, size - (sink.counted()[1] - octets - size)
    return size, size


def contestants(there: Stage, sizes: Sizes, length: int) -> list[Contestant]:
    """Return all that can take part on this machine, in the order of the tables.

    :param length: what smtp-source is told; see :func:`message_bytes`.
    """
    found: list[Contestant] = []
    for sink in (there.sinks[name] for name in (SMTP_SINK, FAST) if name in there.sinks):
        found += _of_source(there, sink, sizes.source, CONNECTIONS, length)
        found += _of_ours(there, sink, sizes)
        found += _of_peers(there, sink, sizes, is_short=sink.name == SMTP_SINK or SMTP_SINK not in there.sinks)
    far = there.sinks[FAR]
    found += _of_source(there, far, sizes.source_far, 1, length)
    for database in there.databases:
        command = partial(send, there, database, far, sizes.ours_far, 1)
        found.append(Contestant(ours(database, ONE_CONNECTION), FAR, command, is_short=database == POSTGRESQL))
    if not there.is_quick:
        found += _of_nodemailer(there, far, "nodemailer, pool of 1", sizes.source_far, 1)
    return [one for one in found if one.is_short or not there.is_quick]


def _of_source(there: Stage, sink: Sink, messages: int, connections: int, length: int) -> list[Contestant]:
    if (program := there.programs.get(SOURCE)) is None:
        return []
    command = [
        *program.command,
        *("-d", "-s", str(connections), "-m", str(messages), "-l", str(length)),
        *("-f", "news@shop.example.com", "-t", "ann.lee@customers.example.com", f"127.0.0.1:{sink.port}"),
    ]
    name = SOURCE if connections > 1 else SOURCE + ONE_CONNECTION
    return [Contestant(name, sink.name, partial(timed, command, program.environment, messages))]


def _of_ours(there: Stage, sink: Sink, sizes: Sizes) -> list[Contestant]:
    found = []
    for database in there.databases:
        one = partial(send, there, database, sink)
        two = partial(_send_by_two, there, database, sink)
        rsa, ed25519 = there.keys[RSA], there.keys[ED25519]
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
    if there.worker:
        by_worker = partial(_send_by_worker, there, sink, sizes.ours)
        found.append(Contestant(ours(POSTGRESQL, IN_CELERY), sink.name, by_worker, is_short=sink.name == SMTP_SINK))
    return found


def send(there: Stage, database: str, sink: Sink, messages: int, connections: int, key: Path | None = None) -> Sample:
    """Let one process of Brilliance send a campaign.

    :raises Failed: if its account is not exact, or the sink counted something else.
    """
    options = {"key": key} if key else {}
    command = there.ours("send", people=messages, port=sink.port, connections=connections, **options)
    with _counted(sink, messages):
        return Sample.told(answer_of(command, there.environment(database), _patience(messages)))


def _send_by_two(there: Stage, database: str, sink: Sink, messages: int, key: Path | None = None) -> Sample:
    """Two processes, each with a server row of its own: a server's lane belongs to one process."""
    options = {"key": key} if key else {}
    half, connections = messages // 2, CONNECTIONS // 2
    with _counted(sink, messages), contextlib.ExitStack() as stack:
        processes = []
        for number in (1, 2):
            command = there.ours(
                "send", people=half, port=sink.port, connections=connections, number=number, waits=True, **options
            )
            process = start(command, there.environment(database))
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
        told = [finished(process, _patience(messages)) for process in processes]
    seconds = max(one["recorded_at"] for one in told) - min(one["called_at"] for one in told)
    return Sample(2 * half, seconds, sum(one["cpu_seconds"] for one in told))


def _send_by_worker(there: Stage, sink: Sink, messages: int) -> Sample:
    # Another server row than the direct runs': its drain must find no lane but its own.
    command = there.ours(
        "send-by-worker", people=messages, port=sink.port, connections=CONNECTIONS, number=9, worker=there.worker
    )
    with _counted(sink, messages):
        return Sample.told(answer_of(command, there.environment(POSTGRESQL), _patience(messages)))


def _patience(messages: int) -> float:
    """Return after how many seconds a run has failed: at a hundredth of the rate that is wanted."""
    return 120 + messages / 100


@contextlib.contextmanager
def _counted(sink: Sink, messages: int) -> Iterator[None]:
    """The sink's own count must agree, where it counts.

    :raises Failed: if another number came than was sent.
    """
    before = sink.counted()[0] if sink.is_ours else 0
    yield
    if sink.is_ours and (came := sink.counted()[0] - before) != messages:
        raise Failed(f"{came} messages came to the sink, and {messages} were sent")


def _of_peers(there: Stage, sink: Sink, sizes: Sizes, *, is_short: bool) -> list[Contestant]:
    found = _of_nodemailer(there, sink, NODEMAILER, sizes.nodemailer, CONNECTIONS, is_short=is_short)
    found += _of_nodemailer(
        there, sink, NODEMAILER + SIGNED + RSA, sizes.nodemailer_rsa, CONNECTIONS, there.keys[RSA], is_short=is_short
    )
    found += _of_post_office(there, sink, sizes.post_office, is_short=is_short)
    for name, how in (("Django's backend, batches of 500", "batches"), ("Django's backend, each by itself", "each")):
        module: tuple[object, ...] = ("bench.peers.django_backend", there.message_file, sink.port, sizes.django, how)
        found.append(_of_module(name, sink, sys.executable, module, is_short=is_short))
    if there.broker:
        for database, url in there.peer_databases.items():
            if database != SQLITE or len(there.peer_databases) == 1:
                module = (
                    "bench.peers.one_task_each",
                    there.message_file,
                    url,
                    there.broker,
                    sink.port,
                    sizes.one_task_each,
                )
                found.append(
                    _of_module(f"one Celery task each, {database}", sink, sys.executable, module, is_short=is_short)
                )
    return found


def _of_nodemailer(
    there: Stage,
    sink: Sink,
    name: str,
    messages: int,
    connections: int,
    key: Path | None = None,
    *,
    is_short: bool = True,
) -> list[Contestant]:
    if (program := there.programs.get("nodemailer")) is None:
        return []
    script = ROOT / "bench/peers/nodemailer.cjs"
    words = [*program.command, script, there.message_file, sink.port, messages, connections, *([key] if key else [])]

    def run() -> Sample:
        return Sample.told(answer_of([str(word) for word in words], program.environment, _patience(messages)))

    return [Contestant(name, sink.name, run, is_short)]


def _of_post_office(there: Stage, sink: Sink, messages: int, *, is_short: bool) -> list[Contestant]:
    if (program := there.programs.get(POST_OFFICE)) is None:
        return []
    found = []
    for database, url in there.peer_databases.items():
        for how in ("defaults", "tuned"):
            for processes, word in ((1, "one process"), (2, "two processes")):
                module = ("bench.peers.post_office_queue", there.message_file, url, sink.port, messages, how, processes)
                name = f"{POST_OFFICE}, {database}, {how}, {word}"
                # The best of them is what counts; that is never the defaults.
                is_best = how == "tuned" or (database == SQLITE and processes == 1)
                found.append(_of_module(name, sink, program.command[0], module, is_short=is_short and is_best))
    return found


def _of_module(name: str, sink: Sink, python: str, words: Sequence[object], *, is_short: bool) -> Contestant:
    def run() -> Sample:
        return Sample.told(answer_of([python, "-m", *(str(word) for word in words)], {}, 300))

    return Contestant(name, sink.name, run, is_short)
