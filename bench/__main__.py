"""Run everything side by side, in turn, and print the tables: ``make bench``; ``make bench QUICK=1`` for a short form.

Each round runs every contestant once, every other round backwards, so that the machine's moods meet all of them. The
results are also written to ``bench.json`` in the data folder.
"""

import argparse
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

from django.conf import settings  # The folder and the addresses are the product's settings.

from bench import contestants, trials
from bench.contestants import Contestant, Sizes
from bench.figures import Figure, best, ratios, summary, table_of_contestants, table_of_figures
from bench.installing import python_version
from bench.running import ROOT, Failed, Sample
from bench.stage import FAR, FAST, POSTGRESQL, SMTP_SINK, Stage, stage

Rounds = dict[str, list[Sample | None]]
RACE_SECONDS = 140.0  # Of the short form: no round is begun that would end later.


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the short form, five to six minutes")
    parser.add_argument("--smoke", action="store_true", help="a handful of messages each: shows no speed")
    parser.add_argument("--rounds", type=int, default=0, help="of the race; 0: 3 in the short form, else 5")
    parser.add_argument("--only", default="", help="contestants whose title holds this, and no trial")
    parser.add_argument("--trials", action="store_true", help="the trials, and no contestant")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that everything is cleared away then, too.
    sizes = contestants.SMOKE if options.smoke else contestants.SHORT if options.quick else contestants.LONG
    rounds = options.rounds or (1 if options.smoke else 3 if options.quick else 5)
    started = dt.datetime.now(dt.UTC)
    with stage(
        settings.DATA_DIR / "bench",
        is_quick=options.quick,
        is_smoke=options.smoke,
        postgresql=settings.DATABASE_URL if settings.DATABASE_URL.startswith("postgres") else "",
        broker=settings.BROKER_URL if settings.BROKER_URL.startswith("redis") else "",
        sizes=contestants.lists_needed(sizes),
    ) as there:
        told = measure(there, sizes, rounds, options.only, options.trials)
    told = {
        "date": f"{started:%Y-%m-%d %H:%M} UTC",
        "minutes": (dt.datetime.now(dt.UTC) - started).total_seconds() / 60,
        "form": "smoke" if options.smoke else "short" if options.quick else "long",
        **facts(there),
        **told,
    }
    path = settings.DATA_DIR / "bench.json"
    path.write_text(json.dumps(told, indent=1) + "\n")
    print(f"\n{told['machine']}. {told['date']}, commit {told['commit']}, {told['minutes']:.0f} minutes.")
    print("; ".join(f"{name} {value}" for name, value in told["versions"].items()))
    print(f"Written to {path}.")


def measure(there: Stage, sizes: Sizes, rounds: int, only: str, only_trials: bool) -> dict[str, Any]:
    """Run the race and the trials, print their tables, and return everything for ``bench.json``."""
    size, length = contestants.message_bytes(there, sizes)
    racing = [one for one in contestants.contestants(there, sizes, length) if only in one.title and not only_trials]
    print(f"{len(racing)} contestants, {rounds} rounds, {size:,} bytes a message.", flush=True)
    race = run_race(there, racing, rounds)
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
    for line in there.missing:
        print(f"Not measured: {line}")
    return {
        "message_bytes": size,
        "figures": [figure.told() for figure in figures],
        "contestants": {title: summary(samples) for title, samples in everything.items()},
        "missing": there.missing,
    }


def run_race(there: Stage, racing: Sequence[Contestant], rounds: int) -> Rounds:
    """Let everybody run once a round; who fails twice is out."""
    race: Rounds = {one.title: [] for one in racing}
    started = time.monotonic()
    for number in range(rounds):
        elapsed = time.monotonic() - started
        if there.is_quick and elapsed * (number + 1) > RACE_SECONDS * number > 0:
            there.missing.append(f"rounds {number + 1} to {rounds}: the short form ran out of time")
            break
        for one in racing if number % 2 == 0 else reversed(racing):
            samples = race[one.title]
            if samples.count(None) >= 2:
                continue
            try:
                samples.append(one.run())
            except Failed as error:
                samples.append(None)
                there.missing.append(f"{one.title}, round {number + 1}: {str(error).strip().splitlines()[-1]}")
                print(f"  {one.title}: {error}", flush=True)
                continue
            sample = samples[-1]
            assert sample is not None
            print(
                f"  {number + 1}/{rounds}  {one.title:66}{sample.rate:10,.0f}/s{sample.cpu_microseconds:9,.0f} µs",
                flush=True,
            )
    return race


def figures_of(race: Rounds) -> list[Figure]:
    """Return the figures of the race that have a target."""
    found = []
    source, fast_source = (f"{contestants.SOURCE} → {sink}" for sink in (SMTP_SINK, FAST))
    nodemailer = f"{contestants.NODEMAILER} → {SMTP_SINK}"
    nodemailer_rsa = f"{contestants.NODEMAILER}{contestants.SIGNED}{contestants.RSA} → {SMTP_SINK}"
    post_office = best(race, contestants.POST_OFFICE, SMTP_SINK)
    far_source = f"{contestants.SOURCE}{contestants.ONE_CONNECTION} → {FAR}"
    for database in ("PostgreSQL", "SQLite"):
        ours = contestants.ours(database)
        rsa = contestants.ours(database, contestants.SIGNED + contestants.RSA)
        far = contestants.ours(database, contestants.ONE_CONNECTION)
        found += [
            Figure(f"{ours}, to smtp-source", 1.0, ratios(race, f"{ours} → {SMTP_SINK}", source)),
            Figure(f"{ours}, to smtp-source, fast sink", 0.6, ratios(race, f"{ours} → {FAST}", fast_source)),
            Figure(
                f"{ours}, to django-post_office at its best",
                12,
                ratios(race, f"{ours} → {SMTP_SINK}", post_office),
                note=post_office.partition(" → ")[0].removeprefix(f"{contestants.POST_OFFICE}, "),
            ),
            Figure(f"{ours}, to nodemailer's pool", 8, ratios(race, f"{ours} → {SMTP_SINK}", nodemailer)),
            Figure(f"{rsa}, to nodemailer signing", 6, ratios(race, f"{rsa} → {SMTP_SINK}", nodemailer_rsa)),
            Figure(f"{far} at 50 ms, to smtp-source", 3, ratios(race, f"{far} → {FAR}", far_source)),
        ]
    for sink in (SMTP_SINK, FAST):
        direct, celery = contestants.ours(POSTGRESQL), contestants.ours(POSTGRESQL, contestants.IN_CELERY)
        found.append(
            Figure(
                f"{celery}, to the same called directly, {sink}",
                0.85,
                ratios(race, f"{celery} → {sink}", f"{direct} → {sink}"),
            )
        )
    return found


def facts(there: Stage) -> dict[str, Any]:
    """Return what was measured on what."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) // 1024**2 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    commit = _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else "")
    packages = ("Django", "celery", "psycopg", "cryptography")
    return {
        "machine": f"{os.cpu_count()} × {(models or ['unknown'])[0]}, {(memory or [0])[0]} GiB, {platform.platform()}",
        "commit": commit or "unknown",
        "versions": {
            "Python": python_version(),
            **{name: version(name) for name in packages},
            **{name: program.version for name, program in there.programs.items()},
        },
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # Not on Linux.
        return []


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
