"""The rules judge a labelled set of visits well enough, and the documentation says how well."""

from pathlib import Path

import pytest

from mail.visits.names import Visitor
from tests.mail.visits import labelled
from tests.mail.visits.labelled import Figures, Trace, figures

PAGE = Path(__file__).parents[3] / "docs" / "tracking.md"


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    return labelled.traces()


def test_the_set_is_large_and_has_people_and_machines(traces: list[Trace]) -> None:
    labels = [label for trace in traces for label in trace.labels]

    assert len(traces) >= 300
    assert labels.count(Visitor.HUMAN) >= 500
    assert labels.count(Visitor.MACHINE) >= 500
    assert len({trace.kind for trace in traces}) >= 25


@pytest.mark.parametrize("is_held_out", [False, True])
def test_people_are_told_from_machines(traces: list[Trace], *, is_held_out: bool) -> None:
    found = figures([trace for trace in traces if trace.is_held_out is is_held_out])

    assert found.precision >= 0.95
    assert found.recall >= 0.90


def test_the_documentation_has_the_figures(traces: list[Trace]) -> None:
    page = PAGE.read_text()

    for row in rows(traces):
        assert row in page, f"docs/tracking.md lacks {row}"


def rows(traces: list[Trace]) -> list[str]:
    """Return the lines of the documentation's two tables."""
    halves = {
        "All": traces,
        "Rules were fixed to these": [trace for trace in traces if not trace.is_held_out],
        "Held out": [trace for trace in traces if trace.is_held_out],
    }
    of_halves = [
        f"| {name} | {len(half):,} | {found.requests:,} | {part(found.precision)} | {part(found.recall)} |"
        for name, half in halves.items()
        for found in [figures(half)]
    ]
    anonymous = figures(traces, is_anonymous=True)
    of_halves.append(
        f"| All, at the anonymous level | {len(traces):,} | {anonymous.requests:,} | {part(anonymous.precision)}"
        f" | {part(anonymous.recall)} |"
    )
    kinds = dict.fromkeys(trace.kind for trace in traces)
    return of_halves + [row(kind, figures([trace for trace in traces if trace.kind == kind])) for kind in kinds]


def row(kind: str, found: Figures) -> str:
    machines, taken = found.requests - found.people, found.judged_human - found.found
    return (
        f"| {kind} | {found.traces} | {f'{found.found} of {found.people}' if found.people else '–'}"
        f" | {f'{taken} of {machines}' if machines else '–'} |"
    )


def part(ratio: float) -> str:
    return f"{ratio:.1%}".replace("%", " %")


if __name__ == "__main__":  # Prints the rows for the documentation.
    print("\n".join(rows(labelled.traces())))
