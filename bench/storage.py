"""What the database has to do, here and at another commit in turn: claiming and recording, and queueing.

    python -m bench.storage --against b16de91 --database postgres://user@127.0.0.1/bench_storage --pairs 15

The database named is made for each run and dropped again. Who leads a pair alternates. Each pair is written to
``bench-storage.json`` in the data folder as soon as it is there, and the quartiles are printed at the end. PostgreSQL's
CPU is that of its backends, apart from its background processes.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterator
from functools import partial

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

from django.conf import settings

from bench.against.worktree import commit_of, environment, worktree
from bench.figures import table
from bench.processes import lines_of
from bench.stage.backends import Backends
from bench.stage.checkout import Checkout

Run = Callable[[Checkout], dict[str, float]]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", required=True, metavar="COMMIT")
    parser.add_argument("--database", required=True, help="a PostgreSQL address as in DATABASE_URL, to be made")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--rows", type=int, default=20_000, help="messages to claim and record")
    parser.add_argument("--people", type=int, default=100_000, help="an audience to queue")
    parser.add_argument("--only", default="", help="measurements whose title holds this")
    options = parser.parse_args()
    runs: dict[str, Run] = {
        "claimed and recorded, one process": partial(_run, options.database, rows=options.rows, processes=1),
        "claimed and recorded, two processes": partial(_run, options.database, rows=options.rows, processes=2),
        "queued": partial(_run, options.database, snapshot=options.people),
    }
    runs = {title: run for title, run in runs.items() if options.only in title}
    commit = commit_of(options.against)
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with worktree(commit) as root:
        other = Checkout(settings.DATA_DIR, root, environment(root))
        mine = Checkout(settings.DATA_DIR)
        found: dict[str, list[dict[str, float]]] = {title: [] for title in runs}
        for title, ratios in _pairs(mine, other, runs, options.pairs):
            found[title].append(ratios)
            (settings.DATA_DIR / "bench-storage.json").write_text(json.dumps({"against": commit, **found}, indent=1))
            print(title, " ".join(f"{name} × {ratio:.3f}" for name, ratio in ratios.items()), flush=True)
    print("\n" + table(("measured", "ratio of", "median", "quartiles", "pairs"), list(_rows(found))))


def _pairs(mine: Checkout, other: Checkout, runs: dict[str, Run], pairs: int) -> Iterator[tuple[str, dict[str, float]]]:
    for number in range(pairs):
        for title, run in runs.items():
            order = (mine, other) if number % 2 else (other, mine)
            told = {id(checkout): run(checkout) for checkout in order}
            here, there = told[id(mine)], told[id(other)]
            yield title, {name: here[name] / there[name] for name in here}


def _run(
    database: str, checkout: Checkout, *, rows: int = 0, processes: int = 1, snapshot: int = 0
) -> dict[str, float]:
    command = [str(checkout.python), "-m", "bench.bookkeeping", "--database", database, "--processes", str(processes)]
    command += ["--rows", str(rows)] if rows else ["--snapshot", str(snapshot)]
    checkout.databases = {"": database}
    with Backends(database) as backends:
        (line,) = lines_of(command, checkout.environment(""), folder=checkout.root)
    if snapshot:
        return {"time": line["seconds"]}
    # The first two connections make the tables and the people.
    return {"time": line["seconds"], "PostgreSQL's CPU": backends.cpu_seconds(2), "client's CPU": line["client us"]}


def _rows(found: dict[str, list[dict[str, float]]]) -> Iterator[tuple[str, ...]]:
    for title, ratios in found.items():
        for name in ratios[0] if ratios else ():
            values = [each[name] for each in ratios]
            low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
            yield title, name, f"{statistics.median(values):.3f}", f"{low:.3f} to {high:.3f}", str(len(values))


if __name__ == "__main__":
    main()
