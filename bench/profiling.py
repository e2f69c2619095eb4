"""Where the time of one process goes while it sends: a sampling profiler's stacks, summed up by module.

    python -m bench.profiling --people 20000 [--database PostgreSQL] [--signed]

A sample belongs to the innermost frame that is ours; what Django, psycopg or asyncio do for it is its own time. The
CPU time a message is that of the run with the profiler.
"""

import argparse
import collections
import os
import re
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

from django.conf import settings  # The folder and the addresses are the product's settings.

from bench.figures import table
from bench.processes import Sample
from bench.race.contestant import RSA
from bench.stage import programs
from bench.stage.databases import SQLITE
from bench.stage.stage import FAST, stage

WAITING = re.compile(r"\((?:selectors|threading|queue|concurrent/futures/thread)\.py:\d+\)$")
OURS = re.compile(r"\(((?:delivery|smtpservers|mail|contacts|brilliance|bench)/[\w/]+\.py)")


def main() -> None:
    """Profile one run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--database", default=SQLITE, help="SQLite or PostgreSQL")
    parser.add_argument("--signed", action="store_true", help="with an RSA-2048 key")
    options = parser.parse_args()
    postgresql = settings.DATABASE_URL if settings.DATABASE_URL.startswith("postgres") else ""
    folder = settings.DATA_DIR / "bench"
    profiler = programs.py_spy(folder / "py_spy")
    with stage(
        folder, is_quick=True, is_smoke=False, postgresql=postgresql, broker="", sizes=[options.people]
    ) as there:
        key = {"key": there.keys[RSA]} if options.signed else {}
        send = there.ours.command("send", people=options.people, port=there.sinks[FAST].port, connections=10, **key)
        stacks = there.folder / "stacks.txt"
        record = [*profiler.command, "record", "--format", "raw", "--rate", "250", "--output", str(stacks), "--"]
        told = there.ours.answer(options.database, [*record, *send])
        found = by_module(stacks)
    sample, total = Sample.told(told), sum(found.values())
    rows = [
        (module, f"{100 * count / total:.0f} %", f"{sample.cpu_microseconds * count / total:.1f}")
        for module, count in found.most_common(20)
    ]
    print(table(("module", "share", "µs a message"), rows))
    print(f"{options.people:,} messages, {options.database}, {sample.cpu_microseconds:.0f} µs a message.")


def by_module(stacks: Path) -> collections.Counter[str]:
    """Return the samples of each module while the engine ran, from lines of ``outer;inner count``."""
    found: collections.Counter[str] = collections.Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        # Outside of both threads lie the setting up and the looking over.
        if "run_until_complete" not in stack and "concurrent/futures/thread.py" not in stack:
            continue
        if WAITING.search(stack):
            continue
        modules = OURS.findall(stack)
        found[modules[-1] if modules else "asyncio and the interpreter"] += int(count)
    return found


if __name__ == "__main__":
    main()
