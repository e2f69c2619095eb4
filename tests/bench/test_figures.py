"""What the bench makes of its samples."""

import pytest

from bench.figures import Figure, best, ratios, table_of_figures
from bench.processes import Sample


def sample(rate: float) -> Sample:
    return Sample(1000, 1000 / rate, 0.1)


def test_a_ratio_pairs_the_runs_of_one_round_and_leaves_out_what_does_not_count() -> None:
    rounds = {"ours": [sample(100), None, sample(300)], "theirs": [sample(50), sample(50), sample(100)]}

    assert ratios(rounds, "ours", "theirs") == pytest.approx((2.0, 3.0))
    assert ratios(rounds, "ours", "nobody") == ()


def test_the_best_is_the_fastest_by_its_median_on_the_same_sink() -> None:
    rounds = {
        "peer, defaults → sink": [sample(100), sample(100), sample(100)],
        "peer, tuned → sink": [sample(90), sample(120), sample(120)],
        "peer, tuned → other": [sample(500)],
    }

    assert best(rounds, "peer", "sink") == "peer, tuned → sink"
    assert best(rounds, "nobody", "sink") == ""


def test_the_median_decides_whether_a_target_is_met() -> None:
    floor, ceiling = Figure("speed", 1.0, (0.9, 1.1, 1.2)), Figure("memory", 20, (25.0, 30.0), at_most=True, unit="MB")

    assert (floor.is_met, ceiling.is_met) == (True, False)
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table_of_figures([floor, ceiling]).splitlines()]
    assert rows[2:] == [
        ["speed", "≥ 1.00", "1.10 (0.90 to 1.20)", "yes"],
        ["memory", "≤ 20.0 MB", "27.5 MB (25.0 to 30.0)", "**no**"],
    ]
