"""The running checkout and another commit in pairs: who leads a pair alternates, and each pair gives a ratio."""

import contextlib
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bench.against import messages
from bench.against.worktree import environment, worktree
from bench.figures import ratios, summary, table, table_of_contestants
from bench.processes import Sample
from bench.race.brilliance import contestants_of, far_contestants_of
from bench.race.contestant import Contestant, Sizes, lists_needed
from bench.race.race import Rounds, run_race
from bench.stage.checkout import Checkout
from bench.stage.databases import POSTGRESQL
from bench.stage.stage import FAR, FAST, SMTP_SINK, Stage, make_databases

MOST_CPU = 1.03  # Of what a message cost that commit.
COMPARED = {"CPU a message": "cpu_microseconds", "messages a second": "rate"}


def measure(there: Stage, sizes: Sizes, commit: str, pairs: int, only: str) -> dict[str, Any]:
    """Send in pairs, print the tables, and return everything for the report.

    :param only: contestants whose title holds this.
    :raises Failed: if that commit sends another message.
    """
    print(f"Checking {commit} out, and installing its packages ...", flush=True)
    with other_checkout(there, commit) as other:
        other.prepare(lists_needed(sizes))
        size = messages.check_same(there.ours, other, sizes.ours_far)
        theirs = {one.title: one for one in contestants_in(there, other, sizes) if only in one.title}
        mine = [one for one in contestants_in(there, there.ours, sizes) if one.title in theirs]
        print(f"Both send the same message. {len(mine)} contestants, {pairs} pairs.", flush=True)
        in_turn = [each for one in mine for each in (one, _renamed(theirs[one.title], commit))]
        load = [os.getloadavg()[0]]
        race = run_race(in_turn, pairs, there.missing)
        load.append(os.getloadavg()[0])
    found = comparisons(race, {one.title: _renamed(one, commit).title for one in mine})
    print("\n" + table_of_contestants(race))
    print("\n" + table_of_comparisons(found))
    print(f"\nThe load of the machine was {load[0]:.1f} before and {load[1]:.1f} after.")
    return {
        "against": commit,
        "size_ratio": size,
        "load": load,
        "comparisons": found,
        "contestants": {title: summary(samples) for title, samples in race.items()},
    }


@contextlib.contextmanager
def other_checkout(there: Stage, commit: str) -> Iterator[Checkout]:
    """Make a checkout of a commit with an environment, a data folder and databases of its own; all goes at the end.

    :raises Failed: if git cannot check it out.
    :raises Unavailable: if its packages cannot be installed.
    """
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(worktree(commit))
        folder = there.folder / commit
        folder.mkdir()
        other = Checkout(folder, root, environment(root))
        other.databases = make_databases(there, stack, f"against_{commit}")
        yield other


def contestants_in(there: Stage, checkout: Checkout, sizes: Sizes) -> list[Contestant]:
    """Return all ways in which a checkout takes part, in the order of the race; then its bookkeeping.

    Its Celery worker is none of them: it is not started through ``bench.ours``.
    """
    found: list[Contestant] = []
    for sink in (there.sinks[name] for name in (SMTP_SINK, FAST) if name in there.sinks):
        found += contestants_of(checkout, sink, sizes, there.keys)
    found += far_contestants_of(checkout, there.sinks[FAR], sizes)
    rows = 500 if there.is_smoke else 30_000 if there.is_quick else 100_000
    for database in checkout.databases:
        bookkeep = partial(_bookkeep, checkout, database, rows)
        is_short = database == POSTGRESQL or POSTGRESQL not in checkout.databases
        found.append(Contestant(f"claimed and recorded, {database}", "no sink", bookkeep, is_short))
    return [one for one in found if one.is_short or not there.is_quick]


def _bookkeep(checkout: Checkout, database: str, rows: int) -> Sample:
    [(_, _, sample)] = checkout.bookkeep(database, [rows], [1])
    return sample


def _renamed(one: Contestant, commit: str) -> Contestant:
    return replace(one, name=f"{one.name}, {commit}")


def comparisons(race: Rounds, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the ratios of each contestant, here to there, pair by pair, with median and spread.

    :param titles: of each contestant, here and there.
    """
    found = []
    for title, other in titles.items():
        sender, _, sink = title.partition(" → ")
        for what, name in COMPARED.items():
            if not (values := ratios(race, title, other, name)):
                continue
            found.append(
                {
                    "into": sink,
                    "sender": sender,
                    "ratio_of": what,
                    # A far sink is waited for so long that what a message cost says little.
                    "at_most": MOST_CPU if name == "cpu_microseconds" and sink != FAR else None,
                    "median": statistics.median(values),
                    "least": min(values),
                    "most": max(values),
                    "pairs": values,
                }
            )
    return found


def table_of_comparisons(found: Sequence[Mapping[str, Any]]) -> str:
    """Return them for people to read."""
    rows = [
        (
            *(one["into"], one["sender"], one["ratio_of"]),
            *(f"{one['median']:.3f}", f"{one['least']:.3f} to {one['most']:.3f}"),
            "" if one["at_most"] is None else "yes" if one["median"] <= one["at_most"] else "**no**",
            " ".join(f"{value:.2f}" for value in one["pairs"]),
        )
        for one in found
    ]
    return table(("into", "sender", "ratio of", "median", "least to most", f"≤ {MOST_CPU}", "pair by pair"), rows)
