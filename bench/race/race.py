"""The race: everybody runs once a round, and what has a target becomes a figure."""

import math
import time
from collections.abc import Sequence

from bench.figures import Figure, best, ratios
from bench.processes import Failed, Sample
from bench.race import contestant
from bench.race.contestant import Contestant
from bench.stage.databases import POSTGRESQL
from bench.stage.stage import FAR, FAST, SMTP_SINK

Rounds = dict[str, list[Sample | None]]
QUICK_SECONDS = 140.0  # For the race in the short form.


def run_race(racing: Sequence[Contestant], rounds: int, missing: list[str], seconds: float = math.inf) -> Rounds:
    """Let everybody run once a round, every other round backwards; who fails twice is out.

    :param missing: is told what could not be measured.
    :param seconds: no round is begun that would end later.
    """
    race: Rounds = {one.title: [] for one in racing}
    started = time.monotonic()
    for number in range(rounds):
        elapsed = time.monotonic() - started
        if number and elapsed * (number + 1) > seconds * number:
            missing.append(f"rounds {number + 1} to {rounds}: the time was up")
            break
        for one in racing if number % 2 == 0 else reversed(racing):
            samples = race[one.title]
            if samples.count(None) >= 2:
                continue
            try:
                samples.append(one.run())
            except Failed as error:
                samples.append(None)
                missing.append(f"{one.title}, round {number + 1}: {str(error).strip().splitlines()[-1]}")
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
    source, fast_source = (f"{contestant.SOURCE} → {sink}" for sink in (SMTP_SINK, FAST))
    nodemailer = f"{contestant.NODEMAILER} → {SMTP_SINK}"
    nodemailer_rsa = f"{contestant.NODEMAILER}{contestant.SIGNED}{contestant.RSA} → {SMTP_SINK}"
    post_office = best(race, contestant.POST_OFFICE, SMTP_SINK)
    far_source = f"{contestant.SOURCE}{contestant.ONE_CONNECTION} → {FAR}"
    for database in ("PostgreSQL", "SQLite"):
        ours = contestant.ours(database)
        rsa = contestant.ours(database, contestant.SIGNED + contestant.RSA)
        far = contestant.ours(database, contestant.ONE_CONNECTION)
        found += [
            Figure(f"{ours}, to smtp-source", 1.0, ratios(race, f"{ours} → {SMTP_SINK}", source)),
            Figure(f"{ours}, to smtp-source, fast sink", 0.6, ratios(race, f"{ours} → {FAST}", fast_source)),
            Figure(
                f"{ours}, to django-post_office at its best",
                12,
                ratios(race, f"{ours} → {SMTP_SINK}", post_office),
                note=post_office.partition(" → ")[0].removeprefix(f"{contestant.POST_OFFICE}, "),
            ),
            Figure(f"{ours}, to nodemailer's pool", 8, ratios(race, f"{ours} → {SMTP_SINK}", nodemailer)),
            Figure(f"{rsa}, to nodemailer signing", 6, ratios(race, f"{rsa} → {SMTP_SINK}", nodemailer_rsa)),
            Figure(f"{far} at 50 ms, to smtp-source", 3, ratios(race, f"{far} → {FAR}", far_source)),
        ]
    for sink in (SMTP_SINK, FAST):
        direct, celery = contestant.ours(POSTGRESQL), contestant.ours(POSTGRESQL, contestant.IN_CELERY)
        found.append(
            Figure(
                f"{celery}, to the same called directly, {sink}",
                0.85,
                ratios(race, f"{celery} → {sink}", f"{direct} → {sink}"),
            )
        )
    return found
