"""From the samples to the figures: medians, ratios taken round by round, and whether each target is met.

Speed is told as ratios of what ran in turn on the same machine; a single rate says more about the machine.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.processes import Sample

Rounds = Mapping[str, Sequence[Sample | None]]  # By contestant, one for each round; None: that run does not count.


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table of targets."""

    name: str
    target: float
    values: tuple[float, ...]  # Of the rounds; their median counts.
    at_most: bool = False  # Whether the target is a ceiling.
    unit: str = ""
    note: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the median reaches the target."""
        return self.value <= self.target if self.at_most else self.value >= self.target

    def told(self) -> dict[str, Any]:
        """Return the figure for ``bench.json``."""
        return {
            "figure": self.name,
            "target": self.target,
            "is_at_most": self.at_most,
            "value": self.value,
            "least": min(self.values),
            "most": max(self.values),
            "rounds": len(self.values),
            "unit": self.unit,
            "is_met": self.is_met,
            "note": self.note,
        }


def ratios(rounds: Rounds, ours: str, theirs: str, what: str = "rate") -> tuple[float, ...]:
    """Return how many times as fast ``ours`` was, for each round in which both counted.

    :param what: property of a :class:`Sample` that is compared.
    """
    pairs = zip(rounds.get(ours, ()), rounds.get(theirs, ()), strict=False)
    return tuple(
        getattr(one, what) / getattr(other, what) for one, other in pairs if one is not None and other is not None
    )


def median_rate(samples: Sequence[Sample | None]) -> float:
    """Return the median of messages a second; 0 if no run counted."""
    rates = [sample.rate for sample in samples if sample is not None]
    return statistics.median(rates) if rates else 0.0


def best(rounds: Rounds, beginning: str, end: str) -> str:
    """Return the fastest contestant whose title begins and ends so; empty if there is none."""
    names = [name for name in rounds if name.startswith(beginning) and name.endswith(end)]
    return max(names, key=lambda name: median_rate(rounds[name]), default="")


def summary(samples: Sequence[Sample | None]) -> dict[str, Any] | None:
    """Return the median, the least and the most of a contestant's rounds; None if no run counted."""
    counted = [sample for sample in samples if sample is not None]
    if not counted:
        return None
    rates = [sample.rate for sample in counted]
    return {
        "messages": counted[0].messages,
        "rounds": len(counted),
        "messages_per_second": statistics.median(rates),
        "least": min(rates),
        "most": max(rates),
        "cpu_microseconds": statistics.median(sample.cpu_microseconds for sample in counted),
        "samples": [
            {"seconds": sample.seconds, "cpu_seconds": sample.cpu_seconds, **sample.facts} for sample in counted
        ],
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that also reads well as it is."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def table_of_figures(figures: Sequence[Figure]) -> str:
    """Return the targets and what was measured."""
    rows = []
    for figure in figures:
        sign, unit = ("≤" if figure.at_most else "≥"), f" {figure.unit}" if figure.unit else ""
        span = f" ({number(min(figure.values))} to {number(max(figure.values))})" if len(figure.values) > 1 else ""
        rows.append(
            (
                figure.name + (f" ({figure.note})" if figure.note else ""),
                f"{sign} {number(figure.target)}{unit}",
                f"{number(figure.value)}{unit}{span}",
                "yes" if figure.is_met else "**no**",
            )
        )
    return table(("figure", "target", "measured, median (least to most)", "met"), rows)


def table_of_contestants(rounds: Rounds) -> str:
    """Return the rates, grouped by sink in the order they ran."""
    rows = []
    for title, samples in rounds.items():
        told = summary(samples)
        name, _, sink = title.partition(" → ")
        if told is None:
            rows.append((sink, name, "does not count", "", "", ""))
            continue
        rows.append(
            (
                sink,
                name,
                f"{told['messages_per_second']:,.0f}",
                f"{told['least']:,.0f} to {told['most']:,.0f}",
                f"{told['cpu_microseconds']:,.0f}",
                f"{told['messages']:,} × {told['rounds']}",
            )
        )
    return table(
        ("into", "sender", "messages/s, median", "least to most", "CPU µs a message", "messages × rounds"), rows
    )


def number(value: float) -> str:
    """Return a number as people read it."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
