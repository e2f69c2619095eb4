"""What is no race: large campaigns against small ones, a fleet in which some misbehave, and bookkeeping alone."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

from bench.figures import Figure, median_rate
from bench.processes import ROOT, Failed, Sample
from bench.race.brilliance import send
from bench.race.contestant import CONNECTIONS
from bench.stage.databases import POSTGRESQL, SQLITE
from bench.stage.stage import FAR, FAST, Stage

SMALL = 10_000
REPEATS = 5


def sizes(there: Stage) -> tuple[int, int]:
    """Return how many people the small and the large campaign have."""
    if there.is_smoke:
        return 100, 1_000
    return SMALL, 100_000 if there.is_quick else 1_000_000


def grow(there: Stage) -> tuple[list[Figure], dict[str, list[Sample]]]:
    """Send small campaigns before and after a large one, on each database, and compare.

    :raises Failed: if a run is not exact.
    """
    few, many = sizes(there)
    figures, samples = [], {}
    # The short form has no time for both.
    for database in list(there.ours.databases)[-1:] if there.is_quick else there.ours.databases:
        there.ours.answer(database, there.ours.command("prepare", people=[few, many]))

        def run(people: int, database: str = database) -> Sample:
            return send(there.ours, database, there.sinks[FAST], people, CONNECTIONS)

        repeats = 3 if there.is_quick else REPEATS
        small = [run(few) for _ in range(repeats - repeats // 2)]
        big = run(many)
        small += [run(few) for _ in range(repeats // 2)]
        samples[f"{database}, {few:,} people → {FAST}"] = small
        samples[f"{database}, {many:,} people → {FAST}"] = [big]
        what = f"at {many:,} people against {few:,}, {database}"
        figures += [
            Figure(f"cost of a message {what}", 1.1, _each(big, small, "seconds"), at_most=True),
            Figure(
                f"memory of the worker {what}: more by",
                20,
                tuple(big.facts["peak_mb"] - one.facts["peak_mb"] for one in small),
                at_most=True,
                unit="MB",
            ),
        ]
        if database == POSTGRESQL:
            seconds = (big.facts["queued_seconds"],)
            figures.append(
                Figure(f"queueing a campaign to {many:,} people, {database}", 15 * many / 1e6, seconds, True, "s")
            )
        print(f"  {database}: {big.rate:,.0f}/s with {many:,} people, CPU × {_each(big, small, 'cpu_seconds')[0]:.2f}")
    return figures, samples


def _each(big: Sample, small: list[Sample], what: str) -> tuple[float, ...]:
    """Return what a message of the large campaign cost, in units of each small one's."""
    cost = getattr(big, what) / big.messages
    return tuple(cost / (getattr(one, what) / one.messages) for one in small)


def misbehave(there: Stage) -> tuple[list[Figure], dict[str, list[Sample]]]:
    """Let 80 healthy servers send alone and beside 20 that misbehave, in turn, and compare.

    :raises Failed: if the account of a healthy server is not exact.
    """
    messages, repeats = (5, 1) if there.is_smoke else (100, 2) if there.is_quick else (500, 5)
    database = POSTGRESQL if POSTGRESQL in there.ours.databases else SQLITE
    there.ours.answer(database, there.ours.command("prepare", people=messages))
    alone, beside = [], []
    with _sick_servers() as ports:
        command = [
            sys.executable,
            "-m",
            "bench.trials.fleet",
            "--port",
            str(there.sinks[FAR].port),
            "--messages",
            str(messages),
        ]
        for _ in range(repeats):
            alone.append(Sample.told(there.ours.answer(database, command)))
            with_sick = [*command, "--sick", *(str(port) for port in ports)]
            beside.append(Sample.told(there.ours.answer(database, with_sick)))
    kept = tuple(two.rate / one.rate for one, two in zip(alone, beside, strict=True))
    figure = Figure(f"rate that 80 servers keep while 20 more misbehave, 20 connections each, {database}", 0.8, kept)
    return [figure], {f"80 servers alone → {FAR}": alone, f"80 servers beside 20 sick ones → {FAR}": beside}


def bookkeep(there: Stage) -> tuple[list[Figure], dict[str, list[Sample]]]:
    """Claim and record without sending, small campaigns and large ones in turn, on PostgreSQL.

    :raises Failed: if there is no PostgreSQL, or the account does not add up.
    """
    if POSTGRESQL not in there.ours.databases:
        raise Failed("claiming and recording on PostgreSQL, which is not there")
    few, many, repeats = 10_000, 500_000, 5
    if there.is_quick or there.is_smoke:
        few, many, repeats = (500, 1_000, 1) if there.is_smoke else (10_000, 30_000, 2)
    samples: dict[tuple[int, int], list[Sample]] = {}
    for rows, processes, sample in there.ours.bookkeep(POSTGRESQL, [few, many] * repeats, [1, 2]):
        samples.setdefault((rows, processes), []).append(sample)
    best = max((1, 2), key=lambda processes: median_rate(samples[many, processes]))
    rates = [tuple(sample.rate for sample in samples[rows, best]) for rows in (few, many)]
    kept = tuple(large / small for small, large in zip(*rates, strict=True))
    figures = [
        Figure(
            f"claimed and recorded, {many:,} messages, PostgreSQL",
            50_000,
            rates[1],
            False,
            "/s",
            "one process" if best == 1 else "two processes",
        ),
        Figure(f"rate of claiming and recording at {many:,} messages to that at {few:,}", 0.9, kept),
    ]
    titles = {(rows, n): f"claimed and recorded, {rows:,} messages, {n} processes → no sink" for rows, n in samples}
    return figures, {titles[key]: samples[key] for key in samples}


def hurry(there: Stage) -> tuple[list[Figure], dict[str, list[Sample]]]:
    """Submit single messages while a large campaign is on its way through the same server.

    :raises Failed: if one of them is not accepted, or the campaign is over too soon.
    """
    people = 20_000 if there.is_smoke else 40_000 if there.is_quick else 100_000
    database = POSTGRESQL if POSTGRESQL in there.ours.databases else SQLITE
    there.ours.answer(database, there.ours.command("prepare", people=people))
    port = str(there.sinks[FAST].port)
    command = [sys.executable, "-m", "bench.trials.urgent", "--port", port, "--people", str(people)]
    sample = Sample.told(there.ours.answer(database, command))
    waits = sample.facts["waits"]
    late = (waits[int(0.95 * (len(waits) - 1))],)
    what = f"a single message behind {people:,} others, 95th percentile, {database}"
    return [Figure(what, 2, late, True, "s")], {
        f"{people:,} people, and {len(waits)} single messages → {FAST}": [sample]
    }


@contextlib.contextmanager
def _sick_servers() -> Iterator[list[int]]:
    command = [sys.executable, "-m", "bench.sinks.sick", "--servers", "20"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()
