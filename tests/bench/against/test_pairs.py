"""Each pair gives a ratio, and the median of the ratios is what counts."""

from bench.against.pairs import comparisons, table_of_comparisons
from bench.processes import Failed, Sample
from bench.race.contestant import Contestant
from bench.race.race import run_race

TITLES = {"Brilliance → fast sink": "Brilliance, abc → fast sink"}


def sample(cpu_microseconds: float, rate: float = 1000) -> Sample:
    return Sample(1000, 1000 / rate, cpu_microseconds / 1000)


def test_who_leads_a_pair_alternates() -> None:
    ran: list[str] = []

    def contestant(name: str) -> Contestant:
        def run() -> Sample:
            ran.append(name)
            return sample(100)

        return Contestant(name, "sink", run)

    run_race([contestant("here"), contestant("there")], 3, [])

    assert ran == ["here", "there", "there", "here", "here", "there"]


def test_a_pair_of_which_one_failed_gives_no_ratio_and_the_others_keep_their_partners() -> None:
    there = iter([sample(100), None, sample(100)])

    def fails_once() -> Sample:
        if (told := next(there)) is None:
            raise Failed("not exact")
        return told

    here = iter([sample(103, 900), sample(500), sample(101, 1100)])
    missing: list[str] = []
    race = run_race(
        [
            Contestant("Brilliance", "fast sink", lambda: next(here)),
            Contestant("Brilliance, abc", "fast sink", fails_once),
        ],
        3,
        missing,
    )

    cpu, rate = comparisons(race, TITLES)

    assert [round(value, 3) for value in cpu["pairs"]] == [1.03, 1.01]
    assert [round(value, 3) for value in rate["pairs"]] == [0.9, 1.1]
    assert missing == ["Brilliance, abc → fast sink, round 2: not exact"]


def test_the_median_of_the_cost_decides_and_a_far_sink_decides_nothing() -> None:
    here, there = [sample(90), sample(103), sample(150)], [sample(100)] * 3
    titles = TITLES | {"Brilliance → 50 ms away": "Brilliance, abc → 50 ms away"}
    race = {title: list(here) for title in titles} | {other: list(there) for other in titles.values()}

    table = table_of_comparisons(comparisons(race, titles))

    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
    assert rows[0] == ["fast sink", "Brilliance", "CPU a message", "1.030", "0.900 to 1.500", "yes", "0.90 1.03 1.50"]
    assert [row[5] for row in rows[1:]] == ["", "", ""]
