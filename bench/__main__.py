"""Run everything side by side, in turn, and print the tables: ``make bench``; ``make bench QUICK=1`` for a short form.

Each round runs every contestant once, every other round backwards, so that the machine's moods meet all of them. The
results are also written to ``bench.json`` in the data folder. With ``--against COMMIT`` the same rounds are run by
Brilliance alone, here and at another commit in turn; ``bench-against.json``.
"""

import argparse
import datetime as dt
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

from django.conf import settings  # The folder and the addresses are the product's settings.

from bench.against import pairs
from bench.against.worktree import commit_of
from bench.figures import summary, table_of_contestants, table_of_figures
from bench.machine import facts
from bench.processes import Failed, Sample
from bench.race import contestants
from bench.race.contestant import LONG, SHORT, SMOKE, Sizes, lists_needed
from bench.race.race import QUICK_SECONDS, figures_of, run_race
from bench.stage.programs import Unavailable
from bench.stage.stage import Stage, stage
from bench.trials import trials


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the short form, five to six minutes")
    parser.add_argument("--smoke", action="store_true", help="a handful of messages each: shows no speed")
    parser.add_argument("--rounds", type=int, default=0, help="of the race; 0: 3 in the short form, else 5")
    parser.add_argument("--only", default="", help="contestants whose title holds this, and no trial")
    parser.add_argument("--trials", action="store_true", help="the trials, and no contestant")
    parser.add_argument("--against", default="", metavar="COMMIT", help="Brilliance alone, in turn with another commit")
    parser.add_argument("--pairs", type=int, default=9, help="how often each of the two runs, with --against")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    sizes = SMOKE if options.smoke else SHORT if options.quick else LONG
    started = dt.datetime.now(dt.UTC)
    try:
        commit = commit_of(options.against) if options.against else ""
        with stage(
            settings.DATA_DIR / "bench",
            is_quick=options.quick,
            is_smoke=options.smoke,
            postgresql=settings.DATABASE_URL if settings.DATABASE_URL.startswith("postgres") else "",
            broker=settings.BROKER_URL if settings.BROKER_URL.startswith("redis") else "",
            sizes=lists_needed(sizes),
            with_peers=not commit,
        ) as there:
            if commit:
                told = pairs.measure(there, sizes, commit, options.pairs, options.only)
            else:
                rounds = options.rounds or (1 if options.smoke else 3 if options.quick else 5)
                told = measure(there, sizes, rounds, options.only, options.trials)
    except (Failed, Unavailable) as error:
        sys.exit(str(error))
    for line in there.missing:
        print(f"Not measured: {line}")
    report(
        settings.DATA_DIR / ("bench-against.json" if commit else "bench.json"),
        {
            "date": f"{started:%Y-%m-%d %H:%M} UTC",
            "minutes": (dt.datetime.now(dt.UTC) - started).total_seconds() / 60,
            "form": "smoke" if options.smoke else "short" if options.quick else "long",
            **facts(there),
            **told,
            "missing": there.missing,
        },
    )


def _stop(number: int, _: object) -> None:
    """End, and clear everything away; another signal must not interrupt that."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def report(path: Path, told: dict[str, Any]) -> None:
    """Write everything into a file, and print what was measured on what."""
    path.write_text(json.dumps(told, indent=1) + "\n")
    print(f"\n{told['machine']}. {told['date']}, commit {told['commit']}, {told['minutes']:.0f} minutes.")
    print("; ".join(f"{name} {value}" for name, value in told["versions"].items()))
    print(f"Written to {path}.")


def measure(there: Stage, sizes: Sizes, rounds: int, only: str, only_trials: bool) -> dict[str, Any]:
    """Run the race and the trials, print their tables, and return everything for the report."""
    size, length = contestants.message_bytes(there, sizes)
    racing = [one for one in contestants.contestants(there, sizes, length) if only in one.title and not only_trials]
    print(f"{len(racing)} contestants, {rounds} rounds, {size:,} bytes a message.", flush=True)
    race = run_race(racing, rounds, there.missing, QUICK_SECONDS if there.is_quick else math.inf)
    figures = [figure for figure in figures_of(race) if figure.values]
    trial_samples: dict[str, list[Sample]] = {}
    for trial in () if only else (trials.bookkeep, trials.grow, trials.hurry, trials.misbehave):
        print(f"{trial.__doc__.splitlines()[0]}" if trial.__doc__ else "", flush=True)
        if (found := there.have(lambda trial=trial: trial(there))) is not None:  # type: ignore[misc]
            figures += found[0]
            trial_samples |= found[1]
    everything: dict[str, Sequence[Sample | None]] = {**race, **trial_samples}
    print("\n" + table_of_contestants(everything))
    print("\n" + (table_of_figures(figures) if figures else "No figure: what it takes did not take part."))
    return {
        "message_bytes": size,
        "figures": [figure.told() for figure in figures],
        "contestants": {title: summary(samples) for title, samples in everything.items()},
    }


if __name__ == "__main__":
    main()
