"""Who takes part: Brilliance, and how each of the others sends the same message."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.processes import ROOT, Sample, answer_of, timed
from bench.race.brilliance import contestants_of, far_contestants_of, in_celery, send
from bench.race.contestant import (
    CONNECTIONS,
    NODEMAILER,
    ONE_CONNECTION,
    POST_OFFICE,
    RSA,
    SIGNED,
    SOURCE,
    Contestant,
    Sizes,
    patience,
)
from bench.sinks.servers import Sink
from bench.stage.databases import SQLITE
from bench.stage.stage import FAR, FAST, SMTP_SINK, Stage


def message_bytes(there: Stage, sizes: Sizes) -> tuple[int, int]:
    """Return the size of one message of Brilliance, and what smtp-source must be told to send as much.

    :raises Failed: if Brilliance cannot send; then nothing can be compared.
    """
    sink = there.sinks[FAST]
    octets = sink.counted()[1]
    send(there.ours, SQLITE, sink, sizes.ours_far, 1)
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
        found += contestants_of(there.ours, sink, sizes, there.keys) + in_celery(there, sink, sizes)
        found += _of_peers(there, sink, sizes, is_short=sink.name == SMTP_SINK or SMTP_SINK not in there.sinks)
    far = there.sinks[FAR]
    found += _of_source(there, far, sizes.source_far, 1, length)
    found += far_contestants_of(there.ours, far, sizes)
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


def _of_peers(there: Stage, sink: Sink, sizes: Sizes, *, is_short: bool) -> list[Contestant]:
    found = _of_nodemailer(there, sink, NODEMAILER, sizes.nodemailer, CONNECTIONS, is_short=is_short)
    found += _of_nodemailer(
        there, sink, NODEMAILER + SIGNED + RSA, sizes.nodemailer_rsa, CONNECTIONS, there.keys[RSA], is_short=is_short
    )
    found += _of_post_office(there, sink, sizes.post_office, is_short=is_short)
    for name, how in (("Django's backend, batches of 500", "batches"), ("Django's backend, each by itself", "each")):
        module: tuple[object, ...] = ("bench.peers.django_backend", there.message_file, sink.port, sizes.django, how)
        found.append(_of_module(name, sink, sys.executable, module, is_short=is_short))
    if there.ours.broker:
        for database, url in there.peer_databases.items():
            if database != SQLITE or len(there.peer_databases) == 1:
                module = (
                    "bench.peers.one_task_each",
                    there.message_file,
                    url,
                    there.ours.broker,
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
        return Sample.told(answer_of([str(word) for word in words], program.environment, patience(messages)))

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
